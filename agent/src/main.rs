//! `highwater`: records the memory of pytest runs.

use std::process::ExitCode;

use clap::Parser;
use highwater_agent::{
    cli::{Cli, Task},
    commands, exit_codes, signals, terminal,
};

fn main() -> ExitCode {
    if let Err(error) = signals::outlive_the_file_limit() {
        terminal::tell(format_args!(
            "a limit of the file size may end this program: {error}"
        ));
    }
    let outcome = match Cli::parse().into_task() {
        Task::Run(task) => Ok(commands::record::record(*task)),
        Task::Start(task) => commands::start::start(*task),
        Task::Status(task) => commands::status::status(task),
        Task::Stop(task) => commands::stop::stop(task),
        Task::Background(task) => Ok(commands::background::background(&task)),
        Task::Upload(task) => commands::upload::upload(task),
        Task::OneByOne(task) => Ok(commands::one_by_one::one_by_one(&task)),
        Task::Doctor(task) => Ok(commands::doctor::doctor(task)),
        Task::Check(task) => commands::check::check(&task),
        Task::Acknowledge(task) => commands::acknowledge::acknowledge(&task),
        Task::Compare(task) => commands::compare::compare(&task),
        Task::Blame(task) => commands::blame::blame(&task),
        Task::Plan(task) => commands::plan::plan(&task),
        Task::Report(task) => commands::report::report(&task),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            terminal::tell(error);
            ExitCode::from(exit_codes::FAILED)
        }
    }
}
