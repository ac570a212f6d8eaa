"""The table of ``pytest --highwater``: it takes nobody's word for what lies in its folder, and never changes how a run ends."""

import os

import pytest
from highwater_pytest import summary

PLAIN = "KEPT = []\ndef test_a(): KEPT.append(bytearray(30_000_000))\n"


@pytest.mark.parametrize(
    "content, told",
    [
        (b'H\t2\t{"pid":1}\n', "'1.events' was left out: events file of version '2', but this reads 1"),
        (b'H\t1\t{"pid":1}\nS\t{"x":1}\n', None),
        (b'H\t1\t{"pid":1}\nS\t[1]\nS\t["ab"]\nH\t1\t"ab"\n', None),
        (b"S\t" + b"[" * 200_000 + b"\n", "'1.events' was left out: RecursionError: "),
        (b"", None),
    ],
    ids=["another version", "no session", "no object", "nested", "empty"],
)
def test_a_file_of_somebody_else_changes_no_outcome(suite, content, told):
    suite.write(test_plain=PLAIN)
    (suite.events / "1.events").write_bytes(content)
    done = suite.run("--highwater")
    text = done.stdout.decode()
    assert done.returncode == 0 and "1 passed" in text and "test_plain.py" in text and "broke off" not in text, text
    assert told in text if told else "left out" not in text, text


def test_what_is_no_file_is_left_out_and_waited_for_by_nobody(suite):
    suite.write(test_plain=PLAIN)
    os.mkfifo(str(suite.events / "1.events"))
    (suite.events / "2.events").mkdir()
    (suite.events / "3.events").symlink_to("/dev/zero")
    done = suite.run("--highwater")
    text = done.stdout.decode()
    assert done.returncode == 0 and "test_plain.py" in text, text
    for name in ("1.events", "2.events", "3.events"):
        assert "'%s' was left out: no regular file" % name in text, text


def test_of_many_files_that_are_left_out_some_are_named(suite):
    suite.write(test_plain=PLAIN)
    for number in range(1, 26):
        (suite.events / ("%d.events" % number)).mkdir()
    text = suite.run("--highwater").stdout.decode()
    assert text.count("was left out") == 10 and "... and 15 more were left out" in text, text


def test_an_error_of_the_table_itself_is_told_and_changes_no_outcome(suite):
    suite.write(
        test_a="from highwater_pytest import summary\ndef broken(*_): raise LookupError('nothing found')\ndef test_a(): summary.Summary._files = broken\n"
    )
    done = suite.run("--highwater")
    text = done.stdout.decode()
    assert done.returncode == 0 and "1 passed" in text and "The table broke off: LookupError: nothing found" in text, text


def test_the_folder_goes_with_the_process_that_made_it(suite):
    """A child of a test that runs on comes to the end of its own pytest before its parent does."""
    suite.write(
        test_a="import os\nCHILD = 0\ndef test_forks():\n    global CHILD\n    CHILD = os.fork()\n"
        "def test_goes_on():\n    if CHILD: os.waitpid(CHILD, 0)\n"
        "def test_has_its_folder(): assert os.path.isdir(os.environ['HIGHWATER_EVENTS'])\n"
    )
    done = suite.run("--highwater", HIGHWATER_EVENTS="", TMPDIR=str(suite.folder))
    text = done.stdout.decode()
    assert done.returncode == 0 and "No test ran" not in text and "removed" not in text, text
    assert text.count("largest spike:") == 2, text
    assert not list(suite.folder.glob("highwater-*"))


@pytest.mark.parametrize("given", [True, False], ids=["named", "of its own"])
def test_a_folder_that_a_test_removed_is_said_to_be(suite, given):
    suite.write(test_a="import os, shutil\ndef test_a(): shutil.rmtree(os.environ['HIGHWATER_EVENTS'])\n")
    done = suite.run("--highwater", **({} if given else {"HIGHWATER_EVENTS": ""}))
    text = done.stdout.decode()
    assert done.returncode == 0 and "No test ran" not in text and "was removed while the tests ran" in text, text


def test_where_no_test_ran_that_is_said(suite):
    suite.write(test_a="")
    assert "No test ran." in suite.run("--highwater").stdout.decode()


def test_a_file_is_read_to_its_end(tmp_path):
    path = tmp_path / "7.events"
    path.write_bytes(b"x" * 300_000)
    assert summary._read_whole(str(path)) == b"x" * 300_000
