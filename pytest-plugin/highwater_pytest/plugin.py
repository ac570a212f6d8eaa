"""Where the recording begins and ends."""

import _thread
import os
import sys

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
    try:
        _recording = Recording(config, folder, wanted and workerinput is None)
        _recording.begin()
    except Exception as error:
        # Nothing is lost but the recording; a summary that was asked for says why it is not there.
        _recording = None
        if wanted and workerinput is None:
            from .summary import Unrecorded

            config.pluginmanager.register(Unrecorded(error))


class Recording:
    """One session of pytest in this process."""

    def __init__(self, config, folder, summary):
        import pytest

        from . import __version__
        from .hooks import ControllerHooks, Hooks
        from .late import LateImports
        from .recorder import Recorder

        self.config = config
        self.thread = _thread.get_ident()
        self.own_folder = None
        if not folder:
            import tempfile

            folder = self.own_folder = tempfile.mkdtemp(prefix="highwater-")
            if summary:
                os.environ["HIGHWATER_EVENTS"] = folder
        self.folder = folder
        self.summary = summary
        root = str(getattr(config, "rootpath", None) or config.rootdir)
        exact = os.environ.get("HIGHWATER_EXACT", "1") != "0"
        self.recorder = Recorder(folder, root, exact, {"pytest": pytest.__version__, "plugin": __version__})
        self.session = describe(config, root, self.recorder.paths.repo_root)
        if self.recorder.problem or self.recorder.writer.failed:
            raise OSError(self.recorder.problem or self.recorder.writer.failed)
        self.recorder.late = LateImports(self.recorder)
        self.plugins = [Hooks(self.recorder)]
        if self.session["role"] == "controller":
            self.plugins.append(ControllerHooks(self.session))

    def begin(self):
        self.before = nesting.enter()
        for plugin in self.plugins:
            self.config.pluginmanager.register(plugin)
        self.recorder.session_begins(self.session)
        self._diagnose()
        add_cleanup = getattr(self.config, "add_cleanup", None) or self.config._cleanup.append
        add_cleanup(self.end)
        if self.summary:
            from .summary import Summary

            self.config.pluginmanager.register(Summary(self))

    def _diagnose(self):
        """Sees to it that why memory stays is looked into, where that is asked for and tests run in this process."""
        if os.environ.get("HIGHWATER_DIAGNOSE", "0") in ("", "0") or self.session["role"] == "controller":
            return
        from . import diagnosis

        self.recorder.diagnosis, problem = diagnosis.begin(self.config)
        if problem:
            self.recorder.notice("diagnosis_failed", problem)

    def end(self):
        """The session is over: pytest unconfigures."""
        global _recording, _has_another
        if os.getpid() != self.recorder.pid:
            return
        self.recorder.late.end()
        if _has_another:
            _has_another = False
            self.recorder.notice("another_pytest", "another thread of the process ran a pytest at the same time, which was not recorded")
        self.recorder.leave()
        self.recorder.close()
        if self.recorder.problem:
            _complain("highwater: the recording of process %d broke off: %s\n" % (os.getpid(), self.recorder.problem))
        nesting.leave(self.before)
        if self.own_folder:
            os.environ.pop("HIGHWATER_EVENTS", None)
            import shutil

            shutil.rmtree(self.own_folder, ignore_errors=True)
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
