//! The browser for browser tests.

use std::path::{Path, PathBuf};

use crate::tools::{Done, apt_install, said};

/// Path of Chromium; installed from the system's packages where it is missing.
pub(crate) fn chromium() -> Done<PathBuf> {
    let places = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let find = || {
        places
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .map(Path::to_path_buf)
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    apt_install(&["chromium"])?;
    find().ok_or_else(|| {
        said("the package chromium is installed, but no browser is where it was expected")
    })
}
