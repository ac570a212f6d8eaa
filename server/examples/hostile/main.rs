//! Sends a running server what nobody means well with, and holds every answer to what it must never be: a failure of the server, a word of
//! another project, markup that was sent.
//!
//! `hostile URL --setting FILE --requests N --server-pid PID --made FILE`; the setting holds tokens and jobs (see [`Setting`]), and into the
//! last file go the jobs that were filled with hostile texts, one a line.

mod craft;
mod messages;
mod raw;
mod tally;
mod texts;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::Parser;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::TcpStream, time::timeout};
use uuid::Uuid;

use crate::{craft::Crafter, tally::Tally};

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than any answer has.
const MOST_ANSWER_BYTES: usize = 64 << 20;

#[derive(Debug, Parser)]
struct Args {
    /// `http://127.0.0.1:PORT`.
    url: String,
    #[arg(long)]
    setting: PathBuf,
    #[arg(long)]
    requests: u64,
    #[arg(long, default_value_t = 16)]
    connections: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long)]
    server_pid: u32,
    #[arg(long)]
    made: PathBuf,
}

/// What the server was prepared with. No token here sees the others' job, and nothing that is sent holds the canary.
#[derive(Debug, Deserialize)]
struct Setting {
    /// A text in every field of the others' job.
    canary: String,
    /// A project with a job that the tokens are for.
    project: String,
    mine: Uuid,
    others_project: String,
    others: Uuid,
    read: String,
    ingest: String,
    admin: String,
    /// Tokens that no longer count.
    dead: Vec<String>,
}

struct Play {
    address: String,
    setting: Setting,
    tally: Tally,
    left: AtomicU64,
    is_over: AtomicBool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run(Args::parse())));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<bool, Failure> {
    let setting: Setting = serde_json::from_slice(&std::fs::read(&args.setting)?)?;
    let address = args.url.strip_prefix("http://");
    let play = Arc::new(Play {
        address: address.ok_or("the URL is no http:// address")?.to_owned(),
        tally: Tally::new(&setting.canary, args.server_pid),
        setting,
        left: AtomicU64::new(args.requests),
        is_over: AtomicBool::new(false),
    });
    let looking = tokio::spawn(tally::look(Arc::clone(&play)));
    let dripping = tokio::spawn(raw::drip(Arc::clone(&play)));
    let senders: Vec<_> = (0..args.connections)
        .map(|number| tokio::spawn(send_all(Arc::clone(&play), args.seed * 1_000 + number)))
        .collect();
    let mut made = Vec::new();
    for sender in senders {
        made.extend(sender.await?);
    }
    play.is_over.store(true, Relaxed);
    looking.await?;
    dripping.await?;
    let made: Vec<String> = made.iter().map(Uuid::to_string).collect();
    std::fs::write(&args.made, made.join("\n"))?;
    Ok(play.tally.tell())
}

/// One connection's share, and the jobs it made.
async fn send_all(play: Arc<Play>, seed: u64) -> Vec<Uuid> {
    let mut crafter = Crafter::new(Arc::clone(&play), seed);
    let mut connection = None;
    while take(&play.left) {
        if crafter.wants_raw() {
            raw::send(&play, &mut crafter.random).await;
            continue;
        }
        let (kind, request) = crafter.next();
        let told = format!("{kind} {} {}", request.method(), request.uri());
        match timeout(PATIENCE, send(&play, &mut connection, request)).await {
            Ok(Ok((head, body))) => play.tally.answered(kind, &told, &head, &body),
            Ok(Err(_)) => {
                connection = None;
                play.tally.broken(kind);
            }
            Err(_) => {
                connection = None;
                play.tally.wrong(format!("{told}: no answer"));
            }
        }
    }
    crafter.made
}

fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
        .is_ok()
}

async fn send(
    play: &Play,
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    request: Request<Full<Bytes>>,
) -> Result<(hyper::http::response::Parts, Bytes), Failure> {
    let sender = match connection {
        Some(sender) if !sender.is_closed() => sender,
        slot => {
            let stream = TcpStream::connect(&play.address).await?;
            stream.set_nodelay(true)?;
            let (sender, driver) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(driver);
            slot.insert(sender)
        }
    };
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MOST_ANSWER_BYTES).collect().await?;
    Ok((head, body.to_bytes()))
}
