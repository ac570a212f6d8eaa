"""Where the recording begins and ends."""

import _thread
import os
import sys
from functools import partial

from . import limits, nesting, shard

_recording = None
# Held while a recording begins: a process has one mark of the kernel, and so one recording at a time.
_beginning = _thread.allocate_lock()
# Whether another thread began a pytest meanwhile.
_has_another = False


def pytest_addoption(parser):
    group = parser.getgroup("highwater", "memory recording")
    group.addoption(
        "--highwater",
        action="store_true",
        default=False,
        help="record the memory of this run and show a summary at its end",
    )
    limits.add_options(parser)
    shard.add_options(parser)


def pytest_configure(config):
    _begin_recording(config)
    # A pytest inside the process of a recorded one shares its kernel's mark, and so its recorder.
    recording = _recording
    config.pluginmanager.register(limits.Limits(config, recording.recorder if recording is not None else None))
    shard.configure(config)


def _begin_recording(config):
    """Begins a recording, if one is wanted and this is no pytest inside a recorded one."""
    global _has_another
    # Whoever holds it is a pytest of another thread, which will be the recorded one. To wait would be for ever in a child forked meanwhile.
    if not _beginning.acquire(False):
        _has_another = True
        return
    try:
        _begin_the_only_one(config)
    finally:
        _beginning.release()


def _begin_the_only_one(config):
    global _recording, _has_another
    folder = os.environ.get("HIGHWATER_EVENTS", "")
    wanted = config.getoption("highwater", False)
    workerinput = getattr(config, "workerinput", None)
    if _recording is not None:
        # What a test calls in its own thread is told as part of that test.
        _has_another = _has_another or _recording.thread != _thread.get_ident()
        return
    if not (folder or wanted) or not nesting.is_outermost(workerinput):
        return
    if not hasattr(os, "register_at_fork"):
        return
    recording = Recording(config, wanted and workerinput is None)
    try:
        recording.begin(folder)
        _recording = recording
    except Exception as error:
        # Nothing is lost but the recording; a summary that was asked for says why it is not there.
        recording.undo(error)
        kernel = sys.modules.get(__package__ + ".kernel")
        if kernel is not None and kernel.is_foreign(error):
            raise
        if wanted and workerinput is None:
            from .summary import Unrecorded

            config.pluginmanager.register(Unrecorded(error))


class Recording:
    """One session of pytest in this process."""

    def __init__(self, config, summary):
        self.config = config
        self.thread = _thread.get_ident()
        self.summary = summary
        self.own_folder = None
        # The folder is that of this process; a forked child of a test may run on to its own end before it.
        self._pid = os.getpid()
        self.recorder = None
        # What undoes each step of the begin, in the order of the steps.
        self._undoing = []

    def begin(self, folder):
        import pytest

        from . import __version__
        from .hooks import ControllerHooks, Hooks
        from .recorder import Recorder

        if not folder:
            import tempfile

            folder = self.own_folder = tempfile.mkdtemp(prefix="highwater-")
            self._undoing.append(self._remove_own_folder)
            if self.summary:
                os.environ["HIGHWATER_EVENTS"] = folder
        self.folder = folder
        root = str(getattr(self.config, "rootpath", None) or self.config.rootdir)
        exact = os.environ.get("HIGHWATER_EXACT", "1") != "0"
        self.recorder = Recorder(folder, root, exact, {"pytest": pytest.__version__, "plugin": __version__})
        self.session = describe(self.config, root, self.recorder.paths.repo_root)
        if self.recorder.problem or self.recorder.writer.failed:
            raise OSError(self.recorder.problem or self.recorder.writer.failed)
        plugins = [Hooks(self.recorder)]
        if self.session["role"] == "controller":
            plugins.append(ControllerHooks(self.session))
        if self.summary:
            from .summary import Summary

            plugins.append(Summary(self))
        before = nesting.enter()
        self._leave_the_environment = partial(nesting.leave, before)
        self._undoing.append(self._leave_the_environment)
        for plugin in plugins:
            self.config.pluginmanager.register(plugin)
            self._undoing.append(partial(self.config.pluginmanager.unregister, plugin))
        add_cleanup = getattr(self.config, "add_cleanup", None) or self.config._cleanup.append
        # From here on nothing fails: whoever reads the session takes the tests for recorded.
        self.recorder.session_begins(self.session)
        self._watch_imports()
        self._diagnose()
        add_cleanup(self.end)

    def undo(self, error):
        """The recording did not begin: nothing of it stays but what it says of itself, if it can."""
        if self.recorder is not None:
            self.recorder.fail("begin", error)
            self.recorder.close()
        for undo in reversed(self._undoing):
            undo()

    def _watch_imports(self):
        """What tests import late is told apart from them; where that cannot be watched, it is theirs."""
        from .kernel import OwnErrors

        with OwnErrors(self._no_late_imports):
            from .late import LateImports

            self.recorder.late = LateImports(self.recorder)

    def _no_late_imports(self, error):
        message = "%s: %s; what tests import counts as theirs" % (type(error).__name__, error)
        self.recorder.notice("late_imports_failed", message[:1000])

    def _leave_imports(self):
        if self.recorder.late is not None:
            self.recorder.late.end()

    def _remove_own_folder(self):
        if self.own_folder and os.getpid() == self._pid:
            if os.environ.get("HIGHWATER_EVENTS") == self.own_folder:
                del os.environ["HIGHWATER_EVENTS"]
            import shutil

            shutil.rmtree(self.own_folder, ignore_errors=True)

    def _diagnose(self):
        """Sees to it that why memory stays is looked into, where that is asked for and tests run in this process."""
        if os.environ.get("HIGHWATER_DIAGNOSE", "0") in ("", "0") or self.session["role"] == "controller":
            return
        from .kernel import OwnErrors

        with OwnErrors(lambda error: self._no_diagnosis("%s: %s; memory is recorded without it" % (type(error).__name__, error))):
            from . import diagnosis

            self.recorder.diagnosis, problem = diagnosis.begin(self.config)
            if problem:
                self._no_diagnosis(problem)

    def _no_diagnosis(self, problem):
        self.recorder.notice("diagnosis_failed", problem[:1000])

    def end(self):
        """The session is over: pytest unconfigures."""
        global _recording, _has_another
        if os.getpid() != self.recorder.pid:
            return
        self._leave_imports()
        if _has_another:
            _has_another = False
            self.recorder.notice("another_pytest", "another thread of the process ran a pytest at the same time, which was not recorded")
        self.recorder.leave()
        self.recorder.close()
        if self.recorder.problem:
            _complain("highwater: the recording of process %d broke off: %s\n" % (os.getpid(), self.recorder.problem))
        # What pytest registered goes with its configuration.
        self._leave_the_environment()
        self._remove_own_folder()
        _recording = None


def _complain(line):
    """On standard error, if there is one that takes it."""
    try:
        sys.__stderr__.write(line)
        sys.__stderr__.flush()
    except (AttributeError, OSError, ValueError):
        # Closed, not there, or on a full disk: the tests' own outcome goes before this line.
        pass


def describe(config, root, repo_root):
    """The session line: who this process is in it."""
    shared = getattr(config, "workerinput", {}).get(nesting.SHARED)
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    dist = getattr(config.option, "dist", "no") or "no"
    numprocesses = getattr(config.option, "numprocesses", None)
    workers = numprocesses if isinstance(numprocesses, int) else len(getattr(config.option, "tx", None) or [])
    session = {
        "session": os.urandom(16).hex(),
        "role": "worker" if worker else ("controller" if dist != "no" or workers else "pytest"),
        "worker": worker,
        "dist": dist,
        "numprocesses": workers,
        "root": root,
        "repo_root": repo_root,
        "args": [str(arg) for arg in getattr(config.invocation_params, "args", ())],
    }
    if shared:
        session.update(shared)
    elif worker:
        session["session"] = (config.workerinput.get("testrunuid") or session["session"])[:32]
    return session
