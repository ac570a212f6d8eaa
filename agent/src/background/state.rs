//! What an agent in the background leaves in the folder of its job, beside the spool.
//!
//! | file | holds |
//! |---|---|
//! | `orders.json` | what it was started with: [`Orders`] |
//! | `agent.json` | who it is: [`Agent`]; there once it records |
//! | `agent.log` | what it said |
//! | `stop.json` | what `highwater stop` wants of it: [`Stop`] |
//! | `outcome.json` | what became of the sending, once it is over: [`Outcome`] |
//! | `stop.room`, `outcome.room` | blanks, for the day on which the disk has no room for the two: [`reserve`] |
//!
//! Each is written whole or not at all. Where somebody removes what tells of the agent, it is written again while that records: [`Beside`].

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use highwater_wire::v1;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    forecaster::Forewarn,
    guard::Limit,
    procfs::Procfs,
    regular, terminal,
    tree::{ProcessKey, chain_of},
};

/// Name of the agent's log.
pub const LOG: &str = "agent.log";
const ORDERS: &str = "orders.json";
const AGENT: &str = "agent.json";
const STOP: &str = "stop.json";
const OUTCOME: &str = "outcome.json";
/// Of the room of a file that is written at the end, bytes: a page, and more than it mostly needs.
const ROOM_BYTES: usize = 4096;

/// A process, as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, clock ticks since boot.
    pub start_ticks: u64,
}

/// What an agent is started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// Identity of the job.
    pub uuid: Uuid,
    /// How it begins.
    pub job: v1::Job,
    /// Root of the repository.
    pub repo_root: Option<PathBuf>,
    /// Address of the server.
    pub server: Option<String>,
    /// From the parent of whoever started it up to the runner.
    pub chain: Vec<Process>,
    /// The process that its life is bound to.
    pub runner: Option<Process>,
    /// The name of its program.
    pub runner_command: String,
    /// Whether it stands in a container.
    pub is_container: bool,
    /// Processes that began before are none of the job, clock ticks since boot; 0 lets everybody in.
    pub since_ticks: u64,
    /// The age that it may reach, µs.
    pub max_age_us: u64,
    /// Whether pytest is given the plugin.
    pub plugin: bool,
    /// Whether the kernel shall take the tests before the agent when memory runs out.
    pub protects: bool,
    /// Whether it goes on with the job of an agent that is gone.
    pub goes_on: bool,
    /// The limit of memory, where one is guarded.
    #[serde(default)]
    pub guarded: Option<Limit>,
    /// Whether it is said that a limit will be crossed, and how loud.
    #[serde(default)]
    pub forewarns: Option<Forewarn>,
}

/// Who an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its process.
    pub process: Process,
    /// Identity of the job.
    pub uuid: Uuid,
    /// Name of the job.
    pub job: String,
    /// The project.
    pub project: String,
    /// When it began to record, µs since 1970.
    pub started_unix_us: i64,
    /// The job's page.
    pub page: Option<String>,
    /// Where it stands; see [`Orders`].
    pub chain: Vec<Process>,
    /// Program of the process that its life is bound to; empty where it is bound to none.
    pub runner_command: String,
}

/// What `highwater stop` says of the job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stop {
    /// The exit code of what ran.
    pub exit_code: Option<i32>,
    /// The CI's own word.
    pub ci_status: String,
    /// It found the agent gone, and a pytest that still ran, so that the end stays open; those of before do not say it.
    #[serde(default)]
    pub agent_lost: bool,
}

/// What became of the sending.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Everything is on the server's disk.
    pub complete: bool,
    /// Why it is not.
    pub reason: String,
    /// What the agent had to say about the recording, a line each.
    pub warnings: Vec<String>,
    /// It could not do what is to be done at the end: there was no thread to send with, or its recorder did not come to its end, and so none was
    /// written. Whoever stops the job does it, as for an agent that is gone; agents of before do not say it.
    #[serde(default)]
    pub left_to_stop: bool,
}

impl Stop {
    /// Removes what an earlier stop left.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn forget(folder: &Path) -> io::Result<()> {
        match fs::remove_file(folder.join(STOP)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(named(&folder.join(STOP), &error))
            }
            _ => Ok(()),
        }
    }
}

impl From<ProcessKey> for Process {
    fn from(key: ProcessKey) -> Self {
        Self {
            pid: key.pid,
            start_ticks: key.start_ticks,
        }
    }
}

impl From<Process> for ProcessKey {
    fn from(process: Process) -> Self {
        Self {
            pid: process.pid,
            start_ticks: process.start_ticks,
        }
    }
}

impl Process {
    /// Whether it is there, and no process that was given its number later. One that cannot be read, as where this process has no descriptors
    /// left, is not taken for gone.
    #[must_use]
    pub fn lives(self, procfs: &Procfs) -> bool {
        let found = procfs.stat_of(self.pid, self.start_ticks, &mut Vec::new());
        found.map_or(true, |stat| stat.is_some_and(|stat| !stat.is_dead()))
    }
}

impl Agent {
    /// Whether its process is there and is the agent of a job's folder: what a file says may be of another process by now, or made up.
    #[must_use]
    pub fn lives(&self, procfs: &Procfs, folder: &Path) -> bool {
        self.process.lives(procfs) && records(procfs, self.process.pid, folder)
    }
}

/// Whether a process is an agent in the background that records to a folder.
#[must_use]
pub fn records(procfs: &Procfs, pid: u32, folder: &Path) -> bool {
    let Ok(words) = procfs.words(pid, &mut Vec::new()) else {
        return false;
    };
    let is_of_folder = words
        .last()
        .is_some_and(|word| Path::new(word).file_name() == folder.file_name());
    chain_of(&words).is_some() && is_of_folder
}

macro_rules! file {
    ($type:ty, $name:expr) => {
        impl $type {
            /// Reads it from the folder of a job; `None` where it is not there.
            ///
            /// # Errors
            /// When it cannot be read or understood.
            pub fn read(folder: &Path) -> io::Result<Option<Self>> {
                read(&folder.join($name))
            }

            /// Writes it to the folder of a job.
            ///
            /// # Errors
            /// When it cannot be written.
            pub fn write(&self, folder: &Path) -> io::Result<()> {
                write(&folder.join($name), self)
            }
        }
    };
}

file!(Orders, ORDERS);
file!(Agent, AGENT);
file!(Stop, STOP);
file!(Outcome, OUTCOME);

/// What lies in the folder of a job beside the spool as long as its agent records.
#[derive(Debug)]
pub struct Beside {
    agent: Agent,
    orders: Orders,
}

impl Beside {
    /// Of an agent and its orders.
    #[must_use]
    pub fn of(agent: &Agent, orders: &Orders) -> Self {
        Self {
            agent: agent.clone(),
            orders: orders.clone(),
        }
    }

    /// Writes again what was removed. Where that cannot be done it is tried again the next time.
    pub fn keep(&self, folder: &Path) {
        let gone = |name| is_gone(&folder.join(name));
        let again = [
            gone(LOG).then(|| write_log_to(&folder.join(LOG))),
            gone(ORDERS).then(|| self.orders.write(folder)),
            // The last, since it tells that all of it is there.
            gone(AGENT).then(|| self.agent.write(folder)),
        ];
        // Of what was given up for its file there is nothing to keep, and a full disk may have had none.
        drop(reserve(folder));
        let mut again = again.into_iter().flatten().peekable();
        if again.peek().is_some() && again.all(|written| written.is_ok()) {
            terminal::tell(format_args!(
                "{}: what lay here was removed while the recording went on",
                folder.display()
            ));
        }
    }
}

/// What the agent says goes to a file from now on.
fn write_log_to(path: &Path) -> io::Result<()> {
    let log = File::options().append(true).create(true).open(path)?;
    Ok(rustix::stdio::dup2_stderr(log)?)
}

fn is_gone(path: &Path) -> bool {
    path.symlink_metadata()
        .is_err_and(|error| regular::is_gone(&error))
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match regular::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| named(path, &error))?,
    };
    let value = serde_json::from_reader(io::BufReader::new(file));
    value
        .map(Some)
        .map_err(|error| named(path, &io::Error::other(error)))
}

fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let text = serde_json::to_vec(value).map_err(io::Error::other)?;
    regular::replace(path, &text)
        .or_else(|(_, error)| write_into_room(path, &text).map_err(|_| error))
        .map_err(|error| named(path, &error))
}

/// Keeps room for what is not written yet and is at the end, when the tests may have filled the disk.
///
/// # Errors
/// When there is none.
pub fn reserve(folder: &Path) -> io::Result<()> {
    for name in [STOP, OUTCOME] {
        let file = folder.join(name);
        let path = file.with_extension("room");
        if !is_gone(&path) || !is_gone(&file) {
            continue;
        }
        fs::write(&path, [b' '; ROOM_BYTES]).map_err(|error| named(&path, &error))?;
    }
    Ok(())
}

/// Writes over the blanks that were laid down for it: what follows the text there means nothing in JSON.
fn write_into_room(path: &Path, text: &[u8]) -> io::Result<()> {
    if text.len() > ROOM_BYTES {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let room = path.with_extension("room");
    regular::open_with(OpenOptions::new().write(true), &room)?.write_all(text)?;
    fs::rename(&room, path)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_is_written_at_the_end_has_room_where_nothing_else_has() {
        let folder = TempDir::new().unwrap();
        let stop = Stop {
            exit_code: Some(3),
            ci_status: "failure".to_owned(),
            agent_lost: false,
        };
        // Where a folder stands, no new file can be made, as on a full disk.
        fs::create_dir(folder.path().join(format!("{STOP}.new"))).unwrap();
        assert!(stop.write(folder.path()).is_err());
        reserve(folder.path()).unwrap();
        stop.write(folder.path()).unwrap();
        assert_eq!(Stop::read(folder.path()).unwrap(), Some(stop.clone()));
        let long = Stop {
            ci_status: "x".repeat(ROOM_BYTES),
            ..stop
        };
        fs::remove_file(folder.path().join("stop.json")).unwrap();
        reserve(folder.path()).unwrap();
        assert!(long.write(folder.path()).is_err());
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_gone() {
        let folder = TempDir::new().unwrap();
        let process = Process {
            pid: 7,
            start_ticks: 70,
        };
        let procfs = Procfs::new(folder.path());
        assert!(!process.lives(&procfs));
        // A folder cannot be read as a file.
        fs::create_dir_all(folder.path().join("7/stat")).unwrap();
        assert!(process.lives(&procfs));
        assert!(is_gone(&folder.path().join("nothing")));
        // No file can have so long a name.
        assert!(!is_gone(&folder.path().join("x".repeat(300))));
    }

    #[test]
    fn each_file_that_alone_is_removed_is_written_again() {
        let folder = TempDir::new().unwrap();
        let process = Process {
            pid: 7,
            start_ticks: 70,
        };
        let agent = Agent {
            process,
            uuid: Uuid::nil(),
            job: "unit".to_owned(),
            project: "o/r".to_owned(),
            started_unix_us: 5,
            page: None,
            chain: Vec::new(),
            runner_command: String::new(),
        };
        let orders = Orders {
            uuid: Uuid::nil(),
            job: v1::Job::default(),
            repo_root: None,
            server: None,
            chain: Vec::new(),
            runner: None,
            runner_command: String::new(),
            is_container: false,
            since_ticks: 0,
            max_age_us: 1,
            plugin: true,
            protects: true,
            goes_on: false,
            guarded: None,
            forewarns: None,
        };
        // Its log is this test's own.
        fs::write(folder.path().join(LOG), "").unwrap();
        let beside = Beside::of(&agent, &orders);
        beside.keep(folder.path());
        for name in [ORDERS, AGENT, "stop.room", "outcome.room"] {
            let path = folder.path().join(name);
            fs::remove_file(&path).unwrap();
            beside.keep(folder.path());
            assert!(path.exists(), "{name}");
        }
        assert_eq!(Agent::read(folder.path()).unwrap(), Some(agent));
        assert_eq!(Orders::read(folder.path()).unwrap(), Some(orders));
        // Where the file itself is there no room is kept for it.
        fs::rename(folder.path().join("stop.room"), folder.path().join(STOP)).unwrap();
        beside.keep(folder.path());
        assert!(!folder.path().join("stop.room").exists());
    }
}
