"""A server that fails in every way a network has: what is recorded arrives once, and nobody waits for ever."""

import http.client
import http.server
import os
import pathlib
import signal
import threading
import urllib.parse

import pytest

from conftest import PYTEST, wait_for


class Peer:
    """A proxy before the real server. ``fault(method, path)`` says what becomes of a request: ``None`` (passed on), a status,
    ``"drop"`` (the connection ends without an answer), ``"swallow"`` (passed on, and the answer is lost), ``"hang"``."""

    def __init__(self, server, fault):
        peer = self
        self.seen, self.over = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if "Content-Length" in self.headers else peer.chunks(self.rfile)
                peer.seen.append(self.path)
                what = fault(self.path, peer.seen.count(self.path))
                if what == "hang":
                    peer.over.wait(60)
                if what in ("drop", "hang"):
                    self.close_connection = True
                    return
                if isinstance(what, int):
                    return self.answer(what, b"{}")
                address = urllib.parse.urlsplit(server.url)
                onward = http.client.HTTPConnection(address.hostname, address.port)
                kept = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if self.headers[name]}
                onward.request("PUT", self.path, body, kept)
                got = onward.getresponse()
                content = got.read()
                if what == "swallow":
                    self.close_connection = True
                    return
                self.answer(got.status, content)

            def answer(self, status, content):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.http.server_port

    @staticmethod
    def chunks(stream):
        found = b""
        while True:
            size = int(stream.readline(), 16)
            found += stream.read(size)
            stream.readline()
            if not size:
                return found

    def close(self):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def peer(server):
    peers = []

    def make(fault):
        peers.append(Peer(server, fault))
        return peers[-1]

    yield make
    for one in peers:
        one.close()


SUITE = "import time\nimport pytest\n\n@pytest.mark.parametrize('n', range(8))\ndef test_a(n):\n    time.sleep(0.2)\n"


@pytest.mark.parametrize("what", [500, 503, 429, "drop", "swallow"])
def test_each_thing_arrives_once_however_often_it_fails(recorder, server, peer, what):
    (recorder.folder / "test_it.py").write_text(SUITE)
    between = peer(lambda path, times: what if times == 1 else None)
    summary = recorder.run(PYTEST, between)
    assert recorder.done.returncode == 0 and "spool" not in summary, recorder.done.stderr.decode()
    assert all(between.seen.count(path) == 2 for path in set(between.seen)), between.seen
    assert len(server.rows(summary["uuid"], "tests")) == 8


@pytest.mark.parametrize("status", [404, 403, 400])
def test_a_server_that_refuses_for_good_leaves_the_spool_and_is_told(recorder, server, peer, status):
    (recorder.folder / "test_it.py").write_text("def test_a(): pass\n")
    summary = recorder.run(PYTEST, peer(lambda path, times: status))
    told = recorder.done.stderr.decode()
    assert recorder.done.returncode == 0 and os.path.isdir(summary["spool"]), told
    assert str(status) in told and "highwater upload --server" in told, told


def test_a_server_that_takes_the_job_and_then_does_not_know_it_is_not_asked_without_pause(recorder, server, peer):
    (recorder.folder / "test_it.py").write_text("import time\ndef test_a(): time.sleep(2)\n")
    between = peer(lambda path, times: None if path.count("/") == 4 else 404)
    process = recorder.start(PYTEST, between)
    wait_for("some requests", lambda: len(between.seen) > 3)
    process.send_signal(signal.SIGINT)
    wait_for("pytest to be interrupted and the first wait", lambda: process.poll() is not None or recorder.summary.exists() or len(between.seen) > 5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) is not None
    assert len(between.seen) < 60, len(between.seen)


def test_a_silent_server_keeps_nobody_waiting(recorder, server, peer):
    (recorder.folder / "test_it.py").write_text("def test_a(): pass\n")
    silent = peer(lambda path, times: "hang")
    summary = recorder.run(PYTEST, silent)
    assert recorder.done.returncode == 0 and os.path.isdir(summary["spool"])
    # Nobody let the peer go: the agent left by itself, long before its own request would have ended.
    assert not silent.over.is_set() and b"silent" in recorder.done.stderr, recorder.done.stderr


def test_what_a_faulty_server_left_is_sent_later(recorder, server, peer):
    (recorder.folder / "test_it.py").write_text(SUITE)
    summary = recorder.run(PYTEST, peer(lambda path, times: None if path.endswith("/0") or path.count("/") == 4 else "drop"))
    assert os.path.isdir(summary["spool"])
    done = recorder.upload(server)
    assert done.returncode == 0, done.stderr
    assert len(server.rows(summary["uuid"], "tests")) == 8 and not os.path.exists(summary["spool"])


@pytest.mark.parametrize("pattern", ["job", "*.seg*"])
def test_a_damaged_spool_is_kept(recorder, server, pattern):
    (recorder.folder / "test_it.py").write_text(SUITE)
    summary = recorder.run(PYTEST)
    (path,) = pathlib.Path(summary["spool"]).glob(pattern)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    done = recorder.upload(server)
    assert done.returncode != 0 and os.path.isdir(summary["spool"]), (done.stdout, done.stderr)
    assert b"panicked" not in done.stderr
