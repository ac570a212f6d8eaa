//! One boot of the virtual machine.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::kernel::Kernel;
use crate::tools::{Done, command, io, said};

/// So small that a suite fills it in seconds.
const MEMORY: &str = "512M";
const DISK_BYTES: u64 = 128 << 20;
/// A boot with its scenario takes some 10 s, and the loss of power a minute.
const PATIENCE: Duration = Duration::from_secs(240);

/// What is booted.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) kernel: Kernel,
}

impl Machine {
    /// Boots, and returns when the machine has switched itself off. `out` is shared with it and takes its console, and its disk unless that is
    /// there from the boot before.
    pub(crate) fn boot(&self, initramfs: &Path, out: &Path) -> Done {
        let console = out.join("console.log");
        let mut qemu = self.command(initramfs, out, "none")?;
        let mut child = qemu.spawn().map_err(io(Path::new("qemu-system-x86_64")))?;
        self.wait(&mut child, &console)
    }

    /// What boots it, with this network. Its disk is a file; what the guest has flushed is in the cache of this machine at least, and what it has not
    /// is lost with it.
    pub(crate) fn command(&self, initramfs: &Path, out: &Path, network: &str) -> Done<Command> {
        let disk = out.join("disk");
        if !disk.exists() {
            let made = File::create(&disk).map_err(io(&disk))?;
            made.set_len(DISK_BYTES).map_err(io(&disk))?;
        }
        let console = out.join("console.log");
        let mut qemu = command("qemu-system-x86_64");
        qemu.args(["-smp", "2", "-m", MEMORY])
            .args(processor())
            .args([
                "-display",
                "none",
                "-no-reboot",
                "-nic",
                network,
                "-monitor",
                "none",
            ])
            .args(["-append", "console=ttyS0 quiet panic=-1"])
            .arg("-kernel")
            .arg(self.kernel.image())
            .arg("-initrd")
            .arg(initramfs)
            .args(["-serial", &format!("file:{}", console.display())])
            .args([
                "-virtfs",
                "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
                "-virtfs",
                &format!(
                    "local,path={},mount_tag=out,security_model=none",
                    out.display()
                ),
                "-drive",
                &format!(
                    "file={},format=raw,if=virtio,cache=writeback",
                    disk.display()
                ),
            ])
            .stdin(Stdio::null());
        Ok(qemu)
    }

    fn wait(&self, child: &mut Child, console: &Path) -> Done {
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            match child.try_wait().map_err(io(console))? {
                Some(status) => break status.success(),
                None if Instant::now() > deadline => {
                    child.kill().map_err(io(console))?;
                    child.wait().map_err(io(console))?;
                    break false;
                }
                None => thread::sleep(Duration::from_millis(50)),
            }
        };
        if ended {
            return Ok(());
        }
        let text = fs::read_to_string(console).unwrap_or_default();
        Err(said(format!(
            "the virtual machine did not end by itself; its console says: {text}"
        )))
    }
}

/// KVM where the processor itself does its work. Where it does not (a machine that is virtual itself and has its KVM from software), such a KVM
/// boots only kernels made for it; qemu then translates, which is slower and all the same to what is tried.
fn processor() -> [&'static str; 4] {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let virtualises = flags
        .split_whitespace()
        .any(|flag| flag == "vmx" || flag == "svm");
    let may_be_used = File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok();
    if virtualises && may_be_used {
        ["-accel", "kvm", "-cpu", "host"]
    } else {
        ["-accel", "tcg,thread=multi", "-cpu", "max"]
    }
}
