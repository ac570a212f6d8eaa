//! The same real recording into Highwater's server and into VictoriaMetrics, as many jobs: how long it takes, and how much they keep of it on disk.
//!
//! `store highwater URL` sends it as an agent does, and `store sizes DATABASE` looks, after the server has ended, what was kept;
//! `store victoria --program PATH` starts VictoriaMetrics and imports it there. Each prints what it measured as one line of JSON.

mod client;
mod highwater;
mod sizes;
mod trace;
mod victoria;

use std::process::ExitCode;

use clap::Parser;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
enum Command {
    Highwater(highwater::Args),
    Sizes {
        /// Address of the database.
        database: String,
    },
    Victoria(victoria::Args),
}

/// What is sent, and on how many connections.
#[derive(Debug, Clone, clap::Args)]
struct Load {
    /// A job's folder in a spool.
    #[arg(long)]
    spool: std::path::PathBuf,
    #[arg(long)]
    jobs: u32,
    #[arg(long)]
    connections: u32,
}

fn main() -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| match Command::parse() {
            Command::Highwater(args) => runtime.block_on(highwater::measure(args)),
            Command::Sizes { database } => runtime.block_on(sizes::measure(&database)),
            Command::Victoria(args) => runtime.block_on(victoria::measure(args)),
        });
    match done {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("store: {error}");
            ExitCode::FAILURE
        }
    }
}
