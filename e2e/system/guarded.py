"""A server that asks for tokens, and how to ask it."""

import json
import subprocess
import urllib.error
import urllib.request

from conftest import BINARIES, Server, wait_for


def make_token(server, *flags):
    command = [str(BINARIES / "highwater-server"), "token", "create", "--database", "sqlite://%s" % server.database]
    done = subprocess.run(command + list(flags), check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.stdout.decode().strip()


def ask(server, path, token=None, method="GET", body=None):
    """Status and answer of a request."""
    request = urllib.request.Request(server.url + path, method=method, data=body)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def settled(server, uuid, token):
    def condition():
        status, job = ask(server, "/api/v1/jobs/%s" % uuid, token)
        return job if status == 200 and job["revision"] > 0 else None

    return wait_for("job %s to be settled" % uuid, condition)


class GuardedServer(Server):
    """Started on every address, which takes a token first."""

    def __init__(self, folder, settings=""):
        (folder / "highwater.toml").write_text(settings)
        self.folder = folder
        super().__init__(folder)

    def start(self):
        if not self.database.exists():
            self.admin = make_token(self, "--all-projects", "--scope", "admin")
        command = [str(BINARIES / "highwater-server"), "--listen", "0.0.0.0:%d" % self.port]
        command += ["--database", "sqlite://%s" % self.database, "--config", str(self.folder / "highwater.toml")]
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        assert " on http://" in line, line
        self.port = int(line.strip().rsplit(":", 1)[1])
        self.url = "http://127.0.0.1:%d" % self.port
