//! `highwater background`: the agent that `highwater start` leaves behind. Not for people.

use std::io;

use super::{environment, start::READY};
use crate::{
    background::agent::{AgentError, BackgroundAgent},
    cli::BackgroundTask,
    exit_codes, settings, terminal,
};

/// Records until it is over. Standard output tells whoever started it that it records, or why not; from then on all goes to the log.
pub fn background(task: &BackgroundTask) -> u8 {
    match begin(task) {
        Ok(agent) => {
            terminal::answer(READY);
            let outcome = leave_the_starter().map_err(AgentError::from);
            match outcome.and_then(|()| agent.live()) {
                Ok(()) => exit_codes::OK,
                Err(error) => {
                    terminal::tell(error);
                    exit_codes::FAILED
                }
            }
        }
        Err(error) => {
            terminal::answer(&error.to_string());
            exit_codes::FAILED
        }
    }
}

fn begin(task: &BackgroundTask) -> Result<BackgroundAgent, AgentError> {
    // A session of its own: no terminal sends it signals. It fails only where it has one already.
    let _ = rustix::process::setsid();
    std::env::set_current_dir(&task.folder)?;
    let env = environment();
    // Not the settings' other sources: the orders say the rest.
    let token = settings::token(&env, &task.folder);
    BackgroundAgent::begin(&task.folder, &env, token.as_ref())
}

/// The starter waits for the end of its pipe.
fn leave_the_starter() -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdout(rustix::stdio::stderr())?)
}
