//! A Debian kernel for the virtual machine, unpacked below the target folder: installing it would make it one that this machine boots.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::tools::{Done, command, io, run_quietly, said, target};

/// The package that stands for the newest of its kind; the one for clouds has no 9p.
const PACKAGE: &str = "linux-image-amd64";
/// What the virtual machine's root, disk, network and layers need; where the kernel has one of them built in there is nothing to load.
const MODULES: [&str; 7] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "9pnet_virtio",
    "9p",
    "overlay",
    "ext4",
];

/// An unpacked kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The folder that has `boot` and `lib/modules`.
    folder: PathBuf,
    version: String,
}

/// The kernel that is there, or a new one from the system's packages.
pub(crate) fn find() -> Done<Kernel> {
    let folder = target().join("vm/kernel");
    if let Some(version) = version_in(&folder) {
        return Ok(Kernel { folder, version });
    }
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    let depends = command("apt-cache")
        .args(["depends", "--important", PACKAGE])
        .output()
        .map_err(io(Path::new("apt-cache")))?;
    let text = String::from_utf8_lossy(&depends.stdout).into_owned();
    let package = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .ok_or_else(|| said(format!("the system's packages have no {PACKAGE}")))?;
    println!("xtask: fetching the kernel {package}");
    let mut download = command("apt-get");
    run_quietly(download.args(["download", package]).current_dir(&folder))?;
    let archive = files_of(&folder)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| said("apt-get downloaded nothing"))?;
    run_quietly(command("dpkg-deb").arg("-x").arg(&archive).arg(&folder))?;
    fs::remove_file(&archive).map_err(io(&archive))?;
    let version = version_in(&folder).ok_or_else(|| said(format!("{package} has no kernel")))?;
    run_quietly(
        command("/usr/sbin/depmod")
            .arg("-b")
            .arg(&folder)
            .arg(&version),
    )?;
    Ok(Kernel { folder, version })
}

fn version_in(folder: &Path) -> Option<String> {
    let boot = fs::read_dir(folder.join("boot")).ok()?;
    boot.filter_map(Result::ok).find_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.strip_prefix("vmlinuz-").map(str::to_owned)
    })
}

fn files_of(folder: &Path) -> Done<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(io(folder))?;
    Ok(entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect())
}

impl Kernel {
    /// What qemu loads.
    pub(crate) fn image(&self) -> PathBuf {
        self.folder
            .join("boot")
            .join(format!("vmlinuz-{}", self.version))
    }

    /// Files of the modules, each after those it needs.
    pub(crate) fn modules(&self) -> Done<Vec<PathBuf>> {
        let mut found: Vec<PathBuf> = Vec::new();
        for module in MODULES {
            let output = command("/usr/sbin/modprobe")
                .args(["--show-depends", "-S", &self.version, "-d"])
                .arg(&self.folder)
                .arg(module)
                .output()
                .map_err(io(Path::new("modprobe")))?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let files = text.lines().filter_map(|line| line.strip_prefix("insmod "));
            for file in files.map(|file| PathBuf::from(file.trim())) {
                if !found.contains(&file) {
                    found.push(file);
                }
            }
        }
        Ok(found)
    }
}
