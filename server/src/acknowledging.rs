//! Figures that somebody knows of: what a page and the API take alike.

use highwater_analysis::{
    check::figure_of,
    figures::shown,
    time::{self, rfc3339},
};
use highwater_store::{AcknowledgedRow, MOST_ACKNOWLEDGED, NewAcknowledged};
use highwater_wire::report::{
    Acknowledgement, CheckFigure, JobState, MOST_BY, MOST_DAYS, MOST_REASON, NewAcknowledgement,
    ShardReport,
};
use jiff::{civil::Date, tz::TimeZone};
use uuid::Uuid;

use crate::{
    access::{Access, Scope},
    error::AppError,
    reading::Job,
    state::AppState,
};

const DAY_US: i64 = 86_400_000_000;

/// A project that somebody may see, with who they are.
pub(crate) struct Project<'a> {
    pub(crate) state: &'a AppState,
    pub(crate) access: &'a Access,
    pub(crate) id: i64,
    pub(crate) slug: &'a str,
}

impl Project<'_> {
    /// Acknowledges a figure as it is in a job of the project.
    pub(crate) async fn acknowledge(
        &self,
        new: NewAcknowledgement,
    ) -> Result<Acknowledgement, AppError> {
        let (state, access) = (self.state, self.access);
        self.admit()?;
        let now = state.wall_unix_us();
        let until_unix_us = until(&new, now)?;
        let reason = words("reason", &new.reason, MOST_REASON)?;
        let by = new.by.as_deref().filter(|by| !by.trim().is_empty());
        let by = by.map(|by| words("by", by, MOST_BY)).transpose()?;
        let path = new.path.filter(|path| !path.is_empty());
        is_of(new.figure, path.as_deref())?;
        let mut job = Job::find(state, access, new.job).await?;
        if job.project() != self.slug {
            return Err(AppError::no_job(new.job));
        }
        let report = job.report().await?;
        if report.state == JobState::Running {
            return Err(AppError::unsettled(new.job));
        }
        if let Some(of) = report.confirms {
            return Err(AppError::bad_request(
                format!(
                    "job {} ran files of job {of} again, and nothing else",
                    new.job
                ),
                "acknowledge what that job has",
            ));
        }
        let files = match (new.figure, &path) {
            (CheckFigure::Peak | CheckFigure::Headroom, None) => Vec::new(),
            _ => job.files().await?,
        };
        // Nobody keeps a connection of the store while the writer has others to serve.
        drop(job);
        let bytes = figure_of(&report, &files, path.as_deref(), new.figure);
        let bytes = bytes.ok_or_else(|| no_figure(new.job, path.as_deref()))?;
        let variant = match new.every_variant {
            true => None,
            false => {
                let variant = serde_json::to_string(&report.variant);
                Some(variant.map_err(|error| AppError::internal(&error))?)
            }
        };
        let row = NewAcknowledged {
            uuid: Uuid::now_v7(),
            project: self.id,
            name: report.name,
            variant,
            shard: report.shard.filter(|_| path.is_none()).map(written),
            figure: new.figure.as_str().to_owned(),
            path,
            bytes,
            job: new.job,
            reason,
            by: by.unwrap_or_else(|| access.name_for(self.slug, Scope::Admin)),
            created_unix_us: now,
            until_unix_us,
        };
        let id = row.uuid;
        if !state.store.acknowledge(row).await? {
            let full = format!(
                "{MOST_ACKNOWLEDGED} figures are acknowledged for the jobs of this name already"
            );
            return Err(AppError::bad_request(full, "withdraw some that are done"));
        }
        let made = self.find(id).await?;
        tracing::info!(target: "audit", project = self.slug, acknowledgement = %id, name = made.name, figure = made.figure.as_str(),
            path = made.path, until = made.until, by = access.by(), "a figure is acknowledged");
        Ok(made)
    }

    /// Withdraws an acknowledgement of the project; twice is as once.
    pub(crate) async fn withdraw(&self, id: Uuid) -> Result<Acknowledgement, AppError> {
        let (state, slug) = (self.state, self.slug);
        self.admit()?;
        self.find(id).await?;
        let now = state.wall_unix_us();
        let withdrawn = state.store.withdraw_acknowledgement(self.id, id, now);
        if withdrawn.await? {
            tracing::info!(target: "audit", project = slug, acknowledgement = %id, by = self.access.by(), "an acknowledgement is withdrawn");
        }
        self.find(id).await
    }

    fn admit(&self) -> Result<(), AppError> {
        match self.access.may(self.slug, Scope::Admin) {
            true => Ok(()),
            false => Err(self.access.refused(self.slug, Scope::Admin)),
        }
    }

    async fn find(&self, id: Uuid) -> Result<Acknowledgement, AppError> {
        let found = self.state.store.acknowledgement(self.id, id).await?;
        let row = found.ok_or_else(|| {
            AppError::not_found(
                format!("there is no acknowledgement {id} in {}", self.slug),
                "list those of the project",
            )
        })?;
        of_row(row, self.state.wall_unix_us())
    }
}

/// An acknowledgement as it is told.
pub(crate) fn of_row(row: AcknowledgedRow, now_unix_us: i64) -> Result<Acknowledgement, AppError> {
    let inside = |error: &dyn std::fmt::Display| {
        AppError::internal(&format!("acknowledgement {}: {error}", row.uuid))
    };
    let variant = row.variant.as_deref().map(serde_json::from_str);
    Ok(Acknowledgement {
        id: row.uuid,
        variant: variant.transpose().map_err(|error| inside(&error))?,
        shard: row
            .shard
            .as_deref()
            .map(read_shard)
            .transpose()
            .map_err(|error| inside(&error))?,
        figure: row.figure.parse().map_err(|error| inside(&error))?,
        name: row.name,
        path: row.path,
        bytes: row.bytes,
        job: row.job,
        reason: row.reason,
        by: row.by,
        created_at: rfc3339(row.created_unix_us),
        until: rfc3339(row.until_unix_us),
        withdrawn_at: row.withdrawn_unix_us.map(rfc3339),
        counts: row.withdrawn_unix_us.is_none() && now_unix_us < row.until_unix_us,
    })
}

/// A shard as the store keeps it.
fn written(shard: ShardReport) -> String {
    format!("{}/{}", shard.index, shard.total)
}

fn read_shard(text: &str) -> Result<ShardReport, String> {
    let wrong = || format!("{text:?} is no shard");
    let (index, total) = text.split_once('/').ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map_err(|_| wrong());
    Ok(ShardReport {
        index: number(index)?,
        total: number(total)?,
    })
}

/// Whether a figure is one of a file where a file is named, and of the job where none is.
fn is_of(figure: CheckFigure, path: Option<&str>) -> Result<(), AppError> {
    use CheckFigure::{Headroom, Imports, Peak, Retained, Spike};
    let is_right = match figure {
        Peak => true,
        Headroom | Imports => path.is_none(),
        Retained | Spike => path.is_some(),
    };
    if is_right {
        return Ok(());
    }
    let message = match path {
        Some(path) => format!(
            "{} is a figure of the job, and {path} is a file",
            figure.as_str()
        ),
        None => format!(
            "{} is a figure of a file, and none is named",
            figure.as_str()
        ),
    };
    Err(AppError::bad_request(
        message,
        "of a file acknowledge retained, spike or peak, of the job peak, headroom or imports, without a path",
    ))
}

fn no_figure(job: Uuid, path: Option<&str>) -> AppError {
    match path {
        Some(path) => AppError::not_found(
            format!("job {job} ran no test file {path:?}"),
            "see the files of the job for their paths",
        ),
        None => AppError::bad_request(
            format!("job {job} had no limit, so it has no headroom"),
            "acknowledge its peak",
        ),
    }
}

/// Until when something counts, µs since 1970.
fn until(new: &NewAcknowledgement, now_unix_us: i64) -> Result<i64, AppError> {
    let days = format!("say for how many days, 1 to {MOST_DAYS}");
    let wrong = |message: String| {
        AppError::bad_request(
            message,
            "give days, or until as a day (2026-12-31) or a moment (RFC 3339), 365 days from now at the most; a day counts to its end",
        )
    };
    let most = i64::from(MOST_DAYS) * DAY_US;
    let (lasts, most) = match (new.days, new.until.as_deref().map(str::trim)) {
        (Some(days), None) => (i64::from(days).saturating_mul(DAY_US), most),
        (None, Some(until)) => {
            let (end, is_day) = moment(until)
                .ok_or_else(|| wrong(format!("until {until:?} is neither a day nor a moment")))?;
            let most = if is_day { most + DAY_US } else { most };
            (end.saturating_sub(now_unix_us), most)
        }
        (Some(_), Some(_)) => return Err(wrong("both days and until are given".to_owned())),
        (None, None) => return Err(wrong(format!("no end is given: {days}"))),
    };
    if (1..=most).contains(&lasts) {
        Ok(now_unix_us.saturating_add(lasts))
    } else if lasts < 1 {
        Err(wrong("it would have ended already".to_owned()))
    } else {
        Err(wrong(format!(
            "it would count for more than {MOST_DAYS} days"
        )))
    }
}

/// A moment, or the end of a day in UTC, µs since 1970, and whether it is a day's.
fn moment(text: &str) -> Option<(i64, bool)> {
    let day: Result<Date, _> = text.parse();
    match day {
        Ok(day) if text.len() == "2026-12-31".len() => {
            let next = day.tomorrow().ok()?.at(0, 0, 0, 0);
            let end = TimeZone::UTC.to_timestamp(next).ok()?.as_microsecond();
            Some((end, true))
        }
        _ => Some((time::unix_us(text)?, false)),
    }
}

/// What somebody wrote, in a line.
fn words(what: &'static str, text: &str, most: usize) -> Result<String, AppError> {
    let text = text.trim();
    let hint = "write a line of plain words";
    if text.is_empty() {
        return Err(AppError::bad_request(format!("{what} is empty"), hint));
    }
    if text.chars().count() > most {
        let message = format!("{what} has more than {most} characters");
        return Err(AppError::bad_request(message, hint));
    }
    if shown(text) != text {
        let message = format!("{what} holds a character that is none to read");
        return Err(AppError::bad_request(message, hint));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000_000;

    fn new(days: Option<u32>, until: Option<&str>) -> NewAcknowledgement {
        NewAcknowledgement {
            job: Uuid::nil(),
            figure: CheckFigure::Peak,
            path: None,
            reason: "known".to_owned(),
            days,
            until: until.map(str::to_owned),
            by: None,
            every_variant: false,
        }
    }

    #[test]
    fn a_shard_is_read_as_it_was_written() {
        let shard = ShardReport { index: 2, total: 3 };
        assert_eq!(read_shard(&written(shard)), Ok(shard));
        assert!(read_shard("2").is_err() && read_shard("2/x").is_err());
    }

    #[test]
    fn an_end_is_a_number_of_days_or_a_day_or_a_moment_within_a_year() {
        // It is 2026-01-01, midnight in UTC.
        let table = [
            (new(Some(1), None), Some("2026-01-02T00:00:00Z")),
            (new(Some(365), None), Some("2027-01-01T00:00:00Z")),
            (new(None, Some("2026-01-01")), Some("2026-01-02T00:00:00Z")),
            (new(None, Some("2027-01-01")), Some("2027-01-02T00:00:00Z")),
            (
                new(None, Some("2026-03-01T12:00:00+02:00")),
                Some("2026-03-01T10:00:00Z"),
            ),
            (new(None, None), None),
            (new(Some(0), None), None),
            (new(Some(366), None), None),
            (new(Some(u32::MAX), None), None),
            (new(Some(3), Some("2026-02-01")), None),
            (new(None, Some("2025-12-31")), None),
            (new(None, Some("2027-01-02")), None),
            (
                new(None, Some("2027-01-01T00:00:00Z")),
                Some("2027-01-01T00:00:00Z"),
            ),
            (new(None, Some("2027-01-01T00:00:01Z")), None),
            (new(None, Some("2026-02-30")), None),
            (new(None, Some("tomorrow")), None),
            (new(None, Some("")), None),
        ];
        for (new, expected) in table {
            let end = until(&new, NOW).ok().map(rfc3339);
            assert_eq!(end.as_deref(), expected, "{:?} {:?}", new.days, new.until);
        }
    }

    #[test]
    fn words_are_a_line_that_can_be_read() {
        assert_eq!(words("by", " Ada ", 9).unwrap(), "Ada");
        for (text, says) in [
            ("  ", "by is empty"),
            ("a\nb", "none to read"),
            ("ééééé", "more than 4"),
        ] {
            let error = words("by", text, 4).unwrap_err();
            assert!(error.message.contains(says), "{}", error.message);
        }
    }

    #[test]
    fn a_figure_of_a_file_has_a_file_and_one_of_the_job_has_none() {
        use CheckFigure::{Headroom, Imports, Peak, Retained, Spike};
        for (figure, of_file, of_job) in [
            (Peak, true, true),
            (Headroom, false, true),
            (Imports, false, true),
            (Retained, true, false),
            (Spike, true, false),
        ] {
            assert_eq!(is_of(figure, Some("a.py")).is_ok(), of_file);
            assert_eq!(is_of(figure, None).is_ok(), of_job);
        }
    }
}
