//! What stands for the thread that hears of ends where no process can be held on to: nobody hears.

use std::{convert::Infallible, io, sync::Arc};

use super::{Counters, Seen, Tellable, Teller};
use crate::{clock::JobClock, procfs::Procfs, tree::ProcessKey};

/// There is none.
#[derive(Debug)]
pub(super) struct Exits(Infallible);

impl Exits {
    /// Would start it.
    ///
    /// # Errors
    /// Always.
    pub(super) fn start<T: From<Seen> + Tellable + Send + 'static>(
        _: Procfs,
        _: JobClock,
        _: Teller<T>,
        _: Arc<Counters<T>>,
    ) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn hold(&self, _: ProcessKey) -> bool {
        match self.0 {}
    }
}
