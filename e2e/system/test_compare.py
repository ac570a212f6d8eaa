"""Before and after, as in the case that Highwater was made for: a suite dies of memory, is planned, and its parts live."""

import json
import re
import subprocess
import urllib.error

import pytest

from conftest import PYTEST, wait_for
from memory_cells import NEEDS_CGROUPS, Cgroup, cgroup, record  # noqa: F401

MIB = 1 << 20
ORDERED = PYTEST + ["-p", "no:randomly"]
#: Less than the suite comes to at this scale, which is about 200 MiB without its spikes.
LIMIT = 170 * MIB
SCALE = 0.05


def highwater(recorder, *words, ok=True):
    command = recorder.command([])[:1] + [str(word) for word in words]
    done = subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


@NEEDS_CGROUPS
def test_a_monolith_that_died_and_its_planned_shards(server, recorder, example, cgroup, browser):  # noqa: F811
    suite = example("monolith", scale=SCALE)
    recorder.folder = suite
    before = record(recorder, "run", ORDERED, server, ["--job", "unit"], tests_in=cgroup(LIMIT))
    died = server.job(before["uuid"])
    assert died["ending"]["verdict"] == "oom_cgroup" and died["censored"], died["ending"]
    # The rest of the suite was imported and did not run; its figures are those of the files in the middle.
    where = ["--server", server.url, before["uuid"], "--budget", "135MiB"]
    plan = json.loads(highwater(recorder, "plan", *where, "--format", "json"))
    shards = len(plan["jobs"])
    assert shards > 1 and sum(len(job["files"]) for job in plan["jobs"]) == 85
    jobs = []
    for job in plan["jobs"]:
        flags = ["--job", "unit", "--run-id", "split", "--shard", "%d/%d" % (job["index"], shards)]
        run = record(recorder, "run", ORDERED + job["files"], server, flags, tests_in=cgroup(LIMIT))
        jobs.append(server.job(run["uuid"]))
    assert [job["ending"]["verdict"] for job in jobs] == ["passed"] * shards

    sides = "before=%s&%s" % (before["uuid"], "&".join("after=" + job["uuid"] for job in jobs))
    told = server.get("/api/v1/compare?%s&limit=10000" % sides)
    assert told["before"]["verdict"] == "oom_cgroup" and told["after"]["verdict"] == "passed"
    # Peaks and headroom are the jobs' own.
    assert told["before"]["peak_bytes"] == died["peak_bytes"]
    assert told["after"]["peak_bytes"] == max(job["peak_bytes"] for job in jobs)
    assert told["after"]["headroom_bytes"] == min(job["headroom_bytes"] for job in jobs)
    assert told["after"]["duration_us"] == max(job["duration_us"] for job in jobs)
    assert told["after"]["duration_sum_us"] == sum(job["duration_us"] for job in jobs)
    assert (told["before"]["censored"], told["after"]["censored"]) == (True, False)
    head = r"Split into %d jobs: peak at least [\d.]+ MiB → [\d.]+ MiB, headroom at most [\d.]+ MiB → [\d.]+ MiB, died of memory → passed\." % shards
    assert re.fullmatch(head, told["sentence"]), told["sentence"]
    # Every file is there; those that the death kept from running are not called new.
    counts = told["counts"]
    ran = {row["path"] for row in server.rows(before["uuid"], "files") if row["visits"]}
    assert sum(counts.values()) == len(told["files"]) == 85 and counts["new"] == counts["gone"] == counts["moved"] == 0
    assert counts["not_run_before"] == 85 - len(ran) > 0 and counts["not_run_after"] == 0
    rows = {row["path"]: row for job in jobs for row in server.rows(job["uuid"], "files") if row["visits"]}
    for file in told["files"]:
        assert file["after"]["retained_bytes"] == rows[file["path"]]["retained_bytes"]
    # The same code in another order: nothing of it changed by more than noise. What children took at their highest is sampled, and on a busy machine a child comes and
    # goes between two samples.
    changed = [file for file in told["files"] if file["change"] == "changed"]
    children = [file for file in changed if file["beyond_noise"] == ["tree_spike"] and file["path"].startswith("tests/e2e/")]
    assert changed == children and counts["alike"] + counts["changed"] == len(ran), changed

    # The run of the shards says the same as its jobs, and so does the command.
    run = next(run["run"] for run in server.get("/api/v1/projects/test~suite/runs")["runs"] if run["id"] == "split")
    assert server.get("/api/v1/compare?before=%s&after=run:%d&project=test~suite" % (before["uuid"], run))["after"] == told["after"]
    compare = ["compare", "--server", server.url, before["uuid"], ",".join(job["uuid"] for job in jobs)]
    text = highwater(recorder, *compare)
    assert text.startswith(told["sentence"]) and "not run before" in text, text
    # One process grew over all files, several over some each.
    why = "Growth a file is left out: it is of one process over the files that it ran, and the suite ran in 1 job before and in %d jobs after." % shards
    assert died["growth"] and why in told["notes"] and why in text and "\nGrowth a file  " not in text, text
    assert json.loads(highwater(recorder, *compare, "--format", "json")) == told
    markdown = highwater(recorder, *compare, "--format", "markdown")
    assert markdown.startswith("**Split into %d jobs: " % shards) and "| Ending | died of memory | passed |" in markdown, markdown

    # And the page, which a job leads to.
    page = browser.new_page()
    try:
        page.goto("%s/compare?%s" % (server.url, sides))
        assert page.inner_text("p.sentence") == told["sentence"]
        assert page.locator("#jobs ~ div tbody tr").count() == 1 + shards
        assert page.locator("#files ~ div tbody tr").count() == 50
        page.click("text=35 more")
        assert page.locator("#files ~ div tbody tr").count() == 85
        page.goto("%s/jobs/%s" % (server.url, jobs[1]["uuid"]))
        page.click("text=all %d shards with another job" % shards)
        page.check("input[value='%s']" % before["uuid"])
        page.click("button:has-text('Compare')")
        assert page.inner_text("p.sentence") == told["sentence"]
    finally:
        page.close()


SUITE = "kept = []\ndef test_a(): kept.append(b'x' * (%d << 20))\ndef test_b(): pass\n"


def test_a_branch_is_compared_with_the_job_of_the_same_name_that_passed(server, recorder):
    def run(branch, job, files, ok=True):
        for path in recorder.folder.glob("**/test_*.py"):
            path.unlink()
        for path, size in files.items():
            (recorder.folder / path).parent.mkdir(exist_ok=True)
            # Whatever is in another folder has tests of the same names.
            own = "" if "/" in path else "def %s(): pass\n" % path[:-3]
            (recorder.folder / path).write_text(SUITE % size + own + ("" if ok else "def test_fails(): assert 0\n"))
        flags = ["--job", job, "--branch", branch, "--project", "test/branches"]
        summary = recorder.run(ORDERED, server, flags)
        return server.job(summary["uuid"])["uuid"]

    good = run("main", "unit", {"test_same.py": 20, "old/test_moved.py": 9, "test_grows.py": 10, "test_leaves.py": 5})
    run("main", "lint", {"test_lint.py": 1})
    run("main", "unit", {"test_same.py": 60}, ok=False)
    after = run("feature", "unit", {"test_same.py": 20, "new/test_moved.py": 9, "test_grows.py": 35, "test_comes.py": 5})
    told = server.get("/api/v1/compare?project=test~branches&before=branch:main&after=%s" % after)
    assert [job["uuid"] for job in told["before"]["jobs"]] == [good]
    became = {file["path"]: file["change"] for file in told["files"]}
    expected = {"test_same.py": "alike", "new/test_moved.py": "moved", "test_grows.py": "changed", "test_leaves.py": "gone", "test_comes.py": "new"}
    assert became == expected
    grown = told["files"][0]
    assert grown["path"] == "test_grows.py" and "retained" in grown["beyond_noise"]
    assert abs(grown["retained_change_bytes"] - 25 * MIB) <= 2 * MIB
    text = highwater(recorder, "compare", "--server", server.url, "--project", "test/branches", "branch:main", "branch:feature")
    assert "new/test_moved.py (was old/test_moved.py)" in text and "passed before and after" in text, text
    error = highwater(recorder, "compare", "--server", server.url, "--project", "test/branches", "branch:main", "branch:none", ok=False)
    assert 'test/branches has no job named "unit" on branch "none" that passed' in error, error
    error = highwater(recorder, "compare", "--server", server.url, "nonsense", good, ok=False)
    assert '"nonsense" names no job' in error, error


def test_a_job_that_still_runs_is_compared_as_it_stands(server, recorder):
    (recorder.folder / "test_it.py").write_text("import pathlib, time\ndef test_it():\n    while not pathlib.Path('go').exists(): time.sleep(0.02)\n")
    running = recorder.start(ORDERED, server, ["--project", "test/running"])
    try:
        job = wait_for("the job to be seen", lambda: seen(server, "test~running"))
        told = server.get("/api/v1/compare?before=%s&after=%s" % (job, job))
        assert told["before"]["verdict"] is None and "still running before and after" in told["sentence"], told["sentence"]
        assert "The job before is still running: its figures are of what has arrived." in told["notes"]
    finally:
        (recorder.folder / "go").touch()
        running.wait(60)
        running.stderr.close()


def seen(server, project):
    try:
        jobs = server.get("/api/v1/projects/%s/jobs" % project)["jobs"]
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return None
    return jobs[0]["uuid"] if jobs else None


@pytest.mark.parametrize(
    "query, status",
    [
        ("before=x&after=y", 400),
        ("after=0197a7d4-0000-7000-8000-00000000ffff", 400),
        ("before=run:1&after=run:1", 400),
        ("before=0197a7d4-0000-7000-8000-00000000ffff&after=0197a7d4-0000-7000-8000-00000000ffff", 404),
        ("before=branch:main&after=branch:main&project=no~such", 404),
    ],
)
def test_what_cannot_be_compared_is_refused(server, query, status):
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.get("/api/v1/compare?" + query)
    error = json.load(refused.value)["error"]
    assert refused.value.code == status and error["message"] and error["hint"], error
