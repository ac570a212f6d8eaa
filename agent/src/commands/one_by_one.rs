//! A command once for each of some files, in turn: so each of them begins in a process of its own, and lives in no memory that another freed.

use std::process::Command;

use super::run::{StartError, exit_code_of};
use crate::{cli::OneByOneTask, exit_codes::OK, terminal};

/// pytest's exit code where tests failed: the other files run all the same.
const TESTS_FAILED: u8 = 1;

/// Answers with the exit code of the first command that did not end with 0. After one that ended otherwise than with failed tests none follows.
#[must_use]
pub fn one_by_one(task: &OneByOneTask) -> u8 {
    let mut first = OK;
    for file in &task.files {
        let mut command = Command::new(&task.program);
        let code = match command.args(&task.words).arg(file).status() {
            Ok(status) => exit_code_of(status),
            Err(source) => {
                let error = StartError::new(&task.program, source);
                terminal::tell(&error);
                error.exit_code()
            }
        };
        if first == OK {
            first = code;
        }
        if !matches!(code, OK | TESTS_FAILED) {
            return code;
        }
    }
    first
}
