"""What the kernel says of this process: its RSS, and the highest RSS since the last mark.

Writing ``5`` to ``/proc/self/clear_refs`` resets the kernel's high-water mark; ``getrusage`` reads it back. Both, and the read
of ``statm``, take about a microsecond each on a descriptor that stays open.

Tests close descriptors that are not theirs, and the numbers are used again; a forked child inherits descriptors that still speak
of its parent. So the descriptors live at high numbers, are checked by identity before a test begins, and are opened afresh
in a forked child. Functions of ``os`` and ``time`` are bound when this module is imported, before any test can replace them.
"""

import fcntl
import os
import resource
import sys
import time

_open, _close, _dup_above = os.open, os.close, fcntl.fcntl
_fstat, _pread, _write, _getpid = os.fstat, os.pread, os.write, os.getpid
_getrusage, _SELF = resource.getrusage, resource.RUSAGE_SELF
_monotonic_ns, _time_ns = time.monotonic_ns, time.time_ns
_F_DUPFD_CLOEXEC = getattr(fcntl, "F_DUPFD_CLOEXEC", 1030)
_cpu_count = os.cpu_count

PAGE_BYTES = resource.getpagesize()
_LEAST_DESCRIPTOR = 200
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def monotonic_us():
    """CLOCK_MONOTONIC in µs."""
    return _monotonic_ns() // 1000


def unix_us():
    """CLOCK_REALTIME in µs."""
    return _time_ns() // 1000


def lifted(descriptor):
    """The same file at a high number that is closed on exec; the given descriptor itself where that cannot be."""
    try:
        high = _dup_above(descriptor, _F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    except (OSError, ValueError):
        return descriptor
    _close(descriptor)
    return high


def identity(descriptor):
    """What tells one open file from another: device and inode."""
    status = _fstat(descriptor)
    return (status.st_dev, status.st_ino)


class Kernel:
    """The readings of one process.

    ``read()`` gives RSS in bytes and the highest RSS since the call before in bytes, or ``None`` where only samples could tell.
    """

    def __init__(self, exact=True):
        self.exact = False
        self.exact_reason = ""
        self.peak_source = "none"
        self._files = {}
        self._statm = self._clear = self._status = -1
        self._open_all(exact)
        # The kernel counts pages per thread and processor and adds up in batches (``percpu_counter_batch``: at least 32 pages,
        # twice the processors); it may be off by one batch on each processor.
        cpus = _cpu_count() or 1
        self.peak_error_bytes = max(32, 2 * cpus) * PAGE_BYTES * min(cpus, 64)

    def _open_all(self, exact):
        self._statm = self._acquire("/proc/self/statm", os.O_RDONLY)
        if not exact:
            self.exact_reason = "switched off"
            return
        try:
            self._clear = self._acquire("/proc/self/clear_refs", os.O_WRONLY)
            _write(self._clear, b"5")
        except OSError as error:
            self.exact_reason = "clear_refs: %s" % error.strerror
            return
        self.exact = True
        # ``ru_maxrss`` survives exec: a child of a large parent reports the parent's for ever. Such a process reads VmHWM.
        mark = self._vmhwm()
        if mark is not None and _getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES > mark + self._slack():
            self._status = self._acquire("/proc/self/status", os.O_RDONLY)
            self.peak_source = "vmhwm"
        else:
            self.peak_source = "maxrss"

    @staticmethod
    def _slack():
        return 256 * PAGE_BYTES

    def _acquire(self, path, flags):
        descriptor = lifted(_open(path, flags | os.O_CLOEXEC))
        self._files[descriptor] = (identity(descriptor), path, flags)
        return descriptor

    def _vmhwm(self):
        try:
            with open("/proc/self/status", "rb") as status:
                return _vmhwm_of(status.read())
        except OSError:
            return None

    def first_peak(self):
        """The highest RSS of the process so far, in bytes, before the first reset; to be asked before a ``Kernel`` is made."""
        return self._vmhwm()

    def read(self):
        """RSS and highest RSS since the last call, in bytes; resets the mark."""
        rss = int(_pread(self._statm, 96, 0).split(b" ", 2)[1]) * PAGE_BYTES
        if not self.exact:
            return rss, None
        if self._status >= 0:
            peak = _vmhwm_of(_pread(self._status, 4096, 0))
        else:
            peak = _getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES
        _write(self._clear, b"5")
        return rss, peak if peak is None or peak >= rss else rss

    def check(self):
        """True when every descriptor is still ours; those that are not are opened afresh."""
        whole = True
        for descriptor, (known, path, flags) in list(self._files.items()):
            try:
                if identity(descriptor) == known:
                    continue
            except OSError:
                pass
            whole = False
            del self._files[descriptor]
            fresh = self._acquire(path, flags)
            if descriptor == self._statm:
                self._statm = fresh
            elif descriptor == self._clear:
                self._clear = fresh
            else:
                self._status = fresh
        return whole

    def forget(self, close=True):
        """Closes what is still ours. In a forked child the descriptors speak of the parent: closing them there is harmless."""
        for descriptor, (known, _, _) in self._files.items():
            try:
                if close and identity(descriptor) == known:
                    _close(descriptor)
            except OSError:
                pass
        self._files = {}


def _vmhwm_of(status):
    at = status.find(b"VmHWM:")
    return int(status[at + 6 : status.index(b"kB", at)]) * 1024 if at >= 0 else None


def life_peak():
    """The highest RSS of this process so far in bytes, as long as nothing reset the mark; ``None`` where it is not told."""
    try:
        with open("/proc/self/status", "rb") as status:
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
