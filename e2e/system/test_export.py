"""A job written for other programs, read back by these."""

import csv
import json
import subprocess
import urllib.error
import urllib.request

import pyarrow.parquet
import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as perfetto

from conftest import BINARIES, PYTEST, Recorder

TABLES = ["tests", "files", "fixtures", "processes"]
FORMATS = pytest.mark.parametrize("format", ["csv", "parquet"])


def export(server, uuid, output, *flags):
    command = [str(BINARIES / "highwater-server"), "export", uuid, "--database", "sqlite://%s" % server.database]
    command += ["-o", str(output)] + [str(flag) for flag in flags]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def download(server, uuid, query):
    with urllib.request.urlopen("%s/api/v1/jobs/%s/export?%s" % (server.url, uuid, query), timeout=120) as answer:
        return answer.read(), answer.headers


def table(data, format, path):
    """Rows as dictionaries; of CSV every field is text."""
    path.write_bytes(data)
    if format == "parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def as_csv(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@pytest.fixture(scope="module")
def recorded(server, tmp_path_factory):
    """A job of two workers, with fixtures, a failure and a parametrised name that would break a naive CSV."""
    folder = tmp_path_factory.mktemp("exported")
    suite = folder / "suite"
    suite.mkdir()
    for name in ("test_one.py", "test_two.py"):
        (suite / name).write_text(
            "import pytest, time\n"
            "@pytest.fixture(scope='module')\n"
            "def held():\n    yield bytearray(20_000_000)\n"
            "@pytest.mark.parametrize('text', ['plain', 'a,b', 'say \"x\"', 'zwei\\nZeilen', '=1+1', 'Größe'])\n"
            "def test_text(held, text):\n    time.sleep(0.15)\n"
            "def test_fails(held):\n    assert not bytearray(30_000_000)\n"
        )
    recorder = Recorder(folder)
    summary = recorder.run(PYTEST + ["-n", "2", "--dist", "loadfile"], server, flags=["--memory-limit", "4GB", "--on-limit", "warn"], cwd=suite)
    job = server.job(summary["uuid"])
    assert job["ending"]["verdict"] == "tests_failed", job["ending"]
    return job


@FORMATS
@pytest.mark.parametrize("what", TABLES)
def test_a_table_has_the_rows_and_figures_of_the_api(server, recorded, tmp_path, format, what):
    data, headers = download(server, recorded["uuid"], "format=%s&what=%s" % (format, what))
    kind = {"csv": "text/csv; charset=utf-8; header=present", "parquet": "application/vnd.apache.parquet"}[format]
    assert headers["Content-Type"] == kind
    assert headers["Content-Disposition"] == 'attachment; filename="%s-%s.%s"' % (recorded["uuid"], what, format)
    rows = table(data, format, tmp_path / "table")
    expected = server.rows(recorded["uuid"], what)
    assert len(rows) == len(expected) > 0
    for row, api in zip(rows, expected):
        flat = {name: value for name, value in api.items() if not isinstance(value, (list, dict)) and name not in ("books", "diagnosis")}
        for name, value in (api.get("books") or {}).items():
            flat["books_" + name] = value
        for phase in api.get("phases", []):
            for name in ("outcome", "duration_us", "start_bytes", "end_bytes", "peak_bytes"):
                flat["%s_%s" % (phase["phase"], name)] = phase[name]
        for name, value in flat.items():
            assert row.pop(name) == (as_csv(value) if format == "csv" else value), name
        assert all(value in (None, "") for value in row.values()), row


@FORMATS
def test_samples_are_whole_and_those_of_the_api(server, recorded, tmp_path, format):
    data, _ = download(server, recorded["uuid"], "format=" + format)
    rows = table(data, format, tmp_path / "series")
    found = {}
    for row in rows:
        samples = found.setdefault(int(row["series"]), (row["metric"], row["unit"], int(row["process"] or 0), []))
        samples[3].append((int(row["t_us"]), int(row["value"])))
    # The job is short: at 5000 points the API gives each sample by itself.
    api = server.get("/api/v1/jobs/%s/series?points=5000" % recorded["uuid"])["series"]
    expected = {
        series["id"]: (series["metric"], series["unit"], series["process"] or 0, list(zip(series["t_us"], series["last"])))
        for series in api
        if series["t_us"]
    }
    assert found == expected
    assert {"tree", "rss", "pss", "machine_total"} <= {metric for metric, *_ in found.values()}
    pids = {process["id"]: process["pid"] for process in server.rows(recorded["uuid"], "processes")}
    for row in rows:
        assert not row["process"] or pids[int(row["process"])] == int(row["pid"])


def test_one_document_holds_everything(server, recorded):
    data, headers = download(server, recorded["uuid"], "format=json")
    assert headers["Content-Type"] == "application/json"
    document = json.loads(data)
    assert document["report"] == server.get("/api/v1/jobs/" + recorded["uuid"])
    for kind in TABLES:
        assert document[kind] == server.rows(recorded["uuid"], kind)
    api = {row["id"]: row for row in server.get("/api/v1/jobs/%s/series?points=5000" % recorded["uuid"])["series"]}
    for series in document["series"]:
        samples = [list(pair) for pair in zip(api[series["id"]]["t_us"], api[series["id"]]["last"])]
        assert series["samples"] == samples and series["metric"] == api[series["id"]]["metric"]


def unknown_fields(message):
    """Every field that the published schema does not know."""
    found = [field.field_number for field in UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            many = [value] if isinstance(value, Message) else value
            found += [number for part in many for number in unknown_fields(part)]
    return found


class Lanes:
    """Replays slices as a viewer does: a track is a stack."""

    def __init__(self, trace):
        self.tracks, self.counters, self.slices, self.open = {}, {}, [], {}
        events = []
        for packet in trace.packet:
            if packet.HasField("track_descriptor"):
                self.tracks[packet.track_descriptor.uuid] = packet.track_descriptor
            elif packet.HasField("track_event"):
                events.append((packet.timestamp, packet.track_event))
        # Viewers sort by time and leave what is of one time as it came.
        for timestamp, event in sorted(events, key=lambda event: event[0]):
            stack = self.open.setdefault(event.track_uuid, [])
            if event.type == event.TYPE_COUNTER:
                self.counters.setdefault(event.track_uuid, []).append((timestamp, event.counter_value))
            elif event.type == event.TYPE_SLICE_BEGIN:
                parent = stack[-1] if stack else None
                stack.append({"track": event.track_uuid, "name": event.name, "category": event.categories[0], "from": timestamp, "parent": parent})
                notes = {note.name: note.string_value or note.int_value for note in event.debug_annotations}
                stack[-1]["notes"] = notes
                self.slices.append(stack[-1])
            else:
                assert event.type == event.TYPE_SLICE_END
                stack.pop()["to"] = timestamp

    def of(self, category):
        return [one for one in self.slices if one["category"] == category]


def test_a_trace_is_one_of_perfetto_with_counters_and_nested_slices(server, recorded):
    data, headers = download(server, recorded["uuid"], "format=perfetto")
    assert headers["Content-Disposition"].endswith('.perfetto-trace"')
    trace = perfetto.Trace.FromString(data)
    assert unknown_fields(trace) == []
    assert all(packet.trusted_packet_sequence_id == 1 for packet in trace.packet)
    assert trace.packet[0].sequence_flags == trace.packet[0].SEQ_INCREMENTAL_STATE_CLEARED
    clocks = {clock.clock_id: clock.timestamp for clock in trace.packet[0].clock_snapshot.clocks}
    began_ns = clocks[perfetto.BUILTIN_CLOCK_REALTIME]
    assert clocks[perfetto.BUILTIN_CLOCK_BOOTTIME] == began_ns
    lanes = Lanes(trace)
    # Each process of the API is a track of that number.
    processes = server.rows(recorded["uuid"], "processes")
    tracks = {track.process.pid: track for track in lanes.tracks.values() if track.HasField("process")}
    assert set(tracks) == {process["pid"] for process in processes}
    workers = {process["worker"]: tracks[process["pid"]] for process in processes if process["worker"]}
    assert {name: track.process.process_name for name, track in workers.items()} == {"gw0": "gw0", "gw1": "gw1"}
    # Counters: every sample, at its time in ns.
    pids = {process["id"]: process["pid"] for process in processes}
    root = next(track for track in lanes.tracks.values() if track.name.startswith("test/suite "))
    for series in server.get("/api/v1/jobs/%s/series?points=5000" % recorded["uuid"])["series"]:
        parent = tracks[pids[series["process"]]].uuid if series["process"] else root.uuid
        name = " ".join(filter(None, [series["metric"], series.get("cgroup")]))
        track = next(t for t in lanes.tracks.values() if t.parent_uuid == parent and t.name == name and t.HasField("counter"))
        expected = [(began_ns + t_us * 1000, value) for t_us, value in zip(series["t_us"], series["last"])]
        assert lanes.counters.get(track.uuid, []) == expected
        assert (track.counter.unit == track.counter.UNIT_SIZE_BYTES) == (series["unit"] == "bytes")
    budget = next(track for track in lanes.tracks.values() if track.name == "budget")
    assert {value for _, value in lanes.counters[budget.uuid]} == {4_000_000_000}
    # Slices: a file on its worker, its tests in it, their phases in these.
    assert not any(lanes.open.values()), "all of them ended"
    tests = server.rows(recorded["uuid"], "tests")
    slices = lanes.of("test")
    assert sorted(one["name"] for one in slices) == sorted(test["nodeid"] for test in tests)
    by_name = {test["nodeid"]: test for test in tests}
    for one in slices:
        test = by_name[one["name"]]
        assert (one["from"] - began_ns, one["to"] - one["from"]) == (test["started_us"] * 1000, test["duration_us"] * 1000)
        assert one["notes"]["peak_bytes"] == test["peak_bytes"] and one["notes"]["outcome"] == test["outcome"]
        assert one["parent"]["category"] == "file" and one["parent"]["name"] == test["path"]
        lane = lanes.tracks[one["track"]]
        assert lane.name == "tests" and lane.parent_uuid == workers[test["worker"]].uuid
        phases = [phase for phase in lanes.of("phase") if phase["parent"] is one]
        assert [phase["name"] for phase in phases] == ["setup", "call", "teardown"]
        assert [(phase["to"] - phase["from"]) // 1000 for phase in phases] == [phase["duration_us"] for phase in test["phases"]]
        for inner, outer in [(phase, one) for phase in phases] + [(one, one["parent"])]:
            assert outer["from"] <= inner["from"] <= inner["to"] <= outer["to"]
    files = server.rows(recorded["uuid"], "files")
    assert sorted(one["name"] for one in lanes.of("file")) == sorted(file["path"] for file in files for _ in range(file["visits"]))


def test_the_command_writes_what_the_server_answers(server, recorded, tmp_path):
    for format, what in [("json", None), ("perfetto", None), ("csv", "files"), ("parquet", "tests")]:
        output = tmp_path / format
        flags = ["--format", format] + (["--what", what] if what else [])
        done = export(server, recorded["uuid"], output, *flags)
        assert done.returncode == 0, done.stderr
        data, _ = download(server, recorded["uuid"], "format=" + format + ("&what=" + what if what else ""))
        assert output.read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["csv", "json", "parquet", "perfetto"], "nothing else is left"


def test_what_cannot_be_exported_says_why(server, recorded, tmp_path):
    unknown = "0197a7d4-0000-7000-8000-00000000dead"
    done = export(server, unknown, tmp_path / "none", "--format", "json")
    assert done.returncode == 2 and b"there is no job" in done.stderr
    done = export(server, recorded["uuid"], tmp_path / "none", "--format", "json", "--what", "tests")
    assert done.returncode == 2 and b"--what" in done.stderr and b"csv and parquet" in done.stderr
    done = export(server, recorded["uuid"], tmp_path / "missing" / "folder", "--format", "json")
    assert done.returncode == 2 and b"missing/folder" in done.stderr
    assert list(tmp_path.iterdir()) == []
    for uuid, query, status in [
        (unknown, "format=json", 404),
        (recorded["uuid"], "format=xml", 400),
        (recorded["uuid"], "", 400),
        (recorded["uuid"], "format=perfetto&what=tests", 400),
    ]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            download(server, uuid, query)
        assert refused.value.code == status, query


def test_what_was_cut_short_has_no_end_in_the_trace(server, recorder, tmp_path):
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_dies.py").write_text(
        "import os, signal\ndef test_before():\n    pass\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    summary = recorder.run(PYTEST, server, cwd=suite)
    job = server.job(summary["uuid"])
    assert job["ending"]["victim"].endswith("test_dies"), job["ending"]
    data, _ = download(server, job["uuid"], "format=perfetto")
    lanes = Lanes(perfetto.Trace.FromString(data))
    assert [one["name"] for stack in lanes.open.values() for one in stack] == ["test_dies.py", "test_dies.py::test_dies"]
    assert [one["name"] for one in lanes.of("test") if "to" in one] == ["test_dies.py::test_before"]
