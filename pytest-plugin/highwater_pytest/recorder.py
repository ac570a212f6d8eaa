"""Turns what pytest does into marks.

A mark is taken by ``_mark``: clock, RSS, peak, as the head of a line. Begin lines are flushed before the thing begins; end lines wait
for the next begin. Whatever goes wrong in here ends the recording, never the tests: every entry is guarded by ``guarded``.
"""

import functools
import platform
import sys

from . import kernel
from .paths import Paths
from .writer import Writer, escape

_allocated_blocks = getattr(sys, "getallocatedblocks", None)

FORMAT_VERSION = 1
# Share of the run that reading ``sys.getallocatedblocks`` may take.
_BLOCKS_SHARE = 0.001


def guarded(method):
    """Lets no error of the recording reach pytest: it ends the recording and is told at the end."""

    @functools.wraps(method)
    def call(self, *args):
        if not self.active:
            return None
        try:
            return method(self, *args)
        except Exception as error:
            self.stop("%s: %s: %s" % (method.__name__, type(error).__name__, error))
            return None

    return call


class Recorder:
    """The recording of one process and one session of pytest."""

    def __init__(self, folder, root, exact, versions):
        self.active = False
        self.problem = ""
        self.pid = kernel.real.getpid()
        self.paths = Paths(root)
        self._versions = versions
        self._exact_wanted = exact
        self._executions = {}
        self._fixtures = 0
        self._open_fixtures = {}
        self._test = None
        self._file = None
        self._true_peak = 0
        self._blocks_cost_us = 0
        self._blocks_since_us = kernel.monotonic_us()
        self._next_peak = None
        self._session = None
        self.writer = Writer(folder)
        self._begin_process(0)

    def _begin_process(self, forked_from):
        self._forked = forked_from != 0
        self._next_peak = kernel.life_peak()
        self.kernel = kernel.Kernel(self._exact_wanted)
        if not self.kernel.exact:
            self._next_peak = None
        self._read = self.kernel.read
        header = {
            "pid": self.pid,
            "start_ticks": kernel.start_ticks(),
            "boot_id": kernel.boot_id(),
            "monotonic_us": kernel.monotonic_us(),
            "unix_us": kernel.unix_us(),
            "python": platform.python_version(),
            "exact": self.kernel.exact,
            "exact_reason": self.kernel.exact_reason,
            "peak_source": self.kernel.peak_source,
            "peak_error_bytes": self.kernel.peak_error_bytes,
            "page_bytes": kernel.PAGE_BYTES,
            "forked_from": forked_from,
        }
        header.update(self._versions)
        self.writer.record("H\t%d" % FORMAT_VERSION, header)
        self.active = not self.writer.failed

    # Marks

    def _mark(self, kind):
        now = kernel.monotonic_us()
        rss, peak = self._read()
        if self._next_peak is not None:
            peak = max(peak or 0, self._next_peak, rss)
            self._next_peak = None
        if peak is None:
            if rss > self._true_peak:
                self._true_peak = rss
            return "%s\t%d\t%d\t-" % (kind, now, rss)
        if peak > self._true_peak:
            self._true_peak = peak
        return "%s\t%d\t%d\t%d" % (kind, now, rss, peak)

    def _put(self, kind, *fields):
        head = self._mark(kind)
        if fields:
            head += "\t" + "\t".join(fields)
        self.writer.put(head + "\n")

    def _here(self):
        """True in the process that is recorded; a forked child that reaches a hook begins a recording of its own."""
        if kernel.real.getpid() == self.pid:
            return True
        return self._begin_in_child()

    def _begin_in_child(self):
        parent, self.pid = self.pid, kernel.real.getpid()
        self.kernel.forget()
        self.writer.abandon()
        self.writer = Writer(self.writer.folder)
        self._true_peak = 0
        self._open_fixtures = {}
        self._begin_process(parent)
        if self._session is not None:
            self.writer.record("S", self._session)
        if self._test is not None:
            self._put("tb", *self._test)
            self.writer.flush()
        return self.active

    # Session

    @guarded
    def session_begins(self, session):
        self._session = session
        self.writer.record("S", session)
        self._put("sb")
        self.writer.flush()

    @guarded
    def collection_begins(self):
        if self._here():
            self._put("cb")
            self.writer.flush()

    @guarded
    def collection_ends(self, items):
        if self._here():
            self._put("ce", str(items))

    @guarded
    def import_begins(self, path):
        if self._here():
            self._put("ib", escape(self.paths.name(path)))
            self.writer.flush()

    @guarded
    def import_ends(self, outcome):
        if self._here():
            self._put("ie", outcome)

    @guarded
    def session_ends(self, status):
        if kernel.real.getpid() == self.pid:
            self._blocks(None)
            self._put("se", str(int(status)))
            self.writer.flush()

    @guarded
    def leave(self):
        """The last word: the highest RSS of the whole life, which ``ru_maxrss`` no longer tells."""
        if kernel.real.getpid() != self.pid:
            return
        head = self._mark("xx")
        self.writer.put("%s\t%s\n" % (head, self._true_peak or "-"))
        self.close()

    # Tests

    @guarded
    def test_begins(self, nodeid, path):
        if not self._here():
            return
        if self.kernel.lost:
            self.kernel.lost = 0
            self.writer.record("N", {"code": "descriptors_lost", "message": "a test closed descriptors that were not its own"})
        name = self.paths.name(path)
        if name != self._file:
            self._blocks(name)
        execution = self._executions.get(nodeid, 0) + 1
        self._executions[nodeid] = execution
        self._test = (str(execution), escape(name), escape(nodeid))
        self._put("tb", *self._test)
        self.writer.flush()

    @guarded
    def phase_begins(self, phase):
        if not self._here():
            return
        self._put("tp", phase)
        if phase == "call":
            self.writer.flush()

    @guarded
    def teardown_ends(self):
        """In a forked child this is the last that is seen of the test; how it ended is for its parent to say."""
        if self._forked and kernel.real.getpid() == self.pid:
            self._test = None
            self._put("te", "unknown", "-", "-", "-")
            self.writer.flush()

    @guarded
    def test_ends(self, outcome, phases):
        """``phases``: outcomes of set-up, call and teardown as pytest reported them."""
        if not self._here():
            return
        self._test = None
        self._put("te", outcome, *phases)

    def _blocks(self, name):
        self._file = name
        now = kernel.monotonic_us()
        if _allocated_blocks is None or self._blocks_cost_us > _BLOCKS_SHARE * (now - self._blocks_since_us):
            return
        blocks = _allocated_blocks()
        cost = kernel.monotonic_us() - now
        self._blocks_cost_us += cost
        self.writer.put("a\t%d\t%d\t%d\n" % (now, blocks, cost))

    # Fixtures

    @guarded
    def fixture_begins(self, name, scope, path, base):
        if not self._here():
            return 0
        self._fixtures += 1
        file = "" if scope == "session" or path is None else self.paths.name(path)
        self._put("fb", str(self._fixtures), escape(name), scope, escape(file), escape(base))
        self.writer.flush()
        return self._fixtures

    @guarded
    def fixture_ends(self, number, outcome):
        if self._here():
            self._put("fe", str(number), outcome)

    @guarded
    def release_begins(self, key, number):
        if self._here():
            self._open_fixtures[key] = number
            self._put("rb", str(number))

    @guarded
    def release_ends(self, key):
        number = self._open_fixtures.pop(key, None)
        if number is not None and self._here():
            self._put("re", str(number))

    # The end

    def stop(self, problem):
        """Ends the recording for a problem of its own."""
        self.active = False
        self.problem = problem
        try:
            self.writer.record("N", {"code": "plugin_stopped", "message": problem[:1000]})
        except Exception:
            # There is nobody left to tell: the summary names the problem where one is asked for.
            self.problem += " (and could not be written)"

    def close(self):
        self.active = False
        self.writer.close()
        self.kernel.forget()
