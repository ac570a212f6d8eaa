//! VictoriaMetrics from the system's packages, unpacked below the target folder: installing it would start it as a service.

use std::{fs, path::PathBuf};

use crate::tools::{Done, command, io, run_quietly, said, target};

const PACKAGE: &str = "victoria-metrics";

/// The program that is there, or a new one.
pub(super) fn program() -> Done<PathBuf> {
    let folder = target().join("bench-store/package");
    let program = folder.join("usr/bin").join(PACKAGE);
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    println!("xtask: fetching {PACKAGE} from the system's packages");
    let mut download = command("apt-get");
    run_quietly(download.args(["download", PACKAGE]).current_dir(&folder)).map_err(|error| {
        said(format!(
            "{error}; this part needs Debian's package {PACKAGE}, which apt must reach"
        ))
    })?;
    let entries = fs::read_dir(&folder).map_err(io(&folder))?;
    let archive = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| said("apt-get downloaded nothing"))?;
    run_quietly(command("dpkg-deb").arg("-x").arg(&archive).arg(&folder))?;
    fs::remove_file(&archive).map_err(io(&archive))?;
    match program.exists() {
        true => Ok(program),
        false => Err(said(format!("{PACKAGE} has no usr/bin/{PACKAGE}"))),
    }
}
