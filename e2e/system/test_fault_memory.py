"""The memory half of the fault matrix: every death for want of memory, run for real."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import BINARIES, MB, PYTEST, Recorder
from memory_cells import (
    AS_NOBODY, EATS, HOLDS, LIMIT, NEEDS_CGROUPS, NOBODY, NOWHERE, WAYS, Cgroup, check_holders, check_last_second, check_told, disk, ending,
    evidence, record, write,
)

pytestmark = NEEDS_CGROUPS
ORDERED = PYTEST + ["-p", "no:randomly"]
LOADFILE = ORDERED + ["-n", "2", "--dist", "loadfile"]


@pytest.fixture
def cgroup():
    made = []

    def make(limit=LIMIT, uid=0):
        made.append(Cgroup(limit, uid))
        return made[-1]

    yield make
    for one in made:
        one.remove()


@WAYS
@pytest.mark.parametrize("agent", ["apart", "together"])
def test_the_whole_job(server, recorder, cgroup, way, agent):
    write(recorder.folder, test_1_holds=HOLDS, test_2_eats=EATS)
    small = cgroup()
    place = {"tests_in": small} if agent == "apart" else {"agent_in": small}
    summary = record(recorder, way, ORDERED, server, **place)
    assert recorder.done.returncode == 137 and small.kills() == 1
    job = server.job(summary["uuid"])
    assert job["ending"] == summary["ending"]
    found = ending(job, "oom_cgroup", "certain")
    assert job["censored"] and found["victim"] == "test_2_eats.py::test_eats"
    held = check_holders(job, "test_1_holds.py")
    assert abs(held["test_1_holds.py"] - 60 * MB) < 2 * MB
    assert abs(held["service (session)"] - 40 * MB) < 2 * MB
    check_told(job, "The cgroup's oom_kill counter rose by 1.", "was killed for a cgroup's limit", "Near the end the cgroup had used")
    (limit,) = [limit for limit in job["limits"] if limit["kind"] == "cgroup" and limit["path"].endswith(small.folder.name)]
    assert limit["limit_bytes"] == LIMIT // 4096 * 4096
    assert 0.9 * limit["limit_bytes"] < limit["worst_used_bytes"] <= limit["limit_bytes"]
    check_last_second(server, job["uuid"], role="pytest")


@WAYS
@pytest.mark.parametrize("restarts", [0, 4])
def test_one_worker(server, recorder, cgroup, way, restarts):
    write(recorder.folder, test_1_holds=HOLDS + "\n\ndef test_eats():\n    room.eat()\n", test_2_lasts="import time\n\ndef test_lasts():\n    time.sleep(1.5)\n")
    # A controller and two workers take more than one process does.
    small = cgroup(LIMIT + 60 * MB)
    summary = record(recorder, way, LOADFILE + ["--max-worker-restart", str(restarts)], server, tests_in=small)
    assert recorder.done.returncode == 1 and small.kills() >= 1
    job = server.job(summary["uuid"])
    found = ending(job, "oom_cgroup", "certain")
    assert found["victim"] == "test_1_holds.py::test_eats"
    check_holders(job, "test_1_holds.py")
    check_told(job, "The cgroup's oom_kill counter rose by", "A worker process was seen last in test_1_holds.py::test_eats, and was ended by SIGKILL")
    check_last_second(server, job["uuid"], role="worker", worker="gw0")


CHILD = "import subprocess, sys\n\ndef test_starts():\n    code = subprocess.call([sys.executable, '-S', '-c', 'import room; room.eat()'])\n    assert code == %s\n\ndef test_after(): pass\n"


@WAYS
@pytest.mark.parametrize("expected, verdict", [("-9", "passed"), ("0", "tests_failed")])
def test_a_child_of_a_test(server, recorder, cgroup, way, expected, verdict):
    write(recorder.folder, test_1_child=CHILD % expected)
    small = cgroup(100 * MB)
    summary = record(recorder, way, ORDERED, server, tests_in=small, PYTHONPATH=recorder.folder)
    assert small.kills() == 1
    job = server.job(summary["uuid"])
    ending(job, verdict, "certain")
    assert not job["censored"] and job["ending"]["victim"] is None
    check_told(job, "The cgroup's oom_kill counter rose by 1.", "of the job for memory, and the job went on (oom_child).")
    check_last_second(server, job["uuid"], role="child")


def peak_and_limit(text):
    found = re.search(r"limited to ([\d.]+) MiB \(ulimit -v\) and had been up to ([\d.]+) MiB", text)
    assert found, text
    return [float(figure) * 1024 * 1024 for figure in reversed(found.groups())]


ULIMIT = 200 * MB
ASKS = "import room\n\nKEPT = []\n\ndef test_keeps():\n    KEPT.append(room.hold(60_000_000))\n\ndef test_asks():\n    room.eat()\n\ndef test_after(): pass\n"


def limited(command):
    return ["bash", "-c", 'ulimit -v %d && exec "$@"' % (ULIMIT // 1024), "bash"] + command


@WAYS
def test_a_test_that_is_refused_memory(server, recorder, way):
    write(recorder.folder, test_1_asks=ASKS)
    summary = record(recorder, way, limited(ORDERED), server)
    assert recorder.done.returncode == 1
    job = server.job(summary["uuid"])
    ending(job, "memory_error", "likely")
    check_told(job, "test_1_asks.py::test_asks failed with a MemoryError.")
    peak, limit = peak_and_limit(evidence(job))
    assert abs(limit - ULIMIT) < 1.1 * MB and 0.9 * limit < peak <= limit
    check_holders(job, "test_1_asks.py")
    assert not job["censored"]
    check_last_second(server, job["uuid"], role="pytest")


BREAKS_OFF = {
    # INTERNALERROR; the report of a file that could not be imported, which needs memory too; pytest's very begin.
    "hook": {"conftest": "import room\n\ndef pytest_runtest_logfinish():\n    room.eat()\n"},
    "import": {"test_2_asks": "import room\nroom.eat()\n"},
    "conftest": {"conftest": "import room\nroom.eat()\n"},
}


@WAYS
@pytest.mark.parametrize("where", BREAKS_OFF)
def test_a_pytest_that_is_refused_memory(server, recorder, way, where):
    write(recorder.folder, test_1_passes="def test_a(): pass\n", **BREAKS_OFF[where])
    summary = record(recorder, way, limited(ORDERED), server)
    assert recorder.done.returncode not in (0, 99)
    job = server.job(summary["uuid"])
    ending(job, "memory_error", "likely")
    peak, limit = peak_and_limit(evidence(job))
    assert abs(limit - ULIMIT) < 1.1 * MB and 0.9 * limit < peak <= limit


def test_what_aborts_for_want_of_memory_is_a_crash_that_tells_of_it(recorder):
    write(recorder.folder, test_1_aborts="import os, room\n\ndef test_aborts():\n    try:\n        room.eat()\n    except OSError:\n        os.abort()\n")
    summary = record(recorder, "run", limited(ORDERED))
    found = ending(summary, "crashed", "certain")
    assert "may have been refused memory" in found["sentence"] and found["victim"] == "test_1_aborts.py::test_aborts"


@WAYS
def test_the_guard(server, recorder, way):
    write(recorder.folder, test_1_holds=HOLDS, test_2_eats=EATS)
    flags = ("--memory-limit", "170MB", "--on-limit", "stop")
    summary = record(recorder, way, ORDERED + ["--junitxml=report.xml"], server, flags)
    assert recorder.done.returncode == 2
    job = server.job(summary["uuid"])
    found = ending(job, "guard_stopped", "certain")
    assert job["censored"] and found["victim"] == "test_2_eats.py::test_eats"
    held = check_holders(job, "test_1_holds.py", "service (session)")
    assert abs(held["test_1_holds.py"] - 60 * MB) < 2 * MB
    check_told(job, "The guard told pytest to end by SIGINT, at the budget's limit")
    report = ElementTree.parse(str(recorder.folder / "report.xml"))
    names = {case.get("name") for case in report.iter("testcase") if not len(case)}
    assert names >= {"test_keeps", "test_before"}
    check_last_second(server, job["uuid"], role="pytest")


FILLS = """
import os, pathlib, time, room

CGROUP = pathlib.Path(os.environ["CELL"])

def test_fills():
    more = []
    limit = int((CGROUP / "memory.limit_in_bytes").read_text())
    while int((CGROUP / "memory.usage_in_bytes").read_text()) < 0.96 * limit:
        more.append(room.hold(1_000_000))
        time.sleep(0.005)
    pathlib.Path("full").write_text(str(os.getpid()))
    time.sleep(60)
"""
# As earlyoom does, of a cgroup instead of the machine.
DAEMON = """#!%s -S
import os, signal, sys, time
while not (os.path.exists("full") and os.path.getsize("full")):
    time.sleep(0.01)
os.kill(int(open("full").read()), signal.SIGTERM)
time.sleep(60)
"""


@pytest.mark.parametrize("way, name", [("run", "earlyoom"), ("start", "earlyoom"), ("run", "somebody")])
def test_a_daemon_that_is_quicker_than_the_kernel(server, recorder, cgroup, way, name):
    write(recorder.folder, test_1_holds=HOLDS, test_2_fills=FILLS)
    program = recorder.folder / name
    program.write_text(DAEMON % sys.executable)
    program.chmod(0o755)
    small = cgroup()
    daemon = subprocess.Popen([str(program)], cwd=str(recorder.folder))
    try:
        summary = record(recorder, way, ORDERED, server, tests_in=small, CELL=small.folder)
    finally:
        daemon.kill()
        daemon.wait()
    assert recorder.done.returncode == 143 and small.kills() == 0
    job = server.job(summary["uuid"])
    found = ending(job, "oom_daemon", "likely")
    assert job["censored"] and found["victim"] == "test_2_fills.py::test_fills"
    assert ("earlyoom" in found["sentence"]) == (name == "earlyoom"), found["sentence"]
    check_holders(job, "test_1_holds.py")
    check_told(job, "and was ended by SIGTERM", "Near the end the cgroup had used")
    check_last_second(server, job["uuid"], role="pytest")


@pytest.mark.parametrize("seed, spike", [(3, "in the test"), (1, "in its child")])
def test_the_accumulating_suite(server, recorder, cgroup, example, seed, spike):
    """30 files of about 34 MB each under 700 MB: a later one with a spike finds no room, and those before it hold it."""
    suite = example("monolith", scale=0.85, files=30, seed=seed)
    recorder.folder = suite
    summary = record(recorder, "run", ORDERED + ["tests/unit", "tests/e2e"], server, tests_in=cgroup(700 * MB))
    job = server.job(summary["uuid"])
    found = ending(job, "oom_cgroup", "certain")
    rows = {row["path"]: row for row in server.rows(job["uuid"], "files")}
    running = found["victim"].split("::")[0]
    done = {path: row for path, row in rows.items() if path != running and row["tests"]}
    assert 10 <= len(done) < 30
    per_file = [row["retained_bytes"] + row["import_bytes"] for row in done.values()]
    assert all(0.75 * 34 * MB < bytes < 1.25 * 34 * MB for bytes in per_file), per_file
    names = [culprit["name"] for culprit in found["culprits"]]
    assert len(names) == 5 and not any(running in name for name in names), (names, running)
    kinds = {culprit["kind"] for culprit in found["culprits"]}
    assert kinds == {"file", "fixture"} | ({"process"} if spike == "in its child" else set()), found["culprits"]
    told = re.search(r"(\d+) test files had left ([\d.]+) MiB behind, ([\d.]+) MiB each in the middle", evidence(job))
    assert told, evidence(job)
    files, together, each = int(told[1]), float(told[2]) * 1024 * 1024, float(told[3]) * 1024 * 1024
    assert files == len(done) and abs(together - sum(per_file)) < 2 * MB
    assert abs(each - sorted(per_file)[len(per_file) // 2]) < 2 * MB
    check_last_second(server, job["uuid"], role="pytest")


CALM = {
    # What a test does, pytest's exit code, and what it is called.
    "child": ("assert subprocess.run([sys.executable, '-c', 'import os; os.kill(os.getpid(), 9)']).returncode == -9", 0, "passed", "certain"),
    "exit 137": ("os._exit(137)", 137, "crashed", "likely"),
    "exit 1": ("os._exit(1)", 1, "crashed", "likely"),
    "exit 0": ("os._exit(0)", 0, "crashed", "likely"),
    "kill": ("os.kill(os.getpid(), 9)", 137, "killed", "likely"),
    "kill after a child": (
        "subprocess.run([sys.executable, '-S', '-c', 'import room; room.eat()']); time.sleep(6.5); os.kill(os.getpid(), 9)", 137, "killed", "likely",
    ),
}


@pytest.mark.parametrize("case", CALM)
def test_the_same_codes_with_memory_calm(recorder, cgroup, case):
    does, code, verdict, confidence = CALM[case]
    write(recorder.folder, test_1_does="import os, subprocess, sys, time\n\ndef test_does():\n    %s\n" % does)
    small = cgroup()
    summary = record(recorder, "run", ORDERED, tests_in=small, PYTHONPATH=recorder.folder)
    assert recorder.done.returncode == code
    ending(summary, verdict, confidence)
    assert ("oom_child" in evidence(summary)) == (small.kills() > 0) == (case == "kill after a child")


def test_a_worker_that_is_killed_with_memory_calm(recorder, cgroup):
    write(recorder.folder, test_1_does="import os\n\ndef test_before(): pass\n\ndef test_does():\n    os.kill(os.getpid(), 9)\n")
    summary = record(recorder, "run", LOADFILE + ["--max-worker-restart", "0"], tests_in=cgroup())
    assert recorder.done.returncode == 1
    ending(summary, "worker_crashed", "certain")
    assert "oom" not in evidence(summary)


@pytest.fixture
def plain():
    """A folder of another user's, who has a Python for its tests."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="highwater-nobody-", dir="/tmp"))
    os.chown(folder, NOBODY, NOBODY)
    try:
        if subprocess.run(AS_NOBODY + ["test", "-x", str(BINARIES / "highwater"), "-a", "-w", str(folder)]).returncode != 0:
            pytest.skip("another user reaches neither the programs nor a folder")
        # That of these tests may lie where only its owner comes to; what is installed for it serves another of its version.
        packages = pathlib.Path(pytest.__file__).parents[1]
        version = "python%d.%d" % sys.version_info[:2]
        for python in (sys.executable, "/usr/bin/" + version, "/usr/local/bin/" + version):
            asks = AS_NOBODY + ["env", "PYTHONPATH=%s" % packages, python, "-c", "import pytest, xdist"]
            if subprocess.run(asks, capture_output=True, cwd=str(folder)).returncode == 0:
                yield User(folder, python, {"HOME": folder, "PYTHONPATH": packages})
                break
        else:
            pytest.skip("another user reaches no Python with pytest")
    finally:
        shutil.rmtree(folder)


class User(Recorder):
    def __init__(self, folder, python, variables):
        super().__init__(folder)
        self.python, self.variables = python, variables

    def record(self, way, command, server=None, **places):
        command = [self.python if word == sys.executable else word for word in command]
        return record(self, way, command, server, before=AS_NOBODY, **places, **self.variables)


def check_log(job):
    """What another user may read of the kernel's log is among the evidence, and nothing else is."""
    restricted = pathlib.Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() != "0"
    assert ("The kernel's log" in evidence(job)) == (not restricted)


@WAYS
def test_the_whole_job_of_another_user(server, plain, cgroup, way):
    write(plain.folder, test_1_holds=HOLDS, test_2_eats=EATS)
    small = cgroup(LIMIT, NOBODY)
    summary = plain.record(way, ORDERED, server, tests_in=small)
    assert plain.done.returncode == 137 and small.kills() == 1
    job = server.job(summary["uuid"])
    found = ending(job, "oom_cgroup", "certain")
    assert found["victim"] == "test_2_eats.py::test_eats"
    check_holders(job, "test_1_holds.py")
    check_told(job, "The cgroup's oom_kill counter rose by 1.", "and was ended by SIGKILL")
    check_last_second(server, job["uuid"], role="pytest")
    check_log(job)


@WAYS
def test_a_worker_of_another_user(server, plain, cgroup, way):
    files, command, limit, verdict, who = LATER["worker"]
    write(plain.folder, **files)
    small = cgroup(limit, NOBODY)
    summary = plain.record(way, command, server, tests_in=small)
    assert plain.done.returncode == 1 and small.kills() == 1
    job = server.job(summary["uuid"])
    found = ending(job, verdict, "certain")
    assert found["victim"] == "test_1_holds.py::test_eats"
    check_holders(job, "test_1_holds.py")
    check_last_second(server, job["uuid"], **who)
    check_log(job)


def test_a_test_of_another_user_that_is_refused_memory(plain):
    write(plain.folder, test_1_asks=ASKS)
    summary = plain.record("run", limited(ORDERED))
    ending(summary, "memory_error", "likely")
    peak, limit = peak_and_limit(evidence(summary))
    assert abs(limit - ULIMIT) < 1.1 * MB and 0.9 * limit < peak <= limit


FILLER = """
import os

def test_fills_the_disk():
    if "FILLED" in os.environ:
        with open(os.environ["FILLED"], "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                pass
"""
LATER = {
    # What is run, how, in how much; how it ends, and who was gone.
    "job": ({"test_1_holds": HOLDS, "test_2_eats": EATS}, ORDERED, LIMIT, "oom_cgroup", {"role": "pytest"}),
    "worker": (
        {"test_1_holds": HOLDS + "\n\ndef test_eats():\n    room.eat()\n", "test_2_passes": "def test_a(): pass\n"},
        LOADFILE + ["--max-worker-restart", "0"], LIMIT + 60 * MB, "oom_cgroup", {"role": "worker", "worker": "gw0"},
    ),
    "child": ({"test_1_child": CHILD % "-9"}, ORDERED, 100 * MB, "passed", {"role": "child"}),
}


@pytest.mark.parametrize("case", LATER)
def test_the_server_is_down_and_hears_of_it_later(server, recorder, cgroup, case):
    files, command, limit, verdict, who = LATER[case]
    write(recorder.folder, **files)
    summary = record(recorder, "run", command, NOWHERE, tests_in=cgroup(limit), PYTHONPATH=recorder.folder)
    ending(summary, verdict, "certain")
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr
    job = server.job(summary["uuid"])
    assert job["ending"] == summary["ending"]
    assert case != "child" or "(oom_child)" in evidence(job)
    check_last_second(server, job["uuid"], **who)


@WAYS
@pytest.mark.parametrize("case", LATER)
def test_the_disk_is_full(server, recorder, cgroup, way, case):
    files, command, limit, verdict, who = LATER[case]
    write(recorder.folder, test_0_fills=FILLER, **files)
    with disk(recorder.spool, "600k"):
        filled = recorder.spool / "filler"
        summary = record(recorder, way, command, tests_in=cgroup(limit), PYTHONPATH=recorder.folder, FILLED=filled)
        kept = recorder.folder / "kept"
        shutil.copytree(recorder.spool, kept, ignore=shutil.ignore_patterns("filler"))
    recorder.spool = kept
    ending(summary, verdict, "certain", "likely", "possible")
    assert case != "child" or "(oom_child)" in evidence(summary)
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr
    job = server.job(summary["uuid"])
    assert job["ending"]["verdict"] == verdict
    check_last_second(server, job["uuid"], **who)
