//! Takes in what agents send: decoded, checked and on disk before it is acknowledged.

use std::sync::atomic::Ordering::Relaxed;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use highwater_store::{NewBatch, Put};
use highwater_wire::{
    codec::{self, Checked, MAX_BATCH_BYTES, MAX_BATCHES},
    receipt::Receipt,
    v1::{Batch, End, Job},
};
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    access::{Access, Scope},
    error::{AppError, ErrorEnvelope},
    extract::Sent,
    state::AppState,
};

/// Begin a job.
///
/// The same body again changes nothing; another body under the same uuid is a conflict.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}", tag = "ingest", params(("uuid" = Uuid, Path)),
    request_body(content = Vec<u8>, description = "`Job` of the wire schema: JSON, or protobuf, plain or under zstd"),
    responses((status = 201, description = "begun", body = Receipt), (status = 200, description = "begun before", body = Receipt),
        (status = 400, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope), (status = 413, body = ErrorEnvelope)))]
pub(crate) async fn put_job(
    State(state): State<AppState>,
    sent: Sent<Uuid>,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let (uuid, access) = (sent.place, sent.access.clone());
    let job: Job = read(&state, sent, Ok).await?;
    if !access.may(&job.project, Scope::Ingest) {
        return Err(access.refused(&job.project));
    }
    let project = job.project.clone();
    let put = state.store.put_job(uuid, job, state.now_unix_us()).await?;
    if put == Put::New {
        tracing::info!(target: "audit", %uuid, project, by = access.by(), "a job began");
    }
    // One of another project has this uuid: that it is there is nothing for this sender to know.
    if put == Put::Conflict {
        its_project(&state, &access, uuid).await?;
    }
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
    sent: Sent<(Uuid, Uuid, u64)>,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let (uuid, stream, seq) = sent.place;
    its_project(&state, &sent.access, uuid).await?;
    if seq >= MAX_BATCHES {
        return Err(AppError::bad_request(
            format!("batch number {seq} is too large"),
            "batches count from 0",
        ));
    }
    let batch = read(&state, sent, move |batch: Batch| {
        new_batch(stream, seq, &batch).map_err(|error| AppError::internal(&error))
    });
    let batch = batch.await?;
    let put = state
        .store
        .put_batch(uuid, batch, state.now_unix_us())
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
    sent: Sent<Uuid>,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let uuid = sent.place;
    its_project(&state, &sent.access, uuid).await?;
    let end: End = read(&state, sent, Ok).await?;
    let put = state.store.put_end(uuid, end, state.now_unix_us()).await?;
    state.settle.notify_one();
    answer(
        &state,
        put,
        Receipt::of_end(uuid),
        &format!("the end of job {uuid}"),
    )
}

/// A batch as it is stored. It fails only for lack of memory.
pub(crate) fn new_batch(stream: Uuid, seq: u64, batch: &Batch) -> std::io::Result<NewBatch> {
    Ok(NewBatch {
        stream,
        seq,
        digest: Sha256::digest(batch.encode_to_vec()).into(),
        body: codec::encode(batch)?,
        weight: codec::weight(batch),
    })
}

fn not_begun() -> AppError {
    AppError::not_found(
        "this job has not begun here",
        "send PUT /api/v1/jobs/{uuid} first",
    )
}

/// Goes on only where a job is of a project that the sender may write to. What is of another is answered as what is not there.
async fn its_project(state: &AppState, access: &Access, uuid: Uuid) -> Result<(), AppError> {
    if access.may_everywhere(Scope::Ingest) {
        return Ok(());
    }
    let project = state.store.project_of(uuid).await?;
    if project.is_some_and(|project| access.may(&project, Scope::Ingest)) {
        return Ok(());
    }
    Err(access.hidden(not_begun()))
}

/// Decodes a body and makes something of it, where that holds nobody up.
async fn read<M: Checked + 'static, T: Send + 'static, P>(
    state: &AppState,
    sent: Sent<P>,
    make: impl FnOnce(M) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    let made = match Form::of(&sent.headers) {
        Ok(form) => {
            let bytes = form.most_bytes(&sent.body);
            let body = sent.body;
            let work = move || make(form.decode(&body)?);
            let done = state.decoding.run(bytes, work).await;
            done.unwrap_or_else(|error| Err(AppError::internal(&error)))
        }
        Err(error) => Err(error),
    };
    if made
        .as_ref()
        .is_err_and(|error| error.status.is_client_error())
    {
        state.counters.refused.fetch_add(1, Relaxed);
    }
    made
}

/// How a body is written.
#[derive(Debug, Clone, Copy)]
struct Form {
    is_json: bool,
    is_zstd: bool,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, AppError> {
        let text = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("").trim()
        };
        let is_zstd = match text(header::CONTENT_ENCODING) {
            "zstd" => true,
            "" | "identity" => false,
            other => {
                return Err(AppError::bad_request(
                    format!("content encoding {other:?} is not read here"),
                    "send it under zstd or plain",
                ));
            }
        };
        let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or("");
        let is_json = match kind.trim().to_ascii_lowercase().as_str() {
            "application/json" => true,
            "application/x-protobuf" | "application/protobuf" => false,
            other => {
                return Err(AppError::bad_request(
                    format!("content type {other:?} is not read here"),
                    "send application/x-protobuf or application/json",
                ));
            }
        };
        Ok(Self { is_json, is_zstd })
    }

    /// What the body can become without its compression.
    fn most_bytes(self, body: &Bytes) -> u64 {
        if self.is_zstd {
            MAX_BATCH_BYTES as u64
        } else {
            body.len() as u64
        }
    }

    fn decode<M: Checked>(self, body: &Bytes) -> Result<M, AppError> {
        let plain = if self.is_zstd {
            Bytes::from(codec::decompress(body)?)
        } else {
            body.clone()
        };
        let message = if self.is_json {
            codec::decode_json(&plain)
        } else {
            codec::decode_plain(&plain)
        };
        Ok(message?)
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
        Put::Full => {
            state.counters.refused.fetch_add(1, Relaxed);
            Err(AppError::job_full(what))
        }
        Put::Unknown => Err(not_begun()),
    }
}
