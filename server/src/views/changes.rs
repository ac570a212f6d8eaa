//! What changed for good, in a list.

use highwater_analysis::history;
use highwater_wire::report::{BaselineJob, Change, Direction};

use super::{
    format,
    jobs::{file_href, project_href},
};

/// A change as a page tells it.
pub(crate) struct ChangeLine {
    pub(crate) sentence: String,
    /// `bad` where it takes more since, `good` where it takes less.
    pub(crate) tone: &'static str,
    pub(crate) word: &'static str,
    /// Its file and the page of that; none where the page is that one, or the change is of the job.
    pub(crate) file: Option<(String, String)>,
    /// The job that it came with, as it is called and its page.
    pub(crate) job: (String, String),
}

/// Changes of a project, each with its file.
pub(crate) fn of_project(project: &str, changes: &[Change]) -> Vec<ChangeLine> {
    let project = project_href(project);
    let of_file = |change: &Change| {
        let path = change.path.as_ref()?;
        let href = file_href(&project, path, &change.name);
        (!href.is_empty()).then(|| (path.clone(), href))
    };
    let line = |change: &Change| ChangeLine {
        file: of_file(change),
        ..line(change, change.sentence.clone())
    };
    changes.iter().map(line).collect()
}

/// Changes of the one file that a page is about.
pub(crate) fn of_file(changes: &[Change]) -> Vec<ChangeLine> {
    let it = |change: &Change| line(change, history::of_change(change, "it"));
    changes.iter().map(it).collect()
}

fn line(change: &Change, sentence: String) -> ChangeLine {
    let (tone, word) = match change.direction {
        Direction::Worse => ("bad", "worse"),
        Direction::Better => ("good", "better"),
    };
    ChangeLine {
        sentence,
        tone,
        word,
        file: None,
        job: (
            job_of(&change.since),
            format!("/jobs/{}", change.since.uuid),
        ),
    }
}

fn job_of(job: &BaselineJob) -> String {
    match job.commit.as_str() {
        "" => "the job".to_owned(),
        commit => format!("the job of {}", format::commit(commit)),
    }
}
