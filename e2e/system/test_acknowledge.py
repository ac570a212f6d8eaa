"""What somebody knows of fails no check, as long as it counts and is no more than it was."""

import json
import re
import subprocess
import urllib.parse
import urllib.request

from test_check import checked, suite  # noqa: F401: a fixture


def acknowledge(suite, server, *words):
    recorder = suite.recorder
    command = recorder.command([], server)[:1] + ["acknowledge", "--server", server.url, *(str(word) for word in words)]
    environment = recorder.environment(HIGHWATER_PROJECT="test/suite")
    return subprocess.run(command, cwd=str(recorder.folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def test_a_finding_that_is_acknowledged_fails_no_more_until_it_grows_or_is_withdrawn(own_server, suite):
    server = own_server
    for commit in "12345":
        suite(server, commit)
    worse = suite(server, "6", retained=40)
    assert checked(suite, server, worse).returncode == 1
    for figure, words in [("retained", ["test_2.py"]), ("peak", [])]:
        done = acknowledge(suite, server, *words, "--figure", figure, "--reason", "the cache of 41", "--days", 30, "--by", "Ada", "--in", worse)
        assert done.returncode == 0 and "counts until " in done.stdout and "by Ada: the cache of 41" in done.stdout, done
    known = checked(suite, server, worse)
    assert known.returncode == 0, known
    assert known.stdout.startswith("clean: Nothing that nobody knows of got worse beside 5 jobs of main."), known.stdout
    assert re.search(r"  acknowledged test_2.py retains 45\.\d MiB, .*by Ada: the cache of 41\n", known.stdout), known.stdout
    report = server.get("/api/v1/jobs/%s/check" % worse)
    assert [it["acknowledged"]["by"] for it in report["findings"]] == ["Ada", "Ada"], report
    # Every form of the report tells it too, and none as a warning.
    assert "Acknowledged until" in server.text("/api/v1/jobs/%s/report?format=markdown" % worse)
    # As much in another commit is known as well; clearly more is not.
    again = checked(suite, server, suite(server, "7", retained=41, flags=["--branch", "feature"]))
    assert again.returncode == 0 and "acknowledged" in again.stdout, again
    more = checked(suite, server, suite(server, "8", retained=70, flags=["--branch", "feature"]))
    assert more.returncode == 1 and "  worse        test_2.py retains 75." in more.stdout, more
    listed = json.loads(acknowledge(suite, server, "--list", "--format", "json").stdout)
    assert [it["figure"] for it in listed] == ["peak", "retained"], listed
    taken = acknowledge(suite, server, "--withdraw", listed[1]["id"])
    assert taken.returncode == 0 and "withdrawn " in taken.stdout, taken
    assert checked(suite, server, worse).returncode == 1


def test_what_cannot_be_acknowledged_is_refused_with_what_is_wrong(own_server, suite):
    server = own_server
    job = suite(server, "1")
    why = ["--reason", "known", "--days", "3", "--in", job]
    for words, says in [
        (["--figure", "retained", "gone.py", *why], "ran no test file"),
        (["--figure", "headroom", "test_1.py", *why], "headroom is a figure of the job, and test_1.py is a file"),
        (["--figure", "weight", *why], "peak, headroom, imports, retained or spike"),
        (["--figure", "peak", "--reason", "known", "--in", job], "--days"),
        (["--figure", "peak", "--reason", "known", "--days", "400", "--in", job], "365"),
        (["--figure", "peak", "--reason", "known", "--until", "2001-01-01", "--in", job], "it would have ended already"),
        (["--withdraw", job], "there is no acknowledgement"),
        (["--list", "--project", "other/project"], "there is no project"),
        ([], "--figure"),
    ]:
        wrong = acknowledge(suite, server, *words)
        assert wrong.returncode == 2 and says in wrong.stderr, (words, wrong)
    none = acknowledge(suite, server, "--list")
    assert none.returncode == 0 and none.stdout == "Nothing is acknowledged in this project.\n", none


def test_the_form_of_the_page_works_without_a_script(own_server, suite):
    server = own_server
    for commit in "12345":
        suite(server, commit)
    worse = suite(server, "6", retained=40)

    def send(action, fields):
        data = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(server.url + action, data=data) as answer:
            return answer.geturl(), answer.read().decode()

    page = server.text("/jobs/%s" % worse)
    action = re.search(r'action="(/jobs/[^"]*/acknowledgements)"', page).group(1)
    choices = re.findall(r'<option value="([^"]*)">', page)
    assert sorted(choices) == ["peak", "retained test_2.py"], choices
    for choice in choices:
        where, page = send(action, {"finding": choice, "reason": "it is <known>", "days": "30", "by": "Ada"})
        assert where.endswith("/jobs/%s#check" % worse) or where.endswith("/jobs/%s" % worse), where
    assert page.count(">acknowledged<") == 2 and "it is &#60;known&#62;" in page, page
    assert "Acknowledge a finding" not in page
    assert checked(suite, server, worse).returncode == 0
    withdraw = re.search(r'action="(/jobs/[^"]*/withdraw)"', page).group(1)
    assert "Acknowledge a finding" in send(withdraw, {})[1]
    assert checked(suite, server, worse).returncode == 1
