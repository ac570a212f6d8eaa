"""Runs real pytest in subprocesses and reads what the plugin wrote."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

PLUGIN = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PLUGIN))

from highwater_pytest import __version__  # noqa: E402
from highwater_pytest.reading import read  # noqa: E402

MB = 1000 * 1000


class Suite:
    """A folder with tests, and what became of running them."""

    def __init__(self, folder):
        self.folder = folder
        self.events = folder / "recorded events"
        self.events.mkdir()
        self.tests = folder / "suite with spaces"
        self.tests.mkdir()

    def write(self, **files):
        for name, text in files.items():
            (self.tests / (name + ".py")).write_text(text, encoding="utf-8")

    def command(self, *options, ordered=True):
        """In the order of the file, unless a test wants pytest-randomly to shuffle."""
        order = ["-p", "no:randomly"] if ordered else []
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"] + order + list(options)

    def environment(self, **variables):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "HIGHWATER_"))}
        # The agent's way: the plugin is found by the entry point of a folder on PYTHONPATH.
        kept["PYTHONPATH"] = str(self.injected())
        kept.update(variables)
        return kept

    def injected(self):
        folder = self.folder / "injected"
        if not folder.exists():
            info = folder / ("highwater_pytest-%s.dist-info" % __version__)
            info.mkdir(parents=True)
            for name in ("METADATA", "entry_points.txt"):
                (info / name).write_text((PLUGIN / "dist-info" / name).read_text())
            (folder / "highwater_pytest").symlink_to(PLUGIN / "highwater_pytest")
        return folder

    def run(self, *options, **variables):
        variables.setdefault("HIGHWATER_EVENTS", str(self.events))
        return self.call(self.command(*options), **variables)

    def call(self, command, **variables):
        return subprocess.run(
            command,
            cwd=str(self.tests),
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )

    def records(self):
        """Records of each file, by pid; a malformed line fails the test."""
        found = {}
        for path in sorted(self.events.glob("*.events")):
            records, problems = read(path.read_bytes())
            assert not problems, problems
            found[int(path.stem)] = records
        return found

    def only(self):
        records = list(self.records().values())
        assert len(records) == 1, sorted(self.records())
        return records[0]

    def tests_of(self, records):
        """Node id's last part, outcome, start, end and peak of each test."""
        rows, open_test = [], None
        for mark in records:
            if open_test is not None and "peak_bytes" in mark:
                open_test["peak"] = max(open_test["peak"], mark["peak_bytes"] or 0)
            if mark["kind"] == "tb":
                name = mark["nodeid"].split("::", 1)[-1]
                open_test = {"name": name, "start": mark["rss_bytes"], "peak": mark["rss_bytes"], "execution": mark["execution"]}
            elif mark["kind"] == "te" and open_test is not None:
                rows.append(dict(open_test, end=mark["rss_bytes"], outcome=mark["outcome"]))
                open_test = None
        return rows

    def outcomes(self, records):
        return [(row["name"], row["outcome"]) for row in self.tests_of(records)]


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


@pytest.fixture
def need():
    """Names a package that a test uses. Where all must be there, a missing one is a failure."""

    def needed(module, distribution=None):
        if importlib.util.find_spec(module) is None:
            message = "%s is not installed" % (distribution or module)
            if os.environ.get("HIGHWATER_TEST_COMPAT") == "1":
                pytest.fail(message)
            pytest.skip(message)

    return needed
