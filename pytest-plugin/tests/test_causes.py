"""Why tests failed, as far as it speaks for how a job ended, and how long pytest-timeout lets them run."""

import errno
import sys

import pytest
from highwater_pytest.causes import cause_of

MEMORY = """
import errno, unittest
import pytest

@pytest.fixture
def broken():
    raise MemoryError

@pytest.fixture
def breaks_after():
    yield
    raise MemoryError("no room")

class OurError(Exception): pass

def test_call(): raise MemoryError
def test_subclass():
    class Array(MemoryError): pass
    raise Array("Unable to allocate 7.45 GiB")
def test_setup(broken): pass
def test_teardown(breaks_after): pass
def test_raised_from():
    try:
        raise MemoryError
    except MemoryError as error:
        raise OurError from error
def test_while_handling():
    try:
        raise MemoryError
    except MemoryError:
        raise OurError
def test_os_error(): raise OSError(errno.ENOMEM, "Cannot allocate memory")
class TestCase(unittest.TestCase):
    def test_unittest(self): raise MemoryError

def test_other(): raise OurError
def test_assertion(): assert 0
def test_hidden():
    try:
        raise MemoryError
    except MemoryError:
        raise OurError from None
def test_handler_is_wrong():
    try:
        raise MemoryError
    except MemoryError:
        assert 0
def test_expected():
    with pytest.raises(MemoryError):
        raise MemoryError
@pytest.mark.xfail
def test_xfailed(): raise MemoryError
@pytest.mark.xfail(strict=True)
def test_xpassed(): pass
def test_skips():
    try:
        raise MemoryError
    except MemoryError:
        pytest.skip("too small")
def test_passes(): pass
"""
OF_MEMORY = {"call", "subclass", "setup", "teardown", "raised_from", "while_handling", "os_error", "unittest"}


def causes_of(records):
    """The cause of each test that has one, by its name."""
    causes, name = {}, None
    for mark in records:
        if mark["kind"] == "tb":
            name = mark["nodeid"].split("::")[-1]
        elif mark["kind"] == "te" and "cause" in mark:
            causes[name.replace("test_", "", 1)] = mark["cause"]
    return causes


def test_a_memory_error_is_told_where_it_made_a_test_fail(suite):
    suite.write(test_memory=MEMORY)
    assert suite.run().returncode == 1
    assert causes_of(suite.only()) == dict.fromkeys(OF_MEMORY, "memory_error")


def test_workers_tell_the_same(suite, need):
    need("xdist", "pytest-xdist")
    suite.write(test_memory=MEMORY)
    suite.run("-n", "2")
    causes = {}
    for records in suite.records().values():
        causes.update(causes_of(records))
    assert causes == dict.fromkeys(OF_MEMORY, "memory_error")


@pytest.mark.skipif(pytest.version_tuple >= (9,), reason="pytest-forked itself fails on pytest 9; pytest 8 runs this")
def test_a_forked_child_tells_it_where_its_parent_does_not_see_it(suite, need):
    need("pytest_forked", "pytest-forked")
    suite.write(test_memory="def test_call(): raise MemoryError\ndef test_passes(): pass\n")
    suite.run("--forked")
    told = [causes_of(records) for records in suite.records().values()]
    assert {"call": "memory_error"} in told
    assert all(set(causes) <= {"call"} for causes in told)


def test_each_execution_has_the_cause_of_its_own(suite, need):
    need("pytest_rerunfailures", "pytest-rerunfailures")
    suite.write(test_again="TRIES = []\ndef test_again():\n    TRIES.append(1)\n    if len(TRIES) < 2: raise MemoryError\n")
    suite.run("--reruns", "2")
    ends = [(mark["outcome"], mark.get("cause")) for mark in suite.only() if mark["kind"] == "te"]
    assert ends == [("rerun", "memory_error"), ("passed", None)]


def test_an_import_that_fails_for_want_of_memory_says_so(suite):
    suite.write(
        test_memory="raise MemoryError\n",
        test_wrapped="try:\n    raise MemoryError\nexcept MemoryError:\n    raise ImportError\n",
        test_other="raise RuntimeError\n",
        test_skips="import pytest\npytest.skip('no', allow_module_level=True)\n",
        test_passes="def test(): pass\n",
    )
    suite.run()
    path, ends = None, {}
    for mark in suite.only():
        if mark["kind"] == "ib":
            path = mark["path"].split("/")[-1]
        elif mark["kind"] == "ie":
            ends[path] = (mark["outcome"], mark.get("cause"))
    assert ends == {
        "test_memory.py": ("failed", "memory_error"),
        "test_wrapped.py": ("failed", "memory_error"),
        "test_other.py": ("failed", None),
        "test_skips.py": ("skipped", None),
        "test_passes.py": ("passed", None),
    }


@pytest.mark.parametrize("error, told", [("MemoryError", ["memory_error"]), ("RuntimeError", [])])
def test_pytest_itself_may_break_off_for_want_of_memory(suite, error, told):
    suite.write(conftest="def pytest_runtest_logfinish(): raise %s\n" % error, test_one="def test(): pass\n")
    assert suite.run().returncode == 3
    assert [record["code"] for record in suite.only() if record["kind"] == "N"] == told


@pytest.mark.parametrize("error, told", [("MemoryError", ["memory_error"]), ("RuntimeError", [])])
def test_an_error_that_leaves_pytest_is_no_success(suite, error, told):
    """pytest's own status is 0 then: what it does of an interruption failed before it set another."""
    suite.write(conftest="def pytest_keyboard_interrupt(): raise %s\n" % error, test_one="def test(): raise KeyboardInterrupt\n")
    assert suite.run().returncode == 1
    marks = suite.only()
    assert [record["code"] for record in marks if record["kind"] == "N"] == told
    assert [mark["exit_status"] for mark in marks if mark["kind"] == "se"] == [3]


def test_an_error_that_is_being_handled_around_pytest_is_none_of_its_own(suite):
    suite.write(
        run="import pytest, sys\ntry:\n    raise MemoryError\nexcept MemoryError:\n    sys.exit(pytest.main(sys.argv[1:]))\n",
        test_one="def test(): pass\n",
    )
    command = [sys.executable, "run.py", "-p", "no:cacheprovider"]
    assert suite.call(command, HIGHWATER_EVENTS=str(suite.events)).returncode == 0
    assert [mark["exit_status"] for mark in suite.only() if mark["kind"] == "se"] == [0]


def group_of(*errors):
    if sys.version_info >= (3, 11):
        return BaseExceptionGroup("several", errors)  # noqa: F821
    group = Exception("several")
    group.exceptions = errors
    return group


def test_a_group_tells_of_its_members():
    assert cause_of(group_of(ValueError(), group_of(MemoryError())), False) == "memory_error"
    assert cause_of(group_of(ValueError()), False) == ""


def test_errors_that_name_each_other_are_looked_at_once():
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert cause_of(one, False) == ""


def test_an_error_that_cannot_be_asked_says_nothing():
    class Strange(Exception):
        @property
        def exceptions(self):
            raise ZeroDivisionError

    assert cause_of(Strange(), False) == ""
    assert cause_of(OSError(errno.ENOSPC, "full"), False) == ""


@pytest.mark.parametrize(
    "message, at_work, told",
    [
        ("Timeout (>1.0s) from pytest-timeout.", True, "timeout"),
        ("Timeout >1.0s", True, "timeout"),
        ("Timeout (>1.0s) from pytest-timeout.", False, ""),
        ("Timeout >1.0s while connecting", True, ""),
        ("the Timeout >1.0s", True, ""),
    ],
)
def test_the_words_of_pytest_timeout_count_where_it_is_at_work(message, at_work, told):
    assert cause_of(pytest.fail.Exception(message), at_work) == told
    assert cause_of(ValueError(message), at_work) == ""


# The words alone may be wrong, so the plugin itself is asked too.
TIMED = """
import time
import pytest

@pytest.fixture
def slow():
    time.sleep(60)

def test_default(): pass
@pytest.mark.timeout(0.3)
def test_call(): time.sleep(60)
@pytest.mark.timeout(timeout=0.3)
def test_setup(slow): pass
@pytest.mark.timeout(0.3)
def test_in_a_handler():
    try:
        time.sleep(60)
    finally:
        raise ValueError
@pytest.mark.timeout(method="signal")
def test_of_method(): pass
@pytest.mark.timeout(0)
def test_unlimited(): pass
@pytest.mark.timeout(90, func_only=True)
def test_func_only(): pass
@pytest.mark.timeout(70)
class TestClass:
    def test_of_class(self): pass
    @pytest.mark.timeout("80")
    def test_nearest(self): pass
"""


def limits_of(records):
    begun = [mark for mark in records if mark["kind"] == "tb"]
    return {mark["nodeid"].split("::")[-1].replace("test_", "", 1): mark.get("time_limit_us") for mark in begun}


def limits(default):
    own = {"call": 300_000, "setup": 300_000, "in_a_handler": 300_000, "unlimited": None}
    own.update(func_only=90_000_000, of_class=70_000_000, nearest=80_000_000)
    return dict(own, default=default, of_method=default)


@pytest.mark.parametrize(
    "options, variable, ini, default",
    [
        ([], None, None, None),
        (["--timeout=50"], "40", "30", 50_000_000),
        ([], "40", "30", 40_000_000),
        ([], None, "30", 30_000_000),
        (["--timeout=0"], None, "30", None),
    ],
)
def test_time_limits_are_those_of_pytest_timeout(suite, need, options, variable, ini, default):
    need("pytest_timeout", "pytest-timeout")
    if ini is not None:
        (suite.tests / "pytest.ini").write_text("[pytest]\ntimeout = %s\n" % ini)
    suite.write(test_timed=TIMED)
    variables = {} if variable is None else {"PYTEST_TIMEOUT": variable}
    suite.run(*options, **variables)
    records = suite.only()
    assert limits_of(records) == limits(default)
    assert causes_of(records) == {"call": "timeout", "setup": "timeout", "in_a_handler": "timeout"}


METHODS = """
import pytest
def test_default(): pass
@pytest.mark.timeout(5, method="thread")
def test_named(): pass
@pytest.mark.timeout(5, "signal")
def test_second(): pass
@pytest.mark.timeout(method="thread")
def test_alone(): pass
@pytest.mark.timeout(0, method="thread")
def test_unlimited(): pass
"""


@pytest.mark.parametrize("options, default", [([], "signal"), (["--timeout-method=thread"], "thread")])
def test_the_method_is_that_of_pytest_timeout(suite, need, options, default):
    need("pytest_timeout", "pytest-timeout")
    suite.write(test_timed=METHODS)
    suite.run("--timeout=50", *options)
    begun = [mark for mark in suite.only() if mark["kind"] == "tb"]
    told = {mark["nodeid"].split("::test_")[-1]: mark.get("time_limit_method") for mark in begun}
    assert told == {"default": default, "named": "thread", "second": "signal", "alone": "thread", "unlimited": None}


def test_a_marker_that_cannot_be_is_left_to_pytest_timeout(suite, need):
    need("pytest_timeout", "pytest-timeout")
    suite.write(test_timed="import pytest\n@pytest.mark.timeout('soon')\ndef test_one(): pass\n")
    suite.run()
    assert limits_of(suite.only()) == {"one": None}


def test_without_pytest_timeout_its_marker_says_nothing(suite):
    suite.write(test_timed="import pytest\n@pytest.mark.timeout(5)\ndef test_one(): pytest.fail('Timeout >5.0s')\n")
    suite.run("-p", "no:timeout")
    records = suite.only()
    assert limits_of(records) == {"one": None}
    assert causes_of(records) == {}


def test_a_path_that_is_not_there_is_a_wrong_use_and_no_error_of_pytest(suite):
    suite.write(test_a="def test_a(): pass\n")
    done = suite.run("no_such_file.py")
    assert done.returncode == 4
    assert [mark["exit_status"] for mark in suite.only() if mark["kind"] == "se"] == [4]
