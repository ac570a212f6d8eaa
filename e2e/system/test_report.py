"""A job is told of in every form, by the agent as by the server, and on a pull request."""

import html
import http.server
import json
import re
import subprocess
import threading
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import BINARIES, PYTEST

HOSTILE = "a|b`c <img src=x onerror=alert(1)> --> @org ::error::x\n# head"
CALM = "def test_calm():\n    pass\n"
HOLDS = """
import pytest
kept = []

@pytest.mark.parametrize("name", [%r] + list("abcdefghij"))
def test_holds(name):
    kept.append(b"x" * (30 << 20))
""" % HOSTILE
FORMATS = ["terminal", "markdown", "json", "junit", "html", "prometheus", "github", "gitlab", "badge"]
LIMIT = ["--memory-limit", "200MiB", "--on-limit", "stop"]
COMMAND = PYTEST + ["-p", "no:randomly"]


class GitHub:
    """What of GitHub's REST API a comment needs: lists of a hundred, new ones, changes, and a token that may do less."""

    def __init__(self):
        self.comments, self.asked, self.refuses = [], [], False
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                owner.asked.append((self.command, self.path))
                assert self.headers["User-Agent"].startswith("highwater/"), self.headers
                if self.headers["Authorization"] != "Bearer ghs_secret":
                    return self.answer(401, {"message": "Bad credentials"})
                listed = re.fullmatch(r"/api/v3/repos/o/r/issues/7/comments\?per_page=100&page=(\d+)", self.path)
                changed = re.fullmatch(r"/api/v3/repos/o/r/issues/comments/(\d+)", self.path)
                if self.command == "GET" and listed:
                    at = (int(listed.group(1)) - 1) * 100
                    return self.answer(200, owner.comments[at : at + 100])
                if owner.refuses:
                    return self.answer(403, {"message": "Resource not accessible by integration"})
                if self.command == "POST" and self.path == "/api/v3/repos/o/r/issues/7/comments":
                    return self.answer(201, owner.add(json.loads(body)["body"], "Bot"))
                if self.command == "PATCH" and changed:
                    comment = next(one for one in owner.comments if one["id"] == int(changed.group(1)))
                    comment["body"] = json.loads(body)["body"]
                    return self.answer(200, comment)
                return self.answer(404, {"message": "Not Found"})

            do_GET = do_POST = do_PATCH = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/api/v3" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, body, kind):
        comment = {"id": 1000 + len(self.comments), "body": body, "user": {"type": kind}, "html_url": "https://github.example/c/%d" % len(self.comments)}
        self.comments.append(comment)
        return comment

    def ours(self):
        return [one["body"] for one in self.comments if one["body"].startswith("<!-- highwater ") and one["user"]["type"] == "Bot"]


@pytest.fixture
def github():
    github = GitHub()
    yield github
    github.server.shutdown()
    github.server.server_close()


@pytest.fixture
def suite(recorder):
    (recorder.folder / "test_a_calm.py").write_text(CALM)
    (recorder.folder / "test_b_holds.py").write_text(HOLDS)
    return recorder


def told(recorder, arguments, status=0, **variables):
    command = [str(BINARIES / "highwater"), "report", "--spool", str(recorder.spool)] + [str(word) for word in arguments]
    done = subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == status, (done.stdout + done.stderr).decode()
    return done.stdout.decode(), done.stderr.decode()


def check_forms(texts):
    """Each form of a job that the guard ended, as its readers take it."""
    document = json.loads(texts["json"])
    assert document["job"]["ending"]["verdict"] == "guard_stopped"
    kinds = [remark["kind"] for remark in document["remarks"]]
    assert kinds[0] == "death" and "culprit" in kinds, document["remarks"]
    assert "test_b_holds.py" in [remark["path"] for remark in document["remarks"]]
    suite = ElementTree.fromstring(texts["junit"]).find("testsuite")
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert int(suite.get("tests")) == len(cases) == 3
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    assert sorted(failed) == sorted([document["job"]["name"], "test_b_holds.py"])
    assert int(suite.get("failures")) == len(failed)
    properties = {one.get("name"): one.get("value") for one in cases["test_b_holds.py"].find("properties")}
    files = {row["path"]: row for row in document["files"]}
    assert int(properties["retained_bytes"]) == files["test_b_holds.py"]["retained_bytes"] > 100 << 20
    issues = json.loads(texts["gitlab"])
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == len(document["remarks"])
    assert all(set(issue) == {"description", "check_name", "fingerprint", "severity", "location"} for issue in issues)
    lines = texts["github"].splitlines()
    assert len(lines) == len(document["remarks"])
    assert all(re.match(r"::(error|warning|notice) (file=[^,:]*,line=1,)?title=[^,:]*::[^:]", line) for line in lines), lines
    assert any(line.startswith("::error file=test_b_holds.py,line=1,") for line in lines), lines
    sample = re.compile(r'highwater_[a-z_]+\{([a-z]+="(\\.|[^"\\])*",?)*\} -?[0-9.]+')
    assert all(line.startswith("# ") or sample.fullmatch(line) for line in texts["prometheus"].splitlines()), texts["prometheus"]
    assert "highwater_job_peak_bytes{" in texts["prometheus"]
    assert "died of it" in ElementTree.fromstring(texts["badge"]).find("{http://www.w3.org/2000/svg}title").text
    assert "</svg>" in texts["html"] and "<script" not in texts["html"] and "<img" not in texts["html"]
    assert "<img" not in texts["markdown"] and "\n# head" not in texts["markdown"] and "a|b" not in texts["markdown"]
    assert len(texts["markdown"].encode()) < 1 << 20


def test_a_death_is_told_in_every_form_from_the_spool_and_from_the_server_alike(server, suite):
    # A name of its own: beside others of its name the server would tell what got worse, of which the spool knows nothing.
    summary = suite.run(COMMAND, flags=LIMIT + ["--job", "every-form"])
    here = {form: told(suite, ["--format", form])[0] for form in FORMATS}
    check_forms(here)
    told(suite, ["--format", "html", "--output", "out.html"])
    assert (suite.folder / "out.html").read_text() == here["html"]
    assert suite.upload(server).returncode == 0
    server.job(summary["uuid"])
    where = [suite.summary, "--server", server.url]
    there = {form: told(suite, where + ["--format", form])[0] for form in FORMATS}
    check_forms(there)
    for form in ["github", "gitlab", "prometheus", "badge"]:
        assert here[form] == there[form]
    page = "%s/jobs/%s" % (server.url, summary["uuid"])
    assert page in there["markdown"] and page in there["terminal"]
    _, why = told(suite, ["no-such-file.json"], status=2)
    assert "no-such-file.json" in why and "summary" in why
    _, why = told(suite, ["--format", "pdf"], status=2)
    assert "prometheus" in why


def test_what_was_ahead_and_why_memory_stays_is_in_every_form(server, recorder):
    for at in range(30):
        text = "kept = []\n\ndef test_holds():\n    kept.append([b'%%d' %% it * 40 for it in range(60_000)])\n"
        (recorder.folder / ("test_%02d.py" % at)).write_text(text.replace("%%", "%"))
    summary = recorder.run(COMMAND, flags=["--diagnose", *LIMIT])
    assert summary["forecast"]["files"] == 30 and summary["diagnosis"]["advice"], summary
    here = {form: told(recorder, ["--format", form])[0] for form in FORMATS}
    assert recorder.upload(server).returncode == 0
    server.job(summary["uuid"])
    there = {form: told(recorder, [recorder.summary, "--server", server.url, "--format", form])[0] for form in FORMATS}
    for texts in [here, there]:
        for form in ["terminal", "markdown", "json", "junit", "html", "github", "gitlab"]:
            for words in ["Had it gone on so, memory would have come to ", " had stayed: ", "is Python objects that live"]:
                assert words in texts[form], (form, words)
        kinds = [remark["kind"] for remark in json.loads(texts["json"])["remarks"]]
        assert kinds[0] == "death" and kinds.count("forecast") == 1
        assert kinds.count("diagnosis") == 1 + len(summary["diagnosis"]["advice"])
        assert "Why memory stays" in texts["markdown"] and "Why memory stays" in texts["html"]
        assert 'why="live"} ' in texts["prometheus"] and 'end="high"} ' in texts["prometheus"]
    for form in ["github", "gitlab", "prometheus"]:
        assert here[form] == there[form]


class Portal:
    """Answers everything with a page, as what asks for a login does; with headers where it is told to."""

    def __init__(self):
        self.headers = {}
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b"<h1>Sign in to the network</h1>"
                self.send_response(200)
                for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **owner.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_tests_that_passed_their_limits_and_what_they_imported_late_are_told(server, recorder):
    (recorder.folder / "heavy_module.py").write_text("DATA = b'x' * (40 << 20)\n")
    (recorder.folder / "test_late.py").write_text("def test_imports():\n    import heavy_module\n    assert heavy_module.DATA\n")
    (recorder.folder / "test_limited.py").write_text("import pytest\n\n@pytest.mark.highwater(limit='10 MB')\ndef test_needs():\n    assert len(b'y' * (30 << 20))\n")
    summary = recorder.run(PYTEST + ["-p", "no:randomly"], server)
    assert recorder.done.returncode == 1
    limited = "It passed the limit on its memory: test_limited.py::test_needs."
    assert limited in summary["ending"]["sentence"] and "passed the limits on their memory" in summary["ending"]["next_step"], summary["ending"]
    server.job(summary["uuid"])
    late = r"Imports took \d+\.\d MiB \(\d+ % of the peak\), of these 40\.\d MiB of modules that tests imported while they ran \(heavy_module 40\.\d MiB, first in test_late\.py\)\."
    for form in ["terminal", "markdown", "html"]:
        text = html.unescape(server.text("/api/v1/jobs/%s/report?format=%s" % (summary["uuid"], form)))
        assert limited in text and re.search(late, text), (form, text)
    assert re.search("^%s$" % late, recorder.done.stderr.decode(), re.MULTILINE), recorder.done.stderr
    assert "<h2>Modules that tests imported while they ran</h2>" in text and ">heavy_module<" in text, text


def test_a_page_of_somebody_else_is_no_report(recorder):
    portal = Portal()
    try:
        job, other = "01a217ad-3c01-706d-b18e-a7c722ef9cf3", "01a217ad-3c01-706d-b18e-a7c722ef9cf4"
        where = [job, "--server", portal.url]
        for form in FORMATS:
            out, why = told(recorder, where + ["--format", form, "--output", "report"], status=2)
            assert out == "" and portal.url in why and "is no report" in why and "highwater-job" in why, why
        step = recorder.folder / "step.md"
        step.write_text("")
        told(recorder, where + ["--step-summary"], status=2, GITHUB_STEP_SUMMARY=step)
        assert not (recorder.folder / "report").exists() and step.read_text() == ""
        portal.headers = {"Highwater-Job": "%s; revision=1" % other}
        _, why = told(recorder, where + ["--format", "markdown"], status=2)
        assert "a report of %s" % other in why, why
        portal.headers = {"Highwater-Job": "%s; revision=1" % job}
        out, _ = told(recorder, where + ["--format", "markdown"])
        assert "Sign in" in out
    finally:
        portal.server.shutdown()
        portal.server.server_close()


def test_the_job_summary_gets_the_report_where_it_is_asked_for(suite):
    file = suite.folder / "step.md"
    file.write_text("of another")
    suite.run(COMMAND, flags=LIMIT, GITHUB_STEP_SUMMARY=file)
    assert file.read_text() == "of another"
    suite.run(COMMAND, flags=LIMIT + ["--step-summary"], GITHUB_STEP_SUMMARY=file)
    first = file.read_text()
    assert first.startswith("of another\n\n### Memory of ") and first.count("### Memory of") == 1
    told(suite, ["--step-summary"], GITHUB_STEP_SUMMARY=file)
    assert file.read_text().count("### Memory of") == 2
    file.write_text("x" * ((1 << 20) - 10))
    _, why = told(suite, ["--step-summary"], status=2, GITHUB_STEP_SUMMARY=file)
    assert "nothing was added" in why and file.stat().st_size == (1 << 20) - 10
    # At home there is none, and a setting is no reason to complain.
    suite.run(COMMAND, flags=LIMIT, HIGHWATER_STEP_SUMMARY="1")
    assert b"step-summary" not in suite.done.stderr
    _, why = told(suite, ["--step-summary"], status=2)
    assert "GITHUB_STEP_SUMMARY is not set" in why


def test_one_comment_is_kept_and_nothing_is_said_where_there_is_nothing(server, suite, github):
    access = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": "ghs_secret"}
    about = ["--job", "unit", "--pull-request", "7"]

    def comment(status=0, **more):
        return told(suite, [suite.summary, "--server", server.url, "--comment"], status, **{**access, **more})

    for number in range(120):
        github.add("talk %d" % number, "User")
    calm = COMMAND + ["test_a_calm.py"]
    server.job(suite.run(calm, server, about)["uuid"])
    assert comment() == ("", "") and github.ours() == []

    server.job(suite.run(COMMAND, server, about + LIMIT)["uuid"])
    _, said = comment()
    assert "commented: https://github.example/c/120" in said, said
    [first] = github.ours()
    assert "death" in first and "test&#95;b&#95;holds.py" in first and "<img" not in first
    # Somebody else begins theirs with the same words: with this token it is not ours.
    github.comments.insert(0, {"id": 1, "body": first.splitlines()[0] + "\nforged", "user": {"type": "User"}, "html_url": ""})
    asked = len(github.asked)
    assert comment() == ("", "")
    assert all(method == "GET" for method, _ in github.asked[asked:])

    server.job(suite.run(COMMAND, server, about + ["--memory-limit", "250MiB", "--on-limit", "stop"])["uuid"])
    assert "comment changed" in comment()[1]
    [second] = github.ours()
    assert second != first and second.splitlines()[0] == first.splitlines()[0]

    server.job(suite.run(calm, server, about)["uuid"])
    comment()
    [third] = github.ours()
    assert "Nothing to say any more" in third
    assert comment() == ("", "")
    assert github.comments[0]["body"].endswith("forged")

    for method, path in github.asked:
        assert "secret" not in path, (method, path)


# Takes 60 MiB more where there is a file of its name, which it removes.
WILD = """
import os
kept = []

def test_holds():
    if os.path.exists("wild"):
        kept.append(b"x" * (60 << 20))
        os.remove("wild")
"""


def test_a_comment_says_what_a_confirming_run_refuted(own_server, recorder, github):
    server, folder = own_server, recorder.folder
    (folder / "test_wild.py").write_text(WILD)
    for commit in "12345":
        server.job(recorder.run(COMMAND, server, ["--job", "unit", "--commit", commit * 40, "--branch", "main"])["uuid"])
    (folder / "wild").write_text("")
    job = recorder.run(COMMAND, server, ["--job", "unit", "--commit", "6" * 40, "--branch", "feature", "--pull-request", "7"])["uuid"]
    server.job(job)
    access = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": "ghs_secret"}

    def comment():
        return told(recorder, [job, "--server", server.url, "--comment"], **access)

    assert "commented: " in comment()[1]
    [first] = github.ours()
    assert "test&#95;wild.py retains" in first and "efuted" not in first, first
    check = [str(BINARIES / "highwater"), "check", job, "--server", server.url, "--confirm", "--"] + COMMAND
    subprocess.run(check, cwd=str(folder), env=recorder.environment(), check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert "comment changed" in comment()[1]
    [second] = github.ours()
    assert "Refuted by a confirming run:\n\n- " in second and "test&#95;wild.py retains" in second and "When the file ran again it was " in second, second
    assert comment() == ("", "")


def test_where_a_comment_may_not_be_one_line_says_so(suite, github):
    access = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": "ghs_secret"}
    suite.run(COMMAND, flags=LIMIT + ["--pull-request", "7"])
    github.refuses = True
    _, why = told(suite, ["--comment"], status=2, **access)
    assert "403" in why and "Resource not accessible by integration" in why and "pull-requests: write" in why
    _, why = told(suite, ["--comment"], status=2, **{**access, "GITHUB_TOKEN": "ghs_wrong"})
    assert "401" in why and "ghs_" not in why
    _, why = told(suite, ["--comment"], status=2, **{**access, "GITHUB_TOKEN": ""})
    assert "GITHUB_TOKEN is not set" in why
    suite.run(COMMAND, flags=LIMIT + ["--pull-request", "7", "--fork", "true"])
    _, why = told(suite, ["--comment"], **access)
    assert "fork" in why and "403" in why
    suite.run(COMMAND, flags=LIMIT)
    _, why = told(suite, ["--comment"], **access)
    assert "no pull request" in why
