"""The server is killed again and again while jobs are played; `cargo xtask kill` does it more often."""

import subprocess

import pytest
from conftest import BINARIES, PYTEST

LOAD = BINARIES / "examples" / "load"
SUITE = "import time\nimport pytest\n\n@pytest.mark.parametrize('n', range(16))\ndef test_a(n):\n    time.sleep(0.2)\n"


@pytest.mark.skipif(not LOAD.exists(), reason="needs `cargo build -p highwater-server --example load`")
def test_everything_acknowledged_outlives_kills_at_every_moment(tmp_path, recorder):
    (recorder.folder / "test_it.py").write_text(SUITE)
    summary = recorder.run(PYTEST)
    command = [str(LOAD), "kill", "--spool", summary["spool"], "--server", str(BINARIES / "highwater-server"), "--folder", str(tmp_path / "killed")]
    done = subprocess.run(command + ["--rounds", "10", "--jobs", "12"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert "not there, there twice, or not as it was: 0" in told, told
    for moment in ["while it started", "just after a job ended", "while retention removed", "in the first start of a new database"]:
        assert any(line.startswith("killed " + moment) for line in told), told
