//! Virtual environments below the target folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    steps::step,
    tools::{Done, apt_install, command, io, run_quietly, said, target},
};

/// What the suites need that are recorded to show and to measure.
pub(crate) const SUITE_PACKAGES: &[&str] = &[
    "pytest>=9,<10",
    "pytest-xdist",
    "networkx",
    "numpy",
    "scipy",
];

/// The virtual environment of the real suites that benchmarks run: those of [`SUITE_PACKAGES`], and sympy with what its tests ask for.
pub(crate) fn suites() -> Done<PathBuf> {
    let mut packages = SUITE_PACKAGES.to_vec();
    packages.extend(["sympy", "hypothesis"]);
    venv("suites", &packages)
}

/// A virtual environment with packages; made anew when the packages asked for change.
pub(crate) fn venv(name: &str, packages: &[&str]) -> Done<PathBuf> {
    let folder = target().join("venvs").join(name);
    let stamp = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(folder);
    }
    let what = format!(
        "making the virtual environment {name} ({})",
        packages.join(", ")
    );
    step(&what, || install(&folder, packages))?;
    fs::write(&stamp, wanted).map_err(io(&stamp))?;
    Ok(folder)
}

fn install(folder: &Path, packages: &[&str]) -> Done {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io(folder))?;
    }
    make(folder)?;
    let mut pip = command(python(folder));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(packages);
    run_quietly(&mut pip).map_err(|error| {
        said(format!(
            "{error}; the packages come from PyPI, which must be reachable"
        ))
    })
}

fn make(folder: &Path) -> Done {
    let mut make = command("python3");
    make.args(["-m", "venv"]).arg(folder);
    if make.output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    // Debian keeps ensurepip apart from Python.
    apt_install(&["python3", "python3-venv"])?;
    let mut make = command("python3");
    make.args(["-m", "venv", "--clear"]).arg(folder);
    run_quietly(&mut make)
}

pub(crate) fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}
