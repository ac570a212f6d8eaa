"""Tests of a pytest without the plugin, read from its memory: against what the plugin says of the same run."""

import bisect
import datetime
import json
import os
import shutil
import subprocess
import sys

import pytest

from conftest import PYTEST, ROOT
from system.cells_ways import Steps, recorded

TICK_US = 50000
SUITE = """
import time
import pytest

@pytest.fixture
def slow():
    time.sleep(0.03 * ({file} % 3))
    yield
    time.sleep(0.02 * ({file} % 2))

class Test:
    @pytest.mark.parametrize("n", range(8))
    def test_it(self, n, slow):
        time.sleep(0.127 + 0.037 * (n * 3 % 8))

def test_of_a_short_name(): time.sleep(0.2)
"""


def truth_of(folder, started_at):
    """Per process the tests of the plugin as (begin, end, node id), µs since the job's start."""
    started_us = round(datetime.datetime.fromisoformat(started_at.replace("Z", "+00:00")).timestamp() * 1e6)
    processes = {}
    for path in folder.glob("*.events"):
        tests, shift = processes.setdefault(int(path.stem), []), None
        for line in path.read_text().splitlines():
            kind, *fields = line.split("\t")
            if kind == "H":
                header = json.loads(fields[1])
                shift = header["unix_us"] - header["monotonic_us"] - started_us
            elif kind == "tb":
                tests.append([int(fields[0]) + shift, None, fields[5]])
            elif kind == "te":
                tests[-1][1] = int(fields[0]) + shift
    return processes


def without_plugin(summary):
    return [notice for notice in summary["notices"] if notice["code"] == "pytest_without_plugin"]


def ticks_of(server, job, process):
    """When the RSS of a process was read."""
    series = server.get("/api/v1/jobs/%s/series?points=5000" % job["uuid"])["series"]
    return next(row["t_us"] for row in series if row["process"] == process and row["metric"] == "rss")


def in_a_run(server, recorder, command):
    """The plugin writes where the agent does not look."""
    summary = recorder.run(command, server, flags=["--no-plugin"])
    assert recorder.done.returncode == 0, recorder.done.stdout + recorder.done.stderr
    return summary


def in_a_step_that_was_told_nothing(server, recorder, command):
    with recorded(Steps, recorder, server) as job:
        job.start_recording()
        job.going = job.step(command)
        summary = job.end()
        assert job.code == 0, job.going.stdout + job.going.stderr
    return summary


@pytest.mark.parametrize("record", [in_a_run, in_a_step_that_was_told_nothing])
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["sequential", "xdist"])
def test_the_test_of_each_tick_is_the_one_that_the_plugin_says(server, recorder, tmp_path, record_property, capsys, workers, record):
    for file in range(4):
        (tmp_path / ("test_%d.py" % file)).write_text(SUITE.replace("{file}", str(file)))
    truth = tmp_path / "truth"
    truth.mkdir()
    own = ["env", "HIGHWATER_EVENTS=%s" % truth, "PYTHONPATH=%s" % (ROOT / "pytest-plugin")]
    summary = record(server, recorder, own + PYTEST + ["-p", "highwater_pytest"] + workers)
    job = server.job(summary["uuid"])
    [session] = job["sessions"]
    assert session["sampled"] and session["numprocesses"] == len(workers)
    processes = {row["pid"]: row for row in server.rows(job["uuid"], "processes")}
    rows = server.rows(job["uuid"], "tests")
    agreed = judged = 0
    names = set()
    for pid, tests in truth_of(truth, job["started_at"]).items():
        own = sorted((row["started_us"], row["started_us"] + row["duration_us"], row["nodeid"]) for row in rows if row["process"] == processes[pid]["id"])
        ticks = ticks_of(server, job, processes[pid]["id"])
        for began, ended, nodeid in tests:
            names.add(nodeid)
            if ended - began <= 2 * TICK_US:
                continue
            for tick in ticks[bisect.bisect_left(ticks, began) : bisect.bisect_left(ticks, ended)]:
                judged += 1
                agreed += any(begin <= tick < end and name == nodeid for begin, end, name in own)
    share = agreed / judged
    record_property("share", share)
    with capsys.disabled():
        print("\nsampled labels, %s, %s: %d of %d ticks agree (%.2f %%)" % ("xdist" if workers else "sequential", record.__name__, agreed, judged, 100 * share))
    assert judged > 100 and share >= 0.98, (agreed, judged)
    assert {row["nodeid"] for row in rows} == names
    assert {row["path"] for row in rows} == {"test_%d.py" % file for file in range(4)}
    assert {row["peak_kind"] for row in rows} == {"sampled"} and {row["outcome"] for row in rows} == {"unknown"}
    if workers:
        by_role = sorted((row["role"], row["worker"]) for row in processes.values() if row["role"] in ("controller", "worker"))
        assert by_role == [("controller", None), ("worker", "gw0"), ("worker", "gw1")], by_role


def test_memory_is_found_by_sampling_and_no_outcome_is_claimed(server, recorder, example):
    summary = recorder.run(PYTEST, server, cwd=example("exact"), flags=["--no-plugin"])
    assert recorder.done.returncode == 0 and not without_plugin(summary), summary["notices"]
    job = server.job(summary["uuid"])
    assert (job["ending"]["verdict"], job["peak_kind"]) == ("passed", "sampled")
    assert "none failed" not in job["ending"]["sentence"] and "exit code 0" in job["ending"]["sentence"]
    page = server.text("/jobs/" + job["uuid"])
    assert "outcomes not known" in page and "cut short" not in page
    assert b"0 of " in recorder.done.stderr and b"cut short" not in recorder.done.stderr


def test_growth_as_a_test_begins_is_its_own(server, recorder):
    quiet = "import time\nkept = []\ndef test_it(): time.sleep(0.4)\n"
    holds = "import time\nkept = []\ndef test_it():\n    kept.append(b'x' * (80 << 20))\n    time.sleep(0.4)\n"
    gives_back = "import time\ndef test_it():\n    block = b'x' * (80 << 20)\n    time.sleep(0.4)\n"
    for name, text in [("a", quiet), ("b", holds), ("c", quiet), ("d", gives_back), ("e", quiet)]:
        (recorder.folder / ("test_%s.py" % name)).write_text(text)
    summary = recorder.run(PYTEST, server, flags=["--no-plugin"])
    assert recorder.done.returncode == 0, recorder.done.stdout
    files = {row["path"]: row for row in server.rows(summary["uuid"], "files")}
    retained = {path[5]: round(row["retained_bytes"] / 2**20) for path, row in files.items()}
    assert 78 <= retained.pop("b") <= 84 and all(-2 <= it <= 4 for it in retained.values()), files
    spikes = {path[5]: round(row["spike_bytes"] / 2**20) for path, row in files.items()}
    assert spikes["d"] >= 78 and all(spikes[it] <= 4 for it in "ace"), files


def test_a_failure_is_told_by_the_exit_code_alone(recorder):
    (recorder.folder / "test_it.py").write_text("import time\ndef test_it():\n    time.sleep(0.5)\n    assert 0\n")
    summary = recorder.run(PYTEST, flags=["--no-plugin"])
    assert recorder.done.returncode == 1 and summary["ending"]["verdict"] == "tests_failed"
    assert "does not show outcomes" in summary["ending"]["sentence"], summary["ending"]


def test_the_victim_of_a_kill_is_named_without_the_plugin(recorder):
    (recorder.folder / "test_it.py").write_text("import os, signal, time\ndef test_before(): time.sleep(0.3)\ndef test_victim():\n    time.sleep(0.5)\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    summary = recorder.run(PYTEST, flags=["--no-plugin"])
    assert summary["ending"]["victim"] == "test_it.py::test_victim", summary["ending"]


def test_a_worker_that_died_is_told_without_the_plugin(recorder):
    test = "import os, pytest, time\n@pytest.mark.parametrize('n', range(8))\ndef test_it(n):\n    time.sleep(0.4)\n    if n == 3:\n        os.kill(os.getpid(), 9)\n"
    (recorder.folder / "test_it.py").write_text(test)
    summary = recorder.run(PYTEST + ["-n", "2"], flags=["--no-plugin"])
    assert recorder.done.returncode == 1, recorder.done.stdout
    assert summary["ending"]["verdict"] == "worker_crashed", summary["ending"]


def test_a_pytest_of_a_test_and_what_it_forks_are_no_sessions(recorder):
    (recorder.folder / "inner.py").write_text("import time\ndef test_inner(): time.sleep(0.5)\n")
    (recorder.folder / "test_it.py").write_text(
        "import multiprocessing, subprocess, sys, time\n"
        "def test_nested(): subprocess.run([sys.executable, '-m', 'pytest', '-q', 'inner.py'], check=True)\n"
        "def test_forks():\n"
        "    process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(0.5,))\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    summary = recorder.run(PYTEST, flags=["--no-plugin"])
    assert recorder.done.returncode == 0, recorder.done.stdout
    assert [session["tests"] for session in summary["sessions"]] == [2], summary["sessions"]


def test_a_plugin_that_comes_leaves_nothing_to_sampling(recorder):
    (recorder.folder / "test_it.py").write_text("import time\ndef test_it(): time.sleep(0.5)\n")
    summary = recorder.run(PYTEST)
    [session] = summary["sessions"]
    assert not session["sampled"] and not without_plugin(summary) and session["exit_status"] == 0


DROPPED = "-sys_ptrace,-dac_override,-dac_read_search"


@pytest.fixture
def closed(recorder):
    """Records a pytest whose memory the agent may not read: of a program that may be executed and not read, without the capabilities for it."""
    words = ["setpriv", "--bounding-set", DROPPED, "--inh-caps", DROPPED]
    if subprocess.run(words + ["true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("setpriv cannot drop capabilities here")
    bin = recorder.folder / "venv" / "bin"
    bin.mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), str(bin / "python"))
    (bin / "python").chmod(0o111)
    shutil.copy(os.path.join(sys.prefix, "pyvenv.cfg"), str(bin.parent))
    (bin.parent / "lib").symlink_to(os.path.join(sys.prefix, "lib"))

    def run(arguments, server=None):
        command = recorder.command([bin / "python"] + PYTEST[1:] + arguments, server, flags=["--no-plugin"])
        done = subprocess.run(words + command, cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(recorder.summary.read_text())

    return run


def test_where_memory_is_closed_the_titles_of_workers_are_read(server, recorder, closed):
    pytest.importorskip("setproctitle", reason="xdist gives its workers titles by setproctitle, which is not installed")
    test = "import time, pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n): time.sleep(0.4)\n"
    (recorder.folder / "test_it.py").write_text(test)
    summary = closed(["-n", "2"], server)
    [session] = summary["sessions"]
    assert (session["sampled"], session["numprocesses"]) == (True, 2), (session, summary["notices"])
    rows = server.rows(summary["uuid"], "tests")
    assert sorted(row["nodeid"] for row in rows) == ["test_it.py::test_it[%d]" % n for n in range(6)]
    assert {(row["path"], row["worker"]) for row in rows} == {("test_it.py", "gw0"), ("test_it.py", "gw1")}
    # A title that changes is no other command.
    commands = {row["command"] for row in server.rows(summary["uuid"], "processes") if row["role"] == "worker"}
    assert all("exec(eval(" in command for command in commands), commands


def test_where_memory_is_closed_and_no_title_is_there_the_reason_is_told(recorder, closed):
    (recorder.folder / "test_it.py").write_text("import time\ndef test_it(): time.sleep(3)\n")
    summary = closed([])
    [notice] = without_plugin(summary)
    assert "does not let this program read" in notice["message"], notice
