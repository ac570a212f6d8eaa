"""Cells of the fault matrix: cgroups to die in, suites that die, and what is checked of every recording."""

import collections
import contextlib
import json
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from conftest import BINARIES, MB, PYTEST, wait_for

MEMORY = pathlib.Path("/sys/fs/cgroup/memory")
NEEDS_CGROUPS = pytest.mark.skipif(
    os.geteuid() != 0 or not (MEMORY / "memory.limit_in_bytes").exists(), reason="needs root and a memory cgroup of version 1"
)
#: How a suite is recorded: below `highwater run`, or as a later step of a job that `highwater start` records.
WAYS = pytest.mark.parametrize("way", ["run", "start"])
NOBODY = 65534
#: The plainest way to another user that there is.
AS_NOBODY = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"]
#: Between the last sample of a process and its end: a tick, and the time the kernel takes to take apart what it killed, which has no memory to be
#: read then.
LAST_SAMPLE_US = 1_000_000

ROOM = """
import mmap, time

def hold(size):
    pages = mmap.mmap(-1, size)
    for at in range(0, size, 4096):
        pages[at] = 1
    return pages

def eat():
    more = []
    while True:
        more.append(hold(1_000_000))
        time.sleep(0.01)
"""
#: One file and one fixture hold most; the file after them asks for the rest.
HOLDS = """
import pytest, room

KEPT = []

@pytest.fixture(scope="session")
def service():
    return room.hold(40_000_000)

def test_keeps(service):
    KEPT.append(room.hold(60_000_000))
"""
EATS = "import room\n\ndef test_before(): pass\n\ndef test_eats():\n    room.eat()\n"
#: What both hold, python, and less than either for who asks for more.
LIMIT = 165 * MB


ORDERED = PYTEST + ["-p", "no:randomly"]
LOADFILE = ORDERED + ["-n", "2", "--dist", "loadfile"]
CHILD = "import subprocess, sys\n\ndef test_starts():\n    code = subprocess.call([sys.executable, '-S', '-c', 'import room; room.eat()'])\n    assert code == %s\n\ndef test_after(): pass\n"
ULIMIT = 200 * MB
ASKS = "import room\n\nKEPT = []\n\ndef test_keeps():\n    KEPT.append(room.hold(60_000_000))\n\ndef test_asks():\n    room.eat()\n\ndef test_after(): pass\n"

Address = collections.namedtuple("Address", "url")
#: Nobody listens on the port of the discard service.
NOWHERE = Address("http://127.0.0.1:9")


@contextlib.contextmanager
def disk(folder, size):
    """A disk of its own, which can be filled."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s" % size, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def own_cgroup():
    with open("/proc/self/cgroup") as file:
        own = next(line.strip().split(":", 2)[2] for line in file if ":memory:" in line)
    return MEMORY / own.lstrip("/")


class Cgroup:
    """A memory cgroup with a limit, beside that of whoever records where it is not told otherwise."""

    made = 0

    def __init__(self, limit, uid=0):
        Cgroup.made += 1
        self.folder = own_cgroup() / ("highwater-cell-%d-%d" % (os.getpid(), Cgroup.made))
        self.folder.mkdir()
        (self.folder / "memory.limit_in_bytes").write_text(str(limit))
        # Whoever owns this file may move itself there.
        os.chown(self.folder / "cgroup.procs", uid, uid)

    def inside(self, command):
        """The command, which moves there before it begins."""
        return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.folder)] + [str(word) for word in command]

    def kills(self):
        words = (self.folder / "memory.oom_control").read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def remove(self):
        wait_for("the cgroup to be empty", lambda: not (self.folder / "cgroup.procs").read_text())
        wait_for("the cgroup to go", self._is_gone)

    def _is_gone(self):
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()


def write(folder, **files):
    for name, text in dict(files, room=ROOM).items():
        (folder / (name + ".py")).write_text(text)


def record(recorder, way, command=PYTEST, server=None, flags=(), tests_in=None, agent_in=None, before=(), **variables):
    """Records a command, which may be put into a cgroup, as may be the agent (and what it starts). Answers the summary.

    `before`: words before all of it, by which another user does it.
    """
    recorder.summary.unlink(missing_ok=True)
    tests = tests_in.inside(command) if tests_in else [str(word) for word in command]
    if way == "run":
        words = list(before) + recorder.command(tests, server, flags)
    else:
        start = [str(BINARIES / "highwater"), "start", "--spool", str(recorder.spool), "--project", "test/suite", "--print-env"]
        start += list(flags) + (["--server", server.url] if server else [])
        stop = [str(BINARIES / "highwater"), "stop", "--summary", str(recorder.summary)]
        # Each step has a shell of its own, as a CI's have; this one is its runner.
        script = """
        variables=$(%s --runner-pid $$) || exit 99
        eval "$variables"
        bash -c %s
        code=$?
        bash -c %s" --exit-code $code" || exit 98
        exit $code
        """ % (shlex.join(start), shlex.quote(shlex.join(tests)), shlex.quote(shlex.join(stop)))
        words = list(before) + ["bash", "-c", script]
    if agent_in:
        words = agent_in.inside(words)
    recorder.done = subprocess.run(
        words, cwd=str(recorder.folder), env=recorder.environment(**variables), stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    assert recorder.summary.exists(), told(recorder)
    return json.loads(recorder.summary.read_text())


def told(recorder):
    logs = "".join(path.read_text() for path in recorder.spool.rglob("*.log")) if recorder.spool.exists() else ""
    return "%s\n%s\n%s\n%s" % (recorder.done.returncode, recorder.done.stdout.decode(), recorder.done.stderr.decode(), logs)


def ending(job, verdict, *confidences):
    """The ending, once it is the one that is expected."""
    found = job["ending"]
    assert found["verdict"] == verdict and found["confidence"] in confidences, json.dumps(found, indent=1)
    return found


def evidence(job):
    return " ".join(figure["sentence"] for figure in job["ending"]["evidence"])


def check_told(job, *sentences):
    """Each is among the evidence, with a time where it is a figure of the kernel's."""
    text = evidence(job)
    for sentence in sentences:
        assert sentence in text, (sentence, json.dumps(job["ending"], indent=1))


def check_holders(job, *names):
    """These hold the most, in this order, and the figures are theirs."""
    culprits = job["ending"]["culprits"]
    assert [culprit["name"] for culprit in culprits][: len(names)] == list(names), culprits
    return {culprit["name"]: culprit["bytes"] for culprit in culprits}


def rss_us(server, uuid, process):
    series = server.get("/api/v1/jobs/%s/series?points=5000" % uuid)["series"]
    return next((row["t_us"] for row in series if row["process"] == process["id"] and row["metric"] == "rss"), [])


def check_last_second(server, uuid, **who):
    """The process that died was sampled until it did. `who`: fields of its row."""
    rows = [row for row in server.rows(uuid, "processes") if all(row[key] == value for key, value in who.items())]
    # The step that stops the recording lives on behind its end.
    rows = [row for row in rows if "highwater stop" not in row["command"]]
    assert rows, server.rows(uuid, "processes")
    for row in rows:
        assert row["ended_us"] is not None, row
        times = rss_us(server, uuid, row)
        assert times and 0 <= row["ended_us"] - times[-1] <= LAST_SAMPLE_US, (row, times[-3:])
    return rows


def limited(command):
    return ["bash", "-c", 'ulimit -v %d && exec "$@"' % (ULIMIT // 1024), "bash"] + command


def check_address_space(job):
    """The limit that was set is told, and that the address space came near it."""
    text = evidence(job)
    found = re.search(r"limited to ([\d.]+) MiB \(ulimit -v\) and had been up to ([\d.]+) MiB", text)
    assert found, text
    limit, peak = (float(figure) * 1024 * 1024 for figure in found.groups())
    assert abs(limit - ULIMIT) < 1.1 * MB and 0.9 * limit < peak <= limit


@pytest.fixture
def cgroup():
    made = []

    def make(limit=LIMIT, uid=0):
        made.append(Cgroup(limit, uid))
        return made[-1]

    yield make
    for one in made:
        one.remove()
