"""The real binaries, a server of our own, and suites to record."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

# Under nohup it is ignored, which every process started here would inherit: a pytest that is sent it would live on.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARIES = pathlib.Path(os.environ.get("HIGHWATER_BIN_DIR", str(ROOT / "target" / "debug"))).resolve()
MB = 1000 * 1000


def wait_for(what, condition, seconds=60):
    """Returns what the condition answers, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "waited in vain for %s" % what
        time.sleep(0.02)


class Server:
    """A server with a database of its own; it can be killed and started again on the same port."""

    def __init__(self, folder, silence=120, log=None):
        self.database = folder / "highwater.db"
        self.log = log
        self.port, self.silence, self.process = 0, silence, None
        self.start()

    def start(self):
        command = [str(BINARIES / "highwater-server"), "--listen", "127.0.0.1:%d" % self.port]
        command += ["--database", "sqlite://%s" % self.database, "--silence", str(self.silence)]
        with open(self.log or os.devnull, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline().decode()
        assert " on http://" in line, line
        self.url = line.split(" on ")[1].strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def text(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def job(self, uuid):
        """The job once it is settled."""

        def settled():
            try:
                job = self.get("/api/v1/jobs/%s" % uuid)
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                raise
            return job if job["state"] != "running" and job["revision"] > 0 else None

        return wait_for("job %s to be settled" % uuid, settled)

    def rows(self, uuid, kind):
        rows, after = [], ""
        while after is not None:
            page = self.get("/api/v1/jobs/%s/%s?limit=1000%s" % (uuid, kind, after and "&after=" + after))
            rows += page[kind]
            after = page["next"]
        return rows


class Recorder:
    """`highwater run` in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.spool = folder / "spool"
        self.summary = folder / "summary.json"

    def command(self, command, server=None, flags=()):
        words = [str(BINARIES / "highwater"), "run", "--spool", str(self.spool), "--summary", str(self.summary)]
        words += ["--project", "test/suite"] + list(flags)
        if server is not None:
            words += ["--server", server.url]
        return words + ["--"] + [str(word) for word in command]

    def environment(self, **variables):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HIGHWATER_", "PYTEST_", "GITHUB_", "CI_"))}
        kept.pop("CI", None)
        kept.update({k: str(v) for k, v in variables.items()})
        return kept

    def run(self, command, server=None, flags=(), cwd=None, **variables):
        self.summary.unlink(missing_ok=True)
        self.done = subprocess.run(
            self.command(command, server, flags),
            cwd=str(cwd or self.folder),
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=300,
        )
        return json.loads(self.summary.read_text()) if self.summary.exists() else None

    def start(self, command, server=None, flags=(), cwd=None, **variables):
        return subprocess.Popen(
            self.command(command, server, flags),
            cwd=str(cwd or self.folder),
            env=self.environment(**variables),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def upload(self, server):
        command = [str(BINARIES / "highwater"), "upload", "--spool", str(self.spool), "--server", server.url]
        return subprocess.run(command, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path):
    server = Server(tmp_path, silence=2)
    yield server
    server.stop()


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path)


@pytest.fixture
def example(tmp_path):
    """Writes an example suite and answers its folder."""

    def write(case, scale=0.1, **options):
        folder = tmp_path / ("suite of " + case)
        command = [sys.executable, str(ROOT / "examples" / "accumulating-suite" / "generate.py"), str(folder)]
        command += ["--case", case, "--scale", str(scale)]
        for name, value in options.items():
            command += ["--" + name, str(value)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return folder

    return write


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = os.environ.get("HIGHWATER_CHROMIUM", "/usr/bin/chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()
