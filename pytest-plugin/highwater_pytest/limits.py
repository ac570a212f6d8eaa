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
# As the agent reads sizes (``parse_bytes`` of crates/analysis): tests/sizes.json holds both to the same.
_SIZE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*([A-Za-z]*)\Z")
_UNITS = {"": 1, "b": 1}
for _power, _name in enumerate("kmgt", 1):
    _UNITS[_name] = _UNITS[_name + "b"] = 1000**_power
    _UNITS[_name + "ib"] = 1024**_power
_MOST_BYTES = 1 << 56
# So much of what is no size is repeated.
_SHOWN_CHARACTERS = 100


def parse_size(given):
    """Bytes of ``200 MB`` (powers of 1000), ``5 MiB`` (of 1024), or a number of bytes. Raises ``ValueError``."""
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        size = given
    else:
        found = _SIZE.match(given.strip()) if isinstance(given, str) else None
        if found is None:
            raise ValueError("%s is no size such as '200 MB', '5 MiB' or a number of bytes" % _shown(given))
        factor = _UNITS.get(found.group(2).lower())
        if factor is None:
            raise ValueError("%s has none of the units kB, MB, GB, TB, KiB, MiB, GiB, TiB" % _shown(given))
        size = float(found.group(1)) * factor
    if size > _MOST_BYTES:
        raise ValueError("%s is more than a size can be, 65536 TiB" % _shown(given))
    return int(size)


def _shown(given):
    return repr(given[:_SHOWN_CHARACTERS] if isinstance(given, str) else given)


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
