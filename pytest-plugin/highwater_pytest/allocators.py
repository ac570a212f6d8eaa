"""What the allocators of this process hold: pymalloc by its own statistics, and the C library's heap, which can be told to give back what it keeps.

CPython and glibc alone have both; where a thing is missing, ``None`` stands for it.
"""

import ctypes
import mmap
import re
import sys
import types

_IN_USE = re.compile(rb"# bytes in allocated blocks +=\s*([\d,]+)")
_AVAILABLE = re.compile(rb"# bytes in available blocks +=\s*([\d,]+)")
_SYSTEM = re.compile(rb'<system type="current" size="(\d+)"')
_FREE = re.compile(rb'<total type="\w+" count="\d+" size="(\d+)"')
_UNUSED_POOLS = re.compile(rb"unused pools \* \d+ bytes +=\s*([\d,]+)")
# Of /proc/self/pagemap, by page; and by the last byte of an entry, whether the page is not in memory.
_ENTRY_BYTES = 8
_IS_ABSENT = bytes(not flags & 0x80 for flags in range(256))


def trimmer():
    """``malloc_trim(0)``: gives back what the heap keeps for later. ``None`` where the C library has none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)


def pymalloc():
    """A function that gives the bytes of small Python objects (512 bytes and less) and the bytes that pymalloc keeps free for more of them.

    It is what ``sys._debugmallocstats()`` prints, printed into memory. ``None`` where there is no pymalloc (``PYTHONMALLOC=malloc``, free-threaded builds).
    """
    try:
        tell = ctypes.pythonapi._PyObject_DebugMallocStats
    except AttributeError:
        return None
    tell.argtypes = [ctypes.c_void_p]
    text = _printed(tell)
    if text is None:
        return None

    def read():
        told = text()
        in_use, *kept = (_number(pattern, told) for pattern in (_IN_USE, _AVAILABLE, _UNUSED_POOLS))
        if in_use is None or None in kept:
            return None
        return types.SimpleNamespace(used_bytes=in_use, free_bytes=sum(kept))

    return read if read() is not None else None


def heap():
    """A function that gives the bytes that lie free in the C library's main heap and are resident all the same: right after ``malloc_trim``, what
    blocks on the same pages pin. Only its growth tells: a block in use to which nothing was written lowers it, below 0 too. ``None`` where that is not
    told (no glibc, no heap of its own). Of the arenas of other threads it knows nothing.
    """
    try:
        info = ctypes.CDLL(None).malloc_info
    except (OSError, AttributeError):
        return None
    info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    text = _printed(lambda stream: info(0, stream))
    if text is None:
        return None

    def read():
        # The first is the main one.
        told, resident = text().partition(b"</heap>")[0], _resident_heap()
        system = _SYSTEM.search(told)
        if system is None or resident is None:
            return None
        free = sum(int(size) for size in _FREE.findall(told))
        return resident - (int(system.group(1)) - free)

    return read if read() is not None else None


def _resident_heap():
    """RSS of the mappings that the heap grows in: the kernel may keep several that touch apart, as after a fork. ``None`` where there is none."""
    resident, is_heap = None, False
    try:
        with open("/proc/self/smaps", "rb") as maps:
            for line in maps:
                if line.endswith(b"[heap]\n"):
                    is_heap = True
                elif is_heap and line.startswith(b"Rss:"):
                    resident, is_heap = (resident or 0) + int(line.split()[1]) * 1024, False
    except (OSError, ValueError, IndexError):
        return None
    return resident


def untouched_bytes(address, length):
    """Of so many bytes from an address on, those on pages that are not in memory: nothing was written to them yet, or they are swapped out.
    0 where the kernel does not tell.
    """
    page = mmap.PAGESIZE
    first, behind = -(-address // page), (address + length) // page
    if behind <= first:
        return 0
    try:
        with open("/proc/self/pagemap", "rb", 0) as pages:
            pages.seek(first * _ENTRY_BYTES)
            told = pages.read((behind - first) * _ENTRY_BYTES)
    except (OSError, ValueError, OverflowError):
        return 0
    # The last byte of each entry holds the flags.
    absent = told[_ENTRY_BYTES - 1 :: _ENTRY_BYTES].translate(_IS_ABSENT).count(1)
    return absent * page


def _printed(tell):
    """A function that answers what ``tell`` prints to a stream of C; ``None`` where the C library cannot print into memory."""
    try:
        libc = ctypes.CDLL(None)
        open_memstream, close, free = libc.open_memstream, libc.fclose, libc.free
    except (OSError, AttributeError):
        return None
    open_memstream.argtypes, open_memstream.restype = [ctypes.c_void_p, ctypes.c_void_p], ctypes.c_void_p
    close.argtypes = free.argtypes = [ctypes.c_void_p]
    free.restype = None

    def text():
        buffer, length = ctypes.c_void_p(), ctypes.c_size_t()
        stream = open_memstream(ctypes.byref(buffer), ctypes.byref(length))
        if not stream:
            return b""
        try:
            tell(stream)
        finally:
            close(stream)
        try:
            return ctypes.string_at(buffer.value, length.value)
        finally:
            free(buffer)

    return text


def _number(pattern, told):
    found = pattern.search(told)
    return int(found.group(1).replace(b",", b"")) if found else None
