"""The figures against what the suites say of themselves and what the kernel says of an unrecorded twin."""

import json
import urllib.request
import subprocess
import sys

import pytest

from conftest import MB, PYTEST

WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile"), ("-n", "2")], ids=["sequential", "loadfile", "load"])


@WORKERS
def test_a_spike_of_5_ms_and_50_mb_kept_are_exact_everywhere(server, recorder, example, workers):
    summary = recorder.run(PYTEST + list(workers), server, cwd=example("exact"))
    assert "spool" not in summary
    job = server.job(summary["uuid"])
    spike = next(test for test in server.rows(job["uuid"], "tests") if "needs_200_mb" in test["nodeid"])
    assert abs(spike["spike_bytes"] - 200 * MB) < MB and spike["peak_kind"] == "exact"
    kept = next(file for file in server.rows(job["uuid"], "files") if file["path"].endswith("test_retain.py"))
    assert abs(kept["retained_bytes"] - 50 * MB) < MB
    with urllib.request.urlopen(server.url + "/jobs/" + job["uuid"]) as page:
        html = page.read().decode()
    shown = "%.1f MiB" % (kept["retained_bytes"] / 1048576)
    assert shown in html and "exact" in html
    terminal = recorder.done.stderr.decode()
    assert shown in terminal and "exact" in terminal


@pytest.mark.parametrize("case", ["kinds", "spikes", "reuse", "monolith"])
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["sequential", "xdist"])
def test_every_file_agrees_with_its_own_truth_and_the_books_balance(server, recorder, example, tmp_path, case, workers):
    truth = tmp_path / "truth"
    options = {"files": 20} if case == "monolith" else {}
    summary = recorder.run(PYTEST + list(workers), server, cwd=example(case, **options), SUITE_TRUTH=truth)
    job = server.job(summary["uuid"])
    assert job["ending"]["verdict"] == "passed", job["ending"]
    kept = {}
    for path in truth.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            kept[row["path"]] = kept.get(row["path"], 0) + row["after"] - row["before"]
    files = {file["path"]: file for file in server.rows(job["uuid"], "files") if file["visits"]}
    assert set(kept) == set(files)
    for path, size in kept.items():
        # What falls between two tests of a file counts for the file, but the truth is taken around each test; and fixtures of the session end with the last.
        recorded = files[path]["retained_bytes"] - files[path]["between_bytes"] + files[path]["shared_fixture_bytes"]
        assert abs(recorded - size) <= max(MB, abs(size) // 100), path
    processes = [process for process in server.rows(job["uuid"], "processes") if process["books"]]
    assert len(processes) == (3 if workers else 1)
    for process in processes:
        books = process["books"]
        parts = ("first_bytes", "import_bytes", "fixture_bytes", "test_bytes", "between_bytes")
        assert sum(books[part] for part in parts) == books["last_bytes"]


HEAVY = "import mmap\nPAGES = mmap.mmap(-1, 40_000_000)\nfor at in range(0, 40_000_000, 4096):\n    PAGES[at] = 1\n"
IMPORTS = """
import mmap
KEPT = []
def test_keeps():
    import heavy
    KEPT.append(mmap.mmap(-1, 10_000_000))
    for at in range(0, 10_000_000, 4096):
        KEPT[0][at] = 1
"""


def test_modules_that_do_not_stay_take_nothing_off_what_leaks_beside_them(server, recorder, tmp_path):
    """Generated modules, each thrown out by the test that imported it: had they stayed, the file would seem to give back memory, and they would hold it."""
    suite = tmp_path / "suite"
    suite.mkdir()
    for n in range(6):
        (suite / ("gen_%d.py" % n)).write_text("BLOCK = bytearray(b'x' * 20_000_000)\n")
    (suite / "test_gen.py").write_text(
        "import importlib, sys\nimport pytest\nKEPT = []\n@pytest.mark.parametrize('n', range(6))\ndef test_leaks(n):\n"
        "    importlib.import_module('gen_%d' % n)\n    del sys.modules['gen_%d' % n]\n    KEPT.append(bytearray(b'x' * 5_000_000))\n"
    )
    summary = recorder.run(PYTEST + ["test_gen.py"], server, cwd=suite)
    [file] = server.rows(summary["uuid"], "files")
    assert file["late_import_bytes"] < MB and not file["late_imports"], file
    assert 28 * MB < file["retained_bytes"] < 36 * MB, file
    assert 40 * MB < file["spike_bytes"] < 80 * MB, file


def test_a_module_that_tests_import_late_is_charged_to_no_file(server, recorder, tmp_path):
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "heavy.py").write_text(HEAVY)
    for name in "abc":
        (suite / ("test_%s.py" % name)).write_text(IMPORTS)
    for order in ("abc", "cba"):
        summary = recorder.run(PYTEST + ["test_%s.py" % name for name in order], server, cwd=suite)
        files = {file["path"]: file for file in server.rows(summary["uuid"], "files")}
        assert len(files) == 3
        for path, file in files.items():
            assert abs(file["retained_bytes"] - 10 * MB) < MB, (order, file)
            assert file["spike_bytes"] < 12 * MB, (order, file)
            is_first = path.endswith("test_%s.py" % order[0])
            assert abs(file["late_import_bytes"] - (40 * MB if is_first else 0)) < MB, (order, file)
            assert [it["module"] for it in file["late_imports"]] == ["heavy"] * is_first
        [process] = [process for process in server.rows(summary["uuid"], "processes") if process["books"]]
        assert process["books"]["import_bytes"] > 40 * MB
        with urllib.request.urlopen(server.url + "/jobs/" + summary["uuid"]) as page:
            assert "first to import heavy (38." in page.read().decode()


def test_the_peak_of_one_process_is_that_of_an_unrecorded_twin(server, recorder, example):
    suite = example("kinds")
    summary = recorder.run(PYTEST, server, cwd=suite)
    twin = "import os, resource, subprocess, sys\nsubprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n" \
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    # A small parent: ru_maxrss survives exec, so the twin must not be forked from a large one.
    done = subprocess.run([sys.executable, "-S", "-c", twin] + PYTEST, cwd=str(suite), stdout=subprocess.PIPE, check=True)
    truth = int(done.stdout)
    assert summary["peak_metric"] == "rss" and summary["peak_kind"] == "exact"
    assert abs(summary["peak_bytes"] - truth) < truth / 100


SAMPLER = """
import os, sys, time

def tree(root):
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir("/proc/%d/task" % pid):
                todo += map(int, open("/proc/%d/task/%s/children" % (pid, task)).read().split())
        except OSError:
            pass
    return found

def pss(pid):
    try:
        for line in open("/proc/%d/smaps_rollup" % pid):
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0

# A round reads one process after another: where one frees and the next grows meanwhile, a single sum shows what never was.
# On a plateau the rounds agree.
root, highest, before = int(sys.argv[1]), 0, 0
while os.path.exists("/proc/%d" % root):
    members = [pid for pid in tree(root) if pid != root]
    now = sum(map(pss, members))
    highest, before = max(highest, min(before, now)), now
    time.sleep(0.001)
    if open("/proc/%d/stat" % root).read().rpartition(")")[2].split()[0] == "Z":
        break
print(highest)
"""


def test_the_peak_of_a_tree_is_that_of_an_independent_sampler(server, recorder, example):
    running = recorder.start(PYTEST, server, cwd=example("plateaus"))
    sampler = subprocess.run([sys.executable, "-S", "-c", SAMPLER, str(running.pid)], stdout=subprocess.PIPE)
    running.communicate(timeout=120)
    truth = int(sampler.stdout)
    peak = json.loads(recorder.summary.read_text())["peak_bytes"]
    assert truth > 300 * MB
    assert abs(peak - truth) < truth * 0.02, (peak, truth)
