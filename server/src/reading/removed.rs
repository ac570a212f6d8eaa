//! What retention removed of a job, in words.

use highwater_analysis::time::rfc3339;
use highwater_store::JobKey;
use highwater_wire::report::NoticeReport;

use crate::error::AppError;

/// When what was removed, µs since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removed {
    samples: Option<i64>,
    detail: Option<i64>,
    /// Rows of another version of the server are shown as they are.
    pub(super) has_older_rows: bool,
}

impl Removed {
    pub(super) fn of(key: &JobKey) -> Self {
        Self {
            samples: key.pages_removed_unix_us,
            detail: key.detail_removed_unix_us,
            has_older_rows: false,
        }
    }

    /// Whether there are no samples, nor anything that could restore them.
    pub(crate) fn has_no_samples(&self) -> bool {
        self.samples.is_some()
    }

    /// Why there are no samples; empty where they are kept.
    pub(crate) fn samples_words(&self) -> String {
        self.samples.map_or_else(String::new, |at| {
            format!(
                "The samples were removed by retention at {}; the figures were worked out before.",
                moment(at)
            )
        })
    }

    /// Why there are no rows within the job, where there are none.
    pub(crate) fn detail_words(&self) -> String {
        match self.detail {
            Some(at) => format!(
                "The rows within the job (test files, tests, fixtures, processes) were removed by retention at {}; the job's own figures and the \
                 history of its test files remain.",
                moment(at)
            ),
            None => "Another version of the server wrote the rows within the job, and without the samples this one cannot make them again.".to_owned(),
        }
    }

    pub(super) fn no_samples(&self) -> AppError {
        AppError::removed(
            self.samples_words(),
            "pin a job before its time has come, or have the server keep samples for longer",
        )
    }

    pub(super) fn no_detail(&self) -> AppError {
        AppError::removed(
            self.detail_words(),
            "pin a job before its time has come, or have the server keep detail for longer",
        )
    }

    /// What a program is to know that reads the job's figures.
    pub(super) fn notices(&self) -> impl Iterator<Item = NoticeReport> {
        let notice = |code: &str, message: String| NoticeReport {
            code: code.to_owned(),
            message,
            count: 1,
        };
        let samples = self.samples.is_some();
        let samples = samples.then(|| notice("samples_removed", self.samples_words()));
        let detail = self.detail.is_some();
        let detail = detail.then(|| notice("detail_removed", self.detail_words()));
        let older = self.has_older_rows.then(|| {
            let message = "Another version of the server worked these figures out, and without the samples this one cannot do so again.";
            notice("older_figures", message.to_owned())
        });
        samples.into_iter().chain(detail).chain(older)
    }
}

/// To the second.
fn moment(unix_us: i64) -> String {
    rfc3339(unix_us - unix_us.rem_euclid(1_000_000))
}
