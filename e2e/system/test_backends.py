"""`--backend sysinfo`, forced where the kernel's own files would do: a real pytest with workers and a child."""

from conftest import PYTEST

SUITE = """
import os, pathlib, subprocess, sys

CHILD = '''
import os, pathlib, sys, time
held = bytearray(200 << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
resident = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
pathlib.Path(sys.argv[1]).write_text("%d %d" % (os.getpid(), resident))
time.sleep(4)
'''

def test_child():
    subprocess.run([sys.executable, "-c", CHILD, "held.txt"], check=True)

def test_own():
    assert len(bytearray(b"x" * (60 << 20)))
"""


def test_pytest_with_workers_and_a_child_is_recorded_through_sysinfo(recorder, server):
    (recorder.folder / "test_it.py").write_text(SUITE)
    summary = recorder.run(PYTEST + ["-n", "2"], server=server, flags=["--backend", "sysinfo"])
    assert recorder.done.returncode == 0, recorder.done.stderr
    assert summary["ending"]["verdict"] == "passed", summary["ending"]
    assert [session["tests"] for session in summary["sessions"]] == [2]
    assert any(notice["code"] == "backend_sysinfo" for notice in summary["notices"]), summary["notices"]
    assert summary["peak_metric"] == "rss_sum", summary["peak_metric"]
    processes = server.rows(summary["uuid"], "processes")
    # Whoever writes marks is the process that was sampled: nobody is there twice.
    assert sorted(row["role"] for row in processes if row["role"] != "child") == ["controller", "worker", "worker"]
    assert len({row["pid"] for row in processes}) == len(processes), processes
    workers = [row for row in processes if row["role"] == "worker"]
    assert {row["peak_kind"] for row in workers} == {"exact"}, workers
    pid, resident = map(int, (recorder.folder / "held.txt").read_text().split())
    child = next(row for row in processes if row["pid"] == pid)
    assert child["peak_kind"] == "sampled"
    assert 0.9 * resident < child["peak_bytes"] < 1.1 * resident, (child, resident)
    assert summary["peak_bytes"] > child["peak_bytes"]
