"""What is lost: the machine, the runner, the agent, the server; each told as such, and everything that was recorded until then is there."""

import contextlib
import os
import signal
import time

import pytest

from conftest import BINARIES, MB, PYTEST, Recorder, wait_for
from system.cells_ways import (
    LAST_SECOND_US,
    WAYS,
    Run,
    Steps,
    check,
    evidence,
    is_gone,
    newest,
    recorded,
    rss_us,
    verdict,
    victim_pid,
    write_suite,
)

BOTH = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
IN_A_CGROUP = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.isdir("/sys/fs/cgroup/memory"), reason="needs root and a memory cgroup of version 1"
)
LIMIT = 200 * MB
#: Takes memory until the cgroup has next to none left, and keeps it.
FILLS = """held, used = [], lambda: int(open("{0}/memory.usage_in_bytes").read())
    while used() < 0.95 * %d:
        held.append(bytearray(1 << 20))""" % LIMIT


@pytest.fixture
def cgroup():
    folder = "/sys/fs/cgroup/memory/highwater-loss-%d" % os.getpid()
    os.mkdir(folder)
    with open(folder + "/memory.limit_in_bytes", "w") as limit:
        limit.write(str(LIMIT))
    yield folder
    wait_for("the cgroup to be empty", lambda: not open(folder + "/cgroup.procs").read())
    os.rmdir(folder)


def agents(job):
    return [job.process.pid] if isinstance(job, Run) else job.agents


def shortest_room(server):
    """The share of its limit that was used at the worst, as far as the server knows."""
    jobs = server.get("/api/v1/projects/test~suite/jobs")["jobs"]
    limits = server.get("/api/v1/jobs/%s" % jobs[0]["uuid"])["limits"] if jobs else []
    return max((limit["worst_used_bytes"] / limit["limit_bytes"] for limit in limits), default=0)


def knows_the_victim(server):
    """Whether the server has what the job ended in, and samples of it."""
    with contextlib.suppress(IndexError):
        uuid = server.get("/api/v1/projects/test~suite/jobs")["jobs"][0]["uuid"]
        named = any(row["nodeid"].endswith("::test_victim") for row in server.rows(uuid, "tests"))
        return named and len(rss_us(server, uuid)) > 10


def samples_since(server, moment_us):
    uuid = server.get("/api/v1/projects/test~suite/jobs")["jobs"][0]["uuid"]
    return [t_us for t_us in rss_us(server, uuid) if t_us > moment_us]


def lose_everything(job, folder):
    """Kills the agent and all of its job at once; answers when."""
    pid = victim_pid(folder)
    moment_us = time.time() * 1e6
    for doomed in agents(job) + [pid, job.step_pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(doomed, signal.SIGKILL)
    wait_for("their end", lambda: all(is_gone(it) for it in agents(job) + [pid]))
    return moment_us


@BOTH
@pytest.mark.parametrize("short", [False, pytest.param(True, marks=IN_A_CGROUP)], ids=["ample", "short"])
def test_all_gone_at_once_is_the_runners_loss_also_when_the_spool_comes_later(own_server, recorder, way, short, request):
    expected, where = "runner_lost", contextlib.nullcontext()
    if short:
        cgroup = request.getfixturevalue("cgroup")
        expected, where = "runner_lost_memory", inside(cgroup)
        write_suite(recorder.folder, FILLS.format(cgroup))
    else:
        write_suite(recorder.folder)
    with where, recorded(way, recorder, own_server) as job:
        job.begin()
        victim_pid(recorder.folder)
        wait_for("the last reading to be there", lambda: knows_the_victim(own_server) and (not short or shortest_room(own_server) > 0.9))
        moment_us = lose_everything(job, recorder.folder)
        silent = newest(own_server)
        check(silent, expected, "likely", own_server, moment_us, lost_us=LAST_SECOND_US)
        assert silent["state"] == "lost"
        seen = rss_us(own_server, silent["uuid"])
        done = recorder.upload(own_server)
        assert done.returncode == 0, done.stderr
        wait_for("the ending to be revised", lambda: own_server.job(silent["uuid"])["revision"] > silent["revision"])
        revised = own_server.job(silent["uuid"])
        check(revised, expected, "likely", own_server, moment_us, lost_us=LAST_SECOND_US)
        assert revised["state"] == "finished" and set(seen) <= set(rss_us(own_server, silent["uuid"]))


@contextlib.contextmanager
def inside(cgroup):
    """Whatever is started meanwhile begins in the cgroup."""
    outside = open("/proc/self/cgroup").read()
    path = next(line.split(":", 2)[2] for line in outside.splitlines() if line.split(":")[1] == "memory")

    def move(folder):
        with open(folder + "/cgroup.procs", "w") as procs:
            procs.write(str(os.getpid()))

    move(cgroup)
    try:
        yield
    finally:
        move("/sys/fs/cgroup/memory" + path)


@pytest.mark.parametrize("short", [False, pytest.param(True, marks=IN_A_CGROUP)], ids=["ample", "short"])
def test_the_runners_end_is_told_with_its_name_and_nothing_is_lost(server, recorder, short, request):
    expected, where = "runner_lost", contextlib.nullcontext()
    if short:
        cgroup = request.getfixturevalue("cgroup")
        expected, where = "runner_lost_memory", inside(cgroup)
        write_suite(recorder.folder, FILLS.format(cgroup))
    else:
        write_suite(recorder.folder)
    with where, recorded(Steps, recorder, server) as job:
        job.begin()
        pid = victim_pid(recorder.folder)
        wait_for("the last reading to be there", lambda: knows_the_victim(server) and (not short or shortest_room(server) > 0.9))
        moment_us = time.time() * 1e6
        job.runner.kill()
        os.kill(pid, signal.SIGKILL)
        wait_for("the agent's end", lambda: is_gone(job.agents[0]))
        told = newest(server)
    check(told, expected, "likely", server, moment_us)
    assert "process %d, python" % job.runner.pid in told["ending"]["sentence"], told["ending"]
    # It sent everything, and left nothing behind.
    assert told["state"] == "finished" and not list(recorder.spool.glob("*/*.segment"))


@pytest.mark.parametrize("finder", ["stop", "start"])
@pytest.mark.parametrize("fate", ["passes", "killed", "killed meanwhile"])
def test_an_agent_that_was_killed_is_told_or_the_jobs_own_ending_with_the_gap(server, recorder, finder, fate):
    write_suite(recorder.folder, "while not os.path.exists('go'): time.sleep(0.05)\n    return")
    with recorded(Steps, recorder, server) as job:
        job.begin()
        pid = victim_pid(recorder.folder)
        wait_for("some samples", lambda: knows_the_victim(server))
        os.kill(job.agents[0], signal.SIGKILL)
        wait_for("its end", lambda: is_gone(job.agents[0]))
        if fate == "killed meanwhile":
            os.kill(pid, signal.SIGKILL)
            job.going.end()
        if finder == "start":
            restarted_us = time.time() * 1e6
            started = job.start_recording()
            assert started.code == 0 and "again" in started.stderr, started.stderr
            if fate != "killed meanwhile":
                wait_for("samples of the new agent", lambda: samples_since(server, restarted_us))
        if fate == "killed":
            os.kill(pid, signal.SIGKILL)
        (recorder.folder / "go").touch()
        summary = job.end()
    if fate == "passes":
        assert verdict(summary) == ("passed", "certain"), summary["ending"]
        assert summary["ending"]["victim"] is None and not summary["censored"]
        assert server.job(summary["uuid"])["ending"] == summary["ending"]
        tests = server.rows(summary["uuid"], "tests")
        assert [test["outcome"] for test in tests] == ["passed", "passed"]
    elif fate == "killed" and finder == "start":
        check(summary, "killed", "likely", server)
    else:
        check(summary, "agent_lost", "certain", server)
    assert "The agent was gone" in evidence(summary), summary["ending"]


def without_its_agent(job, recorder, server):
    """Begins a job and kills its agent; the pytest goes on. Its number."""
    job.begin()
    pid = victim_pid(recorder.folder)
    wait_for("some samples", lambda: knows_the_victim(server))
    os.kill(job.agents[0], signal.SIGKILL)
    wait_for("its end", lambda: is_gone(job.agents[0]))
    return pid


def test_stop_beside_a_pytest_that_goes_on_without_its_agent(server, recorder):
    write_suite(recorder.folder)
    with recorded(Steps, recorder, server) as job:
        pid = without_its_agent(job, recorder, server)
        first = job.stop()
        assert "still runs" in job.stopped.stderr and verdict(first) == ("agent_lost", "certain"), (job.stopped.stderr, first["ending"])
        os.kill(pid, signal.SIGKILL)
        job.going.end()
        second = job.stop()
    assert second["uuid"] == first["uuid"]
    check(second, "agent_lost", "certain", server)


def test_an_upload_knows_what_stop_found_beside_a_pytest_that_goes_on(server, recorder):
    write_suite(recorder.folder)
    with recorded(Steps, recorder, server) as job:
        pid = without_its_agent(job, recorder, server)
        uuid = job.stop()["uuid"]
        os.kill(pid, signal.SIGKILL)
        job.going.end()
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr
    check(server.job(uuid), "agent_lost", "certain", server)


#: Each of its processes starts a child that lives as long as it does, and both write themselves down.
SUITE_OF_PIDS = """import os, pathlib, subprocess, sys, time, pytest

@pytest.fixture(scope="session", autouse=True)
def child():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    for pid in (os.getpid(), child.pid):
        pathlib.Path("pids", str(pid)).touch()
    yield
    child.kill()
    child.wait()

@pytest.mark.parametrize("n", range(6))
def test_it(n):
    while not os.path.exists("go"):
        time.sleep(0.05)
    time.sleep(0.2)
"""


@pytest.mark.parametrize("exported", [True, False], ids=["exported", "not exported"])
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["sequential", "xdist"])
def test_two_jobs_at_once_share_no_process(server, tmp_path, exported, workers):
    def truth(job):
        return {int(path.name) for path in (job.folder / "pids").iterdir()}

    def members(uuid):
        return {row["pid"] for row in server.rows(uuid, "processes") if row["role"] != "other"}

    with contextlib.ExitStack() as stack:
        jobs = []
        for name in ("one", "other"):
            folder = tmp_path / name
            (folder / "pids").mkdir(parents=True)
            (folder / "test_it.py").write_text(SUITE_OF_PIDS)
            jobs.append(stack.enter_context(recorded(Steps, Recorder(folder), server)))
            jobs[-1].start_recording()
        for job in jobs:
            job.going = job.step(PYTEST + workers, **(job.exported() if exported else {}))
        for job in jobs:
            # On a busy machine the agent may take some seconds to find a child: its cost is bounded.
            uuid = job.exported()["HIGHWATER_JOB"]
            expected = 2 * (len(workers) or 1)
            wait_for("every process", lambda: len(truth(job)) == expected and truth(job) <= members(uuid))
            (job.folder / "go").touch()
        summaries = [job.end() for job in jobs]
        assert [job.code for job in jobs] == [0, 0], [job.going.stdout for job in jobs]
    for job, other, summary in zip(jobs, reversed(jobs), summaries):
        own = members(summary["uuid"])
        assert truth(job) <= own and not truth(other) & own, (truth(job) - own, truth(other) & own)
        [session] = summary["sessions"]
        assert session["tests"] == 6 and session["sampled"] == (not exported), session
        assert session["numprocesses"] == len(workers), session


@BOTH
@pytest.mark.parametrize("down", ["from the start", "in the middle", "at the end"])
def test_a_verdict_does_not_hang_on_the_server(own_server, recorder, way, down):
    write_suite(recorder.folder)
    if down == "from the start":
        own_server.kill()
    with recorded(way, recorder, own_server) as job:
        job.begin()
        pid = victim_pid(recorder.folder)
        if down != "from the start":
            wait_for("some samples", lambda: knows_the_victim(own_server))
            own_server.kill()
        if down == "in the middle":
            own_server.start()
        moment_us = time.time() * 1e6
        os.kill(pid, signal.SIGKILL)
        if down == "at the end":
            # It comes back while what is left is waiting for it.
            wait_for("the end of pytest", lambda: is_gone(pid))
            own_server.start()
        summary = job.end()
        assert verdict(summary) == ("killed", "likely"), summary["ending"]
        if down == "from the start":
            assert b"highwater upload" in job.errors, job.errors
            own_server.start()
            assert recorder.upload(own_server).returncode == 0
    check(summary, "killed", "likely", own_server, moment_us)


def test_a_loss_while_the_server_was_away_is_told_when_it_comes_back(own_server, recorder):
    write_suite(recorder.folder)
    with recorded(Steps, recorder, own_server) as job:
        job.begin()
        victim_pid(recorder.folder)
        wait_for("some samples", lambda: knows_the_victim(own_server))
        own_server.kill()
        moment_us = lose_everything(job, recorder.folder)
        own_server.start()
        silent = newest(own_server)
        assert silent["state"] == "lost" and verdict(silent) == ("runner_lost", "likely"), silent["ending"]
        assert recorder.upload(own_server).returncode == 0
        wait_for("the ending to be revised", lambda: own_server.job(silent["uuid"])["revision"] > silent["revision"])
        check(own_server.job(silent["uuid"]), "runner_lost", "likely", own_server, moment_us, lost_us=LAST_SECOND_US)


#: DESIGN's document of a job.
FIELDS = """uuid state revision project run name variant shard attempt branch commit environment sessions started_at ended_at duration_us
peak_bytes peak_high_bytes peak_metric peak_kind peak_error_bytes limits headroom_bytes exit_code signal censored ending""".split()
FIELDS_OF_ENDING = "verdict confidence sentence evidence culprits victim next_step".split()


def test_what_stop_tells_and_ends_with(server, recorder):
    (recorder.folder / "test_it.py").write_text("def test_a(): assert 0\n")
    with recorded(Steps, recorder, server) as job:
        job.begin()
        twice = job.start_recording()
        assert twice.code != 0 and "already" in twice.stderr, twice.stderr
        summary = job.end("--exit-code", "1", "--status", "failure")
        assert set(FIELDS) <= set(summary), set(FIELDS) - set(summary)
        assert set(FIELDS_OF_ENDING) == set(summary["ending"]), summary["ending"]
        assert summary["url"] == "%s/jobs/%s" % (server.url, summary["uuid"]) and "spool" not in summary
        assert verdict(summary) == ("tests_failed", "certain") and summary["exit_code"] == 1
        assert "failure" in evidence(summary), summary["ending"]
        settled = server.job(summary["uuid"])
        assert {key: settled[key] for key in FIELDS if key != "revision"} == {key: summary[key] for key in FIELDS if key != "revision"}
        again = job.step([BINARIES / "highwater", "stop", "--spool", recorder.spool], **job.exported()).end()
        # There is nothing to end, and no job fails for that.
        assert again.code == 0 and "start" in again.stderr, again.stderr


def test_stop_without_a_server_keeps_what_was_recorded(recorder):
    (recorder.folder / "test_it.py").write_text("def test_a(): pass\n")
    with recorded(Steps, recorder) as job:
        job.begin()
        summary = job.end("--exit-code", "0")
        assert verdict(summary) == ("passed", "certain") and os.path.isdir(summary["spool"]), summary
        again = job.step([BINARIES / "highwater", "stop", "--spool", recorder.spool], **job.exported()).end()
        # What is kept can be told again.
        assert again.code == 0 and "1 test ran, none failed" in again.stderr and "highwater upload" in again.stderr, again.stderr
