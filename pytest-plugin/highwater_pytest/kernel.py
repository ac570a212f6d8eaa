"""What the kernel says of this process: its RSS, and the highest RSS since the last mark.

Writing ``5`` to ``/proc/self/clear_refs`` resets the kernel's high-water mark; ``getrusage`` reads it back. Both, and the read
of ``statm``, take about a microsecond each on a descriptor that stays open.

Tests close descriptors that are not theirs, and the numbers are used again; a forked child inherits descriptors that still speak
of its parent. So the descriptors live at high numbers, are known by their identity before anything is written to them, and are
opened afresh in a forked child. Functions of ``os`` and ``time`` are taken when this module is imported, before any test can replace them.
"""

import fcntl
import os
import resource
import signal
import sys
import time
import types

# freezegun and pyfakefs look through every module for functions of ``time`` and ``os`` and replace them there; what an object holds
# they leave alone.
real = types.SimpleNamespace(
    open=os.open,
    close=os.close,
    fstat=os.fstat,
    stat=os.stat,
    fchmod=os.fchmod,
    pread=os.pread,
    write=os.write,
    getpid=os.getpid,
    getrusage=resource.getrusage,
    fcntl=fcntl.fcntl,
    monotonic_ns=time.monotonic_ns,
    thread_time_ns=time.thread_time_ns if hasattr(time, "thread_time_ns") else time.process_time_ns,
    time_ns=time.time_ns,
)
_SELF = resource.RUSAGE_SELF
_F_DUPFD_CLOEXEC = getattr(fcntl, "F_DUPFD_CLOEXEC", 1030)
# Linux only, and in Python's module under these names since 2.3.
_F_SETSIG = getattr(fcntl, "F_SETSIG", None)
_F_GETSIG = getattr(fcntl, "F_GETSIG", None)
# Real-time signals, one for each purpose: a number that is free again may be taken by another file of ours.
SEALS = types.SimpleNamespace(statm=60, clear=61, status=62, events=63)

_STATM, _CLEAR, _STATUS = "/proc/self/statm", "/proc/self/clear_refs", "/proc/self/status"
PAGE_BYTES = resource.getpagesize()
_LEAST_DESCRIPTOR = 200
# The mark is reset only where it stands above the RSS by more than this: what a reset would change is then less than the kernel's own error,
# and in most tests half the system calls of a reading are spared. An interval's peak may be too high by as much.
_KEPT_BYTES = 64 * 1024
# What the kernel may count late between two readings of the same mark.
_SLACK_BYTES = 256 * PAGE_BYTES
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def monotonic_us():
    """CLOCK_MONOTONIC in µs."""
    return real.monotonic_ns() // 1000


def unix_us():
    """CLOCK_REALTIME in µs."""
    return real.time_ns() // 1000


def lifted(descriptor):
    """The same file at a high number that is closed on exec; the given descriptor itself where that cannot be."""
    try:
        high = real.fcntl(descriptor, _F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    except (OSError, ValueError):
        return descriptor
    real.close(descriptor)
    return high


def identity(descriptor):
    """What tells one open file from another: device and inode."""
    status = real.fstat(descriptor)
    return (status.st_dev, status.st_ino)


def sealed(descriptor, number):
    """A function that tells whether a descriptor is still the file that it is now; it raises ``OSError`` where it is closed.

    Linux keeps for each open file which signal ``O_ASYNC`` would send, 0 for all but a few. Ours get one of ``SEALS``; it is never
    sent, and asking for it takes a third of the time of ``fstat``. Elsewhere device and inode tell.
    """
    fcntl_of, ask = real.fcntl, _F_GETSIG
    try:
        if ask is not None and fcntl_of(descriptor, _F_SETSIG, number) == 0 and fcntl_of(descriptor, ask) == number:
            return lambda: fcntl_of(descriptor, ask) == number
    except (OSError, ValueError):
        pass
    known = identity(descriptor)
    return lambda: identity(descriptor) == known


# RSS is the sum of three counters: of pages of files, of anonymous and of shared memory. The kernel adds each up per processor and
# in batches (``percpu_counter_batch``: at least 32 pages, twice the machine's processors), so each may be off by one batch on each processor
# that this process may run on.
_COUNTERS = 3


def _processors():
    """How many processors this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


class Kernel:
    """The readings of one process.

    ``read()`` gives RSS in bytes and the highest RSS since the call before in bytes, or ``None`` where only samples could tell; it
    resets the mark where that makes a difference. Where a descriptor was closed or replaced the peak of that interval may not be known; what was
    lost is opened afresh.
    """

    def __init__(self, exact=True):
        self.exact = False
        self.exact_reason = ""
        self.peak_source = "none"
        # How often a descriptor was found closed or replaced.
        self.lost = 0
        # Descriptors by path, each with the function that tells whether it is still ours.
        self._files = {}
        self._open_all(exact)
        self.peak_error_bytes = _KEPT_BYTES + _COUNTERS * max(32, 2 * (os.cpu_count() or 1)) * _processors() * PAGE_BYTES
        self.read = self._reader()

    def _open_all(self, exact):
        try:
            self._acquire(_STATM, os.O_RDONLY, SEALS.statm)
        except OSError as error:
            self.exact_reason = "statm: %s" % error.strerror
            return
        if not exact:
            self.exact_reason = "switched off"
            return
        try:
            real.write(self._acquire(_CLEAR, os.O_WRONLY, SEALS.clear), b"5")
        except OSError as error:
            self.exact_reason = "clear_refs: %s" % error.strerror
            return
        self.exact = True
        # ``ru_maxrss`` survives exec: a child of a large parent reports the parent's for ever. Such a process reads VmHWM.
        mark = life_peak()
        if mark is not None and real.getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES > mark + _SLACK_BYTES:
            self._acquire(_STATUS, os.O_RDONLY, SEALS.status)
            self.peak_source = "vmhwm"
        else:
            self.peak_source = "maxrss"

    def _acquire(self, path, flags, number):
        descriptor = lifted(real.open(path, flags | os.O_CLOEXEC))
        self._files[path] = (descriptor, sealed(descriptor, number), flags, number)
        return descriptor

    def _reader(self):
        """``read`` over the descriptors of now, all names bound: it is called four times a test."""
        if _STATM not in self._files:
            return _reader_elsewhere()
        pread, write, getrusage = real.pread, real.write, real.getrusage
        statm = self._files[_STATM][0]
        reopened = self._reopened

        def rss_only():
            try:
                return int(pread(statm, 96, 0).split(b" ", 2)[1]) * PAGE_BYTES, None
            except (OSError, IndexError, ValueError) as error:
                if is_foreign(error):
                    raise
                return reopened()

        if not self.exact:
            return rss_only
        clear, clear_is_ours = self._files[_CLEAR][:2]
        status = self._files[_STATUS][0] if _STATUS in self._files else -1

        def rss_and_peak():
            try:
                rss = int(pread(statm, 96, 0).split(b" ", 2)[1]) * PAGE_BYTES
                peak = getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES if status < 0 else _vmhwm_of(pread(status, 4096, 0))
                if peak is None or peak <= rss:
                    return rss, peak and rss
                if peak - rss > _KEPT_BYTES:
                    # Nothing is written to what may be somebody else's file by now.
                    if not _holds(clear_is_ours):
                        return reopened(peak)
                    write(clear, b"5")
            except (OSError, IndexError, ValueError) as error:
                if is_foreign(error):
                    raise
                return reopened()
            return rss, peak

        return rss_and_peak

    def _reopened(self, peak=None):
        """The reading of a moment at which a descriptor was found lost, with the peak where that was read before."""
        self.lost += 1
        for path, (_, is_ours, flags, number) in list(self._files.items()):
            if not _holds(is_ours):
                self._acquire(path, flags, number)
        self.read = self._reader()
        rss = int(real.pread(self._files[_STATM][0], 96, 0).split(b" ", 2)[1]) * PAGE_BYTES
        if self.exact:
            real.write(self._files[_CLEAR][0], b"5")
        return rss, peak

    def forget(self):
        """Closes what is still ours. In a forked child the descriptors speak of the parent: closing them there is harmless."""
        for descriptor, is_ours, _, _ in self._files.values():
            if _holds(is_ours):
                real.close(descriptor)
        self._files = {}


def is_foreign(error):
    """Whether an error that is handled here is none of this package: the handler of a signal raised it, which Python runs wherever it is."""
    handlers = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        handlers.add(getattr(handler, "__code__", None) or getattr(getattr(handler, "__call__", None), "__code__", None))
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def is_interruption(error):
    """Whether an error that came up while objects of the tests were looked at is none of these objects' own: Ctrl-C, or what the handler of a signal
    raised. They may raise anything else, also what is no ``Exception``: ``SystemExit``, pytest's ``fail`` and ``skip``.
    """
    return isinstance(error, KeyboardInterrupt) or is_foreign(error)


def untold(error):
    """Of an error that is nobody's to mend: what was asked for is not known, and that is all."""


class OwnErrors:
    """A ``with`` that hands an error of this package's own to ``tell`` and goes on after it.

    What the handler of a signal raised meanwhile is the tests' own, a time limit for instance, and goes its way. Where each call counts the
    same is written out instead, with ``is_foreign``.
    """

    __slots__ = ("_tell", "_kinds")

    def __init__(self, tell, kinds=Exception):
        self._tell, self._kinds = tell, kinds

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not isinstance(error, self._kinds) or is_foreign(error):
            return False
        self._tell(error)
        return True


def _reader_elsewhere():
    """``read`` where there is no ``/proc``: RSS as the system tells it, no peak."""
    if sys.platform == "darwin":
        try:
            return _reader_of_macos()
        except (ImportError, OSError, AttributeError):
            pass
    getrusage = real.getrusage
    # The highest RSS so far: what is given back does not show.
    return lambda: (getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES, None)


def _reader_of_macos():
    """``proc_pidinfo(PROC_PIDTASKINFO)``: twelve words, the second is the resident size."""
    import ctypes

    words, length, flavor = (ctypes.c_uint64 * 12)(), 96, 4
    ask, getpid, getrusage = ctypes.CDLL(None).proc_pidinfo, real.getpid, real.getrusage
    ask.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int]

    def read():
        if ask(getpid(), flavor, 0, words, length) == length:
            return words[1], None
        return getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES, None

    return read


def _holds(is_ours):
    try:
        return is_ours()
    except OSError as error:
        if is_foreign(error):
            raise
        return False


def _vmhwm_of(status):
    at = status.find(b"VmHWM:")
    return int(status[at + 6 : status.index(b"kB", at)]) * 1024 if at >= 0 else None


def life_peak():
    """The highest RSS of this process so far in bytes, as long as nothing reset the mark; ``None`` where it is not told."""
    try:
        with open(_STATUS, "rb") as status:
            return _vmhwm_of(status.read())
    except OSError:
        return None


def start_ticks():
    """When this process started, in clock ticks since boot."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def boot_id():
    """Which boot the clocks belong to."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "r") as file:
            return file.read().strip()
    except OSError:
        return ""
