"""A suite that grows into its limit: the crossing is named while there is still time."""

import json
import re
import shlex
import subprocess

import pytest
from conftest import BINARIES, MB, PYTEST, wait_for
from memory_cells import LOADFILE, NEEDS_CGROUPS, ORDERED, cgroup, ending, write

__all__ = ["cgroup"]

FILES = 40
EACH = 8 * MB
#: Python and pytest, and more than half of the files.
ROOM = 235 * MB
KEEPS = "import room, time\n\nKEPT = []\n\ndef test_keeps():\n    KEPT.append(room.hold(%d))\n    time.sleep(%s)\n\ndef test_after(): pass\n"
WARNING = re.compile(
    r"highwater: warning: If it goes on so, memory comes to .* by the end, after (\d+) of %d files\. "
    r"It crosses the (?:limit of the cgroup|budget), [\d.]+ MiB, at file (\d+) of %d( \((\d+) (?:to (\d+)|at the earliest, perhaps not at all)\))?(, test_(\d+)\.py)?\." % (FILES, FILES)
)


def suite(folder, seconds=0.3):
    write(folder, **{"test_%02d" % at: KEEPS % (EACH, seconds) for at in range(1, FILES + 1)})


@NEEDS_CGROUPS
def test_the_crossing_is_named_before_the_death(server, recorder, cgroup):
    suite(recorder.folder)
    small = cgroup(ROOM)
    running = recorder.start(small.inside(ORDERED), server, GITHUB_ACTIONS="true")
    lines = []
    for line in running.stderr:
        lines.append(line.decode())
        warning = WARNING.search(lines[-1])
        if warning:
            break
    # It still lives, and says so on the page, in the API and to who follows it.
    assert warning and running.poll() is None and small.kills() == 0, "".join(lines)
    uuid = re.search(r"/jobs/(\S+)", "".join(lines)).group(1)

    def warned():
        forecast = server.get("/api/v1/jobs/%s" % uuid)["forecast"]
        return forecast and forecast["is_warning"] and forecast

    forecast = wait_for("the server to warn", warned)
    page = server.text("/jobs/%s" % uuid)
    assert running.poll() is None and small.kills() == 0
    assert "<strong>Warning:</strong> If it goes on so" in page and forecast["crossings"][0]["kind"] == "cgroup"
    lines += [line.decode() for line in running.stderr]
    assert running.wait(60) == 137 and small.kills() == 1

    job = server.job(uuid)
    victim = int(re.match(r"test_(\d+)", ending(job, "oom_cgroup", "certain")["victim"]).group(1))
    done, file, _, low, high, _, name = warning.groups()
    low, high = int(low or file), int(high or (FILES if low else file))
    assert low <= victim <= high and int(name) == int(file) and int(done) < victim - 5, (warning.group(), victim)
    assert low <= forecast["crossings"][0]["file"] <= high
    text = "".join(lines)
    # Once, and as an annotation of GitHub's beside it.
    assert len(WARNING.findall(text)) == 1 and text.count("::warning title=Highwater: forecast::") == 1, text
    assert job["forecast"]["sentence"].startswith("Had it gone on so") and job["forecast"]["files"] == FILES
    assert job["forecast"]["sentence"] in text


@NEEDS_CGROUPS
def test_the_status_of_a_background_agent_warns(recorder, cgroup):
    suite(recorder.folder)
    small = cgroup(ROOM)
    highwater = str(BINARIES / "highwater")
    words = {
        "start": [highwater, "start", "--spool", str(recorder.spool), "--project", "test/suite", "--print-env", "--runner-pid"],
        "tests": small.inside(ORDERED),
        "status": [highwater, "status"],
        "report": [highwater, "report", "--spool", str(recorder.spool), "--format", "github"],
        "stop": [highwater, "stop"],
    }
    script = """
    eval "$(%(start)s $$)"
    (%(tests)s; echo $? > code) &
    until [ -e code ] || %(status)s | tee shown | grep -q '^warning: If it goes on so'; do sleep 0.1; done
    %(status)s --json > shown.json
    wait
    until %(status)s --json > killed.json && grep -q '"by_kernel": true' killed.json; do sleep 0.1; done
    %(status)s > killed
    %(report)s > annotations 2> report.err
    cat %(spool)s/*/agent.log > log
    %(stop)s
    """ % dict({name: shlex.join(command) for name, command in words.items()}, spool=recorder.spool)
    subprocess.run(["bash", "-c", script], cwd=str(recorder.folder), env=recorder.environment(), capture_output=True, timeout=120)
    assert (recorder.folder / "code").read_text().strip() == "137"
    assert "tests done" in (recorder.folder / "shown").read_text() and "\nwarning: If it goes on so" in (recorder.folder / "shown").read_text()
    live = json.loads((recorder.folder / "shown.json").read_text())
    assert live["open_sessions"] == 1 and live["forecast"]["is_warning"] and live["forecast"]["files"] == FILES
    assert live["forecast"]["crossings"][0]["kind"] == "cgroup"
    log = (recorder.folder / "log").read_text()
    assert len(WARNING.findall(log)) == 1, log
    # Once pytest was killed it is not open, what killed it is said, and nothing goes on.
    killed, told = json.loads((recorder.folder / "killed.json").read_text()), (recorder.folder / "killed").read_text()
    assert killed["open_sessions"] == 0 and killed["fallen"][0]["at_us"] > 0
    sentence = killed["fallen"][0]["sentence"]
    assert sentence.startswith("The kernel killed pytest because its cgroup reached its memory limit, after ") and sentence in told
    assert "If it goes on so" not in told and "0 of 1 pytest sessions open" in told, told
    forecast = killed["forecast"]
    assert not forecast["is_warning"] and "cgroup" not in [it["kind"] for it in forecast["crossings"]], forecast
    assert forecast["sentence"].startswith("Had it gone on so") and "It had reached the limit of the cgroup, 224.1 MiB." in forecast["sentence"]
    annotations = (recorder.folder / "annotations").read_text()
    assert "::error " in annotations and "The kernel killed pytest" in annotations and "If it goes on so" not in annotations, (annotations, (recorder.folder / "report.err").read_text())


def test_workers_are_forecast_together_against_a_budget(recorder):
    pytest.importorskip("xdist")
    suite(recorder.folder, 0.6)
    summary = recorder.run(LOADFILE, flags=["--budget", "330MB"])
    text = recorder.done.stderr.decode()
    warning = WARNING.search(text)
    assert recorder.done.returncode == 0 and warning, text
    peak, low, high = (float(figure) * 1024 * 1024 for figure in re.search(r"comes to ([\d.]+) MiB \(([\d.]+) MiB to ([\d.]+) MiB\)", text).groups())
    # The warning comes as early as it can: what it promises then is its interval, nine times in ten.
    truth = summary["peak_bytes"]
    assert low <= peak <= high and 0.9 * low <= truth <= 1.1 * high, (low, peak, high, truth)
    done, file, _, first, last, _, name = warning.groups()
    # Who of the workers ends which file when is not known.
    assert name is None and int(done) < int(first or file) <= int(file) <= int(last or FILES) <= FILES


def test_a_suite_that_fits_is_not_warned_of_and_has_no_forecast_at_its_end(recorder):
    suite(recorder.folder, 0.01)
    summary = recorder.run(PYTEST, flags=["--memory-limit", "20GB"])
    assert recorder.done.returncode == 0 and summary["forecast"] is None
    assert b"warning: If it goes on so" not in recorder.done.stderr


def test_history_tells_before_the_first_file_has_ended(own_server, recorder):
    """The second job of a name knows from the first what its last file takes."""
    suite(recorder.folder, 0.01)
    (recorder.folder / "test_41.py").write_text("import room\n\ndef test_spikes():\n    room.hold(300_000_000)\n")
    first = recorder.run(PYTEST, own_server)
    own_server.job(first["uuid"])
    # This time it waits in its first file until it was looked at.
    waits = "import pathlib, time\n\ndef test_waits():\n    while not pathlib.Path('seen').exists():\n        time.sleep(0.02)\n"
    (recorder.folder / "test_00.py").write_text(waits)
    running = recorder.start(PYTEST, own_server)
    line = running.stderr.readline().decode()
    uuid = re.search(r"/jobs/(\S+)", line).group(1)

    def forecast():
        jobs = own_server.get("/api/v1/projects/test~suite/jobs")["jobs"]
        return any(job["uuid"] == uuid for job in jobs) and own_server.get("/api/v1/jobs/%s" % uuid)["forecast"]

    found = wait_for("a forecast", forecast)
    (recorder.folder / "seen").write_text("")
    assert found["files_done"] == 0 and found["files_known"] == FILES + 1 and found["files"] == FILES + 2
    running.communicate(timeout=120)
    job = own_server.job(uuid)
    assert abs(found["peak_bytes"]["value"] - job["peak_bytes"]) < 0.1 * job["peak_bytes"], (found, job["peak_bytes"])
    assert found["peak_bytes"]["low"] <= job["peak_bytes"] <= found["peak_bytes"]["high"]


def test_a_short_suite_is_warned_before_its_limit(recorder):
    """A look that could tell nothing yet does not take the time of the first that can."""
    for at in range(1, 12):
        write(recorder.folder, **{"test_%02d" % at: KEEPS % (15 * MB, 0.6)})
    recorder.run(ORDERED, flags=["--budget", "170MB"])
    text = recorder.done.stderr.decode()
    warning = re.search(r"warning: If it goes on so, .* after (\d+) of 11 files\. It crosses the budget, [\d.]+ MiB, at file (\d+)", text)
    # The first file is no measure for others; so six are behind it.
    assert warning and int(warning.group(1)) == 7, text


def test_a_job_that_ran_all_its_files_is_not_told_what_another_job_ran(own_server, recorder):
    suite(recorder.folder, 0.05)
    whole = recorder.run(ORDERED, own_server, flags=["--no-plugin"])
    assert own_server.job(whole["uuid"])["ending"]["verdict"] == "passed"
    # The same again, then one file alone, and that with tests that fail.
    (recorder.folder / "test_01.py").write_text(KEEPS % (EACH, 0.3) + "\ndef test_fails():\n    assert False\n")
    for command, code in [(ORDERED, 1), (ORDERED + ["test_01.py"], 1), (ORDERED + ["test_02.py"], 0)]:
        summary = recorder.run(command, own_server, flags=["--no-plugin"])
        assert recorder.done.returncode == code
        job = own_server.job(summary["uuid"])
        page = own_server.text("/jobs/%s" % summary["uuid"])
        assert job["forecast"] is None and summary["forecast"] is None, job["forecast"]
        assert "gone on so" not in page and "Cut this suite" not in page
        report = own_server.text("/api/v1/jobs/%s/report?format=markdown" % summary["uuid"])
        assert "gone on so" not in report and "not known |" in report


@NEEDS_CGROUPS
def test_what_to_do_runs_as_it_is_printed(own_server, recorder, cgroup):
    suite(recorder.folder, 0.05)
    small = cgroup(ROOM)
    recorder.run(small.inside(ORDERED), own_server)
    hint = re.search(r"To cut the suite into jobs that fit: highwater (plan .*)", recorder.done.stderr.decode()).group(1)
    environment = {name: value for name, value in recorder.environment().items() if name != "HIGHWATER_SERVER"}

    def ask(*words):
        return subprocess.run([str(BINARIES / "highwater")] + list(words), cwd=str(recorder.folder), env=environment, capture_output=True, text=True, timeout=60)

    done = ask(*hint.split())
    assert "--server " + own_server.url in hint and done.returncode == 0, (hint, done)
    uuid = hint.split()[-1]
    for words in (["plan", "--budget", "1GB", uuid], ["report", "--format", "github", uuid]):
        done = ask(*words)
        assert done.returncode != 0 and "name the server: --server or HIGHWATER_SERVER" in done.stderr, done
    done = ask("report", str(recorder.summary))
    assert "name the server: --server %s)" % own_server.url in done.stderr, done
