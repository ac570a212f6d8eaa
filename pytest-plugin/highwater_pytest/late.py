"""What tests import late: a library that is loaded while a test runs stays, whichever test happened to ask for it first.

Python calls ``_find_and_load`` of ``importlib._bootstrap`` for each module that is not loaded yet, and looks that name up each time. A function of
the same name before it costs an ``import`` nothing where the module is loaded already, and ``importlib.import_module`` a look at it. Its code says
that it is of the same file, so that Python cuts it out of tracebacks, and warnings pass it over, as they do with the rest of the import. What goes
another way (``reload``, ``exec_module``, a lazy loader) is the test's.

A module counts once in a process, and only when it was loaded: one that a test throws out and imports again, or that fails, is that test's own.
"""

import importlib._bootstrap as bootstrap
import sys
import threading

_NAME = "_find_and_load"
# So many names are remembered, wherever they were imported; what comes after is its test's.
_MOST_NAMES = 50_000


class LateImports:
    """Marks the imports that tests make on the thread they run on."""

    def __init__(self, recorder):
        self._real = getattr(bootstrap, _NAME, None)
        self._ours = None
        code = getattr(self._real, "__code__", None)
        # Another Python may do it in another way; then imports are their test's.
        if sys.implementation.name == "cpython" and code is not None and code.co_varnames[: code.co_argcount] == ("name", "import_"):
            self._ours = _watching(self._real, recorder)
            self._ours.__code__ = self._ours.__code__.replace(co_filename=code.co_filename)
            setattr(bootstrap, _NAME, self._ours)

    def end(self):
        if self._ours is not None and getattr(bootstrap, _NAME) is self._ours:
            setattr(bootstrap, _NAME, self._real)


def _watching(real, recorder):
    thread_of, tests_on, known = threading.get_ident, threading.get_ident(), set(sys.modules)
    is_inside = False

    def _find_and_load(name, import_):
        nonlocal is_inside
        is_first = name not in known and len(known) < _MOST_NAMES
        if is_first:
            known.add(name)
        if not is_first or is_inside or name in sys.modules or thread_of() != tests_on or not recorder.in_test():
            return real(name, import_)
        is_inside = True
        try:
            begun = recorder.late_import_begins()
            is_loaded = False
            try:
                module = real(name, import_)
                is_loaded = True
                return module
            finally:
                recorder.late_import_ends(name, begun, is_loaded)
        finally:
            is_inside = False

    return _find_and_load
