//! What is told of a job, in every form that people and their tools read: from figures to text, with no figure of its own.
//!
//! [`Source`] is what a report is written of, [`Format`] says how, [`write`] writes it. Server and agent call it alike, so that a report of a spool
//! and one of the server read the same. What is to be said is decided once, in [`remarks`], and each form only writes it down.
//!
//! Rooms, from foundations to the top: `names`, `escape`, `limits`, `diagnosis`, `imports` | `remarks`, `timeline` | `terminal`, `markdown`, `json`, `junit`, `html`,
//! `prometheus`, `github`, `gitlab`, `badge` | `comment`, `webhook` | `format`.
//!
//! Architecture invariant: no IO, no clock. Names of tests, files, branches and jobs are foreign: none gets into a form but through `escape`, or
//! through a template that escapes by itself.

mod badge;
mod comment;
pub mod diagnosis;
mod escape;
mod format;
mod github;
mod gitlab;
mod html;
mod imports;
mod json;
mod junit;
mod limits;
mod markdown;
mod names;
mod prometheus;
mod rank;
pub mod remarks;
mod terminal;
mod timeline;
mod webhook;

use highwater_analysis::{
    check::{self, Limits},
    digest::Digest,
    next_step,
    plan::{self, Facts},
};
use highwater_wire::report::{CheckReport, PlanHint, Remark};

pub use badge::{Figures, badge, unknown_badge};
pub use comment::{comment, marker, taken_back};
pub use format::{Format, WriteError, write};
pub use json::document;
pub use names::fitted;
pub use rank::{at_least, left_running, retained_words, with_children};
pub use terminal::{Look, terminal};
pub use timeline::{Chart, Curve, Of, chart};
pub use webhook::{Telling, Told, WebhookFormat, webhook_test};

/// What a report is written of.
#[derive(Debug)]
pub struct Source<'a> {
    /// Every figure of the job.
    pub digest: &'a Digest,
    /// What is to be said of it, the worst first.
    pub remarks: Vec<Remark>,
    /// What the check beside the jobs before comes to, where its findings do not tell it; empty where there was none.
    pub checked: String,
    /// What to do next; none of a job that runs well.
    pub next_step: Option<String>,
    /// How to cut it into jobs that fit, or why none do; none where that is no matter.
    pub plan_hint: Option<PlanHint>,
    /// Its memory over time, to be drawn.
    pub curves: Vec<Curve<'a>>,
    /// Why there are no samples; empty where there are.
    pub samples_gone: String,
    /// Why there are no rows within the job (test files, tests, fixtures); empty where they are there.
    pub files_gone: String,
    /// Address of the job's page, where there is one.
    pub page: Option<&'a str>,
    /// How a terminal shows it.
    pub look: Look,
}

impl<'a> Source<'a> {
    /// A report of these figures and of the limits that the project sets itself, without curves.
    #[must_use]
    pub fn new(digest: &'a Digest, page: Option<&'a str>) -> Self {
        let limits = Limits::of(&digest.job);
        let check = check::check(&digest.job, &digest.files, "", &[], &limits);
        let facts = plan::is_due(&digest.job)
            .then(|| Facts::of(&digest.job.sessions, &digest.files, &digest.fixtures));
        Self {
            plan_hint: facts.and_then(|facts| plan::hint(&digest.job, &facts, page)),
            ..Self::beside(digest, page, Some(&check))
        }
    }

    /// The same with what a check beside the jobs before found, where there was one; without a hint of a plan, which rests on more than this job.
    #[must_use]
    pub fn beside(digest: &'a Digest, page: Option<&'a str>, check: Option<&CheckReport>) -> Self {
        let mut remarks = remarks::of(digest);
        if let Some(check) = check {
            remarks::add_findings(&mut remarks, &digest.job, check);
        }
        let findings = check.map_or(&[][..], |check| &check.findings);
        Self {
            digest,
            remarks,
            checked: check.map_or_else(String::new, |it| check::beside_findings(it, &digest.job)),
            next_step: next_step::of(&digest.job, findings),
            plan_hint: None,
            curves: Vec::new(),
            samples_gone: String::new(),
            files_gone: String::new(),
            page,
            look: Look::default(),
        }
    }
}

#[cfg(test)]
mod tests;
