//! A VictoriaMetrics of our own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;

use super::PAUSE;
use crate::{Failure, client::Client};

const PATIENCE: Duration = Duration::from_secs(120);
/// What it logs when all parts of its data are one.
const MERGED: &str = "has been successfully finished";

/// It is ended when this goes.
pub(super) struct Instance {
    child: Child,
    folder: PathBuf,
    log: PathBuf,
    pub(super) address: String,
}

impl Instance {
    /// Starts it with an empty folder and waits until it answers.
    pub(super) async fn start(program: &Path, folder: &Path) -> Result<Self, Failure> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let log = folder.with_extension("log");
        // It takes no socket and tells no port that it chose.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = Command::new(program)
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=100y", "-search.latencyOffset=0s"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut instance = Self {
            child,
            folder: folder.to_path_buf(),
            log,
            address,
        };
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            if let Some(status) = instance.child.try_wait()? {
                let log = instance.log.display();
                return Err(format!("VictoriaMetrics ended with {status}; see {log}").into());
            }
            if let Ok(mut client) = Client::connect(&instance.address).await {
                client.get("/health").await?;
                return Ok(instance);
            }
            sleep(PAUSE).await;
        }
        Err("VictoriaMetrics does not answer".into())
    }

    /// Waits until the merge that was asked for is done.
    pub(super) async fn merged(&self) -> Result<(), Failure> {
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            let log = fs::read(&self.log)?;
            if String::from_utf8_lossy(&log).contains(MERGED) {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err("VictoriaMetrics did not merge its data".into())
    }

    /// Bytes of all files below one of its folders.
    pub(super) fn bytes_of(&self, name: &str) -> Result<u64, Failure> {
        let mut bytes = 0;
        let mut folders = vec![self.folder.join(name)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                match entry.file_type()?.is_dir() {
                    true => folders.push(entry.path()),
                    false => bytes += entry.metadata()?.len(),
                }
            }
        }
        Ok(bytes)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let pid = self.child.id().to_string();
        // In an orderly way first: it writes what waits.
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}
