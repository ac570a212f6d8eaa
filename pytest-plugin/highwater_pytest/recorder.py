"""Turns what pytest does into marks.

A mark is taken by ``mark``: clock, RSS, peak, as the head of a line. Begin lines are flushed before the thing begins; end lines wait
for the next begin. Whatever goes wrong in here ends the recording, never the tests: ``mark`` guards itself, and what does more than mark
is guarded by ``guarded``.
"""

import functools
import os
import sys
import weakref

from . import kernel
from .paths import Paths
from .writer import Writer, escape

_allocated_blocks = getattr(sys, "getallocatedblocks", None)

FORMAT_VERSION = 1
# A mark that follows a reading within this time repeats it. In 50 µs the kernel hands out less than 1 MB, and no peak is lost: its
# mark is not reset, so what it saw counts for the interval after.
_YOUNG_US = 50
# An import in a test that took less than this is the test's: the kernel counts no finer.
_LEAST_IMPORT_BYTES = 64 * 1024
# How often it is looked whether the events file is still there.
_FOLLOW_US = 1_000_000
# So much of the list of collected files is written, and of the rest the number.
_MOST_FILES, _MOST_CHARACTERS = 2_000, 120_000
# Share of the run that reading ``sys.getallocatedblocks`` may take.
_BLOCKS_SHARE = 0.001


def guarded(method):
    """Lets no error of the recording reach pytest: it ends the recording and is told at the end. What a signal's handler raises is the tests' own."""

    @functools.wraps(method)
    def call(self, *args):
        try:
            if self.active or self._wakes():
                return method(self, *args)
        except Exception as error:
            if kernel.is_foreign(error):
                raise
            self.fail(method.__name__, error)
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
        # Fixtures that are being torn down, the innermost last.
        self._releasing = []
        self._test = None
        self._file = None
        self._true_peak = 0
        # Highest RSS since whoever watches set it.
        self.watched_peak = 0
        self._blocks_cost_us = 0
        self._blocks_since_us = kernel.monotonic_us()
        # What takes apart why memory stays, where that was asked for.
        self.diagnosis = None
        # What knows of the modules that tests import.
        self.late = None
        # Whether a mark is being taken. What imports meanwhile, the handler of a signal or a finalizer, is not marked in between.
        self._is_busy = False
        self._next_peak = None
        # The last reading: when, and its words in a line that repeats it.
        self._read_us, self._figures = 0, ""
        self._next_follow_us = 0
        self._session = None
        self._asleep = False
        self.writer = Writer(folder)
        self._begin_process(0)
        os.register_at_fork(after_in_child=_sleeper(self))

    def _begin_process(self, forked_from):
        self._forked = forked_from != 0
        # Forked within that test, as under pytest-forked: the parent tells how it ended.
        self._parents_test = self._test if self._forked else None
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
            "python": sys.version.split()[0],
            "exact": self.kernel.exact,
            "exact_reason": self.kernel.exact_reason,
            "peak_source": self.kernel.peak_source,
            "peak_error_bytes": self.kernel.peak_error_bytes,
            "page_bytes": kernel.PAGE_BYTES,
            "forked_from": forked_from,
        }
        header.update(self._versions)
        self._put = self.writer.put
        self.writer.record("H\t%d" % FORMAT_VERSION, header)
        self.active = not self.writer.failed

    # Marks

    def _reading(self, now):
        """RSS in bytes, and the highest RSS since the reading before, ``"-"`` where it is not known."""
        rss, peak = self.kernel.read()
        if self._next_peak is not None:
            peak = max(peak or 0, self._next_peak, rss)
            self._next_peak = None
        highest = rss if peak is None else peak
        if highest > self._true_peak:
            self._true_peak = highest
        if highest > self.watched_peak:
            self.watched_peak = highest
        self._read_us = now
        if peak is None:
            self._figures, peak = f"\t{rss}\t-", "-"
        else:
            self._figures = f"\t{rss}\t{rss}"
        return rss, peak

    def mark(self, kind, tail="", flush=False):
        """A mark; ``tail`` is the rest of its line, each field after a tab. It waits for the next that is flushed."""
        if not self.active and not self._wakes():
            return
        self._is_busy = True
        try:
            now = self._clock() // 1000
            if now - self._read_us < _YOUNG_US:
                self._put(f"{kind}\t{now}{self._figures}{tail}\n")
            else:
                rss, peak = self._reading(now)
                self._put(f"{kind}\t{now}\t{rss}\t{peak}{tail}\n")
            if flush:
                if now >= self._next_follow_us:
                    self._next_follow_us = now + _FOLLOW_US
                    self.writer.follow()
                self.writer.flush()
        except Exception as error:
            if kernel.is_foreign(error):
                raise
            self.fail(kind, error)
        finally:
            self._is_busy = False

    def in_test(self):
        """Whether a test is open in a recording that goes on, and nothing is marked just now."""
        return self._test is not None and self.active and not self._is_busy

    def late_import_begins(self):
        """A reading between two marks, for `late_import_ends`; what a signal handler of the test raises meanwhile goes its way."""
        try:
            now = self._clock() // 1000
            rss, peak = self._reading(0)
            self._next_peak = None if peak == "-" else peak
            return now, rss, peak
        except (OSError, IndexError, ValueError) as error:
            if kernel.is_foreign(error):
                raise
            self.fail("late_import_begins", error)
            return None

    def late_import_ends(self, name, begun):
        """Marks the import where it took memory and nothing was marked inside, and says whether; else no peak is lost to the readings."""
        if not self.active or self._read_us or begun[2] not in ("-", self._next_peak):
            return False
        began, before, peak_before = begun
        try:
            now = self._clock() // 1000
            self._next_peak = None
            rss, peak = self._reading(now)
            if rss - before < _LEAST_IMPORT_BYTES:
                self._read_us = 0
                self._next_peak = None if "-" in (peak, peak_before) else max(peak, peak_before)
                return False
            # Of a text that says something else of itself its characters count.
            module = escape(str.__str__(name))
            self._put(f"mb\t{began}\t{before}\t{peak_before}\t{module}\nme\t{now}\t{rss}\t{peak}\n")
            # Who holds the memory matters most where the test does not live to its next mark.
            self.writer.flush()
        except (OSError, IndexError, ValueError) as error:
            if kernel.is_foreign(error):
                raise
            self.fail("late_import_ends", error)
            return False
        return True

    def _modules_gone(self, names):
        for name in names:
            self.mark("mg", "\t" + escape(str.__str__(name)))

    def look(self):
        """The RSS of now in bytes, between two marks: the next mark takes a reading of its own, and no peak is lost to it."""
        if not self.active and not self._wakes():
            # The recording has ended; limits are held all the same.
            rss, peak = self.kernel.read()
            self.watched_peak = max(self.watched_peak, rss, peak or 0)
            return rss
        rss, peak = self._reading(0)
        self._next_peak = None if peak == "-" else peak
        return rss

    def _wakes(self):
        """A forked child that reaches a hook begins a recording of its own; False where there is none to be had."""
        if not self._asleep:
            return False
        self._asleep = False
        with kernel.OwnErrors(functools.partial(self.fail, "fork")):
            parent, self.pid = self.pid, kernel.real.getpid()
            self.kernel.forget()
            self.writer.abandon()
            self.writer = Writer(self.writer.folder)
            self._true_peak = 0
            self._releasing = []
            self._read_us = 0
            # A child of one test has no files whose end could be looked at.
            self.diagnosis = None
            self._begin_process(parent)
            if self._session is not None:
                self.writer.record("S", self._session)
            if self._test is not None:
                self.mark("tb", self._test, True)
        return self.active

    # Session

    @guarded
    def session_begins(self, session):
        self._session = session
        self.writer.record("S", session)
        self.mark("sb", "", True)

    @guarded
    def import_begins(self, path):
        self.mark("ib", f"\t{self.paths.word(path)}", True)

    def lists_files(self):
        """Whether this process says what was collected: of xdist's workers, which collect the same, the first. Under ``--dist each`` all run it."""
        session = self._session or {}
        return self.active and session.get("worker") in ("", "gw0") and session.get("dist") != "each"

    def words_of_files(self, counts):
        """The field that lists files with the tests to run of each; ``counts`` is in the order in which they begin."""
        lines, characters = [], 0
        for path, tests in counts.items():
            line = f"{tests} {self.paths.word(path)}"
            characters += len(line) + 1
            if len(lines) == _MOST_FILES or characters > _MOST_CHARACTERS:
                lines.append(f"+{len(counts) - len(lines)}")
                break
            lines.append(line)
        return "\t" + "\n".join(lines).replace("\\", "\\\\").replace("\n", "\\n")

    @guarded
    def tests_end(self):
        """The end of the last test is on disk before the hooks of others, some of which leave by ``os._exit``."""
        self.writer.flush()

    @guarded
    def session_ends(self, status):
        if self.late is not None:
            self._modules_gone(self.late.file_ends())
        self._blocks(None)
        self._diagnose()
        self.mark("se", f"\t{int(status)}", True)

    @guarded
    def leave(self):
        """The last word: the highest RSS of the whole life, which ``ru_maxrss`` no longer tells."""
        now = self._clock() // 1000
        rss, peak = self._reading(now)
        self.writer.put(f"xx\t{now}\t{rss}\t{peak}\t{self._true_peak}\n")

    # Tests

    @guarded
    def test_begins(self, nodeid, path, limit):
        """``limit``: the field of its time limit, or ``""``."""
        if self.kernel.lost:
            self.kernel.lost = 0
            self.writer.record("N", {"code": "descriptors_lost", "message": "a test closed descriptors that were not its own"})
        name = self.paths.word(path)
        if name != self._file:
            if self.late is not None:
                self._modules_gone(self.late.file_ends())
            self._blocks(name)
            self._diagnose()
        execution = self._executions.get(nodeid, 0) + 1
        self._executions[nodeid] = execution
        self._test = f"\t{execution}\t{name}\t{escape(nodeid)}{limit}"
        self.mark("tb", self._test, True)

    def teardown_ends(self, cause):
        """In a child that was forked for the test this is the last that is seen of it; how it ended is for its parent to say, which does not see why."""
        if self._parents_test is not None:
            self._test = self._parents_test = None
            self.mark("te", f"\tunknown\t-\t-\t-{cause}", True)

    def test_ends(self, outcomes):
        """``outcomes``: of the test, and of set-up, call and teardown as pytest reported them, as fields; then the cause, if one is known."""
        self._test = None
        self.mark("te", outcomes)
        if self.late is not None:
            self._modules_gone(self.late.test_ends())
        if self._forked:
            # It may leave by ``os._exit`` after any test.
            self.tests_end()

    def _blocks(self, name):
        self._file = name
        now = kernel.monotonic_us()
        if _allocated_blocks is None or self._blocks_cost_us > _BLOCKS_SHARE * (now - self._blocks_since_us):
            return
        blocks = _allocated_blocks()
        cost = kernel.monotonic_us() - now
        self._blocks_cost_us += cost
        self.writer.put("a\t%d\t%d\t%d\n" % (now, blocks, cost))

    def _diagnose(self):
        """Between two marks of its own, whose change belongs to nobody but the diagnosis."""
        if self.diagnosis is None or not self.diagnosis.is_due():
            return
        peaks = self._true_peak, self.watched_peak
        self.mark("db", "", True)
        found = {}
        try:
            with kernel.OwnErrors(self._no_diagnosis):
                found = self.diagnosis.measure(lambda: self.kernel.read()[0])
        finally:
            self.mark("de", "\t" + self.writer.json(found))
            self._true_peak, self.watched_peak = peaks

    def _no_diagnosis(self, error):
        self.diagnosis = None
        message = "%s: %s; memory is recorded on without it" % (type(error).__name__, error)
        self.writer.record("N", {"code": "diagnosis_failed", "message": message[:1000]})

    # Fixtures

    @guarded
    def words_of_fixture(self, name, scope, path, base):
        """The fields of a fixture's line that are the same at each set-up."""
        file = "" if scope == "session" or path is None else self.paths.word(path)
        return f"\t{escape(name)}\t{scope}\t{file}\t{escape(base)}"

    def fixture_begins(self, words):
        """The number of this set-up in the process, as a field."""
        self._fixtures += 1
        number = f"\t{self._fixtures}"
        self.mark("fb", number + words, True)
        return number

    def release_begins(self, number):
        self._releasing.append(number)
        self.mark("rb", number)

    def release_ends(self, number):
        """Does nothing for a set-up that failed: there is nothing to release."""
        if self._releasing and self._releasing[-1] == number:
            self._releasing.pop()
            self.mark("re", number)

    # The end

    @guarded
    def notice(self, code, message):
        self.writer.record("N", {"code": code, "message": message})

    def fail(self, where, error):
        """Ends the recording for a problem of its own."""
        problem = "%s: %s: %s" % (where, type(error).__name__, error)
        self.active = False
        self.problem = problem
        # There is nobody left to tell: the summary names the problem where one is asked for.
        with kernel.OwnErrors(self._is_untold):
            self.writer.record("N", {"code": "plugin_stopped", "message": problem[:1000]})

    def _is_untold(self, _):
        self.problem += " (and could not be written)"

    def close(self):
        self.active = self._asleep = False
        if self.diagnosis is not None:
            self.diagnosis.end()
        failed = self.writer.close()
        self.problem = self.problem or failed
        self.kernel.forget()


def _sleeper(recorder):
    """What runs in every forked child: the recording sleeps there until a hook is reached. Most children never reach one."""
    weak = weakref.ref(recorder)

    def sleep():
        asleep = weak()
        if asleep is not None and asleep.active:
            asleep.active, asleep._asleep = False, True

    return sleep
