"""Limits on the memory of a test: ``@pytest.mark.highwater(limit="200 MB", retained="5 MB")``, and their defaults in the ini file.

``limit`` bounds the spike, the highest RSS inside the test over the RSS at its begin, so that a test is not blamed for what those
before it left behind; ``retained`` bounds what is still held after its teardown. Both are figures of the test's own process.
"""

import re

import pytest

MARKER = "highwater"
_DESCRIPTION = (
    "highwater(limit=None, retained=None): fail the test where its RSS rises above that at its begin by more than `limit`, "
    "or where it still holds more than `retained` after its teardown; sizes as '200 MB', '5 MiB' or in bytes"
)
_INI = {"limit": "highwater_limit_peak", "retained": "highwater_limit_retained"}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)\s*\Z", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(given):
    """Bytes of ``200 MB`` (powers of 1000), ``5 MiB`` (of 1024), or a number of bytes. Raises ``ValueError``."""
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    found = _SIZE.match(given) if isinstance(given, str) else None
    if found is None:
        raise ValueError("%r is no size such as '200 MB', '5 MiB' or a number of bytes" % (given,))
    number, unit = float(found.group(1)), found.group(2).lower().rstrip("b")
    base = 1024 if unit.endswith("i") else 1000
    return int(number * base ** _POWERS[unit.rstrip("i")])


def add_options(parser):
    parser.addini(_INI["limit"], "most that any test's RSS may rise above that at its begin, such as '500 MB'", default="")
    parser.addini(_INI["retained"], "most that any test may still hold after its teardown, such as '20 MB'", default="")


class Limits:
    """Finds out which tests are limited; where any is, ``Enforcer`` watches them."""

    def __init__(self, config, recorder):
        config.addinivalue_line("markers", _DESCRIPTION)
        self._recorder = recorder
        self._defaults = {}
        for name, ini in _INI.items():
            text = config.getini(ini)
            if text:
                self._defaults[name] = _size("%s in the ini file" % ini, text)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        limited = {item: limits for item, limits in ((item, self._of(item)) for item in items) if limits}
        if limited:
            from .enforcer import Enforcer, Meter, RecordersMeter

            meter = Meter() if self._recorder is None else RecordersMeter(self._recorder)
            config.pluginmanager.register(Enforcer(limited, meter))

    def _of(self, item):
        limits = dict(self._defaults)
        # The nearest mark is iterated first, and it has the last word.
        for mark in reversed(list(item.iter_markers(MARKER))):
            if mark.args or not set(mark.kwargs) <= set(_INI):
                raise pytest.UsageError("%s: the marker is %s" % (item.nodeid, _DESCRIPTION))
            for name, given in mark.kwargs.items():
                if given is None:
                    limits.pop(name, None)
                else:
                    limits[name] = _size("%s: %s of the marker %s" % (item.nodeid, name, MARKER), given)
        return limits


def _size(what, given):
    try:
        return parse_size(given)
    except ValueError as error:
        raise pytest.UsageError("%s: %s" % (what, error))
