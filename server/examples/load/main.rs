//! Plays many live jobs at once against a running server, as agents would: one connection a job, a batch a second, failed requests tried again
//! after growing pauses. What is sent is a real recording, read from its spool and played as often as a job lasts.
//!
//! `load play URL --spool FOLDER --jobs N --seconds S --server-pid PID --acknowledged FILE` plays and tells what it saw;
//! `load kill --spool FOLDER --server PROGRAM --folder FOLDER` plays on while the server is killed and started again, round for round, and
//! looks after each whether everything acknowledged is there; with `--guest COMMAND` it is the machine of the server that is killed.
//! `load verify DATABASE --acknowledged FILE` looks, after the server has ended, whether everything acknowledged is there, once.

mod client;
mod compare;
mod kill;
mod ledger;
mod life;
mod subject;
mod tally;
mod trace;
mod verify;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use clap::Parser;

use crate::{
    ledger::Ledger,
    life::{Life, Play},
    tally::Tally,
    trace::Trace,
};

/// How long a job lasts, in batches of a second, where nobody is killed.
const LASTS: u32 = 600;

#[derive(Debug, Parser)]
enum Command {
    Play(PlayArgs),
    Kill(kill::KillArgs),
    Verify {
        /// Address of the database.
        database: String,
        #[arg(long)]
        acknowledged: PathBuf,
    },
}

#[derive(Debug, Clone, Parser)]
struct PlayArgs {
    /// `http://127.0.0.1:PORT`.
    url: String,
    /// A job's folder in a spool.
    #[arg(long)]
    spool: PathBuf,
    #[arg(long)]
    jobs: u32,
    #[arg(long)]
    seconds: u64,
    #[arg(long)]
    server_pid: u32,
    #[arg(long)]
    acknowledged: PathBuf,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| match Command::parse() {
            Command::Play(args) => runtime.block_on(play(args)),
            Command::Kill(args) => runtime.block_on(kill::kill(args)),
            Command::Verify {
                database,
                acknowledged,
            } => runtime.block_on(verify::verify(&database, &acknowledged)),
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play(args: PlayArgs) -> Result<(), Failure> {
    let trace = Arc::new(Trace::read(&args.spool, LASTS)?);
    let tally = Arc::new(Tally::new(args.server_pid));
    let address = args
        .url
        .strip_prefix("http://")
        .ok_or("the URL is no http:// address")?
        .to_owned();
    let began = Instant::now();
    let play = Arc::new(Play {
        address,
        trace: Arc::clone(&trace),
        tally: Arc::clone(&tally),
        ledger: Ledger::default(),
        lasts: LASTS,
        pace: Duration::from_secs(1),
        began: began.into(),
        until: (began + Duration::from_secs(args.seconds)).into(),
        is_last: AtomicBool::new(false),
    });
    println!(
        "{} live jobs for {} s; a batch has {} B on the way, {} values (medians)",
        args.jobs, args.seconds, trace.median_bytes, trace.median_values
    );
    let lives: Vec<_> = (0..args.jobs)
        .map(|number| tokio::spawn(Life::new(Arc::clone(&play), number, args.jobs).run()))
        .collect();
    let looking = tokio::spawn(tally::look(Arc::clone(&play)));
    for life in lives {
        life.await?;
    }
    looking.await?;
    verify::note(&args.acknowledged, &play.ledger.jobs())?;
    tally.tell(began.elapsed());
    Ok(())
}
