//! What is to be told of jobs that were finalised.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use highwater_analysis::{digest::Digest, time::rfc3339};
use highwater_report::{Source, Telling, Told, WebhookFormat};
use highwater_store::{Message, News, WebhookRow};
use highwater_wire::report::{FileRow, JobReport, Remark};
use uuid::Uuid;

use crate::{
    access::Access,
    error::AppError,
    reading::Job,
    rests::{Rest, Rests},
    state::AppState,
};

/// Nobody is told of a job that ended longer ago when it is finalised.
pub(crate) const TOLD_WITHIN: Duration = Duration::from_secs(86_400);
/// How often is looked without being told to.
const LOOK: Duration = Duration::from_secs(1);

/// Looks what is to be told of jobs, until the server stops.
pub(crate) async fn tell_for_ever(state: AppState) {
    // Of jobs that could not be looked at: how often they had been finalised.
    let mut failures: Rests<u32> = Rests::new();
    loop {
        match state.store.news().await {
            Ok(_) if state.store.trouble().is_some() => {}
            Ok(all) => {
                failures.keep(|job| all.iter().any(|news| news.job_uuid == *job));
                for news in all {
                    tell_or_rest(&state, news, &mut failures).await;
                }
            }
            Err(error) => tracing::error!(%error, "cannot look for jobs to tell of"),
        }
        let _ = tokio::time::timeout(LOOK, state.news.notified()).await;
    }
}

async fn tell_or_rest(state: &AppState, news: News, failures: &mut Rests<u32>) {
    let (uuid, revision) = (news.job_uuid, news.revision);
    if failures.is_resting(uuid, &revision, Instant::now()) {
        return;
    }
    let Err(error) = tell(state, news).await else {
        failures.done(uuid);
        return;
    };
    state.metrics.untold.inc();
    let rest = failures.failed(uuid, revision, Instant::now());
    if !is_last_try(rest) {
        tracing::error!(%uuid, %error, again_in_s = rest.lasts.as_secs(), "cannot tell webhooks of a job");
        return;
    }
    tracing::error!(%uuid, %error, "cannot tell webhooks of a job, and that is given up");
    if let Err(error) = state.store.tell(news, Vec::new()).await {
        tracing::error!(%uuid, %error, "cannot forget that webhooks are to be told of a job");
    }
}

/// Whether it failed for so long that nobody wants to be told any more.
fn is_last_try(rest: Rest) -> bool {
    rest.failing_for >= TOLD_WITHIN
}

async fn tell(state: &AppState, news: News) -> Result<(), AppError> {
    let messages = match messages(state, news).await {
        // Retention or somebody else removed it meanwhile.
        Err(error) if matches!(error.status, StatusCode::NOT_FOUND | StatusCode::GONE) => {
            Vec::new()
        }
        messages => messages?,
    };
    let is_any = !messages.is_empty();
    if state.store.tell(news, messages).await? && is_any {
        state.sending.notify_one();
    }
    Ok(())
}

/// A message for each webhook of the job's project that wants to know.
async fn messages(state: &AppState, news: News) -> Result<Vec<Message>, AppError> {
    // Before the job, which keeps a connection of the store while it is read.
    let mut webhooks = state.store.webhooks().await?;
    let mut job = Job::find(state, &Access::Open, news.job_uuid).await?;
    // More of it came in: once that is finalised too, it is news again.
    if !job.stands_at(news.revision) {
        return Ok(Vec::new());
    }
    webhooks.retain(|it| it.project == job.project() && it.created_unix_us <= job.heard_unix_us());
    if webhooks.is_empty() {
        return Ok(Vec::new());
    }
    let report = job.report().await?;
    // What it measured again is news of the job whose files these are.
    if let Some(first) = report.confirms {
        drop(job);
        return refuted(state, &webhooks, first, news.job_uuid).await;
    }
    let files = job.files().await?;
    let is_checked = webhooks.iter().any(|it| it.on_finding);
    let (report, remarks) = remarks_of(job, report, files, is_checked).await?;
    let about = (news.job_uuid, news.revision);
    let tellings = [Told::Death, Told::Finding].map(|told| Telling::of(told, &report, &remarks));
    let tellings = tellings.into_iter().flatten();
    of_each(state, &webhooks, tellings.collect(), about)
}

/// What is taken back of a job, as one that ran files of it again refuted it.
async fn refuted(
    state: &AppState,
    webhooks: &[WebhookRow],
    first: Uuid,
    again: Uuid,
) -> Result<Vec<Message>, AppError> {
    let mut job = Job::find(state, &Access::Open, first).await?;
    let report = job.report().await?;
    let files = job.files().await?;
    let is_checked = webhooks.iter().any(|it| it.on_finding) && job.is_run_again_by(again).await?;
    let (report, remarks) = remarks_of(job, report, files, is_checked).await?;
    let about = (first, report.revision);
    let telling = Telling::of(Told::Refuted, &report, &remarks);
    of_each(state, webhooks, telling.into_iter().collect(), about)
}

/// A job with what is to be said of it.
async fn remarks_of(
    job: Job<'_>,
    report: JobReport,
    files: Vec<FileRow>,
    is_checked: bool,
) -> Result<(JobReport, Vec<Remark>), AppError> {
    let check = match is_checked {
        true => job.beside_where_quick(&report, &files).await?,
        false => None,
    };
    let digest = Digest {
        job: report,
        files,
        processes: Vec::new(),
        tests: Vec::new(),
        fixtures: Vec::new(),
        visits: Vec::new(),
        collected: Vec::new(),
        tree: Vec::new(),
    };
    let remarks = Source::beside(&digest, None, check.as_ref()).remarks;
    Ok((digest.job, remarks))
}

/// What is to be told to each webhook that wants to know.
fn of_each(
    state: &AppState,
    webhooks: &[WebhookRow],
    tellings: Vec<Telling<'_>>,
    about: (Uuid, u32),
) -> Result<Vec<Message>, AppError> {
    let url = state.guard.public_url.as_deref();
    let page = url.map(|url| format!("{}/jobs/{}", url.trim_end_matches('/'), about.0));
    let mut messages = Vec::new();
    for telling in &tellings {
        for webhook in webhooks.iter().filter(|it| wants(it, telling.told())) {
            messages.push(message(state, webhook, telling, about, page.as_deref())?);
        }
    }
    Ok(messages)
}

fn wants(webhook: &WebhookRow, told: Told) -> bool {
    match told {
        Told::Death => webhook.on_death,
        Told::Finding | Told::Refuted => webhook.on_finding,
    }
}

fn message(
    state: &AppState,
    webhook: &WebhookRow,
    telling: &Telling<'_>,
    about: (Uuid, u32),
    page: Option<&str>,
) -> Result<Message, AppError> {
    let format: WebhookFormat = webhook
        .format
        .parse()
        .map_err(|error: String| AppError::internal(&format!("webhook {}: {error}", webhook.id)))?;
    let body = telling.body(format, page, &rfc3339(state.wall_unix_us()));
    Ok(Message {
        webhook: webhook.id,
        id: Uuid::now_v7(),
        kind: telling.told().as_str().to_owned(),
        job: Some(about),
        told: telling.in_short(),
        takes_back: match telling.told() {
            Told::Death | Told::Finding => None,
            Told::Refuted => Some(Told::Finding.as_str().to_owned()),
        },
        body: body
            .map_err(|error| AppError::internal(&error))?
            .into_bytes(),
        created_unix_us: state.now_unix_us(),
    })
}
