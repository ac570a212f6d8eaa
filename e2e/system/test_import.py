"""Recordings that come as files: spools, databases of pytest-monitor, files of mprof."""

import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import pytest

from conftest import BINARIES, MB, PYTEST, Server, wait_for
from test_recorded import EXPECTED, KEPT

FOREIGN = pathlib.Path(__file__).parents[1] / "fixtures" / "foreign"
MIB = 1 << 20


def command(server, *words):
    words = [str(BINARIES / "highwater-server")] + [str(word) for word in words] + ["--database", "sqlite://%s" % server.database]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def bring_in(server, *words):
    """Imports what must go well, and answers the uuids."""
    done = command(server, "import", *words)
    assert done.returncode == 0, done.stderr.decode()
    return [line.split(" as ")[1].split()[0] for line in done.stdout.decode().splitlines() if " as " in line]


def jobs(server):
    found = []
    for project in server.get("/api/v1/projects")["projects"]:
        found += server.get("/api/v1/projects/%s/jobs?limit=1000" % project["project"].replace("/", "~"))["jobs"]
    return found


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "test_one.py").write_text("def test_one():\n    held = bytearray(30_000_000)\n    assert held\n")
    return folder


def test_a_spool_is_imported_once_and_an_upload_adds_nothing(own_server, recorder, suite):
    recorder.run(PYTEST, cwd=suite)
    [folder] = [folder for folder in recorder.spool.iterdir() if (folder / "job").is_file()]
    # The server runs meanwhile, on the same database.
    assert bring_in(own_server, folder) == [folder.name]
    imported = own_server.job(folder.name)
    assert (imported["state"], imported["ending"]["verdict"]) == ("finished", "passed")
    assert bring_in(own_server, recorder.spool) == [], "it was there already"
    assert recorder.upload(own_server).returncode == 0
    assert not folder.exists(), "the server has all of it"
    assert own_server.job(folder.name) == imported, "nothing was changed"


def test_both_ways_lead_to_the_same_figures(own_server, tmp_path, recorder, suite):
    recorder.run(PYTEST, cwd=suite)
    copy = tmp_path / "copy"
    shutil.copytree(recorder.spool, copy)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Server(elsewhere)
    try:
        assert recorder.upload(other).returncode == 0
        [uuid] = bring_in(own_server, copy)
        for path in ("", "/files", "/tests", "/processes", "/series"):
            path = "/api/v1/jobs/" + uuid + path
            other.job(uuid)
            brought, sent = own_server.get(path), other.get(path)
            if path.endswith(uuid):
                # Only who sends shows a clock.
                assert (brought.pop("clock_skew_us"), sent.pop("clock_skew_us") is None) == (None, False)
            assert brought == sent
    finally:
        other.stop()


@pytest.mark.parametrize("scenario", sorted(EXPECTED))
def test_recorded_spools_end_as_when_they_are_uploaded(server, scenario):
    done = command(server, "import", KEPT / scenario)
    assert done.returncode == 0, done.stderr
    [uuid] = [folder.name for folder in (KEPT / scenario).iterdir() if folder.is_dir()]
    job = server.job(uuid)
    ending = job["ending"]
    verdict, confidence, victim, _, _ = EXPECTED[scenario]
    assert (ending["verdict"], ending["confidence"]) == (verdict, confidence), ending
    assert (ending["victim"] or "").split("::")[0] == (victim or ""), ending


def test_what_a_dead_agent_left_has_no_end_until_it_is_uploaded(own_server, recorder, tmp_path, suite):
    go = tmp_path / "go"
    (suite / "test_waits.py").write_text("import pathlib\ndef test_waits():\n    while not pathlib.Path(%r).exists():\n        pass\n" % str(go))
    running = recorder.start(PYTEST, cwd=suite)
    [folder] = wait_for("a batch", lambda: [path.parent for path in recorder.spool.glob("*/*.segment") if path.stat().st_size > 1000])
    done = command(own_server, "import", recorder.spool)
    assert done.returncode == 2 and b"a running agent records there" in done.stderr, done.stderr
    assert jobs(own_server) == []
    running.kill()
    running.wait()
    # The last thread of a process that was killed lets go of its files a little later.
    done = wait_for("the lock", lambda: [it for it in [command(own_server, "import", recorder.spool)] if it.returncode == 0])[0]
    assert b"did not say how it ended" in done.stdout, done
    job = own_server.job(folder.name)
    assert (job["state"], job["revision"], job["exit_code"]) == ("lost", 1, None)
    go.touch()
    # While pytest still writes there, an upload leaves the spool alone.
    wait_for("an upload", lambda: recorder.upload(own_server).returncode == 0 and not folder.exists())
    job = wait_for("the end", lambda: [it for it in [own_server.job(folder.name)] if it["revision"] > 1])[0]
    assert job["state"] == "finished"
    assert {test["outcome"] for test in own_server.rows(folder.name, "tests")} == {"passed"}, "what came after the agent is there too"


def test_a_spool_says_itself_what_it_is_of_and_damage_is_named(own_server, recorder, tmp_path, suite):
    recorder.run(PYTEST, cwd=suite)
    [folder] = [folder for folder in recorder.spool.iterdir() if (folder / "job").is_file()]
    for flags, words in [(["--project", "a/b"], b"was recorded for test/suite"), (["--job", "x"], b"leave --job out")]:
        done = command(own_server, "import", folder, *flags)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    segment = next(folder.glob("*.segment"))
    whole = {path: path.read_bytes() for path in (folder / "job", segment)}

    def damage(path, data, words):
        path.unlink()
        if callable(data):
            data(path)
        else:
            path.write_bytes(data)
        done = command(own_server, "import", folder)
        assert done.returncode == 2, (path, done.stdout)
        assert words in done.stderr and path.name.encode() in done.stderr, done.stderr
        path.unlink()
        path.write_bytes(whole[path])

    damage(folder / "job", whole[folder / "job"][:-1], b"missing or torn")
    damage(folder / "job", b"HWSPOOL\x02" + whole[folder / "job"][8:], b"of version 1")
    damage(segment, b"{}" * 100, b"of version 1")
    damage(folder / "job", lambda path: path.symlink_to("/etc/hostname"), b"job")
    assert jobs(own_server) == []
    # A broken record is passed over, told, and missed.
    data = bytearray(whole[segment])
    data[40] ^= 1
    segment.write_bytes(data)
    done = command(own_server, "import", folder)
    assert done.returncode == 0 and b"1 broken records were passed over" in done.stdout, done
    assert own_server.job(folder.name)["state"] == "incomplete"
    segment.write_bytes(whole[segment])
    assert command(own_server, "import", folder).returncode == 0
    assert own_server.job(folder.name)["state"] == "finished"


def rows_of(path, table):
    with sqlite3.connect(path) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM %s ORDER BY rowid" % table)]


def test_a_session_of_pytest_monitor_is_a_job_that_claims_no_more_than_it_knows(own_server):
    path = FOREIGN / "sequential.pymon"
    [uuid] = bring_in(own_server, path, "--project", "acme/web")
    job = own_server.job(uuid)
    [session] = rows_of(path, "TEST_SESSIONS")
    [machine] = rows_of(path, "EXECUTION_CONTEXTS")
    assert (job["state"], job["project"], job["name"]) == ("finished", "acme/web", "pytest-monitor")
    assert (job["run"]["provider"], job["run"]["id"]) == ("import", session["SESSION_H"])
    assert (job["branch"], job["commit"]) == ("main", session["SCM_ID"])
    assert job["started_at"] == session["RUN_DATE"] + "Z"
    environment = job["environment"]
    assert (environment["os"], environment["kernel"], environment["arch"], environment["cpus"]) == ("linux", "6.1.0", "x86_64", machine["CPU_COUNT"])
    assert environment["memory_total_bytes"] == machine["RAM_TOTAL_MB"] * MIB
    # Neither passed nor failed nor cut short: tests that failed left no row.
    ending = job["ending"]
    assert (ending["verdict"], ending["confidence"]) == ("no_session", "possible"), ending
    assert "does not tell how the run ended" in ending["sentence"]
    assert (job["exit_code"], job["censored"], job["peak_kind"], job["limits"]) == (None, False, "sampled", [])
    assert [notice["code"] for notice in job["notices"]] == ["imported_from_pytest_monitor"]
    metrics = rows_of(path, "TEST_METRICS")
    tests = own_server.rows(uuid, "tests")
    assert [test["nodeid"] for test in tests] == ["%s::%s" % (row["ITEM_FS_LOC"], row["ITEM_VARIANT"]) for row in metrics]
    for test, row in zip(tests, metrics):
        assert (test["peak_bytes"], test["peak_kind"]) == (round(row["MEM_USAGE"] * MIB), "sampled")
        assert abs(test["duration_us"] - row["TOTAL_TIME"] * 1e6) <= 1
        assert (test["outcome"], test["start_bytes"], test["retained_bytes"]) == ("unknown", 0, 0)
    files = {file["path"]: file for file in own_server.rows(uuid, "files")}
    assert set(files) == {"test_memory.py", "sub/test_other.py"}
    for file, figures in files.items():
        assert figures["peak_bytes"] == round(max(row["MEM_USAGE"] for row in metrics if row["ITEM_FS_LOC"] == file) * MIB)
    assert job["peak_bytes"] == round(max(row["MEM_USAGE"] for row in metrics) * MIB)
    assert "test_memory.py" in own_server.text("/jobs/" + uuid)


def test_the_same_file_again_changes_nothing_and_each_worker_is_a_job(own_server, tmp_path):
    path = tmp_path / "copy.pymon"
    shutil.copy(FOREIGN / "xdist.pymon", path)
    first = bring_in(own_server, FOREIGN / "xdist.pymon", "--project", "acme/web", "--job", "old")
    assert len(first) == 2
    before = {uuid: own_server.job(uuid) for uuid in first}
    assert bring_in(own_server, path, "--project", "acme/web", "--job", "old") == []
    assert {uuid: own_server.job(uuid) for uuid in first} == before
    assert len(jobs(own_server)) == 2
    # A session that came to it is new, and those before are not.
    database = sqlite3.connect(path)
    database.execute("INSERT INTO TEST_SESSIONS SELECT 'later', RUN_DATE, SCM_ID, RUN_DESCRIPTION FROM TEST_SESSIONS LIMIT 1")
    columns = ", ".join(name for name in rows_of(path, "TEST_METRICS")[0] if name != "SESSION_H")
    database.execute("INSERT INTO TEST_METRICS (SESSION_H, %s) SELECT 'later', %s FROM TEST_METRICS WHERE rowid = 2" % (columns, columns))
    database.commit()
    database.close()
    assert len(bring_in(own_server, path, "--project", "acme/web", "--job", "old")) == 1
    # Under another name, or for another project, it is another job.
    assert len(bring_in(own_server, FOREIGN / "xdist.pymon", "--project", "acme/web")) == 2
    assert len(bring_in(own_server, FOREIGN / "xdist.pymon", "--project", "acme/other", "--job", "old")) == 2


DAMAGED = {
    "a view that would never end": (
        "ALTER TABLE TEST_METRICS RENAME TO HIDDEN; CREATE VIEW TEST_METRICS AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT x, x, x, x, x, x, x, x, x, x, x, x, x, x FROM n",
        "table TEST_METRICS",
    ),
    "no table": ("DROP TABLE EXECUTION_CONTEXTS", "table EXECUTION_CONTEXTS: is not there"),
    "a column that is computed": (
        "ALTER TABLE TEST_SESSIONS ADD COLUMN BOMB AS (zeroblob(1000000000))",
        "table TEST_SESSIONS: has generated columns",
    ),
    "no column": ("ALTER TABLE TEST_METRICS DROP COLUMN MEM_USAGE", "MEM_USAGE"),
    "a number of its own": ("ALTER TABLE TEST_METRICS ADD COLUMN rowid INTEGER", "table TEST_METRICS: has a column called rowid"),
    "a size that is none": ("UPDATE TEST_METRICS SET MEM_USAGE = 'much' WHERE rowid = 3", "table TEST_METRICS, row 3: MEM_USAGE is no number"),
    "no size": ("UPDATE TEST_METRICS SET MEM_USAGE = NULL WHERE rowid = 3", "table TEST_METRICS, row 3: MEM_USAGE is no number"),
    "an endless size": ("UPDATE TEST_METRICS SET MEM_USAGE = 9e999 WHERE rowid = 3", "table TEST_METRICS, row 3: MEM_USAGE is no number"),
    "a huge size": ("UPDATE TEST_METRICS SET MEM_USAGE = 1e300 WHERE rowid = 3", "table TEST_METRICS, row 3: MEM_USAGE is no size"),
    "a time that runs backwards": ("UPDATE TEST_METRICS SET TOTAL_TIME = -1 WHERE rowid = 2", "table TEST_METRICS, row 2: TOTAL_TIME is no duration"),
    "a day that is none": ("UPDATE TEST_METRICS SET ITEM_START_TIME = '2026-02-30T00:00:00' WHERE rowid = 2", "row 2: ITEM_START_TIME is no date"),
    "another century": ("UPDATE TEST_METRICS SET ITEM_START_TIME = '2999-01-01T00:00:00' WHERE rowid = 2", "more than ten years"),
    "a session of no day": ("UPDATE TEST_SESSIONS SET RUN_DATE = 'today'", "table TEST_SESSIONS, row 1: RUN_DATE is no date"),
    "bytes for a name": ("UPDATE TEST_METRICS SET ITEM_VARIANT = x'ff00' WHERE rowid = 4", "table TEST_METRICS, row 4: ITEM_VARIANT is no text"),
    "a name without end": ("UPDATE TEST_METRICS SET ITEM_VARIANT = printf('%.*c', 5000000, 'x') WHERE rowid = 4", "row 4: ITEM_VARIANT is longer"),
    "a test of no session": ("UPDATE TEST_METRICS SET SESSION_H = 'none' WHERE rowid = 5", "table TEST_METRICS, row 5: SESSION_H is no row"),
    "no test": ("DELETE FROM TEST_METRICS", "holds no test"),
}


def test_a_damaged_database_is_refused_by_table_and_row_and_leaves_nothing(own_server, tmp_path):
    for what, (statements, words) in DAMAGED.items():
        path = tmp_path / (what + ".pymon")
        shutil.copy(FOREIGN / "sequential.pymon", path)
        database = sqlite3.connect(path)
        database.executescript(statements)
        database.close()
        done = command(own_server, "import", path, "--project", "acme/web")
        assert done.returncode == 2 and words in done.stderr.decode(), (what, done)
        assert what in done.stderr.decode(), "the file is named"
    whole = (FOREIGN / "sequential.pymon").read_bytes()
    for name, data in {
        "cut": whole[: len(whole) // 2],
        "head": whole[:100],
        "zeros": whole[:100] + bytes(len(whole) - 100),
        "noise": whole[:100] + bytes(range(256)) * 90,
    }.items():
        path = tmp_path / (name + ".pymon")
        path.write_bytes(data)
        done = command(own_server, "import", path, "--project", "acme/web")
        assert done.returncode == 2 and name in done.stderr.decode() and b"panicked" not in done.stderr, done.stderr
    assert jobs(own_server) == []
    # What is good beside them is kept.
    done = command(own_server, "import", tmp_path / "cut.pymon", FOREIGN / "sequential.pymon", "--project", "acme/web")
    assert done.returncode == 2 and b"1 of 2 could not be imported" in done.stderr
    assert len(jobs(own_server)) == 1


def curves(server, uuid):
    series = server.get("/api/v1/jobs/%s/series?points=5000" % uuid)["series"]
    pids = {process["id"]: process["pid"] for process in server.rows(uuid, "processes")}
    return {(row["metric"], pids.get(row["process"])): list(zip(row["t_us"], row["last"])) for row in series}


def test_what_mprof_writes_now_is_read_value_by_value(own_server, tmp_path):
    path = tmp_path / "live.dat"
    body = "import time; a = bytearray(50_000_000); time.sleep(0.3); b = bytearray(50_000_000); time.sleep(0.3)"
    mprof = [sys.executable, "-m", "mprof", "run", "--interval", "0.05", "-o", str(path), sys.executable, "-c", body]
    subprocess.run(mprof, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path, timeout=60)
    written = [line.split() for line in path.read_text().splitlines() if line.startswith("MEM ")]
    values = [(float(at), round(float(mib) * MIB)) for _, mib, at in written]
    [uuid] = bring_in(own_server, path, "--project", "acme/web")
    job = own_server.job(uuid)
    start = round(values[0][0] * 1e6)
    expected = [(round(at * 1e6) - start, size) for at, size in values]
    found = curves(own_server, uuid)
    assert found[("rss", 1)] == expected and found[("tree", None)] == expected
    assert job["peak_bytes"] == max(size for _, size in values) > 100 * MB
    assert (job["peak_kind"], job["ending"]["verdict"], job["ending"]["confidence"]) == ("sampled", "no_session", "possible")
    assert job["exit_code"] is None and "a = bytearray" in job["command"][0]


def test_children_and_functions_of_mprof(own_server):
    children, functions = bring_in(own_server, FOREIGN / "children.dat", FOREIGN / "functions.dat", "--project", "acme/web")
    looks = []
    for line in (FOREIGN / "children.dat").read_text().splitlines():
        word, *fields = line.split()
        if word == "MEM":
            looks.append((round(float(fields[1]) * 1e6), {1: round(float(fields[0]) * MIB)}))
        elif word == "CHLD" and fields[0] != "0":
            looks[-1][1][int(fields[0])] = round(float(fields[1]) * MIB)
    start = looks[0][0]
    found = curves(own_server, children)
    assert found[("tree", None)] == [(at - start, sum(sizes.values())) for at, sizes in looks]
    pids = {pid for _, sizes in looks for pid in sizes}
    assert len(pids) == 3
    for pid in pids:
        assert found[("rss", pid)] == [(at - start, sizes[pid]) for at, sizes in looks if pid in sizes]
    job = own_server.job(functions)
    notices = {notice["code"]: notice["count"] for notice in job["notices"]}
    assert notices == {"imported_from_mprof": 1, "functions_left_out": 1}
    assert own_server.rows(functions, "tests") == []


def test_files_that_are_none_of_these_are_refused_with_what_is_wrong(own_server, tmp_path):
    cases = {
        "text.dat": (b"hello\n", "is neither a spool"),
        "empty.dat": (b"", "is neither a spool"),
        "number.dat": (b"CMDLINE x\nMEM 1.0 1700000000.1\nMEM x 1700000000.2\n", "number.dat:3: "),
        "later.dat": (b"MEM 1.0 1700000000.1\nhello\n", "later.dat:2: "),
        "nothing.dat": (b"CMDLINE x\n", "no line MEM"),
    }
    for name, (data, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        done = command(own_server, "import", path, "--project", "acme/web")
        assert done.returncode == 2 and words in done.stderr.decode(), done.stderr
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, words in [("pipe", "no regular file"), ("folder", "holds no recording"), ("missing", "No such file")]:
        done = command(own_server, "import", tmp_path / name)
        assert done.returncode == 2 and words in done.stderr.decode(), done.stderr
    done = command(own_server, "import", FOREIGN / "pytest.dat")
    assert done.returncode == 2 and b"--project owner/repo" in done.stderr, done.stderr
    assert jobs(own_server) == []


def highest_rss(words):
    """Runs a command and answers the highest RSS that the kernel saw of it, bytes."""
    child = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, errors
    return usage.ru_maxrss * 1024


@pytest.mark.parametrize("format", ["csv", "parquet", "json", "perfetto"])
def test_an_export_takes_no_more_memory_for_a_longer_job(tmp_path, format, long_jobs):
    database, uuids = long_jobs
    used = {}
    for looks, uuid in uuids.items():
        output = tmp_path / ("%d" % looks)
        words = [BINARIES / "highwater-server", "export", uuid, "--format", format, "-o", output, "--database", database]
        used[looks] = highest_rss(words)
    few, many = sorted(used)
    assert (tmp_path / str(many)).stat().st_size > 5 * (tmp_path / str(few)).stat().st_size
    assert used[many] - used[few] < 12 * MB, used


@pytest.fixture(scope="module")
def long_jobs(tmp_path_factory):
    """Jobs of very different length."""
    folder = tmp_path_factory.mktemp("long")
    database = "sqlite://%s" % (folder / "long.db")
    uuids = {}
    for looks in (100_000, 800_000):
        path = folder / ("%d.dat" % looks)
        with path.open("w") as file:
            file.writelines("MEM %d.%d %.4f\n" % (100 + n % 97, n % 10, 1700000000 + n / 10) for n in range(looks))
        words = [str(BINARIES / "highwater-server"), "import", str(path), "--project", "acme/long", "--database", database]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=300)
        uuids[looks] = done.stdout.decode().split(" as ")[1].split()[0]
    return database, uuids
