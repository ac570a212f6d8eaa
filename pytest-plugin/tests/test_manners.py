"""The plugin changes nothing and gets along: outcomes, output, other plugins, tests that break what is under them."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from highwater_pytest.books import add_up
from highwater_pytest.reading import read
from highwater_pytest.writer import Writer

from test_recording import OUTCOMES

PLAIN = "def test_a(): pass\ndef test_b(): pass\n"
DURATION = re.compile(rb"\d+\.\d+s")


def test_output_exit_code_and_junit_are_the_same_with_and_without(suite):
    suite.write(test_all=OUTCOMES)
    with_it = suite.run("-v", "--junitxml=with.xml")
    without = suite.run("-v", "--junitxml=without.xml", HIGHWATER_EVENTS="")

    def plain(done):
        text = DURATION.sub(b"", done.stdout).replace(b"without.xml", b"with.xml")
        # pytest lists installed plugins by name; ours is found there in both runs.
        return text

    assert with_it.returncode == without.returncode == 1
    assert plain(with_it) == plain(without)

    def cases(name):
        tree = xml.etree.ElementTree.parse(str(suite.tests / name))
        return [(case.get("name"), [child.tag for child in case]) for case in tree.iter("testcase")]

    assert cases("with.xml") == cases("without.xml")
    assert len(suite.records()) == 1


def test_without_a_folder_it_does_nothing(suite):
    suite.write(test_plain=PLAIN)
    assert suite.run(HIGHWATER_EVENTS="").returncode == 0
    assert not suite.records()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["sequential", "xdist"])
def test_alone_it_shows_a_table(suite, need, workers):
    if workers:
        need("xdist", "pytest-xdist")
    suite.write(test_plain="KEPT = []\ndef test_a():\n    KEPT.append(bytearray(30_000_000))\n")
    done = suite.run("--highwater", *workers, HIGHWATER_EVENTS="")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert re.search(r"2\d\.\d MiB .* test_plain\.py", text) and "exact" in text, text


@pytest.mark.parametrize(
    "folder", ["/nowhere/at/all", "/proc/self", "/dev/null"], ids=["missing", "not writable", "no folder"]
)
def test_a_folder_that_cannot_be_written_changes_nothing(suite, folder):
    suite.write(test_plain=PLAIN)
    done = suite.run(HIGHWATER_EVENTS=folder)
    assert done.returncode == 0 and b"2 passed" in done.stdout, done.stdout


def test_a_folder_that_is_removed_and_made_anew_has_all_of_it(suite):
    suite.write(
        test_removed="import os, shutil\nEVENTS = os.environ['HIGHWATER_EVENTS']\ndef test_a():\n    shutil.rmtree(EVENTS, ignore_errors=True)\n"
        "def test_b(): pass\ndef test_c(): os.mkdir(EVENTS)\ndef test_d(): pass\n"
    )
    done = suite.run()
    assert done.returncode == 0 and b"broke off" not in done.stdout, done.stdout.decode()
    records = suite.only()
    assert suite.outcomes(records) == [("test_%s" % name, "passed") for name in "abcd"]
    assert records[-1]["kind"] == "xx" and add_up(records).balance()


def test_a_folder_that_is_moved_away_has_all_of_it_in_the_one_that_takes_its_place(suite):
    suite.write(
        test_moved="import os\nEVENTS = os.environ['HIGHWATER_EVENTS']\n"
        "def test_a():\n    os.rename(EVENTS, EVENTS + '.away')\n    os.mkdir(EVENTS)\ndef test_b(): pass\n"
    )
    done = suite.run()
    assert done.returncode == 0 and b"broke off" not in done.stdout, done.stdout.decode()
    records = suite.only()
    assert suite.outcomes(records) == [("test_a", "passed"), ("test_b", "passed")]
    assert records[-1]["kind"] == "xx" and add_up(records).balance()


def test_a_file_that_comes_back_is_gone_on_with(tmp_path):
    writer = Writer(str(tmp_path))
    path, away = writer.path, str(tmp_path / "away")
    writer.record("a", 1)
    os.rename(path, away)
    writer.record("b", 2)
    writer.follow(at_once=True)
    writer.record("c", 3)
    os.rename(away, path)
    writer.record("d", 4)
    writer.follow()
    writer.follow()
    writer.record("e", 5)
    assert not writer.close()
    with open(path) as file:
        assert file.read() == "".join("%s\t%d\n" % (kind, number) for number, kind in enumerate("abcde", 1))


def test_a_folder_that_stays_removed_changes_nothing(suite):
    suite.write(test_removed="import os, shutil\ndef test_a(): shutil.rmtree(os.environ['HIGHWATER_EVENTS'])\ndef test_b(): pass\n")
    done = suite.run()
    assert done.returncode == 0 and b"2 passed" in done.stdout, done.stdout.decode()
    assert b"broke off" not in done.stdout and not suite.events.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_disk_that_is_full_from_the_start_changes_nothing(suite):
    suite.write(test_plain=PLAIN)
    code = (
        "import os, sys, pytest\n"
        "os.symlink('/dev/full', os.path.join(os.environ['HIGHWATER_EVENTS'], '%d.events' % os.getpid()))\n"
        "sys.exit(pytest.main(['-p', 'no:cacheprovider']))\n"
    )
    done = suite.call([sys.executable, "-c", code], HIGHWATER_EVENTS=str(suite.events))
    assert done.returncode == 0 and b"2 passed" in done.stdout, done.stdout


HOSTILE = {
    "closes descriptors": "import os\ndef test_a(): os.closerange(200, 400)\ndef test_b(): pass\n",
    "reuses descriptors": (
        "import os\nKEPT = []\ndef test_a():\n    os.closerange(200, 400)\n    fd = os.open('mine', os.O_RDWR | os.O_CREAT)\n"
        "    for n in range(200, 260): os.dup2(fd, n)\n    KEPT.append(fd)\n"
        "def test_b(): assert os.fstat(KEPT[0]).st_size == 0\n"
    ),
    "replaces os.write": (
        "from unittest import mock\ndef test_a():\n    with mock.patch('os.write', side_effect=OSError), "
        "mock.patch('os.pread', side_effect=OSError), mock.patch('time.monotonic_ns', return_value=0): pass\ndef test_b(): pass\n"
    ),
    "forks": "import os\ndef test_a():\n    if os.fork() == 0: os._exit(0)\n    os.wait()\ndef test_b(): pass\n",
    "multiprocessing": (
        "import multiprocessing as m, pytest, sys\ndef grow(): return len(bytearray(10_000_000))\n"
        "@pytest.mark.parametrize('how', ['fork', 'spawn', 'forkserver'])\ndef test_a(how):\n"
        "    with m.get_context(how).Pool(2) as pool: assert pool.apply(grow) == 10_000_000\ndef test_b(): pass\n"
    ),
    "changes folder": "import os\ndef test_a(tmp_path): os.chdir(tmp_path)\ndef test_b(): pass\n",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_suite_that_does_this_is_recorded_to_its_end(suite, name):
    suite.write(test_hostile=HOSTILE[name])
    done = suite.run()
    assert done.returncode == 0, done.stdout.decode()
    records = suite.only()
    assert suite.outcomes(records)[-1] == ("test_b", "passed")
    assert add_up(records).balance()
    times = [mark["t_us"] for mark in records if "t_us" in mark]
    assert times == sorted(times) and times[0] > 0


def test_a_forked_child_does_not_touch_its_parents_mark(suite):
    suite.write(
        test_fork="import mmap, os\ndef test_a():\n    pages = mmap.mmap(-1, 100_000_000)\n"
        "    for at in range(0, 100_000_000, 4096): pages[at] = 1\n    pages.close()\n"
        "    if os.fork() == 0:\n        os._exit(0)\n    os.wait()\n"
    )
    suite.run()
    row = suite.tests_of(suite.only())[0]
    assert row["peak"] - row["start"] > 99_000_000


def test_pytest_inside_pytest_is_no_part_of_the_suite(suite):
    suite.write(
        conftest="pytest_plugins = ['pytester']\n",
        test_outer="import subprocess, sys\ndef test_in_process(pytester):\n    pytester.makepyfile('def test_inner(): pass')\n"
        "    pytester.runpytest_inprocess().assert_outcomes(passed=1)\n"
        "def test_as_child(pytester):\n    pytester.makepyfile('def test_inner(): pass')\n"
        "    assert subprocess.call([sys.executable, '-m', 'pytest', '-q']) == 0\n",
    )
    done = suite.run()
    assert done.returncode == 0, done.stdout.decode()
    assert suite.outcomes(suite.only()) == [("test_in_process", "passed"), ("test_as_child", "passed")]


def test_workers_of_a_pytest_inside_pytest_are_no_part_of_the_suite(suite, need):
    need("xdist", "pytest-xdist")
    suite.write(
        conftest="pytest_plugins = ['pytester']\n",
        test_outer="def test_a(pytester):\n    pytester.makepyfile('def test_inner(): pass')\n"
        "    pytester.runpytest_inprocess('-n2').assert_outcomes(passed=1)\n",
    )
    done = suite.run()
    assert done.returncode == 0, done.stdout.decode()
    assert suite.outcomes(suite.only()) == [("test_a", "passed")]


def test_names_that_are_no_utf_8_are_written_out(suite):
    suite.write(test_plain=PLAIN)
    odd = os.path.join(os.fsencode(str(suite.folder)), b"caf\xe9")
    os.rename(str(suite.tests), odd)
    suite.tests = os.fsdecode(odd)
    done = suite.run("--deselect", os.fsdecode(b"caf\xe9"))
    assert done.returncode == 0, done.stdout
    session = next(record for record in suite.only() if record["kind"] == "S")
    assert session["root"].endswith("caf\\udce9") and session["args"][-1] == "caf\\udce9"


def test_an_error_of_the_recording_ends_the_recording_alone(suite):
    suite.write(
        conftest="import pathlib, sys\n\nclass Path(type(pathlib.Path())):\n    def __str__(self):\n"
        "        if 'highwater' in sys._getframe(1).f_globals['__name__']:\n            raise RuntimeError('no path')\n"
        "        return super().__str__()\n\n"
        "def pytest_collection_modifyitems(items):\n    items[1].path = Path(items[1].path)\n",
        test_plain=PLAIN,
    )
    done = suite.run()
    assert done.returncode == 0 and b"2 passed" in done.stdout, done.stdout.decode()
    records = suite.only()
    assert suite.outcomes(records) == [("test_a", "passed")]
    notice = next(record for record in records if record["kind"] == "N")
    assert notice["code"] == "plugin_stopped" and "no path" in notice["message"]


# What fails while a recording begins, and what of it is still there in a test.
FAILING = """
import highwater_pytest.{module} as module

class Broken:
    def __init__(self, *args): raise RuntimeError("no such luck")
module.{name} = Broken
"""
LEFT = """
import importlib._bootstrap as bootstrap, os, glob, tempfile

def test_a(request):
    plugins = [type(plugin).__module__ for plugin in request.config.pluginmanager.get_plugins()]
    assert "highwater_pytest.hooks" not in plugins
    assert "HIGHWATER_RECORDING" not in os.environ
    assert "HIGHWATER_EVENTS" not in os.environ or os.environ["HIGHWATER_EVENTS"] == os.environ.get("GIVEN")
    assert not glob.glob(os.path.join(tempfile.gettempdir(), "highwater-*"))
"""


@pytest.mark.parametrize("module, name", [("recorder", "Recorder"), ("hooks", "Hooks"), ("recorder", "Paths"), ("summary", "Summary")])
@pytest.mark.parametrize("given", [True, False], ids=["agent", "alone"])
def test_a_recording_that_cannot_begin_leaves_nothing_behind(suite, tmp_path, module, name, given):
    suite.write(broken=FAILING.format(module=module, name=name), test_left=LEFT)
    (tmp_path / "tmp").mkdir()
    folder = str(suite.events) if given else ""
    done = suite.run("-p", "broken", "--highwater", HIGHWATER_EVENTS=folder, GIVEN=folder, TMPDIR=str(tmp_path / "tmp"))
    text = done.stdout.decode()
    assert done.returncode == 0 and "Nothing was recorded: RuntimeError: no such luck" in text, text
    for records in suite.records().values():
        assert not [record for record in records if record["kind"] == "S"]
        if name != "Paths":
            assert [record["code"] for record in records if record["kind"] == "N"] == ["plugin_stopped"]


def test_late_imports_that_cannot_be_watched_cost_nothing_else(suite):
    suite.write(broken=FAILING.format(module="late", name="LateImports"), test_plain=PLAIN)
    assert suite.run("-p", "broken").returncode == 0
    records = suite.only()
    assert suite.outcomes(records) == [("test_a", "passed"), ("test_b", "passed")]
    notices = [record for record in records if record["kind"] == "N"]
    assert [notice["code"] for notice in notices] == ["late_imports_failed"] and "no such luck" in notices[0]["message"]


def test_a_line_torn_by_whoever_wrote_before_spoils_no_other(suite):
    suite.write(test_plain=PLAIN)
    # What the shell replaces itself by keeps its number.
    script = "printf 'tb\\t1' > $HIGHWATER_EVENTS/$$.events; exec \"$@\""
    suite.call(["sh", "-c", script, "sh"] + suite.command(), HIGHWATER_EVENTS=str(suite.events))
    (path,) = suite.events.glob("*.events")
    records, problems = read(path.read_bytes())
    assert [number for number, _ in problems] == [1]
    assert suite.outcomes(records) == [("test_a", "passed"), ("test_b", "passed")]


def test_two_sessions_in_one_script_are_two(suite):
    suite.write(test_plain=PLAIN)
    code = "import pytest\nfor _ in range(2): assert pytest.main(['-p', 'no:cacheprovider']) == 0\n"
    assert suite.call([sys.executable, "-c", code], HIGHWATER_EVENTS=str(suite.events)).returncode == 0
    records = suite.only()
    assert len({record["session"] for record in records if record["kind"] == "S"}) == 2
    assert len(suite.tests_of(records)) == 4


@pytest.mark.parametrize("how", [("-p", "highwater_pytest"), ()], ids=["named by -p", "named by PYTEST_PLUGINS"])
def test_found_twice_it_is_there_once(suite, how):
    suite.write(test_plain=PLAIN)
    variables = {} if how else {"PYTEST_PLUGINS": "highwater_pytest"}
    assert suite.run(*how, **variables).returncode == 0
    assert len(suite.tests_of(suite.only())) == 2


OTHER_PLUGINS = {
    "pytest_cov": ("pytest-cov", ["--cov=."], PLAIN),
    "pytest_randomly": ("pytest-randomly", [], PLAIN),
    "pytest_timeout": ("pytest-timeout", ["--timeout=60"], PLAIN),
    "pytest_repeat": ("pytest-repeat", ["--count=2"], PLAIN),
    "pytest_asyncio": (
        "pytest-asyncio",
        [],
        "import asyncio, pytest\n@pytest.mark.asyncio\nasync def test_a(): await asyncio.sleep(0)\ndef test_b(): pass\n",
    ),
    "freezegun": (
        "freezegun",
        [],
        "import freezegun\n@freezegun.freeze_time('2001-01-01')\ndef test_a(): pass\ndef test_b(): pass\n",
    ),
    "time_machine": (
        "time-machine",
        [],
        "import time_machine\n@time_machine.travel('2001-01-01')\ndef test_a(): pass\ndef test_b(): pass\n",
    ),
    "pyfakefs": ("pyfakefs", [], "def test_a(fs): fs.create_file('/x')\ndef test_b(): pass\n"),
}


@pytest.mark.parametrize("module", sorted(OTHER_PLUGINS))
def test_it_gets_along_with(suite, need, module):
    distribution, options, text = OTHER_PLUGINS[module]
    need(module, distribution)
    suite.write(test_other=text)
    command = suite.command(*options, ordered=module != "pytest_randomly")
    done = suite.call(command, HIGHWATER_EVENTS=str(suite.events))
    assert done.returncode == 0, done.stdout.decode()
    records = suite.only()
    rows = suite.outcomes(records)
    assert {outcome for _, outcome in rows} == {"passed"} and len(rows) == (4 if module == "pytest_repeat" else 2)
    assert add_up(records).balance()
    times = [mark["t_us"] for mark in records if "t_us" in mark]
    assert times == sorted(times)


def test_reruns_are_executions_of_their_own(suite, need):
    need("pytest_rerunfailures", "pytest-rerunfailures")
    suite.write(test_flaky="TRIES = []\ndef test_a():\n    TRIES.append(1)\n    assert len(TRIES) == 3\n")
    assert suite.run("--reruns", "3").returncode == 0
    rows = suite.tests_of(suite.only())
    assert [(row["execution"], row["outcome"]) for row in rows] == [(1, "rerun"), (2, "rerun"), (3, "passed")]


@pytest.mark.skipif(pytest.version_tuple >= (9,), reason="pytest-forked itself fails on pytest 9; pytest 8 runs this")
def test_a_forked_test_is_told_by_its_child_and_its_parent(suite, need):
    need("pytest_forked", "pytest-forked")
    suite.write(test_plain="def test_a():\n    bytearray(80_000_000)\n")
    assert suite.run("--forked").returncode == 0
    parent, child = None, None
    for records in suite.records().values():
        if records[0]["forked_from"]:
            child = records
        else:
            parent = records
    assert child[0]["forked_from"] == parent[0]["pid"]
    assert suite.outcomes(parent) == [("test_a", "passed")]
    assert max(mark["peak_bytes"] for mark in child if "peak_bytes" in mark) > 80_000_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_unprivileged_user_has_exact_peaks_too(suite):
    suite.write(test_plain=PLAIN)
    for path in [suite.folder] + list(suite.folder.parents)[:3] + [suite.tests, suite.events]:
        os.chmod(str(path), 0o777)
    # Without any of root's powers but to read: Python may lie in a folder of root's.
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    command += suite.command()
    done = suite.call(command, HIGHWATER_EVENTS=str(suite.events), HOME="/tmp")
    assert done.returncode == 0, done.stdout.decode()
    assert suite.only()[0]["exact"] is True


def test_a_recording_that_cannot_be_written_any_more_says_so_once_and_changes_nothing(suite):
    suite.write(
        test_full="import resource\n\ndef test_a():\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))\n\n\ndef test_b():\n    pass\n\n\ndef test_c():\n    pass\n"
    )
    done = suite.run("-s", "--highwater")
    told = done.stdout.decode()
    assert done.returncode == 0 and "3 passed" in told, told
    assert told.count("the recording of process") == 1 and "File too large" in told, told


def test_a_recording_that_cannot_be_written_any_more_tells_its_reader_by_the_mode_of_the_file(suite):
    suite.write(
        test_full="import resource\n\ndef test_a():\n    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))\n\n\ndef test_b():\n    pass\n"
    )
    assert suite.run().returncode == 0
    modes = [path.stat().st_mode & 0o777 for path in suite.events.glob("*.events")]
    assert modes == [0o400]


def test_a_part_that_was_still_written_has_the_reason_of_the_rest(suite):
    suite.write(
        test_full="import resource, glob, os\n\ndef test_a():\n"
        "    size = sum(map(os.path.getsize, glob.glob(os.environ['HIGHWATER_EVENTS'] + '/*')))\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, size + 5))\n\n\ndef test_b():\n    pass\n"
    )
    told = suite.run("-s").stdout.decode()
    assert "broke off: File too large" in told, told


def test_a_umask_that_leaves_nothing_does_not_look_like_a_recording_that_broke_off(suite):
    suite.write(test_plain=PLAIN)
    done = suite.call(["sh", "-c", 'umask 0777; exec "$@"', "sh"] + suite.command(), HIGHWATER_EVENTS=str(suite.events))
    assert done.returncode == 0
    assert [path.stat().st_mode & 0o777 for path in suite.events.glob("*.events")] == [0o600]


def test_who_leaves_at_the_end_of_the_session_has_no_test_open(suite):
    suite.write(conftest="import os\ndef pytest_sessionfinish(): os._exit(0)\n", test_plain=PLAIN)
    assert suite.run().returncode == 0
    assert suite.outcomes(suite.only()) == [("test_a", "passed"), ("test_b", "passed")]


def test_parameters_are_no_fixtures(suite):
    suite.write(
        test_plain="import pytest\n\n@pytest.fixture(params=[1, 2])\ndef real(request):\n    return request.param\n\n"
        "@pytest.mark.parametrize('number', [1, 2])\ndef test_a(real, number):\n    pass\n"
    )
    assert suite.run().returncode == 0
    begun = [record for record in suite.only() if record["kind"] == "fb"]
    assert [record["name"] for record in begun if record["scope"] == "function"] == ["real"] * 4


def test_the_largest_spike_is_named_where_its_file_kept_nothing(suite):
    suite.write(
        test_spike="def test_a():\n    bytearray(60_000_000)\n",
        **{"test_%02d" % at: "HELD = []\ndef test_a():\n    HELD.append(bytearray(2_000_000))\n" for at in range(11)},
    )
    told = suite.call(suite.command("--highwater")).stdout.decode()
    assert "largest spike: 5" in told and "MiB in test_spike.py" in told.split("largest spike")[1].splitlines()[0], told


def test_what_the_plugin_costs_can_be_measured():
    script = os.path.join(os.path.dirname(__file__), os.pardir, "bench", "marks.py")
    done = subprocess.run([sys.executable, script, "1", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" us  ") == 4


def test_what_the_plugin_takes_of_a_suite_can_be_measured(suite):
    suite.write(test_a="import pytest\n@pytest.fixture\ndef one(): yield 1\n@pytest.mark.parametrize('n', range(50))\ndef test_n(one, n): pass\n")
    bench = os.path.join(os.path.dirname(__file__), os.pardir, "bench")
    told = suite.folder / "told.json"
    done = suite.run("-p", "inside", PYTHONPATH=os.pathsep.join([bench, suite.environment().get("PYTHONPATH", "")]), HIGHWATER_INSIDE=str(told))
    assert done.returncode == 0, done.stdout.decode()
    told = json.loads(told.read_text())
    calls = {name: part["calls"] for name, part in told["parts"].items()}
    kinds = [mark["kind"] for mark in suite.only()]
    # Before and after what they wrap; what `n` stands for is set up like a fixture, and other plugins have some of their own.
    begun = kinds.count("fb")
    assert begun >= 50 and calls["pytest_runtest_protocol"] == 100 and calls["pytest_fixture_setup"] == 2 * (begun + 50), calls
    assert calls["release_ends"] == kinds.count("re") == begun, calls
    assert 0 < told["own_us"] < told["suite_us"] and told["own_share"] == told["own_us"] / told["suite_us"]
