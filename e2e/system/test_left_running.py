"""A child that outlives the file that started it is that file's, and nobody's need after it; one that a shared fixture started is no file's."""

import html
import json
import re
import shlex
import subprocess

from conftest import PYTEST

MIB = 1 << 20
SERVICE = 40
LEFT = 70
# With what an interpreter takes it has about as much as its parent, and is no copy of it for all that.
BRIEF = 30
CONFTEST = """
import subprocess
import sys
import time

import pytest

HOLD = "import sys; held = b'x' * (%d << 20); print('ready', flush=True); sys.stdin.read()"
left = []

def holding(size):
    child = subprocess.Popen([sys.executable, "-S", "-c", HOLD % size], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    # Seen by a few samples on a busy machine too.
    time.sleep(0.4)
    return child

def ended(child):
    child.stdin.close()
    child.wait()

@pytest.fixture(scope="session")
def service():
    child = holding({service})
    yield child
    ended(child)
"""
FILE = """
import time
import conftest

kept = []

def test_holds(service):
    kept.append(b"x" * (5 << 20))
    time.sleep(0.2)

def test_starts_a_child():
    child = conftest.holding({brief})
    if {leaves}:
        conftest.left.append(conftest.holding({left}))
    conftest.ended(child)
    time.sleep(0.2)
"""
PATHS = ["test_%d.py" % number for number in range(5)]


def write(folder, leaving=()):
    (folder / "conftest.py").write_text(CONFTEST.replace("{service}", str(SERVICE)))
    for path in PATHS:
        (folder / path).write_text(FILE.format(leaves=path in leaving, left=LEFT, brief=BRIEF))


def record(recorder, server, commit, leaving=(), words=PATHS):
    write(recorder.folder, leaving)
    summary = recorder.run(PYTEST + ["-p", "no:randomly", *words], server, flags=["--commit", commit * 40, "--branch", "main"])
    assert recorder.done.returncode == 0, recorder.done
    server.job(summary["uuid"])
    return summary["uuid"]


def asked(recorder, server, *words):
    command = recorder.command([], server)[:1] + [words[0], "--server", server.url, *words[1:]]
    done = subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.stdout, done
    return json.loads(done.stdout)


def files_of(server, job):
    return {file["path"]: file for file in server.rows(job, "files") if file["visits"]}


def near(bytes_, megabytes, give=12):
    """What an interpreter takes comes on top."""
    return -2 * MIB < bytes_ - megabytes * MIB < give * MIB


def test_a_child_that_a_file_leaves_running_is_told_of_that_file_alone(own_server, recorder):
    server = own_server
    jobs = [record(recorder, server, commit) for commit in "12345"]
    for path, file in files_of(server, jobs[-1]).items():
        assert abs(file["children_retained_bytes"]) < MIB, file
        assert near(file["children_start_bytes"], 0 if path == PATHS[0] else SERVICE), file
        # Its own child, and what it keeps.
        assert near(file["tree_spike_bytes"], BRIEF + 5), file
    [service] = [row for row in server.rows(jobs[-1], "fixtures") if row["name"] == "service"]
    assert near(service["children_bytes"], SERVICE), service
    worse = record(recorder, server, "6", [PATHS[1]])
    files = files_of(server, worse)
    for number, path in enumerate(PATHS):
        assert near(files[path]["children_retained_bytes"], LEFT if number == 1 else 0), files[path]
        assert near(files[path]["tree_spike_bytes"], BRIEF + 5 + (LEFT if number == 1 else 0), 20), files[path]
    found = asked(recorder, server, "check", worse, "--format", "json")
    of_files = {(finding["path"], finding["figure"]) for finding in found["findings"] if finding["path"]}
    assert {path for path, _ in of_files} == {PATHS[1]} and (PATHS[1], "retained") in of_files, found
    compared = asked(recorder, server, "compare", jobs[-1], worse, "--format", "json")
    assert {file["path"]: file["change"] for file in compared["files"]} == {path: "changed" if path == PATHS[1] else "alike" for path in PATHS}
    page = server.text("/jobs/%s" % worse)
    assert page.count("left children running") == 1 and "started processes (" in page, page
    # The page of the file tells what the check told.
    [link] = set(re.findall(r'href="(/[^"]*files/%s[^"]*)"' % re.escape(PATHS[1]), page))
    history = server.text(html.unescape(link))
    assert history.count("left children running") == 1, history
    # Mended, it is clean again.
    assert asked(recorder, server, "check", record(recorder, server, "7"), "--format", "json")["verdict"] == "clean"


def test_a_plan_counts_what_children_hold_once(own_server, recorder):
    server = own_server
    leaving = [PATHS[1], PATHS[3]]
    job = record(recorder, server, "1", leaving)
    plan = asked(recorder, server, "plan", job, "--budget", "2GB", "--format", "json")
    predicted = plan["jobs"][0]["peak_bytes"]
    words = shlex.split(" ".join(plan["jobs"][0]["files"]))
    followed = record(recorder, server, "2", leaving, words)
    measured = server.job(followed)["peak_bytes"]
    assert abs(predicted - measured) < 0.1 * measured, (predicted, measured)
