//! `cargo xtask bench`: what Highwater costs, beside the same command against itself.

mod agent;
mod check;
mod figures;
mod look;
mod peers;
mod plan;
mod store;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    server::Server,
    tools::{Done, build, command, io, root, run_and_read, said, target},
    venv::{SUITE_PACKAGES, python, venv},
};
use agent::AgentBench;
use figures::{Cost, median, ratios};
use peers::Peers;

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
    let venv = venv("demo", SUITE_PACKAGES)?;
    let python = python(&venv);
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

fn of_suite(
    options: &Options,
    binaries: &Path,
    python: &Path,
    data: &Path,
    url: &str,
) -> Done<Value> {
    println!("# Cost of the plugin, by part");
    let mut marks = command(python);
    marks
        .arg("pytest-plugin/bench/marks.py")
        .env("PYTHONPATH", root().join("pytest-plugin"));
    let (good, text) = run_and_read(&mut marks)?;
    if !good {
        return Err(said("the micro-benchmark of the marks failed"));
    }
    let (usual, suite) = if options.quick {
        (3, "networkx.algorithms.tests")
    } else {
        (7, "networkx.algorithms")
    };
    let pairs = options.pairs.unwrap_or(usual);
    let bench = Bench {
        binaries: binaries.to_path_buf(),
        python: python.to_path_buf(),
        data: data.to_path_buf(),
        url: url.to_owned(),
        suite,
    };
    println!("\n# {suite}, {pairs} pairs, in turn");
    let mut recorded = Vec::new();
    let mut plain = Vec::new();
    let mut null = (Vec::new(), Vec::new());
    let mut agents = Vec::new();
    bench.plain()?;
    for pair in 0..pairs {
        plain.push(bench.plain()?);
        let (cost, agent) = bench.recorded(pair)?;
        recorded.push(cost);
        agents.push(agent);
        null.0.push(bench.plain()?);
        null.1.push(bench.plain()?);
        println!("pair {} of {pairs}", pair + 1);
    }
    let with = ratios(&recorded, &plain);
    let against_itself = ratios(&null.1, &null.0);
    let storage = bench.storage()?;
    let inside = bench.inside()?;
    println!("                        CPU ratio (min median max)      wall ratio (min median max)");
    println!("recorded / plain        {}        {}", with.cpu, with.wall);
    println!(
        "plain / plain (null)    {}        {}",
        against_itself.cpu, against_itself.wall
    );
    let agent_cpu = median(agents.iter().map(|agent| agent.0).collect());
    let agent_rss = median(agents.iter().map(|agent| agent.1).collect());
    println!(
        "agent: {:.3} % of a core, {:.1} MB RSS at 20 Hz (medians)",
        agent_cpu * 100.0,
        agent_rss / 1e6
    );
    println!(
        "plugin: {:.3} % of the CPU time of the suite's process, measured inside it (pytest's calls of its hooks apart)",
        inside["own_share"].as_f64().unwrap_or(f64::NAN) * 100.0
    );
    println!(
        "database: {:.2} bytes a sample with its pyramid; {:.0} kB a recording, marks and all",
        storage.bytes_per_sample,
        storage.bytes_per_job / 1e3
    );
    Ok(json!({
        "marks": text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).next(),
        "suite": bench.suite, "pairs": pairs,
        "recorded_over_plain": with.to_json(), "null": against_itself.to_json(),
        "plugin": inside, "agent_core_share": agent_cpu, "agent_rss_bytes": agent_rss, "bytes_per_sample": storage.bytes_per_sample, "bytes_per_job": storage.bytes_per_job,
    }))
}

struct Bench {
    binaries: PathBuf,
    python: PathBuf,
    data: PathBuf,
    url: String,
    suite: &'static str,
}

impl Bench {
    fn pytest(&self, command: &mut Command) -> Done<Cost> {
        command.args([
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--pyargs",
            self.suite,
        ]);
        self.timed(command)
    }

    fn plain(&self) -> Done<Cost> {
        self.pytest(&mut Command::new(&self.python))
    }

    /// What the plugin's own takes inside a recorded run, which no noise of the machine hides.
    fn inside(&self) -> Done<Value> {
        let told = self.data.join("inside.json");
        let bench = root().join("pytest-plugin/bench");
        let mut highwater = Command::new("env");
        highwater.arg(format!("HIGHWATER_INSIDE={}", told.display()));
        highwater.arg(format!("PYTHONPATH={}", bench.display()));
        highwater.arg("PYTEST_ADDOPTS=-p inside");
        highwater.arg(self.binaries.join("highwater"));
        highwater.args(["run", "--quiet", "--project", "bench/inside", "--server"]);
        highwater.arg(&self.url).arg("--spool");
        highwater.arg(self.data.join("spool")).arg("--");
        highwater.arg(&self.python);
        self.pytest(&mut highwater)?;
        read_json(&told)
    }

    /// Cost with Highwater, and the agent's own share of a core and RSS.
    fn recorded(&self, pair: u32) -> Done<(Cost, (f64, f64))> {
        let summary = self.data.join(format!("summary-{pair}.json"));
        let mut highwater = Command::new(self.binaries.join("highwater"));
        highwater.args([
            "run",
            "--quiet",
            "--server",
            &self.url,
            "--project",
            "bench/networkx",
        ]);
        highwater
            .arg("--spool")
            .arg(self.data.join("spool"))
            .arg("--summary")
            .arg(&summary)
            .arg("--")
            .arg(&self.python);
        let cost = self.pytest(&mut highwater)?;
        let report = read_json(&summary)?;
        let took = |figure: &str| {
            let took = report["recorder"][figure].as_f64();
            took.ok_or_else(|| said(format!("the summary has no {figure} of the recorder")))
        };
        let wall_us = report["duration_us"].as_f64().unwrap_or(f64::NAN);
        Ok((cost, (took("cpu_us")? / wall_us, took("rss_bytes")?)))
    }

    fn timed(&self, command: &mut Command) -> Done<Cost> {
        // The shell's `times` tells the CPU time of what it ran, children included.
        let mut words = vec![command.get_program().to_os_string()];
        words.extend(command.get_args().map(std::ffi::OsStr::to_os_string));
        let mut shell = Command::new("bash");
        shell
            .args([
                "-c",
                "TIMEFORMAT='%U %S'; time \"$@\" >/dev/null 2>/dev/null",
                "bench",
            ])
            .args(words);
        shell
            .current_dir(&self.data)
            .stdin(Stdio::null())
            .env("PYTHONHASHSEED", "0");
        let began = Instant::now();
        let output = shell.output().map_err(io(Path::new("bash")))?;
        let wall = began.elapsed().as_secs_f64();
        if !matches!(output.status.code(), Some(0 | 1)) {
            return Err(said(format!("the suite did not run: {}", output.status)));
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let cpu = text
            .split_whitespace()
            .filter_map(|word| word.parse::<f64>().ok())
            .sum();
        Ok(Cost { cpu, wall })
    }

    /// What a sample takes with its pyramid, and what a recording takes with all that is kept of its marks.
    fn storage(&self) -> Done<Storage> {
        let script = "import os, sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1])\n\
            db.execute('PRAGMA wal_checkpoint(TRUNCATE)')\n\
            db.execute('VACUUM')\n\
            db.close()\n\
            print(os.path.getsize(sys.argv[1]))\n";
        let copy = self.data.join("copy.db");
        fs::copy(self.data.join("highwater.db"), &copy).map_err(io(&copy))?;
        let wal = self.data.join("highwater.db-wal");
        if wal.exists() {
            let to = self.data.join("copy.db-wal");
            fs::copy(&wal, &to).map_err(io(&to))?;
        }
        let output = Command::new(&self.python)
            .args(["-c", script])
            .arg(&copy)
            .output()
            .map_err(io(&copy))?;
        let file_bytes = numbers(&output.stdout);
        let mut sizes = command(env!("CARGO"));
        sizes.args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "highwater-store",
        ]);
        sizes.args(["--example", "sizes", "--"]);
        sizes.arg(format!("sqlite://{}", copy.display()));
        let (good, text) = run_and_read(&mut sizes)?;
        let counted = numbers(text.as_bytes());
        let ([file_bytes], [samples, page_bytes, jobs], true) =
            (&file_bytes[..], &counted[..], good)
        else {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(said(format!("cannot count the database: {why}{text}")));
        };
        let (bytes_per_sample, bytes_per_job) = (page_bytes / samples, file_bytes / jobs);
        Ok(Storage {
            bytes_per_sample,
            bytes_per_job,
        })
    }
}

fn numbers(text: &[u8]) -> Vec<f64> {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

struct Storage {
    bytes_per_sample: f64,
    bytes_per_job: f64,
}

fn read_json(path: &Path) -> Done<Value> {
    let text = fs::read_to_string(path).map_err(io(path))?;
    serde_json::from_str(&text).map_err(|error| said(format!("{}: {error}", path.display())))
}
