//! What `/metrics` tells, in the form of OpenMetrics.

use std::{
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{error::RefusalCode, state::AppState};

/// How OpenMetrics is called in a `Content-Type`.
pub(crate) const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Bounds of what a request takes: from a millisecond, doubled to half a minute.
const BUCKETS: u16 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Routed {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Coded {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tried {
    outcome: &'static str,
}

/// What the store says when somebody looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) jobs: i64,
    pub(crate) unsettled: i64,
    /// Messages that wait for webhooks, and that were dropped.
    pub(crate) waiting: i64,
    pub(crate) dropped: i64,
}

/// Figures that are counted as things happen, and others that are asked for when somebody looks.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Two that look at once would both add what was counted since the last look.
    telling: Mutex<()>,
    /// Batches acknowledged for the first time.
    pub(crate) batches: Counter,
    /// Bodies that were taken in, bytes.
    pub(crate) taken: Counter,
    pub(crate) finalised: Counter,
    /// Jobs that could not be finalised.
    pub(crate) failed: Counter,
    /// Times that the figures of a job that is not finalised were worked out.
    pub(crate) live: Counter,
    /// Times that jobs alike were looked through for changes.
    pub(crate) histories: Counter,
    answered: Family<Answered, Counter>,
    took: Family<Routed, Histogram, fn() -> Histogram>,
    refused: Family<Coded, Counter>,
    jobs: Gauge,
    unsettled: Gauge,
    intake: Gauge,
    waiting: Gauge,
    commits: Counter,
    written: Counter,
    commit_seconds: Counter<f64, AtomicU64>,
    commit_failures: Counter,
    webhook_tries: Family<Tried, Counter>,
    webhook_queue: Gauge,
    webhook_dropped: Gauge,
    /// Times that it could not be found out what webhooks are to be told of a job.
    pub(crate) untold: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram =
            || Histogram::new(exponential_buckets(0.001, 2.0, BUCKETS));
        let mut metrics = Self {
            registry: Registry::with_prefix("highwater"),
            telling: Mutex::default(),
            batches: Counter::default(),
            taken: Counter::default(),
            finalised: Counter::default(),
            failed: Counter::default(),
            live: Counter::default(),
            histories: Counter::default(),
            answered: Family::default(),
            took: Family::new_with_constructor(histogram),
            refused: Family::default(),
            jobs: Gauge::default(),
            unsettled: Gauge::default(),
            intake: Gauge::default(),
            waiting: Gauge::default(),
            commits: Counter::default(),
            written: Counter::default(),
            commit_seconds: Counter::default(),
            commit_failures: Counter::default(),
            webhook_tries: Family::default(),
            webhook_queue: Gauge::default(),
            webhook_dropped: Gauge::default(),
            untold: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "batches",
            "Batches acknowledged for the first time",
            self.batches.clone(),
        );
        registry.register_with_unit(
            "taken",
            "Bodies that were taken in",
            Unit::Bytes,
            self.taken.clone(),
        );
        registry.register("requests", "Requests answered", self.answered.clone());
        registry.register_with_unit(
            "request_duration",
            "From a request's head to its answer",
            Unit::Seconds,
            self.took.clone(),
        );
        registry.register(
            "refused",
            "Requests answered with an error, by its code",
            self.refused.clone(),
        );
        registry.register_with_unit(
            "intake_used",
            "Room claimed by bodies that are under way",
            Unit::Bytes,
            self.intake.clone(),
        );
        registry.register(
            "queue",
            "Requests that wait for the writer of the store",
            self.waiting.clone(),
        );
        registry.register("commits", "Transactions committed", self.commits.clone());
        registry.register(
            "writes",
            "Requests in the transactions committed",
            self.written.clone(),
        );
        registry.register_with_unit(
            "commit",
            "Time that transactions took until they were on disk",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register(
            "commit_failures",
            "Transactions that could not be committed",
            self.commit_failures.clone(),
        );
        registry.register("jobs", "Jobs stored", self.jobs.clone());
        registry.register(
            "unsettled_jobs",
            "Jobs of which something is not yet in the pages",
            self.unsettled.clone(),
        );
        registry.register("finalised", "Jobs finalised", self.finalised.clone());
        registry.register(
            "finalise_failures",
            "Jobs that could not be finalised",
            self.failed.clone(),
        );
        registry.register(
            "live_digests",
            "Times that the figures of a job that is not finalised were worked out",
            self.live.clone(),
        );
        registry.register(
            "histories",
            "Times that jobs alike were looked through for changes",
            self.histories.clone(),
        );
        registry.register(
            "webhook_tries",
            "Posts to webhooks, by what became of them",
            self.webhook_tries.clone(),
        );
        registry.register(
            "webhook_queue",
            "Messages that wait for webhooks",
            self.webhook_queue.clone(),
        );
        registry.register(
            "webhook_dropped",
            "Messages that found the queue of their webhook full",
            self.webhook_dropped.clone(),
        );
        registry.register(
            "webhook_news_failures",
            "Times that it could not be found out what webhooks are to be told of a job",
            self.untold.clone(),
        );
    }

    /// Counts a post to a webhook.
    pub(crate) fn webhook_tried(&self, outcome: &'static str) {
        self.webhook_tries.get_or_create(&Tried { outcome }).inc();
    }

    /// All figures as text, those of the store as they are now.
    pub(crate) fn tell(&self, state: &AppState, stored: Stored) -> Result<String, std::fmt::Error> {
        let _alone = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        self.jobs.set(stored.jobs);
        self.unsettled.set(stored.unsettled);
        self.webhook_queue.set(stored.waiting);
        self.webhook_dropped.set(stored.dropped);
        self.intake
            .set(i64::try_from(state.intake.used_bytes()).unwrap_or(i64::MAX));
        let store = state.store.figures();
        self.waiting
            .set(i64::try_from(store.waiting).unwrap_or(i64::MAX));
        // The store counts for itself; what it counted since the last look is added here.
        self.commits
            .inc_by(store.commits.saturating_sub(self.commits.get()));
        self.written
            .inc_by(store.written.saturating_sub(self.written.get()));
        self.commit_failures
            .inc_by(store.failures.saturating_sub(self.commit_failures.get()));
        let seconds = Duration::from_micros(store.commit_us).as_secs_f64();
        self.commit_seconds
            .inc_by((seconds - self.commit_seconds.get()).max(0.0));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Counts every request by its route, and what was refused by the code of the refusal.
pub(crate) async fn observe(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "(none)".to_owned(), |path| path.as_str().to_owned());
    let method = match request.method().as_str() {
        "GET" => "GET",
        "PUT" => "PUT",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    };
    let began = std::time::Instant::now();
    let answer = next.run(request).await;
    let metrics = &state.metrics;
    let took = began.elapsed().as_secs_f64();
    metrics
        .took
        .get_or_create(&Routed {
            route: route.clone(),
        })
        .observe(took);
    let status = answer.status().as_u16();
    metrics
        .answered
        .get_or_create(&Answered {
            method,
            route,
            status,
        })
        .inc();
    if let Some(RefusalCode(code)) = answer.extensions().get() {
        metrics.refused.get_or_create(&Coded { code }).inc();
    }
    answer
}
