//! Asks for pages and lists of a large database as readers do, and says how long each took.

use std::time::{Duration, Instant};

use highwater_store::{DetailKind, JobFilter, JobRow, Store, Visible};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failure;

/// Jobs, runs and files that are asked for, drawn from all over the database.
const DRAWN: usize = 400;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `http://127.0.0.1:PORT` of the server that runs on the database.
    url: String,
    /// `sqlite://PATH`.
    #[arg(long)]
    database: String,
    /// For how long it is asked.
    #[arg(long)]
    seconds: u64,
}

/// What there is to ask for.
struct Known {
    projects: Vec<String>,
    jobs: Vec<JobRow>,
    with_samples: Vec<JobRow>,
    branches: Vec<String>,
    files: Vec<String>,
}

/// Draws the path of a request.
type Draw = fn(&Known, &mut fastrand::Rng) -> String;

struct Route {
    name: &'static str,
    path: Draw,
    took_us: Vec<u64>,
}

fn project(known: &Known, random: &mut fastrand::Rng) -> String {
    // As the readers of a company: most look at the large one.
    match random.bool() {
        true => known.projects[0].clone(),
        false => known.projects[random.usize(..known.projects.len())].clone(),
    }
}

fn any<'a, T>(all: &'a [T], random: &mut fastrand::Rng) -> &'a T {
    &all[random.usize(..all.len())]
}

fn job(known: &Known, random: &mut fastrand::Rng) -> String {
    any(&known.jobs, random).uuid.to_string()
}

fn sampled(known: &Known, random: &mut fastrand::Rng) -> String {
    any(&known.with_samples, random).uuid.to_string()
}

/// `next` of a list after a job drawn at random.
fn after(known: &Known, random: &mut fastrand::Rng) -> String {
    let job = any(&known.jobs, random);
    format!("{}_{}", job.started_unix_us, job.id)
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

const ROUTES: [(&str, Draw); 36] = [
    ("page: projects", |_, _| "/".to_owned()),
    ("page: project", |known, random| {
        format!("/p/{}", project(known, random))
    }),
    ("page: run", |known, random| {
        let job = any(&known.jobs, random);
        format!("/p/{}/runs/{}", job.project.replace('/', "~"), job.run_id)
    }),
    ("page: file", |known, random| {
        let file = any(&known.files, random);
        format!("/p/{}/files/{file}", project(known, random))
    }),
    ("page: job", |known, random| {
        format!("/jobs/{}", job(known, random))
    }),
    ("page: job with samples", |known, random| {
        format!("/jobs/{}", sampled(known, random))
    }),
    ("api: job", |known, random| {
        format!("/api/v1/jobs/{}", job(known, random))
    }),
    ("api: processes", |known, random| {
        format!("/api/v1/jobs/{}/processes", job(known, random))
    }),
    ("api: files", |known, random| {
        format!("/api/v1/jobs/{}/files", job(known, random))
    }),
    ("api: tests", |known, random| {
        format!("/api/v1/jobs/{}/tests", job(known, random))
    }),
    ("api: fixtures", |known, random| {
        format!("/api/v1/jobs/{}/fixtures", job(known, random))
    }),
    ("api: series", |known, random| {
        format!("/api/v1/jobs/{}/series", sampled(known, random))
    }),
    ("api: series, a window", |known, random| {
        let uuid = sampled(known, random);
        format!("/api/v1/jobs/{uuid}/series?from=1000000&to=3000000&points=5000")
    }),
    ("api: export json", |known, random| {
        format!("/api/v1/jobs/{}/export?format=json", sampled(known, random))
    }),
    ("api: projects", |_, _| "/api/v1/projects".to_owned()),
    ("api: runs", |known, random| {
        format!("/api/v1/projects/{}/runs", project(known, random))
    }),
    ("api: jobs", |known, random| {
        format!("/api/v1/projects/{}/jobs", project(known, random))
    }),
    ("api: jobs, deep", |known, random| {
        let key = after(known, random);
        format!(
            "/api/v1/projects/{}/jobs?after={key}",
            project(known, random)
        )
    }),
    ("api: jobs of a branch", |known, random| {
        let branch = encoded(any::<String>(&known.branches, random));
        format!(
            "/api/v1/projects/{}/jobs?branch={branch}",
            project(known, random)
        )
    }),
    ("api: jobs that died", |known, random| {
        format!(
            "/api/v1/projects/{}/jobs?verdict=oom_cgroup",
            project(known, random)
        )
    }),
    ("api: jobs of a branch that died", |known, random| {
        let branch = encoded(any::<String>(&known.branches, random));
        let project = project(known, random);
        format!("/api/v1/projects/{project}/jobs?branch={branch}&verdict=oom_cgroup")
    }),
    ("api: jobs of a name, deep", |known, random| {
        let key = after(known, random);
        let project = project(known, random);
        format!("/api/v1/projects/{project}/jobs?name=e2e&branch=main&after={key}")
    }),
    ("api: jobs of none", |known, random| {
        format!(
            "/api/v1/projects/{}/jobs?name=nobody",
            project(known, random)
        )
    }),
    ("api: file history", |known, random| {
        let file = any(&known.files, random);
        format!("/api/v1/projects/{}/files/{file}", project(known, random))
    }),
    ("api: file history, deep", |known, random| {
        let (file, key) = (any(&known.files, random), after(known, random));
        let project = project(known, random);
        format!("/api/v1/projects/{project}/files/{file}?after={key}_0")
    }),
    ("api: check", |known, random| {
        format!("/api/v1/jobs/{}/check", job(known, random))
    }),
    ("api: plan", |known, random| {
        format!("/api/v1/jobs/{}/plan?budget=2GB", job(known, random))
    }),
    ("api: report as markdown", |known, random| {
        format!("/api/v1/jobs/{}/report?format=markdown", job(known, random))
    }),
    ("api: compare", |known, random| {
        let (before, after) = (job(known, random), job(known, random));
        format!("/api/v1/compare?before={before}&after={after}")
    }),
    ("api: changes of a project", |known, random| {
        format!("/api/v1/projects/{}/changes", project(known, random))
    }),
    ("api: changes of a file", |known, random| {
        let file = any(&known.files, random);
        format!("/api/v1/projects/{}/changes/{file}", project(known, random))
    }),
    ("page: compare", |known, random| {
        let (before, after) = (job(known, random), job(known, random));
        format!("/compare?before={before}&after={after}")
    }),
    ("page: plan", |known, random| {
        format!("/jobs/{}/plan", job(known, random))
    }),
    ("badge", |known, random| {
        format!("/p/{}/badge.svg", project(known, random))
    }),
    ("api: openapi", |_, _| "/api/v1/openapi.json".to_owned()),
    ("metrics", |_, _| "/metrics".to_owned()),
];

pub(crate) async fn look(args: Args) -> Result<(), Failure> {
    let known = known(&args.database).await?;
    let address = args.url.strip_prefix("http://");
    let address = address.ok_or("the URL is no http:// address")?;
    let mut reader = Reader::connect(address).await?;
    let mut routes = ROUTES.map(|(name, path)| Route {
        name,
        path,
        took_us: Vec::new(),
    });
    let mut random = fastrand::Rng::with_seed(1);
    // Once for each, so that the server is warm.
    for route in &routes {
        for _ in 0..20 {
            reader.get(&(route.path)(&known, &mut random)).await?;
        }
    }
    let until = Instant::now() + Duration::from_secs(args.seconds);
    while Instant::now() < until {
        for route in &mut routes {
            let path = (route.path)(&known, &mut random);
            let began = Instant::now();
            reader.get(&path).await?;
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            route.took_us.push(took);
        }
    }
    println!(
        "{:32} {:>7} {:>9} {:>9} {:>9}",
        "ms", "asked", "p50", "p99", "most"
    );
    for route in &mut routes {
        route.took_us.sort_unstable();
        println!(
            "{:32} {:>7} {:>9.1} {:>9.1} {:>9.1}",
            route.name,
            route.took_us.len(),
            at(&route.took_us, 0.5),
            at(&route.took_us, 0.99),
            at(&route.took_us, 1.0)
        );
    }
    Ok(())
}

/// A quantile of sorted times, ms.
fn at(sorted_us: &[u64], quantile: f64) -> f64 {
    let last = sorted_us.len().saturating_sub(1) as f64;
    let found = sorted_us.get((last * quantile).ceil() as usize);
    found.map_or(f64::NAN, |us| *us as f64 / 1e3)
}

async fn known(database: &str) -> Result<Known, Failure> {
    let store = Store::open(database).await?;
    let mut known = Known {
        projects: Vec::new(),
        jobs: Vec::new(),
        with_samples: Vec::new(),
        branches: vec!["main".to_owned()],
        files: Vec::new(),
    };
    let mut projects = store.projects(&Visible::All, None, 100).await?;
    // Those of the live jobs change while they are looked at.
    projects.retain(|project| !project.newest.project.starts_with("load/"));
    projects.sort_by_key(|project| std::cmp::Reverse(project.jobs));
    let all: i64 = projects.iter().map(|project| project.jobs).sum();
    for project in projects {
        let slug = project.newest.project;
        let key = store
            .project(&slug)
            .await?
            .ok_or("a project without a number")?;
        known.projects.push(slug.replace('/', "~"));
        let (newest, step) = (project.newest.started_unix_us, 1 + all / DRAWN as i64);
        for job in store.jobs(key.id, &JobFilter::default(), 100).await? {
            let mut snapshot = store.snapshot().await?;
            let key = snapshot.job(job.uuid).await?;
            if key.is_some_and(|key| key.pages_removed_unix_us.is_none()) {
                known.with_samples.push(job);
            }
        }
        // Each as far from the next in time.
        let mut before = newest;
        for _ in 0..project.jobs / step {
            let filter = JobFilter {
                before: Some([before, i64::MAX]),
                ..JobFilter::default()
            };
            let page = store.jobs(key.id, &filter, u32::try_from(step)?).await?;
            let Some(last) = page.last() else { break };
            before = last.started_unix_us;
            known.branches.push(last.branch.clone());
            known.jobs.push(last.clone());
        }
    }
    let newest = known
        .with_samples
        .first()
        .ok_or("a database without jobs")?;
    let mut snapshot = store.snapshot().await?;
    let key = snapshot.job(newest.uuid).await?.ok_or("no such job")?;
    let files = snapshot.detail(key.id, DetailKind::Files).await?;
    let files = files.ok_or("a job without files")?.unpack()?;
    let files: Vec<serde_json::Value> = serde_json::from_slice(files.get(1..).unwrap_or_default())?;
    let paths = files.iter().filter_map(|file| file["path"].as_str());
    known.files = paths.map(str::to_owned).collect();
    drop(snapshot);
    store.close().await;
    Ok(known)
}

/// One connection, as a browser keeps it.
struct Reader {
    sender: SendRequest<Empty<Bytes>>,
    address: String,
}

impl Reader {
    async fn connect(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(Self {
            sender,
            address: address.to_owned(),
        })
    }

    async fn get(&mut self, path: &str) -> Result<(), Failure> {
        self.sender.ready().await?;
        let request = Request::get(path)
            .header(header::HOST, &self.address)
            .header(header::ACCEPT_ENCODING, "gzip")
            .body(Empty::new())?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        match status.is_success() {
            true => Ok(()),
            false => Err(format!("GET {path} was answered {status}").into()),
        }
    }
}
