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
# A mark that follows a reading within this time repeats it. In 50 µs the kernel hands out less than 1 MB, and no peak is lost: its
# mark is not reset, so what it saw counts for the interval after.
_YOUNG_US = 50
# Share of the run that reading ``sys.getallocatedblocks`` may take.
_BLOCKS_SHARE = 0.001


def guarded(method):
    """Lets no error of the recording reach pytest: it ends the recording and is told at the end."""
    getpid = kernel.real.getpid

    @functools.wraps(method)
    def call(self, *args):
        if not self.active:
            return None
        try:
            if getpid() == self.pid or self._begin_in_child():
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
        self._clock = kernel.real.monotonic_ns
        self.paths = Paths(root)
        self._versions = versions
        self._exact_wanted = exact
        self._executions = {}
        self._fixtures = 0
        # Fixtures that are being torn down, by their definition.
        self.open_fixtures = {}
        self._test = None
        self._file = None
        self._true_peak = 0
        self._blocks_cost_us = 0
        self._blocks_since_us = kernel.monotonic_us()
        self._next_peak = None
        self._read_us, self._rss, self._flat = 0, 0, "-"
        self._session = None
        self.writer = Writer(folder)
        self._begin_process(0)

    def _begin_process(self, forked_from):
        self._forked = forked_from != 0
        self._next_peak = kernel.life_peak()
        self.kernel = kernel.Kernel(self._exact_wanted)
        if not self.kernel.exact:
            self._next_peak = None
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

    def _reading(self):
        """Clock in µs, RSS in bytes, and the highest RSS since the reading before, ``"-"`` where it is not known."""
        now = self._clock() // 1000
        rss, peak = self.kernel.read()
        if self._next_peak is not None:
            peak = max(peak or 0, self._next_peak, rss)
            self._next_peak = None
        highest = rss if peak is None else peak
        if highest > self._true_peak:
            self._true_peak = highest
        self._read_us, self._rss = now, rss
        if peak is None:
            self._flat = peak = "-"
        else:
            self._flat = rss
        return now, rss, peak

    def _put(self, kind, tail=""):
        """A mark for the next flush; ``tail`` is the rest of its line, each field after a tab."""
        now = self._clock() // 1000
        if now - self._read_us < _YOUNG_US:
            rss, peak = self._rss, self._flat
        else:
            now, rss, peak = self._reading()
        self.writer.put(f"{kind}\t{now}\t{rss}\t{peak}{tail}\n")

    def _begin_in_child(self):
        """A forked child that reaches a hook begins a recording of its own; False where it cannot."""
        parent, self.pid = self.pid, kernel.real.getpid()
        self.kernel.forget()
        self.writer.abandon()
        self.writer = Writer(self.writer.folder)
        self._true_peak = 0
        self.open_fixtures = {}
        self._read_us = 0
        self._begin_process(parent)
        if self._session is not None:
            self.writer.record("S", self._session)
        if self._test is not None:
            self._put("tb", self._test)
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
        self._put("cb")
        self.writer.flush()

    @guarded
    def collection_ends(self, items):
        self._put("ce", f"\t{items}")

    @guarded
    def import_begins(self, path):
        self._put("ib", f"\t{escape(self.paths.name(path))}")
        self.writer.flush()

    @guarded
    def import_ends(self, outcome):
        self._put("ie", f"\t{outcome}")

    @guarded
    def session_ends(self, status):
        self._blocks(None)
        self._put("se", f"\t{int(status)}")
        self.writer.flush()

    @guarded
    def leave(self):
        """The last word: the highest RSS of the whole life, which ``ru_maxrss`` no longer tells."""
        now, rss, peak = self._reading()
        self.writer.put(f"xx\t{now}\t{rss}\t{peak}\t{self._true_peak}\n")

    # Tests

    @guarded
    def test_begins(self, nodeid, path):
        if self.kernel.lost:
            self.kernel.lost = 0
            self.writer.record("N", {"code": "descriptors_lost", "message": "a test closed descriptors that were not its own"})
        name = self.paths.name(path)
        if name != self._file:
            self._blocks(name)
        execution = self._executions.get(nodeid, 0) + 1
        self._executions[nodeid] = execution
        self._test = f"\t{execution}\t{escape(name)}\t{escape(nodeid)}"
        self._put("tb", self._test)
        self.writer.flush()

    @guarded
    def phase_begins(self, phase):
        self._put("tp", f"\t{phase}")
        if phase == "call":
            self.writer.flush()

    @guarded
    def teardown_ends(self):
        """In a forked child this is the last that is seen of the test; how it ended is for its parent to say."""
        if self._forked:
            self._test = None
            self._put("te", "\tunknown\t-\t-\t-")
            self.writer.flush()

    @guarded
    def test_ends(self, outcome, phases):
        """``phases``: outcomes of set-up, call and teardown as pytest reported them."""
        self._test = None
        setup, call, teardown = phases
        self._put("te", f"\t{outcome}\t{setup}\t{call}\t{teardown}")

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
    def words_of_fixture(self, name, scope, path, base):
        """The fields of a fixture's line that are the same at each set-up."""
        file = "" if scope == "session" or path is None else escape(self.paths.name(path))
        return f"\t{escape(name)}\t{scope}\t{file}\t{escape(base)}"

    @guarded
    def fixture_begins(self, words):
        """The number of this set-up in the process; ``None`` where it is not recorded."""
        self._fixtures += 1
        self._put("fb", f"\t{self._fixtures}{words}")
        self.writer.flush()
        return self._fixtures

    @guarded
    def fixture_ends(self, number, outcome):
        self._put("fe", f"\t{number}\t{outcome}")

    @guarded
    def release_begins(self, fixturedef, number):
        self.open_fixtures[fixturedef] = number
        self._put("rb", f"\t{number}")

    @guarded
    def release_ends(self, fixturedef):
        self._put("re", f"\t{self.open_fixtures.pop(fixturedef)}")

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
        failed = self.writer.close()
        self.problem = self.problem or failed
        self.kernel.forget()
