//! The values of about a second of the grid, in columns.

use crate::{
    procfs::Statm,
    tree::{Member, ProcessKey},
};

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

    /// An empty block with room for as much as this one holds.
    pub(super) fn successor(&self) -> Self {
        Self {
            t_us: Vec::with_capacity(self.t_us.len() + 1),
            lateness_us: Vec::with_capacity(self.t_us.len() + 1),
            columns: Vec::with_capacity(self.columns.len() + 1),
        }
    }

    pub(super) fn begin_tick(&mut self, t_us: i64, lateness_us: u64) {
        self.t_us.push(t_us);
        self.lateness_us.push(lateness_us);
    }

    /// Puts a value on the running tick.
    pub(super) fn put(&mut self, member: &mut Member, statm: Statm) {
        let tick = self.t_us.len() - 1;
        let open = member.column.and_then(|at| self.columns.get_mut(at));
        if let Some(column) = open
            && column.first + column.rss.len() == tick
        {
            column.rss.push(statm.resident_bytes);
            column.anon.push(statm.anon_bytes);
            return;
        }
        let room = self.t_us.capacity();
        let mut column = Column {
            key: member.key,
            first: tick,
            rss: Vec::with_capacity(room),
            anon: Vec::with_capacity(room),
        };
        column.rss.push(statm.resident_bytes);
        column.anon.push(statm.anon_bytes);
        member.column = Some(self.columns.len());
        self.columns.push(column);
    }
}
