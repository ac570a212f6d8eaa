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
    "oom_worker": ("oom_cgroup", "certain", GROWS, ["The kernel's log"], {GROWS: 50, HOLDS: 60}),
    "power_loss": ("agent_lost", "certain", "test_ticks.py", [], {}),
    "yama": ("passed", "certain", None, [], {}),
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
    culprits = {culprit["name"]: culprit["bytes"] for culprit in ending["culprits"] if culprit["kind"] == "file"}
    for name, megabytes in held.items():
        assert culprits.get(name, 0) >= megabytes * MB, ending
    assert job["censored"] == (verdict != "passed")
