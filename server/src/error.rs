//! What a request is answered when it cannot be: one error, as JSON for programs and as a page for people.

mod samples;

use std::time::Duration;

use axum::{
    Extension, Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use highwater_store::{StoreError, Trouble};
use highwater_wire::codec::{MAX_COMPRESSED_BYTES, Problem};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use samples::JOB;

/// When to come again while nothing can be written, s: somebody has to make room first.
const UNWRITTEN_PAUSE_S: u64 = 5;
const INFEASIBLE: &str = "infeasible";

/// An answer that is an error. What it says is for the user; causes inside go to the log.
#[derive(Debug, Clone)]
pub(crate) struct AppError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
    /// When to come again, s.
    retry_after: Option<u64>,
}

/// The code of an answer that is an error, for whoever counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusalCode(pub(crate) &'static str);

/// `{error: {code, message, hint}}`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEnvelope {
    /// What went wrong.
    error: ErrorBody,
}

/// An error: a name for programs, words for people.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorBody {
    /// A short name that programs can rely on.
    code: &'static str,
    /// What was wrong, and where.
    message: String,
    /// What to do next.
    hint: &'static str,
}

impl AppError {
    fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint,
            retry_after: None,
        }
    }

    pub(crate) fn not_found(what: impl Into<String>, hint: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what, hint)
    }

    pub(crate) fn no_job(job: uuid::Uuid) -> Self {
        Self::not_found(
            format!("there is no job {job}"),
            "check the uuid, or upload the job's spool",
        )
    }

    pub(crate) fn bad_request(message: impl Into<String>, hint: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        let hint = "something else was stored under this name before; nothing was changed";
        Self::new(StatusCode::CONFLICT, "conflict", message, hint)
    }

    pub(crate) fn unsettled(job: uuid::Uuid) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "unsettled",
            format!("job {job} still runs, or what came of it last is not finalised yet"),
            "ask again once its state is `finished`, `incomplete` or `lost`",
        )
    }

    /// Nothing fits a budget that one file passes.
    pub(crate) fn infeasible(message: impl Into<String>) -> Self {
        let hint = "raise the budget, or make that file need less";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, INFEASIBLE, message, hint)
    }

    /// Whether it is that nothing fits.
    pub(crate) fn is_infeasible(&self) -> bool {
        self.code == INFEASIBLE
    }

    /// More jobs are needed than were asked for.
    pub(crate) fn too_few_jobs(message: impl Into<String>) -> Self {
        let hint = "ask for more jobs or a larger budget, or leave the number out";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "too_few_jobs", message, hint)
    }

    /// What was recorded is nothing to plan by.
    pub(crate) fn unplannable(message: impl Into<String>) -> Self {
        let hint = "plan by a job that ran the test files";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "unplannable", message, hint)
    }

    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body has more than {MAX_COMPRESSED_BYTES} bytes"),
            "send smaller batches",
        )
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "the body did not come in time",
            "send it again, in smaller batches where the network is slow",
        )
    }

    pub(crate) fn busy() -> Self {
        let mut busy = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            "this server has as much under way as it has room for",
            "send it again after `Retry-After`; the agent does so by itself",
        );
        busy.retry_after = Some(1);
        busy
    }

    pub(crate) fn job_full(what: &str) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "job_full",
            format!("{what} is not kept: its job holds as much as one job may"),
            "record the suite in several jobs",
        )
    }

    /// What was asked for, or would have to be added to, was removed by retention.
    pub(crate) fn removed(what: impl Into<String>, hint: &'static str) -> Self {
        Self::new(StatusCode::GONE, "removed", what, hint)
    }

    /// Whether it says that something was removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.status == StatusCode::GONE
    }

    pub(crate) fn method_not_allowed(what: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            what,
            "see /api, or /api/v1/openapi.json for programs",
        )
    }

    pub(crate) fn forbidden_host() -> Self {
        let hint = "open the server by the address it listens on";
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            "this server answers to loopback names only",
            hint,
        )
    }

    pub(crate) fn cross_origin() -> Self {
        let hint = "use the pages of this server; programs send neither Origin nor Sec-Fetch-Site";
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_origin",
            "a page of another site asked for this",
            hint,
        )
    }

    pub(crate) fn unauthorised(why: impl Into<String>) -> Self {
        let hint = "send `Authorization: Bearer TOKEN`, with the agent by HIGHWATER_TOKEN; whoever runs the server makes tokens with \
            `highwater-server token create`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorised", why, hint)
    }

    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        let hint = "ask whoever runs the server for a token of this project and scope";
        Self::new(StatusCode::FORBIDDEN, "forbidden", why, hint)
    }

    pub(crate) fn too_many_failures(wait: Duration) -> Self {
        let mut refused = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_failures",
            "too many wrong tokens came from this address",
            "use a token that counts, and wait as long as Retry-After says",
        );
        refused.retry_after = Some(wait.as_secs() + 1);
        refused
    }

    pub(crate) fn issuer_away(cause: &dyn std::fmt::Display) -> Self {
        tracing::warn!(%cause, "an identity token cannot be checked");
        Self::issuer_unavailable()
    }

    fn issuer_unavailable() -> Self {
        let mut away = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "issuer_unavailable",
            "the issuer of this identity token does not tell its keys now",
            "try again in a moment; the agent does so by itself",
        );
        away.retry_after = Some(5);
        away
    }

    /// What is sent cannot be kept now. The store itself tells the log, once.
    pub(crate) fn unwritten(trouble: Trouble) -> Self {
        let (code, message, hint) = match trouble {
            Trouble::DiskFull => (
                "disk_full",
                "the disk of this server is full: nothing that is sent can be kept now",
                "send it again after `Retry-After`; the agent does so by itself. Whoever runs the server makes room: see docs/operating.md",
            ),
            Trouble::Failing => (
                "unwritable",
                "the database of this server cannot be written now",
                "send it again after `Retry-After`; the agent does so by itself. The server's log says more",
            ),
        };
        let mut unwritten = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message, hint);
        unwritten.retry_after = Some(UNWRITTEN_PAUSE_S);
        unwritten
    }

    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::failed()
    }

    fn failed() -> Self {
        let hint = "the server's log says more; try again, and report it if it stays";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed on this request",
            hint,
        )
    }

    fn unavailable() -> Self {
        let hint = "try again in a moment; the agent does so by itself";
        let mut unavailable = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the store cannot take this now",
            hint,
        );
        unavailable.retry_after = Some(2);
        unavailable
    }
}

impl AppError {
    /// The answer with a body, which is JSON for programs and a page for people.
    pub(crate) fn answer(&self, body: impl IntoResponse) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"highwater\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        let code = Extension(RefusalCode(self.code));
        (self.status, headers, code, body).into_response()
    }

    /// What programs are answered.
    pub(crate) fn envelope(&self) -> ErrorEnvelope {
        ErrorEnvelope {
            error: ErrorBody {
                code: self.code,
                message: self.message.clone(),
                hint: self.hint,
            },
        }
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl std::error::Error for AppError {}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Unwritten { trouble, .. } = error {
            return Self::unwritten(trouble);
        }
        if error.is_passing() {
            tracing::warn!(%error, "store not ready");
            return Self::unavailable();
        }
        Self::internal(&error)
    }
}

impl From<Problem> for AppError {
    fn from(problem: Problem) -> Self {
        let (status, code) = match &problem {
            Problem::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Problem::Version { .. } => (StatusCode::BAD_REQUEST, "unknown_version"),
            Problem::Compression(_) | Problem::Protobuf { .. } | Problem::Json { .. } => {
                (StatusCode::BAD_REQUEST, "malformed")
            }
            Problem::Field { .. } => (StatusCode::BAD_REQUEST, "invalid_field"),
        };
        Self::new(
            status,
            code,
            problem.to_string(),
            "see /api for what is expected",
        )
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        self.answer(Json(self.envelope()))
    }
}
