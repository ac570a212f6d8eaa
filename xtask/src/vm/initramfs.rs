//! The first root of the virtual machine: busybox, the modules that reach the host's root, and `e2e/vm/init`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Machine;
use crate::tools::{Done, command, io, root, run_quietly, said, target};

/// Makes the archive. The folders are where Python, the binaries and the scenarios lie on this machine.
pub(crate) fn make(machine: &Machine, venv: &Path, binaries: &Path) -> Done<PathBuf> {
    let folder = target().join("vm/initramfs");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io(&folder))?;
    }
    let (bin, modules) = (folder.join("bin"), folder.join("modules"));
    for made in [&bin, &modules] {
        fs::create_dir_all(made).map_err(io(made))?;
    }
    let copy = |from: &Path, to: PathBuf| fs::copy(from, to).map(drop).map_err(io(from));
    copy(Path::new("/usr/bin/busybox"), bin.join("busybox"))?;
    copy(&root().join("e2e/vm/init"), folder.join("init"))?;
    let mut order = String::new();
    for module in machine.kernel.modules()? {
        let name = module
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        copy(&module, modules.join(&name))?;
        // Newer kernels keep their modules compressed, and busybox need not know how.
        if name.ends_with(".xz") {
            run_quietly(command("xz").arg("-d").arg(modules.join(&name)))?;
        }
        order.push_str(name.trim_end_matches(".xz"));
        order.push('\n');
    }
    write(&modules.join("order"), &order)?;
    let settings = [
        ("VENV", venv.to_path_buf()),
        ("BINARIES", binaries.to_path_buf()),
        ("GUEST", root().join("e2e/vm")),
    ];
    let mut text = String::new();
    for (name, path) in settings {
        let path = path.canonicalize().map_err(io(&path))?;
        let path = path.to_string_lossy().into_owned();
        if path.contains('\'') {
            return Err(said(format!(
                "a quote in a path cannot be told to the virtual machine: {path}"
            )));
        }
        text.push_str(&format!("{name}='{path}'\n"));
    }
    write(&folder.join("settings"), &text)?;
    let archive = target().join("vm/initramfs.cpio");
    let mut pack = command("sh");
    pack.args([
        "-c",
        "chmod +x init && find . | cpio --quiet -o -H newc > \"$0\"",
    ])
    .arg(&archive)
    .current_dir(&folder);
    run_quietly(&mut pack)?;
    Ok(archive)
}

fn write(path: &Path, text: &str) -> Done {
    fs::write(path, text).map_err(io(path))
}
