//! Into Highwater's server, as agents send it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use highwater_wire::{VERSION, codec, v1};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    Failure, Load,
    client::{Client, on_connections},
    trace::Trace,
};

/// Between looks whether a job is finalised, and before a refused request is sent again.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `http://127.0.0.1:PORT`.
    url: String,
    #[command(flatten)]
    load: Load,
    /// Send the samples with their processes and nothing else, as much as a store of series is sent.
    #[arg(long)]
    samples_alone: bool,
}

pub(crate) async fn measure(args: Args) -> Result<Value, Failure> {
    let load = args.load;
    let trace = Arc::new(Trace::read(&load.spool, args.samples_alone)?);
    let address = args.url.strip_prefix("http://");
    let address = address.ok_or("the URL is no http:// address")?;
    let jobs: Arc<[Uuid]> = (0..load.jobs).map(|_| Uuid::now_v7()).collect();
    let refused = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let send = |mut client: Client, share: Vec<u32>| {
        let (trace, jobs, refused) = (Arc::clone(&trace), Arc::clone(&jobs), Arc::clone(&refused));
        async move {
            for job in share {
                send(&mut client, &trace, jobs[job as usize], &refused).await?;
            }
            Ok(())
        }
    };
    on_connections(address, load.connections, load.jobs, send).await?;
    let acknowledged = began.elapsed();
    let look = |mut client: Client, share: Vec<u32>| {
        let jobs = Arc::clone(&jobs);
        async move {
            for job in share {
                look(&mut client, jobs[job as usize]).await?;
            }
            Ok(())
        }
    };
    on_connections(address, load.connections, load.jobs, look).await?;
    Ok(json!({
        "samples_of_a_job": trace.samples,
        "series_of_a_job": trace.series,
        "batches_of_a_job": trace.batches.len(),
        "bytes_sent_of_a_job": trace.batches.iter().map(Bytes::len).sum::<usize>(),
        "acknowledged_s": acknowledged.as_secs_f64(),
        "seconds": began.elapsed().as_secs_f64(),
        "refused": refused.load(Relaxed),
    }))
}

/// Sends a job, each request until it is acknowledged.
async fn send(
    client: &mut Client,
    trace: &Trace,
    uuid: Uuid,
    refused: &AtomicU64,
) -> Result<(), Failure> {
    let path = format!("/api/v1/jobs/{uuid}");
    let stream = Uuid::new_v4();
    put(client, &path, codec::encode(&trace.job)?.into(), refused).await?;
    for (seq, body) in trace.batches.iter().enumerate() {
        let path = format!("{path}/streams/{stream}/batches/{seq}");
        put(client, &path, body.clone(), refused).await?;
    }
    let end = v1::End {
        version: VERSION,
        ended_us: trace.decoded.last().map_or(0, |batch| batch.to_us),
        exit_code: Some(0),
        streams: vec![v1::StreamCount {
            stream: stream.to_string(),
            batches: trace.batches.len() as u64,
        }],
        ..v1::End::default()
    };
    let path = format!("{path}/end");
    put(client, &path, codec::encode(&end)?.into(), refused).await
}

async fn put(
    client: &mut Client,
    path: &str,
    body: Bytes,
    refused: &AtomicU64,
) -> Result<(), Failure> {
    loop {
        let (status, answer) = client.send(Method::PUT, path, "zstd", body.clone()).await?;
        match status {
            status if status.is_success() => return Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                refused.fetch_add(1, Relaxed);
                sleep(PAUSE).await;
            }
            status => {
                let why = String::from_utf8_lossy(&answer);
                return Err(format!("{path} was answered {status}: {why}").into());
            }
        }
    }
}

/// Waits until a job is finalised and asks for its series.
async fn look(client: &mut Client, uuid: Uuid) -> Result<(), Failure> {
    let path = format!("/api/v1/jobs/{uuid}");
    loop {
        let job: Value = serde_json::from_slice(&client.get(&path).await?)?;
        if job["state"] != "running" && job["revision"].as_u64() > Some(0) {
            break;
        }
        sleep(PAUSE).await;
    }
    let answer = client.get(&format!("{path}/series")).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    match answer["series"].as_array() {
        Some(series) if !series.is_empty() => Ok(()),
        _ => Err(format!("{path} has no series").into()),
    }
}
