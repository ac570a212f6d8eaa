"""Ways to hold memory whose effect on RSS is known. Sizes are bytes."""

import ctypes
import mmap
import subprocess
import sys
import time

PAGE = 4096
MB = 1000 * 1000


def mapped(size):
    """Anonymous pages, each touched: RSS grows by `size`, and shrinks by it when the map is closed."""
    pages = mmap.mmap(-1, size)
    for at in range(0, size, PAGE):
        pages[at] = 1
    return pages


class Malloc:
    """One block of malloc, each page touched. Large blocks are mapped, so freeing gives them back."""

    def __init__(self, size):
        self.libc = ctypes.CDLL(None)
        self.libc.malloc.restype = ctypes.c_void_p
        self.libc.malloc.argtypes = [ctypes.c_size_t]
        self.libc.free.argtypes = [ctypes.c_void_p]
        self.at = self.libc.malloc(size)
        ctypes.memset(self.at, 1, size)

    def close(self):
        self.libc.free(self.at)


def objects(size):
    """Many small objects, as caches and modules keep them: about `size` bytes in all."""
    return [bytes(1000) for _ in range(size // 1041)]


def spike(size, seconds):
    """Needs `size` for `seconds` and gives it back."""
    pages = mapped(size)
    time.sleep(seconds)
    pages.close()


def child(size, seconds):
    """A child process that needs `size` for `seconds`."""
    code = (
        "import mmap, time\nsize = %d\npages = mmap.mmap(-1, size)\n"
        "for at in range(0, size, 4096): pages[at] = 1\ntime.sleep(%r)\n" % (size, seconds)
    )
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
