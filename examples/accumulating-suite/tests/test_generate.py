"""The generator itself: what it writes runs, is the same each time, and its truth is what was meant."""

import json
import pathlib
import subprocess
import sys

import pytest

GENERATE = pathlib.Path(__file__).resolve().parents[1] / "generate.py"
MB = 1000 * 1000


def generate(out, *options):
    subprocess.run([sys.executable, str(GENERATE), str(out)] + list(options), check=True, stdout=subprocess.DEVNULL)


def texts(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.*"))}


def run(folder, *options):
    truth = folder / "truth"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"] + list(options)
    import os

    done = subprocess.run(command, cwd=str(folder), env=dict(os.environ, SUITE_TRUTH=str(truth)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    rows = [json.loads(line) for path in truth.glob("*.jsonl") for line in path.read_text().splitlines()]
    return done, rows


def test_the_same_seed_writes_the_same_suite_and_another_does_not(tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        generate(tmp_path / name, "--seed", seed)
    assert texts(tmp_path / "a") == texts(tmp_path / "b") != texts(tmp_path / "c")
    assert sum(1 for path in texts(tmp_path / "a") if "/test_" in path) == 85


@pytest.mark.parametrize("case", ["exact", "kinds", "spikes", "reuse"])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_case_passes_and_writes_its_truth(tmp_path, case, workers):
    generate(tmp_path / "suite", "--case", case, "--scale", "0.02")
    done, rows = run(tmp_path / "suite", "-n", workers)
    assert done.returncode == 0, done.stdout.decode()
    assert rows


def test_what_is_mapped_and_kept_is_in_the_truth(tmp_path):
    generate(tmp_path / "suite", "--case", "exact")
    _, rows = run(tmp_path / "suite")
    kept = [row["after"] - row["before"] for row in rows if row["path"].endswith("test_retain.py")]
    assert abs(sum(kept) - 50 * MB) < MB
    spiked = [row["after"] - row["before"] for row in rows if row["path"].endswith("test_spike.py")]
    assert abs(sum(spiked)) < MB


def test_every_outcome_is_there(tmp_path):
    generate(tmp_path / "suite", "--case", "outcomes")
    done, _ = run(tmp_path / "suite")
    last = done.stdout.decode().splitlines()[-1]
    for part in ("1 failed", "2 passed", "1 skipped", "1 xfailed", "1 xpassed", "2 errors"):
        assert part in last, last


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = subprocess.run([sys.executable, str(GENERATE), str(tmp_path)], stderr=subprocess.PIPE)
    assert done.returncode == 2 and b"is not empty" in done.stderr
