"""What looks like a secret does not leave the machine: not in a command, not in an argument, not in a child, not in the id of a test nor the path of its file."""

import pytest

from conftest import PYTEST

# Written in parts, so that no scanner takes these for leaks.
TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
SECRETS = [TOKEN, "hunter2-of-the-flag", "hunter2-of-the-child", "hunter2-of-the-address", "hunter2-of-the-test"]

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--db-password")
    parser.addoption("--dsn")
"""
SUITE = """
import subprocess, sys, time
import pytest

@pytest.mark.parametrize("x", ["%(token)s", "password=hunter2-of-the-test", "plain"], ids=str)
def test_a(x):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "--api-token=hunter2-of-the-child"])
    time.sleep(0.5)
    child.kill()
    child.wait()
""" % {
    "token": TOKEN
}


@pytest.mark.parametrize("way", [[], ["--no-plugin"]], ids=["plugin", "sampled"])
def test_no_secret_leaves_the_machine(server, recorder, tmp_path, way):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / TOKEN).mkdir()
    (tmp_path / TOKEN / "test_a.py").write_text(SUITE)
    arguments = [TOKEN, "--db-password", SECRETS[1], "--dsn=postgres://user:%s@db/x" % SECRETS[3]]
    summary = recorder.run(PYTEST + arguments, server, way)
    assert summary["exit_code"] == 0, recorder.done.stderr
    uuid = server.job(summary["uuid"])["uuid"]
    parts = ["", "/processes", "/files", "/tests", "/fixtures", "/series"]
    told = [server.text("/api/v1/jobs/%s%s" % (uuid, part)) for part in parts]
    told += [server.text("/jobs/%s" % uuid), recorder.summary.read_text(), recorder.done.stderr.decode()]
    for secret in SECRETS:
        assert not [text for text in told if secret in text], secret
    processes = server.rows(uuid, "processes")
    assert any("--api-token=***" in process["command"] for process in processes), processes
    ids = {test["nodeid"] for test in server.rows(uuid, "tests")}
    assert {"***/test_a.py::test_a[***]", "***/test_a.py::test_a[password=***]", "***/test_a.py::test_a[plain]"} == ids
    assert {file["path"] for file in server.rows(uuid, "files")} == {"***/test_a.py"}
