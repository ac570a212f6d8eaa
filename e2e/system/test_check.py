"""A check tells a job that got worse from those that did not, and ends with what CI needs."""

import html
import json
import re
import subprocess

import pytest

from conftest import PYTEST

MIB = 1 << 20
SUITE = """
kept = []

def test_holds():
    kept.append(b"x" * ({retained} << 20))

def test_needs_for_a_while():
    assert len(b"y" * ({spike} << 20))
"""


@pytest.fixture
def suite(recorder):
    """Writes a suite of five files that retain 3 to 7 MiB each, of which one retains or needs more where it is told to; records it at a commit."""

    def record(server, commit, number=2, retained=0, spike=0, flags=(), words=()):
        for at in range(5):
            own = at == number
            text = SUITE.format(retained=3 + at + own * retained, spike=30 + own * spike)
            (recorder.folder / ("test_%d.py" % at)).write_text(text)
        summary = recorder.run(PYTEST + list(words), server, flags=["--commit", commit * 40, "--branch", "main", *flags])
        server.job(summary["uuid"])
        return summary["uuid"]

    record.recorder = recorder
    return record


def checked(suite, server, *words, stdout=subprocess.PIPE, **variables):
    recorder = suite.recorder
    command = recorder.command([], server)[:1] + ["check", "--server", server.url, *(str(word) for word in words)]
    environment = recorder.environment(**variables)
    return subprocess.run(command, cwd=str(recorder.folder), env=environment, stdout=stdout, stderr=subprocess.PIPE, universal_newlines=True)


def test_a_file_that_holds_more_fails_the_check_of_its_commit_and_of_no_other(own_server, suite):
    server = own_server
    jobs = [suite(server, commit) for commit in "12345"]
    early = checked(suite, server, jobs[3])
    assert early.returncode == 3 and early.stdout.startswith("not enough data: "), early
    clean = checked(suite, server, suite(server, "6"))
    assert clean.returncode == 0 and clean.stdout.startswith("clean: Nothing got worse beside 5 jobs of main."), clean
    worse = suite(server, "7", retained=40)
    done = checked(suite, server, worse)
    assert done.returncode == 1, done
    assert "test_2.py retains 45." in done.stdout and "40.0 MiB more than before (5." in done.stdout, done.stdout
    report = json.loads(checked(suite, server, worse, "--format", "json").stdout)
    assert report == server.get("/api/v1/jobs/%s/check" % worse)
    files = [(it["figure"], it["path"]) for it in report["findings"] if it["path"]]
    assert files == [("retained", "test_2.py")], report
    assert [it["figure"] for it in report["findings"] if not it["path"]] == ["peak"]
    assert report["verdict"] == "regression" and len(report["baseline"]["jobs"]) == 6
    assert checked(suite, server, worse, "--fail-on", "limit").returncode == 0
    # Every form of the report tells it.
    told = re.compile(r"retains 4[45]\.\d MiB, (39|40)\.\d MiB more than before")
    for form in ["markdown", "html", "json", "github", "gitlab"]:
        text = server.text("/api/v1/jobs/%s/report?format=%s" % (worse, form))
        assert told.search(text), (form, text)
    page = server.text("/jobs/%s" % worse)
    assert "Beside the jobs before" in page and "beside 6 jobs of main" in page and ">worse<" in page
    # And no form says that nothing is to be done above it.
    next_step = re.compile(r"Next:(?:</strong>|\*\*)? Look at (?:the peak of the job|what test_2\.py retains), which got worse, and at 1 more finding\.")
    for form in ["terminal", "markdown", "html"]:
        text = server.text("/api/v1/jobs/%s/report?format=%s" % (worse, form))
        assert next_step.search(html.unescape(text)) and "Nothing to do" not in text, (form, text)
    assert "Nothing to do." not in page and next_step.search(page.replace("<wbr>", "")) and '<a href="#check">All that was found</a>' in page
    document = json.loads(server.text("/api/v1/jobs/%s/report?format=json" % worse))
    assert document["job"]["ending"]["next_step"].startswith("Look at "), document["job"]["ending"]
    # The next commit holds as much and did nothing.
    after = checked(suite, server, suite(server, "8", retained=40))
    assert after.returncode == 0 and "It came with an earlier job." in after.stdout, after
    gone = checked(suite, server, suite(server, "9"))
    assert gone.returncode == 0, gone


def test_limits_other_jobs_and_wrong_words_are_told_by_the_exit_code(own_server, suite):
    server, recorder = own_server, suite.recorder
    summary = recorder.folder / "summary.json"
    job = suite(server, "1", spike=60, flags=["--summary", str(summary)])
    assert summary.exists()
    over = checked(suite, server, summary, "--max-spike", "64MiB", "--fail-on", "limit")
    assert over.returncode == 1 and "test_2.py needs for a while" in over.stdout and "above the limit of 64.0 MiB." in over.stdout, over
    assert checked(suite, server, job, "--max-spike", "200MiB", "--fail-on", "limit").returncode == 0
    assert checked(suite, server, HIGHWATER_JOB=job).returncode == 3
    odd = checked(suite, server, HIGHWATER_JOB="seven")
    assert odd.returncode == 2 and "HIGHWATER_JOB is no uuid of a job" in odd.stderr, odd
    # An answer that nobody has is none.
    with open("/dev/full", "w") as full:
        unwritten = checked(suite, server, job, stdout=full)
    assert unwritten.returncode == 2 and "standard output: the answer cannot be written" in unwritten.stderr, unwritten
    for words in [["nowhere.json"], [], ["01a217ad-3c01-706d-b18e-a7c722ef9cf3"], [job, "--max-peak", "much"]]:
        wrong = checked(suite, server, *words)
        assert wrong.returncode == 2 and wrong.stderr.strip(), wrong


def test_a_job_is_compared_with_those_that_ran_alike(own_server, suite):
    server = own_server
    for commit in "12345":
        suite(server, commit)
        suite(server, commit, flags=["--job", "other"], retained=50)
    other = checked(suite, server, suite(server, "6", words=["-n", "2"]))
    assert other.returncode == 3, other
    more = suite(server, "6", retained=40, words=["-k", "test_2 or holds"])
    assert checked(suite, server, more).returncode == 1
    branch = checked(suite, server, suite(server, "7", flags=["--branch", "feature"], retained=40), "--baseline", "nowhere")
    assert branch.returncode == 3 and "jobs of nowhere" in branch.stdout, branch


def blamed(suite, server, *words):
    recorder = suite.recorder
    command = recorder.command([], server)[:1] + ["blame", "--server", server.url, *words]
    environment = recorder.environment(HIGHWATER_PROJECT="test/suite")
    return subprocess.run(command, cwd=str(recorder.folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def test_blame_names_the_commits_with_which_a_file_changed(own_server, suite):
    server = own_server
    early = blamed(suite, server)
    assert early.returncode == 2 and "what changed of " in early.stderr, early
    jobs = [suite(server, commit, retained=40 * (commit in "789a")) for commit in "123456789abcde"]
    done = blamed(suite, server, "./test_2.py")
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2 changes of test_2.py in the 14 jobs of main."), done.stdout
    assert lines[1].startswith("  Since bbbbbbbbbb (") and "test_2.py retains 5." in lines[1], done.stdout
    assert ", 40.0 MiB less than in the 4 jobs before; likely." in lines[1], done.stdout
    assert lines[2].startswith("  From 7777777777 (") and ") to aaaaaaaaaa (" in lines[2], done.stdout
    assert "test_2.py retained 45." in lines[2] and "40.0 MiB more than in the 6 jobs before; likely." in lines[2], done.stdout
    assert lines[3].startswith("Looked at: 14 of job ") and ", python 3." in lines[3], done.stdout
    report = json.loads(blamed(suite, server, "test_2.py", "--project", "test/suite", "--branch", "main", "--format", "json").stdout)
    assert report == server.get("/api/v1/projects/test~suite/changes/test_2.py")
    assert [it["since"]["uuid"] for it in report["changes"]] == [jobs[10], jobs[6]], report
    calm = blamed(suite, server, "test_1.py")
    assert calm.returncode == 0 and calm.stdout.startswith("Nothing of test_1.py changed for good in the 14 jobs of main."), calm
    whole = blamed(suite, server)
    assert "test_2.py retained 45." in whole.stdout and " peaked at " in whole.stdout, whole.stdout
    assert "test_1.py" not in whole.stdout and "test_3.py" not in whole.stdout, whole.stdout
    # One job that ran in another way hides none of it.
    suite(server, "f", words=["-n", "2"])
    assert blamed(suite, server, "test_2.py").stdout == done.stdout
    for words in [["nowhere.py"], ["test_2.py", "--job", "other"], ["--project", "other/project"], ["--project", "odd"]]:
        wrong = blamed(suite, server, *words)
        assert wrong.returncode == 2 and wrong.stderr.strip(), wrong


def test_blame_counts_the_job_that_was_sent_a_moment_ago(own_server, suite):
    """The server figures out a job after it took it: who asks in between waits."""
    recorder = suite.recorder
    suite(own_server, "1")
    for at, commit in enumerate("23456789abcdef", 2):
        recorder.run(PYTEST, own_server, flags=["--commit", commit * 40, "--branch", "main"])
        whole, of_file = json.loads(blamed(suite, own_server, "--format", "json").stdout), json.loads(blamed(suite, own_server, "test_1.py", "--format", "json").stdout)
        counted = [jobs["jobs"] for jobs in whole["looked_at"] + of_file["looked_at"]]
        assert counted == [at, at], (at, counted)


def test_what_a_check_goes_by_stands_in_the_project_too(own_server, suite):
    server, recorder = own_server, suite.recorder
    job = suite(server, "1", spike=60)
    project = recorder.folder / "pyproject.toml"
    project.write_text("[tool.highwater.check]\nfail-on = 'limit'\nmax-spike = '64MiB'\n")
    over = checked(suite, server, job)
    assert over.returncode == 1 and "above the limit of 64.0 MiB." in over.stdout, over
    # A variable goes before the file, and a flag before both.
    assert checked(suite, server, job, HIGHWATER_MAX_SPIKE="200MiB").returncode == 0
    assert checked(suite, server, job, "--max-spike", "64MiB", HIGHWATER_MAX_SPIKE="200MiB").returncode == 1
    assert checked(suite, server, job, "--fail-on", "never").returncode == 0
    project.write_text("[tool.highwater.check]\nmax-spikes = '64MiB'\n")
    wrong = checked(suite, server, job)
    assert wrong.returncode == 2 and "pyproject.toml: [tool.highwater.check] max-spikes: there is no such setting; there are fail-on" in wrong.stderr, wrong
    # The tests run all the same, and are told of it.
    summary = recorder.run(PYTEST, server)
    assert summary["ending"]["verdict"] == "passed" and b"max-spikes: there is no such setting" in recorder.done.stderr, recorder.done


FILES = "[[tool.highwater.check.files]]\n"


def test_a_file_that_is_known_to_need_more_has_limits_of_its_own(own_server, suite):
    server, recorder = own_server, suite.recorder
    # test_2.py retains 45 MiB and needs more than 90, each of the others less than 40.
    job = suite(server, "1", retained=40, spike=60)
    project = recorder.folder / "pyproject.toml"
    of_each = "[tool.highwater.check]\nfail-on = 'limit'\nmax-retained = '40MiB'\nmax-spike = '64MiB'\n"
    project.write_text(of_each)
    over = checked(suite, server, job)
    assert over.returncode == 1 and over.stdout.count("  limit ") == 2, over
    lifted = of_each + FILES + "path = 'test_2*'\nmax-retained = '50MiB'\nmax-spike = 'off'\n"
    project.write_text(lifted)
    done = checked(suite, server, job)
    assert done.returncode == 0 and "  limit " not in done.stdout and "Limits for files" not in done.stdout, done
    # The last table that says something of the figure counts, and one that is for no file is told.
    project.write_text(lifted + FILES + "path = 'test_?.py'\nmax-retained = '44MiB'\n" + FILES + "path = 'e2e/**'\nmax-peak = '1GB'\n")
    done = checked(suite, server, job)
    assert done.returncode == 1, done
    told = re.findall(r"  limit +(\S+) retains 45\.\d MiB, above the limit of 44\.0 MiB \(max-retained of test_\?\.py\)\.\n", done.stdout)
    assert told == ["test_2.py"] and done.stdout.count("  limit ") == 1, done.stdout
    assert "Limits for files that the job did not run: e2e/**\n" in done.stdout, done.stdout
    report = json.loads(checked(suite, server, job, "--format", "json").stdout)
    assert [it["limit"] for it in report["findings"]] == [{"name": "max_retained", "files": "test_?.py"}], report
    assert report["unmatched_limits"] == ["e2e/**"]
    # A variable comes after the file, and a flag after both.
    variable = "\ntest_2.py=max-retained:1GB\ntest_4.py=max-spike:off\n"
    assert checked(suite, server, job, HIGHWATER_FILE_LIMIT=variable).returncode == 0
    flags = ["--file-limit", "test_0.py=max-peak:off", "--file-limit", "test_4*=max-retained:1MB,max-spike:1GB"]
    done = checked(suite, server, job, *flags, HIGHWATER_FILE_LIMIT=variable)
    assert done.returncode == 1 and done.stdout.count("  limit ") == 1 and "(max-retained of test_4*)" in done.stdout, done
    # Without any of it a flag is enough.
    project.unlink()
    done = checked(suite, server, job, "--fail-on", "limit", "--file-limit", "test_3.py=max-peak:8MB")
    assert done.returncode == 1 and re.search(r"  limit +test_3\.py peaks at [\d.]+ MiB, above the limit of 7\.6 MiB \(max-peak of test_3\.py\)\.\n", done.stdout), done
    acknowledge = recorder.command([], server)[:1] + ["acknowledge", "--server", server.url, "test_3.py", "--figure", "peak"]
    acknowledge += ["--reason", "known", "--days", "3", "--in", job]
    subprocess.run(acknowledge, cwd=str(recorder.folder), env=recorder.environment(), check=True)
    done = checked(suite, server, job, "--fail-on", "limit", "--file-limit", "test_3.py=max-peak:8MB")
    assert done.returncode == 0 and "  acknowledged test_3.py peaks at " in done.stdout, done


def test_limits_that_the_project_sets_are_told_wherever_the_job_is(own_server, suite):
    """At the end of the recording, in its reports and on its page, without a check and without jobs to compare with."""
    server, recorder = own_server, suite.recorder
    project = recorder.folder / "pyproject.toml"
    # test_2.py retains 45 MiB, test_3.py 6 and needs about 30 for a while.
    project.write_text(FILES + "path = 'test_2.py'\nmax-retained = '40MiB'\n" + FILES + "path = 'test_3.py'\nmax-retained = '6.5MiB'\n")
    over = re.compile(r"test_2\.py retains 45\.\d MiB, above the limit of 40\.0 MiB \(max-retained of test_2\.py\)\.")
    near = re.compile(r"test_3\.py retains 6\.\d MiB, near the limit of 6\.5 MiB \(max-retained of test_3\.py\)\.")
    job = suite(server, "1", retained=40)
    told = recorder.done.stderr.decode()
    assert re.search(r"^Found: warning  %s$" % over.pattern, told, re.MULTILINE), told
    assert re.search(r"^       notice   %s$" % near.pattern, told, re.MULTILINE), told
    assert re.search(r"^Next: Look at what test_2\.py retains, which is beyond its limit\.$", told, re.MULTILINE) and "Nothing to do" not in told, told
    assert server.get("/api/v1/jobs/%s" % job)["check_limits"]["files"] == ["test_2.py=max-retained:41943040", "test_3.py=max-retained:6815744"]
    for form in ["terminal", "markdown", "html", "json", "github", "gitlab"]:
        text = html.unescape(server.text("/api/v1/jobs/%s/report?format=%s" % (job, form)))
        assert over.search(text) and near.search(text), (form, text)
        assert form in ("json", "github", "gitlab") or "Look at what test_2.py retains, which is beyond its limit." in text, (form, text)
    page = server.text("/jobs/%s" % job).replace("<wbr>", "")
    assert ">over the limit<" in page and ">near the limit<" in page and "Beside its limits" in page, page
    assert "Next:</strong> Look at what test_2.py retains, which is beyond its limit." in page, page
    # What the page leads to holds the job to the same.
    told = server.get(html.unescape(re.search('href="(/api/v1/jobs/[^"]*/check[^"]*)"', page).group(1)))
    assert [it["cause"] for it in told["findings"]] == ["limit", "near_limit"], told
    # A report of the spool tells the same.
    recorder.run(PYTEST)
    command = recorder.command([])[:1] + ["report", "--spool", str(recorder.spool)]
    for form in ["terminal", "markdown", "html"]:
        done = subprocess.run(command + ["--format", form], cwd=str(recorder.folder), env=recorder.environment(), stdout=subprocess.PIPE, universal_newlines=True, check=True)
        assert over.search(html.unescape(done.stdout)) and "Nothing to do" not in done.stdout, done.stdout
    # What a flag of the check sets is for that check alone.
    clean = checked(suite, server, job, "--fail-on", "limit", "--file-limit", "test_2.py=max-retained:off")
    assert clean.returncode == 0 and "near limit" in clean.stdout, clean
    # A limit in a variable that cannot be is told, and the tests run.
    summary = recorder.run(PYTEST, HIGHWATER_FILE_LIMIT="nothing")
    assert summary["ending"]["verdict"] == "passed" and summary["check_limits"] is None
    assert 'HIGHWATER_FILE_LIMIT: "nothing" is no limit of files' in recorder.done.stderr.decode(), recorder.done


def test_limits_of_files_that_cannot_be_are_told_with_what_is_allowed(own_server, suite):
    server, recorder = own_server, suite.recorder
    job = suite(server, "1")
    for flag, says in [
        ("tests/**", '"tests/**" is no limit of files, such as tests/e2e/**=max-retained:5MB,max-spike:off'),
        ("tests/**=max-retaind:5MB", "tests/**: max-retaind: there is no such limit of files; there are max-retained, max-spike and max-peak"),
        ("tests/**=max-spike:much", 'tests/**: max-spike: "much" is not a size such as 3GB or 200MiB, nor off'),
    ]:
        wrong = checked(suite, server, job, "--file-limit", flag)
        assert wrong.returncode == 2 and says in wrong.stderr and "--file-limit" in wrong.stderr, wrong
        wrong = checked(suite, server, job, HIGHWATER_FILE_LIMIT=flag)
        assert wrong.returncode == 2 and "HIGHWATER_FILE_LIMIT: " + says in wrong.stderr, wrong
    many = checked(suite, server, job, *["--file-limit", "a=max-peak:1"] * 101)
    assert many.returncode == 2 and "101 limits of files are more than 100" in many.stderr, many
    project = recorder.folder / "pyproject.toml"
    for table, says in [
        ("max-peak = '1GB'\n", "number 1: path is missing"),
        ("path = 'a'\nmax-peek = '1GB'\n", "number 1: max-peek: there is no such setting; there are path, max-retained, max-spike, max-peak"),
        ("path = 'a'\n", "number 1: a: no limit is given; give max-retained, max-spike or max-peak"),
    ]:
        project.write_text(FILES + table)
        wrong = checked(suite, server, job)
        assert wrong.returncode == 2 and "pyproject.toml: [[tool.highwater.check.files]], " + says in wrong.stderr, wrong
    # The tests run all the same, and are told of it.
    summary = recorder.run(PYTEST, server)
    assert summary["ending"]["verdict"] == "passed" and b"number 1: a: no limit is given" in recorder.done.stderr, recorder.done


def test_a_branch_is_held_against_what_was_there_where_it_began_and_its_own_jobs_count_all(own_server, suite):
    server = own_server
    # Of a branch that lives long git says that it began where it was last merged.
    began = ["--branch", "develop", "--base-commit", "2" * 40]
    jobs = [suite(server, commit, flags=began) for commit in "1234567"]
    own = json.loads(checked(suite, server, jobs[-1], "--baseline", "develop", "--format", "json").stdout)
    assert [job["commit"][0] for job in own["baseline"]["jobs"]] == list("123456")
    # Another that began before the last of them.
    topic = suite(server, "8", flags=["--branch", "topic", "--base-commit", "5" * 40])
    other = json.loads(checked(suite, server, topic, "--baseline", "develop", "--format", "json").stdout)
    assert [job["commit"][0] for job in other["baseline"]["jobs"]] == list("12345")
