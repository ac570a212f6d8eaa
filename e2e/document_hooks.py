"""What schemathesis cannot know of itself."""

import itertools

import schemathesis

numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Each request comes from an address of its own: after ten wrong tokens of one, the answer is 429, and right so."""
    number = next(numbers)
    case.headers["X-Forwarded-For"] = "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)


# Of any route and method, told on the page beside the table of codes.
EVERYWHERE = {"method_not_allowed", "not_found"}


@schemathesis.check
def code_conformance(context, response, case):
    """Every refusal carries a code that the document names for its status."""
    if response.status_code < 400:
        return
    error = response.json()["error"]
    assert error["message"] and error["hint"], error
    answers = case.operation.definition.raw["responses"]
    content = answers.get(str(response.status_code), {}).get("content", {})
    codes = content.get("application/json", {}).get("examples", {}).keys()
    assert error["code"] in codes | EVERYWHERE, "%s is no code of %d here" % (error["code"], response.status_code)
