//! What the agent takes of the machine while it watches, and how old a sample is when the server has it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::figures::median;
use crate::tools::{Done, command, io, said};

/// How many processes are watched, how often a second, and what that is meant to cost at most.
struct Load {
    processes: u32,
    hertz: u32,
    target: Option<Target>,
}

struct Target {
    percent: f64,
    megabytes: f64,
}

const fn load(processes: u32, hertz: u32, target: Option<Target>) -> Load {
    Load {
        processes,
        hertz,
        target,
    }
}

const fn at_most(percent: f64, megabytes: f64) -> Option<Target> {
    Some(Target { percent, megabytes })
}

const LOADS: [Load; 6] = [
    load(1, 20, None),
    load(10, 20, at_most(0.3, 10.0)),
    load(100, 20, at_most(2.0, 16.0)),
    load(1, 100, None),
    load(10, 100, None),
    load(100, 100, None),
];
/// Whose samples are followed to the server.
const FOLLOWED: (u32, u32) = (10, 20);
/// The processes are found and their columns made before anything is measured.
const SETTLES: Duration = Duration::from_secs(3);

pub(super) struct AgentBench<'a> {
    pub(super) binaries: &'a Path,
    pub(super) python: &'a Path,
    pub(super) data: &'a Path,
    pub(super) url: &'a str,
    pub(super) quick: bool,
}

/// What was seen of one load.
struct Seen {
    share: f64,
    rss_bytes: f64,
    ages_us: Vec<f64>,
}

impl AgentBench<'_> {
    pub(super) fn run(&self) -> Done<Value> {
        let rounds = if self.quick { 1 } else { 3 };
        let mut rows = Vec::new();
        println!("\n# The agent, watching idle and slowly growing processes (medians of {rounds})");
        println!("processes    Hz    % of a core    highest RSS, MB    target");
        let mut ages = Vec::new();
        for load in LOADS {
            let (count, hertz) = (load.processes, load.hertz);
            let mut seen = Vec::new();
            for _ in 0..rounds {
                seen.push(self.watch(count, hertz)?);
            }
            let share = median(seen.iter().map(|seen| seen.share).collect());
            let rss_bytes = median(seen.iter().map(|seen| seen.rss_bytes).collect());
            let target = load.target.map_or_else(String::new, |target| {
                format!("under {} % and {} MB", target.percent, target.megabytes)
            });
            println!(
                "{count:>9}  {hertz:>4}  {:>13.3}  {:>17.1}    {target}",
                share * 100.0,
                rss_bytes / 1e6
            );
            rows.push(json!({"processes": count, "hertz": hertz, "core_share": share, "rss_bytes": rss_bytes}));
            if (count, hertz) == FOLLOWED {
                ages = seen.into_iter().flat_map(|seen| seen.ages_us).collect();
            }
        }
        ages.sort_by(f64::total_cmp);
        let (middle, most) = (
            median(ages.clone()),
            ages.last().copied().unwrap_or(f64::NAN),
        );
        println!(
            "from a sample to its acknowledgement: median {:.0} ms, at most {:.0} ms ({} samples, 10 processes at 20 Hz)",
            middle / 1e3,
            most / 1e3,
            ages.len()
        );
        Ok(
            json!({"loads": rows, "age_at_acknowledgement_us": {"median": middle, "max": most, "samples": ages.len()}}),
        )
    }

    fn watch(&self, count: u32, hertz: u32) -> Done<Seen> {
        let folder = self.data.join(format!("load-{count}-{hertz}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let script = folder.join("load.py");
        fs::write(&script, include_str!("load.py")).map_err(io(&script))?;
        let mut agent = Command::new(self.binaries.join("highwater"))
            .args([
                "run",
                "--quiet",
                "--project",
                "bench/load",
                "--server",
                self.url,
            ])
            .arg("--interval")
            .arg(format!("{}ms", 1_000 / hertz))
            .arg("--spool")
            .arg(folder.join("spool"))
            .arg("--")
            .arg(self.python)
            .arg(&script)
            .arg(count.to_string())
            .arg(&folder)
            .stdin(Stdio::null())
            .spawn()
            .map_err(io(Path::new("highwater")))?;
        let seen = self.measure(&mut agent, &folder);
        let stop = folder.join("stop");
        fs::write(&stop, "").map_err(io(&stop))?;
        let status = agent.wait().map_err(io(Path::new("highwater")))?;
        match seen {
            Ok(_) if !status.success() => Err(said(format!("the load ended with {status}"))),
            seen => seen,
        }
    }

    fn measure(&self, agent: &mut Child, folder: &Path) -> Done<Seen> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !folder.join("ready").exists() {
            if Instant::now() > deadline {
                return Err(said("the load did not start"));
            }
            sleep(Duration::from_millis(20));
        }
        sleep(SETTLES);
        let seconds = if self.quick { 6 } else { 15 };
        let (began, before) = (Instant::now(), cpu_seconds(agent.id()));
        let arrivals = self.arrivals(folder, seconds)?;
        let share = (cpu_seconds(agent.id()) - before) / began.elapsed().as_secs_f64();
        let rss_bytes = high_water_bytes(agent.id())?;
        Ok(Seen {
            share,
            rss_bytes,
            ages_us: ages_us(&arrivals)?,
        })
    }

    /// Lets a script note for some seconds what arrives at the server; answers its notes.
    fn arrivals(&self, folder: &Path, seconds: u64) -> Done<PathBuf> {
        let notes = folder.join("arrivals.txt");
        let script = folder.join("arrivals.py");
        fs::write(&script, include_str!("arrivals.py")).map_err(io(&script))?;
        let out = fs::File::create(&notes).map_err(io(&notes))?;
        let status = Command::new(self.python)
            .arg(&script)
            .arg(self.data.join("highwater.db"))
            .arg(seconds.to_string())
            .stdout(out)
            .status()
            .map_err(io(&script))?;
        match status.success() {
            true => Ok(notes),
            false => Err(said("what arrives at the server cannot be read")),
        }
    }
}

/// CPU time of the threads of a process, in seconds; to the nanosecond, where the clock ticks of `stat` count hundredths of a second.
pub(super) fn cpu_seconds(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

fn high_water_bytes(pid: u32) -> Done<f64> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let text = fs::read_to_string(&path).map_err(io(&path))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok())
        .map(|kib| kib * 1024.0)
        .ok_or_else(|| said("the agent's high-water mark cannot be read"))
}

fn ages_us(notes: &Path) -> Done<Vec<f64>> {
    let input = fs::File::open(notes).map_err(io(notes))?;
    let mut decode = command(env!("CARGO"));
    decode
        .args([
            "run",
            "--quiet",
            "--package",
            "highwater-wire",
            "--example",
            "ages",
        ])
        .stdin(input);
    let output = decode.output().map_err(io(Path::new("ages")))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(said(format!("arrivals cannot be decoded: {why}")));
    }
    Ok(super::numbers(&output.stdout))
}
