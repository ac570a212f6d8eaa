"""What pytest itself keeps of the tests that ran: their reports, what they printed and logged, and coverage's data."""

import gc
import sys

from .kernel import is_interruption

# More objects than this are not looked at for one answer.
_MOST_OBJECTS = 200_000
_PLAIN = frozenset((str, bytes, bytearray, int, float, list, dict, tuple, set, frozenset))


class Kept:
    """``grown()`` tells by how much each grew since it was asked before."""

    def __init__(self, config):
        self._config = config
        # How many reports of each kind the terminal's reporter had.
        self._reports = {}
        self._ran = []
        self._coverage_bytes = 0

    def ran(self, item):
        """A test begins: pytest keeps it, and what it will print, to the session's end."""
        self._ran.append(item)

    def grown(self):
        """Bytes by ``captured``, ``reports`` and ``coverage``."""
        ran, self._ran = self._ran, []
        reports = self._new_reports()
        seen = set()
        captured = [getattr(item, "_report_sections", None) for item in ran]
        captured += [getattr(report, "sections", None) for report in reports]
        return {
            "captured": size_of(captured, seen),
            "reports": size_of(reports, seen),
            "coverage": self._of_coverage(),
        }

    def _new_reports(self):
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        stats = getattr(reporter, "stats", None)
        new = []
        for kind, reports in stats.items() if isinstance(stats, dict) else ():
            new += reports[self._reports.get(kind, 0) :]
            self._reports[kind] = len(reports)
        return new

    def _of_coverage(self):
        """Of the measurement that runs, where there is one: which lines of which file."""
        coverage = sys.modules.get("coverage")
        current = getattr(getattr(coverage, "Coverage", None), "current", None)
        if current is None:
            return 0
        data = getattr(getattr(current(), "_collector", None), "data", None)
        before, self._coverage_bytes = self._coverage_bytes, size_of([data], set())
        return self._coverage_bytes - before


def size_of(roots, seen):
    """Bytes of plain values and of pytest's own objects that hang on the roots and were not seen yet; the roots' list does not count."""
    waiting, total = list(roots), 0
    while waiting and len(seen) < _MOST_OBJECTS:
        one = waiting.pop()
        kind = type(one)
        if one is None or id(one) in seen:
            continue
        try:
            if kind not in _PLAIN and not _is_report(kind):
                continue
            size, is_leaf = sys.getsizeof(one), kind in (str, bytes, int, float)
        except BaseException as error:
            if is_interruption(error):
                raise
            # A property of a report, for instance, whose type answers in its own way.
            continue
        seen.add(id(one))
        total += size
        if not is_leaf:
            waiting.extend(gc.get_referents(one))
    return total


def _is_report(kind):
    return kind.__module__ in ("_pytest.reports", "_pytest._code.code") and kind.__name__.startswith(("Repr", "Exception", "TestReport", "CollectReport"))
