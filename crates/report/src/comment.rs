//! The comment on a pull request: written where there is something to say, and the same one each time.

use highwater_wire::report::{JobReport, PlanHint, Remark, Severity};
use uuid::Uuid;

use crate::{escape::code, markdown, rank};

/// GitHub takes 65,536 characters.
const MOST_BYTES: usize = 60_000;

/// What a comment begins with that speaks of this job, so that it is found again; one for each name, variant and shard.
#[must_use]
pub fn marker(job: &JobReport) -> String {
    let of = format!("{}\0{}", job.project, rank::job_name(job));
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, of.as_bytes());
    format!("<!-- highwater {} -->", id.simple())
}

/// What to say of a job. `None` where there is nothing: what was said before is then taken back, and nothing else is written. Notices alone are
/// nothing.
#[must_use]
pub fn comment(
    job: &JobReport,
    remarks: &[Remark],
    plan_hint: Option<&PlanHint>,
    page: Option<&str>,
) -> Option<String> {
    let mut speaking = remarks.iter();
    let speaks = speaking.any(|remark| remark.severity < Severity::Notice);
    let text = || markdown::brief(job, remarks, plan_hint, page, MOST_BYTES);
    speaks.then(|| format!("{}\n{}", marker(job), text()))
}

/// What stands where something was said before and nothing is to be said now.
#[must_use]
pub fn taken_back(job: &JobReport, remarks: &[Remark]) -> String {
    let mut text = format!(
        "{}\n### Memory of {}\n\nNothing to say any more: what was told here before is gone as of {}.\n",
        marker(job),
        code(&rank::job_name(job)),
        code(&job.commit.chars().take(10).collect::<String>())
    );
    let refuted = remarks.iter().filter(|remark| remark.is_refuted);
    let refuted: Vec<String> = refuted
        .map(|it| format!("- {}\n", markdown::sentence(&it.sentence)))
        .collect();
    if !refuted.is_empty() {
        text.push_str("\nRefuted by a confirming run:\n\n");
        text.extend(refuted);
    }
    text
}
