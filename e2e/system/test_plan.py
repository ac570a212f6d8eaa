"""A plan is kept by the jobs that follow it."""

import json
import re
import shlex
import subprocess

import pytest

from conftest import PYTEST
from guarded import GuardedServer, make_token, settled

MIB = 1 << 20
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def shared():
    return b"s" * (20 << 20)
"""
SUITE = """
import time
kept = []

def test_holds(shared):
    kept.append(b"x" * ({retained} << 20))
    time.sleep({seconds})

def test_needs_for_a_while():
    block = b"y" * ({spike} << 20)
    time.sleep(0.06)
"""


@pytest.fixture
def suite(recorder):
    """Twelve files that retain 10 to 21 MiB each and need up to 56 above that, in blocks so large that malloc gives them back at once."""
    (recorder.folder / "conftest.py").write_text(CONFTEST)
    for number in range(12):
        text = SUITE.format(retained=10 + number, spike=40 + 8 * (number % 3), seconds=0.02 * (number % 4))
        (recorder.folder / ("test_%02d.py" % number)).write_text(text)
    return recorder


def planned(recorder, server, arguments, ok=True, **variables):
    command = recorder.command([], server)[:1] + ["plan"] + [str(word) for word in arguments]
    done = subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done


def test_the_jobs_of_a_plan_stay_inside_the_budget_and_run_each_file_once(server, suite):
    summary = suite.run(PYTEST + ["-p", "no:randomly"], server)
    assert suite.done.returncode == 0
    server.job(summary["uuid"])
    budget = 170 * MIB
    where = ["--server", server.url, summary["uuid"], "--budget", "170MiB"]
    plan = json.loads(planned(suite, server, where + ["--format", "json", "--write", "plan"]).stdout)
    instead = {other["kind"]: other for other in plan["alternatives"]}
    as_recorded = instead["as_recorded"]["peak_bytes"]
    assert as_recorded > budget and 2 <= len(plan["jobs"]) <= 3, plan
    assert sorted(path for job in plan["jobs"] for path in job["files"]) == ["test_%02d.py" % number for number in range(12)]
    assert abs(as_recorded - summary["peak_bytes"]) <= 0.05 * summary["peak_bytes"]
    # The server makes the same plan.
    assert server.get("/api/v1/jobs/%s/plan?budget=170MiB" % summary["uuid"]) == plan
    for job in plan["jobs"]:
        selection = "plan/test_selection_%d.txt" % job["index"]
        assert (suite.folder / selection).read_text().split() == job["files"]
        run = suite.run(PYTEST + ["-p", "no:randomly"] + job["files"])
        assert suite.done.returncode == 0 and run["sessions"][0]["tests"] == 2 * len(job["files"])
        assert run["peak_bytes"] <= budget, (run["peak_bytes"], job)
        assert abs(run["peak_bytes"] - job["peak_bytes"]) <= 0.1 * job["peak_bytes"], (run["peak_bytes"], job)


def test_shards_that_start_apart_run_each_test_once_inside_their_budgets(server, suite):
    """One file was added after the plan was made, and one deleted."""
    summary = suite.run(PYTEST + ["-p", "no:randomly"], server)
    server.job(summary["uuid"])
    budget = 170 * MIB
    where = ["--server", server.url, summary["uuid"], "--budget", "170MiB", "--together", "test_0[12].py", "--together", "test_01*"]
    refused = planned(suite, server, where, ok=False)
    assert "no test file of that recording looks like test_0[12].py" in refused.stderr
    where = where[:5] + ["--together", "test_01.py", "--together", "test_0?.py", "--jobs", "6"]
    assert "with the 9 files that stay together with it" in planned(suite, server, where, ok=False).stderr
    where = where[:5] + ["--together", "test_*0.py", "--jobs", "3", "--write", "plan", "--format", "json"]
    plan = json.loads(planned(suite, server, where).stdout)
    [group] = plan["together"]
    assert {"test_00.py", "test_10.py"} <= set(plan["jobs"][group["job"] - 1]["files"])
    (suite.folder / "test_05.py").unlink()
    (suite.folder / "test_new.py").write_text("def test_new(): pass\n")
    (suite.folder / "test_new_0.py").write_text("def test_new(): pass\n")
    collected = subprocess.run(PYTEST + ["--collect-only"], cwd=str(suite.folder), env=suite.environment(), stdout=subprocess.PIPE, universal_newlines=True)
    collected = sorted(line for line in collected.stdout.splitlines() if "::" in line)
    assert len(collected) == 24
    total, ran = len(plan["jobs"]), []
    for job in plan["jobs"]:
        shard = "%d/%d" % (job["index"], total)
        # By flags of pytest, by what the CI says, and by flags of the agent. With -q pytest would not show the head of its report.
        pytest_v = PYTEST + ["-v", "-p", "no:randomly"]
        if job["index"] == 1:
            run = suite.run(pytest_v + ["--highwater-shard", shard, "--highwater-plan=plan/plan.json"], server)
        elif job["index"] == 2:
            gitlab = {"GITLAB_CI": "true", "CI_NODE_INDEX": 2, "CI_NODE_TOTAL": total, "HIGHWATER_PLAN": "plan/plan.json"}
            run = suite.run(pytest_v, server, **gitlab)
        else:
            run = suite.run(pytest_v, server, ["--plan", "plan/plan.json", "--shard", shard])
        assert suite.done.returncode == 0, suite.done.stdout
        assert job["index"] == 1 or run["shard"] == {"index": job["index"], "total": total}
        assert run["peak_bytes"] <= budget, (run["peak_bytes"], job)
        assert "shard %s of plan %s" % (shard, plan["id"]) in suite.done.stdout.decode()
        server.job(run["uuid"])
        tests = [test["nodeid"] for test in server.rows(run["uuid"], "tests")]
        files = list(dict.fromkeys(nodeid.split("::")[0] for nodeid in tests))
        here = [path for path in job["files"] if path != "test_05.py"]
        assert files[: len(here)] == here
        assert ("test_new_0.py" in files) == (job["index"] == group["job"])
        ran += tests
    assert sorted(ran) == collected


def test_nothing_runs_where_a_flag_names_no_plan_with_that_shard(suite):
    suite.run(PYTEST + ["-p", "no:randomly"])
    planned(suite, None, ["--spool", suite.spool, "--budget", "170MiB", "--jobs", "3", "--write", "plan"])
    made = suite.folder / "plan" / "plan.json"
    (suite.folder / "broken.json").write_text(made.read_text()[:100])
    (suite.folder / "changed.json").write_text(made.read_text().replace("test_00.py", "test_new.py"))
    ran = suite.folder / "ran"
    command = ["sh", "-c", "touch ran"]
    for flags, why in [
        (["--plan", "nosuch.json", "--shard", "1/3"], "plan nosuch.json: it cannot be read: No such file or directory"),
        (["--plan", "nosuch.json"], "plan nosuch.json: it cannot be read: No such file or directory"),
        (["--plan", "broken.json", "--shard", "1/3"], "plan broken.json: this is no plan that `highwater plan` made: "),
        (["--plan", "plan", "--shard", "1/3"], "plan plan: it cannot be read: is no regular file; `highwater plan --write DIR` writes one to DIR/plan.json"),
        (["--plan", "changed.json", "--shard", "1/3"], "plan changed.json: this plan was changed after it was made: its id is "),
        (["--plan", "plan/plan.json", "--shard", "4/4"], "has 3 jobs, so the shards are 1/3 to 3/3, and not 4/4"),
        (["--plan", "plan/plan.json"], "is to run is not said; give --shard 1/3 to 3/3"),
    ]:
        assert suite.run(command, None, flags) is None
        told = suite.done.stderr.decode()
        assert suite.done.returncode == 2 and why in told and "; nothing was run" in told and not ran.exists(), told
    # What a variable names keeps nothing from running, and pytest refuses it.
    assert suite.run(command, None, HIGHWATER_PLAN="nosuch.json", HIGHWATER_SHARD="1/3") and ran.exists()
    told = suite.done.stderr.decode()
    assert suite.done.returncode == 0 and "HIGHWATER_PLAN: plan nosuch.json: it cannot be read" in told and "nothing was run" not in told, told
    suite.run(PYTEST, None, HIGHWATER_PLAN="nosuch.json", HIGHWATER_SHARD="1/3")
    assert suite.done.returncode == 4 and b"passed" not in suite.done.stdout, suite.done
    assert suite.run(command, None, ["--plan", "plan/plan.json", "--shard", "3/3"])["shard"] == {"index": 3, "total": 3}


def test_workers_have_a_base_each(server, suite):
    pytest.importorskip("xdist")
    summary = suite.run(PYTEST + ["-p", "no:randomly"], server)
    server.job(summary["uuid"])
    where = ["--server", server.url, summary["uuid"], "--budget", "330MiB", "--workers", "2", "--write", "plan", "--format", "json"]
    plan = json.loads(planned(suite, server, where).stdout)
    assert plan["workers"] == 2 and plan["bound"] == "at_most" and len(plan["jobs"]) >= 2, plan
    tests = 0
    for job in plan["jobs"]:
        words = ["-n", "2", "--dist", "loadfile", "--highwater-shard", "%d/%d" % (job["index"], len(plan["jobs"])), "--highwater-plan=plan/plan.json"]
        run = suite.run(PYTEST + ["-p", "no:randomly"] + words)
        assert suite.done.returncode == 0, suite.done.stdout
        assert run["peak_bytes"] <= job["peak_bytes"] <= 330 * MIB, (run["peak_bytes"], job)
        tests += run["sessions"][0]["tests"]
    assert tests == 24


#: Six tests, in the order in which several workers take them apart.
IN_PARTS = """
import time
kept = []

def test_before(shared): time.sleep({seconds})
def test_holds(): kept.append(b"x" * ({retained} << 20)); time.sleep({seconds})
def test_needs_for_a_while():
    block = b"y" * ({spike} << 20)
    time.sleep(0.06)
def test_between(): time.sleep({seconds})
def test_holds_more(): kept.append(b"z" * ({retained} << 19)); time.sleep({seconds})
def test_after(): pass
"""


def test_shards_of_files_that_were_recorded_in_parts_stay_inside_their_budgets(server, recorder):
    """Under `--dist load` each test goes to the worker that is free, so that workers share files."""
    pytest.importorskip("xdist")
    (recorder.folder / "conftest.py").write_text(CONFTEST)
    names = ["test_%02d.py" % number for number in range(10)]
    for number, name in enumerate(names):
        # Of blocks so large that malloc gives them back at once.
        text = IN_PARTS.format(retained=8 + number, spike=40 + 8 * (number % 3), seconds=0.01 * (1 + number % 3))
        (recorder.folder / name).write_text(text)
    summary = recorder.run(PYTEST + ["-p", "no:randomly", "-n", "2", "--dist", "load", "--maxschedchunk", "1"], server)
    assert recorder.done.returncode == 0, recorder.done.stdout
    server.job(summary["uuid"])
    rows = {row["path"]: row for row in server.rows(summary["uuid"], "files")}
    split = [name for name in names if sum(1 for worker in rows[name]["workers"] if worker["visits"]) == 2]
    assert len(split) >= 5, rows
    budget = 170 * MIB
    where = ["--server", server.url, summary["uuid"], "--budget", "170MiB", "--write", "plan", "--format", "json"]
    plan = json.loads(planned(recorder, server, where).stdout)
    assert len(plan["jobs"]) >= 2 and sorted(path for job in plan["jobs"] for path in job["files"]) == names, plan
    ran = []
    for job in plan["jobs"]:
        shard = "%d/%d" % (job["index"], len(plan["jobs"]))
        run = recorder.run(PYTEST + ["-p", "no:randomly"], server, ["--plan", "plan/plan.json", "--shard", shard])
        assert recorder.done.returncode == 0, recorder.done.stdout
        server.job(run["uuid"])
        assert run["peak_bytes"] <= job["peak_bytes"] + 0.02 * budget and run["peak_bytes"] <= budget, (run["peak_bytes"], job)
        ran += [test["nodeid"] for test in server.rows(run["uuid"], "tests")]
    assert len(ran) == len(set(ran)) == 60, ran


def test_shards_by_id_are_cut_as_those_by_file(suite, tmp_path):
    """By a server that asks for tokens: kept by one who may, run by those who may read."""
    (tmp_path / "guarded").mkdir()
    server = GuardedServer(tmp_path / "guarded")
    try:
        ingest, read, other = (make_token(server, *flags) for flags in (("--project", "test/suite", "--scope", "ingest"), ("--project", "test/suite", "--scope", "read"), ("--project", "other/suite", "--scope", "admin")))
        summary = suite.run(PYTEST + ["-p", "no:randomly"], server, HIGHWATER_TOKEN=ingest)
        settled(server, summary["uuid"], read)
        where = ["--server", server.url, summary["uuid"], "--budget", "170MiB", "--together", "test_*0.py", "--jobs", "3", "--keep"]
        told = planned(suite, server, where, ok=False, HIGHWATER_TOKEN=read).stderr
        assert "is not kept: the server answered 403 Forbidden: this token is for read of test/suite, not for admin" in told, told
        told = planned(suite, server, where, ok=False, HIGHWATER_TOKEN=other).stderr
        assert "it is not there, or not for whoever asks" in told, told
        kept = planned(suite, server, where, HIGHWATER_TOKEN=server.admin).stdout
        plan = re.search("^plan ([0-9a-f-]{36})$", kept, re.MULTILINE).group(1)
        assert "`highwater run --plan %s --shard 1/3 -- pytest` runs the first job" % plan in kept, kept
        # Again it is the same one, and it is the one that is made here of the same recording.
        assert "plan %s\n" % plan in planned(suite, server, where, HIGHWATER_TOKEN=server.admin).stdout
        planned(suite, server, where[:-1] + ["--write", "by-file"], HIGHWATER_TOKEN=read)
        by_file = json.loads((suite.folder / "by-file" / "plan.json").read_text())
        assert by_file["id"] == plan
        document = json.loads(planned(suite, server, ["--kept", plan, "--server", server.url, "--write", "kept", "--format", "json"], HIGHWATER_TOKEN=read).stdout)
        assert document == by_file == json.loads((suite.folder / "kept" / "plan.json").read_text())
        assert (suite.folder / "kept" / "test_selection_3.txt").read_text() == (suite.folder / "by-file" / "test_selection_3.txt").read_text()
        gitlab = planned(suite, server, ["--kept", plan, "--server", server.url, "--format", "gitlab"], HIGHWATER_TOKEN=read).stdout
        assert "--highwater-plan=%s\n" % plan in gitlab

        (suite.folder / "test_new.py").write_text("def test_new(): pass\n")
        pytest_v = PYTEST + ["-v", "-v", "-p", "no:randomly"]
        # What records may not read.
        tokens = {"HIGHWATER_TOKEN": ingest, "HIGHWATER_READ_TOKEN": read}
        ways = {
            "file": lambda shard: suite.run(pytest_v, server, ["--plan", "by-file/plan.json", "--shard", shard], HIGHWATER_TOKEN=ingest),
            "agent": lambda shard: suite.run(pytest_v, server, ["--plan", plan, "--shard", shard], **tokens),
            "variable": lambda shard: suite.run(pytest_v, server, HIGHWATER_PLAN=plan, HIGHWATER_SHARD=shard, **tokens),
            "plugin": lambda shard: suite.run(pytest_v + ["--highwater-plan=" + plan, "--highwater-shard", shard], HIGHWATER_SERVER=server.url, **tokens),
        }
        ran = {}
        for way, run in ways.items():
            parts = []
            for shard in ("1/3", "2/3", "3/3"):
                recorded = run(shard)
                told = suite.done.stdout.decode()
                assert suite.done.returncode == 0 and "shard %s of plan %s" % (shard, plan) in told, told + suite.done.stderr.decode()
                parts.append(re.findall(r"^(\S+::\S+) PASSED", told, re.MULTILINE))
                assert settled(server, recorded["uuid"], read)["ending"]["verdict"] == "passed"
            assert len(sum(parts, [])) == len(set(sum(parts, []))) == 25
            ran[way] = parts
        assert ran["agent"] == ran["variable"] == ran["plugin"] == ran["file"]

        # A plan never changes: what was fetched once is there without the server, and what was changed there is fetched again.
        [cached] = (suite.spool / "plans").iterdir()
        assert json.loads(cached.read_text()) == by_file
        text = cached.read_text()
        cached.write_text(text.replace("test_00.py", "test_0x.py"))
        assert suite.run(pytest_v, server, ["--plan", plan, "--shard", "1/3"], HIGHWATER_TOKEN=read) and cached.read_text() == text
        nobody = ["--server", "http://127.0.0.1:9", "--plan", plan, "--shard", "1/3"]
        suite.run(pytest_v, None, nobody)
        assert suite.done.returncode == 0 and "of plan " + plan in suite.done.stdout.decode()
        cached.unlink()

        # Without the plan nothing of the suite runs.
        for flags, variables, why in [
            (nobody, {}, "plan %s cannot be fetched from the server: " % plan),
            (["--plan", plan, "--shard", "1/3"], {}, "a server keeps it, and none is named; give --server URL or set HIGHWATER_SERVER"),
            (["--server", server.url, "--plan", plan, "--shard", "1/3"], {}, "asked without a token (HIGHWATER_READ_TOKEN takes one that may read): the server asks for a token"),
            (["--server", server.url, "--plan", plan, "--shard", "1/3"], {"HIGHWATER_TOKEN": ingest}, "asked with HIGHWATER_TOKEN: it is not there, or not for whoever asks: there is no plan " + plan),
            (["--server", server.url, "--plan", plan, "--shard", "1/3"], {"HIGHWATER_TOKEN": read, "HIGHWATER_READ_TOKEN": other}, "asked with HIGHWATER_READ_TOKEN: it is not there, or not for whoever asks: there is no plan " + plan),
            (["--server", server.url, "--plan", summary["uuid"], "--shard", "1/3"], {"HIGHWATER_TOKEN": read}, "there is no plan " + summary["uuid"]),
        ]:
            assert suite.run(pytest_v, None, flags, **variables) is None
            told = suite.done.stderr.decode()
            assert suite.done.returncode == 2 and why in told and suite.done.stdout == b"", told
        # Where a variable names it, what is no pytest runs, and pytest refuses.
        named = {"HIGHWATER_PLAN": plan, "HIGHWATER_SHARD": "1/3", "HIGHWATER_SERVER": "http://127.0.0.1:9"}
        suite.run(["true"], None, **named)
        assert suite.done.returncode == 0 and "HIGHWATER_PLAN: plan %s cannot be fetched" % plan in suite.done.stderr.decode()
        suite.run(pytest_v, None, **named)
        assert suite.done.returncode == 4 and b"passed" not in suite.done.stdout
        assert "--highwater-plan=%s: the server cannot be asked" % plan in (suite.done.stdout + suite.done.stderr).decode()
    finally:
        server.stop()


def test_a_plan_that_cannot_be_kept_is_told(server, suite):
    suite.run(PYTEST + ["-p", "no:randomly"])
    [job] = [path.name for path in suite.spool.iterdir() if len(path.name) == 36]
    for where, why in [
        (["--budget", "170MiB", "--keep"], "<JOB>"),
        (["--budget", "170MiB", "--keep", job], "no server is named"),
        (["--budget", "170MiB", "--keep", job, "--server", server.url], "there is no job " + job),
        (["--kept", job], "a server keeps it, and none is named"),
        (["--kept", job, "--server", server.url], "there is no plan " + job),
        (["--kept", job, "--budget", "1GB"], "cannot be used with"),
    ]:
        told = planned(suite, None, where + ["--spool", suite.spool] if "--kept" not in where else where, ok=False)
        assert told.returncode == 2 and why in told.stderr, told.stderr
    suite.upload(server)
    server.job(job)
    infeasible = planned(suite, None, ["--budget", "40MiB", "--keep", job, "--server", server.url], ok=False).stderr
    assert "is not kept: the server answered 422" in infeasible and "so that is the least budget" in infeasible, infeasible


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_of_a_real_suite_stay_inside_a_budget_that_is_tight(recorder, workers):
    """1.15 times the base and what needs most on top of it. More parts of more suites: `cargo xtask bench plan`."""
    pytest.importorskip("networkx")
    suite = ["-p", "no:randomly", "-k", "not very_large and not random_graphs and not joint_degree", "--pyargs", "networkx.generators", "networkx.utils"]
    words = []
    if workers > 1:
        pytest.importorskip("xdist")
        words = ["-n", str(workers), "--dist", "loadfile"]

    def ran(words):
        """The peak, and of each file that ran how many tests."""
        run = recorder.run(PYTEST + suite + words)
        assert recorder.done.returncode == 0, recorder.done.stdout.decode()
        report = recorder.command([])[:1] + ["report", "--format", "json", "--spool", str(recorder.spool), run["uuid"]]
        files = json.loads(subprocess.run(report, env=recorder.environment(), stdout=subprocess.PIPE, check=True).stdout)["files"]
        return run["peak_bytes"], [(file["path"], file["tests"]) for file in files if file["visits"]]

    _, whole = ran([])
    where = ["--spool", recorder.spool, "--workers", workers, "--budget"]
    told = planned(recorder, None, where + ["1"], ok=False).stderr
    least = int(re.search(r"least budget(?: found is [0-9.]+ MiB)? \((\d+) bytes\)", told).group(1))
    budget = int(1.15 * least)
    plan = json.loads(planned(recorder, None, where + [budget, "--jobs", 2, "--write", "plan", "--format", "json"]).stdout)
    shards = []
    for job in plan["jobs"]:
        shard = ["--highwater-shard", "%d/2" % job["index"], "--highwater-plan=plan/plan.json"]
        peak, files = ran(words + shard)
        print("predicted %d, measured %d, budget %d" % (job["peak_bytes"], peak, budget))
        assert peak <= budget, (peak, job)
        # A part imports less than the whole did, garbage waits for longer or shorter, and among workers it is a bound.
        assert 0.6 * job["peak_bytes"] <= peak <= 1.2 * job["peak_bytes"], (peak, job)
        shards += files
    assert sorted(shards) == sorted(whole) and len(whole) > 30


def test_a_plan_is_written_for_those_who_run_it(suite):
    suite.run(PYTEST + ["-p", "no:randomly"])
    assert suite.done.returncode == 0
    # Nothing was sent, so the recording is in the spool.
    where = ["--spool", suite.spool, "--budget", "170MiB"]
    text = planned(suite, None, where).stdout
    assert re.search(r"^[23] jobs of 12 test files inside 170.0 MiB", text) and "over the budget" in text, text
    lines = planned(suite, None, where + ["--format", "args"]).stdout.splitlines()
    matrix = json.loads(planned(suite, None, where + ["--format", "github"]).stdout)["include"]
    assert [leg["args"] for leg in matrix] == lines and {leg["shards"] for leg in matrix} == {len(lines)}
    assert sum(len(shlex.split(line)) for line in lines) == 12
    gitlab = planned(suite, None, where + ["--format", "gitlab"]).stdout
    assert re.findall(r'^        - "(\d)/(\d)"$', gitlab, re.MULTILINE) == [(str(at), str(len(lines))) for at in range(1, len(lines) + 1)]
    (suite.folder / "plan").mkdir()
    (suite.folder / "plan" / "test_selection_9.txt").write_text("gone.py\n")
    planned(suite, None, where + ["--write", "plan", "--jobs", "4"])
    names = ["plan.json"] + ["test_selection_%d.txt" % number for number in range(1, 5)]
    assert sorted(path.name for path in (suite.folder / "plan").iterdir()) == names


def test_the_plan_of_a_job_that_died_says_what_it_does_not_know(suite):
    (suite.folder / "test_07.py").write_text("import os\ndef test_dies(): os.kill(os.getpid(), 9)\n")
    suite.run(PYTEST + ["-p", "no:randomly"])
    told = planned(suite, None, ["--spool", suite.spool, "--budget", "170MiB"]).stdout
    # What was only imported is not forgotten.
    assert "of 12 test files" in told and "the recorded job did not run to its end" in told, told
    assert "note: test_08.py and 3 more did not run in that recording" in told, told
    assert "note: test_07.py did not finish in that recording" in told, told


def test_files_that_a_job_did_not_reach_are_planned_as_other_jobs_had_them(server, recorder):
    """The last file needs far more than those before it, and the job that is planned died before it."""
    light = "kept = []\ndef test_light(): kept.append(b'x' * (1 << 20))\n"
    heavy = "def test_heavy(): assert len(b'x' * (90 << 20))\n"
    dies = "import os\ndef test_dies():\n    if os.environ.get('DIES'): os.kill(os.getpid(), 9)\n"
    for name, text in [("test_1", light), ("test_2", light), ("test_3", dies), ("test_4", heavy)]:
        (recorder.folder / (name + ".py")).write_text(text)
    died = recorder.run(PYTEST + ["-p", "no:randomly"], server, DIES="1")
    server.job(died["uuid"])

    def plan():
        where = ["--server", server.url, died["uuid"], "--budget", "1GiB"]
        document = json.loads(planned(recorder, server, where + ["--format", "json"]).stdout)
        # The server makes the same plan.
        assert server.get("/api/v1/jobs/%s/plan?budget=1GiB" % died["uuid"]) == document
        return document, planned(recorder, server, where).stdout, server.text("/jobs/%s/plan?budget=1GiB" % died["uuid"])

    document, text, page = plan()
    assert (document["not_run"], document["recalled"]) == (["test_4.py"], [])
    assert document["jobs"][0]["peak_bytes"] < document["base_bytes"] + 60 * MIB, document
    assert "test_4.py did not run in that recording, and no other job was found to tell" in text and "the figures are guessed" in page, text
    whole = recorder.run(PYTEST + ["-p", "no:randomly"], server)
    assert recorder.done.returncode == 0
    server.job(whole["uuid"])
    document, text, page = plan()
    assert (document["not_run"], document["recalled"]) == ([], ["test_3.py", "test_4.py"])
    assert document["jobs"][0]["peak_bytes"] > document["base_bytes"] + 85 * MIB, document
    for told in (text, page):
        assert "test_3.py" in told and "planned with the most that" in told and "guessed" not in told, told


def test_names_that_look_like_flags_are_run_as_files(suite):
    for number in range(12):
        (suite.folder / ("test_%02d.py" % number)).unlink()
    for name in ["-k.py", "@x.py", "with blank's.py"]:
        (suite.folder / name).write_text("def test_it(): pass\n")
    suite.run(PYTEST + ["./-k.py", "./@x.py", "with blank's.py"])
    where = ["--spool", suite.spool, "--budget", "1GB", "--write", "plan", "--format", "args"]
    [line] = planned(suite, None, where).stdout.splitlines()
    assert sorted(shlex.split(line)) == ["./-k.py", "./@x.py", "with blank's.py"]
    words = (suite.folder / "plan" / "test_selection_1.txt").read_text().splitlines()
    assert suite.run(PYTEST + words)["sessions"][0]["tests"] == 3


def test_what_was_collected_for_doctests_is_planned_where_it_has_some(recorder):
    """Every module is collected, and most have no doctest."""
    doctest = '"""\n>>> 1 + 1\n2\n"""\n'
    files = {"conftest.py": doctest, "module.py": doctest + "def test_of_no_suite(): assert 0\n", "plain.py": "X = 1\n", "test_a.py": "def test_a(): pass\n"}
    for name, text in files.items():
        (recorder.folder / name).write_text(text)
    pytest_v = PYTEST + ["-vv", "--doctest-modules", "--ignore=spool"]
    recorder.run(pytest_v)
    assert recorder.done.returncode == 0, recorder.done.stdout
    where = ["--spool", recorder.spool, "--budget", "1GB", "--jobs", "9"]
    done = planned(recorder, None, where + ["--format", "json", "--write", "plan"])
    why = "9 jobs were asked for and 3 made: each has a test file at least"
    assert why in done.stderr and why in planned(recorder, None, where).stdout
    plan = json.loads(done.stdout)
    assert (plan["no_tests"], plan["not_run"]) == (["plain.py"], [])
    ran = []
    for shard in ("1/3", "2/3", "3/3"):
        recorder.run(pytest_v, None, ["--plan", "plan/plan.json", "--shard", shard])
        assert recorder.done.returncode == 0, recorder.done.stdout
        ran += re.findall(r"^(\S+)::\S+ PASSED", recorder.done.stdout.decode(), re.MULTILINE)
    assert sorted(ran) == ["conftest.py", "module.py", "test_a.py"]


def test_a_name_that_can_stand_in_no_plan_is_told_and_runs_in_one_shard(recorder):
    for name in ["test_a.py", "test_b.py", "test_\n.py"]:
        (recorder.folder / name).write_text("def test_it(): pass\n")
    recorder.run(PYTEST)
    told = planned(recorder, None, ["--spool", recorder.spool, "--budget", "1GB", "--jobs", "2", "--write", "plan"]).stdout
    assert "2 jobs of 2 test files" in told and r"note: test_\n.py cannot stand in a plan, by a name that" in told, told
    tests = []
    for shard in ("1/2", "2/2"):
        run = recorder.run(PYTEST, None, ["--plan", "plan/plan.json", "--shard", shard])
        assert recorder.done.returncode == 0, recorder.done.stdout
        tests.append(run["sessions"][0]["tests"])
    assert sorted(tests) == [1, 2]


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["--budget", "40MiB"], r"stands at \d+.\d MiB before its first file \(among it [^)]*\), and test_\d\d.py alone brings it to \d+.\d MiB, so that is the least budget \(\d+ bytes\)"),
        (["--budget", "170MiB", "--jobs", "1"], r"that fits into 170.0 MiB; [23] do"),
        (["--budget", "much"], "a size such as 3GB"),
        (["--budget", "1GiB", "01890000-0000-7000-8000-000000000000"], "no recording of job"),
    ],
)
def test_what_cannot_be_planned_is_told(suite, arguments, why):
    suite.run(PYTEST + ["-p", "no:randomly"])
    told = planned(suite, None, ["--spool", suite.spool] + arguments, ok=False).stderr
    assert re.search(why, told), told
