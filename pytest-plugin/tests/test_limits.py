"""Limits on the memory of a test: what passes them fails with the figure, alone and while something records."""

import json
import pathlib
import re

import pytest
from highwater_pytest.limits import parse_size

LIMITED = """
import mmap, pytest

KEPT = []

def touch(size):
    pages = mmap.mmap(-1, size)
    for at in range(0, size, 4096): pages[at] = 1
    return pages

@pytest.fixture
def large():
    pages = touch(60_000_000)
    yield
    pages.close()

@pytest.mark.highwater(limit="50 MB")
def test_spikes(): touch(80_000_000).close()

@pytest.mark.highwater(limit="90 MB", retained="5 MB")
def test_is_allowed_to(): touch(80_000_000).close()

@pytest.mark.highwater(retained="5 MB")
def test_keeps(): KEPT.append(touch(20_000_000))

@pytest.mark.highwater(limit=50_000_000)
def test_needs_a_large_fixture(large): pass

@pytest.mark.xfail(strict=True)
@pytest.mark.highwater(limit="50 MB")
def test_is_known_to_spike(): touch(80_000_000).close()

def test_has_no_limit(): touch(80_000_000).close()
"""


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "alone"])
def test_a_test_that_passes_its_limit_fails_with_the_figure(suite, recorded):
    suite.write(test_limited=LIMITED)
    done = suite.run(**({} if recorded else {"HIGHWATER_EVENTS": ""}))
    told = done.stdout.decode()
    assert done.returncode == 1 and "2 failed, 3 passed, 1 xfailed, 1 error" in told, told
    # On a CI pytest repeats the whole message in its summary.
    once = told.split("short test summary info")[0]
    spiked, needed = map(float, re.findall(r"memory limit: the test needed (\S+) MB", once))
    (kept,) = map(float, re.findall(r"retained memory: the test still holds (\S+) MB", once))
    assert abs(spiked - 80) < 1 and abs(needed - 60) < 1 and abs(kept - 20) < 1, told
    if recorded:
        tests = {row["name"]: row for row in suite.tests_of(suite.only())}
        spiked = tests["test_spikes"]
        assert spiked["outcome"] == "failed" and abs(spiked["peak"] - spiked["start"] - 80_000_000) < 1_000_000
        assert tests["test_keeps"]["outcome"] == "error"


def test_limits_are_held_after_the_recording_broke_off(suite):
    suite.write(
        test_a="import pytest\nimport highwater_pytest.recorder\n\ndef test_breaks(): highwater_pytest.recorder.escape = None\n\n"
        "def test_nothing(): pass\n\n@pytest.mark.highwater(limit='50 MB')\ndef test_spikes(): bytearray(80_000_000)\n"
    )
    told = suite.run().stdout.decode()
    assert "the recording of process" in told and "1 failed, 2 passed" in told and "memory limit" in told, told


def test_memory_that_cannot_be_read_is_told_and_fails_no_test(suite):
    suite.write(
        test_a="import pytest\nfrom highwater_pytest import enforcer\n\ndef test_breaks():\n    def broken(self): raise OSError('no memory to read')\n"
        "    enforcer.Meter.begin = enforcer.Meter.read = broken\n\n@pytest.mark.highwater(limit='50 MB', retained='5 MB')\ndef test_limited(): pass\n"
    )
    done = suite.run(HIGHWATER_EVENTS="")
    told = done.stdout.decode()
    assert done.returncode == 0 and "2 passed" in told and "limits are not held: no memory to read" in told, told


def test_the_same_on_workers(suite, need):
    need("xdist", "pytest-xdist")
    suite.write(test_limited=LIMITED)
    told = suite.run("-n", "2").stdout.decode()
    assert "2 failed, 3 passed, 1 xfailed, 1 error" in told, told


def test_the_ini_file_limits_every_test_and_a_marker_its_own(suite):
    (suite.tests / "pytest.ini").write_text("[pytest]\nhighwater_limit_peak = 50 MB\nhighwater_limit_retained = 10MiB\n")
    suite.write(
        test_plain="import pytest\n\ndef test_small(): bytearray(30_000_000)\n\ndef test_large(): bytearray(70_000_000)\n\n"
        "@pytest.mark.highwater(limit=None)\ndef test_may(): bytearray(70_000_000)\n\n"
        "@pytest.mark.highwater(limit='80 MB')\nclass TestClass:\n    def test_may_too(self): bytearray(70_000_000)\n"
        "    @pytest.mark.highwater(limit='60 MB')\n    def test_may_not(self): bytearray(70_000_000)\n"
    )
    told = suite.run("-rf", HIGHWATER_EVENTS="").stdout.decode()
    failed = sorted(line.split(" - ")[0] for line in told.splitlines() if line.startswith("FAILED"))
    assert failed == ["FAILED test_plain.py::TestClass::test_may_not", "FAILED test_plain.py::test_large"], told


@pytest.mark.parametrize(
    "mark, problem",
    [
        ("limit='much'", "limit of the marker highwater: 'much' is no size such as '200 MB'"),
        ("most='5 MB'", "the marker is highwater(limit=None, retained=None)"),
        ("'5 MB'", "the marker is highwater(limit=None, retained=None)"),
    ],
)
def test_a_limit_that_cannot_be_is_a_usage_error_that_names_the_test(suite, mark, problem):
    suite.write(test_plain="import pytest\n\n@pytest.mark.highwater(%s)\ndef test_a(): pass\n" % mark)
    done = suite.run()
    told = done.stdout.decode()
    assert done.returncode == 4 and "test_plain.py::test_a: " + problem in told, told


def test_the_marker_is_known_to_pytest(suite):
    suite.write(test_plain="import pytest\n\n@pytest.mark.highwater(limit='1 GB')\ndef test_a(): pass\n")
    assert suite.run("--strict-markers", HIGHWATER_EVENTS="").returncode == 0


# Of the agent's tests too, so that a limit of a test and one of a job are written alike.
SIZES = json.loads((pathlib.Path(__file__).parent / "sizes.json").read_text(encoding="utf-8"))


def size_of(given):
    try:
        return parse_size(given)
    except ValueError:
        return None


@pytest.mark.parametrize("given, size", SIZES, ids=[ascii(given[:30]) for given, _ in SIZES])
def test_a_size_is_what_the_table_says_that_plugin_and_agent_share(given, size):
    assert size_of(given) == size


@pytest.mark.parametrize("given, size", [(0, 0), (7, 7), (1 << 56, 1 << 56), ((1 << 56) + 1, None), (-5, None), (True, None), (5.5, None), (None, None), (b"5 MB", None)])
def test_a_number_is_bytes(given, size):
    assert size_of(given) == size


@pytest.mark.parametrize(
    "given, problem",
    [("9" * 400, "'%s' is more than a size can be, 65536 TiB" % ("9" * 100)), ("5Mi", "'5Mi' has none of the units kB, MB, GB, TB, KiB, MiB, GiB, TiB")],
    ids=["too large", "unit"],
)
def test_an_ini_file_with_what_is_no_size_is_a_usage_error_that_names_it(suite, given, problem):
    (suite.tests / "pytest.ini").write_text("[pytest]\nhighwater_limit_peak = %s\n" % given)
    suite.write(test_plain="def test_a(): pass\n")
    done = suite.run()
    told = done.stdout.decode()
    assert done.returncode == 4 and "highwater_limit_peak in the ini file: " + problem in told and "INTERNALERROR" not in told, told
