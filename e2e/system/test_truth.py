"""What each file retained against what the suite itself read from /proc, with all kinds of memory, at four workers, and after an early death."""

import json

import pytest

from conftest import MB, PYTEST

FILES = 40
#: So many of a hundred files are to be right.
RIGHT = 95


def truth_of(folder):
    """What each file kept by its own account, summed over its tests and workers."""
    kept = {}
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            kept[row["path"]] = kept.get(row["path"], 0) + row["after"] - row["before"]
    return kept


def wrong(files, kept):
    """The files that are off by more than 2 MB and more than a twentieth. The truth is taken around each test, with what it imports and whatever fixtures come and go in it."""
    off = {}
    for path, size in kept.items():
        of_others = files[path].get("late_import_bytes", 0) + files[path].get("shared_fixture_bytes", 0)
        told = files[path]["retained_bytes"] - files[path]["between_bytes"] + of_others
        if abs(told - size) > max(2 * MB, abs(size) // 20):
            off[path] = (told, size)
    return off


@pytest.mark.parametrize("words", [["-n", "1", "--dist", "load"], ["-n", "4", "--dist", "load"], ["-n", "4", "--dist", "loadfile"]], ids=["one worker", "load", "loadfile"])
def test_what_files_retained_is_near_the_truth(server, recorder, example, tmp_path, words):
    pytest.importorskip("xdist")
    suite = example("monolith", scale=0.05, files=FILES)
    summary = recorder.run(PYTEST + words, server, cwd=suite, SUITE_TRUTH=tmp_path / "truth")
    job = server.job(summary["uuid"])
    assert job["ending"]["verdict"] == "passed", job["ending"]
    kept = truth_of(tmp_path / "truth")
    files = {file["path"]: file for file in server.rows(job["uuid"], "files") if file["visits"]}
    assert set(files) == set(kept) and len(kept) == FILES
    off = wrong(files, kept)
    print("%d of %d files are off: %s" % (len(off), FILES, off))
    assert len(off) * 100 <= FILES * (100 - RIGHT), off


def test_what_files_retained_before_a_death_is_near_the_truth(recorder, server, example, tmp_path):
    suite = example("monolith", scale=0.05, files=FILES)
    names = sorted(suite.glob("tests/**/test_*.py"))
    victim = names[len(names) * 2 // 3]
    victim.write_text(victim.read_text() + "\n\ndef test_dies():\n    import os\n    os.kill(os.getpid(), 9)\n")
    summary = recorder.run(PYTEST, server, cwd=suite, SUITE_TRUTH=tmp_path / "truth")
    job = server.job(summary["uuid"])
    assert job["censored"] and recorder.done.returncode == 137
    files = {file["path"]: file for file in server.rows(job["uuid"], "files")}
    kept = truth_of(tmp_path / "truth")
    died = kept.pop(str(victim.relative_to(suite)))
    assert files[str(victim.relative_to(suite))]["censored"] and died > 0
    off = wrong(files, kept)
    print("%d of %d files are off: %s" % (len(off), len(kept), off))
    assert len(kept) == len(names) * 2 // 3 and len(off) * 100 <= len(kept) * (100 - RIGHT), off


SPIKES = "import memory_kinds as kinds\n\ndef test_spikes():\n    held = kinds.%s(80_000_000)\n    getattr(held, 'close', lambda: None)()\n    del held\n"
RETAINS = "import memory_kinds as kinds\n\nKEPT = []\n\ndef test_retains():\n    KEPT.append(kinds.%s(100_000_000))\n"
#: Grows until it is stopped; what it has taken is less than what is held.
DIES = """
import time
import memory_kinds as kinds

KEPT = []

def test_dies():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if len(KEPT) < 80:
            KEPT.append(kinds.mapped(1_000_000))
        time.sleep(0.02)
    raise AssertionError("was not stopped")
"""


@pytest.mark.parametrize("kind", ["mapped", "Malloc", "objects"])
def test_the_culprit_is_the_file_with_the_live_blocks_and_not_the_one_that_spiked_before(recorder, server, example, kind):
    suite = example("reuse")
    for path in suite.glob("tests/test_*.py"):
        path.unlink()
    for name, text in [("a_spikes", SPIKES % kind), ("b_retains", RETAINS % kind), ("c_dies", DIES)]:
        (suite / "tests" / ("test_%s.py" % name)).write_text(text)
    # The spike fits, and what is retained with what the last file takes does not.
    summary = recorder.run(PYTEST, server, ["--memory-limit=175MB", "--on-limit=stop"], cwd=suite)
    ending = server.job(summary["uuid"])["ending"]
    assert ending["verdict"] == "guard_stopped" and ending["victim"].startswith("tests/test_c_dies.py"), ending
    held = [(culprit["name"], culprit["bytes"]) for culprit in ending["culprits"] if culprit["kind"] == "file"]
    assert held[0][0] == "tests/test_b_retains.py" and abs(held[0][1] - 100 * MB) < 5 * MB, held
