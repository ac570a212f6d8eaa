//! What the sampler fills and the recorder empties, on its way back.

use super::{GridBlock, SecondReading, SlowValue};
use crate::{pool::Pool, tree::ProcessKey};

/// Shared by sampler and recorder: in steady state what one has emptied the other fills again.
#[derive(Debug, Clone, Default)]
pub struct Spares {
    /// Blocks of the grid.
    pub blocks: Pool<GridBlock>,
    /// Readings of cgroups and machine.
    pub seconds: Pool<SecondReading>,
    /// Values of a round.
    pub values: Pool<Vec<SlowValue>>,
    /// Whom a round asks for.
    pub(super) keys: Pool<Vec<ProcessKey>>,
}
