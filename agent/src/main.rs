//! `highwater`: records the memory of pytest runs.

use std::process::ExitCode;

use clap::Parser;
use highwater_agent::{
    cli::{Cli, Task},
    commands, exit_codes,
};

fn main() -> ExitCode {
    let outcome = match Cli::parse().into_task() {
        Task::Run(task) => Ok(commands::record::record(*task)),
        Task::Upload(task) => commands::upload::upload(task),
        Task::Report(task) => commands::report::report(task),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("highwater: {error}");
            ExitCode::from(exit_codes::FAILED)
        }
    }
}
