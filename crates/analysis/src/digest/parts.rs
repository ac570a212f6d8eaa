//! Everything that the figures of the job as a whole rest on.

use highwater_wire::report::{Diagnosis, TestRow};

use super::{
    Context, cgroups::Cgroups, memory::Memory, peak::JobPeak, processes::ProcessFacts,
    sessions::Sessions, visits::Visit, walk::Walk,
};
use crate::{forecast::History, recording::Recording};

pub(super) struct Parts<'a> {
    pub(super) recording: &'a Recording,
    pub(super) context: &'a Context,
    pub(super) processes: &'a [ProcessFacts],
    pub(super) sessions: &'a Sessions,
    pub(super) walks: &'a [Walk<'a>],
    pub(super) visits: &'a [Visit],
    pub(super) tests: &'a [TestRow],
    pub(super) peak: JobPeak,
    pub(super) diagnosis: Option<Diagnosis>,
    pub(super) memory: &'a Memory,
    pub(super) cgroups: &'a Cgroups,
    /// What a job of the same name saw before.
    pub(super) history: &'a History,
}

impl Parts<'_> {
    /// Whether the job comes from a file of another recorder, which does not tell when what it saw ended.
    pub(super) fn is_imported(&self) -> bool {
        let run = self.recording.job().run.as_ref();
        run.is_some_and(|run| run.provider == highwater_wire::IMPORT)
    }
}
