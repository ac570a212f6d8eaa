"""What the allocators of this process hold: pymalloc by its own statistics, and the C library's heap, which can be told to give back what it keeps.

CPython and glibc alone have both; where a thing is missing, ``None`` stands for it.
"""

import ctypes
import re
import sys
import types

_IN_USE = re.compile(rb"# bytes in allocated blocks +=\s*([\d,]+)")
_AVAILABLE = re.compile(rb"# bytes in available blocks +=\s*([\d,]+)")
_UNUSED_POOLS = re.compile(rb"unused pools \* \d+ bytes +=\s*([\d,]+)")


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
        libc = ctypes.CDLL(None)
        tell, open_memstream, close, free = (
            ctypes.pythonapi._PyObject_DebugMallocStats,
            libc.open_memstream,
            libc.fclose,
            libc.free,
        )
    except (OSError, AttributeError):
        return None
    tell.argtypes, open_memstream.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_void_p]
    open_memstream.restype = ctypes.c_void_p
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

    def read():
        told = text()
        in_use, *kept = (_number(pattern, told) for pattern in (_IN_USE, _AVAILABLE, _UNUSED_POOLS))
        if in_use is None or None in kept:
            return None
        return types.SimpleNamespace(used_bytes=in_use, free_bytes=sum(kept))

    return read if read() is not None else None


def _number(pattern, told):
    found = pattern.search(told)
    return int(found.group(1).replace(b",", b"")) if found else None
