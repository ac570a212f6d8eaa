"""What was wild once is no finding where the file runs again, and what is so is one still."""

import json
import sys

from conftest import PYTEST
from test_check import checked, suite  # noqa: F401: a fixture

# Takes 60 MiB more for as long as there is a file of this name beside it, which it removes where it is told to.
WILD = """
import os, signal
kept = []

def test_holds():
    if os.path.exists("wild"):
        kept.append(b"x" * (60 << 20))
        if not os.path.exists("always"):
            os.remove("wild")
    elif os.path.exists("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def worse(suite, server, commit, *files, words=()):
    """A job of which test_9.py takes more, with those files beside it."""
    folder = suite.recorder.folder
    for name in ["wild", *files]:
        (folder / name).write_text("")
    return suite(server, commit, words=words)


def history(suite, server, words=()):
    folder = suite.recorder.folder
    (folder / "test_9.py").write_text(WILD)
    return [suite(server, commit, words=words) for commit in "12345"]


def test_what_a_second_run_does_not_show_does_not_fail_the_check(own_server, suite):
    server = own_server
    before = history(suite, server)
    job = worse(suite, server, "6")
    assert checked(suite, server, job).returncode == 1
    done = checked(suite, server, job, "--confirm", "--", *PYTEST)
    assert done.returncode == 0, done
    assert "running again, to confirm: test_9.py" in done.stderr, done.stderr
    assert "1 passed" in done.stderr and "passed" not in done.stdout, "the tests' own output is beside the answer"
    assert "  unconfirmed  test_9.py retains 6" in done.stdout and "When the file ran again it was " in done.stdout, done.stdout
    # The page and the API tell the same from then on, without running anything.
    report = server.get("/api/v1/jobs/%s/check" % job)
    assert report["verdict"] == "clean" and not any(it["again"]["confirms"] for it in report["findings"]), report
    again = report["findings"][0]["again"]["job"]
    assert ">unconfirmed<" in server.text("/jobs/%s" % job)
    assert "files of job %s" % job in server.text("/jobs/%s" % again)
    assert checked(suite, server, job, "--confirm", "--", "false").returncode == 0
    # The second run is told apart, and is nobody's baseline, history or forecast.
    listed = {it["uuid"]: it["confirms"] for it in server.get("/api/v1/projects/test~suite/jobs")["jobs"]}
    assert listed[again] == job and listed[job] is None, listed
    after = server.get("/api/v1/jobs/%s/check" % suite(server, "7"))
    assert [it["uuid"] for it in after["baseline"]["jobs"]] == [*before, job], after
    assert again not in [it["job"] for it in server.get("/api/v1/projects/test~suite/files/test_9.py")["history"]]
    refused = checked(suite, server, again)
    assert refused.returncode == 2 and "ran files of job %s again" % job in refused.stderr, refused


def test_what_a_second_run_shows_too_fails_it_under_the_same_workers(own_server, suite):
    server = own_server
    words = ["-n", "2", "--dist", "loadfile"]
    history(suite, server, words)
    job = worse(suite, server, "6", "always", words=words)
    done = checked(suite, server, job, "--format", "json", "--confirm", "--", *PYTEST, *words)
    assert done.returncode == 1, done
    report = json.loads(done.stdout)
    found = {it["path"]: it["again"] for it in report["findings"] if it["path"]}
    assert list(found) == ["test_9.py"] and found["test_9.py"]["confirms"], report
    again = server.get("/api/v1/jobs/%s" % found["test_9.py"]["job"])
    assert again["confirms"] == job and again["sessions"][0]["numprocesses"] == 2, again
    assert [it["path"] for it in server.rows(again["uuid"], "files")] == ["test_9.py"]


def test_a_second_run_that_dies_or_is_none_confirms_nothing(own_server, suite):
    server = own_server
    history(suite, server)
    job = worse(suite, server, "6", "deadly")
    for command, says in [(PYTEST, "the second run confirms nothing"), (["true"], "the second run confirms nothing"), (["/no/such/program"], "confirms nothing")]:
        done = checked(suite, server, job, "--confirm", "--", *command)
        assert done.returncode == 1 and says in done.stderr, done
        assert "  worse        test_9.py retains 6" in done.stdout, done
    (suite.recorder.folder / "test_9.py").unlink()
    gone = checked(suite, server, job, "--confirm", "--", *PYTEST)
    assert gone.returncode == 1 and "test_9.py is not below " in gone.stderr, gone
    for words in [[job, "--confirm"], [job, "--", "pytest"]]:
        wrong = checked(suite, server, *words)
        assert wrong.returncode == 2 and "--confirm" in wrong.stderr, wrong


def test_a_job_without_findings_runs_nothing_again(own_server, suite):
    server = own_server
    history(suite, server)
    clean = checked(suite, server, suite(server, "6"), "--confirm", "--", sys.executable, "-c", "open('ran', 'w')")
    assert clean.returncode == 0 and not (suite.recorder.folder / "ran").exists(), clean


def test_a_limit_of_some_files_is_confirmed_or_not_as_the_others_are(own_server, suite):
    server = own_server
    (suite.recorder.folder / "test_9.py").write_text(WILD)
    job = worse(suite, server, "1")
    # test_4.py retains 7 MiB each time, test_9.py 60 MiB once.
    peak = next(it["tree_peak_bytes"] for it in server.rows(job, "files") if it["path"] == "test_9.py") - (30 << 20)
    flags = ["--fail-on", "limit", "--file-limit", "*_9.py=max-retained:20MB,max-peak:%d" % peak, "--file-limit", "test_4.py=max-retained:1MB"]
    done = checked(suite, server, job, *flags, "--confirm", "--", *PYTEST)
    assert done.returncode == 1, done
    assert "running again, to confirm: test_9.py test_4.py" in done.stderr, done.stderr
    report = json.loads(checked(suite, server, job, *flags, "--format", "json").stdout)
    found = {(it["path"], it["figure"]): it["again"]["confirms"] for it in report["findings"]}
    assert found == {("test_4.py", "retained"): True, ("test_9.py", "retained"): False, ("test_9.py", "peak"): False}, report
    assert "With what the file needed when it ran again it is " in done.stdout, done.stdout
    assert checked(suite, server, job, *flags[:4]).returncode == 0
