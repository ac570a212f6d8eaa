"""What is tried inside the virtual machine: one scenario a boot, named in /out/scenario. The recording is left in /out/spool."""

import os
import pathlib
import shutil
import subprocess
import time

OUT = pathlib.Path("/out")
SUITE = pathlib.Path("/suite")
SPOOL = pathlib.Path("/spool")
HIGHWATER = "/opt/highwater/highwater"
PYTEST = ["/venv/bin/python", "-m", "pytest", "-p", "no:cacheprovider", "-q"]
CGROUPS = pathlib.Path("/sys/fs/cgroup")
#: A user without rights, as steps of a CI in a container often are.
USER = 1000
MB = 1000 * 1000

#: Whoever grows waits for whoever holds, so that always the same runs at the end, also beside it in another worker.
HELD = "/tmp/held"
HOLDS = """import pathlib
import pytest

held = []

@pytest.fixture(scope="session")
def catalogue():
    return bytearray(b"x" * 50_000_000)

def test_holds(catalogue):
    held.append(bytearray(b"x" * 60_000_000))
    pathlib.Path("%s").touch()
""" % HELD
GROWS = """import pathlib
import time

def test_grows():
    more = []
    while not pathlib.Path("%s").exists():
        time.sleep(0.02)
    while True:
        more.append(bytearray(b"x" * 2_000_000))
        time.sleep(0.02)
""" % HELD
TICKS = """import time
import pytest

held = []

@pytest.mark.parametrize("n", range(%d))
def test_ticks(n):
    held.append(bytearray(b"x" * 200_000))
    time.sleep(%s)
"""


def suite(**files):
    for name, text in files.items():
        (SUITE / ("test_%s.py" % name)).write_text(text)


def recorder(command):
    return [HIGHWATER, "run", "--spool", str(SPOOL), "--project", "test/suite", "--", *command]


def run(command, before=None):
    """Records a command and tells how the agent ended."""
    code = subprocess.Popen(recorder(command), cwd=SUITE, preexec_fn=before).wait()
    print("the agent ended with", code, flush=True)


def keep():
    """Leaves the recording where the host finds it, in the hands of whoever runs it."""
    for folder in SPOOL.iterdir():
        if (folder / "job").exists():
            shutil.copytree(folder, OUT / "spool" / folder.name, ignore=shutil.ignore_patterns("lock", "reserve", "*.json", "*.log", "*.room"))
    for folder, _, files in os.walk(OUT / "spool"):
        for name in ["", *files]:
            os.chmod(os.path.join(folder, name), 0o777 if not name else 0o666)


def cgroup(path, **files):
    folder = CGROUPS
    for part in path.split("/"):
        (folder / "cgroup.subtree_control").write_text("+memory")
        folder = folder / part
        folder.mkdir(exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("_", ".", 1).replace("_", ".")).write_text(str(value))
    return folder


def into(folder, user=None):
    """What a child does before it becomes another program: it goes into a cgroup, and gives up its rights."""

    def enter():
        (folder / "cgroup.procs").write_text("0")
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)

    return enter


def inside(folder, command):
    return ["sh", "-c", 'echo 0 > %s/cgroup.procs && exec "$@"' % folder, "sh", *command]


def open_to_all():
    """Lets the user without rights reach Python, and hides the kernel's log from it."""
    for start in ["/venv", "/venv/bin/python", HIGHWATER]:
        for place in [pathlib.Path(start), *pathlib.Path(os.path.realpath(start)).parents]:
            if place.is_dir():
                os.chmod(place, os.stat(place).st_mode | 0o005)
    for folder in [SUITE, SPOOL]:
        os.chown(folder, USER, USER)
    os.chmod("/tmp", 0o1777)
    pathlib.Path("/proc/sys/kernel/dmesg_restrict").write_text("1")


def oom_machine():
    suite(a_holds=HOLDS, b_grows=GROWS)
    run(PYTEST)


def oom_machine_without_log():
    suite(a_holds=HOLDS, b_grows=GROWS)
    open_to_all()
    folder = cgroup("ci/job")
    run(PYTEST, before=into(folder, USER))


def oom_cgroup_nested():
    suite(a_holds=HOLDS, b_grows=GROWS)
    agent = cgroup("ci/job/agent")
    (agent.parent / "memory.max").write_text(str(220 * MB))
    run(inside(cgroup("ci/job/tests"), PYTEST), before=into(agent))


def oom_cgroup_without_log():
    suite(a_holds=HOLDS, b_grows=GROWS)
    open_to_all()
    run(PYTEST, before=into(cgroup("ci/job", memory_max=220 * MB), USER))


def oom_group():
    suite(a_holds=HOLDS, b_grows=GROWS)
    tests = cgroup("ci/job/tests", memory_max=320 * MB, memory_oom_group=1)
    run(inside(tests, PYTEST + ["-n", "2", "--dist", "loadfile"]), before=into(cgroup("ci/job/agent")))


def oom_group_with_agent():
    suite(a_holds=HOLDS, b_grows=GROWS)
    run(PYTEST, before=into(cgroup("ci/job", memory_max=220 * MB, memory_oom_group=1)))


def oom_worker():
    suite(a_holds=HOLDS, b_grows=GROWS, c_ticks=TICKS % (8, 0.25))
    folder = cgroup("ci/job", memory_max=300 * MB)
    run(PYTEST + ["-n", "2", "--dist", "loadfile", "--max-worker-restart", "0"], before=into(folder))


def power_loss():
    """The first boot ends in the middle; the second finds the disk as it was left."""
    disk = "/dev/vda"
    if not (OUT / "lost").exists():
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        subprocess.run(["mount", disk, str(SPOOL)], check=True)
        suite(ticks=TICKS % (1000, 0.25))
        subprocess.Popen(recorder(PYTEST), cwd=SUITE)
        while not any(SPOOL.glob("*/events/*.events")):
            time.sleep(0.1)
        # The kernel writes back what has waited for 30 s.
        time.sleep(50)
        (OUT / "lost").touch()
        pathlib.Path("/proc/sysrq-trigger").write_text("b")
        time.sleep(60)
    subprocess.run(["mount", disk, str(SPOOL)], check=True)
    code = subprocess.run([HIGHWATER, "report", "--spool", str(SPOOL)]).returncode
    print("report ended with", code, flush=True)


def yama():
    """Tests beside the agent, whose memory it may not read."""
    suite(a=TICKS % (4, 2), b=TICKS % (4, 2))
    open_to_all()
    pathlib.Path("/proc/sys/kernel/yama/ptrace_scope").write_text("1")
    # Few samples, since looks are dear where the processor is translated, and have a budget.
    script = SUITE / "step.sh"
    script.write_text(
        "%(highwater)s start --spool %(spool)s --interval 250ms --project test/suite --runner-pid $$\n%(pytest)s -n 2 --dist loadfile\n"
        "%(highwater)s stop --spool %(spool)s --exit-code $?\n%(highwater)s doctor --spool %(spool)s > /tmp/doctor.txt\n"
        % {"highwater": HIGHWATER, "spool": SPOOL, "pytest": " ".join(PYTEST)}
    )
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(SPOOL), "PYTHONDONTWRITEBYTECODE": "1"}
    code = subprocess.run(["sh", str(script)], cwd=SUITE, env=environment, preexec_fn=into(cgroup("ci/job"), USER)).returncode
    print("the step ended with", code, flush=True)
    shutil.copy("/tmp/doctor.txt", OUT / "doctor.txt")


def server_loses_power():
    """A server for whoever plays jobs from outside; the machine is killed in the middle, and boots again with the disk as it was left."""
    disk = "/dev/vda"
    if subprocess.run(["mount", disk, str(SPOOL)]).returncode != 0:
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        subprocess.run(["mount", disk, str(SPOOL)], check=True)
    if not (SPOOL / "highwater.db").exists():
        # The database last: by its name it is known that all is there.
        for end in ["-wal", ""]:
            if (OUT / ("seed.db" + end)).exists():
                shutil.copy(OUT / ("seed.db" + end), SPOOL / "seed")
                os.sync()
                (SPOOL / "seed").rename(SPOOL / ("highwater.db" + end))
        os.sync()
    # What qemu's network of users expects.
    for words in ["link set lo up", "link set eth0 up", "addr add 10.0.2.15/24 dev eth0", "route add default via 10.0.2.2"]:
        subprocess.run(["busybox", "ip", *words.split()], check=True)
    server, database = "/opt/highwater/highwater-server", "sqlite://%s" % (SPOOL / "highwater.db")
    with open(OUT / "doctor.txt", "a") as doctor:
        subprocess.run([server, "doctor", "--database", database], stdout=doctor, stderr=doctor)
    with open(OUT / "server.log", "a") as log:
        subprocess.run([server, "--listen", "0.0.0.0:8080", "--database", database], stdout=log, stderr=log)


SCENARIOS = [oom_machine, oom_machine_without_log, oom_cgroup_nested, oom_cgroup_without_log, oom_group, oom_group_with_agent, oom_worker, power_loss, yama, server_loses_power]

if __name__ == "__main__":
    wanted = (OUT / "scenario").read_text().strip()
    [scenario] = [scenario for scenario in SCENARIOS if scenario.__name__ == wanted]
    scenario()
    keep()
