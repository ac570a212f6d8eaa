//! The values of about a second of the grid, in columns.

use crate::{
    procfs::Statm,
    tree::{Member, ProcessKey},
};

/// So many columns are laid by for later blocks.
const MOST_SPARE: usize = 1 << 14;

/// Values of one process on consecutive ticks of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Whose.
    pub key: ProcessKey,
    /// Position of the first value in [`GridBlock::t_us`].
    pub first: usize,
    /// Resident memory, bytes.
    pub rss: Vec<u64>,
    /// Resident minus shared, bytes; empty where that is not known.
    pub anon: Vec<u64>,
}

/// About a second of the grid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GridBlock {
    /// When each tick was taken, µs since the job's start.
    pub t_us: Vec<i64>,
    /// How late each was against the grid, µs.
    pub lateness_us: Vec<u64>,
    /// One a process, and another after each hole.
    pub columns: Vec<Column>,
}

impl GridBlock {
    /// Whether no tick was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.t_us.is_empty()
    }

    /// At most so many values are in it.
    #[must_use]
    pub fn most_values(&self) -> usize {
        2 * self.columns.len() * self.t_us.len()
    }

    /// Empties a block that was used, lays its columns by, and makes room for so many ticks.
    pub(super) fn clear(&mut self, spare: &mut Vec<Column>, ticks: usize) {
        self.t_us.clear();
        self.lateness_us.clear();
        self.t_us.reserve(ticks);
        self.lateness_us.reserve(ticks);
        let room = MOST_SPARE.saturating_sub(spare.len());
        // Backwards, so that the next block finds each column where the last had it.
        spare.extend(self.columns.drain(..).rev().take(room));
    }

    pub(super) fn begin_tick(&mut self, t_us: i64, lateness_us: u64) {
        self.t_us.push(t_us);
        self.lateness_us.push(lateness_us);
    }

    /// Puts a value on the running tick.
    pub(super) fn put(&mut self, member: &mut Member, statm: Statm, spare: &mut Vec<Column>) {
        let tick = self.t_us.len() - 1;
        let open = member.column.and_then(|at| self.columns.get_mut(at));
        if let Some(column) = open
            && column.first + column.rss.len() == tick
        {
            column.rss.push(statm.resident_bytes);
            column.anon.push(statm.anon_bytes);
            return;
        }
        let mut column = Column {
            key: member.key,
            first: tick,
            rss: Vec::new(),
            anon: Vec::new(),
        };
        if let Some(spare) = spare.pop() {
            (column.rss, column.anon) = (spare.rss, spare.anon);
            column.rss.clear();
            column.anon.clear();
        }
        let ticks = self.t_us.capacity();
        column.rss.reserve(ticks);
        column.anon.reserve(ticks);
        column.rss.push(statm.resident_bytes);
        column.anon.push(statm.anon_bytes);
        member.column = Some(self.columns.len());
        self.columns.push(column);
    }
}
