"""The table that ``pytest --highwater`` shows at the end of a run without an agent."""

import errno
import glob
import os
import stat

import pytest

from .books import add_up
from .kernel import OwnErrors
from .reading import read

_ROWS = 10
# So many files that were left out are named.
_MOST_LEFT_OUT = 10
# What opening says of a link, and of a socket.
_IRREGULAR = (errno.ELOOP, errno.ENXIO)


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
        with OwnErrors(lambda error: terminalreporter.write_line("The table broke off: %s" % _words(error))):
            writer.flush()
            if writer.failed:
                terminalreporter.write_line("highwater: the recording broke off: %s" % writer.failed)
            # What a test removed is there again where its folder is.
            writer.follow(at_once=True)
            terminalreporter.section("memory (highwater)")
            for line in self.lines():
                terminalreporter.write_line(line)

    def lines(self):
        everyone, left_out = self._everyone()
        files = {}
        for path, file in (item for books in everyone for item in books.files.items()):
            together = files.setdefault(path, [0, 0, 0])
            together[0] += file.retained
            together[1] = max(together[1], file.spike)
            together[2] += file.tests
        if self.recording.recorder.problem:
            yield "The recording stopped early: %s" % self.recording.recorder.problem
        yield from left_out[:_MOST_LEFT_OUT]
        if len(left_out) > _MOST_LEFT_OUT:
            yield "... and %d more were left out" % (len(left_out) - _MOST_LEFT_OUT)
        own = self.recording.recorder.writer.path
        is_removed = not os.path.lexists(own)
        if is_removed:
            yield "%s was removed while the tests ran: what it told is lost." % own
        if not files:
            if not is_removed:
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

    def _everyone(self):
        """The books of each process of the session, and of each file that cannot be read why not."""
        everyone, left_out = [], []
        for path in self._files():
            with OwnErrors(lambda error: left_out.append("%r was left out: %s" % (os.path.basename(path), _words(error)))):
                books = _books(path, self.recording.session["session"])
                if books is not None:
                    everyone.append(books)
        return everyone, left_out


def _words(error):
    if isinstance(error, (OSError, ValueError)):
        return getattr(error, "strerror", None) or str(error)
    return "%s: %s" % (type(error).__name__, error)


def _books(path, session):
    """The books of a file; ``None`` of one of another session, as of a pytest that a test ran."""
    records, _ = read(_read_whole(path))
    if not any(record["kind"] == "S" and record.get("session") == session for record in records):
        return None
    return add_up(records)


def _read_whole(path):
    """The bytes of a file. A test can put anything under its name, and a pipe would keep whoever opens it waiting for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _irregular() if error.errno in _IRREGULAR else error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _irregular()
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _irregular():
    return OSError("no regular file")
