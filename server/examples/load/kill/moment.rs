//! When it is killed.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use fastrand::Rng;
use tokio::time::sleep;

use crate::{ledger::Ledger, subject::Subject};

/// How long a moment is waited for; without it any other does.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Any,
    /// Before it is ready: the log is read back, the schema compared.
    Start,
    /// After a job ended.
    Finalise,
    /// When the log is copied into the file.
    Checkpoint,
    /// When what had its time is removed.
    Retention,
}

impl Moment {
    pub(super) fn of(round: u32) -> Self {
        match round % 10 {
            1 | 6 => Self::Start,
            2 | 5 | 8 => Self::Finalise,
            4 => Self::Checkpoint,
            3 | 9 => Self::Retention,
            _ => Self::Any,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Any => "at a random moment",
            Self::Start => "while it started",
            Self::Finalise => "just after a job ended",
            Self::Checkpoint => "while the log was copied into the file",
            Self::Retention => "while retention removed",
        }
    }

    /// Waits until it comes, and then for some random moments more. Answers which it was.
    pub(super) async fn come(
        self,
        database: &str,
        subject: &Subject,
        ledger: &Ledger,
        rng: &mut Rng,
    ) -> Self {
        let file = Path::new(database.trim_start_matches("sqlite://"));
        let (ended, copied) = (ledger.ended(), changed(file));
        let (came, within_ms) = match self {
            Self::Any | Self::Start => (true, 1_200),
            Self::Finalise => (until(|| ledger.ended() > ended).await, 120),
            Self::Checkpoint => (until(|| changed(file) != copied).await, 10),
            Self::Retention => (until(|| subject.said(REMOVED)).await, 80),
        };
        sleep(Duration::from_micros(rng.u64(0..=within_ms * 1_000))).await;
        if came { self } else { Self::Any }
    }
}

/// What the server's log says of each project of which something is removed.
const REMOVED: &str = "had their time";

/// A guest does little in a second, and those who play come back to it one after the other.
pub(super) async fn in_a_guest(rng: &mut Rng) -> Moment {
    sleep(Duration::from_millis(rng.u64(2_000..14_000))).await;
    Moment::Any
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|file| file.modified()).ok()
}

async fn until(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(1)).await;
    }
    true
}
