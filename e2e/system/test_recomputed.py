"""Each figure worked out again from the export of a job alone, as docs/ANALYSIS.md promises, and held against what the server tells."""

import csv
import io
import json
import urllib.request

import pyarrow.parquet
import pytest
import recomputing
import recomputing_suites as suites

from conftest import PYTEST, Recorder

MIB = 1 << 20
TABLES = ["files", "visits", "collected", "tests", "fixtures", "marks", "processes"]
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
    # Seen by a few samples.
    time.sleep(0.2)
    return child

@pytest.fixture(scope="session")
def shared():
    made = [b"x" * (12 << 20)]
    # More is needed while it is set up.
    made.append(len(b"y" * (20 << 20)))
    yield made
    made.clear()
"""
#: What the files of the suite do: each keeps some, and some do more.
KEEPS = "kept.append(b'k' * (3 << 20))"
EXTRA = {
    2: "assert len(b's' * (60 << 20))",
    4: "conftest.left.append(conftest.holding(30))",
    5: "import late_one",
    7: "child = conftest.holding(25); child.stdin.close(); child.wait()",
}
FILE = """
import time
import conftest
import pytest

kept = []

@pytest.fixture(scope="module")
def own():
    made = [b"m" * (2 << 20)]
    yield made
    made.clear()

def test_keeps(shared, own):
    {keeps}
    time.sleep(0.12)

def test_more(own):
    {extra}
    time.sleep(0.12)

@pytest.mark.parametrize("number", range(3))
def test_quick(number):
    pass
"""
LIMIT = ["--memory-limit", "4GB", "--on-limit", "warn"]


def write(folder, files):
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "late_one.py").write_text("table = {number: str(number) for number in range(60_000)}\n")
    for number in range(files):
        text = FILE.replace("{keeps}", KEEPS).replace("{extra}", EXTRA.get(number, "pass"))
        (folder / ("test_%02d.py" % number)).write_text(text)


def download(server, uuid, query):
    with urllib.request.urlopen("%s/api/v1/jobs/%s/export?%s" % (server.url, uuid, query), timeout=120) as answer:
        return answer.read()


def recorded(server, folder, arguments, flags=LIMIT, status=0):
    """The export of a job, and the job as the server tells it."""
    recorder = Recorder(folder)
    summary = recorder.run(PYTEST + ["-p", "no:randomly", *arguments], server, flags=flags)
    assert recorder.done.returncode == status, recorder.done
    job = server.job(summary["uuid"])
    return json.loads(download(server, job["uuid"], "format=json")), job


@pytest.fixture(scope="module")
def sequential(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequential")
    write(folder, 10)
    return recorded(server, folder, [])


@pytest.fixture(scope="module")
def parallel(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    write(folder, 16)
    return recorded(server, folder, ["-n", "2", "--dist", "load"])


@pytest.fixture(params=["sequential", "parallel"])
def either(request):
    return request.getfixturevalue(request.param)


def walked(export):
    """Visits of all processes from the marks and samples, in order of time, with the last of each process."""
    marks = {}
    for mark in export["marks"]:
        marks.setdefault(mark["process"], []).append(mark)
    samples = {one["process"]: one["samples"] for one in export["series"] if one["metric"] == "rss"}
    visits, imported = [], {}
    for process, own in marks.items():
        found, imports = recomputing.walk(own, 1, samples.get(process, []))
        visits += found
        imported[process] = imports
    return sorted(visits, key=lambda visit: (visit.began_us, visit.process)), imported


def set_ups(export, process):
    """When set-ups of shared fixtures began and ended in a process."""
    own = [mark for mark in export["marks"] if mark["process"] == process]
    ended = {mark["fixture"]: mark["t_us"] for mark in own if mark["mark"] == "fe"}
    begun = [mark for mark in own if mark["mark"] == "fb" and recomputing.is_shared(mark["scope"], mark["base"])]
    return [(mark["t_us"], ended.get(mark["fixture"], float("inf"))) for mark in begun]


def test_visits_come_out_of_the_marks_to_the_byte(either):
    export, _ = either
    visits, _ = walked(export)
    assert len(visits) == len(export["visits"]) > 9
    names = ["path", "process", "worker", "began_us", "ended_us", "start_bytes", "end_bytes", "peak_bytes", "spike_bytes", "retained_bytes"]
    names += ["late_import_bytes", "shared_fixture_bytes", "fixture_bytes", "between_bytes", "tests", "failed"]
    for visit, told in zip(visits, export["visits"]):
        assert {name: getattr(visit, name) for name in names} == {name: told[name] for name in names}
    # Each of them had something to tell.
    assert all(any(visit[name] for visit in export["visits"]) for name in names if name not in ("worker", "failed", "between_bytes")), export["visits"]


def test_figures_with_children_come_out_of_the_samples_to_the_byte(either):
    export, _ = either
    memory = recomputing.Memory(export)
    [tree] = [one["samples"] for one in export["series"] if one["metric"] == "tree"]
    assert memory.tree() == tree
    visits, _ = walked(export)
    last = {visit.process: visit for visit in visits}
    for visit, told in zip(visits, export["visits"]):
        names = ["children_start_bytes", "children_retained_bytes", "tree_spike_bytes"]
        found = memory.of_visit(visit, last[visit.process], set_ups(export, visit.process))
        assert dict(zip(names, found)) == {name: told[name] for name in names}, told
        assert memory.tree_peak_of(visit) == told["tree_peak_bytes"], told
    most = max(export["visits"], key=lambda visit: visit["children_retained_bytes"])
    assert most["path"] == "test_04.py" and most["children_retained_bytes"] > 25 * MIB, most


def test_files_are_the_sums_and_maxima_of_their_visits(server, either):
    export, job = either
    api = {row["path"]: row for row in server.rows(job["uuid"], "files")}
    of_path = {}
    for visit in export["visits"]:
        of_path.setdefault(visit["path"], []).append(visit)
    assert set(of_path) == {path for path, row in api.items() if row["visits"]}
    sums = ["retained_bytes", "children_retained_bytes", "late_import_bytes", "shared_fixture_bytes", "fixture_bytes", "between_bytes", "tests", "failed"]
    for path, visits in of_path.items():
        row = api[path]
        assert {name: sum(visit[name] for visit in visits) for name in sums} == {name: row[name] for name in sums}
        for name in ("peak_bytes", "spike_bytes", "tree_peak_bytes", "tree_spike_bytes"):
            assert max(visit[name] for visit in visits) == row[name], (path, name)
        assert sum(visit["end_bytes"] - visit["start_bytes"] for visit in visits) == row["retained_bytes"] + row["late_import_bytes"] + row["shared_fixture_bytes"]
        assert (visits[0]["start_bytes"], visits[-1]["end_bytes"], len(visits)) == (row["start_bytes"], row["end_bytes"], row["visits"])
        assert sum(visit["ended_us"] - visit["began_us"] for visit in visits) == row["duration_us"]
    assert api["test_02.py"]["spike_bytes"] > 55 * MIB and api["test_05.py"]["late_import_bytes"] > MIB, api


def test_imports_come_out_of_the_marks_to_the_byte(either):
    export, _ = either
    _, imported = walked(export)
    for row in export["files"]:
        for worker in row["workers"]:
            assert imported[worker["process"]].get(row["path"], 0) == worker["import_bytes"], row
        assert row["import_bytes"] == sum(worker["import_bytes"] for worker in row["workers"]), row
    assert any(row["import_bytes"] for row in export["files"])


def test_the_job_s_peak_comes_out_of_curve_and_marks_to_the_byte(either):
    export, job = either
    assert recomputing.Memory(export).peak(export) == job["peak_bytes"]


def test_growth_is_that_of_the_visits(either):
    export, job = either
    [told] = job["growth"]
    found = suites.growth(export["visits"], export["report"]["limits"])
    room = found.pop("room")
    assert found == {name: told[name] for name in found}
    assert (told["room"] is None) == (room is None)
    if room:
        assert room == {name: told["room"][name] for name in room}
    assert told["course"] == "steady" and told["grown_bytes"] > 8 * MIB, told


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_plan_of_one_process_leads_to_what_its_files_say(server, either, jobs):
    export, job = either
    base, set_up, files = suites.planned(export, 1)
    plan = server.get("/api/v1/jobs/%s/plan?budget=4GB&jobs=%d" % (job["uuid"], jobs))
    assert plan["base_bytes"] == base and len(plan["jobs"]) == jobs
    assert sorted(path for shard in plan["jobs"] for path in shard["files"]) == sorted(files)
    for shard in plan["jobs"]:
        own = [files[path] for path in shard["files"]]
        assert shard["peak_bytes"] == suites.peak_in_order(base, set_up, own), shard
        assert shard["duration_us"] == sum(file["duration"] for file in own), shard


def test_a_forecast_of_a_job_that_died_is_that_of_the_words(server, tmp_path):
    kept = "import conftest, os, time\nkept = []\ndef test_keeps():\n    kept.append(b'k' * (%d << 20))\n    time.sleep(0.1)\n"
    (tmp_path / "conftest.py").write_text("")
    for number in range(24):
        ends = "def test_dies():\n    os.kill(os.getpid(), 9)\n" if number == 13 else ""
        (tmp_path / ("test_%02d.py" % number)).write_text(kept % (8 + number % 3) + ends)
    # Of a name of its own: no good job before knows its files.
    flags = ["--job", "dies", "--memory-limit", "250MB", "--on-limit", "warn"]
    export, job = recorded(server, tmp_path, [], flags, 137)
    assert [row["path"] for row in export["collected"]] == ["test_%02d.py" % number for number in range(24)]
    told = job["forecast"]
    assert told["files_known"] == 0, told
    budgets = [(limit["limit_bytes"], 0) for limit in export["report"]["limits"] if limit["kind"] == "budget"]
    done, files, peaks, [percent] = suites.forecast(export, 1, budgets)
    assert (done, files) == (told["files_done"], told["files"]) == (13, 24)

    def within(low, high):
        return peaks[int((len(peaks) - 1) * low)] - 1, peaks[int((len(peaks) - 1) * high)] + 1

    # The server draws 300 times, so that its quantiles lie among these: five standard deviations about.
    for name, low, high in [("low", 0.0, 0.12), ("value", 0.35, 0.65), ("high", 0.88, 1.0)]:
        least, most = within(low, high)
        assert least <= told["peak_bytes"][name] <= most, (name, told["peak_bytes"], least, most)
    [crossing] = [crossing for crossing in told["crossings"] if crossing["kind"] == "budget"]
    assert abs(crossing["percent"] - percent) < 15 and percent > 50, (crossing, percent)


def test_why_memory_stays_is_made_of_the_readings(server, tmp_path):
    (tmp_path / "test_cycles.py").write_text(
        "import gc\ngc.disable()\nkept = []\ndef test_leaves():\n"
        "    for _ in range(3000):\n        cycle = [bytearray(2000)]\n        cycle.append(cycle)\n"
        "    kept.extend(str(number) for number in range(100_000))\n"
    )
    (tmp_path / "test_other.py").write_text("def test_nothing():\n    pass\n")
    export, job = recorded(server, tmp_path, [], ["--diagnose"])
    [of_file] = [row["diagnosis"] for row in export["files"] if row["path"] == "test_cycles.py"]
    for told in (of_file, job["diagnosis"]):
        retained = told["end_bytes"] - told["start_bytes"]
        allocator = told["end_bytes"] - told["trimmed_bytes"] + told["pymalloc_bytes"] + told["pinned_bytes"] - told["tracing_bytes"]
        garbage = told["trimmed_bytes"] - told["collected_bytes"] + told["freed_bytes"]
        rest = retained - allocator - garbage - told["live_bytes"] - told["tracing_bytes"]
        names = ["stayed_bytes", "allocator_bytes", "garbage_bytes", "rest_bytes"]
        assert [told[name] for name in names] == [retained, allocator, garbage, rest], told
    assert of_file["garbage_bytes"] > MIB, of_file
    begun = [mark["rss_bytes"] for mark in export["marks"] if mark["mark"] == "db"]
    assert of_file["end_bytes"] in begun, (of_file, begun)


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("what", [*TABLES, "workers", "sessions", "limits"])
def test_each_table_has_the_rows_of_the_document(server, parallel, format, what):
    export, job = parallel
    data = download(server, job["uuid"], "format=%s&what=%s" % (format, what))
    if format == "parquet":
        rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    else:
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    if what == "workers":
        expected = [dict(worker, path=row["path"], session=row["session"]) for row in export["files"] for worker in row["workers"]]
    elif what in TABLES:
        expected = export[what]
    else:
        expected = export["report"][what]
    assert len(rows) == len(expected) > 0
    for row, told in zip(rows, expected):
        for name, value in told.items():
            if isinstance(value, (list, dict)) or name in ("books", "diagnosis", "fallen"):
                continue
            assert row[name] == (in_csv(value) if format == "csv" else value), (name, row, told)


def in_csv(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
