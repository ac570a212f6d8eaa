"""Deaths for real, where the exit code says one thing and the evidence another."""

import json
import os
import shutil
import subprocess

import pytest
from conftest import MB, PYTEST, wait_for

SLOW = "import time\ndef test_slow():\n    time.sleep(600)\n"
EATS = "import time\nmore = []\nwhile True:\n    more.append(bytearray(2_000_000))\n    time.sleep(0.01)\n"
IN_A_CGROUP = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.isdir("/sys/fs/cgroup/memory"), reason="needs root and a memory cgroup of version 1"
)


def verdict(summary):
    return summary["ending"]["verdict"], summary["ending"]["confidence"]


def evidence(summary):
    return " ".join(figure["sentence"] for figure in summary["ending"]["evidence"])


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


@pytest.mark.parametrize("code", [0, 1, 124, 137, 143])
def test_a_code_by_itself_is_no_verdict(recorder, code):
    (recorder.folder / "test_it.py").write_text("def test_a():\n    pass\n")
    passed = recorder.run(["sh", "-c", "%s; exit %d" % (" ".join(PYTEST), code)])
    assert recorder.done.returncode == code and passed["ending"]["verdict"] == "passed", passed["ending"]
    (recorder.folder / "test_it.py").write_text("import os\ndef test_a():\n    os._exit(%d)\n" % code)
    crashed = recorder.run(PYTEST)
    assert recorder.done.returncode == code
    assert verdict(crashed) == ("crashed", "likely"), crashed["ending"]


@pytest.fixture
def cgroup(recorder):
    """Runs a command in a memory cgroup of 220 MB."""
    folder = "/sys/fs/cgroup/memory/highwater-ending-%d" % os.getpid()
    os.mkdir(folder)
    with open(folder + "/memory.limit_in_bytes", "w") as limit:
        limit.write(str(220 * MB))

    def run(command):
        inside = ["sh", "-c", "echo $$ > %s/cgroup.procs; exec \"$@\"" % folder, "sh"]
        words = inside + recorder.command(command)
        done = subprocess.run(words, cwd=str(recorder.folder), env=recorder.environment(), capture_output=True, timeout=120)
        if not recorder.summary.exists():
            pytest.fail("the kernel took the agent instead: %s" % done.stderr.decode())
        return json.loads(recorder.summary.read_text())

    yield run
    wait_for("the cgroup to be empty", lambda: not open(folder + "/cgroup.procs").read())
    os.rmdir(folder)


@IN_A_CGROUP
def test_a_worker_that_the_kernel_killed_is_told_though_the_code_is_ordinary(recorder, cgroup):
    (recorder.folder / "test_it.py").write_text("def test_before():\n    global held\n    held = bytearray(60_000_000)\n\n\ndef test_eats():\n    import eats\n")
    (recorder.folder / "eats.py").write_text(EATS)
    summary = cgroup(PYTEST + ["-n", "2", "--dist", "loadfile", "--max-worker-restart", "0"])
    assert summary["exit_code"] == 1
    assert verdict(summary) == ("oom_cgroup", "certain"), summary["ending"]
    assert summary["ending"]["victim"].endswith("::test_eats") and summary["ending"]["culprits"], summary["ending"]


@IN_A_CGROUP
def test_a_child_that_the_kernel_killed_is_told_beside_the_ending(recorder, cgroup):
    (recorder.folder / "eats.py").write_text(EATS)
    (recorder.folder / "test_it.py").write_text("import subprocess, sys\ndef test_a():\n    assert subprocess.call([sys.executable, 'eats.py']) == -9\n")
    summary = cgroup(PYTEST)
    assert verdict(summary) == ("passed", "certain"), summary["ending"]
    assert "oom_child" in evidence(summary) and not summary["censored"]
