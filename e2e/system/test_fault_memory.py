"""The memory half of the fault matrix: every death for want of memory, run for real."""

import os
import re
import sys

import pytest

from memory_cells import (
    EATS, HELD, HOLDS, LIMIT, NEEDS_CGROUPS, WAYS, Cgroup, check_holders, check_last_second, check_told, ending, evidence, record, write,
)
from conftest import MB, PYTEST

pytestmark = NEEDS_CGROUPS
ORDERED = PYTEST + ["-p", "no:randomly"]
LOADFILE = ORDERED + ["-n", "2", "--dist", "loadfile"]


@pytest.fixture
def cgroup():
    made = []

    def make(limit=LIMIT):
        made.append(Cgroup(limit))
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
