//! What is killed: the server, or the machine it runs on.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

use crate::{Failure, client::Client};

/// How long a start may take before nothing more is expected of it: a machine boots under a translated processor.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one look at whether it is ready may take.
const LOOK: Duration = Duration::from_secs(2);

/// The server on its database, or its machine.
pub(crate) struct Subject {
    /// Program and arguments.
    command: Vec<String>,
    pub(crate) address: String,
    pub(crate) log: PathBuf,
    /// How long the log was when it was started last.
    log_began: usize,
    child: Option<Child>,
}

impl Subject {
    /// The server on a database of its own.
    pub(crate) fn server(
        program: &Path,
        address: &str,
        database: &str,
        settings: &Path,
        log: PathBuf,
    ) -> Self {
        let command = [
            &program.display().to_string(),
            "--listen",
            address,
            "--database",
            database,
            "--config",
            &settings.display().to_string(),
        ];
        Self::new(command.map(str::to_owned).to_vec(), address, log)
    }

    pub(crate) fn new(command: Vec<String>, address: &str, log: PathBuf) -> Self {
        Self {
            command,
            address: address.to_owned(),
            log,
            log_began: 0,
            child: None,
        }
    }

    /// Starts it, and does not wait.
    pub(crate) fn start(&mut self) -> Result<(), Failure> {
        self.log_began = fs::read(&self.log).map_or(0, |log| log.len());
        let log = File::options().create(true).append(true).open(&self.log)?;
        let (program, words) = self.command.split_first().ok_or("no command")?;
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it is ready, and answers how long that took from its start.
    pub(crate) async fn ready(&mut self, since: Instant) -> Result<Duration, Failure> {
        loop {
            // Before a guest has its network, what forwards to it takes a connection and says nothing.
            let mut client = Client::new(&self.address);
            let answer = timeout(LOOK, client.get("/readyz")).await;
            if matches!(answer, Ok(Ok(answer)) if answer.status.is_success()) {
                return Ok(since.elapsed());
            }
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                return Err(format!("it ended with {status}; see {}", self.log.display()).into());
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("it is not ready; see {}", self.log.display()).into());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Whether its log has said this since it was started.
    pub(crate) fn said(&self, what: &str) -> bool {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(self.log_began..).unwrap_or_default()).contains(what)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
