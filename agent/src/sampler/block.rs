//! The values of about a second of the grid: gathered tick by tick, handed over in columns.
//!
//! A tick writes all its values into one place. Written into a column for each process they would lie in as many, and after the pause between two
//! ticks each of those has to be fetched from memory first.

use crate::{
    procfs::Statm,
    tree::{Member, Place, ProcessKey},
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
}

/// The block that is being gathered.
#[derive(Debug, Default)]
pub(super) struct RunningBlock {
    t_us: Vec<i64>,
    lateness_us: Vec<u64>,
    /// Whose each column is, and the tick that it begins at.
    begun: Vec<(ProcessKey, usize)>,
    values: Vec<Value>,
    /// Columns that were used.
    spare: Vec<Column>,
}

/// What was read of one process on one tick.
#[derive(Debug, Clone, Copy)]
struct Value {
    column: usize,
    rss: u64,
    anon: u64,
}

impl RunningBlock {
    /// How many ticks it has.
    pub(super) fn ticks(&self) -> usize {
        self.t_us.len()
    }

    /// At most so many values are in it.
    pub(super) fn most_values(&self) -> usize {
        2 * self.begun.len() * self.t_us.len()
    }

    pub(super) fn begin_tick(&mut self, t_us: i64, lateness_us: u64) {
        self.t_us.push(t_us);
        self.lateness_us.push(lateness_us);
    }

    /// Puts a value on the running tick.
    pub(super) fn put(&mut self, member: &mut Member, statm: Statm) {
        let tick = self.t_us.len() - 1;
        let column = match member.place {
            Some(place) if place.tick + 1 == tick => place.column,
            _ => {
                self.begun.push((member.key, tick));
                self.begun.len() - 1
            }
        };
        member.place = Some(Place { column, tick });
        self.values.push(Value {
            column,
            rss: statm.resident_bytes,
            anon: statm.anon_bytes,
        });
    }

    /// Lays what was gathered into a block that was used before; `None` when nothing was. From then on no process has a place here.
    pub(super) fn hand_over(
        &mut self,
        block: impl FnOnce() -> GridBlock,
        members: &mut [Member],
    ) -> Option<GridBlock> {
        if self.t_us.is_empty() {
            return None;
        }
        for member in members {
            member.place = None;
        }
        let mut block = block();
        block.clear(&mut self.spare, self.t_us.len() + 1);
        block.t_us.append(&mut self.t_us);
        block.lateness_us.append(&mut self.lateness_us);
        let ticks = block.t_us.capacity();
        let spare = &mut self.spare;
        block
            .columns
            .extend(self.begun.drain(..).map(|(key, first)| {
                let (mut rss, mut anon) =
                    spare.pop().map(|it| (it.rss, it.anon)).unwrap_or_default();
                for values in [&mut rss, &mut anon] {
                    values.clear();
                    values.reserve(ticks);
                }
                Column {
                    key,
                    first,
                    rss,
                    anon,
                }
            }));
        for value in self.values.drain(..) {
            if let Some(column) = block.columns.get_mut(value.column) {
                column.rss.push(value.rss);
                column.anon.push(value.anon);
            }
        }
        Some(block)
    }
}

#[cfg(test)]
impl RunningBlock {
    /// Where the values lie.
    pub(super) fn address(&self) -> (*const i64, *const u64) {
        (self.t_us.as_ptr(), self.values.as_ptr().cast())
    }
}
