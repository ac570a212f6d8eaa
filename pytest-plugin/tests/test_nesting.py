"""Which pytest is the recorded one: where it becomes another program, goes on in a child, or starts others."""

import sys

import pytest

TESTS = "def test_a(): pass\ndef test_fails(): assert 0\n"


def test_a_pytest_that_executes_itself_anew_is_recorded_again(suite):
    suite.write(
        test_it=TESTS,
        conftest="import os, sys\ndef pytest_sessionstart(session):\n    if os.environ.get('PYTHONHASHSEED') != '0':\n"
        "        os.environ['PYTHONHASHSEED'] = '0'\n        os.execv(sys.executable, [sys.executable, '-m', 'pytest', *sys.argv[1:]])\n",
    )
    assert suite.run(PYTHONHASHSEED="1").returncode == 1
    records = suite.only()
    kinds = [record["kind"] for record in records]
    assert [kinds.count(kind) for kind in ("H", "S", "sb", "se")] == [2, 2, 2, 1]
    assert suite.outcomes(records) == [("test_a", "passed"), ("test_fails", "failed")]


@pytest.mark.parametrize("left", ["4194304", "nonsense"])
def test_a_number_left_over_from_elsewhere_hides_nothing(suite, left):
    suite.write(test_it="import os\ndef test_a(): assert os.environ['HIGHWATER_RECORDING'] == str(os.getpid())\n")
    assert suite.run(HIGHWATER_RECORDING=left).returncode == 0
    assert suite.outcomes(suite.only()) == [("test_a", "passed")]


def test_a_pytest_below_several_others_is_nested_all_the_same(suite):
    suite.write(inner=TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "inner.py"]
    suite.write(test_it="import subprocess\ndef test_a():\n    assert subprocess.run(['sh', '-c', 'sh -c \"$@\"; exit $?', 'x', '%s']).returncode == 1\n" % " ".join(command))
    assert suite.run("test_it.py").returncode == 0
    assert suite.outcomes(suite.only()) == [("test_a", "passed")]


def test_a_session_that_goes_on_in_a_forked_child_has_its_outcomes(suite):
    suite.write(
        test_it=TESTS,
        conftest="import os\ndef pytest_sessionstart(session):\n    pid = os.fork()\n    if pid:\n"
        "        os._exit(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))\n",
    )
    assert suite.run().returncode == 1
    (child,) = [records for records in suite.records().values() if records[0]["forked_from"]]
    assert suite.outcomes(child) == [("test_a", "passed"), ("test_fails", "failed")]
    assert child[-1]["kind"] == "xx"


def test_a_child_that_runs_one_test_by_itself_tells_how_it_ended(suite):
    suite.write(
        test_it=TESTS,
        conftest="import os\ndef pytest_runtestloop(session):\n    for item in session.items:\n        pid = os.fork()\n        if pid == 0:\n"
        "            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)\n            os._exit(0)\n        os.waitpid(pid, 0)\n    return True\n",
    )
    suite.run()
    children = [records for records in suite.records().values() if records[0]["forked_from"]]
    assert sorted(suite.outcomes(child)[0] for child in children) == [("test_a", "passed"), ("test_fails", "failed")]


def test_a_child_of_one_test_leaves_its_outcome_to_the_parent(suite):
    suite.write(
        test_it=TESTS,
        conftest="import os, pytest\nfrom _pytest.runner import runtestprotocol\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_protocol(item, nextitem):\n"
        "    pid = os.fork()\n    if pid == 0:\n        os._exit(any(it.failed for it in runtestprotocol(item, nextitem=nextitem, log=False)))\n"
        "    failed = os.WEXITSTATUS(os.waitpid(pid, 0)[1])\n"
        "    report = pytest.TestReport(item.nodeid, item.location, {}, 'failed' if failed else 'passed', None, 'call')\n"
        "    item.ihook.pytest_runtest_logreport(report=report)\n    return True\n",
    )
    suite.run()
    found = {bool(records[0]["forked_from"]): suite.outcomes(records) for records in suite.records().values()}
    assert found[False] == [("test_a", "passed"), ("test_fails", "failed")]
    assert [outcome for _, outcome in found[True]] == ["unknown"]


@pytest.mark.parametrize("at_once", [True, False], ids=["begin at once", "begin while the first runs"])
def test_of_two_in_two_threads_at_once_one_is_recorded_and_the_other_told_of(suite, at_once):
    for name in ("one", "other"):
        meets = "import meeting\ndef test_meets(): meeting.MET.wait()\n" if at_once else "import meeting\ndef test_meets(): meeting.meet()\n"
        suite.write(**{"test_" + name: meets + "def test_%s(): pass\n" % name})
    suite.write(
        meeting="import threading\nMET = threading.Barrier(2, timeout=60)\nFIRST = threading.Event()\n"
        "def meet():\n    FIRST.set()\n    MET.wait()\n",
        both="import sys, threading, meeting, pytest\nsys.path.insert(0, '.')\ncodes = []\n"
        "def run(path):\n    codes.append(pytest.main(['-p', 'no:cacheprovider', '-p', 'no:randomly', path]))\n"
        "threads = [threading.Thread(target=run, args=(path,)) for path in ('test_one.py', 'test_other.py')]\n"
        "threads[0].start()\n" + ("" if at_once else "meeting.FIRST.wait()\n") + "threads[1].start()\n"
        "for thread in threads: thread.join()\nsys.exit(max(codes))\n",
    )
    done = suite.call([sys.executable, "both.py"], HIGHWATER_EVENTS=str(suite.events))
    assert done.returncode == 0, done.stdout.decode()
    records = suite.only()
    kinds = [record["kind"] for record in records]
    assert [kinds.count(kind) for kind in ("H", "S", "sb", "se", "xx")] == [1] * 5
    assert [outcome for _, outcome in suite.outcomes(records)] == ["passed", "passed"]
    assert [record["code"] for record in records if record["kind"] == "N"] == ["another_pytest"]
