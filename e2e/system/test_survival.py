"""What dies in the middle loses nothing that was written, and nothing is there twice."""

import json
import os
import signal
import subprocess
import sys

import pytest

from conftest import MB, PYTEST, Recorder, wait_for

SLOW = "import time, pytest\n@pytest.mark.parametrize('n', range(30))\ndef test_a(n): time.sleep(0.1)\n"
WAITS = "import pathlib, time\ndef test_before(): pass\ndef test_victim():\n    pathlib.Path('here').touch(); time.sleep(60)\n"


def seqs(server, uuid):
    """Numbers of the batches of each stream, as the database has them."""
    import sqlite3

    database = sqlite3.connect(str(server.database))
    rows = database.execute(
        "SELECT b.stream_no, b.seq FROM batch b JOIN job j ON j.id = b.job_id WHERE hex(j.uuid) = ? ORDER BY 1, 2",
        (uuid.replace("-", "").upper(),),
    ).fetchall()
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return rows


def test_a_server_that_is_killed_and_comes_back_misses_nothing(own_server, recorder):
    (recorder.folder / "test_slow.py").write_text(SLOW)
    running = recorder.start(PYTEST, own_server)
    wait_for("the first batch", lambda: own_server.database.exists() and _batches(own_server) > 0)
    own_server.kill()
    own_server.start()
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors.decode()
    summary = json.loads(recorder.summary.read_text())
    assert "spool" not in summary, errors.decode()
    job = own_server.job(summary["uuid"])
    assert (job["state"], job["sessions"][0]["tests"]) == ("finished", 30)
    rows = seqs(own_server, summary["uuid"])
    assert [seq for _, seq in rows] == list(range(len(rows))) and len(rows) > 2


def test_a_server_that_lost_its_database_gets_everything_again(own_server, recorder):
    (recorder.folder / "test_slow.py").write_text(SLOW)
    running = recorder.start(PYTEST, own_server)
    wait_for("the first batch", lambda: own_server.database.exists() and _batches(own_server) > 0)
    own_server.kill()
    for part in own_server.database.parent.glob(own_server.database.name + "*"):
        part.unlink()
    own_server.start()
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors.decode()
    summary = json.loads(recorder.summary.read_text())
    assert "spool" not in summary, errors.decode()
    job = own_server.job(summary["uuid"])
    assert (job["state"], job["sessions"][0]["tests"]) == ("finished", 30)
    rows = seqs(own_server, summary["uuid"])
    assert [seq for _, seq in rows] == list(range(len(rows))) and len(rows) > 2


def _batches(server):
    import sqlite3

    database = sqlite3.connect(str(server.database))
    try:
        return database.execute("SELECT COUNT(*) FROM batch").fetchone()[0]
    except sqlite3.OperationalError:
        # The server has not made its tables yet.
        return 0


def test_without_a_server_it_is_kept_and_sent_later(server, recorder, example):
    summary = recorder.run(PYTEST, cwd=example("exact"))
    assert recorder.done.returncode == 0
    assert b"highwater upload" in recorder.done.stderr
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr
    job = server.job(summary["uuid"])
    files = server.rows(job["uuid"], "files")
    kept = next(file for file in files if file["path"].endswith("test_retain.py"))
    assert abs(kept["retained_bytes"] - 50 * MB) < MB
    same = ("peak_bytes", "peak_kind", "peak_metric", "duration_us", "sessions", "ending", "limits", "headroom_bytes")
    assert {key: job[key] for key in same} == {key: summary[key] for key in same}
    assert b"nothing to send" in recorder.upload(server).stdout


def test_pytest_killed_leaves_what_came_before_and_the_test_that_ran(server, recorder):
    (recorder.folder / "test_waits.py").write_text(WAITS)
    running = recorder.start(PYTEST, server)
    wait_for("the test", lambda: (recorder.folder / "here").exists())
    children = open("/proc/%d/task/%d/children" % (running.pid, running.pid)).read().split()
    os.kill(int(children[0]), signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode == 137
    job = server.job(json.loads(recorder.summary.read_text())["uuid"])
    assert job["ending"]["verdict"] == "killed" and job["ending"]["victim"].endswith("::test_victim")
    tests = {test["nodeid"].split("::")[1]: test["outcome"] for test in server.rows(job["uuid"], "tests")}
    assert tests == {"test_before": "passed", "test_victim": "unknown"}


RAISED = """
import pathlib, time
def test_reads():
    mine = pathlib.Path('/proc/self/oom_score_adj')
    until = time.monotonic() + WAITS
    while mine.read_text() == BEFORE and time.monotonic() < until: time.sleep(0.01)
    pathlib.Path('adj').write_text(mine.read_text())
"""


@pytest.mark.parametrize(("flag", "waits"), [("--protect", 30), ("--no-protect", 1)])
def test_the_recording_says_whom_the_kernel_would_take_first(server, recorder, flag, waits):
    before = open("/proc/self/oom_score_adj").read()
    text = RAISED.replace("WAITS", str(waits)).replace("BEFORE", repr(before))
    (recorder.folder / "test_raised.py").write_text(text)
    job = server.job(recorder.run(PYTEST, server, [flag])["uuid"])
    found = int((recorder.folder / "adj").read_text())
    [process] = [row for row in server.rows(job["uuid"], "processes") if row["role"] == "pytest"]
    page = server.text("/jobs/%s" % job["uuid"])
    if flag == "--protect":
        assert found > int(before) and process["oom_score_adj"] == found
        assert "takes one of these first: the agent raised it to oom_score_adj %d." % found in page
    else:
        assert found == int(before) and process["oom_score_adj"] is None
        assert "oom_score_adj" not in page


@pytest.mark.parametrize("with_server", [True, False], ids=["sending", "spool only"])
def test_an_agent_that_is_killed_leaves_a_spool_that_can_be_sent(own_server, recorder, with_server):
    (recorder.folder / "test_slow.py").write_text(SLOW)
    running = recorder.start(PYTEST, own_server if with_server else None)

    def recorded():
        return [path for path in recorder.spool.glob("*/*.segment") if path.stat().st_size > 2000]

    wait_for("some batches in the spool", recorded)
    children = [int(pid) for pid in open("/proc/%d/task/%d/children" % (running.pid, running.pid)).read().split()]
    running.kill()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    running.communicate(timeout=60)
    uuid = recorded()[0].parent.name
    done = recorder.upload(own_server)
    assert done.returncode == 0, done.stderr
    job = own_server.job(uuid)
    # Agent and pytest went at once: that is how it looks where a runner is lost.
    assert job["ending"]["verdict"] == "runner_lost" and job["sessions"]
    # What the agent recorded, and what was read of the events files after its death: each stream without holes.
    rows = seqs(own_server, uuid)
    streams = {stream: [seq for of, seq in rows if of == stream] for stream, _ in rows}
    assert len(streams) == 2 and all(found == list(range(len(found))) for found in streams.values()), rows


def test_what_pytest_wrote_after_its_agent_was_killed_is_sent_too(recorder, own_server):
    (recorder.folder / "test_it.py").write_text(
        "import os, time\nimport pytest\n\n@pytest.mark.parametrize('n', range(12))\ndef test_a(n):\n"
        "    time.sleep(0.25)\n    if n == 11:\n        open('over', 'w').close()\n"
    )
    running = recorder.start(PYTEST)

    def executed():
        return sum(path.read_bytes().count(b"\nte\t") for path in recorder.spool.glob("*/events/*.events"))

    wait_for("some tests", lambda: executed() > 3)
    running.kill()
    running.wait()
    early = recorder.upload(own_server)
    assert b"left alone" in early.stdout, (early.stdout, early.stderr)
    wait_for("pytest to end", lambda: executed() == 12 and (recorder.folder / "over").exists())

    def sent():
        done = recorder.upload(own_server)
        assert done.returncode == 0, done.stderr
        return done if b"left alone" not in done.stdout else None

    wait_for("the rest to be sent", sent)
    (job,) = own_server.get("/api/v1/projects/test~suite/jobs")["jobs"]
    rows = own_server.rows(job["uuid"], "tests")
    assert [row["nodeid"].split("::")[1] for row in rows] == ["test_a[%d]" % n for n in range(12)]
    assert all(row["outcome"] == "passed" for row in rows)
    ending = own_server.job(job["uuid"])["ending"]
    assert (ending["verdict"], ending["confidence"]) == ("passed", "likely"), ending
    assert all(row["books"] is None or row["books"]["first_bytes"] for row in own_server.rows(job["uuid"], "processes"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_and_changes_nothing(recorder):
    (recorder.folder / "test_it.py").write_text("import pytest\n\n@pytest.mark.parametrize('n', range(3000))\ndef test_a(n):\n    pass\n")
    recorder.spool.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(recorder.spool)], check=True)
    try:
        summary = recorder.run(PYTEST)
        told = recorder.done.stderr.decode()
        assert recorder.done.returncode == 0 and b"3000 passed" in recorder.done.stdout
        assert "broke off: No space left on device" in told and told.count("the recording of process") == 1, told
        # What the plugin wrote has filled the disk; the agent made room for what it saw itself.
        assert summary["state"] == "finished" and summary["exit_code"] == 0
        assert summary["ending"]["verdict"] == "passed" and summary["ending"]["confidence"] != "certain"
    finally:
        subprocess.run(["umount", "-l", str(recorder.spool)], check=True)


def test_a_plugin_that_stops_is_told_and_is_no_crash(recorder):
    (recorder.folder / "test_it.py").write_text(
        "import highwater_pytest.recorder\n\ndef test_a():\n    highwater_pytest.recorder.escape = None\n\n\ndef test_b():\n    pass\n"
    )
    summary = recorder.run(PYTEST)
    assert recorder.done.returncode == 0 and b"2 passed" in recorder.done.stdout
    assert (summary["ending"]["verdict"], summary["ending"]["confidence"]) == ("passed", "likely"), summary["ending"]
    assert "broke off" in summary["ending"]["sentence"]
    assert any(notice["code"] == "plugin_stopped" for notice in summary["notices"]), summary["notices"]
    assert b"highwater: the recording of process" in recorder.done.stderr


@pytest.mark.parametrize(
    "text, options, code, verdict",
    [
        ("def test_a(): pass\n", (), 0, "passed"),
        ("def test_a(): assert 0\n", (), 1, "tests_failed"),
        ("def test_a(): raise KeyboardInterrupt\n", (), 2, "interrupted"),
        ("", ("--no-such-option",), 4, "usage_error"),
        ("", ("no_such_file.py",), 4, "usage_error"),
        ("", (), 5, "no_tests"),
        ("def pytest_runtestloop(session): raise RuntimeError\n", ("-p", "test_it"), 3, "internal_error"),
        ("import no_such_module\n", (), 2, "tests_failed"),
        ("import os\ndef test_a(): os._exit(0)\n", (), 0, "crashed"),
        ("import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGSEGV)\n", (), 139, "crashed"),
        ("import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGTERM)\n", (), 143, "killed"),
    ],
)
def test_exit_codes_and_endings(recorder, text, options, code, verdict):
    (recorder.folder / "test_it.py").write_text(text)
    summary = recorder.run(PYTEST + list(options))
    assert recorder.done.returncode == code
    assert summary["ending"]["verdict"] == verdict, summary["ending"]


@pytest.mark.parametrize("command, code", [(["/no/such/command"], 127), (["/etc/passwd"], 126)])
def test_a_command_that_cannot_start_has_the_shells_exit_code(recorder, command, code):
    recorder.run(command)
    assert recorder.done.returncode == code and command[0].encode() in recorder.done.stderr
