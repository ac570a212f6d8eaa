//! What the job runs on, and when it begins.

use std::path::Path;

use highwater_wire::v1;
use uuid::Uuid;

use super::parse_name;
use crate::{ci::Env, procfs::Procfs};

/// The machine, and what the CI says of its image.
pub(super) fn environment(env: &Env) -> v1::Environment {
    let names = rustix::system::uname();
    let machine = Procfs::system()
        .open_machine()
        .and_then(|files| files.read(&mut Vec::new()))
        .unwrap_or_default();
    v1::Environment {
        os: names.sysname().to_string_lossy().to_lowercase(),
        arch: names.machine().to_string_lossy().into_owned(),
        kernel: names.release().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism()
            .map_or(0, |count| u32::try_from(count.get()).unwrap_or(0)),
        memory_total_bytes: machine.total_bytes.unwrap_or(0),
        swap_total_bytes: machine.swap_total_bytes.unwrap_or(0),
        page_bytes: rustix::param::page_size() as u64,
        cgroup_version: cgroup_version(),
        hostname_hash: hostname_hash(&names.nodename().to_string_lossy()),
        versions: env
            .get("ImageVersion")
            .and_then(|version| parse_name(version).ok())
            .map(|version| ("runner_image".to_owned(), version))
            .into_iter()
            .collect(),
    }
}

/// 2 where the memory controller is in the unified hierarchy, 1 where it has its own, else 0.
fn cgroup_version() -> u32 {
    let has_memory = |path: &str| {
        std::fs::read_to_string(path)
            .is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "memory"))
    };
    if has_memory("/sys/fs/cgroup/cgroup.controllers") {
        2
    } else if Path::new("/sys/fs/cgroup/memory").exists() {
        1
    } else {
        0
    }
}

/// Tells machines apart without their names.
fn hostname_hash(name: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes())
        .simple()
        .to_string()
}
