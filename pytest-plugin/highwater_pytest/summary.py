"""The table that ``pytest --highwater`` shows at the end of a run without an agent."""

import glob
import os

import pytest

from .books import add_up
from .reading import read

_ROWS = 10


def mebibytes(size):
    return "%.1f MiB" % (size / 1048576.0)


class Unrecorded:
    """Stands where the table would, when there is nothing to show."""

    def __init__(self, error):
        self.error = error

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section("memory (highwater)")
        terminalreporter.write_line("Nothing was recorded: %s: %s" % (type(self.error).__name__, self.error))


class Summary:
    """Reads back what every process of the session wrote, and says which files kept what."""

    def __init__(self, recording):
        self.recording = recording

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter):
        writer = self.recording.recorder.writer
        writer.flush()
        if writer.failed:
            terminalreporter.write_line("highwater: the recording broke off: %s" % writer.failed)
        terminalreporter.section("memory (highwater)")
        for line in self.lines():
            terminalreporter.write_line(line)

    def lines(self):
        own = self.recording.session["session"]
        everyone = [books for books in map(_books_of(own), self._files()) if books is not None]
        files = {}
        for path, file in (item for books in everyone for item in books.files.items()):
            together = files.setdefault(path, [0, 0, 0])
            together[0] += file.retained
            together[1] = max(together[1], file.spike)
            together[2] += file.tests
        if self.recording.recorder.problem:
            yield "The recording stopped early: %s" % self.recording.recorder.problem
        if not files:
            yield "No test ran."
            return
        exact = all(books.exact for books in everyone)
        yield "highest RSS of a process: %s (%s)" % (
            mebibytes(max(books.peak for books in everyone)),
            "exact, by the kernel's high-water mark" if exact else "at boundaries only: peaks in between are not seen",
        )
        yield "%12s  %12s  %6s  file" % ("retained", "spike", "tests")
        ranked = sorted(files.items(), key=lambda item: (-item[1][0], item[0]))
        for path, (retained, spike, tests) in ranked[:_ROWS]:
            yield "%12s  %12s  %6d  %s" % (mebibytes(retained), mebibytes(spike), tests, path)
        if len(ranked) > _ROWS:
            yield "... and %d more files" % (len(ranked) - _ROWS)
        path, (_, spike, _) = max(files.items(), key=lambda item: item[1][1])
        yield "largest spike: %s in %s" % (mebibytes(spike), path)

    def _files(self):
        return sorted(glob.glob(os.path.join(glob.escape(self.recording.folder), "*.events")))


def _books_of(session):
    def books(path):
        with open(path, "rb") as file:
            records, _ = read(file.read())
        if not any(record["kind"] == "S" and record["session"] == session for record in records):
            return None
        return add_up(records)

    return books
