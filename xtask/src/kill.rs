//! `cargo xtask kill`: kills the server at moments drawn by lot while jobs are played, and says whether everything it acknowledged is there.

use std::fs;

use clap::Args;

use crate::{
    load::{generator, recording},
    tools::{Done, build, command, io, run as run_command, target},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often it is killed.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// What is drawn by lot is the same for the same number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many jobs are live at once.
    #[arg(long, default_value_t = 32)]
    jobs: u32,
}

pub(crate) fn run(options: &Options) -> Done {
    let binaries = build(false)?;
    let generator = generator(false)?;
    let spool = recording(&binaries, &target().join("load/trace"))?;
    let folder = target().join("kill");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io(&folder))?;
    }
    let mut kill = command(&generator);
    kill.arg("kill").arg("--spool").arg(&spool);
    kill.arg("--server").arg(binaries.join("highwater-server"));
    kill.arg("--folder").arg(&folder);
    kill.args(["--rounds", &options.rounds.to_string()]);
    kill.args(["--seed", &options.seed.to_string()]);
    kill.args(["--jobs", &options.jobs.to_string()]);
    run_command(&mut kill)
}
