"""The hooks of pytest, each translated into a word to the recorder."""

import os
import sys
from functools import partial, wraps

import pytest

from .causes import MEMORY_ERROR, cause_of, has_timeouts, time_limit
from .kernel import OwnErrors, is_foreign, untold
from .nesting import SHARED

# Wrappers of the newer form cost half as much, but pluggy knows them since 1.2 only. The bodies below are right in both forms: an error
# comes out of the ``yield`` of the one and in the outcome of the other, and what they return is the result of the one and nothing to the other.
try:
    WRAPPER = {"wrapper": True, "tryfirst": True}
    pytest.hookimpl(**WRAPPER)
    _OLD = False
except TypeError:
    WRAPPER = {"hookwrapper": True, "tryfirst": True}
    _OLD = True

# pytest's exit status for an error of its own.
_INTERNAL_ERROR = 3
# Outcomes of phases, as ``te`` lists them.
_PHASES = ("setup", "call", "teardown")
_FAILED = ("failed", "error", "rerun")
# What most tests report: each phase with its outcome, and whether that is an xfail's.
_ALL_PASSED = {phase: ("passed", False) for phase in _PHASES}
# pytest gives a test its parameters through fixtures that nobody wrote; they hold nothing of their own.
_PARAMETER = "get_direct_param_fixture_func"
# Fixtures whose node lies in the file of the test that asks for them.
_IN_FILE = ("function", "class", "module")


def careful(method):
    """Lets no error of a hook's own part reach pytest: it ends the recording."""

    @wraps(method)
    def call(self, *args):
        try:
            return method(self, *args)
        except Exception as error:
            if is_foreign(error):
                raise
            self.recorder.fail(method.__name__, error)
            return None

    return call


class Hooks:
    """Registered for one session. The wrappers are the outermost, so that other plugins' work counts where it happens."""

    def __init__(self, recorder):
        self.recorder = recorder
        # What whoever called pytest handles meanwhile is no error of pytest's.
        self._handled = sys.exc_info()[1]
        self._nodeid = None
        self._path = None
        # What is written of a fixture, by its definition and the file that asks for it.
        self._fixtures = {}
        self._reports = {}
        self._set_up = False
        # Why the open test failed, as a field.
        self._cause = ""
        # Whether pytest-timeout is at work; not known before the first test, since its plugin may be configured after this one.
        self._timeouts = None

    # Session and collection

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self):
        self.recorder.mark("cb", "", True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        self.recorder.mark("ce", f"\t{len(session.items)}{self._files_of(session.items)}")

    def _files_of(self, items):
        # The list is for a forecast alone. What a path is wrong with is told where its test begins.
        with OwnErrors(untold):
            return self.recorder.words_of_files(_by_file(items)) if self.recorder.lists_files() else ""
        return ""

    @pytest.hookimpl(**WRAPPER)
    def pytest_make_collect_report(self, collector):
        begun, report = self._import_begins(collector), None
        try:
            outcome = report = yield
            if _OLD:
                report = outcome.get_result() if outcome.excinfo is None else None
            return outcome
        finally:
            if begun:
                outcome = getattr(report, "outcome", "failed")
                self.recorder.mark("ie", f"\t{outcome}{self._cause_of(report) if outcome == 'failed' else ''}")

    @careful
    def _import_begins(self, collector):
        path = _file_of(collector)
        if path is None:
            return False
        self.recorder.import_begins(path)
        return True

    @pytest.hookimpl(**dict(WRAPPER, tryfirst=False, trylast=True))
    def pytest_sessionfinish(self, session, exitstatus):
        breaks_off = self._breaks_off()
        self.recorder.tests_end()
        try:
            return (yield)
        finally:
            status = getattr(session, "exitstatus", exitstatus)
            # A wrong use is on its way out as an error too, with a status of its own.
            self.recorder.session_ends(_INTERNAL_ERROR if breaks_off and status == 0 else status)

    def _breaks_off(self):
        """Whether an error of pytest's own is on its way out, as where a report of an interruption got no memory. The status is 0 then."""
        error = sys.exc_info()[1]
        if error is None or error is self._handled:
            return False
        if cause_of(error, False) == MEMORY_ERROR:
            self.recorder.notice(MEMORY_ERROR, "pytest itself broke off with a MemoryError")
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excinfo):
        if self._cause_of_error(excinfo) == MEMORY_ERROR:
            self.recorder.notice(MEMORY_ERROR, "pytest itself broke off with a MemoryError")

    # Tests

    @pytest.hookimpl(**WRAPPER)
    def pytest_runtest_protocol(self, item):
        self._begin(item)
        try:
            return (yield)
        finally:
            self._end(last=True)
            self._nodeid = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        if self._nodeid == item.nodeid:
            if self._set_up:
                self._end(last=False)
                self._begin(item)
            self._set_up = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self):
        self.recorder.mark("tp", "\tcall", True)

    @pytest.hookimpl(**WRAPPER)
    def pytest_runtest_teardown(self):
        self.recorder.mark("tp", "\tteardown")
        try:
            return (yield)
        finally:
            self.recorder.teardown_ends(self._cause)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report):
        if report.nodeid == self._nodeid:
            known = self._reports.get(report.when)
            # The last word on a phase counts, but a failure is not taken back by a further report of the same phase.
            if known is None or known[0] != "failed":
                self._reports[report.when] = (report.outcome, "wasxfail" in report.__dict__)

    @pytest.hookimpl(tryfirst=True)
    def pytest_exception_interact(self, node, call):
        """Called for failures alone, so the causes cost nothing where tests pass: not for skips, xfails, and what a test expects."""
        if node.nodeid == self._nodeid and not self._cause:
            self._cause = self._cause_of(call)

    def _cause_of(self, call):
        """The field of a cause, of a call or of the report of an import."""
        cause = self._cause_of_error(getattr(getattr(call, "call", call), "excinfo", None))
        return f"\t{cause}" if cause else ""

    @careful
    def _cause_of_error(self, excinfo):
        return "" if excinfo is None else cause_of(excinfo.value, bool(self._timeouts))

    @careful
    def _begin(self, item):
        self._nodeid, self._path = item.nodeid, _path_of(item)
        self._reports = {}
        self._set_up = False
        self._cause = ""
        if self._timeouts is None:
            self._timeouts = has_timeouts(item.config)
        self.recorder.test_begins(self._nodeid, self._path, time_limit(item) if self._timeouts else "")
        if self.recorder.diagnosis is not None:
            self.recorder.diagnosis.kept.ran(item)

    def _end(self, last):
        reports = self._reports
        if last and reports == _ALL_PASSED:
            self.recorder.test_ends("\tpassed\tpassed\tpassed\tpassed")
            return
        phases = tuple(reports[phase][0] if phase in reports else "-" for phase in _PHASES)
        outcome = _outcome(reports) if last else "rerun"
        # A plugin that tries again by itself may have taken the failure back.
        cause = self._cause if not last or outcome in _FAILED else ""
        self.recorder.test_ends("\t%s\t%s\t%s\t%s%s" % ((outcome,) + phases + (cause,)))

    # Fixtures

    @pytest.hookimpl(**WRAPPER)
    def pytest_fixture_setup(self, fixturedef, request):
        number = self._fixture_begins(fixturedef, request)
        if number is None:
            return (yield)
        outcome = "failed"
        try:
            value = yield
            if not _OLD or value.excinfo is None:
                outcome = "passed"
            return value
        finally:
            self.recorder.mark("fe", f"{number}\t{outcome}")
            if outcome == "passed":
                fixturedef.addfinalizer(partial(self.recorder.release_begins, number))

    def _fixture_begins(self, fixturedef, request):
        recorder, key = self.recorder, (fixturedef, self._path)
        try:
            words = self._fixtures.get(key)
            if words is None:
                words = self._fixtures[key] = self._words_of(fixturedef, request)
            if not words:
                return None
            number = recorder.fixture_begins(words)
            # Finalizers run last in, first out: one added before the set-up runs after the fixture's own teardown; one added after it
            # runs before that, but after those of the fixtures that asked for this one.
            fixturedef.addfinalizer(partial(recorder.release_ends, number))
        except Exception as error:
            if is_foreign(error):
                raise
            recorder.fail("pytest_fixture_setup", error)
            return None
        return number

    def _words_of(self, fixturedef, request):
        """What is written of a fixture; ``""`` of what is none."""
        if getattr(fixturedef.func, "__name__", "") == _PARAMETER:
            return ""
        scope = str(fixturedef.scope)
        path = self._path if self._path and scope in _IN_FILE else _path_of(request.node, request)
        return self.recorder.words_of_fixture(fixturedef.argname, scope, path, fixturedef.baseid or "")


def _outcome(reports):
    setup, call, teardown = (reports.get(phase) for phase in _PHASES)
    if any(report and report[0] == "rerun" for report in reports.values()):
        return "rerun"
    if setup and setup[0] == "failed" or teardown and teardown[0] == "failed":
        return "error"
    deciding = call or setup
    # Broken off in its call: pytest reports neither that nor a teardown, and that the set-up passed says nothing of the test.
    if deciding is None or deciding is setup and setup[0] == "passed" and not teardown:
        return "unknown"
    outcome, xfail = deciding
    if xfail:
        return {"skipped": "xfailed", "passed": "xpassed"}.get(outcome, outcome)
    return outcome if outcome in ("passed", "failed", "skipped") else "unknown"


def _path_of(node, request=None):
    """Path of the test file of a node; of the test that asks, for a fixture of a wider node."""
    path = getattr(node, "path", None) or getattr(node, "fspath", None)
    if request is not None and (path is None or not str(path).endswith(".py") or os.path.basename(str(path)) == "__init__.py"):
        item = getattr(request, "_pyfuncitem", None)
        path = getattr(item, "path", None) or path
    return str(path) if path is not None else None


def _by_file(items):
    """How many tests are to run of each file, in the order in which the files begin."""
    counts, last, path = {}, None, ""
    for item in items:
        here = getattr(item, "path", None) or getattr(item, "fspath", None)
        # The tests of a file mostly share one object.
        if here is None or here is not last:
            last, path = here, _path_of(item) or ""
        counts[path] = counts.get(path, 0) + 1
    return counts


def _file_of(collector):
    """Path of the file that a collector imports; ``None`` for one that imports nothing by itself."""
    if not isinstance(collector, pytest.File):
        return None
    path = getattr(collector, "path", None)
    if path is None or os.path.isdir(str(path)):
        init = os.path.join(str(path), "__init__.py") if path is not None else ""
        return init if isinstance(collector, pytest.Package) and os.path.exists(init) else None
    return str(path)


class ControllerHooks:
    """For an xdist controller: its workers are told which session they belong to."""

    def __init__(self, session):
        self.session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):
        shared = {key: self.session[key] for key in ("session", "dist", "numprocesses", "args")}
        node.workerinput[SHARED] = shared
