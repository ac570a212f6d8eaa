//! Into VictoriaMetrics, by its two bulk imports: blocks of its own format, which are made beforehand, and lines of JSON.

mod instance;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    Failure, Load,
    client::{Client, on_connections},
    trace::{Key, Trace, samples},
};
use instance::Instance;

/// Between looks whether everything is there.
const PAUSE: Duration = Duration::from_millis(20);
/// Everything, whatever it is called.
const ALL: &str = "%7B__name__!=%22%22%7D";
/// What an export without samples has: its span of time.
const EMPTY_EXPORT: usize = 16;
const NATIVE: &str = "/api/v1/import/native";
const JSON_LINES: &str = "/api/v1/import";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program.
    #[arg(long)]
    program: PathBuf,
    /// Where it keeps its data; what was there goes.
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    load: Load,
}

/// The batches of a job, and what is asked to count them.
struct Bodies {
    batches: Vec<Bytes>,
    /// All samples of the job lie in so many seconds before this time, s.
    ends_s: i64,
    lasts_s: i64,
}

pub(crate) async fn measure(args: Args) -> Result<Value, Failure> {
    let trace = Trace::read(&args.load.spool, true)?;
    let lines = lines(&trace)?;
    let native = native(&args, &trace, &lines).await?;
    Ok(json!({
        "native": import(&args, &trace, native, NATIVE).await?,
        "json": import(&args, &trace, lines, JSON_LINES).await?,
    }))
}

/// Milliseconds are the finest that it keeps.
fn milliseconds(trace: &Trace, t_us: i64) -> i64 {
    (trace.job.started_unix_us + t_us).div_euclid(1000)
}

/// Each batch as lines of JSON, one a series.
fn lines(trace: &Trace) -> Result<Bodies, Failure> {
    let mut times = Vec::new();
    let mut batches = Vec::new();
    for batch in &trace.decoded {
        let mut body = Vec::new();
        for (key, points) in samples(batch) {
            let (t_ms, values): (Vec<i64>, Vec<i64>) = points
                .into_iter()
                .map(|(t_us, value)| (milliseconds(trace, t_us), value))
                .unzip();
            times.extend(t_ms.first().copied());
            times.extend(t_ms.last().copied());
            let line = json!({"metric": labels(&key), "values": values, "timestamps": t_ms});
            serde_json::to_writer(&mut body, &line)?;
            body.push(b'\n');
        }
        batches.push(body.into());
    }
    let first = times.iter().min().ok_or("a recording without samples")?;
    let last = times.iter().max().ok_or("a recording without samples")?;
    Ok(Bodies {
        batches,
        ends_s: last / 1000 + 10,
        lasts_s: (last - first) / 1000 + 20,
    })
}

fn labels((metric, process, cgroup): &Key) -> Value {
    let mut labels = json!({"__name__": metric});
    if let Some((pid, start_ticks)) = process {
        labels["process"] = format!("{pid}:{start_ticks}").into();
    }
    if !cgroup.is_empty() {
        labels["cgroup"] = cgroup.as_str().into();
    }
    labels
}

/// Each batch as blocks of its own format, from an instance that had the whole job once.
async fn native(args: &Args, trace: &Trace, lines: &Bodies) -> Result<Bodies, Failure> {
    let instance = Instance::start(&args.program, &args.folder.join("scratch")).await?;
    let mut client = Client::connect(&instance.address).await?;
    for body in &lines.batches {
        client.post(JSON_LINES, body.clone()).await?;
    }
    count(&mut client, lines, trace.samples).await?;
    // Seconds that touch and do not overlap, so that each sample is exported once.
    let mut starts: Vec<i64> = trace.decoded.iter().map(|batch| batch.from_us).collect();
    starts.sort_unstable();
    starts[0] = -1_000_000;
    let ends = starts.iter().skip(1).copied();
    let ends = ends.chain([(lines.ends_s * 1_000_000) - trace.job.started_unix_us]);
    let mut batches = Vec::new();
    for (from_us, to_us) in starts.iter().copied().zip(ends.collect::<Vec<_>>()) {
        let (start, end) = (milliseconds(trace, from_us), milliseconds(trace, to_us) - 1);
        // It cuts seconds to milliseconds: a little more, so that none is cut off.
        let seconds = |ms: i64| format!("{}.{:03}4", ms / 1000, ms % 1000);
        let path = format!(
            "/api/v1/export/native?match[]={ALL}&start={}&end={}",
            seconds(start),
            seconds(end)
        );
        let body = client.get(&path).await?;
        if start <= end && body.len() > EMPTY_EXPORT {
            batches.push(body);
        }
    }
    Ok(Bodies { batches, ..*lines })
}

/// Imports all jobs into a fresh instance.
async fn import(
    args: &Args,
    trace: &Trace,
    bodies: Bodies,
    path: &'static str,
) -> Result<Value, Failure> {
    let load = &args.load;
    let instance = Instance::start(&args.program, &args.folder.join("data")).await?;
    let bodies = Arc::new(bodies);
    let samples = trace.samples * u64::from(load.jobs);
    let mut client = Client::connect(&instance.address).await?;
    let began = Instant::now();
    let send = |mut client: Client, share: Vec<u32>| {
        let bodies = Arc::clone(&bodies);
        async move {
            for _ in share {
                let path = format!("{path}?extra_label=job={}", Uuid::now_v7());
                for body in &bodies.batches {
                    client.post(&path, body.clone()).await?;
                }
            }
            Ok(())
        }
    };
    on_connections(&instance.address, load.connections, load.jobs, send).await?;
    let acknowledged = began.elapsed();
    client.get("/internal/force_flush").await?;
    count(&mut client, &bodies, samples).await?;
    let seconds = began.elapsed();
    client.get("/internal/force_merge").await?;
    instance.merged().await?;
    client.get("/internal/force_flush").await?;
    // Merging must not have lost anything.
    count(&mut client, &bodies, samples).await?;
    let metrics = client.get("/metrics").await?;
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    let own = metrics.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let of = name.strip_prefix("vm_data_size_bytes{type=\"")?;
        Some((of.strip_suffix("\"}")?.to_owned(), value.parse().ok()?))
    });
    let own: serde_json::Map<String, Value> = own.collect();
    Ok(json!({
        "samples": samples,
        "bytes_sent_of_a_job": bodies.batches.iter().map(Bytes::len).sum::<usize>(),
        "acknowledged_s": acknowledged.as_secs_f64(),
        "seconds": seconds.as_secs_f64(),
        "data": instance.bytes_of("data")?,
        "index": instance.bytes_of("indexdb")?,
        "own": own,
    }))
}

/// Waits until a query counts all samples.
async fn count(client: &mut Client, bodies: &Bodies, expected: u64) -> Result<(), Failure> {
    let query = format!("sum(count_over_time({ALL}[{}s]))", bodies.lasts_s);
    let path = format!(
        "/api/v1/query?query={query}&time={}&nocache=1",
        bodies.ends_s
    );
    client.get("/internal/force_flush").await?;
    let mut last = 0;
    for _ in 0..500 {
        let answer: Value = serde_json::from_slice(&client.get(&path).await?)?;
        let found = answer["data"]["result"][0]["value"][1].as_str();
        last = found.map_or(Ok(0), str::parse)?;
        if last == expected {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Err(format!("VictoriaMetrics counts {last} samples of {expected}").into())
}
