"""The server held to its own OpenAPI document by schemathesis: recordings and imports, with and without tokens, every scope."""

import json
import os
import subprocess
import urllib.request

import pytest

from conftest import BINARIES, PYTEST, ROOT, Recorder, Server
from guarded import GuardedServer, make_token, settled

PATIENCE = 600
# In an environment of its own: its plugins of pytest would be loaded into every pytest that is recorded here.
SCHEMATHESIS = os.environ.get("HIGHWATER_SCHEMATHESIS", str(ROOT / "target" / "venvs" / "schemathesis" / "bin" / "python"))


@pytest.fixture
def filled(tmp_path):
    """Fills a server with a recording, a job that never ends, and an import; answers the jobs."""

    def fill(server, token=None):
        (tmp_path / "test_some.py").write_text("import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_some(n): assert n\n")
        recorder = Recorder(tmp_path)
        variables = {"HIGHWATER_TOKEN": token} if token else {}
        summary = recorder.run(PYTEST + ["-n", "2", tmp_path / "test_some.py"], server, **variables)
        settled(server, summary["uuid"], token)
        (tmp_path / "some.dat").write_text("CMDLINE python -m pytest\nMEM 10.0 1767225600.0\nMEM 12.5 1767225600.1\n")
        command = [str(BINARIES / "highwater-server"), "import", "--database", "sqlite://%s" % server.database]
        command += ["--project", "test/suite", str(tmp_path / "some.dat")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        headers = {"Authorization": "Bearer " + token} if token else {}
        return [job["uuid"] for job in jobs(server, headers)]

    return fill


def jobs(server, headers):
    request = urllib.request.Request(server.url + "/api/v1/projects/test~suite/jobs", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["jobs"]


def held(server, folder, uuids, token=None, examples=5, flags=()):
    """Runs schemathesis against a server; whatever it finds fails the test."""
    document = server.get("/api/v1/openapi.json")
    for item in document["paths"].values():
        for operation in item.values():
            if token:
                # Nothing is published here, so that nobody gets anything without a token.
                operation["security"] = [way for way in operation["security"] if way]
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "uuid":
                    values = [parameter.pop("example")] + uuids
                    parameter["examples"] = {"job %d" % n: {"value": value} for n, value in enumerate(values)}
                if parameter["name"] == "project":
                    values = [parameter.pop("example"), "test~suite"]
                    parameter["examples"] = {"project %d" % n: {"value": value} for n, value in enumerate(values)}
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    config = folder / "schemathesis.toml"
    hooks = str(ROOT / "e2e" / "document_hooks.py")
    settings = (ROOT / "e2e" / "schemathesis.toml").read_text().replace("e2e/document_hooks.py", hooks)
    config.write_text(settings + ("[auth.openapi.token]\nbearer = '%s'\n" % token if token else ""))
    command = [SCHEMATHESIS, "-m", "schemathesis.cli", "--config-file", str(config)]
    command += ["run", str(path), "--url", server.url, "--max-examples", str(examples), "--seed", "1", "--no-color"]
    command += ["--generation-database", "none", "--continue-on-failure", "--request-timeout", "30", *flags]
    # Where it runs it keeps what failed, and tries that first the next time.
    done = subprocess.run(command, cwd=str(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    text = done.stdout.decode()
    assert done.returncode == 0, text[-20000:]
    assert "29/29" in text, text
    return text


def test_a_server_without_tokens_keeps_to_its_document(tmp_path, filled):
    server = Server(tmp_path)
    try:
        print(held(server, tmp_path, filled(server)))
        assert server.process.poll() is None
    finally:
        server.stop()


@pytest.mark.parametrize("scope", ["admin", "read", "ingest"])
def test_a_server_with_tokens_keeps_to_its_document(tmp_path, filled, scope):
    server = GuardedServer(tmp_path, "behind_proxy = true\n")
    try:
        token = make_token(server, "--project", "test/suite", "--scope", scope)
        uuids = filled(server, server.admin)
        phases = "examples,coverage,fuzzing" if scope == "admin" else "examples,fuzzing"
        print(held(server, tmp_path, uuids, token, examples=3, flags=["--phases", phases]))
        log = (tmp_path / "server.log").read_text()
        assert "panicked" not in log and " ERROR " not in log, log[-5000:]
    finally:
        server.stop()
