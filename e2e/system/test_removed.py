"""A spool that is removed while pytest runs costs no test and no figure."""

import pytest

from conftest import PYTEST

REMOVES = """
import os, pathlib, shutil, time

EVENTS = pathlib.Path(os.environ["HIGHWATER_EVENTS"])


def test_before(): pass


def test_removes():
    shutil.rmtree(WHAT)


def test_goes_on():
    # The agent makes it anew within some seconds.
    until = time.monotonic() + 30
    while not EVENTS.is_dir() and time.monotonic() < until: time.sleep(0.05)
    assert EVENTS.is_dir()


def test_after(): pass
"""


@pytest.mark.parametrize("what", ["EVENTS.parent", "EVENTS"], ids=["the job's folder", "the plugin's files"])
@pytest.mark.parametrize("with_server", [True, False], ids=["sending", "spool only"])
def test_what_is_removed_while_pytest_runs_is_made_anew_and_nothing_is_missing(server, recorder, what, with_server):
    (recorder.folder / "test_it.py").write_text(REMOVES.replace("WHAT", what))
    summary = recorder.run(PYTEST, server if with_server else None)
    told = recorder.done.stderr.decode()
    assert recorder.done.returncode == 0, recorder.done.stdout.decode()
    assert "Traceback" not in told and "broke off" not in told, told
    assert "4 tests" in summary["ending"]["sentence"], summary["ending"]
    if not with_server:
        assert recorder.upload(server).returncode == 0
    job = server.job(summary["uuid"])
    assert (job["state"], job["ending"]["verdict"], job["ending"]["confidence"]) == ("finished", "passed", "certain"), job["ending"]
    tests = {test["nodeid"].split("::")[1]: test["outcome"] for test in server.rows(job["uuid"], "tests")}
    assert tests == dict.fromkeys(["test_before", "test_removes", "test_goes_on", "test_after"], "passed")
    codes = [notice["code"] for notice in job["notices"]]
    assert ("spool_removed" in codes) == (what == "EVENTS.parent"), job["notices"]
    assert "marks_missing" not in codes


def test_marks_that_are_lost_with_the_plugins_files_are_told_and_are_no_crash(server, recorder):
    (recorder.folder / "test_it.py").write_text(
        "import os, shutil\n\ndef test_a(): pass\n\n\ndef test_b():\n    shutil.rmtree(os.environ['HIGHWATER_EVENTS'])\n"
        "    open(os.environ['HIGHWATER_EVENTS'], 'w').close()\n"
    )
    summary = recorder.run(PYTEST, server)
    assert recorder.done.returncode == 0 and b"2 passed" in recorder.done.stdout
    job = server.job(summary["uuid"])
    assert job["ending"]["verdict"] in ("passed", "no_session") and job["ending"]["confidence"] != "certain", job["ending"]
