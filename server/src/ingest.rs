//! Takes in what agents send: decoded, checked and on disk before it is acknowledged.

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use highwater_analysis::time::by_the_server;
use highwater_store::{Moment, NewBatch, Put};
use highwater_wire::{
    CLOCK_HEADER,
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
    extract::{Body, Sent},
    state::AppState,
};

/// A body that becomes no more than this is decoded where it is, in a fraction of a millisecond.
const SMALL_BYTES: u64 = 128 << 10;
/// A clock that is off by more (ten years) is none that was ever set: nothing can be told from it.
const MOST_SKEW_US: i64 = 3_660 * 86_400 * 1_000_000;
/// Later a clock shows nothing that can be, µs since 1970.
const YEAR_9999_US: i64 = 253_370_764_800_000_000;

/// Begin a job.
///
/// The same body again changes nothing; another body under the same uuid is a conflict.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}", tag = "ingest", params(("uuid" = Uuid, Path)),
    request_body = Vec<u8>,
    responses((status = 201, description = "begun", body = Receipt), (status = 200, description = "begun before", body = Receipt),
        (status = 400, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope), (status = 413, body = ErrorEnvelope),
        (status = 503, description = "nothing can be written now (`disk_full`, `unwritable`, `unavailable`): send it again after `Retry-After`", body = ErrorEnvelope)))]
pub(crate) async fn put_job(
    State(state): State<AppState>,
    sent: Sent<Uuid>,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let Sent {
        place: uuid,
        access,
        body,
        came_unix_us,
        room: _until_answered,
    } = sent;
    let clock_skew_us = clock_of(&body.headers)
        .map(|clock| clock.saturating_sub(came_unix_us))
        .filter(|skew_us| skew_us.abs() < MOST_SKEW_US);
    let job: Job = read(&state, body, |decoded| Ok(decoded.message)).await?;
    if !access.may(&job.project, Scope::Ingest) {
        return Err(access.refused(&job.project, Scope::Ingest));
    }
    let project = job.project.clone();
    let at = Moment {
        started_unix_us: by_the_server(job.started_unix_us, clock_skew_us),
        heard_unix_us: state.now_unix_us(),
        clock_skew_us,
    };
    let put = state.store.put_job(uuid, job, at).await?;
    if put == Put::New {
        tracing::info!(target: "audit", %uuid, project, by = access.by(), "a job began");
    }
    // One of another project has this uuid: that it is there is nothing for this sender to know.
    if put == Put::Conflict {
        its_project(&state, &access, uuid).await?;
    }
    answer(put, Receipt::of_job(uuid), &format!("job {uuid}"))
}

/// Add a batch to a job.
///
/// Batches may come in any order and any number of times, also after the job's end.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}/streams/{stream}/batches/{seq}", tag = "ingest",
    params(("uuid" = Uuid, Path), ("stream" = Uuid, Path), ("seq" = u64, Path)),
    request_body = Vec<u8>,
    responses((status = 201, description = "on disk", body = Receipt), (status = 200, description = "was there before", body = Receipt),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope),
        (status = 410, description = "the job is too old: what it would be added to was removed", body = ErrorEnvelope),
        (status = 413, body = ErrorEnvelope),
        (status = 503, description = "nothing can be written now (`disk_full`, `unwritable`, `unavailable`): send it again after `Retry-After`", body = ErrorEnvelope)))]
pub(crate) async fn put_batch(
    State(state): State<AppState>,
    sent: Sent<(Uuid, Uuid, u64)>,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let Sent {
        place: (uuid, stream, seq),
        access,
        body,
        room: _until_answered,
        ..
    } = sent;
    its_project(&state, &access, uuid).await?;
    if seq >= MAX_BATCHES {
        return Err(AppError::bad_request(
            format!("batch number {seq} is too large"),
            "batches count from 0",
        ));
    }
    let sent = kept_as_sent(&body)?;
    let batch = read(&state, body, move |decoded: Decoded<Batch>| {
        let Decoded { message, plain } = decoded;
        let body = match sent {
            Some(sent) => sent,
            None => codec::encode(&message).map_err(|error| AppError::internal(&error))?,
        };
        Ok(NewBatch {
            stream,
            seq,
            digest: Sha256::digest(&plain).into(),
            weight: codec::weight(&message).max(body.len() as u64),
            body,
        })
    });
    let batch = batch.await?;
    let put = state
        .store
        .put_batch(uuid, batch, state.now_unix_us())
        .await?;
    if put == Put::New {
        state.metrics.batches.inc();
        state.has_arrived();
    }
    let receipt = Receipt::of_batch(uuid, stream, seq);
    answer(put, receipt, &format!("batch {seq} of stream {stream}"))
}

/// End a job.
///
/// The counts of its streams tell when everything is there; it is finalised then.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}/end", tag = "ingest", params(("uuid" = Uuid, Path)),
    request_body = Vec<u8>,
    responses((status = 201, description = "ended", body = Receipt), (status = 200, description = "ended before", body = Receipt),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope),
        (status = 410, description = "the job is too old: what it would be worked out from was removed", body = ErrorEnvelope),
        (status = 503, description = "nothing can be written now (`disk_full`, `unwritable`, `unavailable`): send it again after `Retry-After`", body = ErrorEnvelope)))]
pub(crate) async fn put_end(
    State(state): State<AppState>,
    sent: Sent<Uuid>,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let Sent {
        place: uuid,
        access,
        body,
        room: _until_answered,
        ..
    } = sent;
    its_project(&state, &access, uuid).await?;
    let end: End = read(&state, body, |decoded| Ok(decoded.message)).await?;
    let put = state.store.put_end(uuid, end, state.now_unix_us()).await?;
    state.has_arrived();
    answer(
        put,
        Receipt::of_end(uuid),
        &format!("the end of job {uuid}"),
    )
}

/// What the sender's clock shows, µs since 1970, where it says so and that can be.
fn clock_of(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(CLOCK_HEADER)?.to_str().ok()?;
    text.trim()
        .parse()
        .ok()
        .filter(|clock| (0..YEAR_9999_US).contains(clock))
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
async fn read<M: Checked + 'static, T: Send + 'static>(
    state: &AppState,
    body: Body,
    make: impl FnOnce(Decoded<M>) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    state.metrics.taken.inc_by(body.bytes.len() as u64);
    let form = Form::of(&body.headers)?;
    let bytes = form.most_bytes(&body.bytes);
    let work = move || make(form.decode(&body.bytes)?);
    // To hand it to another thread would take longer than to do it.
    if bytes <= SMALL_BYTES {
        return work();
    }
    let done = state.decoding.run(bytes, work).await;
    done.unwrap_or_else(|error| Err(AppError::internal(&error)))
}

/// A body that can be kept as it came: compressing it again would take longer than anything else that is done with it.
fn kept_as_sent(body: &Body) -> Result<Option<Vec<u8>>, AppError> {
    let form = Form::of(&body.headers)?;
    let is_one_frame = form.is_zstd && codec::announced_bytes(&body.bytes).is_some();
    Ok((is_one_frame && !form.is_json).then(|| body.bytes.to_vec()))
}

/// What a body says.
pub(crate) struct Decoded<M> {
    pub(crate) message: M,
    /// In protobuf, without compression.
    plain: Bytes,
}

/// How a body is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    is_json: bool,
    is_zstd: bool,
}

impl Form {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, AppError> {
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
            // One frame is held to what it announces; several may become anything.
            let announced = codec::announced_bytes(body).unwrap_or(MAX_BATCH_BYTES);
            announced.min(MAX_BATCH_BYTES) as u64
        } else {
            body.len() as u64
        }
    }

    pub(crate) fn decode<M: Checked>(self, body: &Bytes) -> Result<Decoded<M>, AppError> {
        let plain = if self.is_zstd {
            Bytes::from(codec::decompress(body)?)
        } else {
            body.clone()
        };
        if self.is_json {
            let message: M = codec::decode_json(&plain)?;
            let plain = message.encode_to_vec().into();
            return Ok(Decoded { message, plain });
        }
        let message = codec::decode_plain(&plain)?;
        Ok(Decoded { message, plain })
    }
}

fn answer(put: Put, receipt: Receipt, what: &str) -> Result<(StatusCode, Json<Receipt>), AppError> {
    match put {
        Put::New => Ok((StatusCode::CREATED, Json(receipt))),
        Put::Same => Ok((StatusCode::OK, Json(receipt))),
        Put::Conflict => Err(AppError::conflict(format!(
            "{what} is already stored with other content"
        ))),
        Put::Full => Err(AppError::job_full(what)),
        Put::Removed => Err(AppError::removed(
            format!(
                "{what} is not kept: retention removed the samples of its job, and nothing can be added to what is left"
            ),
            "what was acknowledged before counts in the job's figures; upload a spool sooner, or have the server keep samples for longer",
        )),
        Put::Unknown => Err(not_begun()),
    }
}
