//! A real suite with and without Highwater: ratios beside the same command against itself, and what agent and plugin take for themselves.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use super::{
    Options,
    figures::{Cost, median, numbers, ratios},
};
use crate::tools::{Done, command, io, root, run_and_read, said};

/// Measures it, prints a table and answers with its figures.
pub(super) fn of_suite(
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
        binaries,
        python,
        data,
        url,
        suite: options.suite.as_deref().unwrap_or(suite),
    };
    println!("\n# {}, {pairs} pairs, in turn", bench.suite);
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
    let agent = |figure: fn(&Recorder) -> f64| median(agents.iter().map(figure).collect());
    let (core_share, rss_bytes) = (agent(|it| it.cpu_s / it.wall_s), agent(|it| it.rss_bytes));
    let suite_s = median(plain.iter().map(|cost| cost.cpu).collect());
    let agent_share = agent(|it| it.cpu_s) / suite_s;
    let plugin_share = inside["own_share"].as_f64().unwrap_or(f64::NAN);
    println!(
        "agent: {:.3} % of the suite's CPU time, {:.3} % of a core, {:.1} MB RSS at 20 Hz (medians)",
        agent_share * 100.0,
        core_share * 100.0,
        rss_bytes / 1e6
    );
    println!(
        "plugin: {:.3} % of the suite's CPU time, measured inside it (pytest's calls of its hooks apart)",
        plugin_share * 100.0
    );
    println!(
        "both: {:.3} % of the suite's CPU time, which is {suite_s:.1} s",
        (agent_share + plugin_share) * 100.0
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
        "plugin": inside, "suite_cpu_s": suite_s, "agent_share": agent_share, "agent_core_share": core_share, "agent_rss_bytes": rss_bytes, "bytes_per_sample": storage.bytes_per_sample, "bytes_per_job": storage.bytes_per_job,
    }))
}

struct Bench<'a> {
    binaries: &'a Path,
    python: &'a Path,
    data: &'a Path,
    url: &'a str,
    suite: &'a str,
}

/// What an agent took, as its summary says.
struct Recorder {
    cpu_s: f64,
    wall_s: f64,
    rss_bytes: f64,
}

impl Bench<'_> {
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
        self.pytest(&mut Command::new(self.python))
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
        highwater.arg(self.url).arg("--spool");
        highwater.arg(self.data.join("spool")).arg("--");
        highwater.arg(self.python);
        self.pytest(&mut highwater)?;
        read_json(&told)
    }

    /// Cost with Highwater, and what of it is the agent's.
    fn recorded(&self, pair: u32) -> Done<(Cost, Recorder)> {
        let summary = self.data.join(format!("summary-{pair}.json"));
        let mut highwater = Command::new(self.binaries.join("highwater"));
        highwater.args([
            "run",
            "--quiet",
            "--server",
            self.url,
            "--project",
            "bench/suite",
        ]);
        highwater
            .arg("--spool")
            .arg(self.data.join("spool"))
            .arg("--summary")
            .arg(&summary)
            .arg("--")
            .arg(self.python);
        let cost = self.pytest(&mut highwater)?;
        let report = read_json(&summary)?;
        let took = |figure: &str| {
            let took = report["recorder"][figure].as_f64();
            took.ok_or_else(|| said(format!("the summary has no {figure} of the recorder")))
        };
        let wall_us = report["duration_us"].as_f64().unwrap_or(f64::NAN);
        let agent = Recorder {
            cpu_s: took("cpu_us")? / 1e6,
            wall_s: wall_us / 1e6,
            rss_bytes: took("rss_bytes")?,
        };
        Ok((cost, agent))
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
            .current_dir(self.data)
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
        let output = Command::new(self.python)
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

struct Storage {
    bytes_per_sample: f64,
    bytes_per_job: f64,
}

fn read_json(path: &Path) -> Done<Value> {
    let text = fs::read_to_string(path).map_err(io(path))?;
    serde_json::from_str(&text).map_err(|error| said(format!("{}: {error}", path.display())))
}
