"""A plugin of pytest that says what Highwater's own takes of a real suite's CPU time, whatever else the machine does: µs of the thread, by part.

    HIGHWATER_INSIDE=out.json PYTHONPATH=pytest-plugin/bench highwater run -- pytest -p inside ...

Each of its hooks and what it adds to fixtures' ends is measured from its begin to its end, without what runs in between and without what the
measuring takes; what pytest takes to call them is not in it.
"""

import functools
import importlib
import inspect
import json
import os
import time

import pytest
from highwater_pytest.recorder import Recorder

#: Where its hooks are.
MODULES = ("enforcer", "hooks", "limits", "shard", "summary")
#: What runs outside of the hooks: the finalizers of fixtures, and the lock of Python's imports.
OUTSIDE = ("release_begins", "release_ends", "late_import_begins", "late_import_ends")
now = time.thread_time_ns


class Inside:
    def __init__(self):
        self.took_ns, self.calls = {}, {}
        self.began_ns = time.process_time_ns()

    def add(self, name, began_ns):
        self.took_ns[name] = self.took_ns.get(name, 0) + now() - began_ns
        self.calls[name] = self.calls.get(name, 0) + 1

    def plain(self, name, function):
        @functools.wraps(function)
        def timed(*arguments):
            began_ns = now()
            try:
                return function(*arguments)
            finally:
                self.add(name, began_ns)

        return timed

    def wrapper(self, name, function):
        """Of a hook that wraps others only what is before and after these."""

        @functools.wraps(function)
        def timed(*arguments):
            began_ns = now()
            generator = function(*arguments)
            step = functools.partial(next, generator)
            while True:
                try:
                    step()
                except StopIteration as end:
                    return end.value
                finally:
                    self.add(name, began_ns)
                try:
                    sent = yield
                except BaseException as error:
                    began_ns, step = now(), functools.partial(generator.throw, error)
                else:
                    began_ns, step = now(), functools.partial(generator.send, sent)

        return timed

    def measure(self):
        for module in MODULES:
            classes = vars(importlib.import_module("highwater_pytest." + module)).values()
            for owner in filter(inspect.isclass, classes):
                for name, function in list(vars(owner).items()):
                    if name.startswith("pytest_"):
                        of = self.wrapper if inspect.isgeneratorfunction(function) else self.plain
                        setattr(owner, name, of(name, function))
        for name in OUTSIDE:
            setattr(Recorder, name, self.plain(name, getattr(Recorder, name)))

    def measuring_ns(self):
        """What one measuring adds to what it measures, ns: that of nothing, the least of several rounds."""
        nothing, rounds = self.plain("nothing", lambda: None), []
        for _ in range(20):
            before_ns = self.took_ns.get("nothing", 0)
            for _ in range(500):
                nothing()
            rounds.append((self.took_ns["nothing"] - before_ns) / 500)
        del self.took_ns["nothing"], self.calls["nothing"]
        return min(rounds)

    def tell(self):
        suite_us = (time.process_time_ns() - self.began_ns) // 1000
        each_ns = self.measuring_ns()
        parts = {}
        for name, took_ns in sorted(self.took_ns.items()):
            own_us = round((took_ns - self.calls[name] * each_ns) / 1000)
            parts[name] = {"calls": self.calls[name], "us": max(0, own_us)}
        own_us = sum(part["us"] for part in parts.values())
        with open(os.environ["HIGHWATER_INSIDE"], "w") as file:
            json.dump({"suite_us": suite_us, "own_us": own_us, "own_share": own_us / suite_us, "parts": parts}, file)


# Before Highwater registers its own, so that pytest never sees them unmeasured.
INSIDE = Inside()
INSIDE.measure()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    INSIDE.tell()
