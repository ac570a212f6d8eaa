"""docker-compose.yml and what it names, as far as that can be tried without an engine: its commands are run with the real programs."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest
import yaml

from conftest import BINARIES, ROOT, wait_for
from guarded import ask

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "deploy" / "server.Dockerfile").read_text()
SHELL = ["sh", "-ec"]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_every_file_that_is_named_is_there():
    manifests = "".join(path.read_text() for path in ROOT.glob("*/Cargo.toml"))
    for name, service in SERVICES.items():
        dockerfile = service.get("build", {}).get("dockerfile")
        if dockerfile is None:
            continue
        text = (ROOT / dockerfile).read_text()
        assert re.search(r"^USER highwater$", text, re.M), "%s runs as root" % name
        for source in re.findall(r"^COPY (?:--chown=\S+ )?([^-\s]\S*) ", text, re.M):
            assert (ROOT / source).exists(), source
        for package in re.findall(r"--package (\S+)", text):
            assert 'name = "%s"' % package in manifests


def test_the_steps_that_the_file_tells_give_a_server_with_the_example(tmp_path):
    volume, port = tmp_path / "data", free_port()
    volume.mkdir()
    variables = dict(re.findall(r"(HIGHWATER_\w+)=(\S+)", DOCKERFILE))
    common = {"PATH": "%s:%s:%s" % (BINARIES, pathlib.Path(sys.executable).parent, os.environ["PATH"]), "HOME": str(tmp_path)}
    of_server = {
        **common,
        "HIGHWATER_LISTEN": variables["HIGHWATER_LISTEN"].replace("8080", str(port)),
        "HIGHWATER_DATABASE": variables["HIGHWATER_DATABASE"].replace("/var/lib/highwater", str(volume)),
    }

    def run(command, environment, check=True):
        return subprocess.run(command, cwd=volume, env=environment, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    made = subprocess.run(SHELL + SERVICES["tokens"]["command"], cwd=volume, env=of_server, check=True, stdout=subprocess.PIPE)
    read = made.stdout.decode().strip()
    health = yaml.safe_load(re.search(r"HEALTHCHECK .* CMD (\[.*\])", DOCKERFILE).group(1))
    server = subprocess.Popen(["highwater-server"] + SERVICES["server"]["command"], cwd=volume, env=of_server, stdout=subprocess.PIPE)
    try:
        assert b"listening on" in server.stdout.readline()
        run(health, of_server)
        generate = [sys.executable, str(ROOT / "examples/accumulating-suite/generate.py"), "suite", "--scale", "0.02"]
        run(generate, common)
        (script,) = SERVICES["agent"]["command"]
        script = script.replace("$$", "$").replace("/token", str(volume))
        done = run(SHELL + [script], {**common, "HIGHWATER_SERVER": "http://127.0.0.1:%d" % port})
        assert b"not all of it" not in done.stdout, done.stdout

        class Place:
            url = "http://127.0.0.1:%d" % port

        def recorded():
            status, page = ask(Place, "/api/v1/projects/example~accumulating/jobs", read)
            return page["jobs"] if status == 200 and page["jobs"] else None

        (job,) = wait_for("the job", recorded)
        assert job["name"] == "compose"
    finally:
        server.terminate()
        server.wait(30)
    assert run(health, of_server, check=False).returncode == 2, "a server that is gone is not healthy"


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT RUN: systemd-analyze is not on this machine")
    unit = tmp_path / "highwater-server.service"
    # The program is not installed here.
    text = (ROOT / "deploy" / "highwater-server.service").read_text()
    unit.write_text(text.replace("/usr/local/bin/highwater-server", str(BINARIES / "highwater-server")))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    told = [line for line in done.stdout.decode().splitlines() if "highwater-server" in line]
    assert told == [], done.stdout
