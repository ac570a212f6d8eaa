"""What speaks for an ending: why a phase failed, and how long pytest-timeout lets a test run."""

import errno
import re
from threading import current_thread as _current_thread
from threading import main_thread as _main_thread

import pytest

from .kernel import OwnErrors, untold

MEMORY_ERROR = "memory_error"
TIMEOUT = "timeout"
LIMIT = "limit"

# ``Timeout (>1.0s) from pytest-timeout.``; before its version 2.4 ``Timeout >1.0s``.
_TIMEOUT = re.compile(r"Timeout \(?>\S+?s\)?( from pytest-timeout)?\.?\Z")
# Errors of one failure that are looked at: chains may be long, but what made a test fail stands near their begin.
_MOST_ERRORS = 100
# What a test says of itself: where it fails while another error is handled, that other one was the test's matter.
_OWN_WORDS = (AssertionError, pytest.fail.Exception)


def has_timeouts(config):
    """Whether pytest-timeout is at work; this is where it keeps its own setting, in all its versions."""
    return hasattr(config, "_env_timeout")


def cause_of(error, timeouts):
    """``memory_error``, ``timeout``, ``limit`` or ``""``, of the error of a failed phase.

    An error counts with those it was raised from, those in a group, and those that were being handled when it came up. A lack of memory
    also comes as an ``OSError``: that is how ``mmap`` and ``fork`` tell of it. ``timeouts``: whether pytest-timeout is at work.
    """
    # An error of the tests' own making whose attributes cannot be read says nothing of its cause.
    with OwnErrors(untold):
        for one in _errors(error):
            if isinstance(one, MemoryError) or isinstance(one, OSError) and one.errno == errno.ENOMEM:
                return MEMORY_ERROR
            if isinstance(one, pytest.fail.Exception) and getattr(one, "highwater_limit", False) is True:
                return LIMIT
            if timeouts and isinstance(one, pytest.fail.Exception) and _TIMEOUT.match(str(one)):
                return TIMEOUT
    return ""


def _errors(error):
    waiting, seen = [error], set()
    while waiting and len(seen) < _MOST_ERRORS:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if one.__cause__ is not None:
            waiting.append(one.__cause__)
        elif not one.__suppress_context__ and not isinstance(one, _OWN_WORDS):
            waiting.append(one.__context__)
        # Of the built-in groups, and of those of the ``exceptiongroup`` package for older versions of Python.
        members = getattr(one, "exceptions", None)
        if isinstance(members, (tuple, list)):
            waiting.extend(member for member in members if isinstance(member, BaseException))


def time_limit(item):
    """The last fields of ``tb``: what pytest-timeout allows the test, µs, and by which method it ends it; ``""`` where it sets no limit.

    Decided as it decides itself: the nearest marker, else what it read from its options, ``PYTEST_TIMEOUT`` and the ini file.
    """
    limit_us, method = 0, None
    # Of a marker that cannot be pytest-timeout says so itself.
    with OwnErrors(untold):
        marker = item.get_closest_marker(TIMEOUT)
        seconds = None
        if marker is not None:
            seconds, method = (_of_marker(marker, at, name) for at, name in enumerate(("timeout", "method")))
        if seconds is None:
            seconds = item.config._env_timeout
        if method is None:
            method = getattr(item.config, "_env_timeout_method", None)
        limit_us = int(float(seconds) * 1e6) if seconds is not None else 0
    if not 0 < limit_us < 1 << 62:
        return ""
    # A signal's handler runs in the main thread alone.
    if method == "signal" and _current_thread() is not _main_thread():
        method = "thread"
    return f"\t{limit_us}\t{method}" if method in ("signal", "thread") else f"\t{limit_us}"


def _of_marker(marker, at, name):
    return marker.args[at] if len(marker.args) > at else marker.kwargs.get(name)
