//! What a request says, taken out of it. Where axum would refuse in plain text, these refuse as every other error here.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::HeaderMap,
};
use serde::de::DeserializeOwned;

use crate::{access::Access, error::AppError, state::AppState};

/// Parts of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(AppError))]
pub(crate) struct Path<T>(pub(crate) T);

/// What comes after the question mark.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(AppError))]
pub(crate) struct Query<T>(pub(crate) T);

/// What is put somewhere. The body, bounded by the router and in the time it may take, is read before anything is refused: a connection
/// with a body still under way is closed after the answer, and the client may find that out only with its next request.
#[derive(Debug)]
pub(crate) struct Sent<P> {
    pub(crate) place: P,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) access: Access,
}

impl<P: DeserializeOwned + Send> FromRequest<AppState> for Sent<P> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, AppError> {
        let (mut parts, body) = request.into_parts();
        let whole = Bytes::from_request(Request::from_parts(parts.clone(), body), state);
        let whole = tokio::time::timeout(state.patience, whole).await;
        let body = whole.map_err(|_| AppError::too_slow())??;
        let access = Access::from_request_parts(&mut parts, state).await?;
        let Path(place) = Path::from_request_parts(&mut parts, state).await?;
        Ok(Self {
            access,
            place,
            headers: parts.headers,
            body,
        })
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
