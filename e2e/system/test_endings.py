"""Deaths for real, where the exit code says one thing and the evidence another."""

import os
import shutil
import subprocess

import pytest
from conftest import PYTEST

SLOW = "import time\ndef test_slow():\n    time.sleep(600)\n"


def verdict(summary):
    return summary["ending"]["verdict"], summary["ending"]["confidence"]


@pytest.mark.skipif(shutil.which("timeout") is None, reason="needs timeout of the GNU core utilities")
@pytest.mark.parametrize(
    "script, code",
    [
        ("timeout 2 %s", 124),
        ("timeout -s KILL 2 %s", 137),
        ("timeout --preserve-status 2 %s", 143),
        ("timeout 2 %s; exit 1", 1),
        ("timeout 2 %s; exit 0", 0),
    ],
)
def test_a_timeout_is_told_whatever_the_code(recorder, script, code):
    (recorder.folder / "test_it.py").write_text(SLOW)
    summary = recorder.run(["sh", "-c", script % " ".join(PYTEST)])
    assert recorder.done.returncode == code
    assert verdict(summary) == ("timed_out", "likely"), summary["ending"]
    assert summary["censored"] and summary["ending"]["victim"].endswith("::test_slow")
    assert "2.0 s" in summary["ending"]["sentence"]


@pytest.mark.skipif(shutil.which("timeout") is None, reason="needs timeout of the GNU core utilities")
@pytest.mark.parametrize("script", [["timeout", "-s", "KILL", "1"] + PYTEST, ["sh", "-c", "timeout -s KILL 1 %s" % " ".join(PYTEST)]], ids=["command", "shell"])
def test_a_timeout_before_pytest_has_begun_is_told(recorder, script):
    (recorder.folder / "conftest.py").write_text("import time\ntime.sleep(60)\n")
    summary = recorder.run(script)
    assert verdict(summary) == ("timed_out", "likely"), summary["ending"]
    assert "1.0 s" in summary["ending"]["sentence"]


@pytest.mark.parametrize("code", [0, 1, 124, 137, 143])
def test_a_code_by_itself_is_no_verdict(recorder, code):
    (recorder.folder / "test_it.py").write_text("def test_a():\n    pass\n")
    passed = recorder.run(["sh", "-c", "%s; exit %d" % (" ".join(PYTEST), code)])
    assert recorder.done.returncode == code and passed["ending"]["verdict"] == "passed", passed["ending"]
    (recorder.folder / "test_it.py").write_text("import os\ndef test_a():\n    os._exit(%d)\n" % code)
    crashed = recorder.run(PYTEST)
    assert recorder.done.returncode == code
    assert verdict(crashed) == ("crashed", "likely"), crashed["ending"]


DAEMON = """
import os, signal, time
def test_daemon():
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon == 0:
            time.sleep(60)
        os.write(write, b"%d" % daemon)
        os._exit(0)
    os.wait()
    daemon = int(os.read(read, 9))
    time.sleep(1)
    os.kill(daemon, signal.SIGTERM)
    time.sleep(0.3)
def test_after():
    time.sleep(0.1)
"""


@pytest.mark.parametrize("flags", [[], ["--no-plugin"]])
def test_a_daemon_that_a_test_forks_is_no_pytest(recorder, flags):
    (recorder.folder / "test_it.py").write_text(DAEMON)
    summary = recorder.run(PYTEST, flags=flags)
    assert recorder.done.returncode == 0, recorder.done.stdout + recorder.done.stderr
    assert summary["ending"]["verdict"] == "passed", summary["ending"]
    assert [session["tests"] for session in summary["sessions"]] == [2], summary["sessions"]


IN_CHILDREN = """
import os, pytest
@pytest.fixture
def late(): return 1
def in_child(request, end):
    pid = os.fork()
    if pid == 0:
        request.getfixturevalue("late")
        end()
    os.waitpid(pid, 0)
def test_leaves(request): in_child(request, lambda: os._exit(0))
def test_is_killed(request): in_child(request, lambda: os.kill(os.getpid(), 9))
"""


def test_a_forked_child_that_dies_in_its_parents_test_is_no_test_of_its_own(recorder, server):
    (recorder.folder / "test_it.py").write_text(IN_CHILDREN)
    summary = recorder.run(PYTEST, server)
    assert recorder.done.returncode == 0, recorder.done.stdout + recorder.done.stderr
    assert summary["ending"]["verdict"] == "passed", summary["ending"]
    assert [session["tests"] for session in summary["sessions"]] == [2], summary["sessions"]
    assert server.job(summary["uuid"])["ending"]["verdict"] == "passed"


@pytest.mark.parametrize(
    "variables, made",
    [({}, ".git/HEAD"), ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": "event"}, "event"), ({"HIGHWATER_CA_FILE": "ca"}, "ca")],
)
def test_no_pipe_keeps_the_command_from_its_begin(recorder, variables, made):
    """Whatever is asked before it: git, the CI's event, the authorities of a server."""
    pipe = recorder.folder / made
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(str(pipe))
    command = recorder.command(["echo", "ran"])
    command[2:2] = ["--server", "https://127.0.0.1:9"]
    done = subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0 and b"ran" in done.stdout, done.stderr


ABORTS_AT_EXIT = "import atexit, os\n\ndef test_a():\n    atexit.register(os.abort)\n"


@pytest.mark.parametrize(
    "script, code, expected",
    [
        ("%s; true", 0, ("passed", "certain")),
        ("%s; exit 3", 3, ("passed", "likely")),
        ("%s; exit $?", 134, ("crashed", "certain")),
        ("exec %s", 134, ("crashed", "certain")),
    ],
)
def test_an_abort_after_the_sessions_end_is_told(recorder, script, code, expected):
    (recorder.folder / "test_it.py").write_text(ABORTS_AT_EXIT)
    summary = recorder.run(["sh", "-c", script % " ".join(PYTEST)])
    assert recorder.done.returncode == code
    found = summary["ending"]
    assert verdict(summary) == expected, found
    assert "crashed with SIGABRT" in found["sentence"] and "session had ended" in found["sentence"], found
    assert any(it["sentence"] == "The pytest process was ended by SIGABRT, after its session had ended." for it in found["evidence"]), found
    assert not summary["censored"] and found["victim"] is None, found


def test_a_memory_error_on_purpose_is_no_want_of_memory(recorder):
    (recorder.folder / "test_it.py").write_text(
        "from unittest import mock\n\ndef test_a():\n    mock.Mock(side_effect=MemoryError)()\n\ndef test_b():\n    pass\n"
    )
    summary = recorder.run(PYTEST)
    assert recorder.done.returncode == 1
    assert verdict(summary) == ("tests_failed", "certain"), summary["ending"]
    assert "failed with a MemoryError" in summary["ending"]["sentence"] and "ulimit" not in summary["ending"]["next_step"], summary["ending"]


def test_a_test_that_is_refused_memory_by_a_limit_of_data(recorder):
    (recorder.folder / "test_it.py").write_text("def test_a():\n    held = []\n    while True:\n        held.append(bytearray(4_000_000))\n")
    summary = recorder.run(["bash", "-c", "ulimit -d 200000; %s" % " ".join(PYTEST)])
    assert recorder.done.returncode == 1, recorder.done.stderr
    assert verdict(summary) == ("memory_error", "likely"), summary["ending"]
    assert any("was limited to 195.3 MiB (ulimit -d)" in it["sentence"] for it in summary["ending"]["evidence"]), summary["ending"]
    assert "ulimit -d" in summary["ending"]["next_step"]


TWO_TESTS = "def test_a():\n    pass\n\ndef test_fails():\n    assert 0\n"
BECOMES_ANOTHER = """import os, sys
def pytest_sessionstart(session):
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])
"""
GOES_ON_IN_A_CHILD = """import os
def pytest_sessionstart(session):
    pid = os.fork()
    if pid:
        os._exit(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize("conftest", [BECOMES_ANOTHER, GOES_ON_IN_A_CHILD, ""], ids=["exec", "fork", "left over"])
def test_who_goes_on_with_a_session_is_heard(recorder, conftest):
    (recorder.folder / "conftest.py").write_text(conftest)
    (recorder.folder / "test_it.py").write_text(TWO_TESTS)
    summary = recorder.run(PYTEST, PYTHONHASHSEED="1", HIGHWATER_RECORDING=str(os.getpid()))
    assert recorder.done.returncode == 1, recorder.done.stderr
    assert verdict(summary) == ("tests_failed", "certain"), summary["ending"]
    assert summary["ending"]["sentence"] == "1 of 2 tests failed.", summary["ending"]
    assert sum(session["tests"] for session in summary["sessions"]) == 2
    assert not any(session["sampled"] for session in summary["sessions"]), summary["sessions"]


def test_workers_that_end_in_two_ways_are_told_with_both(recorder):
    pytest.importorskip("xdist")
    (recorder.folder / "test_it.py").write_text(
        "import os, signal\n\ndef test_leaves():\n    os._exit(0)\n\ndef test_crashes():\n    os.kill(os.getpid(), signal.SIGSEGV)\n\ndef test_a():\n    pass\n"
    )
    summary = recorder.run(PYTEST + ["-n", "2"])
    assert verdict(summary) == ("worker_crashed", "certain"), summary["ending"]
    assert "(1 by SIGSEGV, 1 with exit code 0)" in summary["ending"]["sentence"], summary["ending"]
