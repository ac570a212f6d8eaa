"""What the handler of a signal raises, as a suite's time limit does, is the tests' own wherever in this package it comes."""

import ast
import os
import pathlib
import signal
import types

import highwater_pytest
import pytest
from highwater_pytest import census, enforcer, kernel, late, plugin, writer
from highwater_pytest.causes import cause_of, time_limit
from highwater_pytest.hooks import Hooks
from highwater_pytest.recorder import Recorder


class Late(OSError):
    """An error of the system too, as ``TimeoutError`` is."""


@pytest.fixture
def alarm():
    """What has the handler raise where it is called."""

    def handler(*_):
        raise Late("too slow")

    def rings(*_, **__):
        signal.raise_signal(signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, handler)
    yield rings
    signal.signal(signal.SIGALRM, before)


def of_files(alarm, tmp_path, monkeypatch):
    Hooks(types.SimpleNamespace(lists_files=alarm))._files_of([])


def of_a_cause(alarm, tmp_path, monkeypatch):
    cause_of(type("Strange", (Exception,), {"exceptions": property(alarm)})(), False)


def of_a_time_limit(alarm, tmp_path, monkeypatch):
    time_limit(types.SimpleNamespace(get_closest_marker=alarm))


def of_a_fork(alarm, tmp_path, monkeypatch):
    recorder = Recorder(str(tmp_path), str(tmp_path), False, {})
    recorder._asleep = True
    monkeypatch.setattr(recorder.writer, "abandon", alarm)
    recorder._wakes()


def ringing(alarm):
    """An object whose type rings where it is looked up."""
    return type("Ringing", (type,), {"__hash__": alarm})("Odd", (), {})()


def of_a_type(alarm, tmp_path, monkeypatch):
    census.Census().count([ringing(alarm)])


def of_a_type_that_hangs_on_another(alarm, tmp_path, monkeypatch):
    # Only types of C make what gc does not track; they ring nothing.
    monkeypatch.setattr(census.gc, "is_tracked", lambda _: False)
    census.Census()._hanging([ringing(alarm)], 1.0, 0)


def of_a_name(alarm, tmp_path, monkeypatch):
    census._name(Asked(alarm))


class Asked:
    def __init__(self, alarm):
        self._alarm = alarm

    def __getattribute__(self, name):
        return object.__getattribute__(self, "_alarm")()


def of_a_limit(alarm, tmp_path, monkeypatch):
    enforcer.Enforcer({}, None)._read(types.SimpleNamespace(warn=print), alarm)


def of_a_write(alarm, tmp_path, monkeypatch):
    recorder = Recorder(str(tmp_path), str(tmp_path), False, {})
    monkeypatch.setattr(writer, "_write_all", alarm)
    try:
        recorder.mark("cb", "", True)
    finally:
        assert recorder.active and not recorder.writer.failed


def of_a_look_at_its_file(alarm, tmp_path, monkeypatch):
    recorder = Recorder(str(tmp_path), str(tmp_path), False, {})
    monkeypatch.setattr(recorder.writer, "_is_ours", alarm)
    try:
        recorder.mark("cb", "", True)
    finally:
        # What waits is written the next time.
        monkeypatch.undo()
        recorder.writer.flush()
        assert "\ncb\t" in pathlib.Path(recorder.writer.path).read_text()


def of_a_descriptor(alarm, tmp_path, monkeypatch):
    kernel._holds(alarm)


def of_the_watch_on_imports(alarm, tmp_path, monkeypatch):
    monkeypatch.setattr(late, "LateImports", alarm)
    plugin.Recording(None, False)._watch_imports()


@pytest.mark.parametrize(
    "part",
    [
        of_files,
        of_a_cause,
        of_a_time_limit,
        of_a_fork,
        of_a_type,
        of_a_type_that_hangs_on_another,
        of_a_name,
        of_a_limit,
        of_a_write,
        of_a_look_at_its_file,
        of_a_descriptor,
        of_the_watch_on_imports,
    ],
)
def test_a_handlers_error_goes_its_way(alarm, tmp_path, monkeypatch, part):
    with pytest.raises(Late):
        part(alarm, tmp_path, monkeypatch)


def test_a_diagnosis_that_a_handler_breaks_off_has_its_end_marked(alarm, tmp_path):
    recorder = Recorder(str(tmp_path), str(tmp_path), False, {})
    recorder.diagnosis = types.SimpleNamespace(is_due=lambda: True, measure=alarm, end=lambda: None)
    with pytest.raises(Late):
        recorder._diagnose()
    assert recorder.active and recorder.diagnosis is not None
    recorder.close()
    lines = (tmp_path / ("%d.events" % os.getpid())).read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["H", "db", "de"] and lines[-1].endswith("\t{}")


def test_a_time_limit_of_a_suite_comes_through_a_diagnosis(suite):
    suite.write(
        conftest="import signal, sys, pytest\nfrom highwater_pytest import diagnosis\nclass Late(Exception): pass\n"
        "def late(*_): raise Late\nsignal.signal(signal.SIGALRM, late)\n"
        "def measure(self, rss_of):\n    signal.raise_signal(signal.SIGALRM)\n    return {}\ndiagnosis.Diagnosis.measure = measure\n"
        "@pytest.hookimpl(hookwrapper=True, tryfirst=True)\ndef pytest_runtestloop(session):\n    outcome = yield\n"
        "    if outcome.excinfo and outcome.excinfo[0] is Late:\n        print('the limit came through')\n        outcome.force_result(True)\n",
        test_a="def test_a(): pass\n",
    )
    told = suite.run("-s", HIGHWATER_DIAGNOSE="1").stdout.decode()
    assert "the limit came through" in told and "broke off" not in told, told


def test_a_time_limit_that_comes_as_the_recording_begins_is_pytests_to_tell(suite):
    suite.write(
        conftest="import signal\nfrom highwater_pytest import plugin\nclass Late(Exception): pass\ndef late(*_): raise Late('too slow')\n"
        "signal.signal(signal.SIGALRM, late)\nplugin.describe = lambda *_: signal.raise_signal(signal.SIGALRM)\n",
        test_a="def test_a(): pass\n",
    )
    done = suite.run()
    told = done.stdout.decode()
    assert done.returncode != 0 and "Late: too slow" in told and "passed" not in told, told


def test_an_error_of_its_own_is_told_and_no_other():
    told = []
    with kernel.OwnErrors(told.append):
        raise ZeroDivisionError
    with pytest.raises(KeyError), kernel.OwnErrors(told.append, (OSError,)):
        raise KeyError
    with pytest.raises(KeyboardInterrupt), kernel.OwnErrors(told.append):
        raise KeyboardInterrupt
    assert [type(error) for error in told] == [ZeroDivisionError]


def test_who_catches_all_asks_whose_it_is():
    """``OwnErrors`` does; where it is not used, ``is_foreign`` stands in the handler, or it raises whatever it is."""
    for path in sorted(pathlib.Path(highwater_pytest.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and (node.type is None or "Exception" in ast.dump(node.type)):
                inside = [ast.dump(one) for one in ast.walk(node)]
                asks = any("is_foreign" in one or one.startswith("Raise(") for one in inside)
                assert asks, "%s:%d" % (path.name, node.lineno)
