//! What the sampler tells the recorder.

use highwater_wire::v1;

use super::{GridBlock, RestReading, SecondReading, Sight, SlowReading, Tellable};
use crate::tree::{Facts, ProcessKey, TreeEvent};

/// One thing that was seen.
#[derive(Debug)]
pub enum Seen {
    /// Something happened to the tree.
    Tree(TreeEvent, i64),
    /// About a second of the grid.
    Grid(GridBlock),
    /// Cgroups and machine.
    Second(SecondReading),
    /// Both at once, as a second ends: whoever hears of it is woken once.
    WholeSecond(GridBlock, SecondReading),
    /// PSS and swap.
    Slow(SlowReading),
    /// What is known of a process beside its memory has changed.
    Facts {
        /// Which process.
        key: ProcessKey,
        /// When, µs since the job's start.
        t_us: i64,
        /// All that is known now.
        facts: Facts,
    },
    /// A process has ended, and how; one of these is there.
    Exit {
        /// Which process.
        key: ProcessKey,
        /// When, µs since the job's start.
        t_us: i64,
        /// Its exit code.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// The rest of the machine.
    Rest(RestReading),
    /// What pytests without the plugin were seen to do on a tick.
    Sights(Vec<Sight>),
    /// Something that speaks for an ending.
    Event(v1::Event),
    /// A reading failed; `code` names which.
    Failed {
        /// When, µs since the job's start.
        t_us: i64,
        /// Short name of what failed.
        code: &'static str,
        /// What the system said.
        message: String,
    },
}

impl Tellable for Seen {
    fn is_bulk(&self) -> bool {
        match self {
            Self::Grid(_)
            | Self::Second(_)
            | Self::WholeSecond(..)
            | Self::Slow(_)
            | Self::Rest(_)
            | Self::Failed { .. } => true,
            Self::Tree(..)
            | Self::Facts { .. }
            | Self::Exit { .. }
            | Self::Sights(_)
            | Self::Event(_) => false,
        }
    }
}
