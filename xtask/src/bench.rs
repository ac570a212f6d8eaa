//! `cargo xtask bench`: what Highwater costs, beside the same command against itself.

mod agent;
mod check;
mod figures;
mod look;
mod peers;
mod plan;
mod store;
mod suite;

use std::{fs, path::Path};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    server::Server,
    tools::{Done, build, io, target},
    venv::{python, suites},
};
use agent::AgentBench;
use peers::Peers;
use suite::of_suite;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this part; everything where none is named.
    part: Option<Part>,
    /// Fewer pairs and a smaller part of the suite.
    #[arg(long)]
    quick: bool,
    /// How many pairs, where the usual number takes too long or is too few for a noisy machine.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pairs: Option<u32>,
    /// Of the part `suite`: the package whose tests run, of those that the benchmarks install (networkx, sympy).
    #[arg(long, value_name = "PACKAGE")]
    suite: Option<String>,
    /// Of the part `store`: how many jobs, each with all of the recording.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// Of the part `check`: how many steps and how many clean jobs, of each half and distribution.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    trials: u32,
    /// Of the part `store`: on how many connections they are sent.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
}

/// A part that is measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A real suite with and without Highwater, the plugin by part, and storage.
    Suite,
    /// The agent's CPU and memory by processes and rate, time to the acknowledgement, and other recorders on the same suite.
    Agent,
    /// Reading which test runs, without the plugin; measured in seconds.
    Look,
    /// How well `highwater check` tells what got worse, on histories made of the recordings in `xtask/data/regression`; only where it is named.
    Check,
    /// Whether the jobs of a plan stay inside its budget, by running them, on parts of real suites; only where it is named.
    Plan,
    /// Rate and bytes of the server beside VictoriaMetrics; only where it is named, as it needs Debian's package of that.
    Store,
}

pub(crate) fn run(options: &Options) -> Done {
    if options.part == Some(Part::Look) {
        return look::look("python3").map(|_| ());
    }
    if options.part == Some(Part::Check) {
        return check::check(options.trials as usize);
    }
    if options.part == Some(Part::Plan) {
        return plan::plan(options.quick);
    }
    if options.part == Some(Part::Store) {
        return store::store(options);
    }
    let data = target().join("bench");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(io(&data))?;
    }
    fs::create_dir_all(&data).map_err(io(&data))?;
    let binaries = build(true)?;
    let python = python(&suites()?);
    let server = Server::start(&binaries, &data.join("highwater.db"), 0)?;
    let wants = |part| options.part.is_none_or(|only| only == part);
    let mut report = serde_json::Map::new();
    if wants(Part::Look) {
        let looks = look::look(&python.to_string_lossy())?;
        report.insert("look".to_owned(), looks);
    }
    // Before the agent's part, whose recordings go into the same database: it says what a recording takes there.
    if wants(Part::Suite) {
        report.insert(
            "suite".to_owned(),
            of_suite(options, &binaries, &python, &data, &server.url)?,
        );
    }
    if wants(Part::Agent) {
        report.insert(
            "agent".to_owned(),
            of_agent(options, &binaries, &python, &data, &server.url)?,
        );
    }
    let report = Value::Object(report);
    let path = data.join("report.json");
    fs::write(&path, format!("{report:#}\n")).map_err(io(&path))?;
    println!("written to {}", path.display());
    Ok(())
}

fn of_agent(
    options: &Options,
    binaries: &Path,
    python: &Path,
    data: &Path,
    url: &str,
) -> Done<Value> {
    let quick = options.quick;
    let bench = AgentBench {
        binaries,
        python,
        data,
        url,
        quick,
    };
    let peers = Peers {
        binaries,
        python,
        data,
        suite: if quick {
            "networkx.classes"
        } else {
            "networkx.algorithms.tests"
        },
        rounds: options.pairs.unwrap_or(if quick { 3 } else { 5 }),
    };
    Ok(json!({"watching": bench.run()?, "peers": peers.run()?}))
}
