//! `highwater doctor`: what works on this machine.

use super::{environment, working_folder};
use crate::{cli::DoctorTask, doctor, exit_codes, settings::Given, summary::look, terminal};

/// Looks at everything a recording would use, and prints what was found to standard output.
///
/// The exit code says whether a recording can be made.
#[must_use]
pub fn doctor(task: DoctorTask) -> u8 {
    let env = environment();
    let given = Given {
        server: task.server,
        spool: task.spool,
        backend: task.backend,
        ..Given::default()
    };
    let checks = doctor::examine(given, &env, &working_folder());
    let text = match task.json {
        true => doctor::json(&checks),
        false => doctor::terminal(&checks, &look::of_stdout(&env)),
    };
    terminal::answer(&text);
    match doctor::can_record(&checks) {
        true => exit_codes::OK,
        false => exit_codes::FAILED,
    }
}
