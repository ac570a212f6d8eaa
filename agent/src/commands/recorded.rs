//! The recording that a subcommand reads where it lies, in the spool.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::{
    spool::{self, SpoolError},
    summary::End,
};

/// A recording in the spool.
#[derive(Debug, PartialEq)]
pub(super) struct InSpool {
    pub(super) job: Uuid,
    pub(super) folder: PathBuf,
    /// What is known of its end.
    pub(super) end: End,
}

/// The recording of a job, or the newest; none where there is no such. Asking changes nothing, whoever records or sends it.
pub(super) fn in_spool(job: Option<Uuid>, root: &Path) -> Result<Option<InSpool>, SpoolError> {
    let folders = spool::open_jobs(root)?.into_iter().rev();
    let mut named = folders.filter_map(|folder| Some((spool::uuid_of(&folder).ok()?, folder)));
    let found = named.find(|(uuid, _)| job.is_none_or(|job| job == *uuid));
    Ok(found.map(|(job, folder)| InSpool {
        job,
        end: match spool::is_locked(&folder) {
            true => End::NotYet,
            false => End::InSpool,
        },
        folder,
    }))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use highwater_wire::v1;
    use rustix::fs::{FlockOperation, flock};
    use tempfile::TempDir;

    use super::*;
    use crate::spool::Spool;

    #[test]
    fn the_newest_is_found_or_the_one_that_is_named() {
        let root = TempDir::new().unwrap();
        let [old, new, none] = [1, 2, 3].map(Uuid::from_u128);
        let _spools =
            [new, old].map(|job| Spool::create(root.path(), &v1::Job::default(), job).unwrap());
        fs::create_dir(root.path().join("plugin")).unwrap();
        let found = |job| {
            let found = in_spool(job, root.path()).unwrap();
            found.map(|found| (found.job, found.end))
        };
        assert_eq!(found(None), Some((new, End::NotYet)));
        assert_eq!(found(Some(old)), Some((old, End::NotYet)));
        assert_eq!(found(Some(none)), None);
        let nowhere = in_spool(None, &root.path().join("nowhere")).unwrap();
        assert_eq!(nowhere, None);
    }

    #[test]
    fn asking_makes_no_lock_and_takes_nobody_else_who_asks_for_the_agent() {
        let root = TempDir::new().unwrap();
        let job = Uuid::from_u128(1);
        drop(Spool::create(root.path(), &v1::Job::default(), job).unwrap());
        let lock = root.path().join(job.to_string()).join("lock");
        let asks = File::open(&lock).unwrap();
        flock(&asks, FlockOperation::LockShared).unwrap();
        let end = || in_spool(None, root.path()).unwrap().unwrap().end;
        assert_eq!(end(), End::InSpool);
        fs::remove_file(&lock).unwrap();
        assert_eq!(end(), End::InSpool);
        assert!(!lock.exists());
    }
}
