//! What a look at the current test of a Python costs, µs, beside a reading of its `statm` on an open descriptor: medians as one line of JSON.
//!
//! `cargo run --release --package highwater --example look -- PYTHON`, as `cargo xtask bench look` does.

#![expect(
    clippy::print_stdout,
    reason = "its answer is for the program that started it"
)]

use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use highwater_agent::{
    environ::{Look, Reader},
    procfs::Procfs,
};

/// Looks of each kind; each is timed by itself.
const LOOKS: usize = 2_000;
/// First looks, each of which works out the program anew.
const FIRST_LOOKS: usize = 50;

/// Does what each line says, and answers.
const ORDERS: &str =
    "import os, sys\nfor line in sys.stdin:\n    exec(line)\n    print(flush=True)\n";

type Done<T = ()> = Result<T, Box<dyn Error>>;

struct Target {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Target {
    fn start(python: &str) -> Done<Self> {
        let mut child = Command::new(python)
            .args(["-c", ORDERS])
            .env_remove("PYTEST_CURRENT_TEST")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no pipe")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self {
            child,
            orders,
            answers,
        })
    }

    fn order(&mut self, order: &str) -> Done {
        writeln!(self.orders, "{order}")?;
        self.answers.read_line(&mut String::new())?;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn median_us(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn timed(what: impl FnOnce()) -> f64 {
    let began = Instant::now();
    what();
    began.elapsed().as_secs_f64() * 1e6
}

fn main() -> Done {
    let python = std::env::args().nth(1).unwrap_or("python3".to_owned());
    let mut target = Target::start(&python)?;
    target.order("pass")?;
    let (procfs, pid) = (Procfs::system(), target.child.id());
    let statm = procfs.open_statm(pid, rustix::param::page_size() as u64)?;
    let statm = statm.ok_or("the process is gone")?;
    let mut reader = Reader::new(procfs.clone(), pid);
    let look = |reader: &mut Reader, is_expected: fn(&Look<'_>) -> bool| {
        let mut good = false;
        let us = timed(|| good = is_expected(&reader.look()));
        match good {
            true => Ok(us),
            false => Err("a look did not find what is there"),
        }
    };
    let idle = |look: &Look<'_>| *look == Look::Idle;
    let runs = |look: &Look<'_>| matches!(look, Look::Running { .. });

    let mut first = Vec::new();
    for _ in 0..FIRST_LOOKS {
        first.push(look(&mut Reader::new(procfs.clone(), pid), idle)?);
    }
    let mut without = Vec::new();
    for _ in 0..LOOKS {
        without.push(look(&mut reader, idle)?);
    }
    let mut other = Vec::new();
    for number in 0..LOOKS {
        target.order(&format!(
            "os.environ['PYTEST_CURRENT_TEST'] = 'tests/test_file.py::test[{number}] (call)'"
        ))?;
        other.push(look(&mut reader, runs)?);
    }
    let (mut same, mut reference) = (Vec::new(), Vec::new());
    for _ in 0..LOOKS {
        same.push(look(&mut reader, runs)?);
        reference.push(timed(|| drop(statm.read())));
    }
    println!(
        "{{\"same_us\": {:.2}, \"other_us\": {:.2}, \"idle_us\": {:.2}, \"first_us\": {:.0}, \"statm_us\": {:.2}}}",
        median_us(same),
        median_us(other),
        median_us(without),
        median_us(first),
        median_us(reference),
    );
    Ok(())
}
