"""Writes the truth of this suite: RSS before and after each test, read from /proc by itself."""

import json
import os

import pytest

_FOLDER = os.environ.get("SUITE_TRUTH", "")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_rows = []


def rss():
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


if _FOLDER:
    # The first call opens files and fills caches; it must not count for the first test.
    rss()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(item):
        before = rss()
        yield
        _rows.append((str(item.path.relative_to(item.config.rootpath)), item.nodeid, before, rss()))

    def pytest_sessionfinish(session):
        os.makedirs(_FOLDER, exist_ok=True)
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        if _rows:
            with open(os.path.join(_FOLDER, "%d.jsonl" % os.getpid()), "w") as file:
                for path, nodeid, before, after in _rows:
                    row = {"pid": os.getpid(), "worker": worker, "path": path, "nodeid": nodeid, "before": before, "after": after}
                    file.write(json.dumps(row) + "\n")
