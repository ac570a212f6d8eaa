//! Which shared fixtures a worse peak comes with: what they take is no file's, so no figure of a file tells it.

use std::{cmp::Reverse, collections::BTreeMap};

use highwater_wire::report::{
    BaselineJob, ChangedFixture, CheckFigure, CheckReport, Finding, FindingCause, FixtureRow,
    JobReport,
};

use super::judge;
use crate::{figures::mebibytes, regression::least_change, scopes::is_shared};

/// So many fixtures are named with a finding at the most.
pub const MOST_NAMED: usize = 3;

/// Whether shared fixtures may explain a finding: that the job's peak or headroom changed.
fn is_explained(finding: &Finding) -> bool {
    let is_change = matches!(
        finding.cause,
        FindingCause::Changed | FindingCause::ChangedBefore
    );
    let is_whole = matches!(finding.figure, CheckFigure::Peak | CheckFigure::Headroom);
    is_change && is_whole && finding.path.is_none()
}

/// The job that fixtures are held against: the last of the baseline that does not have what is found. None where nothing is found that fixtures may explain.
#[must_use]
pub fn before_the_change(report: &CheckReport) -> Option<&BaselineJob> {
    let jobs = &report.baseline.jobs;
    let finding = report.findings.iter().find(|it| is_explained(it))?;
    let has_it = |since: &BaselineJob| jobs.iter().position(|it| it.uuid == since.uuid);
    let until = finding.since.as_ref().and_then(has_it);
    jobs[..until.unwrap_or(jobs.len())].last()
}

/// Names with findings of the job's peak or headroom the shared fixtures of which one set-up takes more than in the job of [`before_the_change`]: those that took the most more first.
pub fn name_fixtures(
    report: &mut CheckReport,
    job: &JobReport,
    now: &[FixtureRow],
    before: &[FixtureRow],
) {
    let fixtures = grown(job, now, before);
    if fixtures.is_empty() {
        return;
    }
    for finding in report.findings.iter_mut().filter(|it| is_explained(it)) {
        finding.sentence.push_str(&words(&fixtures));
        finding.fixtures.clone_from(&fixtures);
    }
    judge(report, job);
}

/// Set-ups of a fixture, and what they took, bytes.
type SetUps = (u64, i64);

/// Of each shared fixture its set-ups, by name and where it is defined.
fn shared(rows: &[FixtureRow]) -> BTreeMap<(&str, &str), SetUps> {
    let mut fixtures: BTreeMap<(&str, &str), SetUps> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_shared(&row.scope, &row.base)) {
        let sum = fixtures.entry((&row.name, &row.base)).or_default();
        sum.0 = sum.0.saturating_add(row.setups);
        sum.1 = sum.1.saturating_add(row.setup_bytes);
    }
    fixtures.retain(|_, (setups, _)| *setups > 0);
    fixtures
}

fn each((setups, bytes): SetUps) -> i64 {
    bytes / setups.max(1).cast_signed().max(1)
}

fn grown(job: &JobReport, now: &[FixtureRow], before: &[FixtureRow]) -> Vec<ChangedFixture> {
    let had = shared(before);
    let workers = job.sessions.iter().map(|it| u64::from(it.numprocesses));
    let workers = workers.max().unwrap_or(0).max(1);
    let least = least_change(job.peak_bytes as f64);
    let of = |((name, base), took): ((&str, &str), SetUps)| {
        let fixture = ChangedFixture {
            name: name.to_owned(),
            base: base.to_owned(),
            bytes: each(took),
            before_bytes: had.get(&(name, base)).copied().map(each),
        };
        // Each worker may hold one at a time.
        let at_once = took.0.min(workers);
        (more(&fixture) as f64 * at_once as f64 > least).then_some(fixture)
    };
    let mut grown: Vec<ChangedFixture> = shared(now).into_iter().filter_map(of).collect();
    grown.sort_by_key(|it| Reverse(more(it)));
    grown.truncate(MOST_NAMED);
    grown
}

/// What one set-up takes more, bytes; all of it where there was none before.
fn more(fixture: &ChangedFixture) -> i64 {
    let before = fixture.before_bytes.unwrap_or(0);
    fixture.bytes.saturating_sub(before)
}

fn words(fixtures: &[ChangedFixture]) -> String {
    let one = |it: &ChangedFixture| {
        let place = match it.base.as_str() {
            "" => String::new(),
            base => format!(" of {base}"),
        };
        let (name, bytes) = (&it.name, mebibytes(it.bytes));
        match it.before_bytes {
            Some(before) => format!(
                " One set-up of the fixture {name}{place} takes {bytes}, {} before.",
                mebibytes(before)
            ),
            None => format!(
                " One set-up of the fixture {name}{place} takes {bytes}; it was not set up before."
            ),
        }
    };
    fixtures.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
