//! From what is stored of a job to its recording, and from that to pages, rows and facts.

mod columns;
mod remains;
mod rows;

use highwater_analysis::{
    arrival,
    branches::Branch,
    digest::{Context, Digest, digest_with, process_numbers},
    forecast::History,
    recording::Recording,
};
use highwater_store::{
    Detail, DetailKind, JobKey, OfBranch, SeriesRow, Snapshot, StoreError, StoredBatch, StoredPage,
};
use highwater_wire::{
    codec,
    report::{FileRow, JobReport, JobState},
    v1::{Batch, End, Job},
};
use prost::Message;
use uuid::Uuid;

pub(crate) use columns::{
    Column, KeptTicks, Span, USUAL_POINTS, Window, load as load_columns, name_of, window,
};
pub(crate) use remains::report as report_of_remains;
pub(crate) use rows::{Rows, finalised, read as read_rows};

/// Why a job could not be settled or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinaliseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("job {job}: {what}: {reason}")]
    Damaged {
        job: i64,
        what: &'static str,
        reason: String,
    },
    #[error("the work on a job was given up: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl FinaliseError {
    pub(crate) fn damaged(job: i64, what: &'static str, reason: impl ToString) -> Self {
        Self::Damaged {
            job,
            what,
            reason: reason.to_string(),
        }
    }
}

/// Everything that is there of a job at one moment, with what tells how far it is.
pub(crate) struct Loaded {
    pub(crate) key: JobKey,
    pub(crate) recording: Recording,
    pub(crate) state: JobState,
    uuid: Uuid,
    /// What the last good job of its name saw.
    history: History,
    fresh: Vec<(Uuid, u64)>,
}

impl Loaded {
    /// The figures of the job as it stands. Work for a thread that may block.
    pub(crate) fn digest(&self) -> Digest {
        self.digest_as(self.key.revision)
    }

    pub(crate) fn digest_as(&self, revision: u32) -> Digest {
        let context = Context {
            uuid: self.uuid,
            state: self.state,
            revision,
            clock_skew_us: self.key.clock_skew_us,
        };
        digest_with(&self.recording, &context, &self.history)
    }

    /// The samples of the job as it stands, with the curve of its digest.
    pub(crate) fn columns(&self, digest: &Digest, span: Span) -> Vec<Column> {
        columns::of_recording(
            &self.recording,
            &digest.tree,
            &process_numbers(&self.recording),
            span,
        )
    }
}

/// What is shown of a job that is not settled.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) digest: Digest,
    /// Every series over the whole job, as fine as charts are drawn.
    pub(crate) columns: Vec<Column>,
}

impl Live {
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let digest = loaded.digest();
        let columns = loaded.columns(&digest, Span::default());
        Self { digest, columns }
    }
}

/// Where a job is in its life, by what is there and whether it was last heard of by `silent_since`, µs since 1970.
pub(crate) async fn state_of(
    silent_since: i64,
    snapshot: &mut Snapshot,
    key: &JobKey,
) -> Result<JobState, FinaliseError> {
    // One that was given up would run again, had it been heard of since.
    let given_up = matches!(key.state.as_str(), "lost" | "incomplete");
    let silent = given_up || key.heard_unix_us <= silent_since;
    let Some(end) = &key.end_body else {
        return Ok(if silent {
            JobState::Lost
        } else {
            JobState::Running
        });
    };
    let end = End::decode(end.as_slice())
        .map_err(|error| FinaliseError::damaged(key.id, "end", error))?;
    let counts = snapshot.batch_counts(key.id).await?;
    let missing = arrival::missing(&end, |stream| {
        let found = counts.iter().find(|(counted, _)| *counted == stream);
        found.map_or(0, |(_, count)| *count)
    });
    Ok(match (missing == 0, silent) {
        (true, _) => JobState::Finished,
        (false, true) => JobState::Incomplete,
        (false, false) => JobState::Running,
    })
}

/// Reads everything that is there of a job.
pub(crate) async fn read(
    silent_since: i64,
    snapshot: &mut Snapshot,
    uuid: Uuid,
    key: JobKey,
) -> Result<Stored, FinaliseError> {
    let id = key.id;
    Ok(Stored {
        state: state_of(silent_since, snapshot, &key).await?,
        residue: snapshot.detail(id, DetailKind::Residue).await?,
        series: snapshot.series(id).await?,
        pages: snapshot.value_pages(id).await?,
        batches: snapshot.batch_bodies(id).await?,
        before: last_good(snapshot, &key).await?,
        uuid,
        key,
    })
}

/// The job whose files a forecast knows: of the nearest branch that has one, else of any.
async fn last_good(snapshot: &mut Snapshot, key: &JobKey) -> Result<Option<Good>, FinaliseError> {
    let job = key.id;
    let Some(place) = snapshot.place(job).await? else {
        return Ok(None);
    };
    let begun = Job::decode(key.begin_body.as_slice())
        .map_err(|error| FinaliseError::damaged(job, "begin", error))?;
    let own = Branch {
        name: place.branch.clone(),
        pull_request: place.pull_request.clone(),
        is_fork: begun.run.is_some_and(|run| run.fork),
    };
    let near = own.near();
    let near = near.iter().map(|branch| Some(of_branch(branch)));
    for branch in near.chain([None]) {
        if let Some((report, files)) = snapshot.last_good(job, &place, branch).await? {
            let is_near = branch.is_some();
            return Ok(Some(Good {
                report,
                files,
                is_near,
            }));
        }
    }
    Ok(None)
}

/// As the store asks for it.
pub(crate) fn of_branch(branch: &Branch) -> OfBranch<'_> {
    OfBranch {
        name: &branch.name,
        pull_request: &branch.pull_request,
    }
}

/// The job whose files a forecast knows.
struct Good {
    report: Detail,
    files: Detail,
    /// Whether it is of the job's own branch or of a baseline's.
    is_near: bool,
}

/// What there is of a job at one moment, as it lies in the store.
pub(crate) struct Stored {
    pub(crate) key: JobKey,
    uuid: Uuid,
    pub(crate) state: JobState,
    residue: Option<Detail>,
    series: Vec<SeriesRow>,
    pages: Vec<StoredPage>,
    batches: Vec<StoredBatch>,
    /// The last good job of its name.
    before: Option<Good>,
}

impl Stored {
    /// About what it takes to work on it, bytes.
    pub(crate) fn weight(&self) -> u64 {
        self.key.weight.cast_unsigned()
    }

    /// Puts all of it into a recording. Work for a thread that may block.
    pub(crate) fn load(self) -> Result<Loaded, FinaliseError> {
        let id = self.key.id;
        let job = Job::decode(self.key.begin_body.as_slice())
            .map_err(|error| FinaliseError::damaged(id, "begin", error))?;
        let end = self.key.end_body.as_deref().map(End::decode).transpose();
        let end = end.map_err(|error| FinaliseError::damaged(id, "end", error))?;
        let mut recording = match self.residue {
            Some(residue) => {
                let residue = Batch::decode(residue.unpack()?.as_slice())
                    .map_err(|error| FinaliseError::damaged(id, "residue", error))?;
                let groups = columns::restore(id, self.series, &self.pages)?;
                Recording::restore(job, end, &groups, &residue)
            }
            None => {
                let mut recording = Recording::new(job);
                if let Some(end) = end {
                    recording.set_end(end);
                }
                recording
            }
        };
        // Rows of another version may mean something else, and a diagnosis makes files begin lower; the forecast then goes without.
        let before = self.before.as_ref().map(|good| {
            let report = read_rows::<JobReport>(&good.report);
            let files = read_rows::<Vec<FileRow>>(&good.files);
            (report, files, good.is_near)
        });
        let history = match before {
            Some((Rows::Current(report), Rows::Current(files), is_near))
                if files.iter().all(|file| file.diagnosis.is_none()) =>
            {
                let history = History::of(&files, &report.sessions);
                match is_near {
                    true => history,
                    false => history.elsewhere(&Branch::of(&report)),
                }
            }
            _ => History::default(),
        };
        let mut fresh = Vec::new();
        for stored in self.batches {
            let batch: Batch = codec::decode(&stored.body)
                .map_err(|problem| FinaliseError::damaged(id, "batch", problem))?;
            recording.add(stored.stream, stored.seq, &batch);
            fresh.push((stored.stream, stored.seq));
        }
        Ok(Loaded {
            key: self.key,
            recording,
            state: self.state,
            uuid: self.uuid,
            history,
            fresh,
        })
    }
}
