"""The server's disk is full: agents are told to wait, what is there can be read, and everything arrives once there is room."""

import collections
import contextlib
import json
import os
import sqlite3
import subprocess
import urllib.error
import urllib.request
import uuid

import pytest
from conftest import BINARIES, PYTEST, Recorder, Server, wait_for
from memory_cells import disk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk of its own")

#: It runs on until it is told that it may end.
SUITE = """import pathlib, time
import pytest

@pytest.mark.parametrize("n", range(6))
def test_a(n):
    time.sleep(0.1)

def test_waits():
    while not pathlib.Path("go").exists():
        time.sleep(0.05)

def test_after():
    pass
"""

Refusal = collections.namedtuple("Refusal", "status code retry_after")


@contextlib.contextmanager
def small_server(folder, size="6m"):
    with disk(folder / "data", size):
        server = Server(folder / "data", log=folder / "server.log")
        try:
            yield server
        finally:
            server.stop()


def fill(folder):
    """Takes all the room that there is."""
    with open(folder / "filler", "ab", buffering=0) as file:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def refusal(server, path, body=None):
    """How a request is refused; nothing where it is not."""
    request = urllib.request.Request(server.url + path, body, {"Content-Type": "application/json"}, method="PUT" if body else "GET")
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        return Refusal(error.code, json.load(error)["error"]["code"], error.headers["Retry-After"])


def a_job():
    job = {"version": 1, "project": "test/suite", "run": {"provider": "local", "id": "1"}, "name": "unit", "attempt": 1}
    return "/api/v1/jobs/%s" % uuid.uuid4(), json.dumps(dict(job, startedUnixUs="1700000000000000", intervalUs=50000)).encode()


def counted(server, code):
    lines = server.text("/metrics").splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith('highwater_refused_total{code="%s"}' % code))


def recorder_in(folder):
    folder.mkdir()
    (folder / "test_it.py").write_text(SUITE)
    return Recorder(folder)


def known(server):
    return {job["uuid"]: job["state"] for job in server.get("/api/v1/projects/test~suite/jobs")["jobs"]}


def check_whole(server, summary):
    """The job is as the agent itself saw it, with each batch of its only stream once."""
    job = server.job(summary["uuid"])
    assert job["state"] == "finished" and job["ending"] == summary["ending"] and job["ending"]["verdict"] == "passed", job["ending"]
    assert len(server.rows(summary["uuid"], "tests")) == 8
    with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % server.database, uri=True)) as database:
        which = "FROM batch JOIN job ON job.id = batch.job_id WHERE job.uuid = ?"
        [(found, last)] = database.execute("SELECT COUNT(*), MAX(seq) " + which, (uuid.UUID(summary["uuid"]).bytes,))
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert found == last + 1


def test_agents_wait_for_room_and_everything_arrives_once(tmp_path):
    with small_server(tmp_path) as server:
        before, waits, gives_up = (recorder_in(tmp_path / name) for name in ("before", "waits", "gives up"))
        (before.folder / "go").touch()
        first = before.run(PYTEST, server)
        check_whole(server, first)
        running = [recorder.start(PYTEST, server) for recorder in (waits, gives_up)]
        wait_for("both jobs", lambda: len(known(server)) == 3)
        fill(server.database.parent)

        wait_for("the server to find no room", lambda: refusal(server, "/readyz") == Refusal(503, "disk_full", "5"))
        assert refusal(server, *a_job()) == Refusal(503, "disk_full", "5")
        wait_for("agents to be told so more than once", lambda: counted(server, "disk_full") > 12)
        for path in ["/", "/p/test~suite", "/healthz"] + ["/jobs/%s" % job for job in known(server)]:
            assert server.text(path), path
        assert server.get("/api/v1/jobs/%s" % first["uuid"])["ending"] == first["ending"]
        assert len(server.rows(first["uuid"], "tests")) == 8
        # One job ends meanwhile: its agent does not wait for ever, and keeps what it has.
        (gives_up.folder / "go").touch()
        assert running[1].wait(120) == 0
        left = json.loads(gives_up.summary.read_text())
        assert left["spool"]
        told = server.log.read_text()
        loud = [line for line in told.splitlines() if " ERROR " in line or " WARN " in line]
        assert len(loud) == 1 and "the disk is full" in loud[0], told

        (server.database.parent / "filler").unlink()
        wait_for("the server to be ready", lambda: refusal(server, "/readyz") is None)
        (waits.folder / "go").touch()
        assert running[0].wait(120) == 0
        summary = json.loads(waits.summary.read_text())
        assert "spool" not in summary, running[0].stderr.read()
        check_whole(server, summary)
        done = gives_up.upload(server)
        assert done.returncode == 0, done.stderr
        check_whole(server, left)
        assert server.log.read_text().count("it can be written again") == 1
        assert refusal(server, *a_job()) is None


def test_a_server_that_is_killed_and_started_on_a_full_disk_shows_what_it_has_and_says_what_is_wrong(tmp_path):
    with small_server(tmp_path) as server:
        recorder = recorder_in(tmp_path / "suite")
        (recorder.folder / "go").touch()
        first = recorder.run(PYTEST, server)
        check_whole(server, first)
        server.kill()
        fill(server.database.parent)
        server.start()
        wait_for("the server to find no room", lambda: refusal(server, "/readyz") == Refusal(503, "disk_full", "5"))
        assert server.job(first["uuid"])["ending"] == first["ending"]
        assert refusal(server, *a_job()) == Refusal(503, "disk_full", "5")
        assert server.log.read_text().count("the disk is full") == 1
        (server.database.parent / "filler").unlink()
        wait_for("the server to be ready", lambda: refusal(server, "/readyz") is None)
        assert refusal(server, *a_job()) is None


@pytest.mark.parametrize("database", ["new", "killed"])
def test_a_server_that_finds_no_room_to_start_says_what_to_do(tmp_path, database):
    with disk(tmp_path / "data", "2m"):
        path = tmp_path / "data" / "highwater.db"
        if database == "killed":
            Server(path.parent).kill()
            # The index of the log is made anew at each start after a loss of power, and needs room.
            path.with_name("highwater.db-shm").unlink()
        fill(path.parent)
        command = [str(BINARIES / "highwater-server"), "--listen", "127.0.0.1:0", "--database", "sqlite://%s" % path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and not done.stdout, done.stdout
        assert str(path) in done.stderr and "its disk is full; make room on it" in done.stderr, done.stderr
        (path.parent / "filler").unlink()
        server = Server(path.parent)
        assert refusal(server, "/readyz") is None
        server.stop()
