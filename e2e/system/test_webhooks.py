"""Deaths and findings reach a receiver over HTTP: signed, once, whatever happens to the server and to the receiver."""

import http.server
import json
import re
import socket
import sqlite3
import subprocess
import threading

import pytest

from conftest import BINARIES, PYTEST, ROOT, Server, wait_for

LIMIT = ["--memory-limit", "150MiB", "--on-limit", "stop"]
HOLDS = """
import pytest
kept = []

@pytest.mark.parametrize("name", ["a|b`c <!channel> @here"] + list("abcdefghij"))
def test_holds(name):
    kept.append(b"x" * (30 << 20))
"""
RETAINS = """
kept = []

def test_holds():
    kept.append(b"x" * (%d << 20))
"""


class Receiver:
    """Takes posts, and answers what it is told to: a status, with headers where it has some, or nothing before it is let go."""

    def __init__(self):
        self.posts, self.answers, self.let_go = [], [], threading.Event()
        self.let_go.set()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                # Decided as it comes, so that who is let go late takes no answer of another.
                status, headers = owner.answers.pop(0) if owner.answers else (204, {})
                owner.posts.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                owner.let_go.wait(60)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def at(self, path):
        return [(headers, body) for at, headers, body in self.posts if at == path]

    def close(self):
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def verify():
    """What the documentation tells a receiver to do."""
    text = (ROOT / "docs" / "webhooks.md").read_text()
    namespace = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S).group(1), namespace)
    return namespace["verify"]


def webhook(server, *words, status=0):
    command = [str(BINARIES / "highwater-server"), "webhook"] + [str(word) for word in words]
    command += ["--database", "sqlite://%s" % server.database]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert done.returncode == status, done
    return done


def add(server, url, *words, project="test/suite"):
    """The secret and the number of a new webhook."""
    done = webhook(server, "add", "--project", project, "--url", url, "--allow-private", *words)
    return done.stdout.strip(), re.search(r"webhook (\d+)", done.stderr).group(1)


def dies(recorder, server=None, **variables):
    (recorder.folder / "test_holds.py").write_text(HOLDS)
    summary = recorder.run(PYTEST, server, flags=LIMIT, **variables)
    assert summary["ending"]["verdict"] == "guard_stopped", summary["ending"]
    return summary["uuid"]


def log(server):
    """Kind, job, state, tries and status of what was sent, the newest first."""
    lines = webhook(server, "deliveries").stdout.splitlines()
    rows = [line.split() for line in lines[1:]]
    return [(row[1], row[2], row[4], int(row[5]), row[7]) for row in rows]


def settled_and_told(server):
    """Returns once nothing is left to tell of any job."""

    def done():
        with sqlite3.connect("file:%s?mode=ro" % server.database, uri=True) as database:
            left = "SELECT (SELECT COUNT(*) FROM news) + (SELECT COUNT(*) FROM job WHERE unsettled = 1)"
            return database.execute(left).fetchone() == (0,)

    wait_for("everything to be told", done)


def test_a_death_is_told_once_signed_and_in_the_form_that_was_asked_for(own_server, recorder, receiver, verify):
    server = own_server
    before = dies(recorder, server)
    server.job(before)
    secret, number = add(server, receiver.url + "/json")
    add(server, receiver.url + "/slack", "--format", "slack", "--on", "death")
    add(server, receiver.url + "/findings", "--on", "finding")
    add(server, receiver.url + "/other", project="other/suite")
    uuid = dies(recorder, server)
    wait_for("both posts", lambda: receiver.at("/json") and receiver.at("/slack"))
    (headers, body), = receiver.at("/json")
    assert headers["content-type"] == "application/json" and headers["user-agent"].startswith("highwater-server/")
    verify(secret, headers, body)
    for wrong_body, wrong_headers in [(body + b" ", headers), (body, {**headers, "webhook-id": "another"}), (body, {**headers, "webhook-timestamp": "1"})]:
        with pytest.raises(ValueError):
            verify(secret, wrong_headers, wrong_body)
    told = json.loads(body)
    job = server.job(uuid)
    assert told["type"] == "death" and told["data"]["uuid"] == uuid and told["data"]["verdict"] == "guard_stopped"
    for name in ["revision", "project", "name", "branch", "commit", "peak_bytes", "headroom_bytes", "started_at", "ended_at"]:
        assert told["data"][name] == job[name], name
    report = json.loads(server.text("/api/v1/jobs/%s/report?format=json" % uuid))
    assert told["data"]["remarks"] == [it for it in report["remarks"] if it["kind"] in ("death", "culprit")]
    (_, chat), = receiver.at("/slack")
    text = json.loads(chat)["text"]
    assert text.startswith("test/suite: ") and " died" in text and "test_holds.py" in text, text
    assert "<!channel>" not in text and "@here" not in text and "`" not in text, text
    # A job that comes again and is finalised again is told of once; so is one that went well, and an import of one that did not: not at all.
    (recorder.folder / "test_holds.py").write_text("def test_calm():\n    pass\n")
    calm = recorder.run(PYTEST, server)["uuid"]
    server.job(calm)
    spool = dies(recorder)
    folder = next(path for path in recorder.spool.rglob(spool) if path.is_dir())
    imports = [str(BINARIES / "highwater-server"), "import", "--database", "sqlite://%s" % server.database, str(folder)]
    subprocess.run(imports, check=True, stdout=subprocess.DEVNULL)
    server.job(spool)
    with sqlite3.connect(str(server.database), timeout=30) as database:
        database.execute("UPDATE job SET unsettled = 1")
    settled_and_told(server)
    wait_for("the job to be finalised again", lambda: server.get("/api/v1/jobs/%s" % uuid)["revision"] > job["revision"])
    settled_and_told(server)
    assert sorted(log(server)) == [("death", uuid, "delivered", 1, "204")] * 2
    assert len(receiver.posts) == 2
    metrics = server.text("/metrics")
    assert 'highwater_webhook_tries_total{outcome="delivered"} 2' in metrics and "highwater_webhook_queue 0" in metrics, metrics
    # Removed, it is told of nothing; what is shown of the others is no secret.
    webhook(server, "remove", number)
    listed = webhook(server, "list").stdout
    assert "/slack" not in listed and len(listed.splitlines()) == 4 and number not in [line.split()[0] for line in listed.splitlines()], listed
    again = webhook(server, "remove", number, status=2)
    assert "webhook list" in again.stderr


def test_what_cannot_be_found_out_is_tried_again_with_rests_and_told_once_it_can(tmp_path, recorder, receiver):
    log = tmp_path / "log"
    server = Server(tmp_path, silence=2, log=log)
    try:
        rests_between_tries(server, log, recorder, receiver)
    finally:
        server.stop()


def rests_between_tries(server, log, recorder, receiver):
    _, number = add(server, receiver.url)

    def is_of(form):
        with sqlite3.connect(str(server.database), timeout=30) as database:
            database.execute("UPDATE webhook SET format = ? WHERE id = ?", (form, number))

    def failures():
        return int(re.search(r"^highwater_webhook_news_failures_total (\d+)$", server.text("/metrics"), re.M).group(1))

    is_of("of a later server")
    dies(recorder, server)
    wait_for("a second failure", lambda: failures() >= 2)
    assert receiver.posts == []
    is_of("json")
    wait_for("the post", lambda: receiver.posts)
    settled_and_told(server)
    assert len(receiver.posts) == 1
    rests = [int(rest) for rest in re.findall(r"again_in_s=(\d+)", log.read_text())]
    assert rests == [2**at for at in range(len(rests))] and len(rests) == failures(), rests


def test_what_got_worse_is_told_with_the_commit_that_did_it_and_not_after(own_server, recorder, receiver):
    server = own_server
    add(server, receiver.url)

    def record(commit, retained):
        for at in range(5):
            (recorder.folder / ("test_%d.py" % at)).write_text(RETAINS % (retained if at == 2 else 3 + at))
        server.job(recorder.run(PYTEST, server, flags=["--commit", commit * 40, "--branch", "main"])["uuid"])
        settled_and_told(server)

    for commit in "123456":
        record(commit, 5)
    assert receiver.posts == []
    record("7", 45)
    wait_for("the finding", lambda: receiver.posts)
    record("8", 45)
    (headers, body), = receiver.at("/")
    told = json.loads(body)
    assert told["type"] == "finding" and told["data"]["commit"] == "7" * 40 and told["data"]["verdict"] == "passed"
    paths = [remark["path"] for remark in told["data"]["remarks"]]
    assert "test_2.py" in paths and {remark["kind"] for remark in told["data"]["remarks"]} == {"finding"}, told
    assert [row[0] for row in log(server)] == ["finding"]


# Takes 60 MiB more where there is a file of its name, which it removes.
WILD = """
import os
kept = []

def test_holds():
    if os.path.exists("%(name)s"):
        kept.append(b"x" * (60 << 20))
        if not os.path.exists("always_%(name)s"):
            os.remove("%(name)s")
"""


def test_what_a_confirming_run_refutes_is_taken_back_and_not_told_as_a_finding_again(own_server, recorder, receiver):
    server, folder = own_server, recorder.folder
    for name in ["wild", "real"]:
        (folder / ("test_%s.py" % name)).write_text(WILD % {"name": name})

    def record(commit):
        uuid = recorder.run(PYTEST, server, flags=["--commit", commit * 40, "--branch", "main"])["uuid"]
        server.job(uuid)
        settled_and_told(server)
        return uuid

    def confirm(job):
        command = [str(BINARIES / "highwater"), "check", job, "--server", server.url, "--confirm", "--"] + PYTEST
        done = subprocess.run(command, cwd=str(folder), env=recorder.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        settled_and_told(server)
        return done.returncode

    for commit in "12345":
        record(commit)
    add(server, receiver.url + "/json")
    add(server, receiver.url + "/slack", "--format", "slack")
    add(server, receiver.url + "/deaths", "--on", "death")
    for name in ["wild", "real", "always_real"]:
        (folder / name).write_text("")
    job = record("6")
    wait_for("the finding", lambda: receiver.at("/json") and receiver.at("/slack"))
    add(server, receiver.url + "/late")
    assert confirm(job) == 1
    wait_for("what is taken back", lambda: len(receiver.at("/json")) == 2 and len(receiver.at("/slack")) == 2)
    finding, back = [json.loads(body) for _, body in receiver.at("/json")]
    assert finding["type"] == "finding" and {it["path"] for it in finding["data"]["remarks"]} >= {"test_wild.py", "test_real.py"}, finding
    assert not any(it["is_refuted"] for it in finding["data"]["remarks"]), finding
    assert back["type"] == "refuted" and back["data"]["uuid"] == job and back["data"]["commit"] == "6" * 40, back
    assert [(it["path"], it["is_refuted"]) for it in back["data"]["remarks"]] == [("test_wild.py", True)], back
    assert "When the file ran again it was " in back["data"]["remarks"][0]["sentence"], back
    text = json.loads(receiver.at("/slack")[1][1])["text"]
    assert " has findings that a confirming run refuted" in text and "test_wild.py" in text and "test_real.py" not in text, text
    # Finalised again, as more of it came in, neither is told anew; nor is what another second run says too.
    with sqlite3.connect(str(server.database), timeout=30) as database:
        database.execute("UPDATE job SET unsettled = 1")
    settled_and_told(server)
    wait_for("the job to be finalised again", lambda: server.get("/api/v1/jobs/%s" % job)["revision"] > back["data"]["revision"])
    settled_and_told(server)
    kinds = [(kind, uuid) for kind, uuid, *_ in log(server)]
    assert sorted(kinds) == [("finding", job)] * 2 + [("refuted", job)] * 2, kinds
    assert receiver.at("/deaths") == receiver.at("/late") == []


def test_a_receiver_that_fails_and_a_server_that_is_killed_lose_nothing(own_server, recorder, receiver, verify):
    server = own_server
    secret, number = add(server, receiver.url + "/a")
    add(server, receiver.url + "/b")
    # The first takes its time. Nothing waits for it: the job is settled, and the other webhook is told.
    receiver.let_go.clear()
    uuid = dies(recorder, server)
    server.job(uuid)
    wait_for("both to be asked", lambda: receiver.at("/a") and receiver.at("/b"))
    calm = recorder.run(PYTEST + ["-k", "nothing"], server)["uuid"]
    server.job(calm)
    server.kill()
    receiver.let_go.set()
    with sqlite3.connect(str(server.database), timeout=30) as database:
        claimed = database.execute("SELECT state, tries, next_unix_us > tried_unix_us FROM delivery").fetchall()
        assert claimed == [("waiting", 1, 1)] * 2
        # The claims of the dead server run out.
        database.execute("UPDATE delivery SET next_unix_us = tried_unix_us")
    receiver.answers = [(500, {}), (302, {"Location": "http://127.0.0.1:%d/elsewhere" % receiver.server.server_port})]
    server.start()
    wait_for("two more tries", lambda: len(receiver.posts) == 4)
    wait_for("these to be noted", lambda: {row[3:] for row in log(server)} == {(2, "500"), (2, "302")})
    # After a rest of their own they are taken.
    with sqlite3.connect(str(server.database), timeout=30) as database:
        assert database.execute("SELECT MIN(next_unix_us - tried_unix_us) >= 60000000 FROM delivery").fetchone() == (1,)
        database.execute("UPDATE delivery SET next_unix_us = tried_unix_us WHERE next_unix_us IS NOT NULL")
    wait_for("both to be delivered", lambda: [row[1:] for row in log(server)] == [(uuid, "delivered", 3, "204")] * 2)
    for path in ["/a", "/b"]:
        posts = receiver.at(path)
        assert len({headers["webhook-id"] for headers, _ in posts}) == 1 and len({body for _, body in posts}) == 1
    verify(secret, *receiver.at("/a")[-1])
    assert receiver.at("/elsewhere") == [] and len(receiver.posts) == 6
    with sqlite3.connect(str(server.database)) as database:
        assert database.execute("SELECT DISTINCT body FROM delivery").fetchall() == [(b"",)]


def test_a_webhook_leads_into_no_private_network_unless_it_may(own_server, receiver, verify):
    server, port = own_server, receiver.server.server_port
    for url, reason in [
        ("http://receiver.example/", "--allow-private"),
        ("https://127.0.0.1:%d/" % port, "public internet"),
        ("https://localhost:%d/" % port, "public internet"),
        ("https://169.254.169.254/latest/meta-data", "public internet"),
        ("https://user:pw@receiver.example/", "password"),
        ("gopher://receiver.example/", "no web address"),
    ]:
        refused = webhook(server, "add", "--project", "test/suite", "--url", url, status=2)
        assert "--url" in refused.stderr and reason in refused.stderr and refused.stdout == "", refused
    secret, number = add(server, receiver.url + "/test")
    taken = webhook(server, "test", number)
    assert "answered 204" in taken.stdout
    (headers, body), = receiver.at("/test")
    verify(secret, headers, body)
    assert json.loads(body) == {"type": "test", "timestamp": json.loads(body)["timestamp"], "data": {"project": "test/suite"}}
    # A name that was public when it was added, and leads here when it is asked.
    with sqlite3.connect(str(server.database), timeout=30) as database:
        database.execute("UPDATE webhook SET allow_private = 0, url = 'https://localhost:%d/'" % port)
    refused = webhook(server, "test", number, status=2)
    assert "public internet" in refused.stderr, refused
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with sqlite3.connect(str(server.database), timeout=30) as database:
            database.execute("UPDATE webhook SET allow_private = 1, url = 'http://127.0.0.1:%d/'" % closed.getsockname()[1])
        silent = webhook(server, "test", number, status=2)
    assert "did not answer" in silent.stderr and "refused" in silent.stderr, silent
    assert len(receiver.posts) == 1
    assert [row[2:4] for row in log(server)] == [("failed", 1), ("failed", 1), ("delivered", 1)]
    assert "webhook list" in webhook(server, "test", "77", status=2).stderr
