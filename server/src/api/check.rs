//! Whether the memory of a job got worse.

use axum::{Json, extract::State};
use highwater_analysis::check::{self, FileLimits, Limits};
use highwater_wire::report::CheckReport;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    reading::{Against, Job},
    state::AppState,
};

/// What a job is checked against. What may come several times is read as it stands in the address.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(try_from = "Vec<(String, String)>")]
pub(crate) struct CheckQuery {
    /// Branch of the jobs that it is compared with; where none is named main, else master, else its own.
    baseline: Option<String>,
    /// The job's peak at the most, bytes.
    max_peak: Option<i64>,
    /// The job's headroom at the least, bytes.
    min_headroom: Option<i64>,
    /// What each file retains at the most, bytes.
    max_retained: Option<i64>,
    /// What each file needs for a while at the most, bytes.
    max_spike: Option<i64>,
    /// Limits of some files, which go before those of each: a glob (`*` stands for any characters, `?` for one) and behind `=` any of `max-retained`, `max-spike` and `max-peak` (of the
    /// file's tree peak), each with a size or `off`, as in `tests/e2e/**=max-retained:5MB,max-spike:off`. Several, each with a `file_limit=` of its own: the last for a file that says
    /// something of a figure counts.
    #[param(value_type = Vec<String>, required = false)]
    file_limit: Vec<FileLimits>,
}

impl TryFrom<Vec<(String, String)>> for CheckQuery {
    type Error = String;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut query = Self::default();
        for (key, value) in pairs {
            let wrong = |problem: String| format!("{key}: {problem}");
            let twice = || wrong("it is given twice".to_owned());
            let limit = match key.as_str() {
                "baseline" if query.baseline.is_some() => return Err(twice()),
                "baseline" => {
                    query.baseline = Some(value);
                    continue;
                }
                "file_limit" => {
                    query.file_limit.push(value.parse().map_err(wrong)?);
                    continue;
                }
                "max_peak" => &mut query.max_peak,
                "min_headroom" => &mut query.min_headroom,
                "max_retained" => &mut query.max_retained,
                "max_spike" => &mut query.max_spike,
                _ => continue,
            };
            let bytes = value.parse().ok().filter(|bytes| *bytes >= 0);
            let bytes = bytes.ok_or_else(|| wrong(format!("{value:?} is no number of bytes")))?;
            if limit.replace(bytes).is_some() {
                return Err(twice());
            }
        }
        check::few_enough(&query.file_limit)?;
        Ok(query)
    }
}

impl From<CheckQuery> for Against {
    fn from(query: CheckQuery) -> Self {
        Self {
            branch: query.baseline.filter(|branch| !branch.is_empty()),
            limits: Limits {
                peak_bytes: query.max_peak,
                headroom_bytes: query.min_headroom,
                retained_bytes: query.max_retained,
                spike_bytes: query.max_spike,
                files: query.file_limit,
            },
        }
    }
}

/// Whether the memory of a job got worse, beside jobs of its name that went well and ran alike, and limits where they are given.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/check", tag = "jobs", params(("uuid" = Uuid, Path), CheckQuery),
    responses((status = 200, body = CheckReport), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn check(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(query): Query<CheckQuery>,
) -> Result<Json<CheckReport>, AppError> {
    let job = Job::find(&state, &access, uuid).await?;
    Ok(Json(job.check(query.into()).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(address: &str) -> Result<CheckQuery, String> {
        let pairs = form_urlencoded::parse(address.as_bytes()).into_owned();
        pairs.collect::<Vec<_>>().try_into()
    }

    #[test]
    fn what_is_asked_is_read_and_what_nobody_knows_passed_over() {
        let asked = "baseline=main&max_peak=0&max_spike=7&other=x&other=y&file_limit=tests%2F%2a%3Dmax-peak%3A5MB&file_limit=b=max-spike:off";
        let read = query(asked).unwrap();
        assert_eq!(
            (read.baseline.as_deref(), read.max_peak, read.max_spike),
            (Some("main"), Some(0), Some(7))
        );
        let texts: Vec<String> = read.file_limit.iter().map(FileLimits::to_string).collect();
        assert_eq!(texts, ["tests/*=max-peak:5000000", "b=max-spike:off"]);
        assert_eq!(query(""), Ok(CheckQuery::default()));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_name() {
        let many = "file_limit=a%3Dmax-peak%3A1&".repeat(101);
        for (address, says) in [
            ("max_spike=-1", "max_spike: \"-1\" is no number of bytes"),
            ("max_peak=", "max_peak: \"\" is no number of bytes"),
            ("max_peak=1&max_peak=2", "max_peak: it is given twice"),
            ("baseline=a&baseline=b", "baseline: it is given twice"),
            (
                "file_limit=",
                "file_limit: \"\" is no limit of files, such as",
            ),
            (
                "file_limit=a=max-peek:1",
                "file_limit: a: max-peek: there is no such limit of files",
            ),
            (&many, "101 limits of files are more than 100"),
        ] {
            let error = query(address).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
