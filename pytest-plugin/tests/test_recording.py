"""What is recorded of a real run: outcomes, exact peaks, fixtures, imports, balanced books."""

import os
import signal
import subprocess
import sys
import time

import pytest
from highwater_pytest.books import add_up

from conftest import MB

KINDS = """
import mmap, time
KEPT = []
def mapped(size):
    pages = mmap.mmap(-1, size)
    for at in range(0, size, 4096):
        pages[at] = 1
    return pages
"""
EXACT = KINDS + """
def test_spikes():
    pages = mapped(200 * 1000 * 1000)
    time.sleep(0.005)
    pages.close()

def test_keeps():
    KEPT.append(mapped(50 * 1000 * 1000))
"""
OUTCOMES = """
import pytest

@pytest.fixture
def broken():
    raise RuntimeError

@pytest.fixture
def breaks_after():
    yield
    raise RuntimeError

def test_passes(): pass
def test_fails(): assert 0
def test_setup_error(broken): pass
def test_teardown_error(breaks_after): pass
@pytest.mark.skip
def test_skipped(): pass
def test_skips_itself(): pytest.skip("now")
@pytest.mark.xfail
def test_xfailed(): assert 0
@pytest.mark.xfail
def test_xpassed(): pass
"""


def check_exact(suite, records):
    rows = {row["name"]: row for row in suite.tests_of(records)}
    if "test_spikes" in rows:
        spike = rows["test_spikes"]["peak"] - rows["test_spikes"]["start"]
        assert abs(spike - 200 * MB) < MB, spike
    if "test_keeps" in rows:
        kept = rows["test_keeps"]["end"] - rows["test_keeps"]["start"]
        assert abs(kept - 50 * MB) < MB, kept
    return set(rows)


def test_a_spike_of_5_ms_and_what_is_kept_are_exact(suite):
    suite.write(test_exact=EXACT)
    assert suite.run().returncode == 0
    records = suite.only()
    assert records[0]["exact"] is True
    assert check_exact(suite, records) == {"test_spikes", "test_keeps"}


@pytest.mark.parametrize("dist", ["load", "loadfile", "loadscope", "worksteal"])
def test_the_same_on_workers_that_write_files_of_their_own(suite, need, dist):
    need("xdist", "pytest-xdist")
    suite.write(test_exact=EXACT, test_other=OUTCOMES)
    suite.run("-n", "2", "--dist", dist)
    seen, workers, sessions = set(), set(), set()
    for records in suite.records().values():
        session = next(record for record in records if record["kind"] == "S")
        sessions.add(session["session"])
        workers.add((session["role"], session["worker"], session["dist"], session["numprocesses"]))
        seen |= check_exact(suite, records)
        assert add_up(records).balance()
    assert {"test_spikes", "test_keeps", "test_fails"} <= seen
    assert len(sessions) == 1
    assert workers == {("controller", "", dist, 2), ("worker", "gw0", dist, 2), ("worker", "gw1", dist, 2)}


def test_every_outcome_is_recorded(suite):
    suite.write(test_all=OUTCOMES)
    suite.run()
    assert suite.outcomes(suite.only()) == [
        ("test_passes", "passed"),
        ("test_fails", "failed"),
        ("test_setup_error", "error"),
        ("test_teardown_error", "error"),
        ("test_skipped", "skipped"),
        ("test_skips_itself", "skipped"),
        ("test_xfailed", "xfailed"),
        ("test_xpassed", "xpassed"),
    ]


@pytest.mark.parametrize("raised", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_how_a_test_ended_in_which_pytest_was_interrupted_is_not_known(suite, raised):
    suite.write(test_all="import pytest\ndef test_before(): pass\ndef test_broken_off(): %s\ndef test_after(): pass\n" % raised)
    assert suite.run().returncode == 2
    assert suite.outcomes(suite.only()) == [("test_before", "passed"), ("test_broken_off", "unknown")]


def test_a_test_that_is_only_set_up_passes_by_that(suite):
    suite.write(test_all="def test_it(): pass\n")
    suite.run("--setup-only")
    assert suite.outcomes(suite.only()) == [("test_it", "passed")]


def test_the_books_balance_to_the_byte_and_fixtures_are_charged_apart(suite):
    suite.write(
        test_fixtures=KINDS
        + """
import pytest

@pytest.fixture(scope="session")
def outer():
    held = mapped(30 * 1000 * 1000)
    yield held
    held.close()

@pytest.fixture(scope="module", params=[1, 2])
def inner(request, outer):
    held = mapped(10 * 1000 * 1000)
    yield held
    held.close()

@pytest.fixture
def asked(request):
    return request.getfixturevalue("inner")

def test_one(inner): pass
def test_two(inner, asked): pass
"""
    )
    assert suite.run().returncode == 0
    records = suite.only()
    assert add_up(records).balance()
    names = {}
    change, depth = {}, []
    for before, mark in zip(records, records[1:]):
        if depth and "rss_bytes" in before and "rss_bytes" in mark:
            change[depth[-1]] = change.get(depth[-1], 0) + mark["rss_bytes"] - before["rss_bytes"]
        if mark["kind"] == "fb":
            names[mark["fixture"]] = (mark["name"], mark["scope"], mark["path"])
            depth.append(("up", mark["fixture"]))
        elif mark["kind"] == "rb":
            depth.append(("down", mark["fixture"]))
        elif mark["kind"] in ("fe", "re"):
            depth.pop()
    set_up = {names[number]: size for (way, number), size in change.items() if way == "up"}
    torn_down = {names[number]: size for (way, number), size in change.items() if way == "down"}
    outer, inner = ("outer", "session", ""), ("inner", "module", "test_fixtures.py")
    assert abs(set_up[outer] - 30 * MB) < MB and abs(set_up[inner] - 10 * MB) < MB
    assert abs(torn_down[outer] + 30 * MB) < MB and abs(torn_down[inner] + 10 * MB) < MB


def test_fixtures_that_files_share_are_charged_to_none_of_them(suite):
    suite.write(
        conftest=KINDS
        + """
import pytest

@pytest.fixture(scope="session")
def database():
    mapped(60 * 1000 * 1000).close()
    held = mapped(30 * 1000 * 1000)
    yield held
    held.close()
""",
        test_a="def test_one(database): pass\n",
        test_b=KINDS
        + """
import pytest
KEPT = []

@pytest.fixture(scope="session")
def own():
    KEPT.append(mapped(10 * 1000 * 1000))

def test_two(database, own): pass
""",
    )
    assert suite.run().returncode == 0
    books = add_up(suite.only())
    told = {file.path: (file.retained // MB, file.spike // MB) for file in books.files.values()}
    assert books.balance() and set(told) == {"test_a.py", "test_b.py"}, told
    # What a test file itself defines no other asks for.
    assert max(map(abs, told["test_a.py"])) <= 1 and all(9 <= size <= 11 for size in told["test_b.py"]), told


def test_imports_are_charged_to_the_file(suite):
    suite.write(test_heavy=KINDS + "KEPT.append(mapped(20 * 1000 * 1000))\ndef test_a(): pass\n")
    suite.run()
    records = suite.only()
    begins = [at for at, mark in enumerate(records) if mark["kind"] == "ib" and mark["path"] == "test_heavy.py"]
    grown = records[begins[0] + 1]["rss_bytes"] - records[begins[0]]["rss_bytes"]
    assert abs(grown - 20 * MB) < MB
    assert add_up(records).imports > 19 * MB


@pytest.mark.parametrize(
    "text, kind, name",
    [
        ("import time, pathlib\ndef test_a():\n    pathlib.Path('here').touch(); time.sleep(60)\n", "tb", "test_a"),
        ("import time, pathlib\npathlib.Path('here').touch(); time.sleep(60)\n", "ib", "test_killed.py"),
        (
            "import time, pathlib, pytest\n@pytest.fixture\ndef slow():\n    pathlib.Path('here').touch(); time.sleep(60)\n"
            "def test_a(slow): pass\n",
            "fb",
            "slow",
        ),
    ],
    ids=["test", "import", "set-up"],
)
def test_what_ran_when_pytest_was_killed_is_on_disk(suite, text, kind, name):
    suite.write(test_killed=text)
    running = subprocess.Popen(
        suite.command(), cwd=str(suite.tests), env=suite.environment(HIGHWATER_EVENTS=str(suite.events)), stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (suite.tests / "here").exists():
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    last = [mark for mark in suite.only() if mark["kind"] == kind][-1]
    assert last.get("name", last.get("nodeid", last.get("path"))).endswith(name)


def test_without_the_kernels_mark_peaks_are_unknown_and_say_why(suite):
    suite.write(test_exact=EXACT)
    suite.run(HIGHWATER_EXACT="0")
    records = suite.only()
    assert (records[0]["exact"], records[0]["exact_reason"]) == (False, "switched off")
    assert all(mark["peak_bytes"] is None for mark in records if "peak_bytes" in mark)


def test_where_there_is_no_proc_tests_are_recorded_by_what_the_system_tells(suite):
    suite.write(test_exact=EXACT, elsewhere="from highwater_pytest import kernel\nkernel._STATM = '/nowhere/statm'\n")
    done = suite.run("-p", "elsewhere")
    records = suite.only()
    assert (records[0]["exact"], records[0]["exact_reason"]) == (False, "statm: No such file or directory")
    assert [outcome for _, outcome in suite.outcomes(records)] == ["passed"] * len(suite.outcomes(records)), done.stdout
    rss = [mark["rss_bytes"] for mark in records if "rss_bytes" in mark]
    # Without /proc it is the highest so far, which the spike of 200 MB has raised for good.
    assert rss == sorted(rss) and rss[-1] > rss[0] + 100 * MB
    assert all(mark["peak_bytes"] is None for mark in records if "peak_bytes" in mark)


def test_the_true_peak_of_the_life_is_in_the_last_mark(suite):
    suite.write(test_exact=EXACT)
    suite.run()
    records = suite.only()
    assert records[-1]["kind"] == "xx" and records[-1]["true_peak_bytes"] > 200 * MB
    assert [mark["exit_status"] for mark in records if mark["kind"] == "se"] == [0]


def test_ids_of_any_script_and_any_length(suite):
    suite.write(
        test_ids="import pytest\n@pytest.mark.parametrize('x', ['日本語', 'عربى', 'tab\\there', 'x' * 2000], ids=lambda x: x)\n"
        "def test_a(x): pass\n"
    )
    assert suite.run().returncode == 0
    assert len(suite.tests_of(suite.only())) == 4


COUNTED_LATE = """
import mmap, os, random, resource, threading
from highwater_pytest.kernel import Kernel

kernel = Kernel()
shared = open("shared", "w+b")
shared.truncate(64 << 20)
processors = sorted(os.sched_getaffinity(0))
held, above = [], []

def touch(seed):
    chance = random.Random(seed)
    for _ in range(400):
        os.sched_setaffinity(0, {chance.choice(processors)})
        for number, offset in ((-1, 0), (shared.fileno(), chance.randrange(100) * 4096 * 64)):
            pages = mmap.mmap(number, chance.randrange(1, 60) * 4096, offset=offset)
            pages.write(b"x" * len(pages))
            held.append(pages)
        with open("/proc/self/statm") as statm:
            rss = int(statm.read().split()[1]) * mmap.PAGESIZE
        above.append(rss - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

threads = [threading.Thread(target=touch, args=(seed,)) for seed in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(max(above), kernel.peak_error_bytes)
"""


def test_the_mark_is_never_below_what_was_held_by_more_than_its_error(suite):
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("threads cannot be bound to processors here")
    script = suite.folder / "counted_late.py"
    script.write_text(COUNTED_LATE)
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run([sys.executable, str(script)], cwd=str(suite.folder), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    above, error = map(int, done.stdout.split())
    assert above <= error
