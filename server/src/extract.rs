//! What a request says, taken out of it. Where axum would refuse in plain text, these refuse as every other error here.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
};

use crate::{error::AppError, state::AppState};

/// Parts of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(AppError))]
pub(crate) struct Path<T>(pub(crate) T);

/// What comes after the question mark.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(AppError))]
pub(crate) struct Query<T>(pub(crate) T);

/// The body, bounded by the router, and in the time it may take.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) Bytes);

impl FromRequest<AppState> for Body {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, AppError> {
        let whole = Bytes::from_request(request, state);
        let whole = tokio::time::timeout(state.patience, whole).await;
        Ok(Self(whole.map_err(|_| AppError::too_slow())??))
    }
}

impl From<PathRejection> for AppError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(
            rejection.body_text(),
            "check the address: jobs and streams are named by a uuid, batches and runs by a number",
        )
    }
}

impl From<QueryRejection> for AppError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(
            rejection.body_text(),
            "see /api/v1/openapi.json for what may be asked",
        )
    }
}

impl From<BytesRejection> for AppError {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            return Self::too_large();
        }
        Self::bad_request(
            rejection.body_text(),
            "send the whole body that was announced",
        )
    }
}
