"""Shards of a plan: each test runs in one of them, whatever was added or deleted since, in the plan's order."""

import collections
import json
import re
import uuid

import pytest
from highwater_pytest.shard import Plan, _digest, _is_like

RECORDED = "0197a7d4-0000-7000-8000-000000000001"
BODY = """
import pytest
@pytest.mark.parametrize("number", range(3))
def test_it(number): pass
def test_other(): pass
"""


def plan(suite, jobs, together=(), **changes):
    groups = [(group["globs"], group["job"]) for group in together]
    document = {
        "id": _digest(uuid.UUID(RECORDED), jobs, groups),
        "of": RECORDED,
        "jobs": [{"index": index, "files": files} for index, files in enumerate(jobs, 1)],
        "together": list(together),
    }
    document.update(changes)
    (suite.tests / "plan.json").write_text(json.dumps(document))


def shards(suite, total, *options, **variables):
    """The ids that ran in each shard, in order."""
    return [ran(suite, "-v", "--highwater-shard", "%d/%d" % (index, total), "--highwater-plan=plan.json", *options, **variables) for index in range(1, total + 1)]


def ran(suite, *options, **variables):
    done = suite.run(*options, **variables)
    told = done.stdout.decode()
    assert done.returncode == 0, told
    found = re.findall(r"^(\S+\.py::\S+) PASSED|^\[gw\d\].* PASSED (\S+)", told, re.MULTILINE)
    return [one or other for one, other in found]


@pytest.fixture
def split(suite):
    """Eight files, of which the plan does not know two and knows one more that is gone."""
    suite.write(**{"test_%s" % name: BODY for name in "abcdefgh"})
    (suite.tests / "package").mkdir()
    (suite.tests / "package" / "__init__.py").write_text("")
    (suite.tests / "package" / "test_deep.py").write_text(BODY)
    jobs = [["test_c.py", "test_a.py"], ["test_gone.py", "test_f.py", "package/test_deep.py", "test_e.py"], ["test_d.py", "test_b.py"]]
    plan(suite, jobs)
    return suite


@pytest.mark.parametrize("options", [[], ["-n", "2", "--dist", "loadfile"], ["."], ["test_h.py", "test_a.py", "package", "test_b.py"]])
def test_each_test_runs_in_one_shard(split, options):
    if "-n" in options:
        pytest.importorskip("xdist")
    whole = ran(split, "-v", *options)
    parts = shards(split, 3, *options)
    assert collections.Counter(whole) == collections.Counter(id for part in parts for id in part) and len(set(whole)) == len(whole)
    files = [{id.split("::")[0] for id in part} for part in parts]
    assert sum(map(len, files)) == len(set().union(*files))
    if "test_h.py" not in options:
        assert files[1] >= {"test_f.py", "package/test_deep.py", "test_e.py"}


def test_files_run_in_the_order_of_the_plan_and_new_ones_behind_them(split):
    parts = [list(dict.fromkeys(id.split("::")[0] for id in part)) for part in shards(split, 3)]
    planned = [["test_c.py", "test_a.py"], ["test_f.py", "package/test_deep.py", "test_e.py"], ["test_d.py", "test_b.py"]]
    for part, files in zip(parts, planned):
        assert part[: len(files)] == files
        assert set(part[len(files) :]) <= {"test_g.py", "test_h.py"}


@pytest.mark.parametrize("options", [["-q"], ["-n", "2", "--dist", "loadfile"]])
def test_a_plan_of_one_shard_is_warned_of_once(split, options):
    if "-n" in options:
        pytest.importorskip("xdist")
    run = lambda: split.run(*options, "--highwater-shard", "1/3", "--highwater-plan=plan.json").stdout.decode()
    assert "highwater: warning" not in run()
    document = json.loads((split.tests / "plan.json").read_text())
    document["shard"] = {"index": 2, "total": 3}
    (split.tests / "plan.json").write_text(json.dumps(document))
    told = run()
    assert told.count("was shard 2 of 3: files of the other shards are in none of its jobs") == 1, told


def test_the_files_of_other_shards_are_not_even_imported(split):
    (split.tests / "test_d.py").write_text("raise SystemError('imported')\n")
    first, second = (ran(split, "-v", "--highwater-shard", "%d/3" % index, "--highwater-plan=plan.json") for index in (1, 2))
    assert first and second


def test_a_new_file_goes_with_the_group_that_it_looks_like(suite):
    suite.write(test_db_a=BODY, test_db_new=BODY, test_db_newer=BODY, test_db_newest=BODY, test_x=BODY)
    plan(suite, [["test_x.py"], ["test_db_a.py"]], [{"globs": ["test_none*", "test_db_*"], "job": 2}])
    parts = shards(suite, 2)
    assert {id.split("::")[0] for id in parts[0]} == {"test_x.py"}
    assert {id.split("::")[0] for id in parts[1]} == {"test_db_a.py", "test_db_new.py", "test_db_newer.py", "test_db_newest.py"}


@pytest.mark.parametrize("options", [[], ["-n", "1"]])
def test_a_shard_whose_files_are_gone_is_no_failure(suite, options):
    if options:
        pytest.importorskip("xdist")
    suite.write(test_x=BODY)
    plan(suite, [["test_x.py"], ["test_gone.py"]])
    assert [len(part) for part in shards(suite, 2, *options)] == [4, 0]
    # But a suite without a test is one, as ever.
    (suite.tests / "test_x.py").unlink()
    done = suite.run("--highwater-shard", "1/2", "--highwater-plan=plan.json", *options)
    assert done.returncode == 5, done.stdout.decode()


@pytest.mark.parametrize("options", [[], ["-n", "1"]])
@pytest.mark.parametrize(
    "selected, code",
    [
        # It matches nothing anywhere, and nothing of this shard.
        (["-k", "nowhere"], 5),
        (["-m", "marked"], 5),
        # It matches something of this shard.
        (["-k", "test_other"], 0),
        # This shard has no file among those that are asked for.
        (["test_y.py"], 0),
        (["test_y.py", "-k", "nowhere"], 0),
    ],
)
def test_a_selection_that_leaves_no_test_of_a_shard_ends_as_without_a_plan(suite, options, selected, code):
    if options:
        pytest.importorskip("xdist")
    suite.write(test_x=BODY, test_y=BODY)
    plan(suite, [["test_x.py"], ["test_y.py"]])
    done = suite.run("--highwater-shard", "1/2", "--highwater-plan=plan.json", *options, *selected)
    assert done.returncode == code, done.stdout.decode()


NESTED = """
import os, subprocess, sys
def test_starts_another(tmp_path):
    (tmp_path / "test_inner.py").write_text("def test_one(): pass\\ndef test_two(): pass")
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)], stdout=subprocess.PIPE)
    assert b"2 passed" in done.stdout and b"shard" not in done.stdout, done.stdout.decode()
"""


@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_variables_are_for_the_pytest_that_is_split_alone(suite, options):
    if options:
        pytest.importorskip("xdist")
    suite.write(test_nested=NESTED, test_x=BODY)
    plan(suite, [["test_nested.py"], ["test_x.py"]])
    given = {"HIGHWATER_PLAN": "plan.json", "HIGHWATER_SHARD": "1/2"}
    assert ran(suite, "-v", *options, **given) == ["test_nested.py::test_starts_another"]
    # What says which job it is says nothing of a plan.
    assert len(ran(suite, "-v", *options, HIGHWATER_SHARD="1/2")) == 5


@pytest.mark.parametrize(
    "options, why",
    [
        (["--highwater-shard", "1/2"], "needs --highwater-plan=FILE"),
        (["--highwater-plan=plan.json"], "needs --highwater-shard I/N"),
        (["--highwater-shard", "0/2", "--highwater-plan=plan.json"], "'0/2' is not a shard from 1/N to N/N"),
        (["--highwater-shard", "1", "--highwater-plan=plan.json"], "'1' is not a shard"),
        (["--highwater-shard", "1/3", "--highwater-plan=plan.json"], "has 2 jobs, so the shards are 1/2 to 2/2"),
        (["--highwater-shard", "1/2", "--highwater-plan=none.json"], "none.json: No such file"),
        (["--highwater-shard", "1/2", "--highwater-plan=test_x.py"], "this is no plan"),
        (["--highwater-shard", "1/2", "--highwater-plan=list.json"], "this is no plan"),
        (["--highwater-shard", "1/2", "--highwater-plan=changed.json"], "was changed after it was made"),
    ],
)
def test_what_cannot_be_followed_is_refused(suite, options, why):
    suite.write(test_x=BODY)
    plan(suite, [["test_x.py"], ["test_y.py"]])
    (suite.tests / "list.json").write_text("[]")
    changed = json.loads((suite.tests / "plan.json").read_text())
    changed["jobs"][1]["files"].append("test_z.py")
    (suite.tests / "changed.json").write_text(json.dumps(changed))
    done = suite.run(*options)
    told = done.stdout.decode()
    assert done.returncode == 4 and why in told and "Traceback" not in told, told


BEHIND = ["--highwater-shard", "1/2", "--highwater-plan", "../.plans/plan.json"]


@pytest.fixture
def backend(suite):
    """A suite with an ini of its own, whose plan lies above it."""
    suite.write(test_x=BODY, check_y=BODY, check_z=BODY)
    (suite.tests / "pytest.ini").write_text("[pytest]\npython_files = check_*.py test_*.py\n")
    plan(suite, [["test_x.py", "check_y.py"], ["check_z.py"]])
    (suite.folder / ".plans").mkdir()
    (suite.tests / "plan.json").rename(suite.folder / ".plans" / "plan.json")
    return suite


@pytest.mark.parametrize("way", ["command line", "PYTEST_ADDOPTS", "ini", "-n"])
def test_a_path_behind_a_space_is_refused_for_pytest_would_miss_the_ini_of_the_suite(backend, need, way):
    options, variables = [], {}
    if way == "PYTEST_ADDOPTS":
        variables["PYTEST_ADDOPTS"] = " ".join(BEHIND)
    elif way == "ini":
        with open(str(backend.tests / "pytest.ini"), "a") as ini:
            ini.write("addopts = %s\n" % " ".join(BEHIND))
    else:
        options += BEHIND
        if way == "-n":
            need("xdist", "pytest-xdist")
            options += ["-n", "1"]
    done = backend.run(*options, **variables)
    told = done.stdout.decode()
    assert done.returncode == 4 and "write --highwater-plan=../.plans/plan.json, with = instead of a space" in told and "Traceback" not in told, told


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_path_behind_an_equals_sign_leaves_the_suite_its_ini(backend, by_variable):
    words = BEHIND[:2] + ["=".join(BEHIND[2:])]
    options, variables = ([], {"PYTEST_ADDOPTS": " ".join(words)}) if by_variable else (words, {})
    files = {id.split("::")[0] for id in ran(backend, "-v", *options, **variables)}
    assert files == {"test_x.py", "check_y.py"}


def test_what_is_no_path_may_stand_behind_a_space(suite):
    suite.write(test_x=BODY)
    done = suite.run("--highwater-shard", "1/2", "--highwater-plan", "none.json")
    told = done.stdout.decode()
    assert done.returncode == 4 and "none.json: No such file" in told, told


def test_a_shard_that_is_a_path_too_is_refused_behind_a_space(suite):
    suite.write(test_x=BODY)
    plan(suite, [["test_x.py"]])
    (suite.tests / "1" / "1").mkdir(parents=True)
    done = suite.run("--highwater-shard", "1/1", "--highwater-plan=plan.json")
    assert done.returncode == 4 and b"write --highwater-shard=1/1" in done.stdout, done.stdout.decode()
    assert len(ran(suite, "-v", "--highwater-shard=1/1", "--highwater-plan=plan.json")) == 4


def test_an_id_is_worked_out_as_the_agent_does():
    # The same figures stand in a test of the wire's PlanReport.
    jobs = [["tests/test_a.py", "tests/test_ü b.py"], ["job 1"]]
    assert _digest(uuid.UUID(RECORDED), jobs, [(["tests/*", "?"], 1)]) == GOLDEN


GOLDEN = "2a2b0170-0df6-5fe7-9f61-fdb1e6127b53"


@pytest.mark.parametrize(
    "glob, path, matches",
    [
        ("tests/db/*", "tests/db/a/test_x.py", True),
        ("tests/db/*", "tests/db2/test_x.py", False),
        ("*db*", "tests/db2/test_x.py", True),
        ("test_?.py", "test_\u00e9.py", True),
        ("test_?.py", "test_ab.py", False),
        ("test_[ab].py", "test_a.py", False),
        ("test_[ab].py", "test_[ab].py", True),
        ("a*b*c", "aXbYbZc", True),
        ("a*b*c", "aXbYbZ", False),
        ("", "", True),
        ("", "a", False),
        ("**", "", True),
        ("a?", "a", False),
        # A regular expression would look at this for years.
        ("*a" * 40 + "b", "a" * 4000, False),
    ],
)
def test_a_glob_means_what_it_means_to_the_agent(glob, path, matches):
    assert _is_like(glob, path) == matches


def test_new_files_are_spread_over_the_jobs_and_stay_where_they_are():
    plan = Plan("", [["a"], ["b"], ["c"]], [])
    jobs = collections.Counter(plan.job_of("tests/test_%d.py" % number) for number in range(300))
    assert min(jobs[job] for job in (1, 2, 3)) > 70
    # The same on every machine and in every process: no file of a shard that starts later may move.
    assert [plan.job_of("tests/test_%d.py" % number) for number in range(8)] == PLACES


PLACES = [3, 3, 2, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("jobs, together, why", [
    ([["test_a.py\n test_b.py"], []], [], "a name of several lines"),
    ([["test_a.py"], []], [{"globs": ["x*"], "job": 9}], "a group of a job that is not there"),
])
def test_a_plan_that_could_stand_for_another_is_refused(suite, jobs, together, why):
    plan(suite, jobs, together)
    with pytest.raises(pytest.UsageError, match=why):
        Plan.read(str(suite.tests / "plan.json"))


@pytest.mark.parametrize("changed, why", [
    (lambda text: b"\xef\xbb\xbf" + text.encode(), "it begins with a byte order mark"),
    (lambda text: text.encode("utf-16"), "'utf-8' codec can't decode"),
    (lambda text: text.encode("utf-16-le"), "Expecting property name"),
    (lambda text: text.replace("{", '{"id": "", ', 1).encode(), "'id' stands in it twice"),
    (lambda text: text.replace('"index": 1', '"index": 1, "index": 1').encode(), "'index' stands in it twice"),
    (lambda text: text.replace('"index": 1', '"index": NaN').encode(), "NaN is no number"),
])
def test_a_plan_that_the_agent_does_not_read_is_refused(suite, changed, why):
    suite.write(test_x=BODY)
    plan(suite, [["test_x.py"], ["test_y.py"]])
    made = suite.tests / "plan.json"
    made.write_bytes(changed(made.read_text()))
    done = suite.run("--highwater-shard=1/2", "--highwater-plan=plan.json")
    told = done.stdout.decode()
    assert done.returncode == 4 and "this is no plan that `highwater plan` made: " + why in told and "Traceback" not in told, told


def test_a_plan_as_deep_as_no_plan_is_refused(suite):
    (suite.tests / "plan.json").write_text("[" * 200_000)
    with pytest.raises(pytest.UsageError, match="this is no plan"):
        Plan.read(str(suite.tests / "plan.json"))
