"""Processes to be watched: `load.py COUNT FOLDER`. Half are idle, half grow by 64 kB four times a second, until `stop` is in the folder."""

import os
import pathlib
import signal
import sys
import time


def child(grows):
    held = []
    while True:
        if grows:
            held.append(b"x" * 65536)
            time.sleep(0.25)
        else:
            signal.pause()


count, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
children = []
try:
    for at in range(count - 1):
        pid = os.fork()
        if pid == 0:
            child(at % 2 == 0)
        children.append(pid)
    (folder / "ready").write_text("")
    deadline = time.monotonic() + 300
    while not (folder / "stop").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
finally:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
