//! A running job, followed: server-sent events until it is settled.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::stream::{Stream, unfold};
use highwater_wire::report::{ForecastReport, JobState};
use serde::Serialize;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::{Access, Asks, Resolved},
    error::{AppError, ErrorEnvelope},
    extract::Path,
    reading::Job,
    state::AppState,
};

/// Another server on the same database may have taken something in, so it is looked now and then without being told.
const LOOK: Duration = Duration::from_secs(1);
/// Two events are so far apart at least, and so many times what the figures took to work out: a job of hours does not take a processor for
/// each who watches it.
const APART: Duration = Duration::from_millis(250);
const COST: u32 = 3;
/// Places of one token, and of all who come without one.
const MOST_A_TOKEN: u32 = 32;
/// Says that the connection still stands, for proxies that end silent ones.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A job as it stands at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    state: JobState,
    /// How often it was finalised.
    revision: u32,
    /// From its start to the last thing known.
    duration_us: i64,
    /// What its processes hold now; null once it is settled.
    memory_bytes: Option<i64>,
    peak_bytes: u64,
    headroom_bytes: Option<i64>,
    /// Executions of tests so far, and of them failed.
    tests: u64,
    failed: u64,
    /// The tests that run now, one a worker at most.
    running: Vec<String>,
    /// What it comes to by the end; null where too little is known.
    forecast: Option<ForecastReport>,
}

/// Follow a job: an event `progress` each time that something of it arrived, and `settled` as the last, when it is over and finalised.
///
/// The data of each is the job as it then stands. An event comes within two seconds of what it tells of, as long as the figures take the server
/// less than half a second.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/live", tag = "jobs", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Progress, content_type = "text/event-stream"), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn live(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    mut parts: Parts,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, AppError> {
    let place = Arc::clone(&state.watchers).try_acquire_owned();
    let place = place.map_err(|_| AppError::busy())?;
    Job::find(&state, &access, uuid).await?;
    let share = Share::of(&state, access.by()).ok_or_else(AppError::busy)?;
    parts.extensions.remove::<Resolved>();
    parts.extensions.remove::<Asks>();
    let watch = Watch {
        arrived: state.arrived.subscribe(),
        stopped: state.stop.subscribe(),
        state,
        parts,
        uuid,
        known: None,
        next: Instant::now(),
        is_over: false,
        _place: place,
        _share: share,
    };
    let events = unfold(watch, |mut watch| async move {
        let event = watch.next_event().await?;
        Some((Ok(event), watch))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One who watches a job.
struct Watch {
    state: AppState,
    arrived: tokio::sync::watch::Receiver<u64>,
    stopped: tokio::sync::watch::Receiver<bool>,
    /// The head of the request: whether it still counts is asked for each event.
    parts: Parts,
    uuid: Uuid,
    /// What the last event told of: arrivals, revision and whether something is unsettled.
    known: Option<(i64, u32, bool)>,
    /// No event before.
    next: Instant,
    is_over: bool,
    _place: OwnedSemaphorePermit,
    _share: Share,
}

/// One of the places that a single token has, so that its holder cannot take those of all others; given back when it goes.
struct Share {
    state: AppState,
    by: String,
}

impl Share {
    fn of(state: &AppState, by: String) -> Option<Self> {
        let mut held = state.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(by.clone()).or_insert(0);
        if *count >= MOST_A_TOKEN {
            return None;
        }
        *count += 1;
        Some(Self {
            state: state.clone(),
            by,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self
            .state
            .shares
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.by) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.by);
            }
        }
    }
}

impl Watch {
    /// The next event; `None` when there will be no more: the job is settled, whoever watches may no longer, or the server stops.
    async fn next_event(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        loop {
            tokio::select! {
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
                () = tokio::time::sleep_until(self.next) => {}
            }
            match self.look().await {
                Ok(Some(event)) => return Some(event),
                Ok(None) => self.next = Instant::now() + APART,
                // A client comes again by itself, and is told then.
                Err(error) => {
                    tracing::debug!(uuid = %self.uuid, ?error, "no longer followed");
                    return None;
                }
            }
            tokio::select! {
                _ = self.arrived.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Event>, AppError> {
        let access = Access::from_request_parts(&mut self.parts, &self.state).await?;
        let key = self.state.store.snapshot().await?.job(self.uuid).await?;
        let now = key.map(|key| (key.arrivals, key.revision, key.unsettled));
        if now == self.known {
            return Ok(None);
        }
        let began = Instant::now();
        let progress = Job::find(&self.state, &access, self.uuid)
            .await?
            .progress()
            .await?;
        self.known = now;
        self.next = Instant::now() + APART.max(began.elapsed() * COST);
        let is_settled = now.is_some_and(|(_, revision, unsettled)| revision > 0 && !unsettled);
        self.is_over = is_settled && progress.state != JobState::Running;
        let name = if self.is_over { "settled" } else { "progress" };
        let event = Event::default().event(name).json_data(&progress);
        event.map(Some).map_err(|error| AppError::internal(&error))
    }
}

impl Job<'_> {
    async fn progress(&mut self) -> Result<Progress, AppError> {
        let report = self.report().await?;
        let (memory_bytes, running) = match (report.state, self.now()) {
            (JobState::Running, Some(now)) => now,
            _ => (None, Vec::new()),
        };
        Ok(Progress {
            state: report.state,
            revision: report.revision,
            duration_us: report.duration_us,
            memory_bytes,
            peak_bytes: report.peak_bytes,
            headroom_bytes: report.headroom_bytes,
            tests: report.sessions.iter().map(|session| session.tests).sum(),
            failed: report.sessions.iter().map(|session| session.failed).sum(),
            running,
            forecast: report.forecast,
        })
    }
}
