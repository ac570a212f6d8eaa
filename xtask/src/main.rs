//! Tasks of the workspace: `cargo xtask demo | test | fuzz | bench | load | kill | hostile | year | dist | vm | tidy`.

mod bench;
mod chromium;
mod demo;
mod dist;
mod fuzz;
mod hostile;
mod kill;
mod load;
mod server;
mod steps;
mod test;
mod tidy;
mod tools;
mod venv;
mod vm;
mod year;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "xtask", about = "Tasks of the workspace")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Record two real suites and look at them in the browser.
    Demo(demo::Options),
    /// Run every test of every language; installs what it needs.
    Test(test::Options),
    /// Try every parser of foreign bytes with bytes that nobody meant.
    Fuzz(fuzz::Options),
    /// Measure what Highwater costs, beside a null comparison.
    Bench(bench::Options),
    /// Play many live jobs against a server of our own, as agents would.
    Load(load::Options),
    /// Kill the server again and again under load, and look whether it kept what it acknowledged.
    Kill(kill::Options),
    /// Send a server of our own what nobody means well with.
    Hostile(hostile::Options),
    /// Fill a database with a year of jobs, and look how long its pages take.
    Year(year::Options),
    /// Make and try what a release hands out.
    Dist(dist::Options),
    /// Try in a small virtual machine what this machine's kernel does not do of itself.
    Vm(vm::Options),
    /// Check what no compiler checks: sizes of files, words, links between documents and code, versions that must agree.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Load(options) => load::run(&options),
        Task::Kill(options) => kill::run(&options),
        Task::Hostile(options) => hostile::run(&options),
        Task::Year(options) => year::run(&options),
        Task::Dist(options) => dist::run_task(&options),
        Task::Vm(options) => vm::run(&options),
        Task::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
