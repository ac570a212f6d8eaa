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
import sys
import time
import types

# freezegun and pyfakefs look through every module for functions of ``time`` and ``os`` and replace them there; what an object holds
# they leave alone.
real = types.SimpleNamespace(
    open=os.open,
    close=os.close,
    fstat=os.fstat,
    pread=os.pread,
    write=os.write,
    getpid=os.getpid,
    getrusage=resource.getrusage,
    fcntl=fcntl.fcntl,
    monotonic_ns=time.monotonic_ns,
    time_ns=time.time_ns,
)
_SELF = resource.RUSAGE_SELF
_F_DUPFD_CLOEXEC = getattr(fcntl, "F_DUPFD_CLOEXEC", 1030)

PAGE_BYTES = resource.getpagesize()
_LEAST_DESCRIPTOR = 200
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


class Kernel:
    """The readings of one process.

    ``read()`` gives RSS in bytes and the highest RSS since the call before in bytes, or ``None`` where only samples could tell.
    """

    def __init__(self, exact=True):
        self.exact = False
        self.exact_reason = ""
        self.peak_source = "none"
        # How often a descriptor was found closed or replaced.
        self.lost = 0
        self._files = {}
        self._clear_identity = None
        self._statm = self._clear = self._status = -1
        self._open_all(exact)
        # The kernel counts pages per thread and processor and adds up in batches (``percpu_counter_batch``: at least 32 pages,
        # twice the processors); it may be off by one batch on each processor.
        cpus = os.cpu_count() or 1
        self.peak_error_bytes = max(32, 2 * cpus) * PAGE_BYTES * min(cpus, 64)

    def _open_all(self, exact):
        self._statm = self._acquire("/proc/self/statm", os.O_RDONLY)
        if not exact:
            self.exact_reason = "switched off"
            return
        try:
            self._clear = self._acquire("/proc/self/clear_refs", os.O_WRONLY)
            self._clear_identity = identity(self._clear)
            real.write(self._clear, b"5")
        except OSError as error:
            self.exact_reason = "clear_refs: %s" % error.strerror
            return
        self.exact = True
        # ``ru_maxrss`` survives exec: a child of a large parent reports the parent's for ever. Such a process reads VmHWM.
        mark = self._vmhwm()
        if mark is not None and real.getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES > mark + _SLACK_BYTES:
            self._status = self._acquire("/proc/self/status", os.O_RDONLY)
            self.peak_source = "vmhwm"
        else:
            self.peak_source = "maxrss"

    def _acquire(self, path, flags):
        descriptor = lifted(real.open(path, flags | os.O_CLOEXEC))
        self._files[descriptor] = (identity(descriptor), path, flags)
        return descriptor

    def _vmhwm(self):
        try:
            with open("/proc/self/status", "rb") as status:
                return _vmhwm_of(status.read())
        except OSError:
            return None

    def read(self):
        """RSS and highest RSS since the last call, in bytes; resets the mark.

        The descriptor is known by its identity before anything is written to it: a test may have closed it and opened another
        file under its number. The peak of that interval is not known then, and what was lost is opened afresh.
        """
        try:
            rss = int(real.pread(self._statm, 96, 0).split(b" ", 2)[1]) * PAGE_BYTES
            if not self.exact:
                return rss, None
            status = real.fstat(self._clear)
            if (status.st_dev, status.st_ino) == self._clear_identity:
                if self._status >= 0:
                    peak = _vmhwm_of(real.pread(self._status, 4096, 0))
                else:
                    peak = real.getrusage(_SELF).ru_maxrss * _MAXRSS_BYTES
                real.write(self._clear, b"5")
                return rss, peak if peak is None or peak >= rss else rss
        except (OSError, IndexError, ValueError):
            pass
        self.lost += 1
        self.reopen()
        rss = int(real.pread(self._statm, 96, 0).split(b" ", 2)[1]) * PAGE_BYTES
        if self.exact:
            real.write(self._clear, b"5")
        return rss, None

    def reopen(self):
        """Opens afresh what is not ours any more."""
        for descriptor, (known, path, flags) in list(self._files.items()):
            try:
                if identity(descriptor) == known:
                    continue
            except OSError:
                pass
            del self._files[descriptor]
            fresh = self._acquire(path, flags)
            if descriptor == self._statm:
                self._statm = fresh
            elif descriptor == self._clear:
                self._clear = fresh
                self._clear_identity = identity(fresh)
            else:
                self._status = fresh

    def forget(self, close=True):
        """Closes what is still ours. In a forked child the descriptors speak of the parent: closing them there is harmless."""
        for descriptor, (known, _, _) in self._files.items():
            try:
                if close and identity(descriptor) == known:
                    real.close(descriptor)
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
