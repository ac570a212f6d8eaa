//! `cargo xtask year`: a year of a company's CI in one database, and how long its pages and lists take while jobs come in.

use std::{fs, path::Path, process::Command};

use clap::Args;

use crate::{
    load,
    server::Server,
    tools::{self, Done, build, command, example, io, said, target},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many jobs the database holds.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    jobs: u32,
    /// How many of them, the newest, have their samples.
    #[arg(long, default_value_t = 1_000)]
    with_pages: u32,
    /// For how long pages are asked for, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// So many live jobs send a batch a second meanwhile.
    #[arg(long, default_value_t = 200)]
    live: u32,
    /// Ask the database of the last time instead of filling one.
    #[arg(long)]
    again: bool,
}

pub(crate) fn run(options: &Options) -> Done {
    let binaries = build(true)?;
    let (year, play) = (example("year", true)?, example("load", true)?);
    let data = target().join("year");
    let database = data.join("highwater.db");
    if !options.again || !database.exists() {
        fill(options, &binaries, &year, &data)?;
    }
    let server = Server::start(&binaries, &database, 0)?;
    // Longer than it is looked: the lists are warm before, and nobody looks at a server that is left alone.
    let mut live = Command::new(&play)
        .arg("play")
        .arg(&server.url)
        .arg("--spool")
        .arg(load::recording_of_the_example(
            &binaries,
            &data.join("trace"),
        )?)
        .args(["--jobs", &options.live.to_string()])
        .args(["--seconds", &(options.seconds + 20).to_string()])
        .args(["--server-pid", &server.pid().to_string()])
        .arg("--acknowledged")
        .arg(data.join("acknowledged.txt"))
        .spawn()
        .map_err(io(&play))?;
    let mut look = Command::new(&year);
    look.arg("look").arg(&server.url);
    look.args(["--database", &address(&database)]);
    look.args(["--seconds", &options.seconds.to_string()]);
    let looked = tools::run(&mut look);
    let played = live.wait().map_err(io(&play))?;
    looked?;
    match played.success() {
        true => Ok(()),
        false => Err(said("the live jobs were not played to their end")),
    }
}

fn address(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}

/// Records the example of 85 files, has a server finalise it, and copies it.
fn fill(options: &Options, binaries: &Path, year: &Path, data: &Path) -> Done {
    if data.exists() {
        fs::remove_dir_all(data).map_err(io(data))?;
    }
    let spool = load::recording_of_the_example(binaries, &data.join("trace"))?;
    let template = data.join("template.db");
    let mut import = command(binaries.join("highwater-server"));
    import.args(["import", "--database", &address(&template)]);
    tools::run(import.arg(spool))?;
    let mut fill = Command::new(year);
    fill.arg("fill").arg(address(&data.join("highwater.db")));
    fill.args(["--from", &address(&template)]);
    fill.args(["--jobs", &options.jobs.to_string()]);
    fill.args(["--with-pages", &options.with_pages.to_string()]);
    tools::run(&mut fill)
}
