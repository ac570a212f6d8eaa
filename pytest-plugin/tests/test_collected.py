"""The list of collected files, which a forecast counts on."""

import pytest
from highwater_pytest.paths import Paths
from highwater_pytest.recorder import _MOST_FILES, Recorder

TWO = "def test_one(): pass\ndef test_two(): pass\n"


def lists(suite):
    """What each process says was collected; None where it says nothing."""
    ends = (mark for records in suite.records().values() for mark in records if mark["kind"] == "ce")
    return [mark["files"] for mark in ends if "files" in mark]


def test_files_are_listed_in_the_order_in_which_they_run(suite):
    suite.write(test_b=TWO, test_a="def test_only(): pass\n", test_none="")
    suite.run("test_b.py", "test_a.py", "test_none.py")
    (files,) = lists(suite)
    folder = "suite with spaces/" if "/" in files else ""
    assert files == "2 %stest_b.py\n1 %stest_a.py" % (folder, folder)
    began = [mark["path"] for mark in suite.only() if mark["kind"] == "tb"]
    assert list(dict.fromkeys(began)) == [line.split(" ", 1)[1] for line in files.split("\n")]


def test_what_is_deselected_is_not_to_come(suite):
    suite.write(test_a=TWO, test_b="def test_only(): pass\n")
    suite.run("-k", "two")
    assert [line.split(" ")[0] for line in lists(suite)[0].split("\n")] == ["1"]


def test_of_workers_one_lists(suite):
    pytest.importorskip("xdist")
    suite.write(test_a=TWO, test_b=TWO)
    suite.run("-n", "2")
    assert len(lists(suite)) == 1 and lists(suite)[0].count("2 ") == 2


def test_where_each_worker_runs_all_none_lists(suite):
    pytest.importorskip("xdist")
    suite.write(test_a=TWO)
    suite.run("--dist", "each", "--tx", "2*popen")
    assert lists(suite) == []


def test_the_list_is_bounded():
    recorder = Recorder.__new__(Recorder)
    recorder.paths = Paths("/")
    many = recorder.words_of_files({"/t/test_%d.py" % at: 1 for at in range(_MOST_FILES + 7)})
    assert many.count("\\n") == _MOST_FILES and many.endswith("\\n+7")
    long = recorder.words_of_files({"/%s/test_%d.py" % ("x" * 3000, at): 1 for at in range(100)})
    assert len(long) < 125_000 and long.rsplit("\\n+", 1)[1].isdigit()
