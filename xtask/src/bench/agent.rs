//! What the agent takes of the machine while it watches, and how old a sample is when the server has it.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::figures::{median, numbers};
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
        println!("processes    Hz    % of a core    of a bare loop    highest RSS, MB    target");
        let mut ages: Vec<f64> = Vec::new();
        for load in LOADS {
            let (count, hertz) = (load.processes, load.hertz);
            let mut seen = Vec::new();
            for _ in 0..rounds {
                seen.push(self.watch(count, hertz)?);
            }
            let floor = self.floor(count, hertz)?;
            let share = median(seen.iter().map(|seen| seen.share).collect());
            let rss_bytes = median(seen.iter().map(|seen| seen.rss_bytes).collect());
            let target = load.target.map_or_else(String::new, |target| {
                format!("under {} % and {} MB", target.percent, target.megabytes)
            });
            println!(
                "{count:>9}  {hertz:>4}  {:>13.3}  {:>6.3} ({:.1}x)  {:>17.1}    {target}",
                share * 100.0,
                floor * 100.0,
                share / floor,
                rss_bytes / 1e6
            );
            rows.push(json!({"processes": count, "hertz": hertz, "core_share": share, "bare_loop_core_share": floor, "rss_bytes": rss_bytes}));
            ages.extend(seen.into_iter().flat_map(|seen| seen.ages_us));
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
        let folder = self.fresh(&format!("load-{count}-{hertz}"))?;
        let script = write_script(&folder)?;
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
        let seen = self.measure(&mut agent, &folder, (count, hertz) == FOLLOWED);
        let stop = folder.join("stop");
        fs::write(&stop, "").map_err(io(&stop))?;
        let status = agent.wait().map_err(io(Path::new("highwater")))?;
        match seen {
            Ok(_) if !status.success() => Err(said(format!("the load ended with {status}"))),
            seen => seen,
        }
    }

    /// What it takes a bare loop to wake on the same grid and read as many `statm`: nobody who samples takes less.
    fn floor(&self, count: u32, hertz: u32) -> Done<f64> {
        let folder = self.fresh(&format!("floor-{count}-{hertz}"))?;
        let script = write_script(&folder)?;
        let mut load = Command::new(self.python)
            .arg(&script)
            .arg(count.to_string())
            .arg(&folder)
            .stdin(Stdio::null())
            .spawn()
            .map_err(io(&script))?;
        let ready = wait_until_ready(&folder);
        let share = ready.and_then(|()| {
            let children = format!("/proc/{0}/task/{0}/children", load.id());
            let text = fs::read_to_string(&children).map_err(io(Path::new(&children)))?;
            let pids = text.split_whitespace().map(str::to_owned);
            let files = pids.chain([load.id().to_string()]).map(|pid| {
                let path = format!("/proc/{pid}/statm");
                fs::File::open(&path).map_err(io(Path::new(&path)))
            });
            let files = files.collect::<Done<Vec<_>>>()?;
            Ok(bare_loop(&files, hertz, if self.quick { 6 } else { 15 }))
        });
        let stop = folder.join("stop");
        fs::write(&stop, "").map_err(io(&stop))?;
        load.wait().map_err(io(Path::new("load.py")))?;
        share
    }

    /// An empty folder of that name.
    fn fresh(&self, name: &str) -> Done<PathBuf> {
        let folder = self.data.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        Ok(folder)
    }

    /// The agent's share of a core and its memory; then, where asked for, how old its samples are when they arrive.
    fn measure(&self, agent: &mut Child, folder: &Path, follows: bool) -> Done<Seen> {
        wait_until_ready(folder)?;
        let seconds = if self.quick { 6 } else { 15 };
        let (began, before) = (Instant::now(), cpu_seconds(agent.id()));
        sleep(Duration::from_secs(seconds));
        let share = (cpu_seconds(agent.id()) - before) / began.elapsed().as_secs_f64();
        let rss_bytes = high_water_bytes(agent.id())?;
        // Apart: who looks for arrivals all the time would take the agent's caches away, which nothing takes from the bare loop.
        let ages_us = match follows {
            true => ages_us(&self.arrivals(folder, seconds)?)?,
            false => Vec::new(),
        };
        Ok(Seen {
            share,
            rss_bytes,
            ages_us,
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

fn write_script(folder: &Path) -> Done<PathBuf> {
    let script = folder.join("load.py");
    fs::write(&script, include_str!("load.py")).map_err(io(&script))?;
    Ok(script)
}

fn wait_until_ready(folder: &Path) -> Done<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.join("ready").exists() {
        if Instant::now() > deadline {
            return Err(said("the load did not start"));
        }
        sleep(Duration::from_millis(20));
    }
    sleep(SETTLES);
    Ok(())
}

/// Share of a core that this thread takes for reading files at so many ticks a second.
fn bare_loop(files: &[fs::File], hertz: u32, seconds: u64) -> f64 {
    let period = Duration::from_secs(1) / hertz;
    let (began, before) = (Instant::now(), own_cpu_seconds());
    let mut buffer = [0; 160];
    let mut at = began;
    while began.elapsed() < Duration::from_secs(seconds) {
        at += period;
        sleep(at.saturating_duration_since(Instant::now()));
        for file in files {
            // Whoever has ended reads as nothing; the loop goes on as a sampler would.
            let _ = file.read_at(&mut buffer, 0);
        }
    }
    (own_cpu_seconds() - before) / began.elapsed().as_secs_f64()
}

/// CPU time of this process, in seconds; it has one thread.
fn own_cpu_seconds() -> f64 {
    cpu_seconds(std::process::id())
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
    Ok(numbers(&output.stdout))
}
