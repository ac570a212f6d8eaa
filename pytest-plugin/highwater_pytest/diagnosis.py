"""Why memory stays: at the end of each test file what it left is taken apart (``HIGHWATER_DIAGNOSE``).

In this order, for each step uncovers the next: the C library gives back what it kept (``malloc_trim``): what the allocator held. Then garbage
is collected and given back too. What is left lives: Python objects by pymalloc's own count and, where they are larger, by a census;
the rest is native.
"""

import gc
import os
import sys
import warnings

from . import allocators, kernel
from .census import Census, grown, largest
from .kept import Kept

VARIABLE = "HIGHWATER_DIAGNOSE"
# By value of the variable: whether tracemalloc's lines are wanted.
_WANTED = {"1": False, "tracemalloc": True}
# All of it may take so much CPU time, and beyond that so much of the run's time.
_FREE_US = 10_000_000
_SHARE = 0.25
_MOST_TYPES = 10
_MOST_LINES = 10
# Garbage is looked at to name its types alone.
_MOST_GARBAGE = 100_000
# Smaller types are not kept from one census to the next.
_LEAST_BYTES = 1024


def _cpu_us():
    """What this thread took so far; neighbours on the machine make it no dearer."""
    return kernel.real.thread_time_ns() // 1000


def begin(config):
    """The diagnosis of this process, and ``""``; or ``None``, and why it cannot be had."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in _WANTED:
        return None, "%s=%r is none of 0, 1 and tracemalloc" % (VARIABLE, wanted)
    if sys.implementation.name != "cpython":
        return None, "%s: it is made for CPython, and this is %s" % (VARIABLE, sys.implementation.name)
    return Diagnosis(Kept(config), _WANTED[wanted]), ""


class Diagnosis:
    """What it measures is growth since it measured before: a first time before the first file."""

    def __init__(self, kept, traces):
        self.kept = kept
        self._trim = allocators.trimmer()
        self._pymalloc = allocators.pymalloc()
        self._heap = allocators.heap()
        self._lines = Lines() if traces else None
        self._spent_us = self._last_us = 0
        self._since_us = kernel.monotonic_us()
        # Of the time before, from the end of the measuring; and by the census, by name.
        self._small = None
        self._pinned = None
        self._is_first = True
        self._blocks = 0
        self._live_bytes = 0
        self._types = {}

    def is_due(self):
        """Whether one more that costs as much as the last stays within the budget."""
        expected = self._spent_us + self._last_us
        return expected <= _FREE_US + _SHARE * (kernel.monotonic_us() - self._since_us)

    def measure(self, rss_of):
        """What grew and why; FORMAT.md tells the keys. ``rss_of``: reads the RSS."""
        began = _cpu_us()
        found = {"trim": self._trim is not None}
        if self._lines is not None:
            found["lines"], found["tracing_bytes"] = self._lines.stop(_MOST_LINES)
        before = self._small_now()
        self._give_back()
        pinned = self._pinned_now()
        found["trimmed_bytes"] = rss_of()
        found["collected"], found["garbage"] = self._collect()
        self._give_back()
        found["collected_bytes"] = rss_of()
        after, pinned_after = self._small_now(), self._pinned_now()
        found["pinned_bytes"] = pinned - (pinned if self._pinned is None else self._pinned)
        blocks = sys.getallocatedblocks()
        found["live_blocks"] = blocks - self._blocks
        census = Census()
        census.count(gc.get_objects())
        if after is None or before is None:
            small, large = 0, census.all_bytes
            found["kept_bytes"], found["freed_bytes"] = 0, pinned_after - pinned
        else:
            small, large = after.used_bytes, census.large_bytes
            known = self._small or before
            found["kept_bytes"] = before.free_bytes - known.free_bytes
            found["freed_bytes"] = after.free_bytes - before.free_bytes + pinned_after - pinned
        # A census is an estimate: the process's own figure bounds it.
        resident = found["collected_bytes"]
        found["live_bytes"] = min(round(small + large), resident) - self._live_bytes
        named = census.by_name(_LEAST_BYTES)
        del census
        found["types"] = grown(named, self._types, _MOST_TYPES)
        self._types = named
        found["pytest"] = {name: size for name, size in self.kept.grown().items() if size}
        self._give_back()
        self._small, self._pinned, self._blocks = self._small_now(), self._pinned_now(), sys.getallocatedblocks()
        small = self._small.used_bytes if small and self._small is not None else 0
        self._live_bytes = min(round(small + large), resident)
        if self._lines is not None:
            self._lines.go_on()
        self._last_us = found["cost_us"] = _cpu_us() - began
        self._spent_us += self._last_us
        if self._is_first:
            self._is_first = False
            return {"baseline": True, "cost_us": self._last_us}
        return found

    def end(self):
        """The session is over: nothing is traced any more."""
        if self._lines is not None:
            self._lines.end()

    def _small_now(self):
        return self._pymalloc() if self._pymalloc is not None else None

    def _pinned_now(self):
        return self._heap() or 0 if self._heap is not None else 0

    def _give_back(self):
        if self._trim is not None:
            self._trim()

    @staticmethod
    def _collect():
        """Collects all garbage; how many objects that were, and which types took most of it."""
        hook, flags, kept = sys.unraisablehook, gc.get_debug(), len(gc.garbage)
        # An error in a finalizer that runs now is no error of the test that comes next.
        silent = sys.unraisablehook = lambda unraisable: None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gc.set_debug(flags | gc.DEBUG_SAVEALL)
                try:
                    gc.collect()
                finally:
                    gc.set_debug(flags)
                    found = len(gc.garbage) - kept, _types_of_garbage(kept)
                    del gc.garbage[kept:]
                gc.collect()
        finally:
            if sys.unraisablehook is silent:
                sys.unraisablehook = hook
        return found


def _types_of_garbage(kept):
    """The types that took most, of about so many objects at most that stand for all."""
    step = (len(gc.garbage) - kept) // _MOST_GARBAGE + 1
    census = Census()
    census.count(gc.garbage[kept::step])
    return [[name, count * step, size * step] for name, count, size in largest(census.by_name(_LEAST_BYTES // step), _MOST_TYPES)]


class Lines:
    """The lines that allocated what a file left, by tracemalloc. It stops while the rest is measured, for it stands before pymalloc's own count."""

    def __init__(self):
        import tracemalloc

        self._tracemalloc = tracemalloc
        self._own = os.path.dirname(__file__)
        # Somebody else's traces are not ours to end.
        self._is_ours = not tracemalloc.is_tracing()
        self.go_on()

    def go_on(self):
        if self._is_ours and not self._tracemalloc.is_tracing():
            self._tracemalloc.start()

    def end(self):
        if self._is_ours and self._tracemalloc.is_tracing():
            self._tracemalloc.stop()

    def stop(self, most):
        """The lines with most blocks since it went on, as ``[line, blocks, bytes]``, and the bytes that tracemalloc took for them."""
        if not (self._is_ours and self._tracemalloc.is_tracing()):
            return [], 0
        took = self._tracemalloc.get_tracemalloc_memory()
        rows = []
        for line in self._tracemalloc.take_snapshot().statistics("lineno"):
            frame = line.traceback[0]
            if not frame.filename.startswith(self._own):
                rows.append(["%s:%d" % (frame.filename, frame.lineno), line.count, line.size])
                if len(rows) == most:
                    break
        self.end()
        return rows, took
