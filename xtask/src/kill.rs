//! `cargo xtask kill`: kills the server at moments drawn by lot while jobs are played, and says whether everything it acknowledged is there.
//! With `--power` it is the machine of the server that loses its power: a virtual one, which the jobs are played from outside of.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::{
    load::job_in,
    test::E2E_PACKAGES,
    tools::{Done, build, command, example, io, run as run_command, run_quietly, said, target},
    venv::{python, venv},
    vm::{Machine, initramfs, prepare},
};

const SMALL: &str = "import time\nimport pytest\n\n@pytest.mark.parametrize('n', range(16))\ndef test_a(n):\n    time.sleep(0.2)\n";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often it is killed.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// What is drawn by lot is the same for the same number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many jobs are live at once; 16, and 4 with --power.
    #[arg(long)]
    jobs: Option<u32>,
    /// Kill a virtual machine that the server runs in, with all that it had not brought to its disk.
    #[arg(long)]
    power: bool,
}

pub(crate) fn run(options: &Options) -> Done {
    let binaries = build(false)?;
    let generator = example("load", false)?;
    let spool = recording(&binaries, &target().join("load/small"))?;
    let folder = target().join(if options.power { "kill-power" } else { "kill" });
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io(&folder))?;
    }
    let mut kill = command(&generator);
    kill.arg("kill").arg("--spool").arg(&spool);
    kill.arg("--server").arg(binaries.join("highwater-server"));
    kill.arg("--folder").arg(&folder);
    kill.args(["--rounds", &options.rounds.to_string()]);
    kill.args(["--seed", &options.seed.to_string()]);
    let jobs = options.jobs.unwrap_or(if options.power { 4 } else { 16 });
    kill.args(["--jobs", &jobs.to_string()]);
    if !options.power {
        return run_command(&mut kill);
    }
    match prepare() {
        Ok(machine) => lose_power(&machine, &binaries, &folder, kill),
        Err(error) => {
            println!("xtask: not run: virtual machine: {error}");
            Ok(())
        }
    }
}

/// A few seconds with few tests: jobs are finalised as fast as they end, also where the processor is translated.
fn recording(binaries: &Path, folder: &Path) -> Done<PathBuf> {
    if let Some(job) = job_in(folder) {
        return Ok(job);
    }
    let venv = venv("e2e", E2E_PACKAGES)?;
    fs::create_dir_all(folder).map_err(io(folder))?;
    let suite = folder.join("test_small.py");
    fs::write(&suite, SMALL).map_err(io(&suite))?;
    let mut record = command(binaries.join("highwater"));
    record
        .args(["run", "--quiet", "--project", "load/small", "--spool"])
        .arg(folder)
        .arg("--")
        .arg(python(&venv))
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(&suite);
    run_quietly(&mut record)?;
    job_in(folder).ok_or_else(|| said("the recording is not in its spool"))
}

fn lose_power(machine: &Machine, binaries: &Path, folder: &Path, mut kill: Command) -> Done {
    let out = folder.join("machine");
    fs::create_dir_all(&out).map_err(io(&out))?;
    let write = |name: &str, text: &[u8]| fs::write(out.join(name), text).map_err(io(&out));
    write("scenario", b"server_loses_power")?;
    // Whoever asks from outside of it is asked for a token.
    let made = command(binaries.join("highwater-server"))
        .args(["token", "create", "--all-projects", "--scope", "admin"])
        .arg("--database")
        .arg(format!("sqlite://{}", out.join("seed.db").display()))
        .output()
        .map_err(io(&out))?;
    if !made.status.success() {
        return Err(said(String::from_utf8_lossy(&made.stderr)));
    }
    let token = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    // Without what only a debugger reads, it comes into the machine in seconds.
    let slim = out.join("bin");
    fs::create_dir_all(&slim).map_err(io(&slim))?;
    run_command(
        command("strip")
            .arg("-o")
            .arg(slim.join("highwater-server"))
            .arg(binaries.join("highwater-server")),
    )?;
    let initramfs = initramfs::make(machine, &venv("e2e", E2E_PACKAGES)?, &slim)?;
    let address = free_address()?;
    let network = format!("user,model=virtio-net-pci,hostfwd=tcp:{address}-:8080");
    let qemu = machine.command(&initramfs, &out, &network)?;
    kill.args(["--address", &address, "--pace-ms", "500", "--batches", "12"])
        .env("HIGHWATER_TOKEN", token)
        .arg("--")
        .arg(qemu.get_program())
        .args(qemu.get_args());
    run_command(&mut kill)?;
    let doctors = fs::read_to_string(out.join("doctor.txt")).map_err(io(&out))?;
    let looks = doctors.lines().filter(|line| line.starts_with("integrity"));
    let (sound, spoilt): (Vec<&str>, Vec<&str>) =
        looks.partition(|line| line.contains("SQLite finds nothing wrong"));
    println!(
        "looked at before each start, and sound: {} databases",
        sound.len()
    );
    match spoilt.as_slice() {
        [] => Ok(()),
        spoilt => Err(said(spoilt.join("\n"))),
    }
}

fn free_address() -> Done<String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(listener.map_err(io(Path::new("127.0.0.1")))?.to_string())
}
