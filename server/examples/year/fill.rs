//! Fills a database with copies of real jobs.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use highwater_analysis::check;
use highwater_store::{
    Detail, DetailKind, Expiry, FileFact, Finalised, JobFigures, JobFilter, Moment, Put,
    RetentionKind, SeriesRow, Store, StoredPage, Visible, rate_columns,
};
use highwater_wire::{
    report::{FileRow, JobReport},
    v1::{End, Job, Run},
};
use prost::Message;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Failure;

/// Half of all jobs are of one project: its lists are the longest there are.
const PROJECTS: [(&str, u32); 5] = [
    ("year/monolith", 50),
    ("year/services", 20),
    ("year/library", 15),
    ("year/tools", 10),
    ("year/examples", 5),
];
const NAMES: [&str; 4] = ["unit", "integration", "e2e", "nightly"];
/// As many write at once; they are committed together.
const AT_ONCE: usize = 64;
/// A year, µs.
const YEAR_US: i64 = 365 * 86_400 * 1_000_000;
/// Entries of a column that pages are asked for.
const ALL: i64 = i64::MAX;
const LEVELS: i64 = 16;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `sqlite://PATH` of the database to fill.
    database: String,
    /// `sqlite://PATH` of the database with the jobs to copy.
    #[arg(long)]
    from: String,
    #[arg(long, default_value_t = 100_000)]
    jobs: u32,
    /// The newest so many keep their samples.
    #[arg(long, default_value_t = 1_000)]
    with_pages: u32,
}

/// A settled job as it lies in its database.
struct Template {
    job: Job,
    end: End,
    figures: JobFigures,
    report: JobReport,
    tests: i64,
    failed: i64,
    facts: Vec<FileFact>,
    /// All but the report.
    details: Vec<Detail>,
    series: Vec<SeriesRow>,
    pages: Vec<StoredPage>,
    /// First byte of rows of this version.
    version: u8,
}

pub(crate) async fn fill(args: Args) -> Result<(), Failure> {
    let began = Instant::now();
    let templates = Arc::new(templates(&args.from).await?);
    for template in templates.iter() {
        println!(
            "copying {}: {} test files, {} series, {} pages",
            template.job.name,
            template.facts.len(),
            template.series.len(),
            template.pages.len()
        );
    }
    let store = Store::open(&args.database).await?;
    let now = jiff::Timestamp::now().as_microsecond();
    let first = now - YEAR_US;
    let step = YEAR_US / i64::from(args.jobs.max(1));
    let mut writing = JoinSet::new();
    for number in 0..args.jobs {
        if writing.len() >= AT_ONCE {
            writing.join_next().await.ok_or("nothing is written")???;
        }
        let (store, templates) = (store.clone(), Arc::clone(&templates));
        let has_pages = args.jobs - number <= args.with_pages;
        let at = first + step * i64::from(number);
        writing.spawn(async move {
            let template = &templates[number as usize % templates.len()];
            template.copy(&store, number, at, has_pages).await
        });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    println!("{} jobs after {:.0?}", args.jobs, began.elapsed());
    let cut = first + step * i64::from(args.jobs.saturating_sub(args.with_pages)) - step / 2;
    for (slug, _) in PROJECTS {
        let Some(project) = store.project(slug).await? else {
            continue;
        };
        let expiry = Expiry {
            project: project.id,
            kind: RetentionKind::Pages,
            heard_unix_us: cut,
        };
        while store.expire(expiry, now).await? {}
    }
    while store.sweep().await? {}
    let (jobs, unsettled) = store.job_counts().await?;
    let space = store.space().await?;
    store.close().await;
    println!(
        "{jobs} jobs, {unsettled} of them not settled, {:.0} MB after {:.0?}",
        space.bytes as f64 / 1e6,
        began.elapsed()
    );
    Ok(())
}

async fn templates(database: &str) -> Result<Vec<Template>, Failure> {
    let store = Store::open(database).await?;
    let mut found = Vec::new();
    for project in store.projects(&Visible::All, None, 100).await? {
        let key = store.project(&project.newest.project).await?;
        let key = key.ok_or("a project without a number")?;
        for row in store.jobs(key.id, &JobFilter::default(), 100).await? {
            let mut snapshot = store.snapshot().await?;
            let key = snapshot.job(row.uuid).await?.ok_or("a job without a row")?;
            let end = key.end_body.as_deref().ok_or("a job without an end")?;
            let mut details = Vec::new();
            for kind in [
                DetailKind::Processes,
                DetailKind::Files,
                DetailKind::Tests,
                DetailKind::Fixtures,
                DetailKind::Visits,
                DetailKind::Collected,
                DetailKind::Residue,
            ] {
                details.extend(snapshot.detail(key.id, kind).await?);
            }
            let report = rows(&mut snapshot, key.id, DetailKind::Report).await?;
            let (version, report) = report.split_first().ok_or("an empty report")?;
            let files = rows(&mut snapshot, key.id, DetailKind::Files).await?;
            let files: Vec<FileRow> = serde_json::from_slice(files.get(1..).unwrap_or_default())?;
            let series = snapshot.series(key.id).await?;
            let mut pages = Vec::new();
            let rates: BTreeSet<i64> = series.iter().map(|series| series.rate).collect();
            let ticks = rates.into_iter().map(rate_columns);
            let ticks = ticks.flat_map(|ticks| [ticks.t_us, ticks.lateness_us, ticks.due_us]);
            for column in series.iter().map(|series| series.column_no).chain(ticks) {
                for level in 0..LEVELS {
                    pages.extend(snapshot.pages(key.id, column, level, 0, ALL).await?);
                }
            }
            found.push(Template {
                job: Job::decode(key.begin_body.as_slice())?,
                end: End::decode(end)?,
                figures: snapshot.job_figures(key.id).await?,
                report: serde_json::from_slice(report)?,
                tests: row.tests,
                failed: row.failed,
                facts: files
                    .iter()
                    .filter(|file| file.visits > 0)
                    .map(FileFact::from)
                    .collect(),
                details,
                series,
                pages,
                version: *version,
            });
        }
    }
    store.close().await;
    match found.is_empty() {
        false => Ok(found),
        true => Err("there is no settled job to copy".into()),
    }
}

async fn rows(
    snapshot: &mut highwater_store::Snapshot,
    job: i64,
    kind: DetailKind,
) -> Result<Vec<u8>, Failure> {
    let detail = snapshot.detail(job, kind).await?;
    Ok(detail.ok_or("a settled job without rows")?.unpack()?)
}

impl Template {
    /// Writes the job once more, with a name, a time and figures of its own.
    async fn copy(
        &self,
        store: &Store,
        number: u32,
        at: i64,
        has_pages: bool,
    ) -> Result<(), Failure> {
        let mut random = fastrand::Rng::with_seed(u64::from(number));
        let uuid = Uuid::from_u128((u128::from(random.u64(..)) << 64) | u128::from(number));
        let mut job = self.job.clone();
        job.project = project_of(&mut random).to_owned();
        job.name = NAMES[number as usize % NAMES.len()].to_owned();
        job.run = Some(Run {
            provider: "github".to_owned(),
            id: format!("{}", number as usize / NAMES.len()),
            // Half of all runs are of the main branch, the others of 500 branches.
            branch: match random.bool() {
                true => "main".to_owned(),
                false => format!("feature/{}", random.u16(..500)),
            },
            head_commit: format!("{:040x}", random.u128(..)),
            ..job.run.unwrap_or_default()
        });
        job.started_unix_us = at;
        let moment = Moment {
            started_unix_us: at,
            heard_unix_us: at,
            clock_skew_us: None,
        };
        expect(store.put_job(uuid, job.clone(), moment).await?)?;
        expect(store.put_end(uuid, self.end.clone(), at).await?)?;
        let mut snapshot = store.snapshot().await?;
        let key = snapshot.job(uuid).await?.ok_or("a job that was not kept")?;
        drop(snapshot);
        // One in a hundred died.
        let verdict = match random.u8(..100) {
            0 => Some("oom_cgroup".to_owned()),
            _ => self.figures.verdict.clone(),
        };
        let mut about = |bytes: i64| (bytes as f64 * (0.9 + 0.2 * random.f64())) as i64;
        let mut report = self.report.clone();
        report.uuid = uuid;
        report.project.clone_from(&job.project);
        report.name.clone_from(&job.name);
        let peak_bytes = about(self.figures.peak_bytes);
        let facts = self.facts.iter().map(|fact| FileFact {
            start_bytes: about(fact.start_bytes),
            peak_bytes: about(fact.peak_bytes),
            tree_peak_bytes: about(fact.tree_peak_bytes),
            spike_bytes: about(fact.spike_bytes),
            retained_bytes: about(fact.retained_bytes),
            duration_us: about(fact.duration_us),
            ..fact.clone()
        });
        let facts: Vec<FileFact> = facts.collect();
        let mut content = vec![self.version];
        serde_json::to_writer(&mut content, &report)?;
        let mut details = self.details.clone();
        details.push(Detail::pack(key.id, DetailKind::Report, &content)?);
        let finalised = Finalised {
            job: key.id,
            project: key.project_id,
            arrivals: key.arrivals,
            state: "finished".to_owned(),
            revision: 1,
            duration_us: self.figures.duration_us,
            peak_bytes,
            peak_kind: self.figures.peak_kind.clone(),
            headroom_bytes: self.figures.headroom_bytes,
            verdict,
            confidence: self.figures.confidence.clone(),
            tests: self.tests,
            failed: self.failed,
            comparable: check::comparable(&report),
            ordered_unix_us: check::ordered_unix_us(&report),
            diagnosed: report.diagnosis.is_some(),
            series: if has_pages {
                self.series.clone()
            } else {
                Vec::new()
            },
            pages: if has_pages {
                self.pages.clone()
            } else {
                Vec::new()
            },
            details,
            facts,
            news_since_unix_us: None,
            settled: Vec::new(),
        };
        expect(store.put_finalised(finalised).await?)
    }
}

fn project_of(random: &mut fastrand::Rng) -> &'static str {
    let mut drawn = random.u32(..100);
    for (slug, share) in PROJECTS {
        if drawn < share {
            return slug;
        }
        drawn -= share;
    }
    PROJECTS[0].0
}

fn expect(put: Put) -> Result<(), Failure> {
    match put {
        Put::New => Ok(()),
        other => Err(format!("a copy was answered {other:?}").into()),
    }
}
