"""Deaths for want of memory where less can be known: of another user, with the server down, with the disk full. The verdict is the same."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from conftest import BINARIES, MB, Recorder
from memory_cells import (
    AS_NOBODY, ASKS, CHILD, EATS, HOLDS, LIMIT, LOADFILE, NEEDS_CGROUPS, NOBODY, NOWHERE, ORDERED, WAYS, cgroup, check_address_space,
    check_holders, check_last_second, check_told, disk, ending, evidence, limited, record, write,
)

__all__ = ["cgroup"]
pytestmark = NEEDS_CGROUPS


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
    check_address_space(summary)


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
    ending(summary, verdict, "certain", "likely")
    assert case != "child" or "(oom_child)" in evidence(summary)
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr
    job = server.job(summary["uuid"])
    assert job["ending"]["verdict"] == verdict
    check_last_second(server, job["uuid"], **who)
