//! Takes in what agents send: decoded, checked and on disk before it is acknowledged.

use std::sync::atomic::Ordering::Relaxed;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use highwater_store::Put;
use highwater_wire::{
    codec::{self, Checked},
    receipt::Receipt,
    v1::{Batch, End, Job},
};
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    error::{AppError, ErrorEnvelope},
    extract::{Body, Path},
    state::{AppState, now_unix_us},
};

/// Highest number a batch can have: they count from 0, one a second.
const MOST_SEQ: u64 = 1 << 40;

/// Begin a job.
///
/// The same body again changes nothing; another body under the same uuid is a conflict.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}", tag = "ingest", params(("uuid" = Uuid, Path)),
    request_body(content = Vec<u8>, description = "`Job` of the wire schema: JSON, or protobuf, plain or under zstd"),
    responses((status = 201, description = "begun", body = Receipt), (status = 200, description = "begun before", body = Receipt),
        (status = 400, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope), (status = 413, body = ErrorEnvelope)))]
pub(crate) async fn put_job(
    State(state): State<AppState>,
    Path(uuid): Path<Uuid>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let job: Job = read(&state, &headers, &body)?;
    let put = state.store.put_job(uuid, job, now_unix_us()).await?;
    answer(&state, put, Receipt::of_job(uuid), &format!("job {uuid}"))
}

/// Add a batch to a job.
///
/// Batches may come in any order and any number of times, also after the job's end.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}/streams/{stream}/batches/{seq}", tag = "ingest",
    params(("uuid" = Uuid, Path), ("stream" = Uuid, Path), ("seq" = u64, Path)),
    request_body(content = Vec<u8>, description = "`Batch` of the wire schema: JSON, or protobuf, plain or under zstd"),
    responses((status = 201, description = "on disk", body = Receipt), (status = 200, description = "was there before", body = Receipt),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope),
        (status = 413, body = ErrorEnvelope), (status = 503, body = ErrorEnvelope)))]
pub(crate) async fn put_batch(
    State(state): State<AppState>,
    Path((uuid, stream, seq)): Path<(Uuid, Uuid, u64)>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    if seq > MOST_SEQ {
        return Err(AppError::bad_request(
            format!("batch number {seq} is too large"),
            "batches count from 0",
        ));
    }
    let batch: Batch = read(&state, &headers, &body)?;
    let plain = batch.encode_to_vec();
    let digest: [u8; 32] = Sha256::digest(&plain).into();
    let packed = codec::encode(&batch).map_err(|error| AppError::internal(&error))?;
    let put = state
        .store
        .put_batch(uuid, stream, seq, digest, packed, now_unix_us())
        .await?;
    if put == Put::New {
        state.counters.batches.fetch_add(1, Relaxed);
        state.settle.notify_one();
    }
    let receipt = Receipt::of_batch(uuid, stream, seq);
    answer(
        &state,
        put,
        receipt,
        &format!("batch {seq} of stream {stream}"),
    )
}

/// End a job.
///
/// The counts of its streams tell when everything is there; it is finalised then.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}/end", tag = "ingest", params(("uuid" = Uuid, Path)),
    request_body(content = Vec<u8>, description = "`End` of the wire schema: JSON, or protobuf, plain or under zstd"),
    responses((status = 201, description = "ended", body = Receipt), (status = 200, description = "ended before", body = Receipt),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn put_end(
    State(state): State<AppState>,
    Path(uuid): Path<Uuid>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let end: End = read(&state, &headers, &body)?;
    let put = state.store.put_end(uuid, end, now_unix_us()).await?;
    state.settle.notify_one();
    answer(
        &state,
        put,
        Receipt::of_end(uuid),
        &format!("the end of job {uuid}"),
    )
}

fn read<M: Checked>(state: &AppState, headers: &HeaderMap, body: &Bytes) -> Result<M, AppError> {
    let message = decode(headers, body);
    if message.is_err() {
        state.counters.refused.fetch_add(1, Relaxed);
    }
    message
}

fn decode<M: Checked>(headers: &HeaderMap, body: &Bytes) -> Result<M, AppError> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
            .trim()
    };
    let kind = text(header::CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let plain = match text(header::CONTENT_ENCODING) {
        "zstd" => Bytes::from(codec::decompress(body)?),
        "" | "identity" => body.clone(),
        other => {
            return Err(AppError::bad_request(
                format!("content encoding {other:?} is not read here"),
                "send it under zstd or plain",
            ));
        }
    };
    match kind.as_str() {
        "application/json" => Ok(codec::decode_json(&plain)?),
        "application/x-protobuf" | "application/protobuf" => Ok(codec::decode_plain(&plain)?),
        other => Err(AppError::bad_request(
            format!("content type {other:?} is not read here"),
            "send application/x-protobuf or application/json",
        )),
    }
}

fn answer(
    state: &AppState,
    put: Put,
    receipt: Receipt,
    what: &str,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    match put {
        Put::New => Ok((StatusCode::CREATED, Json(receipt))),
        Put::Same => Ok((StatusCode::OK, Json(receipt))),
        Put::Conflict => {
            state.counters.refused.fetch_add(1, Relaxed);
            Err(AppError::conflict(format!(
                "{what} is already stored with other content"
            )))
        }
        Put::NoJob => Err(AppError::not_found(
            "this job has not begun here",
            "send PUT /api/v1/jobs/{uuid} first",
        )),
    }
}
