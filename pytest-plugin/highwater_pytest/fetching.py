"""Fetches a plan that a server keeps, by its id.

A process of its own asks the server. What asking takes (``urllib.request`` 1.8 MB of RSS, a TLS context 1.9 more, measured on CPython 3.11) would else
stand in the figures of the pytest that is recorded, and in no other run of the same suite. This file is that process's program too.
"""

import os
import re
import subprocess
import sys

# Variables that say where the plan is, and prove who asks: the first that is set. Whoever records has often a token that may do that alone.
SERVER_VARIABLE, TOKEN_VARIABLES = "HIGHWATER_SERVER", ("HIGHWATER_READ_TOKEN", "HIGHWATER_TOKEN")
# How long the server may be silent, and how long all of it may take, s.
SILENCE_S, WHOLE_S = 10, 30
# What a plan may weigh, bytes.
MOST_BYTES = 16 << 20


class NotFetched(Exception):
    """Why there is no plan, for people."""


def fetch(plan):
    """The text of a plan; raises ``NotFetched`` with the reason where it cannot be had."""
    if not os.environ.get(SERVER_VARIABLE, "").strip():
        raise NotFetched("a server keeps it, and none is named: set %s, or let `highwater run --plan %s` fetch it" % (SERVER_VARIABLE, plan))
    if not sys.executable:
        raise NotFetched("this Python does not know its own program, so it cannot ask the server: let `highwater run --plan %s` fetch it" % plan)
    # Neither what stands on PYTHONPATH nor what site-packages start in each Python has a part in it.
    command = [sys.executable, "-I", "-S", os.path.abspath(__file__), plan]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WHOLE_S)
    except subprocess.TimeoutExpired:
        raise NotFetched("the server did not answer within %d s" % WHOLE_S)
    except OSError as error:
        raise NotFetched("%s cannot be started to ask the server: %s" % (sys.executable, error.strerror or error))
    told = done.stdout if done.returncode == 0 else done.stderr
    text = told.decode("utf-8", "replace")
    if done.returncode != 0:
        # Of a traceback the last line says what it was.
        raise NotFetched((text.strip().splitlines() or ["asking the server ended with %d" % done.returncode])[-1])
    return text


def main(plan):
    """Writes the plan's text to standard output, or why there is none to standard error."""
    try:
        answer = _ask(plan, os.environ[SERVER_VARIABLE].strip().rstrip("/"), *_token())
    except NotFetched as why:
        sys.stderr.write("%s\n" % why)
        return 1
    sys.stdout.buffer.write(answer)
    return 0


def _token():
    """The token that the server is asked with, and the variable that holds it."""
    for name in TOKEN_VARIABLES:
        token = os.environ.get(name, "").strip()
        if token:
            return token, name
    return "", None


def _ask(plan, server, token, variable=None):
    import http.client
    import urllib.error
    import urllib.parse
    import urllib.request

    if "://" not in server:
        # As the agent takes it.
        server = "http://" + server
    try:
        address = urllib.parse.urlsplit(server)
        is_address = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise NotFetched("%s is no address such as https://highwater.example" % SERVER_VARIABLE)
    if "@" in address.netloc:
        raise NotFetched("%s holds a password: give a token in %s instead" % (SERVER_VARIABLE, TOKEN_VARIABLES[0]))
    if not re.match(r"[!-~]*\Z", token):
        raise NotFetched("%s: a token is one word of ASCII letters, digits and signs" % variable)

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        """A token goes nowhere but to the server that was named."""

        def redirect_request(self, *_):
            return None

    handlers = [NoRedirect]
    if _is_loopback(address.hostname):
        # As the agent: what is on this machine is asked through no proxy.
        handlers.append(urllib.request.ProxyHandler({}))
    if address.scheme == "https":
        handlers.append(urllib.request.HTTPSHandler(context=_context()))
    headers = {"User-Agent": "highwater-pytest"}
    if token:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request("%s/api/v1/plans/%s" % (server, plan), headers=headers)
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=SILENCE_S) as answer:
            text = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        asked = "with %s" % variable if variable else "without a token (%s takes one that may read)" % TOKEN_VARIABLES[0]
        raise NotFetched("asked %s: %s" % (asked, _refusal(error)))
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Where nobody listens, no name is known, a certificate is not trusted, or what answers speaks no HTTP.
        raise NotFetched("the server cannot be asked: %s" % (getattr(error, "reason", None) or error))
    if len(text) > MOST_BYTES:
        raise NotFetched("the server answered with more than %d MB" % (MOST_BYTES // 1000000))
    return text


def _is_loopback(host):
    import ipaddress

    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A name.
        return False


def _context():
    import ssl

    file = os.environ.get("HIGHWATER_CA_FILE", "").strip()
    try:
        return ssl.create_default_context(cafile=file or None)
    except OSError as error:
        raise NotFetched("HIGHWATER_CA_FILE: %s: %s" % (file, error))


def _refusal(error):
    import json

    try:
        said = ": %s" % json.loads(error.read(1 << 16).decode())["error"]["message"]
    except (OSError, ValueError, KeyError, TypeError):
        # Not the words of a server of ours.
        said = ""
    if error.code == 401:
        return "the server asks for a token that may read"
    if error.code == 404:
        return "it is not there, or not for whoever asks" + said
    if 300 <= error.code < 400:
        return "the server answered %d: a redirect is not followed" % error.code
    return "the server answered %d%s" % (error.code, said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
