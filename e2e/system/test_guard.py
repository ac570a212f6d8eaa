"""The guard with real suites: who is told to stop writes its reports, and the agent ends as the command did."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import MB, PYTEST

LIMIT = "--memory-limit=250MB"
STOP = (LIMIT, "--on-limit=stop")
GROWS = """
import mmap, time
HELD = []

def hold(size):
    pages = mmap.mmap(-1, size)
    for at in range(0, size, 4096):
        pages[at] = 1
    HELD.append(pages)

def wait():
    # Until it is stopped; one that is never told fails.
    end = time.monotonic() + 90
    while time.monotonic() < end:
        time.sleep(0.01)
    raise AssertionError("was not stopped")
"""
ALONE = GROWS + """
def test_before(): pass

def test_grows():
    [hold(10 * 1000 * 1000) for n in range(40) if not time.sleep(0.02)]
    wait()

def test_after(): pass
"""
# Each worker holds half of what is too much; the last test of each waits.
SHARED = GROWS + """
import pytest

@pytest.mark.parametrize("n", range(8))
def test_before(n): pass

@pytest.mark.parametrize("n", range(2))
def test_grows(n):
    hold(200 * 1000 * 1000)
    wait()
"""
SWALLOWS = GROWS + """
def test_before(): pass

def test_swallows():
    try:
        [hold(10 * 1000 * 1000) for n in range(40) if not time.sleep(0.02)]
        wait()
    except KeyboardInterrupt:
        [hold(10 * 1000 * 1000) for n in range(40) if not time.sleep(0.02)]

def test_after():
    wait()
"""
DEAF = GROWS + """
import signal

def test_before(): pass

def test_deaf():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    [hold(10 * 1000 * 1000) for n in range(40) if not time.sleep(0.02)]
    wait()
"""


def finished(report):
    """The tests that the report knows to have passed."""
    cases = ElementTree.parse(str(report)).getroot().iter("testcase")
    return {case.get("name") for case in cases if case.get("name") and not len(case)}


def guarded(recorder, text, *options, flags=STOP, **variables):
    (recorder.folder / "test_grows.py").write_text(text)
    command = PYTEST + ["--junitxml=report.xml", "-p", "no:randomly"] + list(options)
    summary = recorder.run(command, flags=flags, **variables)
    return summary, recorder.done.stderr.decode(), recorder.folder / "report.xml"


def test_pytest_is_stopped_and_writes_its_reports(recorder):
    summary, errors, report = guarded(recorder, ALONE)
    assert recorder.done.returncode == 2, errors
    assert summary["exit_code"] == 2
    assert finished(report) == {"test_before"}
    told = [line for line in errors.splitlines() if "is told to stop (SIGINT)" in line]
    assert len(told) == 1, errors
    assert "the memory limit is 238.4 MiB" in told[0]
    assert "while it runs test_grows.py::test_grows" in told[0]
    assert b"KeyboardInterrupt" in recorder.done.stdout


KEEPS = GROWS + """
import pytest

# Only these grow, and none for so long that the guard's look may fall beside it.
@pytest.mark.parametrize("n", range(20))
class TestPair:
    def test_keeps(self, n):
        hold(20 * 1000 * 1000)
        time.sleep(0.3)

    def test_rests(self, n):
        time.sleep(0.05)
"""


def test_the_test_that_is_named_ran_when_the_limit_was_met(recorder):
    summary, errors, _ = guarded(recorder, KEEPS)
    named = re.findall(r"while it runs (test_grows.py::TestPair::test_\w+\[\d+\])", errors)
    assert len(named) == 1 and "test_keeps" in named[0], errors
    assert summary["ending"]["victim"] == named[0]


def test_a_controller_ends_its_workers_and_writes_their_reports(recorder):
    pytest.importorskip("xdist")
    # A controller tells who it is; its workers have a `workerinput`.
    (recorder.folder / "conftest.py").write_text(
        "import os, pathlib\n"
        "def pytest_configure(config):\n"
        "    if not hasattr(config, 'workerinput'): pathlib.Path('controller').write_text(str(os.getpid()))\n"
    )
    _, errors, report = guarded(recorder, SHARED, "-n", "2")
    assert recorder.done.returncode == 2, errors
    assert finished(report) >= {"test_before[%d]" % n for n in range(2)}, errors
    told = re.findall(r"pytest \(([\d, ]+)\) is told to stop", errors)
    assert told == [(recorder.folder / "controller").read_text()], errors


def test_who_swallows_the_interrupt_is_told_again(recorder):
    _, errors, report = guarded(recorder, SWALLOWS)
    assert recorder.done.returncode == 2, errors
    assert finished(report) == {"test_before", "test_swallows"}
    assert "is told to stop (SIGINT)" in errors and "is told again (SIGINT)" in errors


def test_who_does_not_hear_is_told_to_end(recorder):
    summary, errors, _ = guarded(recorder, DEAF)
    # The agent ends as a shell would say it of the command.
    assert recorder.done.returncode == 128 + 15, errors
    assert summary["signal"] == 15
    assert "is told to end (SIGTERM)" in errors and "SIGKILL" not in errors


def test_to_warn_leaves_the_tests_alone(recorder):
    text = GROWS + "def test_grows():\n    [hold(10 * 1000 * 1000) for n in range(40) if not time.sleep(0.02)]\n    time.sleep(0.5)\n"
    _, errors, report = guarded(recorder, text, flags=(LIMIT,), GITHUB_ACTIONS="true")
    assert recorder.done.returncode == 0, errors
    assert finished(report) == {"test_grows"}
    lines = [line for line in errors.splitlines() if "the memory limit is" in line]
    assert [line.split(":")[0] for line in sorted(lines)] == ["", "highwater"], errors
    assert sorted(lines)[0].startswith("::warning title=Highwater: memory limit::")


def test_an_ample_limit_says_nothing(recorder):
    text = GROWS + "def test_grows():\n    hold(20 * 1000 * 1000)\n    time.sleep(0.5)\n"
    _, errors, _ = guarded(recorder, text, flags=("--memory-limit=100GB", "--on-limit=stop"))
    assert recorder.done.returncode == 0
    assert "memory limit" not in errors


def test_what_forked_children_share_counts_once(recorder):
    text = GROWS + """
import os

def test_forks():
    hold(150 * 1000 * 1000)
    for n in range(3):
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
    for n in range(3):
        assert os.wait()[1] == 0
"""
    _, errors, report = guarded(recorder, text)
    assert recorder.done.returncode == 0, errors
    assert finished(report) == {"test_forks"}
    assert "memory limit" not in errors


def test_variables_and_pyproject_say_the_same(recorder):
    (recorder.folder / "pyproject.toml").write_text("[tool.highwater]\nmemory-limit = '100GB'\non-limit = 'stop'\n")
    _, errors, _ = guarded(recorder, ALONE, flags=(), HIGHWATER_MEMORY_LIMIT="250MB")
    assert recorder.done.returncode == 2, errors
    assert "is told to stop" in errors


def test_without_the_plugin_pytest_is_known_by_its_command(recorder):
    _, errors, report = guarded(recorder, ALONE, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert recorder.done.returncode == 2, errors
    assert finished(report) == {"test_before"}
    assert "is told to stop" in errors


def test_what_pytest_starts_is_not_told(recorder):
    (recorder.folder / "inner.py").write_text(ALONE)
    text = "import subprocess, sys\ndef test_outer():\n    subprocess.run([sys.executable, '-m', 'pytest', 'inner.py'])\n"
    summary, errors, _ = guarded(recorder, text)
    assert recorder.done.returncode == 2, errors
    told = re.findall(r"pytest \(([\d, ]+)\) is told to stop", errors)
    assert len(told) == 1 and "," not in told[0], errors


def test_a_command_that_is_no_pytest_is_left_alone(recorder):
    script = "x = bytearray(b'x') * %d; import time; time.sleep(1)" % (400 * MB)
    recorder.run([sys.executable, "-c", script], flags=STOP)
    errors = recorder.done.stderr.decode()
    assert recorder.done.returncode == 0, errors
    assert errors.count("no pytest is seen that could be stopped") == 1


@pytest.mark.parametrize("inside", ["the agent too", "the tests alone"])
def test_a_cgroups_limit_is_met_before_the_kernel_strikes(recorder, inside):
    if os.geteuid() != 0 or not os.path.isdir("/sys/fs/cgroup/memory"):
        pytest.skip("needs root and the memory controller of cgroup version 1")
    with open("/proc/self/cgroup") as file:
        own = next(line.strip().split(":", 2)[2] for line in file if ":memory:" in line)
    folder = "/sys/fs/cgroup/memory%s/highwater-guard-%d" % (own.rstrip("/"), os.getpid())
    os.mkdir(folder)
    try:
        with open(folder + "/memory.limit_in_bytes", "w") as file:
            file.write(str(500 * MB))
        # Under 500 MB, 90 % of which are passed and the whole is not.
        text = ALONE.replace("[hold(10 * 1000 * 1000) for n in range(40) if not time.sleep(0.02)]", "[hold(5 * 1000 * 1000) for n in range(88) if not time.sleep(0.01)]")
        (recorder.folder / "test_grows.py").write_text(text)
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', folder]
        tests = PYTEST + ["-p", "no:randomly", "--junitxml=report.xml"]
        flags = ("--on-limit", "stop")
        if inside == "the tests alone":
            command = recorder.command(enter + tests, flags=flags)
        else:
            command = enter + recorder.command(tests, flags=flags)
        done = subprocess.run(
            command,
            cwd=str(recorder.folder),
            env=recorder.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=300,
        )
        errors = done.stderr.decode()
        assert done.returncode == 2, errors
        assert "the memory limit, a share of what the cgroup" in errors
        assert finished(recorder.folder / "report.xml") == {"test_before"}
        with open(folder + "/memory.oom_control") as file:
            assert "oom_kill 0" in file.read()
    finally:
        os.rmdir(folder)


def test_beside_the_steps_of_a_job_it_guards_too(recorder):
    (recorder.folder / "test_grows.py").write_text(ALONE)
    highwater = recorder.command([])[0]
    script = """
eval "$("$1" start --spool "$2" --job guarded --memory-limit 250MB --on-limit stop --print-env)"
shift 2
"$@"
code=$?
"$HIGHWATER" stop --exit-code $code
exit $code
"""
    pytest_command = PYTEST + ["-p", "no:randomly", "--junitxml=report.xml"]
    done = subprocess.run(
        ["bash", "-c", script, "step", highwater, str(recorder.spool)] + pytest_command,
        cwd=str(recorder.folder),
        env=recorder.environment(HIGHWATER=highwater),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=120,
    )
    log = "".join(path.read_text() for path in recorder.spool.rglob("*.log"))
    assert done.returncode == 2, (done, log)
    assert finished(recorder.folder / "report.xml") == {"test_before"}
    assert "is told to stop (SIGINT)" in log
