//! A packed agent records a real pytest.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    tools::{Done, command, io, run_quietly, said, target},
    venv::{python, venv},
};

const SUITE: &str = "\
import subprocess, sys

def test_holds_memory():
    assert len(bytearray(b'x' * (50 << 20)))

def test_has_a_child():
    subprocess.run([sys.executable, '-c', 'pass'], check=True)
";

/// Records a small suite and holds the summary against what the suite does; answers what was seen.
pub(super) fn record(agent: &Path) -> Done<String> {
    let venv = venv("dist-trial", &["pytest>=9,<10"])?;
    let folder = target().join("dist").join("trial");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io(&folder))?;
    }
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    let suite = folder.join("test_trial.py");
    fs::write(&suite, SUITE).map_err(io(&suite))?;
    let summary = folder.join("summary.json");
    let mut highwater = command(agent);
    highwater
        .args([
            "run",
            "--project",
            "dist/trial",
            "--job",
            "trial",
            "--spool",
        ])
        .arg(folder.join("spool"))
        .arg("--summary")
        .arg(&summary)
        .arg("--")
        .arg(python(&venv))
        .args([
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "test_trial.py",
        ])
        .current_dir(&folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HIGHWATER_") {
            highwater.env_remove(name);
        }
    }
    run_quietly(&mut highwater)?;
    let text = fs::read_to_string(&summary).map_err(io(&summary))?;
    let report: Value = serde_json::from_str(&text)
        .map_err(|error| said(format!("{}: {error}", summary.display())))?;
    let verdict = report["ending"]["verdict"].as_str().unwrap_or("none");
    let sessions = report["sessions"].as_array().map_or(0, Vec::len);
    let peak = report["peak_bytes"].as_u64().unwrap_or(0);
    if verdict != "passed" || sessions != 1 || peak < 50 << 20 {
        return Err(said(format!(
            "the packed agent did not record as it should: {verdict}, {sessions} sessions, peak {peak}"
        )));
    }
    Ok(format!(
        "a pytest of two tests, verdict {verdict}, peak {:.0} MB",
        peak as f64 / 1e6
    ))
}
