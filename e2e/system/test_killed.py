"""SIGKILL at random moments, of the agent and of pytest: nothing before the last second is missing, and nothing is there twice.

The seed is printed; HIGHWATER_KILL_SEED takes it again.
"""

import collections
import concurrent.futures
import contextlib
import datetime
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from conftest import PYTEST, Recorder, wait_for

#: In the order of their names whatever plugins there are; each test holds a little more.
SUITE = """import os, time
import pytest

held = []

@pytest.mark.parametrize("n", range(18))
def test_a(n):
    held.append(bytearray(b"x" * 1_000_000))
    time.sleep(0.08)
    filler = os.environ.get("FILLED")
    if filler and n == 5:
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                pass
"""
ORDERED = PYTEST + ["-p", "no:randomly"]
#: A block of the grid, and what a busy machine may be late by.
LAST_SECOND_US = 1_000_000
LATE_US = 400_000
TIMES = 10
SOME = 5

Address = collections.namedtuple("Address", "url")
#: Nobody listens on the port of the discard service.
NOBODY = Address("http://127.0.0.1:9")


@contextlib.contextmanager
def disk(folder, size):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s" % size, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def begun_and_ended(spool):
    """Node ids as the plugin itself wrote them: of tests that began, and of those that ended. A torn line says nothing."""
    begun, ended = [], []
    for path in spool.glob("*/events/*.events"):
        lines = path.read_bytes().decode(errors="replace").split("\n")[:-1]
        for line in lines:
            words = line.split("\t")
            if words[0] == "tb":
                begun.append(words[6])
            elif words[0] == "te":
                ended.append(begun[-1])
    return begun, ended


def batches(server, uuid):
    with contextlib.closing(sqlite3.connect(str(server.database))) as database:
        rows = database.execute(
            "SELECT b.stream_no, b.seq FROM batch b JOIN job j ON j.id = b.job_id WHERE hex(j.uuid) = ? ORDER BY 1, 2",
            (uuid.replace("-", "").upper(),),
        )
        return rows.fetchall()


def started_us(job):
    return datetime.datetime.fromisoformat(job["started_at"].replace("Z", "+00:00")).timestamp() * 1e6


def samples_us(server, uuid):
    """When the RSS of any process was read."""
    series = server.get("/api/v1/jobs/%s/series?points=2000" % uuid)["series"]
    times = {t_us for row in series if row["metric"] == "rss" and row["process"] is not None for t_us in row["t_us"]}
    return sorted(times)


def children(pid):
    try:
        return [int(child) for child in pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_gone(pid):
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Closed(http.server.BaseHTTPRequestHandler):
    """A server that lets nothing in, and says so at once."""

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def closed():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Closed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Address("http://127.0.0.1:%d" % server.server_port)
    server.shutdown()


def has_begun_tests(spool):
    return any(b"\ntb\t" in path.read_bytes() for path in spool.glob("*/events/*.events"))


def trial(folder, server, closed, where, victim, moment, amid_tests):
    folder.mkdir()
    recorder = Recorder(folder)
    (folder / "test_it.py").write_text(SUITE)
    told = {"up": server, "down": NOBODY, "full": None}[where]
    filled = {"FILLED": recorder.spool / "filler"} if where == "full" else {}
    with disk(recorder.spool, "600k") if where == "full" else contextlib.nullcontext():
        running = recorder.start(ORDERED, told, **filled)
        if amid_tests:
            wait_for("a test", lambda: has_begun_tests(recorder.spool))
        time.sleep(moment)
        tests = children(running.pid)
        killed_us = time.time() * 1e6
        for pid in [running.pid] if victim == "agent" else tests:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, errors = running.communicate(timeout=120)
        wait_for("pytest to end", lambda: all(is_gone(pid) for pid in tests))
        # What the disk had no room for is not what this test is about: it is sent from another.
        kept = folder / "kept"
        if recorder.spool.exists():
            shutil.copytree(recorder.spool, kept, ignore=shutil.ignore_patterns("filler"))
    recorder.spool = kept
    jobs = [path.parent for path in kept.glob("*/job")]
    if victim == "pytest" and where == "up":
        # The agent lives, and sends all of it by itself.
        assert not jobs, errors.decode()
        return check_sent(server, json.loads(recorder.summary.read_text())["uuid"], None, None, victim)
    if not jobs:
        # It was killed before it had begun.
        assert victim == "agent" and not amid_tests, errors.decode()
        return None
    (job,) = jobs
    begun, ended = begun_and_ended(kept)
    # Puts what the plugin wrote into the spool, and fails to send.
    assert recorder.upload(closed).returncode == 2
    shutil.copytree(kept, folder / "again")
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr.decode()
    first = check_sent(server, job.name, (begun, ended), killed_us, victim)
    shutil.rmtree(kept)
    (folder / "again").rename(kept)
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr.decode()
    assert check_sent(server, job.name, (begun, ended), killed_us, victim) == first, "the same twice changes nothing"
    return first


def check_sent(server, uuid, truth, killed_us, victim):
    job = server.job(uuid)
    rows = server.rows(uuid, "tests")
    found = [row["nodeid"].split("::")[-1] for row in rows]
    assert len(found) == len(set(found)), found
    if truth is not None:
        begun, ended = ([nodeid.split("::")[-1] for nodeid in nodeids] for nodeids in truth)
        assert sorted(found) == sorted(begun)
        whole = [row["nodeid"].split("::")[-1] for row in rows if row["outcome"] != "unknown"]
        assert sorted(whole) == sorted(ended)
    streams = {}
    for stream, seq in batches(server, uuid):
        streams.setdefault(stream, []).append(seq)
    assert all(numbers == list(range(len(numbers))) for numbers in streams.values()), streams
    assert streams or not found, "tests came with batches"
    assert job["state"] in ("finished", "lost"), job["state"]
    times = samples_us(server, uuid)
    # A disk that is full gives samples away, and says so.
    lived_us = killed_us - started_us(job) if victim == "agent" else job["duration_us"]
    gave_way = any(notice["code"] == "samples_thinned" for notice in job["notices"])
    assert times or gave_way or lived_us <= LAST_SECOND_US + LATE_US, (lived_us, job["notices"])
    if victim == "agent" and times:
        last_us = started_us(job) + times[-1]
        assert killed_us - last_us <= LAST_SECOND_US + LATE_US, (killed_us - started_us(job), times[-1])
    if victim == "pytest" and times and times[-1] > LAST_SECOND_US:
        assert job["duration_us"] - times[-1] <= LATE_US, (job["duration_us"], times[-1])
    gaps = [later - sooner for sooner, later in zip(times, times[1:])]
    assert max(gaps, default=0) <= LAST_SECOND_US, gaps
    return (streams, sorted(found), times, job["peak_bytes"], job["ending"]["verdict"])


@pytest.mark.parametrize("victim", ["agent", "pytest"])
@pytest.mark.parametrize("where", ["up", "down", "full"])
def test_a_kill_at_any_moment_costs_at_most_the_last_second(tmp_path, server, closed, where, victim):
    if where == "full" and os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    seed = int(os.environ.get("HIGHWATER_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print("HIGHWATER_KILL_SEED=%d" % seed)
    chosen = random.Random("%d %s %s" % (seed, where, victim))
    # Of a run from its start, and, since that may take long on a busy machine, from its first test on.
    moments = [(chosen.uniform(0.1, 1.5), number >= TIMES // 3) for number in range(TIMES)]
    with concurrent.futures.ThreadPoolExecutor(SOME) as some:
        trials = [
            some.submit(trial, tmp_path / str(number), server, closed, where, victim, *moment)
            for number, moment in enumerate(moments)
        ]
        results = [done.result() for done in trials]
    assert sum(result is not None and bool(result[1]) for result in results) >= TIMES // 2, "some must have run tests"
