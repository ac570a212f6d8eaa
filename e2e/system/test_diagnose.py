"""Why memory stays: suites of which it is known, and what a diagnosed job says of them."""

import importlib.util
import json
import textwrap

import pytest

from conftest import MB, PYTEST

FIRST = "def test_nothing():\n    pass\n"
# Each file says what it allocated, in bytes, and into which part that belongs.
SUITES = {
    "garbage": """
        import gc

        class Node:
            def __init__(self, data):
                self.me, self.data = self, data

        def test_cycles_that_nobody_collects(truth):
            gc.disable()
            for number in range(4000):
                Node(bytes(10_000) + b"%d" % number)
            truth(4000 * 10_037)
    """,
    "small_garbage": """
        import gc

        class Leaf:
            __slots__ = ("me",)

        def test_small_cycles(truth):
            gc.disable()
            for _ in range(800_000):
                leaf = Leaf()
                leaf.me = leaf
            # The collector's head, the object's, and its slot, as a whole number of 16 bytes.
            truth(800_000 * 48)
    """,
    "heap": """
        KEPT = []

        def test_a_spike_of_blocks_of_malloc_below_one_that_lives(truth):
            held = [None] * 60_000
            before = rss()
            for number in range(len(held)):
                held[number] = bytes(700 + number % 50)
            KEPT.append(bytes(700))
            truth(rss() - before)
    """,
    "pinned_heap": """
        KEPT = []

        def test_a_spike_of_which_every_tenth_block_lives(truth):
            held = [None] * 60_000
            before = rss()
            for number in range(len(held)):
                held[number] = bytes(700 + number % 50)
            truth((rss() - before) * 9 // 10)
            KEPT.extend(held[::10])
    """,
    "pymalloc": """
        KEPT = []

        def test_a_spike_of_small_objects_of_which_some_live(truth):
            held = [None] * 300_000
            before = rss()
            for number in range(len(held)):
                held[number] = b"%06d" % number * 30
            truth((rss() - before) * 99 // 100)
            KEPT.extend(held[::100])
    """,
    "live": """
        CACHE = [None] * 100_000

        class Thing:
            def __init__(self, number):
                self.name = "thing %d" % number
                self.tags = [number, str(number)]

        def test_a_cache_grows(truth):
            before = rss()
            for number in range(len(CACHE)):
                CACHE[number] = Thing(number)
            truth(rss() - before)
    """,
    "live_text": """
        CACHE = []

        def test_a_list_of_texts_grows(truth):
            for number in range(30_000):
                CACHE.append(("%05d" % number) * 200)
            truth(30_000 * 1_049)
    """,
    "rest": """
        import ctypes
        import mmap

        KEPT = []

        def test_native_memory_is_held(truth):
            held = mmap.mmap(-1, 30_000_000)
            for at in range(0, len(held), 4096):
                held[at] = 1
            KEPT.append(held)
            libc = ctypes.CDLL(None)
            libc.malloc.restype = ctypes.c_void_p
            for _ in range(10_000):
                ctypes.memset(libc.malloc(1000), 1, 1000)
            truth(30_000_000 + 10_000 * 1_008)
    """,
}
CONFTEST = """
import builtins, json, os, pytest

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

builtins.rss = rss

@pytest.fixture
def truth(request):
    def told(size):
        with open(os.environ["SUITE_TRUTH"], "a") as file:
            file.write(json.dumps({"path": request.path.name, "bytes": size}) + "\\n")
    return told
"""
PART = {"small_garbage": "garbage", "live_text": "live", "pinned_heap": "heap"}
WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["sequential", "xdist"])


def parts_of(found):
    return {
        "garbage": found["garbage_bytes"],
        "heap": found["allocator_bytes"] - found["pymalloc_bytes"],
        "pymalloc": found["pymalloc_bytes"],
        "live": found["live_bytes"],
        "tracing": found["tracing_bytes"],
        "rest": found["rest_bytes"],
    }


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    for name, text in SUITES.items():
        lines = [line[8:] for line in text.splitlines()]
        (folder / ("test_%s.py" % name)).write_text("\n".join(lines))
    (folder / "test_a_nothing.py").write_text(FIRST)
    return folder


def only(files, name):
    return next(file for file in files if file["path"].endswith("test_%s.py" % name))


@WORKERS
def test_what_stayed_is_split_as_the_suite_left_it(server, recorder, suite, tmp_path, workers):
    if workers and importlib.util.find_spec("xdist") is None:
        pytest.fail("pytest-xdist is not installed")
    truth = tmp_path / "truth"
    # A file of its own for each worker to begin with, lest its first file pay for it.
    summary = recorder.run(PYTEST + list(workers), server, ["--diagnose"], cwd=suite, SUITE_TRUTH=truth)
    assert recorder.done.returncode == 0, recorder.done.stdout.decode()
    job = server.job(summary["uuid"])
    files = [file for file in server.rows(job["uuid"], "files") if file["visits"]]
    allocated = {row["path"]: row["bytes"] for row in map(json.loads, truth.read_text().splitlines())}
    assert len(allocated) == len(SUITES)
    for name in SUITES:
        file = only(files, name)
        found, size = file["diagnosis"], allocated["test_%s.py" % name]
        assert found is not None, (name, job["diagnosis"])
        parts = parts_of(found)
        assert sum(parts.values()) == found["stayed_bytes"], name
        # What pytest does after the last mark of a file counts with it.
        assert abs(found["stayed_bytes"] - file["retained_bytes"]) < MB, name
        part = PART.get(name, name)
        print(name, size, parts)
        assert abs(parts[part] - size) <= size / 10, (name, size, parts)
        for other, bytes_of_other in parts.items():
            # What lies where another file left room is no longer free.
            least = -size if other in ("heap", "pymalloc") else -size / 10
            most = size / 8 if name == "pinned_heap" else size / 10
            assert other == part or least <= bytes_of_other <= most, (name, other, parts)
    assert [row["name"] for row in only(files, "garbage")["diagnosis"]["garbage"][:2]] == ["bytes", "test_garbage.Node"]
    assert "test_live.Thing" in [row["name"] for row in only(files, "live")["diagnosis"]["types"][:3]]
    assert only(files, "live_text")["diagnosis"]["types"][0]["name"] == "str"


def test_the_measuring_is_in_nobodys_books(server, recorder, suite, tmp_path):
    summary = recorder.run(PYTEST, server, ["--diagnose"], cwd=suite, SUITE_TRUTH=tmp_path / "truth")
    [process] = [process for process in server.rows(summary["uuid"], "processes") if process["books"]]
    books = process["books"]
    parts = ("first_bytes", "import_bytes", "fixture_bytes", "test_bytes", "between_bytes")
    assert sum(books[part] for part in parts) == books["last_bytes"]
    # Garbage and what the heap kept went while it was measured, and in no test.
    files = {file["path"]: file for file in server.rows(summary["uuid"], "files") if file["visits"]}
    given_back = sum(parts_of(file["diagnosis"])["garbage"] for file in files.values() if file["diagnosis"])
    assert books["diagnosis_bytes"] < -given_back / 2 < -20 * MB
    assert sum(file["retained_bytes"] for file in files.values()) > 200 * MB
    nothing = files["test_a_nothing.py"]
    assert abs(nothing["retained_bytes"]) < MB // 2 and abs(nothing["diagnosis"]["live_bytes"]) < MB // 2


def test_page_terminal_and_summary_say_that_the_job_was_diagnosed_and_what_to_do(server, recorder, suite, tmp_path):
    summary = recorder.run(PYTEST, server, ["--diagnose"], cwd=suite, SUITE_TRUTH=tmp_path / "truth")
    job = server.job(summary["uuid"])
    assert summary["diagnosis"] == job["diagnosis"]
    assert {advice["why"] for advice in job["diagnosis"]["advice"]} == {"garbage", "heap", "pymalloc", "live", "rest"}
    page, terminal = server.text("/jobs/" + job["uuid"]), recorder.done.stderr.decode()
    for told in (page, terminal):
        assert job["diagnosis"]["sentence"].replace("'", "&#39;" if told is page else "'") in told
        for word in ("gc.collect()", "malloc_trim", "PYTHONMALLOC", "cache_clear()"):
            assert word in told.replace("<wbr>", ""), word
    assert "This job was diagnosed" in page and "Diagnosed, which changes the figures" in terminal

    plain = recorder.run(PYTEST, server, cwd=suite, SUITE_TRUTH=tmp_path / "truth")
    assert plain["diagnosis"] is None and "Why memory stays" not in server.text("/jobs/" + plain["uuid"])
    assert all(file["diagnosis"] is None for file in server.rows(plain["uuid"], "files"))


SESSION_FIXTURE = """
    import pytest

    @pytest.fixture(scope="session")
    def data():
        return [bytes(1000) + b"%d" % at for at in range(30_000)]
"""
ASKS = """
    def test_it(data):
        assert data
"""


def test_a_file_that_asks_for_a_session_fixture_first_is_not_told_to_hold_it(server, recorder, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "conftest.py").write_text(textwrap.dedent(SESSION_FIXTURE))
    # At the end of the last one the fixture is torn down.
    for name in ("test_a.py", "test_b.py", "test_c.py"):
        (folder / name).write_text(textwrap.dedent(ASKS))
    summary = recorder.run(PYTEST, server, ["--diagnose"], cwd=folder)
    files = {file["path"]: file for file in server.rows(summary["uuid"], "files")}
    first, second = (files[name]["diagnosis"] for name in ("test_a.py", "test_b.py"))
    assert abs(files["test_a.py"]["retained_bytes"]) < MB
    assert first["fixture_bytes"] > 25 * MB and abs(first["stayed_bytes"] - first["fixture_bytes"]) < MB, first
    assert abs(second["fixture_bytes"]) < MB // 10, second
    assert "in fixtures that were still set up" in first["sentence"]
    assert "Give those fixtures a narrower scope" in first["advice"][0]["sentence"]
