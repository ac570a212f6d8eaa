"""Modules that tests import late: marked apart from the test that asked first, and nobody sees it."""

import re

import pytest
from highwater_pytest.books import add_up

from conftest import MB

MAPPED = """
import mmap
def mapped(size):
    pages = mmap.mmap(-1, size)
    for at in range(0, size, 4096):
        pages[at] = 1
    return pages
"""
HEAVY = MAPPED + "PAGES = mapped(30_000_000)\n"
TESTS = MAPPED + """
KEPT = []
def test_imports():
    import heavy
def test_keeps():
    import heavy
    KEPT.append(mapped(20_000_000))
"""


def modules(records):
    """Names and bytes of the late imports that stayed."""
    found, begun = [], None
    for mark in records:
        if mark["kind"] == "mb":
            begun = mark
        elif mark["kind"] == "me":
            found.append((begun["module"], mark["rss_bytes"] - begun["rss_bytes"]))
        elif mark["kind"] == "mg":
            at = max(at for at, (name, _) in enumerate(found) if name == mark["module"])
            del found[at]
    return found


def test_a_late_import_is_told_apart_from_its_test(suite):
    suite.write(heavy=HEAVY, test_late=TESTS)
    assert suite.run().returncode == 0
    records = suite.only()
    [(name, took)] = modules(records)
    assert name == "heavy" and 29 * MB < took < 34 * MB
    books = add_up(records)
    assert books.balance()
    file = next(iter(books.files.values()))
    assert 18 * MB < file.retained < 24 * MB, file.retained
    assert 18 * MB < file.spike < 24 * MB, file.spike
    assert books.imports > 29 * MB


def test_an_import_in_a_fixture_and_by_name_counts_alike(suite):
    suite.write(
        heavy=HEAVY,
        other=HEAVY,
        test_late="import importlib, pytest\n@pytest.fixture\ndef it():\n    return importlib.import_module('heavy')\n"
        "def test_a(it): __import__('other')\n",
    )
    assert suite.run().returncode == 0
    records = suite.only()
    assert [name for name, _ in modules(records)] == ["heavy", "other"]
    books = add_up(records)
    assert books.balance() and books.imports > 58 * MB and books.fixtures < 2 * MB


def test_what_a_module_imports_is_the_modules(suite):
    suite.write(outer="import heavy\n", heavy=HEAVY, test_late="def test_a():\n    import outer\n")
    assert suite.run().returncode == 0
    assert [name for name, _ in modules(suite.only())] == ["outer"]


def test_what_takes_nothing_or_is_not_there_is_not_marked(suite):
    suite.write(
        small="A = 1\n",
        test_late="import importlib, pytest\ndef test_a():\n    import small\n    for _ in range(1000):\n"
        "        with pytest.raises(ImportError):\n            import nowhere_at_all\n        importlib.import_module('small')\n",
    )
    assert suite.run().returncode == 0
    assert modules(suite.only()) == []


def test_no_peak_is_lost_to_an_import_that_takes_nothing(suite):
    suite.write(
        small="A = 1\n",
        quick=MAPPED + "mapped(50_000_000).close()\n",
        test_before=MAPPED + "def test_a():\n    mapped(50_000_000).close()\n    import small\n",
        test_inside="def test_a():\n    import quick\n",
    )
    assert suite.run().returncode == 0
    rows = suite.tests_of(suite.only())
    assert all(row["peak"] - row["start"] > 48 * MB for row in rows), rows


def test_a_module_that_is_thrown_out_and_imported_again_is_its_tests_own(suite):
    suite.write(
        heavy=HEAVY,
        test_again="import sys\nfrom unittest import mock\nimport pytest\nKEPT = []\n@pytest.mark.parametrize('n', range(4))\n"
        "def test_keeps(n):\n    with mock.patch.dict(sys.modules):\n        sys.modules.pop('heavy', None)\n        import heavy\n        KEPT.append(heavy)\n",
    )
    assert suite.run().returncode == 0
    records = suite.only()
    assert modules(records) == []
    file = next(iter(add_up(records).files.values()))
    assert 118 * MB < file.retained < 126 * MB, file.retained


def test_what_is_gone_after_its_test_takes_nothing_off_the_leak_beside_it(suite):
    """Generated modules, each dropped by the test that imported it; the first of each kind, so that none was known before."""
    suite.write(
        **{"gen_%d" % n: HEAVY for n in range(5)},
        test_gen=MAPPED + "import gc, importlib, sys\nimport pytest\nKEPT = []\n@pytest.mark.parametrize('n', range(5))\n"
        "def test_drops(n):\n    importlib.import_module('gen_%d' % n)\n    del sys.modules['gen_%d' % n]\n    gc.collect()\n    KEPT.append(mapped(8_000_000))\n",
    )
    assert suite.run().returncode == 0
    records = suite.only()
    assert modules(records) == []
    books = add_up(records)
    file = next(iter(books.files.values()))
    assert books.balance() and books.imports < 2 * MB
    assert 38 * MB < file.retained < 46 * MB, file.retained
    assert 28 * MB < file.spike - file.retained + 8 * MB < 36 * MB, file.spike


def test_a_module_that_goes_with_its_file_is_the_files(suite):
    suite.write(
        heavy=HEAVY,
        test_a="import sys, pytest\n@pytest.fixture(scope='module', autouse=True)\ndef clean():\n    yield\n    sys.modules.pop('heavy')\n"
        "def test_imports(): import heavy\ndef test_more(): pass\n",
        test_b="def test_other(): pass\n",
    )
    assert suite.run().returncode == 0
    assert modules(suite.only()) == []


@pytest.mark.parametrize(
    "first",
    [
        "    with mock.patch.dict(sys.modules):\n        import heavy\n",
        "    with mock.patch.dict(sys.modules, heavy=None), pytest.raises(ImportError):\n        import heavy\n",
        "    class Blocks:\n        def find_spec(self, name, *_):\n            if name == 'heavy': raise ImportError(name)\n"
        "    with mock.patch.object(sys, 'meta_path', [Blocks(), *sys.meta_path]), pytest.raises(ImportError):\n        import heavy\n",
    ],
    ids=["dropped", "blocked", "failed"],
)
def test_who_comes_after_one_that_did_not_stay_imports_it_late_all_the_same(suite, first):
    suite.write(
        heavy=HEAVY,
        test_both="import sys\nfrom unittest import mock\nimport pytest\ndef test_first():\n" + first + "def test_for_good():\n    import heavy\n",
    )
    done = suite.run()
    assert done.returncode == 0, done.stdout.decode()
    [(name, took)] = modules(suite.only())
    assert name == "heavy" and 29 * MB < took < 34 * MB


@pytest.mark.parametrize("before", ["import heavy", "import outer"], ids=["collection", "nested"])
def test_wherever_it_was_imported_first_again_is_its_tests_own(suite, before):
    """At the top of the test file, or there by another module; thrown out and imported by the test, which keeps what the second copy takes."""
    suite.write(
        heavy=HEAVY,
        outer="import heavy\n",
        test_again="import sys\n" + before + "\nKEPT = []\n"
        "def test_keeps(monkeypatch):\n    monkeypatch.delitem(sys.modules, 'heavy')\n    import heavy\n    KEPT.append(heavy)\n",
    )
    assert suite.run().returncode == 0
    records = suite.only()
    assert modules(records) == []
    file = next(iter(add_up(records).files.values()))
    assert 28 * MB < file.retained < 34 * MB, file.retained


def test_what_a_late_module_imported_counts_as_imported(suite):
    suite.write(
        heavy=HEAVY,
        outer="import heavy\n",
        test_again="import sys\nKEPT = []\ndef test_first():\n    import outer\n"
        "def test_keeps(monkeypatch):\n    monkeypatch.delitem(sys.modules, 'heavy')\n    import heavy\n    KEPT.append(heavy)\n",
    )
    assert suite.run().returncode == 0
    assert [name for name, _ in modules(suite.only())] == ["outer"]


def test_a_module_that_fails_is_its_tests_own(suite):
    suite.write(
        broken=MAPPED + "def load():\n    pages = mapped(50_000_000)\n    raise ImportError(str(len(pages)))\nload()\n",
        test_broken="import pytest\ndef test_a():\n    with pytest.raises(ImportError):\n        import broken\ndef test_b(): pass\n",
    )
    assert suite.run().returncode == 0
    records = suite.only()
    assert modules(records) == []
    file = next(iter(add_up(records).files.values()))
    assert file.spike > 48 * MB and -2 * MB < file.retained < 4 * MB, (file.spike, file.retained)


def test_what_was_imported_is_told_of_a_test_that_never_ends(suite):
    suite.write(heavy=HEAVY, test_killed="import os, signal\ndef test_a():\n    import heavy\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    assert suite.run().returncode == -9
    assert [name for name, _ in modules(suite.only())] == ["heavy"]


def test_what_a_signal_handler_raises_reaches_its_test(suite):
    suite.write(
        test_signal="import importlib, signal, sys\nclass Late(Exception): pass\ndef late(*_): raise Late\n"
        "def import_one(n):\n    try:\n        importlib.import_module('nowhere_%d' % n)\n    except (ImportError, Late):\n        pass\n"
        "def test_a():\n    signal.signal(signal.SIGALRM, late)\n    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n    try:\n"
        "        for n in range(3000):\n            try:\n                import_one(n)\n            except Late:\n                pass\n"
        "    finally:\n        signal.setitimer(signal.ITIMER_REAL, 0)\n" + "def test_b(): pass\n",
    )
    done = suite.run()
    assert b"broke off" not in done.stdout, done.stdout.decode()


def test_a_time_limit_by_a_signal_is_no_problem_of_the_recording(suite):
    """The handler raises what an error of the system would be too; Python's own import takes some for such an error, so it comes again."""
    suite.write(
        test_alarm="import signal, pytest\ndef late(*_): raise TimeoutError('too slow')\n"
        "@pytest.mark.parametrize('n', range(60))\ndef test_a(n):\n    before = signal.signal(signal.SIGALRM, late)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.5)\n    with pytest.raises(TimeoutError):\n        i = 0\n        while True:\n            i += 1\n"
        "            try:\n                __import__(f'nowhere_{n}_{i}')\n            except ModuleNotFoundError:\n                pass\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0)\n    signal.signal(signal.SIGALRM, before)\n",
    )
    done = suite.run()
    # Where an alarm comes a moment late it is another test's, with the recording as without.
    assert b" passed" in done.stdout and b"broke off" not in done.stdout, done.stdout.decode()
    assert not [record for record in suite.only() if record["kind"] == "N"]


def test_what_the_handler_of_a_signal_imports_comes_between_no_marks(suite):
    """Again and again, so that it hits the recording in the midst of a mark, of a write, and of another such import."""
    suite.write(
        test_alarm="import importlib.abc, importlib.machinery, itertools, mmap, signal, sys, threading, pytest\nCOUNT, KEPT = itertools.count(), []\n"
        "class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):\n"
        "    def find_spec(self, name, path, target=None):\n        if name.startswith('made_'): return importlib.machinery.ModuleSpec(name, self)\n"
        "    def create_module(self, spec): return None\n"
        "    def exec_module(self, module):\n        KEPT.append(mmap.mmap(-1, 98304))\n        for at in range(0, 98304, 4096): KEPT[-1][at] = 1\n"
        # Before 3.12 an import that comes while another one of its thread takes its lock has that one fail, with a KeyError of Python's own. On a slow
        # machine the next alarm comes before the last is over, each time.
        "TAKING, DEPTH = getattr(importlib._bootstrap, '_blocking_on', None), []\n"
        "def handler(*_):\n    if len(DEPTH) > 3 or isinstance(TAKING, dict) and threading.get_ident() in TAKING: return\n"
        "    DEPTH.append(1)\n    importlib.import_module('made_%d' % next(COUNT))\n    DEPTH.pop()\n"
        "@pytest.fixture(scope='module', autouse=True)\ndef alarms():\n    sys.meta_path.insert(0, Finder())\n    signal.signal(signal.SIGALRM, handler)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)\n    yield\n    signal.setitimer(signal.ITIMER_REAL, 0)\n    sys.meta_path.pop(0)\n"
        "for k in range(20):\n    exec(f'@pytest.fixture\\ndef f{k}(): yield\\n')\n"
        "@pytest.mark.usefixtures(*[f'f{k}' for k in range(20)])\n@pytest.mark.parametrize('n', range(60))\ndef test_n(n): pass\n",
    )
    done = suite.run()
    assert done.returncode == 0, done.stdout.decode()
    records = suite.only()
    times = [mark["t_us"] for mark in records if "rss_bytes" in mark]
    assert times == sorted(times)
    names = [mark["module"] for mark in records if mark["kind"] == "mb"]
    assert names and len(names) == len(set(names))


def test_other_threads_import_for_themselves(suite):
    suite.write(
        heavy=HEAVY,
        test_late="import threading\ndef test_a():\n    one = threading.Thread(target=lambda: __import__('heavy'))\n    one.start()\n    one.join()\n",
    )
    assert suite.run().returncode == 0
    assert modules(suite.only()) == []


@pytest.mark.parametrize(
    "module, error",
    [("raise ValueError('no')\n", "ValueError"), ("import nowhere_at_all\n", "ImportError"), ("def f(:\n", "SyntaxError")],
    ids=["raises", "missing", "syntax"],
)
def test_a_failing_import_looks_as_it_does_without(suite, module, error):
    suite.write(
        broken=module,
        test_late="import traceback, warnings\n"
        f"def test_a():\n    try:\n        import broken\n    except {error}:\n        print('seen', repr(traceback.format_exc()))\n"
        "    try:\n        __import__('importlib').import_module('broken')\n"
        f"    except {error}:\n        print('also', traceback.format_exc())\n"
        "def test_fails():\n    import broken\n",
    )
    with_it, without = suite.run("-s"), suite.run("-s", HIGHWATER_EVENTS="")
    assert with_it.returncode == without.returncode == 1

    def plain(done):
        return re.sub(rb"\d+\.\d+s", b"", done.stdout)

    assert plain(with_it) == plain(without)


def test_a_module_sees_the_stack_that_it_sees_without(suite):
    suite.write(
        sees="import sys\nframe, STACK = sys._getframe(1), []\nwhile frame:\n    STACK.append((frame.f_code.co_name, frame.f_globals['__name__']))\n    frame = frame.f_back\n",
        test_late="def test_a():\n    import sees\n    print('saw', sees.STACK[:sees.STACK.index(('test_a', __name__)) + 1])\n",
    )
    saw = [re.search(rb"saw .*", suite.run("-s", **events).stdout)[0] for events in ({}, {"HIGHWATER_EVENTS": ""})]
    assert saw[0] == saw[1]


def test_a_text_that_says_something_else_of_itself_is_told_by_its_characters(suite):
    suite.write(
        heavy=HEAVY,
        test_late="class Name(str):\n    def __format__(self, _): return 'forged\\nte\\t1\\t1\\t1'\n    __str__ = __repr__ = lambda self: 'forged'\n"
        "def test_a(): __import__(Name('heavy'))\n",
    )
    assert suite.run().returncode == 0
    assert [name for name, _ in modules(suite.only())] == ["heavy"]


def test_a_warning_of_a_module_names_who_imports_it(suite):
    suite.write(
        old="import warnings\nwarnings.warn('old is old', DeprecationWarning, stacklevel=2)\n",
        test_late="import warnings\ndef test_a():\n    with warnings.catch_warnings(record=True) as caught:\n"
        "        warnings.simplefilter('always')\n        import old\n    assert caught[0].filename == __file__\n",
    )
    done = suite.run()
    assert done.returncode == 0, done.stdout.decode()


def test_an_import_at_the_bottom_of_a_recursion_ends_no_recording(suite):
    suite.write(
        test_deep="def dive():\n    import nowhere_at_all_either\ndef deeper():\n    try:\n        deeper()\n    except RecursionError:\n"
        "        pass\n    try:\n        __import__('nowhere' + str(id(object())))\n    except (ImportError, RecursionError):\n        pass\n"
        "def test_a(): deeper()\ndef test_b(): pass\n"
    )
    done = suite.run()
    assert done.returncode == 0 and b"broke off" not in done.stdout, done.stdout.decode()
    assert suite.outcomes(suite.only()) == [("test_a", "passed"), ("test_b", "passed")]


def test_after_the_session_imports_are_as_they_were(suite):
    suite.write(
        test_plain="def test_a(): pass\n",
        run="import importlib._bootstrap as b, pytest\nreal = dict(vars(b))\ncode = pytest.main(['-q', 'test_plain.py'])\n"
        "assert vars(b) == real\nraise SystemExit(code)\n",
    )
    import sys

    done = suite.call([sys.executable, "run.py"], HIGHWATER_EVENTS=str(suite.events))
    assert done.returncode == 0, done.stdout.decode()
    assert suite.records()
