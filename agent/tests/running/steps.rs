//! A CI job, its steps and the agent beside them.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
};

use crate::harness::{Place, wait_for};

/// A CI job: a shell that lives as long as the job does, and whose steps are shells of their own.
pub(crate) struct Job {
    pub(crate) place: Place,
    pub(crate) runner: Child,
    agents: Vec<u32>,
}

impl Job {
    pub(crate) fn new() -> Self {
        Self::in_place(Place::new())
    }

    pub(crate) fn in_place(place: Place) -> Self {
        // Reads one step a line, as `PATH OUT`, and runs it as a shell that ends with it.
        let server = r#"
import subprocess, sys, threading
def run(script, out):
    with open(out, "wb") as stdout, open(out + ".err", "wb") as stderr:
        code = subprocess.call(["sh", script], stdout=stdout, stderr=stderr)
    with open(out + ".code", "w") as file:
        file.write(f"{code}\n")
for line in sys.stdin:
    threading.Thread(target=run, args=line.rstrip("\n").split("\t"), daemon=True).start()
"#;
        let mut runner = place.bare("python3");
        runner
            .args(["-c", server])
            .env("HIGHWATER_SPOOL", place.spool())
            .env("HIGHWATER_PROJECT", "o/r")
            .env("GITHUB_ENV", place.file("env"))
            .stdin(Stdio::piped());
        let runner = runner.spawn().unwrap();
        Self {
            place,
            runner,
            agents: Vec::new(),
        }
    }

    /// Runs a step to its end; what was exported before is set, as a CI does it.
    pub(crate) fn step(&mut self, script: &str) -> Step {
        self.begin_step(script).end()
    }

    pub(crate) fn begin_step(&mut self, script: &str) -> Going {
        let number = fs::read_dir(self.place.file("")).unwrap().count();
        let path = self.place.file(&format!("step-{number}.sh"));
        let mut text = String::new();
        for (name, value) in self.exported() {
            text.push_str(&format!("export {name}='{value}'\n"));
        }
        text.push_str(&script.replace(
            "highwater ",
            &format!("'{}' ", env!("CARGO_BIN_EXE_highwater")),
        ));
        fs::write(&path, text + "\n").unwrap();
        let out = self.place.file(&format!("step-{number}.out"));
        let line = format!("{}\t{}\n", path.display(), out.display());
        let stdin = self.runner.stdin.as_mut().unwrap();
        std::io::Write::write_all(stdin, line.as_bytes()).unwrap();
        Going { out }
    }

    /// What the steps until now have exported for those after them.
    pub(crate) fn exported(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.place.file("env")).unwrap_or_default();
        let mut lines = text.lines();
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            let (name, end) = line.split_once("<<").unwrap();
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
            found.push((name.to_owned(), value.join("\n")));
        }
        found
    }

    pub(crate) fn start(&mut self, flags: &str) -> Step {
        let step = self.step(&format!("highwater start {flags}"));
        if let Some(pid) = self.agent_pid() {
            self.agents.push(pid);
        }
        step
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.place.jobs().pop().unwrap()
    }

    pub(crate) fn agent_pid(&self) -> Option<u32> {
        let jobs = self.place.jobs();
        let agent = fs::read(jobs.last()?.join("agent.json")).ok()?;
        let agent: serde_json::Value = serde_json::from_slice(&agent).unwrap();
        Some(agent["process"]["pid"].as_u64().unwrap() as u32)
    }

    /// The runner goes, as when a machine is taken away from a job.
    pub(crate) fn end_runner(&mut self) {
        drop(self.runner.stdin.take());
        self.runner.kill().unwrap();
        self.runner.wait().unwrap();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        drop(self.runner.kill());
        drop(self.runner.wait());
        for pid in &self.agents {
            wait_for("the agent's end after its runner's", || {
                (!lives(*pid)).then_some(())
            });
        }
    }
}

pub(crate) struct Going {
    out: PathBuf,
}

impl Going {
    pub(crate) fn end(self) -> Step {
        let read = |end: &str| fs::read_to_string(format!("{}{end}", self.out.display()));
        let code = wait_for("the end of a step", || {
            read(".code").ok().filter(|text| text.ends_with('\n'))
        });
        Step {
            code: code.trim().parse().unwrap(),
            stdout: read("").unwrap(),
            stderr: read(".err").unwrap(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

/// Holds some memory until a file appears, and writes its own number.
pub(crate) const HOLD: &str = r#"python3 -c "
import os, sys, time
held = bytearray(40 << 20)
open(sys.argv[1] + '.new', 'w').write(f'{os.getpid()}\n')
os.rename(sys.argv[1] + '.new', sys.argv[1])
while not os.path.exists(sys.argv[1] + '.go'):
    time.sleep(0.01)
" "#;

pub(crate) fn hold(job: &mut Job, name: &str) -> (Going, u32) {
    let step = job.begin_step(&format!("{HOLD} {name}"));
    let path = job.place.file(name);
    let pid = wait_for("a process that holds memory", || {
        fs::read_to_string(&path).ok()
    });
    (step, pid.trim().parse().unwrap())
}

pub(crate) fn let_go(job: &Job, name: &str, step: Going) {
    fs::write(job.place.file(&format!("{name}.go")), "").unwrap();
    assert_eq!(step.end().code, 0);
}
