"""Every way a suite may be started, and the manners of the agent."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from conftest import MB, PYTEST, Recorder

PLAIN = "def test_a(): pass\ndef test_b(): pass\n"
QUOTED = " ".join("'%s'" % word for word in PYTEST)


def test_a_spool_below_the_working_folder_serves_a_command_that_leaves_it(recorder):
    below = recorder.folder / "below"
    below.mkdir()
    (below / "test_plain.py").write_text(PLAIN)
    recorder.spool = "spool"
    summary = recorder.run(["sh", "-c", "cd below && exec %s" % QUOTED])
    assert recorder.done.returncode == 0, recorder.done.stderr
    assert [session["tests"] for session in summary["sessions"]] == [2]


@pytest.mark.parametrize(
    "name, files, command",
    [
        ("script", {"run.sh": "%s\n" % QUOTED}, ["sh", "run.sh"]),
        ("make", {"Makefile": "test:\n\t@%s\n" % QUOTED}, ["make", "test"]),
        (
            "tox",
            {"tox.ini": "[tox]\nskipsdist=true\n[testenv]\nskip_install=true\nallowlist_externals=*\ncommands=%s\n" % " ".join(PYTEST)},
            [sys.executable, "-m", "tox", "-q"],
        ),
        (
            "nox",
            {"noxfile.py": "import nox\n@nox.session(venv_backend='none')\ndef tests(session):\n    session.run(*%r)\n" % PYTEST},
            [sys.executable, "-m", "nox", "-f", "noxfile.py"],
        ),
        ("main", {"run.py": "import pytest, sys\nsys.exit(pytest.main(['-q']))\n"}, [sys.executable, "run.py"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_lies_between_does_not_matter(recorder, name, files, command):
    (recorder.folder / "test_plain.py").write_text(PLAIN)
    for path, text in files.items():
        (recorder.folder / path).write_text(text)
    summary = recorder.run(command)
    assert recorder.done.returncode == 0, recorder.done.stdout + recorder.done.stderr
    assert [session["tests"] for session in summary["sessions"]] == [2]


@pytest.mark.parametrize("capture", ["", " -s"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"])
def test_a_closed_stream_makes_no_difference_to_how_pytest_ends(recorder, closed, capture):
    """As some supervisors and crons start programs; what Rust puts into the place of such a stream is not for the tests."""
    (recorder.folder / "test_streams.py").write_text(
        "import os, sys\n\ndef test_streams():\n    found = [os.path.exists('/proc/self/fd/%d' % number) for number in range(3)]\n"
        "    open('seen', 'w').write('%r %r %r %r' % (found, sys.stdout is None, sys.stderr is None, sys.stdin is None))\n"
    )

    def ended(words):
        (recorder.folder / "seen").unlink(missing_ok=True)
        command = ["sh", "-c", '"$@" %s' % closed, "sh"] + words
        code = subprocess.call(command, cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seen = recorder.folder / "seen"
        return code, seen.read_text() if seen.exists() else None

    words = PYTEST + capture.split()
    alone = ended(words)
    assert ended(recorder.command(words)) == alone
    summary = json.loads(recorder.summary.read_text())
    assert summary["exit_code"] == alone[0], (alone, summary["ending"])


@pytest.mark.parametrize("joint", [" && ", " & "], ids=["one after the other", "at once"])
def test_sessions_of_one_command_stay_apart(recorder, joint):
    for name in "ab":
        (recorder.folder / ("test_%s.py" % name)).write_text(PLAIN)
    script = joint.join("%s test_%s.py" % (QUOTED, name) for name in "ab") + ("; wait" if joint == " & " else "")
    summary = recorder.run(["sh", "-c", script])
    assert [session["tests"] for session in summary["sessions"]] == [2, 2]
    assert len({session["id"] for session in summary["sessions"]}) == 2


def test_two_jobs_at_once_do_not_mix(tmp_path):
    recorders = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        (folder / ("test_%s.py" % name)).write_text("import time\ndef test_it(): time.sleep(1)\n")
        recorders.append(Recorder(folder))
    running = [recorder.start(PYTEST) for recorder in recorders]
    for process in running:
        process.communicate(timeout=60)
    summaries = [json.loads(recorder.summary.read_text()) for recorder in recorders]
    assert [len(summary["sessions"]) for summary in summaries] == [1, 1]
    assert summaries[0]["sessions"][0]["id"] != summaries[1]["sessions"][0]["id"]


def test_output_and_exit_code_are_those_of_the_command_alone(recorder):
    (recorder.folder / "test_it.py").write_text("def test_a(): print('out')\ndef test_b(): assert 0\n")
    command = PYTEST + ["--durations=0", "-p", "no:terminal"]
    alone = subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    recorder.run(command, flags=["--quiet"])
    assert (recorder.done.returncode, recorder.done.stdout, recorder.done.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_a_run_inside_a_run_joins_it(recorder):
    (recorder.folder / "test_plain.py").write_text(PLAIN)
    inner = Recorder(recorder.folder)
    inner.summary = recorder.folder / "inner.json"
    summary = recorder.run(inner.command(PYTEST))
    assert recorder.done.returncode == 0 and [session["tests"] for session in summary["sessions"]] == [2]
    assert not inner.summary.exists()


def test_a_spool_that_cannot_be_written_does_not_keep_the_tests_from_running(recorder):
    (recorder.folder / "test_plain.py").write_text(PLAIN)
    (recorder.folder / "file").write_text("")
    recorder.spool = recorder.folder / "file" / "spool"
    assert recorder.run(PYTEST) is None
    assert recorder.done.returncode == 0 and b"not recording" in recorder.done.stderr and b"2 passed" in recorder.done.stdout


def test_where_pythonpath_is_replaced_the_tests_are_sampled_and_the_summary_says_so(recorder):
    (recorder.folder / "test_plain.py").write_text("import time\ndef test_a(): time.sleep(1.5)\n")
    summary = recorder.run(["sh", "-c", "PYTHONPATH=. " + QUOTED])
    assert recorder.done.returncode == 0
    assert [(session["sampled"], session["tests"]) for session in summary["sessions"]] == [(True, 1)]
    assert any(notice["code"] == "pytest_without_plugin" for notice in summary["notices"]), summary["notices"]


def test_networkx_is_the_same_with_and_without(recorder):
    command = PYTEST + ["-rA", "--pyargs", "networkx.classes"]
    alone = subprocess.run(command, cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.PIPE)
    summary = recorder.run(command, flags=["--quiet"])

    def outcomes(text):
        return sorted(line for line in text.decode().splitlines() if line.startswith(("PASSED", "FAILED", "SKIPPED", "XFAIL", "ERROR")))

    assert recorder.done.returncode == alone.returncode
    assert outcomes(recorder.done.stdout) == outcomes(alone.stdout)
    assert summary["sessions"][0]["tests"] > 500


def test_curl_can_speak_json(server):
    uuid, stream = "0197a7d4-0000-7000-8000-000000000001", "0197a7d4-0000-4000-8000-000000000002"

    def put(path, body):
        request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, b""
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    job = {"version": 1, "project": "by/hand", "run": {"provider": "local", "id": "1"}, "name": "unit", "attempt": 1, "intervalUs": 50000}
    path = "/api/v1/jobs/" + uuid
    assert put(path + "/streams/%s/batches/0" % stream, {"version": 1})[0] == 404
    assert [put(path, job)[0] for _ in range(2)] == [201, 200]
    status, body = put(path, dict(job, name="other"))
    assert status == 409 and json.loads(body)["error"]["code"] == "conflict"
    process = {"pid": 7, "startTicks": 1, "role": "ROLE_PYTEST", "session": "s", "exact": True}
    marks = [
        {"tUs": 0, "rssBytes": 1000000, "peakBytes": 1000000, "sessionBegin": {}},
        {"tUs": 10, "rssBytes": 1000000, "peakBytes": 1000000, "testBegin": {"execution": 1, "path": "a.py", "nodeid": "a.py::t"}},
        {"tUs": 20, "rssBytes": 3000000, "peakBytes": 9000000, "testEnd": {"outcome": "passed"}},
        {"tUs": 30, "rssBytes": 3000000, "peakBytes": 3000000, "sessionEnd": {"exitStatus": 0}},
    ]
    batch = {"version": 1, "toUs": 50, "processes": [process], "sessions": [{"id": "s"}], "marks": marks}
    end = {"version": 1, "endedUs": 50, "exitCode": 0, "streams": [{"stream": stream, "batches": 1}]}
    assert put(path + "/end", end)[0] == 201
    assert put(path + "/streams/%s/batches/0" % stream, batch)[0] == 201
    assert put(path + "/streams/%s/batches/0" % stream, batch)[0] == 200
    assert put(path + "/streams/%s/batches/0" % stream, dict(batch, toUs=51))[0] == 409
    answer = server.job(uuid)
    assert (answer["state"], answer["ending"]["verdict"]) == ("finished", "passed")
    assert server.rows(uuid, "files")[0]["spike_bytes"] == 8000000
    late = dict(batch, marks=[], fromUs=50, toUs=60)
    assert put(path + "/streams/%s/batches/1" % stream, late)[0] == 201
    from conftest import wait_for

    wait_for("a second revision", lambda: server.get(path)["revision"] == 2)
    assert server.rows(uuid, "files")[0]["spike_bytes"] == 8000000
    for bad, code in [("{", "malformed"), ('{"version":9}', "unknown_version")]:
        request = urllib.request.Request(server.url + path + "/end", bad.encode(), {"Content-Type": "application/json"}, method="PUT")
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request)
        assert (error.value.code, json.loads(error.value.read())["error"]["code"]) == (400, code)


def test_settings_that_cannot_be_are_told_and_the_tests_run(recorder):
    (recorder.folder / "test_it.py").write_text("def test_a(): pass\n")
    (recorder.folder / "pyproject.toml").write_text("[tool.highwater]\nintervall = '50ms'\nbudget = '1GB'\n")
    empty = dict.fromkeys(["HIGHWATER_SHARD", "HIGHWATER_VARIANT", "HIGHWATER_ATTEMPT", "HIGHWATER_FORK", "HIGHWATER_SERVER"], "")
    summary = recorder.run(PYTEST, HIGHWATER_BUDGET="3X", HIGHWATER_NO_EXACT="0", **empty)
    told = recorder.done.stderr.decode()
    assert recorder.done.returncode == 0 and b"1 passed" in recorder.done.stdout
    assert "HIGHWATER_BUDGET: \"3X\"" in told and "intervall: there is no such setting" in told, told
    assert [limit["limit_bytes"] for limit in summary["limits"] if limit["kind"] == "budget"] == [1000 * MB]
    assert summary["peak_kind"] == "exact"


def test_ids_in_any_script_and_of_2000_characters_arrive_whole(recorder, server):
    ids = ["ж" * 1900, "漢字" * 900, "e\u0301" * 500, "\U0001f9ea" * 400, "\u202eright-to-left\u202c", "a b\tc", "[x]::y/../z", "<b>&\"'", "x" * 1900]
    (recorder.folder / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('n', range(%d), ids=%r)\ndef test_a(n):\n    pass\n" % (len(ids), ids), encoding="utf-8"
    )
    (recorder.folder / "pytest.ini").write_text(
        "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
    )
    summary = recorder.run(PYTEST, server)
    assert recorder.done.returncode == 0, recorder.done.stdout.decode()
    server.job(summary["uuid"])
    got = [row["nodeid"] for row in server.rows(summary["uuid"], "tests")]
    assert got == ["test_it.py::test_a[%s]" % text for text in ids]
    with urllib.request.urlopen(server.url + "/jobs/" + summary["uuid"]) as page:
        assert "漢字漢字" in page.read().decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_unprivileged_user_records_exactly_too(recorder, server):
    (recorder.folder / "test_it.py").write_text("def test_a():\n    bytearray(200_000_000)\n")
    for folder in [recorder.folder] + list(recorder.folder.parents)[:3]:
        os.chmod(str(folder), 0o777)
    # Without any of root's powers but to read: Python or the binaries may lie in a folder of root's.
    somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    command = recorder.command(PYTEST, server)
    environment = dict(recorder.environment(), HOME="/nonexistent")
    done = subprocess.run(somebody + command, cwd=str(recorder.folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, (done.stdout, done.stderr)
    summary = json.loads(recorder.summary.read_text())
    assert summary["peak_kind"] == "exact" and summary["peak_bytes"] > 200 * MB
    assert server.job(summary["uuid"])["ending"]["verdict"] == "passed"


def test_a_command_without_pytest_is_called_neither_passed_nor_crashed(recorder):
    for command, code in [("true", 0), ("false", 1)]:
        summary = recorder.run([command])
        assert recorder.done.returncode == code
        assert summary["ending"]["verdict"] == "no_session", summary["ending"]
