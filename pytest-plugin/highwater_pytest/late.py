"""What tests import late: a library that is loaded while a test runs stays, whichever test happened to ask for it first.

Python loads a module inside a ``with`` of ``_ModuleLockManager`` of ``importlib._bootstrap``, whose name it looks up each time. A class derived from that
one notes what was there before and after; it is in no stack while the module is loaded, and an ``import`` of what is loaded already never gets there. What
goes another way (``exec_module``, a lazy loader) is the test's.

What is gone again is no library that stays: a module that a test throws out, or of which it puts another in its place, is that test's own after all,
and so is one that fails, and the second copy of one that was there before.
"""

import importlib._bootstrap as bootstrap
import sys
import threading

_NAME = "_ModuleLockManager"
# So many names are remembered, wherever they were imported; what comes after is its test's.
_MOST_NAMES = 50_000


class LateImports:
    """Marks the imports that tests make on the thread they run on."""

    def __init__(self, recorder):
        self.known = set(sys.modules)
        # What was marked, by its name: which object stood in `sys.modules` then. No reference is kept, lest it stay for that.
        self._marked = {}
        self._of_test = []
        self._ours = None
        self._real = getattr(bootstrap, _NAME, None)
        find = getattr(getattr(bootstrap, "_find_and_load", None), "__code__", None)
        # Another Python may do it in another way; then imports are their test's.
        if sys.implementation.name == "cpython" and isinstance(self._real, type) and find is not None and _NAME in find.co_names:
            self._ours = _watching(self._real, recorder, self)
            setattr(bootstrap, _NAME, self._ours)

    def was_marked(self, name):
        self._marked[name] = id(sys.modules.get(name))
        self._of_test.append(name)

    def test_ends(self):
        """What the test imported and is gone by now."""
        if not self._of_test:
            return ()
        names, self._of_test = self._of_test, []
        return self._gone(names)

    def file_ends(self):
        """The same of what all tests until now imported."""
        return self._gone(list(self._marked)) if self._marked else ()

    def _gone(self, names):
        gone = [name for name in names if name in self._marked and self._marked[name] != id(sys.modules.get(name))]
        for name in gone:
            del self._marked[name]
            self.known.discard(name)
        return gone

    def end(self):
        if self._ours is not None and getattr(bootstrap, _NAME) is self._ours:
            setattr(bootstrap, _NAME, self._real)


def _watching(real, recorder, late):
    thread_of, tests_on, known = threading.get_ident, threading.get_ident(), late.known
    is_inside = False

    class _ModuleLockManager(real):
        def __init__(self, name):
            super().__init__(name)
            self._module = name
            self._begun = None

        def __enter__(self):
            nonlocal is_inside
            super().__enter__()
            name = self._module
            # Or it is loaded by now, loaded again, or None, which keeps it from being loaded.
            if name in known or name in sys.modules or len(known) >= _MOST_NAMES:
                return
            known.add(name)
            if is_inside or thread_of() != tests_on or not recorder.in_test():
                return
            try:
                is_inside = True
                self._begun = recorder.late_import_begins()
                is_inside = self._begun is not None
            except BaseException:
                # Of the test's own: a signal's handler raised it. Nobody else gives the lock back.
                is_inside = False
                super().__exit__(None, None, None)
                raise

        def __exit__(self, kind, value, trace):
            nonlocal is_inside
            begun, self._begun = self._begun, None
            try:
                if kind is not None:
                    known.discard(self._module)
                # What is imported meanwhile, by the handler of a signal, is still inside.
                if begun is not None and kind is None and recorder.late_import_ends(self._module, begun):
                    late.was_marked(self._module)
            finally:
                if begun is not None:
                    is_inside = False
                super().__exit__(kind, value, trace)

    return _ModuleLockManager
