"""Writes the truth of this suite: RSS before and after each test, read from /proc by itself."""

import json
import os

import pytest

_FOLDER = os.environ.get("SUITE_TRUTH", "")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def rss():
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


if _FOLDER:
    os.makedirs(_FOLDER, exist_ok=True)
    # The first call opens files and fills caches; it must not count for the first test.
    rss()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(item):
        before = rss()
        yield
        after = rss()
        path = str(item.path.relative_to(item.config.rootpath))
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        row = {"pid": os.getpid(), "worker": worker, "path": path, "nodeid": item.nodeid, "before": before, "after": after}
        # At once, so that a process that is killed leaves the truth of all tests before.
        with open(os.path.join(_FOLDER, "%d.jsonl" % os.getpid()), "a") as file:
            file.write(json.dumps(row) + "\n")
