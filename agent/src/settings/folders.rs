//! Where recordings and the plugin are kept.

use std::path::{Path, PathBuf};

use crate::ci::Env;

/// The command and what it starts may leave the folder, and find plugin and events by this path.
pub(super) fn spool(said: Option<PathBuf>, env: &Env, folder: &Path) -> PathBuf {
    folder.join(said.unwrap_or_else(|| default_spool(env)))
}

/// Below the spool, unless its path holds a colon: that is where `PYTHONPATH` is cut, and no colon can be escaped there.
pub(crate) fn plugin_root(spool: &Path, env: &Env) -> PathBuf {
    let has_colon = |path: &Path| path.as_os_str().as_encoded_bytes().contains(&b':');
    [spool.to_path_buf(), default_spool(env), homeless_spool()]
        .into_iter()
        .find(|root| !has_colon(root))
        .unwrap_or_else(homeless_spool)
        .join("plugin")
}

/// `$XDG_STATE_HOME/highwater`, else `~/.local/state/highwater`, else a folder of the user's own below `/var/tmp`.
#[must_use]
pub fn default_spool(env: &Env) -> PathBuf {
    let absolute = |name: &str| {
        env.get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map_or_else(homeless_spool, |state| state.join("highwater"))
}

/// Where a spool goes whose own place was removed and takes none any more: the default, or below `/var/tmp` where that is it.
pub(crate) fn spool_elsewhere(spool: &Path, env: &Env) -> Option<PathBuf> {
    [default_spool(env), homeless_spool()]
        .into_iter()
        .find(|other| other != spool)
}

fn homeless_spool() -> PathBuf {
    let uid = rustix::process::getuid().as_raw();
    PathBuf::from(format!("/var/tmp/highwater-{uid}"))
}
