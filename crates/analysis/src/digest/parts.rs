//! Everything that the figures of the job as a whole rest on.

use highwater_wire::report::TestRow;

use super::{
    Context, cgroups::Cgroups, memory::Memory, peak::JobPeak, processes::ProcessFacts,
    sessions::Sessions, walk::Walk,
};
use crate::recording::Recording;

pub(super) struct Parts<'a> {
    pub(super) recording: &'a Recording,
    pub(super) context: &'a Context,
    pub(super) processes: &'a [ProcessFacts],
    pub(super) sessions: &'a Sessions,
    pub(super) walks: &'a [Walk<'a>],
    pub(super) tests: &'a [TestRow],
    pub(super) peak: JobPeak,
    pub(super) memory: &'a Memory,
    pub(super) cgroups: &'a Cgroups,
}
