"""The two ways a suite is recorded: around one command (`highwater run`), and beside the steps of a CI job (`highwater start` … `stop`)."""

import contextlib
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

from conftest import BINARIES, PYTEST, wait_for

#: A block of the grid, and what a busy machine may be late by.
LAST_SECOND_US = 1_000_000
LATE_US = 500_000
VICTIM = "test_it.py::test_victim"

#: One test that passes, and one that says where it is and then does what the cell is about.
SUITE = """import ctypes, os, pathlib, signal, subprocess, sys, time

def test_before():
    time.sleep(0.2)

def test_victim():
    pathlib.Path("here.new").write_text("%d" % os.getpid())
    os.rename("here.new", "here")
    time.sleep({pause})
    {act}
    time.sleep(600)
"""

#: Takes a step a line, as JSON, and runs it as a process of its own; what is left of them ends with the runner only where somebody ends it.
RUNNER = """
import json, os, subprocess, sys, threading
def run(step):
    with open(step["out"], "wb") as stdout, open(step["out"] + ".err", "wb") as stderr:
        process = subprocess.Popen(step["words"], cwd=step["cwd"], env=step["env"], stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL)
        for name, value in (("pid", process.pid), ("code", None)):
            value = process.wait() if value is None else value
            with open(step["out"] + ".new", "w") as file:
                file.write(str(value))
            os.rename(step["out"] + ".new", step["out"] + "." + name)
for line in sys.stdin:
    threading.Thread(target=run, args=(json.loads(line),), daemon=True).start()
"""


def write_suite(folder, act="pass", pause=0.3, name="test_it.py"):
    (folder / name).write_text(SUITE.format(act=act, pause=pause))


def victim_pid(folder):
    """The process that runs `test_victim`, once it does."""
    wait_for("the victim", lambda: (folder / "here").exists())
    return int((folder / "here").read_text())


def is_gone(pid):
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def shell_code(code):
    """As a shell tells how a process ended."""
    return code if code >= 0 else 128 - code


class Run:
    """`highwater run`."""

    name = "run"

    def __init__(self, recorder, server=None):
        self.recorder, self.server, self.process, self.code = recorder, server, None, None

    def begin(self, command=PYTEST, flags=(), **variables):
        self.process = self.recorder.start(command, self.server, flags, **variables)

    @property
    def step_pid(self):
        """What the CI would end: the agent, which hands its signals on."""
        return self.process.pid

    def end(self, *_):
        _, self.errors = self.process.communicate(timeout=90)
        self.code = shell_code(self.process.returncode)
        return json.loads(self.recorder.summary.read_text())

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Steps:
    """A CI job: a runner that stays, below it a step that starts the recording, one that runs the suite, one that stops it."""

    name = "steps"

    def __init__(self, recorder, server=None):
        self.recorder, self.server, self.number = recorder, server, 0
        self.folder = recorder.folder
        self.exports, self.agents, self.code = self.folder / "exports", [], None
        self.runner = subprocess.Popen(
            [sys.executable, "-c", RUNNER], stdin=subprocess.PIPE, env=recorder.environment(), cwd=str(self.folder)
        )

    def start_recording(self, flags=()):
        words = ["start", "--spool", self.recorder.spool, "--project", "test/suite", "--job", "unit"] + list(flags)
        if self.server is not None:
            words += ["--server", self.server.url]
        step = self.step([BINARIES / "highwater"] + words, GITHUB_ENV=self.exports).end()
        for path in self.recorder.spool.glob("*/agent.json"):
            pid = json.loads(path.read_text())["process"]["pid"]
            if pid not in self.agents:
                self.agents.append(pid)
        return step

    def exported(self):
        text = self.exports.read_text() if self.exports.exists() else ""
        return dict(re.findall(r"^(\w+)<<(?:\w+)\n(.*?)\nHIGHWATER_END_OF_VALUE$", text, re.M | re.S))

    def step(self, words, cwd=None, **variables):
        """Begins a step, without what was exported."""
        self.number += 1
        out = self.folder / ("step-%d" % self.number)
        told = {
            "words": [str(word) for word in words],
            "cwd": str(cwd or self.folder),
            "env": self.recorder.environment(**variables),
            "out": str(out),
        }
        self.runner.stdin.write(json.dumps(told).encode() + b"\n")
        self.runner.stdin.flush()
        return Step(out)

    def begin(self, command=PYTEST, flags=(), **variables):
        if not self.agents:
            started = self.start_recording(flags)
            assert started.code == 0, started.stderr
        self.going = self.step(command, **dict(self.exported(), **variables))

    @property
    def step_pid(self):
        return self.going.pid

    def end(self, *words):
        """Waits for the step, and stops the recording."""
        self.going.end()
        self.code = self.going.code
        return self.stop(*words)

    def stop(self, *words):
        self.recorder.summary.unlink(missing_ok=True)
        stop = [BINARIES / "highwater", "stop", "--spool", self.recorder.spool, "--summary", self.recorder.summary]
        self.stopped = self.step(stop + list(words), **self.exported()).end()
        self.errors = self.stopped.stderr.encode()
        assert self.stopped.code == 0, self.stopped.stderr
        return json.loads(self.recorder.summary.read_text())

    def close(self):
        self.runner.kill()
        self.runner.wait()
        for pid in self.agents:
            wait_for("the agent's end after its runner's", lambda: is_gone(pid))


class Step:
    def __init__(self, out):
        self.out = out

    def _read(self, end):
        path = pathlib.Path(str(self.out) + end)
        return path.read_text() if path.exists() else None

    @property
    def pid(self):
        return int(wait_for("a step to begin", lambda: self._read(".pid")))

    def end(self):
        self.code = shell_code(int(wait_for("a step to end", lambda: self._read(".code"), 90)))
        self.stdout, self.stderr = self.out.read_text(), self._read(".err")
        return self


WAYS = [Run, Steps]


@contextlib.contextmanager
def recorded(way, recorder, server=None):
    one = way(recorder, server)
    try:
        yield one
    finally:
        one.close()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(int((recorder.folder / "here").read_text()), signal.SIGKILL)


def verdict(job):
    return job["ending"]["verdict"], job["ending"]["confidence"]


def evidence(job):
    return " ".join(figure["sentence"] for figure in job["ending"]["evidence"])


def rss_us(server, uuid):
    """When the RSS of any process of the job was read, µs since 1970."""
    job = server.get("/api/v1/jobs/%s" % uuid)
    started = datetime.datetime.fromisoformat(job["started_at"].replace("Z", "+00:00")).timestamp() * 1e6
    series = server.get("/api/v1/jobs/%s/series?points=2000" % uuid)["series"]
    return sorted(started + t_us for row in series if row["metric"] == "rss" and row["process"] is not None for t_us in row["t_us"])


def reaches(server, uuid, moment_us, lost_us=0):
    """The data go up to a moment without a hole; an agent that was killed then too may take its last block with it."""
    times = rss_us(server, uuid)
    assert times, "nothing was sampled"
    before = [t_us for t_us in times if t_us <= moment_us + LATE_US]
    assert before and moment_us - before[-1] <= lost_us + LATE_US, (moment_us - times[0], moment_us - times[-1])
    gaps = [later - sooner for sooner, later in zip(before, before[1:])]
    assert max(gaps, default=0) <= LAST_SECOND_US, gaps


def check(job, expected, least, server, moment_us=None, victim=VICTIM, lost_us=0):
    """The ending, as the agent tells it and as the server does."""
    order = ["possible", "likely", "certain"]
    found, confidence = verdict(job)
    assert found == expected and order.index(confidence) >= order.index(least), job["ending"]
    assert job["ending"]["victim"] == victim and job["ending"]["evidence"], job["ending"]
    assert job["ending"]["next_step"] and job["censored"], job["ending"]
    settled = server.job(job["uuid"])
    assert settled["ending"] == job["ending"]
    if moment_us is not None:
        reaches(server, job["uuid"], moment_us, lost_us)


def newest(server, project="test~suite"):
    """The job that began last, once it is settled."""
    return server.job(server.get("/api/v1/projects/%s/jobs" % project)["jobs"][0]["uuid"])
