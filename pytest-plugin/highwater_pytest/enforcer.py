"""Fails the tests that pass the limits on their memory."""

import pytest

from . import kernel
from .hooks import WRAPPER


def megabytes(size):
    return "%.1f MB" % (size / 1e6)


def _fail(why):
    error = pytest.fail.Exception(why, pytrace=False)
    # By this the recorder knows why the test failed.
    error.highwater_limit = True
    raise error


class Enforcer:
    """Fails the tests that pass their limits: in the call for the spike, in the teardown for what is retained."""

    def __init__(self, limited, meter):
        self._limited = limited
        self._meter = meter
        self._warned = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        if item in self._limited:
            self._read(item, self._meter.begin)

    @pytest.hookimpl(**WRAPPER)
    def pytest_runtest_call(self, item):
        result = yield
        limit = self._limited.get(item, {}).get("limit")
        # An old wrapper is handed the error of the call; it goes before a limit.
        if limit is not None and getattr(result, "excinfo", None) is None:
            self._hold_spike(item, limit)
        return result

    @pytest.hookimpl(**WRAPPER)
    def pytest_runtest_teardown(self, item):
        result = yield
        limit = self._limited.get(item, {}).get("retained")
        if limit is not None and getattr(result, "excinfo", None) is None:
            rss = self._read(item, self._meter.read)
            retained = 0 if rss is None else rss - self._meter.start
            if retained > limit:
                _fail(
                    "retained memory: the test still holds %s after its teardown (RSS %s, %s at its begin), and %s may be held"
                    % (megabytes(retained), megabytes(rss), megabytes(self._meter.start), megabytes(limit))
                )
        return result

    def _read(self, item, read):
        """A reading; none where the kernel gives none, which is told and fails no test."""
        with kernel.OwnErrors(lambda error: self._warn(item, "memory cannot be read, so limits are not held: %s" % error), (OSError, IndexError, ValueError)):
            return read()
        return None

    def _warn(self, item, text):
        if not self._warned:
            self._warned = True
            item.warn(pytest.PytestWarning("highwater: " + text))

    def _hold_spike(self, item, limit):
        self._read(item, self._meter.read)
        if not self._meter.exact:
            self._warn(item, "the kernel tells no peak here, so limits are held to the RSS at the end of the call")
        spike = self._meter.peak - self._meter.start
        if spike > limit:
            _fail(
                "memory limit: the test needed %s (RSS rose from %s to %s), and its limit is %s"
                % (megabytes(spike), megabytes(self._meter.start), megabytes(self._meter.peak), megabytes(limit))
            )


class Meter:
    """RSS and peak since ``begin`` of this process, bytes, where nothing is recorded."""

    def __init__(self):
        self._pid = kernel.real.getpid()
        self._kernel = kernel.Kernel()
        self.start = self.peak = 0

    @property
    def exact(self):
        return self._kernel.exact

    def begin(self):
        self.start, _ = self._reading()
        self.peak = self.start

    def read(self):
        """The RSS of now; ``peak`` is the highest since ``begin``."""
        rss, peak = self._reading()
        self.peak = max(self.peak, rss, peak or 0)
        return rss

    def _reading(self):
        if kernel.real.getpid() != self._pid:
            self._kernel.forget()
            self._pid, self._kernel = kernel.real.getpid(), kernel.Kernel()
        return self._kernel.read()


class RecordersMeter:
    """The same where a recording goes on: the kernel has one mark, so the recorder looks for both."""

    def __init__(self, recorder):
        self._recorder = recorder
        self.start = 0

    @property
    def exact(self):
        return self._recorder.kernel.exact

    @property
    def peak(self):
        return self._recorder.watched_peak

    def begin(self):
        self.start = self._recorder.look()
        self._recorder.watched_peak = self.start

    def read(self):
        return self._recorder.look()
