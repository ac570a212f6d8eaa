"""What ends pytest by a signal, by itself or by its time, recorded both ways: each cell has its verdict, its victim, and the data up to its end."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from conftest import PYTEST, wait_for
from system.cells_ways import LAST_SECOND_US, VICTIM, WAYS, Run, Steps, check, evidence, is_gone, newest, recorded, verdict, victim_pid, write_suite

BOTH = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
NEEDS_TIMEOUT = pytest.mark.skipif(shutil.which("timeout") is None, reason="needs timeout of the GNU core utilities")
QUOTED = " ".join(PYTEST)


@BOTH
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_by_somebody_unknown_is_killed(server, recorder, way, number):
    write_suite(recorder.folder)
    with recorded(way, recorder, server) as job:
        job.begin()
        pid = victim_pid(recorder.folder)
        moment_us = time.time() * 1e6
        os.kill(pid, number)
        summary = job.end()
    assert job.code == 128 + number
    check(summary, "killed", "likely", server, moment_us)
    assert number.name in evidence(summary) and "from outside" not in summary["ending"]["sentence"], summary["ending"]
    assert "who sent it is not known" in summary["ending"]["sentence"], summary["ending"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_the_agent_is_killed_by_whoever_sent_it(server, recorder, number):
    write_suite(recorder.folder)
    with recorded(Run, recorder, server) as job:
        job.begin()
        victim_pid(recorder.folder)
        moment_us = time.time() * 1e6
        os.kill(job.step_pid, number)
        summary = job.end()
    assert job.code == 128 + number
    check(summary, "killed", "likely", server, moment_us)
    assert summary["ending"]["sentence"].startswith("Process %d (" % os.getpid()), summary["ending"]


@BOTH
def test_sigint_is_interrupted(server, recorder, way):
    write_suite(recorder.folder)
    with recorded(way, recorder, server) as job:
        job.begin()
        pid = victim_pid(recorder.folder)
        moment_us = time.time() * 1e6
        os.kill(pid, signal.SIGINT)
        summary = job.end()
    assert job.code == 2
    check(summary, "interrupted", "certain", server, moment_us)


@BOTH
@pytest.mark.parametrize("masked", [False, True], ids=["itself", "masked"])
@pytest.mark.parametrize("act, number", [("ctypes.string_at(0)", signal.SIGSEGV), ("os.abort()", signal.SIGABRT)], ids=["segv", "abort"])
def test_a_crash_is_certain_whatever_the_code(server, recorder, way, act, number, masked):
    write_suite(recorder.folder, act)
    with recorded(way, recorder, server) as job:
        job.begin(["sh", "-c", "%s; exit 0" % QUOTED] if masked else PYTEST)
        summary = job.end(*["--exit-code", "0"] if masked else [])
    assert job.code == (0 if masked else 128 + number)
    check(summary, "crashed", "certain", server)
    assert number.name in summary["ending"]["sentence"]


@BOTH
@pytest.mark.parametrize("act", ["ctypes.string_at(0)", "os.abort()", "os._exit(0)"])
def test_a_worker_that_crashed_is_told(server, recorder, way, act):
    write_suite(recorder.folder, act)
    with recorded(way, recorder, server) as job:
        job.begin(PYTEST + ["-n", "2"])
        summary = job.end()
    assert job.code == 1
    check(summary, "worker_crashed", "likely" if "_exit" in act else "certain", server)


@BOTH
@pytest.mark.parametrize("masked", [False, True], ids=["itself", "masked"])
@pytest.mark.parametrize("code", [0, 1])
def test_os_exit_is_never_passed(server, recorder, way, code, masked):
    write_suite(recorder.folder, "os._exit(%d)" % code)
    with recorded(way, recorder, server) as job:
        job.begin(["sh", "-c", "%s; exit 0" % QUOTED] if masked else PYTEST)
        summary = job.end("--exit-code", "0" if masked else str(code))
    assert job.code == (0 if masked else code)
    check(summary, "crashed", "likely", server)
    assert "exit code %d" % code in summary["ending"]["sentence"], summary["ending"]


@NEEDS_TIMEOUT
@pytest.mark.parametrize("script, code", [("timeout 2 %s", 124), ("timeout -s KILL 2 %s", 137), ("timeout 2 %s; exit 0", 0)])
def test_timeout_in_a_step_is_timed_out(server, recorder, script, code):
    write_suite(recorder.folder)
    with recorded(Steps, recorder, server) as job:
        job.begin(["sh", "-c", script % QUOTED])
        summary = job.end()
    assert job.code == code
    check(summary, "timed_out", "likely", server)
    assert "2.0 s" in summary["ending"]["sentence"], summary["ending"]


@NEEDS_TIMEOUT
@pytest.mark.parametrize("flags", [[], ["--preserve-status"]], ids=["124", "143"])
def test_timeout_around_the_agent_is_timed_out(server, recorder, flags):
    write_suite(recorder.folder)
    words = ["timeout"] + flags + ["2"] + recorder.command(PYTEST, server)
    done = subprocess.run(words, cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode == (143 if flags else 124), done.stderr
    summary = json.loads(recorder.summary.read_text())
    check(summary, "timed_out", "likely", server)
    assert "`timeout` sent SIGTERM" in summary["ending"]["sentence"], summary["ending"]


@BOTH
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["sequential", "xdist"])
@pytest.mark.parametrize("method", ["thread", "signal"])
def test_pytest_timeout_is_timed_out(server, recorder, way, method, workers):
    write_suite(recorder.folder)
    with recorded(way, recorder, server) as job:
        job.begin(PYTEST + ["--timeout", "1", "--timeout-method", method] + workers)
        summary = job.end()
    assert job.code == 1
    assert verdict(summary) == ("timed_out", "likely"), summary["ending"]
    # By its thread it ends the process; by its signal it only fails the test.
    assert summary["censored"] == (method == "thread")
    assert summary["ending"]["victim"] == (VICTIM if method == "thread" else None), summary["ending"]
    assert VICTIM in evidence(summary), summary["ending"]
    assert server.job(summary["uuid"])["ending"] == summary["ending"]


def test_os_exit_when_a_limit_is_up_that_only_fails_the_test_is_crashed(server, recorder):
    write_suite(recorder.folder, "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM}); time.sleep(0.9); os._exit(1)")
    with recorded(Run, recorder, server) as job:
        job.begin(PYTEST + ["--timeout", "1", "--timeout-method", "signal"])
        summary = job.end()
    assert job.code == 1
    check(summary, "crashed", "likely", server)


@NEEDS_TIMEOUT
def test_pytest_exit_when_timeout_is_nearly_up_is_not_timed_out(server, recorder):
    # Gone shortly before its time was up; the shell goes on until it is, and says what `timeout` would.
    write_suite(recorder.folder, "time.sleep(float(os.environ['BEGAN']) + 4.2 - time.time()); __import__('pytest').exit('enough', returncode=2)")
    with recorded(Run, recorder, server) as job:
        job.begin(["sh", "-c", "BEGAN=$(date +%%s.%%N) timeout 5 %s; sleep 1.5; exit 124" % QUOTED])
        summary = job.end()
    assert job.code == 124
    check(summary, "interrupted", "certain", server)


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_the_limit_of_the_ci_is_timed_out(server, recorder, way, number):
    write_suite(recorder.folder)
    with recorded(way, recorder, server) as job:
        job.begin(flags=["--ci-timeout", "2s"])
        pid = victim_pid(recorder.folder)
        began = time.monotonic()
        wait_for("the limit", lambda: time.monotonic() - began >= 2)
        moment_us = time.time() * 1e6
        os.kill(pid if way is Steps or number == signal.SIGKILL else job.step_pid, number)
        summary = job.end(*["--status", "cancelled"] if way is Steps else [])
    check(summary, "timed_out", "likely", server, moment_us)
    assert "The CI's time for the job was up" in summary["ending"]["sentence"], summary["ending"]


#: What a suite makes of SIGINT and SIGTERM. By itself pytest ends in order at the first.
SLOW = "signal.signal(signal.SIGINT, lambda *_: time.sleep(600)); pathlib.Path('ready').touch()"
STUBBORN = "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path('ready').touch()"
OBEDIENT = "pathlib.Path('ready').touch()"


@BOTH
@pytest.mark.parametrize("act", [OBEDIENT, SLOW, STUBBORN], ids=["ends by INT", "ends by TERM", "ends by KILL"])
def test_int_term_kill_as_github_sends_them_is_cancelled(server, recorder, way, act):
    write_suite(recorder.folder, act, pause=0)
    with recorded(way, recorder, server) as job:
        job.begin(GITHUB_ACTIONS="true", GITHUB_RUN_ID="1")
        pid = victim_pid(recorder.folder)
        wait_for("its handlers", lambda: (recorder.folder / "ready").exists())
        for number, pause_s in ((signal.SIGINT, 0.75), (signal.SIGTERM, 0.25), (signal.SIGKILL, 0)):
            moment_us = time.time() * 1e6
            with contextlib.suppress(ProcessLookupError):
                os.kill(job.step_pid, number)
            if number == signal.SIGKILL:
                # And whatever the step has left.
                os.kill(pid, number)
            until = time.monotonic() + pause_s
            wait_for("the next signal", lambda: is_gone(pid) or time.monotonic() >= until)
            if is_gone(pid):
                break
        if way is Run and act == STUBBORN:
            job.process.wait()
            # A recording whose pytest still runs is left alone.
            wait_for("the end of pytest", lambda: is_gone(pid))
            assert recorder.upload(server).returncode == 0
            summary, lost_us = newest(server), LAST_SECOND_US
        else:
            summary, lost_us = job.end(*["--status", "cancelled"] if way is Steps else []), 0
    check(summary, "cancelled", "likely", server, moment_us, lost_us=lost_us)


@pytest.mark.parametrize("code", [0, 1, 143])
def test_a_code_that_stop_is_told_is_no_verdict(server, recorder, code):
    (recorder.folder / "test_ok.py").write_text("def test_a(): pass\n")
    with recorded(Steps, recorder, server) as job:
        job.begin(PYTEST + ["test_ok.py"])
        summary = job.end("--exit-code", str(code))
    assert verdict(summary) == ("passed", "likely" if code else "certain"), summary["ending"]
    assert summary["exit_code"] == code and summary["ending"]["victim"] is None and not summary["censored"]


@NEEDS_TIMEOUT
@pytest.mark.parametrize(
    "act, script, words, expected",
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", "%s", [], "killed"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "%s", ["--status", "cancelled"], "cancelled"),
        ("pass", "timeout --preserve-status 2 %s", [], "timed_out"),
        ("os._exit(143)", "%s", [], "crashed"),
        ("os.abort()", "%s; exit 143", [], "crashed"),
    ],
)
def test_143_of_a_step_has_a_verdict_by_what_happened(server, recorder, act, script, words, expected):
    write_suite(recorder.folder, act)
    with recorded(Steps, recorder, server) as job:
        job.begin(["sh", "-c", script % QUOTED])
        summary = job.end("--exit-code", "143", *words)
    assert job.code == 143 and summary["exit_code"] == 143
    check(summary, expected, "likely", server)
