"""Which file sets up a fixture of the session, and which meets its teardown, is chance under xdist: no figure of a file hangs on it."""

import json
import subprocess
import urllib.request

import pytest

from conftest import PYTEST

MIB = 1 << 20
SHARED = 30
CONFTEST = """
import mmap
import pytest

def mapped(size):
    held = mmap.mmap(-1, size << 20)
    for at in range(0, size << 20, 4096):
        held[at] = 1
    return held

@pytest.fixture(scope="session")
def database():
    # To make it takes as much again for a while.
    dump = mapped({shared})
    held = mapped({shared})
    dump.close()
    yield held
    held.close()
"""
FILE = """
from conftest import mapped

kept = []

def test_asks(database):
    kept.append(mapped({keeps}))

def test_needs_for_a_while():
    mapped(20).close()
"""
KEEPS = {"test_0.py": 3, "test_1.py": 4, "test_2.py": 5, "test_3.py": 6, "test_4.py": 7}
ORDERS = (sorted(KEEPS), sorted(KEEPS, reverse=True))


@pytest.fixture
def record(recorder):
    """Records the suite at a commit, on two workers where nothing else is said, its files in an order; some may keep more."""
    pytest.importorskip("xdist")

    def record(server, commit, order, shared=SHARED, workers=2, **more):
        (recorder.folder / "conftest.py").write_text(CONFTEST.format(shared=shared))
        for path, keeps in KEEPS.items():
            (recorder.folder / path).write_text(FILE.format(keeps=keeps + more.get(path[:-3], 0)))
        words = ["-n", str(workers), "--dist", "loadfile", "-p", "no:randomly", *order] if workers else ["-p", "no:randomly", *order]
        summary = recorder.run(PYTEST + words, server, flags=["--commit", commit * 40, "--branch", "main"])
        assert recorder.done.returncode == 0, recorder.done
        server.job(summary["uuid"])
        return summary["uuid"]

    record.recorder = recorder
    return record


def asked(record, server, *words):
    command = record.recorder.command([], server)[:1] + list(words)
    environment = record.recorder.environment(HIGHWATER_PROJECT="test/suite")
    return subprocess.run(command, cwd=str(record.recorder.folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def files_of(server, job):
    return {file["path"]: file for file in server.rows(job, "files") if file["visits"]}


def test_files_are_told_alike_whichever_came_first_and_last(own_server, record):
    server = own_server
    jobs = [record(server, commit, ORDERS[0]) for commit in "12345"]
    jobs += [record(server, commit, ORDERS[1]) for commit in "678"]
    askers = set()
    for job in (jobs[0], jobs[-1]):
        files = files_of(server, job)
        assert set(files) == set(KEEPS)
        for path, file in files.items():
            assert abs(file["retained_bytes"] - KEEPS[path] * MIB) < MIB, file
            assert file["spike_bytes"] < (KEEPS[path] + 22) * MIB, file
            assert file["end_bytes"] - file["start_bytes"] == file["retained_bytes"] + file["late_import_bytes"] + file["shared_fixture_bytes"], file
        first = {path for path, file in files.items() if file["shared_fixture_bytes"] > (SHARED - 1) * MIB}
        last = {path for path, file in files.items() if file["shared_fixture_bytes"] < -(SHARED - 1) * MIB}
        assert len(first) == len(last) == 2, files
        askers.add(frozenset(first))
        [fixture] = [row for row in server.rows(job, "fixtures") if row["name"] == "database"]
        assert (fixture["setups"], fixture["open"]) == (2, 0)
        assert abs(fixture["setup_bytes"] - 2 * SHARED * MIB) < MIB and abs(fixture["retained_bytes"]) < MIB, fixture
        assert abs(sum(file["shared_fixture_bytes"] for file in files.values()) - fixture["retained_bytes"]) < MIB
        assert fixture["spike_bytes"] > (2 * SHARED - 1) * MIB, fixture
        with urllib.request.urlopen(server.url + "/jobs/" + job) as page:
            html = page.read().decode()
        assert "set up shared fixtures (30.0 MiB)" in html and "tore down shared fixtures (30.0 MiB)" in html
    assert len(askers) == 2, "another file came first"
    for path in KEEPS:
        done = asked(record, server, "blame", "--server", server.url, path)
        assert done.returncode == 0 and done.stdout.startswith("Nothing of %s changed for good in the 8 jobs of main." % path), done
    for job in jobs[5:]:
        report = json.loads(asked(record, server, "check", "--server", server.url, job, "--format", "json").stdout)
        assert (report["verdict"], report["findings"], report["better"]) == ("clean", [], []), report
    compared = json.loads(asked(record, server, "compare", "--server", server.url, jobs[0], jobs[-1], "--format", "json").stdout)
    assert {file["change"] for file in compared["files"]} == {"alike"}, compared["files"]
    # What a file keeps itself is found all the same, where it is the one that asks first.
    worse = record(server, "9", ORDERS[1], test_4=40)
    report = json.loads(asked(record, server, "check", "--server", server.url, worse, "--format", "json").stdout)
    found = [(it["figure"], it["path"]) for it in report["findings"] if it["path"]]
    assert found == [("retained", "test_4.py")], report


def test_a_fixture_that_takes_more_is_named_where_the_peak_is_told(own_server, record):
    server = own_server
    # In one process, whose peak is exact: workers may need what they need for a while at once or not.
    for commit in "12345":
        record(server, commit, ORDERS[0], workers=0)
    worse = record(server, "6", ORDERS[0], shared=SHARED + 40, workers=0)
    done = asked(record, server, "check", "--server", server.url, worse, "--format", "json")
    assert done.returncode == 1, done
    report = json.loads(done.stdout)
    [finding] = [it for it in report["findings"] if it["figure"] == "peak"]
    assert finding["path"] is None and [it for it in report["findings"] if it["path"]] == [], report
    [fixture] = finding["fixtures"]
    assert (fixture["name"], fixture["base"]) == ("database", "")
    assert abs(fixture["bytes"] - (SHARED + 40) * MIB) < MIB and abs(fixture["before_bytes"] - SHARED * MIB) < MIB, fixture
    told = "One set-up of the fixture database takes 70.0 MiB, 30.0 MiB before."
    text = asked(record, server, "check", "--server", server.url, worse).stdout
    with urllib.request.urlopen(server.url + "/jobs/" + worse) as page:
        html = page.read().decode()
    comment = asked(record, server, "report", "--server", server.url, worse, "--format", "markdown").stdout
    assert all(told in form for form in (text, html, comment)), (text, comment)


def test_a_plan_has_the_fixture_in_the_base_of_each_job_and_in_no_file(own_server, recorder):
    server = own_server
    for path, keeps in KEEPS.items():
        (recorder.folder / path).write_text(FILE.format(keeps=keeps))
    (recorder.folder / "conftest.py").write_text(CONFTEST.format(shared=SHARED))
    summary = recorder.run(PYTEST + ["-p", "no:randomly", *ORDERS[0]], server)
    server.job(summary["uuid"])
    plan = server.get("/api/v1/jobs/%s/plan?budget=10GB&jobs=2" % summary["uuid"])
    files = files_of(server, summary["uuid"])
    started = files[ORDERS[0][0]]["start_bytes"]
    assert abs(plan["base_bytes"] - started - SHARED * MIB) < 2 * MIB, plan
    for job in plan["jobs"]:
        keeps = sum(KEEPS[path] for path in job["files"])
        # A set-up needs twice what the fixture keeps, and files need 20 MiB for a while.
        predicted = max(started + 2 * SHARED * MIB, plan["base_bytes"] + keeps * MIB)
        assert -2 * MIB < job["peak_bytes"] - predicted < 22 * MIB, (job, predicted)
        run = recorder.run(PYTEST + ["-p", "no:randomly", *job["files"]])
        assert recorder.done.returncode == 0
        assert abs(run["peak_bytes"] - job["peak_bytes"]) < 0.1 * job["peak_bytes"], (run["peak_bytes"], job)
