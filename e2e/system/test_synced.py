"""What is acknowledged is on disk: between the last page of its transaction and the answer the log is synced, by the system calls of the server."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import uuid

import pytest
from conftest import BINARIES, PYTEST, Recorder, Server, wait_for
from traced import STRACE, acknowledgements, calls, key, too_early

SUITE = "import time\nimport pytest\n\n@pytest.mark.parametrize('n', range(8))\ndef test_a(n):\n    time.sleep(0.4)\n"
UNSYNCED = "int fsync(int file) { return 0; }\nint fdatasync(int file) { return 0; }\n"


def can_trace():
    return shutil.which("strace") and subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_trace(), reason="needs strace, and leave to trace")


def xx(data):
    return '"%s"' % "".join("\\x%02x" % byte for byte in data)


def by_hand(*steps):
    """A trace in which these things happen one after the other."""
    name = "/data/highwater.db-wal"
    lines = {
        "page": "7 pwrite64(5<%s>, %s, 24, 32) = 24\n7 pwrite64(5<%s>, %s, 4096, 56) = 4096" % (name, xx(bytes(24)), name, xx(b"..mark..")),
        "commit": "7 pwrite64(5<%s>, %s, 24, 32) = 24\n7 pwrite64(5<%s>, %s, 4096, 56) = 4096" % (name, xx(b"\1" * 24), name, xx(b"rest")),
        "sync": "7 fdatasync(5<%s>) = 0" % name,
        "sync begins": "7 fdatasync(5<%s> <unfinished ...>" % name,
        "sync ends": "7 <... fdatasync resumed>) = 0",
        "sync fails": "7 <... fdatasync resumed>) = -1 EIO (Input/output error)",
        "answer": "8 writev(9<socket:[77]>, [{iov_base=%s, iov_len=9}], 1) = 9"
        % xx(b'HTTP/1.1 201 Created\r\n\r\n{"acknowledged":"batch","job":"j","stream":"s","seq":3}'),
    }
    return calls("\n".join(lines[step] for step in steps).splitlines())


@pytest.mark.parametrize(
    "steps, is_good",
    [
        (["page", "commit", "sync", "answer"], True),
        (["page", "commit", "sync begins", "sync ends", "answer"], True),
        (["page", "commit", "sync begins", "answer", "sync ends"], False),
        (["page", "commit", "sync begins", "sync fails", "answer"], False),
        (["page", "sync", "commit", "answer"], False),
        (["page", "sync begins", "commit", "sync ends", "answer"], False),
        (["sync", "page", "commit", "answer"], False),
        (["page", "sync", "answer", "commit"], False),
        (["commit", "sync", "answer", "page"], False),
        (["page", "commit", "answer"], False),
    ],
)
def test_a_trace_is_read_as_it_is(steps, is_good):
    early = too_early(by_hand(*steps), {("batch", "j", "s", 3): b"mark"})
    assert early == ([] if is_good else [("batch", "j", "s", 3)])


class Traced:
    def __init__(self, folder, flags=()):
        self.folder, self.database, self.trace = folder, folder / "data" / "highwater.db", folder / "trace"
        self.log = folder / "server.log"
        self.database.parent.mkdir(exist_ok=True)
        command = STRACE + ["-o", str(self.trace)] + list(flags)
        command += [str(BINARIES / "highwater-server"), "--listen", "127.0.0.1:0", "--database", "sqlite://%s" % self.database]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        self.url = self.process.stdout.readline().decode().split(" on ")[1].strip()

    def play(self, until=lambda: True):
        """Several agents at once, so that what they send is committed together. `until`: what must have come before the server is ended."""
        recorders = [Recorder(self.folder / name) for name in ("a", "b", "c")]
        for recorder in recorders:
            recorder.folder.mkdir()
            (recorder.folder / "test_it.py").write_text(SUITE)
        running = [recorder.start(PYTEST, self) for recorder in recorders]
        assert [process.wait(120) for process in running] == [0, 0, 0]
        wait_for("what must come", until)
        # strace passes no signal on; its only child is the server.
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as children:
            os.kill(int(children.read().split()[0]), signal.SIGKILL)
        wait_for("the tracer to end", lambda: self.process.poll() is not None)
        return calls(self.trace.read_text().splitlines())

    def marks(self):
        """Of everything that is there, bytes that nothing else has."""
        marks = {}
        with contextlib.closing(sqlite3.connect(str(self.database))) as database:
            rows = "SELECT job.uuid, stream.uuid, batch.seq, batch.digest FROM batch JOIN stream USING (job_id, stream_no) JOIN job ON job.id = job_id"
            for job, stream, seq, digest in database.execute(rows):
                job, stream = (str(uuid.UUID(bytes=value)) for value in (job, stream))
                marks["batch", job, stream, seq] = digest
                marks["job", job, None, None] = uuid.UUID(job).bytes
                # Only the end writes it as text.
                marks["end", job, None, None] = stream.encode()
        return marks


def test_everything_is_synced_before_it_is_acknowledged(tmp_path):
    server = Traced(tmp_path)
    found = server.play()
    marks = server.marks()
    told = {key(receipt) for receipt, _ in acknowledgements(found)}
    assert told == set(marks) and len(told) > 12, (told, marks)
    assert too_early(found, marks) == []
    # The log has a name that outlives a loss of power too.
    first = min(answer.begin for _, answer in acknowledgements(found))
    assert any(call.name == "fsync" and call.path == str(server.database.parent) and call.end < first for call in found)

    # The same trace would not pass with a sync less, or with syncs that come when it was answered already.
    syncs = [call for call in found if call.name in ("fsync", "fdatasync")]
    assert set(too_early([call for call in found if call not in syncs], marks)) == told
    after = max(call.end for call in found)
    late = [call._replace(begin=after, end=after) if call in syncs else call for call in found]
    assert set(too_early(late, marks)) == told


def test_a_server_that_does_not_sync_is_found_out(tmp_path):
    (tmp_path / "unsynced.c").write_text(UNSYNCED)
    library = tmp_path / "unsynced.so"
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "unsynced.c")], check=True)
    server = Traced(tmp_path, ["-ELD_PRELOAD=%s" % library])
    found = server.play()
    marks = server.marks()
    told = {key(receipt) for receipt, _ in acknowledgements(found)}
    assert told == set(marks)
    assert set(too_early(found, marks)) == told


def test_a_disk_that_fails_to_sync_is_told_and_nothing_is_acknowledged_before_it_does(tmp_path):
    # Making a database syncs more often than this.
    (tmp_path / "data").mkdir()
    Server(tmp_path / "data").stop()
    server = Traced(tmp_path, ["-e", "inject=fsync:error=EIO:when=8..13"])
    found = server.play(until=lambda: "it can be written again" in server.log.read_text())
    marks = server.marks()
    assert sum(call.name == "fsync" and call.result < 0 for call in found) == 6
    told = {key(receipt) for receipt, _ in acknowledgements(found)}
    assert told == set(marks) and too_early(found, marks) == []
    log = server.log.read_text()
    assert log.count("the database cannot be written") == 1 and log.count("it can be written again") == 1, log
    assert any(b'"unwritable"' in call.data and b"HTTP/1.1 503" in call.data for call in found)
