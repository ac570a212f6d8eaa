//! What other recorders left.

use std::{cell::RefCell, future::Future};

use highwater_server::foreign;
use highwater_wire::{
    codec::{self, Checked},
    ids::ProjectSlug,
    v1::Batch,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    pieces::{in_a_folder, lay},
    wire,
};

/// A file of mprof.
pub(crate) fn mprof(bytes: &[u8]) {
    imported("file.dat", bytes);
}

/// A database of pytest-monitor.
pub(crate) fn pymon(bytes: &[u8]) {
    imported("file.pymon", bytes);
}

/// What can be read of a file is whole: every batch decodes, and figures come out.
fn imported(name: &str, bytes: &[u8]) {
    let jobs = in_a_folder(|folder| {
        let path = folder.join(name);
        lay(&path, bytes);
        let project = ProjectSlug::new("owner/repo").expect("a slug");
        waited(foreign::import(&path, project))
    });
    for whole in jobs.unwrap_or_default() {
        whole
            .job
            .check()
            .expect("a job that was read passes its checks");
        let batches: Vec<Batch> = whole
            .batches
            .iter()
            .map(|batch| codec::decode(&batch.body).expect("a batch that was made is one"))
            .collect();
        wire::work_out(whole.job, whole.end, &batches);
    }
}

/// Waits for what is to come.
pub(crate) fn waited<T>(what: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    RUNTIME.with_borrow_mut(|kept| {
        let runtime = kept.get_or_insert_with(|| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime")
        });
        runtime.block_on(what)
    })
}
