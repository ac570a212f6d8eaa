//! What a request says, taken out of it. Where axum would refuse in plain text, these refuse as every other error here.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::HeaderMap,
};
use highwater_wire::codec::MAX_COMPRESSED_BYTES;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::{access::Access, error::AppError, state::AppState};

/// Parts of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(AppError))]
pub(crate) struct Path<T>(pub(crate) T);

/// What comes after the question mark.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(AppError))]
pub(crate) struct Query<T>(pub(crate) T);

/// A small body that is JSON. Who may send nothing is found out after it was read, as with everything that is sent.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// Most bytes of such a body.
const MOST_JSON_BYTES: usize = 16 << 10;

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, AppError> {
        let whole = axum::body::to_bytes(request.into_body(), MOST_JSON_BYTES);
        let whole = tokio::time::timeout(state.patience, whole).await;
        let whole = whole.map_err(|_| AppError::too_slow())?;
        let wrong = |why: String| AppError::bad_request(why, "see /api for what is to be sent");
        let bytes = whole.map_err(|_| {
            wrong(format!(
                "the body cannot be read, or has more than {MOST_JSON_BYTES} bytes"
            ))
        })?;
        let value = serde_json::from_slice(&bytes);
        Ok(Self(value.map_err(|error| {
            wrong(format!("the body is not what is taken here: {error}"))
        })?))
    }
}

/// What is put somewhere. The body, bounded by the router and in the time it may take, is read before anything is refused: a connection
/// with a body still under way is closed after the answer, and the client may find that out only with its next request.
#[derive(Debug)]
pub(crate) struct Sent<P> {
    pub(crate) place: P,
    pub(crate) body: Body,
    pub(crate) access: Access,
    /// When its head was there, by the clock of the day, µs since 1970.
    pub(crate) came_unix_us: i64,
    /// The body's room in memory: given back when the request is answered.
    pub(crate) room: OwnedSemaphorePermit,
}

/// A body, and what is said of how it is written.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl<P: DeserializeOwned + Send> FromRequest<AppState> for Sent<P> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, AppError> {
        let came_unix_us = state.wall_unix_us();
        let (mut parts, body) = request.into_parts();
        // Nobody who may send nothing gets room here.
        let access = match Access::from_request_parts(&mut parts, state).await {
            Ok(access) if !access.is_nobody() => access,
            refused => {
                discard(body, state.patience).await;
                let nobody =
                    AppError::unauthorised("this server takes recordings with a token only");
                return Err(refused.err().unwrap_or(nobody));
            }
        };
        let room = match state.intake.claim(&parts.headers) {
            Ok(room) => room,
            Err(busy) => {
                discard(body, state.patience).await;
                return Err(busy);
            }
        };
        let whole = Bytes::from_request(Request::from_parts(parts.clone(), body), state);
        let whole = tokio::time::timeout(state.patience, whole).await;
        let bytes = whole.map_err(|_| AppError::too_slow())??;
        let Path(place) = Path::from_request_parts(&mut parts, state).await?;
        Ok(Self {
            came_unix_us,
            room,
            access,
            place,
            body: Body {
                headers: parts.headers,
                bytes,
            },
        })
    }
}

/// Reads a body to its end and keeps nothing of it.
async fn discard(body: axum::body::Body, patience: Duration) {
    let mut parts = Limited::new(body, MAX_COMPRESSED_BYTES);
    let reading = async { while let Some(Ok(_)) = parts.frame().await {} };
    // Whoever is still not done is cut off.
    let _ = tokio::time::timeout(patience, reading).await;
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
        Self::bad_request(rejection.body_text(), "see /api for what may be asked")
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
