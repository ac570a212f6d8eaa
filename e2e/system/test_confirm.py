"""What was wild once is no finding where the file runs again, and what is so is one still."""

import json
import sys

from conftest import PYTEST
from test_check import blamed, checked, suite  # noqa: F401: a fixture

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
    page = server.text("/jobs/%s" % job)
    assert ">unconfirmed<" in page and 'refuted by a <a href="/jobs/%s">confirming run</a>' % again in page, page
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


def test_what_was_refuted_covers_no_later_change_and_is_the_begin_of_none(own_server, suite):
    server, folder = own_server, suite.recorder.folder
    jobs = history(suite, server)
    wild = worse(suite, server, "6")
    assert checked(suite, server, wild, "--confirm", "--", *PYTEST).returncode == 0
    # From the next commit on the file takes as much for good.
    (folder / "test_9.py").write_text(WILD.replace('if os.path.exists("wild"):', "if True:").replace('os.remove("wild")', "pass"))
    real = suite(server, "7")
    done = checked(suite, server, real)
    assert done.returncode == 1 and "  worse        test_9.py retains 6" in done.stdout, done
    assert "came with an earlier job" not in done.stdout, done.stdout
    says = "Refuted by a confirming run, in jobs before, and taken as it measured: test_9.py retains "
    assert says in done.stdout and says.split(":")[0] in server.text("/jobs/%s" % real), done.stdout
    report = server.get("/api/v1/jobs/%s/check" % real)
    refuted = {(it["figure"], it["path"], it["job"]): (it["bytes"] >> 20, it["again"]["bytes"] >> 20) for it in report["baseline"]["refuted"]}
    first, then = refuted[("retained", "test_9.py", wild)]
    assert first >= 59 and then <= 10, report
    worse_now = {it["path"]: it["cause"] for it in report["findings"]}
    assert worse_now == {"test_9.py": "changed", None: "changed"}, report
    # It is confirmed, so it came with that commit, and the next has it already.
    confirmed = checked(suite, server, real, "--confirm", "--", *PYTEST)
    assert confirmed.returncode == 1, confirmed
    after = checked(suite, server, suite(server, "8"))
    assert after.returncode == 0 and "It came with an earlier job." in after.stdout, after
    told = [(it["figure"], it["since"]["uuid"]) for it in server.get("/api/v1/projects/test~suite/changes/test_9.py")["changes"]]
    assert told == [("retained", real)], told
    text = blamed(suite, server, "test_9.py").stdout
    assert "Since 7777777777 (" in text and " more than in the %d jobs before" % (len(jobs) + 1) in text, text
    assert [it["job"] for it in server.get("/api/v1/projects/test~suite/files/test_9.py")["history"]][2] == wild, "what it took is shown as it was"


def test_what_was_refuted_is_forgotten_where_another_second_run_shows_it(own_server, suite):
    server, folder = own_server, suite.recorder.folder
    history(suite, server)
    before = server.get("/api/v1/projects/test~suite/changes/test_9.py")
    wild = worse(suite, server, "6")
    assert checked(suite, server, wild, "--confirm", "--", *PYTEST).returncode == 0
    after = worse(suite, server, "7", "always")
    assert checked(suite, server, after).returncode == 1
    # The last word counts: a run by hand, as a CI that runs the job again may make one.
    again = {"HIGHWATER_CONFIRMS": wild}
    run = server.get("/api/v1/jobs/%s" % wild)["run"]
    flags = ["--commit", "6" * 40, "--branch", "main", "--run-id", run["id"], "--provider", run["provider"]]
    summary = suite.recorder.run([*PYTEST, "test_9.py"], server, flags=flags, **again)
    server.job(summary["uuid"])
    known = checked(suite, server, after)
    assert known.returncode == 0 and "It came with an earlier job." in known.stdout, known
    assert before["changes"] == []
    assert [it["since"]["uuid"] for it in server.get("/api/v1/projects/test~suite/changes/test_9.py")["changes"]] == [wild]


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


# Keeps so much in blocks of the C library's own heap, and frees so much of it again.
HEAP = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.argtypes = [ctypes.c_size_t]
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.memset.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def blocks(mebibytes):
    return [libc.memset(libc.malloc(65536), 1, 65536) for _ in range(16 * mebibytes)]

kept = []

def test_holds():
    freed = blocks({freed})
    kept.extend(blocks({keeps}))
    for block in freed:
        libc.free(block)
"""


def test_each_file_runs_again_in_memory_that_no_other_freed(own_server, suite):
    server = own_server
    folder = suite.recorder.folder

    def keeps(one, other, freed=0):
        (folder / "test_-7.py").write_text(HEAP.format(keeps=other, freed=0))
        (folder / "test_-8.py").write_text(HEAP.format(keeps=one, freed=freed))

    keeps(2, 2)
    for commit in "12345":
        suite(server, commit)
    # What test_-8.py frees would hold all that test_-7.py keeps, were that to run behind it. The names put both before the files of the suite, which free some too.
    keeps(60, 22, freed=40)
    job = suite(server, "6")
    done = checked(suite, server, job, "--format", "json", "--confirm", "--", *PYTEST)
    [line] = [line for line in done.stderr.splitlines() if "running again, to confirm: " in line]
    assert line.index("test_-8.py") < line.index("test_-7.py"), line
    found = {it["path"]: it for it in json.loads(done.stdout)["findings"] if it["figure"] == "retained"}
    assert done.returncode == 1 and all(found[path]["again"]["confirms"] for path in ("test_-7.py", "test_-8.py")), found
