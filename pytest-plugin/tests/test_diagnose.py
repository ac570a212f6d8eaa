"""Why memory stays: what the plugin measures, and that nothing of it reaches the tests."""

import gc
import json
import random
import signal
import sys

import pytest
from highwater_pytest.allocators import heap, pymalloc, trimmer
from highwater_pytest.census import Census, grown, largest

NOTHING = "def test_nothing():\n    pass\n"


def diagnoses(records):
    """Each as (diagnosis, rss before, rss after), the first included."""
    found, begun = [], None
    for record in records:
        if record["kind"] == "db":
            begun = record["rss_bytes"]
        elif record["kind"] == "de":
            found.append((record["diagnosis"], begun, record["rss_bytes"]))
    return found


def test_nothing_is_measured_unless_it_is_asked_for(suite):
    suite.write(test_a=NOTHING, test_b=NOTHING)
    for value in ("", "0"):
        assert suite.run(HIGHWATER_DIAGNOSE=value).returncode == 0
    assert all(not diagnoses(records) for records in suite.records().values())


def test_an_unknown_wish_is_told_and_the_recording_goes_on(suite):
    suite.write(test_a=NOTHING)
    assert suite.run(HIGHWATER_DIAGNOSE="deeply").returncode == 0
    records = suite.only()
    assert [r["message"] for r in records if r["kind"] == "N"] == ["HIGHWATER_DIAGNOSE='deeply' is none of 0, 1 and tracemalloc"]
    assert not diagnoses(records) and records[-1]["kind"] == "xx"


def test_there_is_one_before_the_first_file_and_one_after_each(suite):
    suite.write(test_a=NOTHING + NOTHING.replace("nothing", "more"), test_b=NOTHING, test_c=NOTHING)
    assert suite.run(HIGHWATER_DIAGNOSE="1").returncode == 0
    records = suite.only()
    kinds = [r["kind"] for r in records if r["kind"] in ("tb", "db", "de", "se")]
    assert kinds == "db de tb tb db de tb db de tb db de se".split()
    first, *others = [found for found, _, _ in diagnoses(records)]
    assert first.pop("cost_us") > 0 and first == {"baseline": True}
    for found in others:
        assert abs(found["live_bytes"]) < 500_000 and found["collected_bytes"] <= found["trimmed_bytes"] + 100_000


def test_measuring_leaves_nothing_behind(suite):
    suite.write(**{"test_%02d" % number: NOTHING for number in range(20)})
    assert suite.run(HIGHWATER_DIAGNOSE="1").returncode == 0
    after = [rss for _, _, rss in diagnoses(suite.only())]
    assert len(after) == 21
    assert after[-1] - after[1] < 1_000_000, after


def test_a_test_that_a_collection_would_trip_is_left_alone(suite):
    suite.write(
        test_a="""
import gc, warnings

class Loud:
    def __init__(self):
        self.me = self
    def __del__(self):
        warnings.warn("not closed", ResourceWarning)
        raise RuntimeError("in a finalizer")

def test_leaves_a_cycle_that_complains():
    gc.disable()
    Loud()
""",
        test_b="""
import gc, sys

def test_finds_the_collector_as_it_was_left():
    assert not gc.isenabled() and gc.get_debug() == 0 and gc.garbage == []
    assert "lambda" not in repr(sys.unraisablehook)
""",
    )
    strict = ["-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning"]
    done = suite.run(*strict, HIGHWATER_DIAGNOSE="1")
    assert done.returncode == 0, done.stdout.decode()
    assert b"RuntimeError" not in done.stdout and b"not closed" not in done.stdout
    [_, (after_a, _, _), _] = diagnoses(suite.only())
    assert after_a["collected"] >= 1


def test_what_a_test_keeps_in_gc_garbage_stays_there(suite):
    suite.write(
        test_a="import gc\ndef test_keeps():\n    gc.garbage.append('mine')\n",
        test_b="import gc\ndef test_finds():\n    assert gc.garbage == ['mine']\n    gc.garbage.clear()\n",
    )
    done = suite.run(HIGHWATER_DIAGNOSE="1")
    assert done.returncode == 0, done.stdout.decode()


def test_one_that_fails_ends_the_diagnosis_and_nothing_else(suite):
    suite.write(
        conftest="import highwater_pytest.census as census\ncensus.Census.by_name = None\n",
        test_a=NOTHING,
        test_b=NOTHING,
    )
    assert suite.run(HIGHWATER_DIAGNOSE="1").returncode == 0
    records = suite.only()
    assert [found for found, _, _ in diagnoses(records)] == [{}]
    [notice] = [r for r in records if r["kind"] == "N"]
    assert notice["code"] == "diagnosis_failed" and "TypeError" in notice["message"]
    assert [outcome for _, outcome in suite.outcomes(records)] == ["passed", "passed"]


def test_what_pytest_keeps_is_told_apart(suite):
    suite.write(
        test_a=NOTHING,
        test_b="def test_prints():\n    print('x' * 3_000_000)\n",
        test_c="def test_fails():\n    text = 'y' * 20\n    assert text == " + repr("z" * 200_000) + "\n",
    )
    suite.run(HIGHWATER_DIAGNOSE="1")
    _, quiet, prints, fails = [found["pytest"] if "pytest" in found else None for found, _, _ in diagnoses(suite.only())]
    assert quiet["captured"] < 10_000 and quiet["reports"] < 50_000
    assert 3_000_000 <= prints["captured"] < 3_100_000 and prints["reports"] < 50_000
    assert fails["captured"] < 10_000 and fails["reports"] >= 200_000


def test_the_data_of_coverage_is_told_apart(suite, need):
    need("pytest_cov", "pytest-cov")
    lines = "\n".join("    x = %d" % number for number in range(20_000))
    # pytest-cov lets go of it once the last test has run.
    suite.write(test_a=NOTHING, test_b="def test_many_lines():\n" + lines + "\n", test_c=NOTHING)
    done = suite.run("--cov=.", "--cov-report=", HIGHWATER_DIAGNOSE="1", COVERAGE_CORE="ctrace")
    assert done.returncode == 0, done.stdout.decode()
    _, few, many, _ = [found for found, _, _ in diagnoses(suite.only())]
    assert many["pytest"]["coverage"] > 500_000 > few["pytest"].get("coverage", 0)


def test_tracemalloc_names_the_lines_and_is_at_work_only_between(suite):
    suite.write(
        test_a=NOTHING,
        test_b="import tracemalloc\nKEPT = []\ndef test_keeps():\n    assert tracemalloc.is_tracing()\n    KEPT.extend(bytes(1000) for _ in range(5000))\n",
    )
    done = suite.run(HIGHWATER_DIAGNOSE="tracemalloc")
    assert done.returncode == 0, done.stdout.decode()
    found = diagnoses(suite.only())[-1][0]
    line, blocks, size = found["lines"][0]
    assert line.endswith("test_b.py:5") and blocks >= 5000 and size > 5_000_000
    assert found["tracing_bytes"] > 0 and found["live_bytes"] > 5_000_000


def test_tracemalloc_is_left_as_it_was(suite):
    suite.write(test_a=NOTHING)
    script = "import pytest, tracemalloc\npytest.main(['-q', '-p', 'no:cacheprovider'])\nassert not tracemalloc.is_tracing()\n" \
        "tracemalloc.start()\npytest.main(['-q', '-p', 'no:cacheprovider'])\nassert tracemalloc.is_tracing()\n"
    done = suite.call([sys.executable, "-c", script], HIGHWATER_DIAGNOSE="tracemalloc", HIGHWATER_EVENTS=str(suite.events))
    assert done.returncode == 0, done.stdout.decode()
    [_, ours, _, others] = [found for found, _, _ in diagnoses(suite.only())]
    assert ours["lines"] != [] and others["lines"] == []


def test_it_works_below_xdist(suite, need):
    need("xdist", "pytest-xdist")
    suite.write(test_a=NOTHING, test_b="KEPT = []\ndef test_keeps():\n    KEPT.append('x' * 5_000_000)\n")
    assert suite.run("-n", "1", HIGHWATER_DIAGNOSE="1").returncode == 0
    by_role = {}
    for records in suite.records().values():
        [session] = [r for r in records if r["kind"] == "S"]
        by_role[session["role"]] = diagnoses(records)
    assert by_role["controller"] == []
    assert [found.get("types", [[""]])[0][0] for found, _, _ in by_role["worker"]][2] == "str"


def test_a_census_counts_each_object_once():
    class Thing:
        __slots__ = ("text",)

    things = [Thing() for _ in range(200)]
    for number in range(100):
        # Held by two: half of it each.
        things[number].text = things[number + 100].text = "text %d" % number * 200
    # gc does not track a tuple of texts: it hangs on the list.
    texts = [("another %d" % number * 200,) for number in range(50)]
    gc.collect()
    census = Census()
    census.count(things)
    census.count([texts])
    named = census.by_name(0)
    count, size = named["str"]
    assert count == 150
    expected = sum(t.text.__sizeof__() for t in things[:100]) + sum(t[0].__sizeof__() for t in texts)
    assert abs(size - expected) < 200, (size, expected)
    assert census.large_bytes == pytest.approx(expected, rel=0.01)
    assert named[Thing.__module__ + "." + Thing.__qualname__][0] == 200


def large_of(objects):
    census = Census()
    census.count(objects)
    return census.large_bytes


@pytest.mark.parametrize("times", [1, 2, 10, 1000])
def test_a_census_counts_an_object_once_however_often_one_has_it(times):
    text = "text" * 1_000_000
    within = (text, text)
    holders = [[text] * times, {"a": text, "b": within}, [[within] * times]]
    del text, within
    gc.collect()
    assert large_of(holders[:2] + holders[2]) == pytest.approx(4_000_000, rel=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_a_census_counts_what_any_number_of_holders_have_once(seed):
    chance = random.Random(seed)
    texts = ["%d" % number * 100_000 for number in range(10)]
    tuples = [tuple(chance.choice(texts) for _ in range(chance.randrange(1, 6))) for _ in range(4)]
    holders = [[chance.choice(texts + tuples) for _ in range(chance.randrange(1, 30))] for _ in range(5)]
    holders.append(texts + tuples)
    expected = sum(map(sys.getsizeof, texts))
    del texts, tuples
    gc.collect()
    found = large_of(holders)
    assert expected * 0.99 < found < expected * 1.01, (found, expected)


def test_a_census_counts_an_object_never_more_than_whole():
    text = "text" * 100_000
    holders = [[text] * 50, [text]]
    # The test's own variable has it too, and is not counted.
    assert sum(map(large_of, ([one] for one in holders))) < sys.getsizeof(text) * 1.01


def test_a_census_finds_a_view_that_one_has_often(need):
    need("numpy")
    import numpy

    whole = numpy.ones(1_000_000)
    held = [whole] + [whole[::2]] * 50
    del whole
    assert large_of([held]) == pytest.approx(8_000_000, rel=0.01)


HOLDS = """
import gc

KEPT, CACHE = [], {}

class Deep:
    def __init__(self, data):
        self.data = data
    def __sizeof__(self):
        # What hangs on it counts too, as pandas does.
        return object.__sizeof__(self) + self.data.__sizeof__()

def test_sets_and_lists_of_which_parts_are_small():
    KEPT.extend(set(range(10)) for _ in range(30_000))
    KEPT.extend([None] * 60 for _ in range(30_000))

def test_one_text_in_a_global_a_cache_and_an_object():
    text = bytes(range(250)) * 100_000
    CACHE["a"], CACHE["b"] = text, (text, text)
    KEPT.append(Deep(text))

def test_what_nothing_was_written_to():
    KEPT.append(bytes(80_000_000))
"""


def test_live_objects_are_no_more_than_what_stayed(suite):
    fixture = "import pytest\n@pytest.fixture(scope='session')\ndef held():\n    return [set(range(10)) for _ in range(30_000)]\n"
    suite.write(conftest=fixture, test_a=HOLDS + "\ndef test_holds(held):\n    CACHE['held'] = held\n")
    assert suite.run(HIGHWATER_DIAGNOSE="1").returncode == 0
    [(_, _, before), (found, stayed, _)] = diagnoses(suite.only())
    # 2 * 30,000 sets of 728 bytes, as many lists of 536, and the text.
    assert found["live_bytes"] == pytest.approx(85_000_000, rel=0.05)
    assert found["live_bytes"] < (stayed - before) * 1.02
    assert sum(size for _, _, size in found["types"]) < (stayed - before) * 1.05


def test_a_census_counts_of_an_object_only_the_blocks_that_are_no_matter_of_pymallocs():
    import collections

    def large(one):
        census = Census()
        census.count([one])
        return census.large_bytes

    # Head and table are blocks of their own: 512 bytes each, and less.
    assert large(set(range(10))) == 0 and large([None] * 60) == 0
    assert large([None] * 100) == 800
    ordered = collections.OrderedDict.fromkeys(range(10_000))
    assert large(ordered) == pytest.approx(large(dict(ordered)), rel=0.01)


def test_a_census_finds_what_an_array_is_a_view_of(need):
    need("numpy")
    import numpy

    whole = numpy.ones(1_000_000)
    views = [whole[::2], whole.reshape(2, -1).T]
    untouched = numpy.zeros(20_000_000)
    del whole
    census = Census()
    census.count([views, [untouched]])
    assert census.large_bytes == pytest.approx(8_000_000, rel=0.01)


def test_a_census_takes_no_type_for_an_array_that_says_it_is_equal_to_all(need):
    need("numpy")
    import numpy

    class Equal(type):
        def __eq__(cls, other):
            return True

        def __hash__(cls):
            return 1

    Same = Equal("Same", (), {})
    kept = [Same() for _ in range(100)]
    census = Census()
    census.count(kept + [numpy.ones(10)])
    [name] = [name for name in census.by_name(0) if name.endswith("Same")]
    assert census.by_name(0)[name][0] == 100


def test_a_census_passes_over_what_cannot_be_hashed_or_named():
    class Unhashed(type):
        def __hash__(cls):
            raise RuntimeError("no hash")

    Odd = Unhashed("Odd", (), {})

    class Meta(type):
        @property
        def __module__(cls):
            raise RuntimeError("no module")

    Nameless = Meta("Nameless", (), {})
    census = Census()
    census.count([Odd(), Nameless()])
    assert list(census.by_name(0)) == ["?"]


ODD = """
import pytest

KEPT = []

def kinds(error):
    class Unsized:
        def __sizeof__(self):
            error()

    class Silent(type):
        def __getattribute__(cls, name):
            error()

    class Unhashed(type):
        def __hash__(cls):
            error()

    return Unsized, Silent("Nameless", (), {}), Unhashed("Unhashed", (), {})

def end():
    raise SystemExit(3)

@pytest.mark.parametrize("error", [lambda: pytest.fail("looked at"), lambda: pytest.skip("looked at"), end])
def test_keeps_what_may_not_be_looked_at(error, record_property):
    for kind in kinds(error):
        # Alive, garbage, and in a report.
        KEPT.extend(kind() for _ in range(200))
        cycle = [kind()]
        cycle.append(cycle)
        record_property("odd", kind())
        record_property("kind", kind)
"""


def test_objects_that_fail_skip_or_exit_when_they_are_looked_at_are_passed_over(suite):
    suite.write(test_a=ODD, test_b="KEPT = []\ndef test_keeps():\n    KEPT.append('x' * 5_000_000)\n")
    done = suite.run(HIGHWATER_DIAGNOSE="1")
    told = done.stdout.decode()
    assert done.returncode == 0 and "4 passed" in told and "INTERNALERROR" not in told, told
    records = suite.only()
    assert not [r for r in records if r["kind"] == "N"]
    found = [found for found, _, _ in diagnoses(records)]
    assert len(found) == 3 and found[-1]["types"][0][0] == "str", found


def test_what_interrupts_a_census_is_let_through():
    class Interrupting(type):
        def __hash__(cls):
            raise KeyboardInterrupt

    def too_late(*_):
        raise SystemExit("time is up")

    class Timing(type):
        def __hash__(cls):
            signal.raise_signal(signal.SIGUSR1)
            return 1

    for odd, error in ((Interrupting("Odd", (), {}), KeyboardInterrupt), (Timing("Odd", (), {}), SystemExit)):
        before = signal.signal(signal.SIGUSR1, too_late)
        try:
            with pytest.raises(error):
                Census().count([odd()])
        finally:
            signal.signal(signal.SIGUSR1, before)


def test_growth_is_ranked_by_bytes():
    before = {"a": (1, 100), "b": (1, 500), "gone": (9, 9_000)}
    now = {"a": (3, 5_000), "b": (1, 400), "new": (2, 7_000)}
    assert grown(now, before, 10) == [["new", 2, 7_000], ["a", 2, 4_900]]
    assert grown(now, before, 1) == [["new", 2, 7_000]]
    assert largest(now, 2) == [["new", 2, 7_000], ["a", 3, 5_000]]


def test_pymalloc_tells_what_small_objects_take_and_leave():
    read = pymalloc()
    if read is None:
        pytest.skip("no pymalloc here")
    held = [None] * 200_000
    before = read()
    for number in range(len(held)):
        held[number] = b"%06d" % number * 20
    full = read()
    held[:] = [one if number % 100 == 0 else None for number, one in enumerate(held)]
    empty = read()
    assert full.used_bytes - before.used_bytes == pytest.approx(200_000 * 160, rel=0.02)
    assert empty.free_bytes - full.free_bytes == pytest.approx(198_000 * 160, rel=0.1)


def test_the_heap_tells_what_stays_resident_though_it_is_free():
    read, trim = heap(), trimmer()
    if read is None or trim is None:
        pytest.skip("no glibc here")
    held = [None] * 40_000
    trim()
    before = read()
    for number in range(len(held)):
        held[number] = bytes(700 + number % 50)
    held[:] = [one if number % 5 == 0 else None for number, one in enumerate(held)]
    trim()
    # Four of five blocks are free, and on nearly every page one lives.
    free = sum(700 + number % 50 + 33 + 8 for number in range(len(held)) if number % 5)
    assert free * 0.85 < read() - before < free * 1.05


def test_the_json_is_one_field_of_one_line(suite):
    suite.write(test_a=NOTHING, test_b="class A: pass\nA.__qualname__ = 'odd\\tname\\n'\nKEPT = [A() for _ in range(5000)]\ndef test(): KEPT.extend(A() for _ in range(5000))\n")
    assert suite.run(HIGHWATER_DIAGNOSE="1").returncode == 0
    found = diagnoses(suite.only())[-1][0]
    assert any(name.endswith("odd\tname\n") for name, _, _ in found["types"]), json.dumps(found)
