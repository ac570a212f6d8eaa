"""A server that asks who comes: with tokens, and with the identity tokens of a CI from a local issuer."""

import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.parse

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from conftest import BINARIES, PYTEST
from guarded import GuardedServer, ask, make_token, settled

AUDIENCE = "https://highwater.example"


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "test_one.py").write_text("def test_one():\n    held = bytearray(30_000_000)\n    assert held\n")
    return folder


def test_nobody_else_is_let_in_before_there_is_a_token(tmp_path):
    command = [str(BINARIES / "highwater-server"), "--listen", "0.0.0.0:0", "--database", "sqlite://%s" % (tmp_path / "a.db")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 2 and b"token create" in done.stderr, done.stderr
    assert done.stdout == b""


def test_a_recording_goes_by_its_token_and_is_seen_with_another(tmp_path, suite, recorder):
    server = GuardedServer(tmp_path)
    try:
        ingest = make_token(server, "--project", "test/suite", "--scope", "ingest")
        read = make_token(server, "--project", "test/suite", "--scope", "read")
        foreign = make_token(server, "--project", "other/suite", "--scope", "read")
        summary = recorder.run(PYTEST + [suite], server, HIGHWATER_TOKEN=ingest)
        assert summary["exit_code"] == 0, recorder.done.stderr
        path = "/api/v1/jobs/%s" % summary["uuid"]
        job = settled(server, summary["uuid"], read)
        assert job["ending"]["verdict"] == "passed"
        for token, status in ((None, 401), (foreign, 404), (ingest, 404), (server.admin, 200)):
            assert ask(server, path, token)[0] == status
        # One that may not record loses nothing: what it saw stays in the spool, and goes out with a token that may.
        summary = recorder.run(PYTEST + [suite], server, HIGHWATER_TOKEN=read)
        assert summary["exit_code"] == 0
        assert b"not for ingest of test/suite" in recorder.done.stderr, recorder.done.stderr
        assert ask(server, "/api/v1/jobs/%s" % summary["uuid"], read)[0] == 404
        command = [str(BINARIES / "highwater"), "upload", "--spool", str(recorder.spool), "--server", server.url]
        done = subprocess.run(command, env=recorder.environment(HIGHWATER_TOKEN=ingest), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
        assert settled(server, summary["uuid"], read)["ending"]["verdict"] == "passed"
        # No secret is in the log, in the database or in what the agent wrote.
        for token in (ingest, read, foreign, server.admin):
            secret = token.rsplit("_", 1)[1].encode()
            for file in [file for file in tmp_path.rglob("*") if file.is_file()]:
                assert secret not in file.read_bytes(), file
        log = (tmp_path / "server.log").read_text()
        assert "audit" in log and ingest.split("_")[1] in log, log
    finally:
        server.stop()


class Issuer:
    """A CI that signs identity tokens, and gives one to each of its jobs that asks with its request token."""

    def __init__(self, repository):
        issuer = self
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.repository, self.asked = repository, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                address = urllib.parse.urlsplit(self.path)
                if address.path == "/.well-known/openid-configuration":
                    return self.say(200, {"issuer": issuer.url, "jwks_uri": issuer.url + "/keys"})
                if address.path == "/keys":
                    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(issuer.key.public_key()))
                    return self.say(200, {"keys": [{**key, "kid": "one", "alg": "RS256", "use": "sig"}]})
                if self.headers["Authorization"] != "Bearer of-this-job":
                    return self.say(403, {})
                audience = urllib.parse.parse_qs(address.query)["audience"][0]
                issuer.asked.append(audience)
                self.say(200, {"value": issuer.token(aud=audience)})

            def say(self, status, content):
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def token(self, key=None, algorithm="RS256", kid="one", **claims):
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "iat": now, "nbf": now - 5, "exp": now + 300, "sub": "repo:%s" % self.repository}
        said["repository"] = self.repository
        said.update(claims)
        said = {name: value for name, value in said.items() if value is not None}
        key = None if algorithm == "none" else key or self.key
        return jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid})

    def settings(self):
        return "[oidc]\nissuer = %s\naudience = %s\nrepositories = ['acme/*']\n" % (json.dumps(self.url), json.dumps(AUDIENCE))


def test_a_job_proves_its_repository_without_a_secret(tmp_path, suite, recorder):
    issuer = Issuer("acme/web")
    server = GuardedServer(tmp_path, issuer.settings())
    try:
        variables = {
            "HIGHWATER_OIDC_AUDIENCE": AUDIENCE,
            "ACTIONS_ID_TOKEN_REQUEST_URL": issuer.url + "/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job",
        }
        flags = ["--project", "acme/web"]
        summary = recorder.run(PYTEST + [suite], server, flags, **variables)
        assert summary["exit_code"] == 0 and b"not all of it" not in recorder.done.stderr, recorder.done.stderr
        job = settled(server, summary["uuid"], server.admin)
        assert (job["project"], job["ending"]["verdict"]) == ("acme/web", "passed")
        assert issuer.asked == [AUDIENCE], "one token is used on"
        # It is for that project only.
        summary = recorder.run(PYTEST + [suite], server, ["--project", "acme/other"], **variables)
        assert b"not for ingest of acme/other" in recorder.done.stderr, recorder.done.stderr
        # A job that may not ask is told what it lacks, and its tests run.
        summary = recorder.run(PYTEST + [suite], server, flags, HIGHWATER_OIDC_AUDIENCE=AUDIENCE)
        assert summary["exit_code"] == 0 and b"id-token: write" in recorder.done.stderr, recorder.done.stderr
    finally:
        server.stop()


def test_identity_tokens_that_prove_nothing_are_refused(tmp_path):
    issuer = Issuer("acme/web")
    server = GuardedServer(tmp_path, issuer.settings())
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(issuer.key.public_key()))["n"]
    now = int(time.time())
    good = issuer.token()
    head, body, signature = good.split(".")
    cases = {
        "another audience": issuer.token(aud="https://elsewhere.example"),
        "another issuer": issuer.token(iss="https://issuer.example"),
        "no audience": issuer.token(aud=None),
        "no end": issuer.token(exp=None),
        "expired": issuer.token(exp=now - 600),
        "not yet": issuer.token(nbf=now + 600),
        "another key": issuer.token(key=other),
        "an unknown key": issuer.token(kid="two"),
        "a repository that is not named": issuer.token(repository="evil/web"),
        "a repository that only begins so": issuer.token(repository="acme-evil/web"),
        "no repository": issuer.token(repository=None),
        "signed with the public key": issuer.token(key=public, algorithm="HS256"),
        "not signed": issuer.token(algorithm="none"),
        "a cut signature": ".".join((head, body, signature[:-8])),
        "no token": "a.b.c",
    }
    try:
        status, access = ask(server, "/api/v1/access", good)
        assert (status, access["grants"]) == (200, [{"project": "acme/web", "scope": "ingest"}])
        for what, token in cases.items():
            status, answer = ask(server, "/api/v1/access", token)
            assert status in (401, 429), (what, answer)
        # Whatever was refused before, one that counts is taken.
        assert ask(server, "/api/v1/access", good)[0] == 200
    finally:
        server.stop()


def test_an_issuer_that_does_not_answer_is_the_servers_trouble(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % free.getsockname()[1]
    issuer = Issuer("acme/web")
    issuer.url = url
    server = GuardedServer(tmp_path, issuer.settings())
    try:
        status, answer = ask(server, "/api/v1/access", issuer.token())
        assert status == 503, answer
        assert ask(server, "/api/v1/access", server.admin)[0] == 200
    finally:
        server.stop()
