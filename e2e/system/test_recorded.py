"""Recordings of what an everyday machine does not do: the machine out of memory, cgroups of version 2, a loss of power, Yama.

`cargo xtask vm` makes them in a virtual machine and holds them against what is expected here; those that were kept are read every day.
"""

import os
import pathlib
import shutil

import pytest

from conftest import Recorder

KEPT = pathlib.Path(__file__).parents[1] / "fixtures" / "recorded"
RECORDED = pathlib.Path(os.environ.get("HIGHWATER_RECORDED", str(KEPT)))
GROWS, HOLDS = "test_b_grows.py", "test_a_holds.py"
MB = 1000 * 1000

#: Verdict, confidence, what ran, what the evidence says, and what is held at least by whom.
EXPECTED = {
    "oom_machine": ("oom_machine", "certain", GROWS, ["The kernel's log", "machine"], {GROWS: 100, HOLDS: 60}),
    "oom_machine_without_log": ("oom_machine", "certain", GROWS, ["machine"], {GROWS: 100, HOLDS: 60}),
    "oom_cgroup_nested": ("oom_cgroup", "certain", GROWS, ["The kernel's log", "cgroup"], {HOLDS: 60}),
    "oom_cgroup_without_log": ("oom_cgroup", "certain", GROWS, ["cgroup"], {HOLDS: 60}),
    "oom_group": ("oom_cgroup", "certain", GROWS, ["memory.oom.group"], {GROWS: 50, HOLDS: 60}),
    "oom_group_with_agent": ("oom_cgroup", "likely", GROWS, ["memory.oom.group"], {HOLDS: 60}),
    "oom_worker": ("oom_cgroup", "certain", GROWS, ["The kernel's log"], {HOLDS: 60}),
    "power_loss": ("runner_lost", "likely", "test_ticks.py", ["The agent was gone"], {}),
    "yama": ("passed", "likely", None, ["The job's exit code was 0"], {}),
}


@pytest.fixture(scope="module")
def sent(server, tmp_path_factory):
    """Uploads a recording, once, and answers its job."""
    jobs = {}

    def send(scenario):
        if scenario not in jobs:
            recorder = Recorder(tmp_path_factory.mktemp(scenario))
            place = RECORDED / scenario
            if not place.exists():
                pytest.skip("%s was not recorded" % scenario)
            shutil.copytree(place / "spool" if (place / "spool").exists() else place, recorder.spool)
            [uuid] = [folder.name for folder in recorder.spool.iterdir() if (folder / "job").is_file()]
            done = recorder.upload(server)
            assert done.returncode == 0, done.stderr.decode()
            assert not recorder.spool.joinpath(uuid).exists()
            jobs[scenario] = server.job(uuid)
        return jobs[scenario]

    return send


def evidence(job):
    return " ".join(figure["sentence"] for figure in job["ending"]["evidence"])


@pytest.mark.parametrize("scenario", sorted(EXPECTED))
def test_what_was_recorded_elsewhere_ends_as_it_did_there(sent, scenario):
    job = sent(scenario)
    ending = job["ending"]
    print("%s: %s, %s: %s" % (scenario, ending["verdict"], ending["confidence"], ending["sentence"]))
    verdict, confidence, victim, words, held = EXPECTED[scenario]
    assert (ending["verdict"], ending["confidence"]) == (verdict, confidence), ending
    assert (ending["victim"] or "").split("::")[0] == (victim or ""), ending
    for word in words:
        assert word in evidence(job), ending
    # A file by what it left behind, or the test of it that ran by what it had taken so far.
    culprits = {culprit["name"].split("::")[0]: culprit["bytes"] for culprit in ending["culprits"] if culprit["kind"] in ("file", "running")}
    for name, megabytes in held.items():
        assert culprits.get(name, 0) >= megabytes * MB, ending
    assert job["censored"] == (verdict != "passed")


def series(server, job, metric):
    return [row for row in server.get("/api/v1/jobs/%s/series?points=500" % job["uuid"])["series"] if row["metric"] == metric]


def test_the_agent_outlives_the_machine_out_of_memory_and_sees_the_pressure(server, sent):
    job = sent("oom_machine")
    assert (job["signal"], job["state"]) == (9, "finished"), job
    # Everything waited for memory shortly before the kill.
    [some] = series(server, job, "machine_psi_some")
    assert max(some["max"]) > 0
    assert [limit["kind"] for limit in job["limits"]] == ["machine"]


def test_each_level_of_nested_cgroups_is_read(server, sent):
    job = sent("oom_cgroup_nested")
    [limit] = [limit for limit in job["limits"] if limit["kind"] == "cgroup"]
    assert limit["limit_bytes"] == 220 * MB // 4096 * 4096
    peaks = {row["cgroup"]: max(row["max"]) for row in series(server, job, "cgroup_peak")}
    assert peaks["/ci/job"] >= peaks["/ci/job/tests"] >= 200 * MB > peaks["/ci/job/agent"], peaks


def test_a_group_is_killed_whole(sent):
    job = sent("oom_group")
    # Controller and workers, each once, though the kernel counts and names one of them twice.
    assert evidence(job).count("The kernel's log: process") == 3, job["ending"]
    # The agent stood outside.
    assert job["signal"] == 9 and "The agent was gone" not in evidence(job)


def test_after_a_loss_of_power_what_had_been_written_is_there(server, sent):
    job = sent("power_loss")
    rows = server.rows(job["uuid"], "tests")
    assert len(rows) > 10 and all(row["outcome"] == "passed" for row in rows[:-1]), rows[-3:]
    # Test after test, none missing before the last.
    assert [row["nodeid"] for row in rows] == ["test_ticks.py::test_ticks[%d]" % n for n in range(len(rows))]


def test_where_yama_forbids_to_read_memory_the_titles_of_workers_name_the_tests(server, sent):
    job = sent("yama")
    [notice] = [notice["message"] for notice in job["notices"] if notice["code"] == "pytest_without_plugin"]
    assert "kernel.yama.ptrace_scope is 1" in notice and "named by the titles" in notice, notice
    rows = server.rows(job["uuid"], "tests")
    seen = {row["nodeid"] for row in rows}
    assert seen <= {"test_%s.py::test_ticks[%d]" % (file, n) for file in "ab" for n in range(4)}
    assert len(seen) >= 6, seen
