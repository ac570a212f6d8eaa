"""The memory half of the fault matrix: every death for want of memory, run for real."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import MB
from memory_cells import (
    ASKS, CHILD, EATS, HOLDS, LIMIT, LOADFILE, NEEDS_CGROUPS, ORDERED, WAYS, cgroup, check_address_space, check_holders, check_last_second,
    check_told, ending, evidence, limited, record, write,
)

__all__ = ["cgroup"]
pytestmark = NEEDS_CGROUPS


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
@pytest.mark.parametrize("restarts", [0, 1])
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
    check_told(job, "The cgroup's oom_kill counter rose by", "was seen last in test_1_holds.py::test_eats, and was ended by SIGKILL")
    check_last_second(server, job["uuid"], role="worker", worker="gw0")


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


@WAYS
def test_a_test_that_is_refused_memory(server, recorder, way):
    write(recorder.folder, test_1_asks=ASKS)
    summary = record(recorder, way, limited(ORDERED), server)
    assert recorder.done.returncode == 1
    job = server.job(summary["uuid"])
    ending(job, "memory_error", "likely")
    check_told(job, "test_1_asks.py::test_asks failed with a MemoryError.")
    check_address_space(job)
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
    check_address_space(job)


def test_what_aborts_for_want_of_memory_is_a_crash_that_tells_of_it(recorder):
    write(recorder.folder, test_1_aborts="import os, room\n\ndef test_aborts():\n    try:\n        room.eat()\n    except OSError:\n        os.abort()\n")
    summary = record(recorder, "run", limited(ORDERED))
    found = ending(summary, "crashed", "certain")
    assert "may have been refused memory" in found["sentence"] and found["victim"] == "test_1_aborts.py::test_aborts"


@WAYS
def test_the_guard(server, recorder, way):
    write(recorder.folder, test_1_holds=HOLDS, test_2_eats=EATS)
    flags = ("--memory-limit", "155MB", "--on-limit", "stop")
    summary = record(recorder, way, ORDERED + ["--junitxml=report.xml"], server, flags)
    assert recorder.done.returncode == 2
    job = server.job(summary["uuid"])
    found = ending(job, "guard_stopped", "certain")
    assert job["censored"] and found["victim"] == "test_2_eats.py::test_eats"
    held = check_holders(job, "test_1_holds.py", "service (session)")
    assert abs(held["test_1_holds.py"] - 60 * MB) < 2 * MB
    check_told(job, "The guard told pytest to end by SIGINT, at the memory limit")
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
    # Who was not seen may be hidden, as a daemon of the host is from a container.
    found = ending(job, "oom_daemon", "likely")
    assert job["censored"] and found["victim"] == "test_2_fills.py::test_fills"
    assert ("earlyoom" in found["sentence"]) == (name == "earlyoom"), found["sentence"]
    assert ("none was seen" in found["sentence"]) == (name == "somebody"), found["sentence"]
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
    names = [culprit["name"] for culprit in found["culprits"] if culprit["kind"] != "running"]
    assert len(names) >= 4 and not any(running in name for name in names), (names, running)
    kinds = {culprit["kind"] for culprit in found["culprits"]} - {"running"}
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
