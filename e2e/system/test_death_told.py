"""One death of a suite with workers, as its owner meets it: the summary, the page, the report and the plan say the same, and what they say fits together."""

import html
import json
import re
import shlex
import subprocess

import pytest
from conftest import MB, PYTEST
from memory_cells import NEEDS_CGROUPS, ROOM, cgroup, ending, evidence, record

__all__ = ["cgroup"]
pytestmark = NEEDS_CGROUPS

MIB = 1 << 20
CONFTEST = """
import pytest, room

@pytest.fixture(scope="session")
def service():
    return room.hold(30_000_000)
"""
HOLDS = """
import room

KEPT = []

def test_keeps(service):
    KEPT.append(room.hold(8_000_000))

def test_after(): pass
"""
#: Needs 150 MB for a while.
SPIKES = """
import time, room

def test_before(service): pass

def test_spikes():
    held = []
    for _ in range(150):
        held.append(room.hold(1_000_000))
        time.sleep(0.01)
"""
COMMAND = PYTEST + ["-p", "no:randomly", "-n", "2", "--dist", "loadfile", "--max-worker-restart", "0"]
FLAGS = ("--job", "died")


@pytest.fixture
def suite(recorder):
    files = {"conftest": CONFTEST, "room": ROOM, "test_3_spikes": SPIKES}
    files.update({"test_%d_holds" % number: HOLDS for number in (1, 2, 4, 5)})
    for name, text in files.items():
        (recorder.folder / (name + ".py")).write_text(text)
    return recorder


def highwater(recorder, *words):
    command = recorder.command([])[:1] + [str(word) for word in words]
    return subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(), capture_output=True, universal_newlines=True)


def die(suite, server, cgroup):
    summary = record(suite, "run", COMMAND, server, FLAGS, tests_in=cgroup(260 * MB))
    job = server.job(summary["uuid"])
    found = ending(job, "oom_cgroup", "certain")
    assert found["victim"] == "test_3_spikes.py::test_spikes", found
    return job


def test_summary_page_and_report_tell_the_same(suite, server, cgroup):
    job = die(suite, server, cgroup)
    found = job["ending"]
    # The victim is among the holders, with what it had taken by the samples.
    [running] = [holder for holder in found["culprits"] if holder["kind"] == "running"]
    assert running["name"] == found["victim"] and 20 * MB < running["bytes"] < 150 * MB, found["culprits"]
    assert not any(holder["name"] == "test_3_spikes.py" for holder in found["culprits"]), found["culprits"]
    # What is of an instant stands in its order, behind what is of none.
    times = [figure["at_us"] if figure["at_us"] is not None else -1 for figure in found["evidence"]]
    assert times == sorted(times), found["evidence"]
    [limit] = [limit for limit in job["limits"] if limit["limit_bytes"] == 260 * MB // 4096 * 4096]
    if limit["worst_used_bytes"] < 0.95 * limit["limit_bytes"]:
        assert "faster than it was sampled" in evidence(job), found
    if job["peak_bytes"] > limit["limit_bytes"]:
        assert "The peak is above the limit" in evidence(job), found

    [session] = job["sessions"]
    assert session["unfinished"] == 1 and session["tests"] + session["not_begun"] == 10, session
    counts = "%d tests finished, 1 did not finish" % (session["tests"] - 1)
    if session["not_begun"]:
        counts += ", %d did not begin" % session["not_begun"]
    markdown = highwater(suite, "report", "--format", "markdown", "--server", server.url, job["uuid"]).stdout
    html = highwater(suite, "report", "--format", "html", "--server", server.url, job["uuid"]).stdout
    so_far = "%.1f MiB so far" % (running["bytes"] / MIB)
    for form in (suite.done.stderr.decode() + suite.done.stdout.decode(), markdown, html, server.text("/jobs/%s" % job["uuid"])):
        assert counts in form, form
    assert counts in found["sentence"], found
    for form in (html, server.text("/jobs/%s" % job["uuid"])):
        assert so_far in form, form


def test_the_plan_of_what_was_killed_is_the_least_until_another_job_knows_more(suite, own_server, cgroup):
    # Other tests' jobs may have come to files that this one does not.
    server = own_server
    died = die(suite, server, cgroup)
    rows = {row["path"]: row for row in server.rows(died["uuid"], "files")}
    killed = rows["test_3_spikes.py"]
    assert killed["censored"] and killed["spike_bytes"] > 20 * MB, killed

    def plan():
        where = ("plan", "--budget", "2GB", "--workers", 1, "--server", server.url, died["uuid"])
        document = highwater(suite, *where, "--format", "json")
        assert document.returncode == 0, document.stderr
        document = json.loads(document.stdout)
        # The server makes the same plan.
        assert server.get("/api/v1/jobs/%s/plan?budget=2GB&workers=1" % died["uuid"]) == document
        return document, highwater(suite, *where).stdout, server.text("/jobs/%s/plan?budget=2GB&workers=1" % died["uuid"])

    # Nobody ran that file to its end: what was seen is the least.
    document, text, page = plan()
    [job] = document["jobs"]
    # What ran beside it, on the other worker, may have been ended with it.
    cut = sorted(path for path, row in rows.items() if row["censored"])
    assert job["bound"] == "at_least" and document["cut_short"] == cut and document["recalled"] == [], (document, cut)
    assert job["peak_bytes"] >= document["base_bytes"] + killed["spike_bytes"] - 30 * MB, (job, killed)
    assert "at least %.1f MiB" % (job["peak_bytes"] / MIB) in text and "more may be" in text, text
    assert "at least %.1f MiB" % (job["peak_bytes"] / MIB) in page and "may be" in page, page
    instead = {other["kind"]: other for other in document["alternatives"]}
    assert instead["as_recorded"]["bound"] == "at_least" and instead["larger_runner"]["fits"] is None

    # The fixture is in the base and in no file: the files need no more than they took beside it.
    summary = suite.run(PYTEST + ["-p", "no:randomly", "-n", "2", "--dist", "loadfile"], server, FLAGS)
    assert suite.done.returncode == 0, suite.done.stdout
    server.job(summary["uuid"])
    document, text, page = plan()
    [job] = document["jobs"]
    # Files that the job did not come to are asked for too.
    asked = {path for path, row in rows.items() if row["censored"] or not row["visits"]}
    assert "bound" not in job and document["cut_short"] == [] and set(document["recalled"]) == asked, (document, asked)
    assert job["peak_bytes"] >= document["base_bytes"] + 150 * MB, document
    assert "planned with the most" in text and "planned with the most" in page
    instead = {other["kind"]: other for other in document["alternatives"]}
    assert instead["larger_runner"]["fits"] is True and "inside what that runner has" in text, text


def test_the_least_budget_of_workers_counts_a_fixture_once_each(suite, server):
    """What is refused names a budget under which the file that needs most runs, and it has the fixture in the base of each worker alone."""
    summary = suite.run(PYTEST + ["-p", "no:randomly", "-n", "2", "--dist", "loadfile"], server, FLAGS)
    assert suite.done.returncode == 0, suite.done.stdout
    job = server.job(summary["uuid"])
    told = highwater(suite, "plan", "--budget", "1MB", "--workers", 2, "--server", server.url, job["uuid"]).stderr
    assert re.search(r"among it in each of its 2 workers ([\d.]+ MiB for the imports of all test files and )?(28|29)\.\d MiB for fixtures of the session", told), told
    least = int(re.search(r"least budget(?: found is [\d.]+ MiB)? \((\d+) bytes\)", told).group(1))
    plan = server.get("/api/v1/jobs/%s/plan?budget=%d&workers=2" % (job["uuid"], least))
    [controller] = [row["peak_bytes"] for row in server.rows(job["uuid"], "processes") if row["role"] == "controller"]
    beside = least - 2 * plan["base_bytes"]
    print("least budget %d, base %d, controller %d" % (least, plan["base_bytes"], controller))
    # Of the file itself, without the fixture that its worker set up for it: that is in the base.
    assert plan["bound"] == "at_most" and 150 * MB < beside < controller + 165 * MB, (beside, controller)
    run = suite.run(PYTEST + ["-p", "no:randomly", "-n", "2", "--dist", "loadfile", "test_3_spikes.py"])
    assert 150 * MB < run["peak_bytes"] <= least, (run["peak_bytes"], least)


def test_the_command_that_is_named_finds_a_plan_and_where_nothing_fits_none_is_named(suite, server, cgroup):
    died = die(suite, server, cgroup)

    def told():
        hint = server.get("/api/v1/jobs/%s/report?format=json" % died["uuid"])["plan_hint"]
        page = server.text("/jobs/%s" % died["uuid"])
        markdown = highwater(suite, "report", "--format", "markdown", "--server", server.url, died["uuid"]).stdout
        return hint, page, markdown

    hint, page, markdown = told()
    command = hint["command"]
    assert command in page and command in html.unescape(markdown) and server.url in command, (hint, page)
    done = highwater(suite, *shlex.split(command)[1:])
    assert done.returncode == 0 and "of 5 test files inside" in done.stdout, done
    # Without a budget it is the same plan, and says of which limit.
    words = [word for word in shlex.split(command)[1:] if not re.fullmatch(r"--budget|\d+MB", word)]
    same = highwater(suite, *words)
    [plan] = re.findall(r"^plan (\S+)$", done.stdout, re.MULTILINE)
    assert "plan %s\n" % plan in same.stdout and re.search(r"\(\d+ % of the limit of the cgroup, 248\.0 MiB", same.stdout), same

    # Another job saw that a file needs more than the limit bears.
    (suite.folder / "test_3_spikes.py").write_text(SPIKES.replace("range(150)", "range(400)").replace("0.01", "0.001"))
    whole = suite.run(COMMAND, server, FLAGS)
    assert suite.done.returncode == 0, suite.done.stdout
    server.job(whole["uuid"])
    hint, page, markdown = told()
    says = "No cut of the suite fits into the limit of the cgroup, 248.0 MiB: "
    assert says in hint["nothing"] and "test_3_spikes.py alone brings a job to" in hint["nothing"] and "It needs a runner that has" in hint["nothing"], hint
    assert says in page and says in markdown and "highwater plan" not in markdown, (page, markdown)
    done = highwater(suite, "plan", "--server", server.url, died["uuid"])
    assert done.returncode == 2 and "no plan fits into the limit of the cgroup, 248.0 MiB: a job stands at" in done.stderr and "; it needs a runner that has" in done.stderr, done

    # The next to die is told at once, though it did not get so far as to see that.
    assert "test_3_spikes.py alone brings a job to" not in suite.done.stderr.decode()
    died = die(suite, server, cgroup)
    told = suite.done.stderr.decode()
    assert re.search("highwater: other jobs saw more of its files. %s[^\n]*test_3_spikes.py alone" % re.escape(says), told), told
