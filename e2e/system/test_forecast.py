"""A suite that grows into its limit: the crossing is named while there is still time."""

import json
import re
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
    r"It crosses the (?:limit of the cgroup|budget), [\d.]+ MiB, at file (\d+) of %d( \((\d+) to (\d+)\))?(, test_(\d+)\.py)?\." % (FILES, FILES)
)


def suite(folder, seconds=0.3):
    write(folder, **{"test_%02d" % at: KEEPS % (EACH, seconds) for at in range(1, FILES + 1)})


def files_done(job):
    return job["forecast"]["files_done"]


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
    low, high = int(low or file), int(high or file)
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
    start = [str(BINARIES / "highwater"), "start", "--spool", str(recorder.spool), "--project", "test/suite", "--print-env"]
    script = 'eval "$(%s --runner-pid $$)"; %s; echo $? > code; read -r _; %s stop'
    tests = " ".join("'%s'" % word for word in small.inside(ORDERED))
    running = subprocess.Popen(
        ["bash", "-c", script % (" ".join(start), tests, BINARIES / "highwater")],
        cwd=str(recorder.folder), env=recorder.environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    command = [str(BINARIES / "highwater"), "status", "--spool", str(recorder.spool)]

    def status(*flags):
        done = subprocess.run(command + list(flags), env=recorder.environment(), capture_output=True, timeout=60)
        return done.stdout.decode() if done.returncode == 0 else ""

    try:
        shown = wait_for("the status to warn", lambda: "warning: If it goes on so" in status() and status("--json"))
        assert small.kills() == 0
        forecast = json.loads(shown)["forecast"]
        assert forecast["is_warning"] and forecast["crossings"][0]["kind"] == "cgroup" and forecast["files"] == FILES
        wait_for("the tests to die", (recorder.folder / "code").exists)
        assert (recorder.folder / "code").read_text().strip() == "137"
        logs = "".join(path.read_text() for path in recorder.spool.rglob("*.log"))
        assert len(WARNING.findall(logs)) == 1, logs
    finally:
        running.communicate(b"\n", timeout=60)


def test_workers_are_forecast_together_against_a_budget(recorder):
    pytest.importorskip("xdist")
    suite(recorder.folder, 0.6)
    summary = recorder.run(LOADFILE, flags=["--budget", "330MB"])
    text = recorder.done.stderr.decode()
    warning = WARNING.search(text)
    assert recorder.done.returncode == 0 and warning, text
    peak, low, high = (float(figure) * 1024 * 1024 for figure in re.search(r"comes to ([\d.]+) MiB \(([\d.]+) MiB to ([\d.]+) MiB\)", text).groups())
    assert abs(peak - summary["peak_bytes"]) < 0.1 * summary["peak_bytes"], (peak, summary["peak_bytes"])
    done, file, _, first, last, _, name = warning.groups()
    # Who of the workers ends which file when is not known.
    assert name is None and int(done) < int(first or file) <= int(file) <= int(last or file) <= FILES


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
