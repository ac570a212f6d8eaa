//! `cargo xtask demo`: records two real suites and serves what came of it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::{
    server::Server,
    steps::{self, say},
    tools::{self, Done, build, command, io, path_with, root, said, target},
    venv::{SUITE_PACKAGES, python, venv},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// End when everything is recorded instead of serving until Ctrl-C.
    #[arg(long)]
    no_wait: bool,
    /// Port of the server.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Size of the example; 1.0 needs 5 GB of memory.
    #[arg(long, default_value_t = 0.1)]
    scale: f64,
    /// Folder for the database and the example.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Show all that the programs put out, as where CI is set; else that of those which fail.
    #[arg(long)]
    verbose: bool,
}

/// Part of networkx that takes about a minute.
const NETWORKX: &[&str] = &[
    "networkx.algorithms",
    "networkx.classes",
    "networkx.generators",
];

pub(crate) fn run(options: &Options) -> Done {
    steps::quiet_unless(options.verbose);
    let data = options
        .data
        .clone()
        .unwrap_or_else(|| target().join("demo"));
    if data.exists() {
        fs::remove_dir_all(&data).map_err(io(&data))?;
    }
    fs::create_dir_all(&data).map_err(io(&data))?;
    let what = "building the agent and the server (release; some minutes the first time)";
    let binaries = numbered(1, what, || build(true))?;
    let what = "making a virtual environment with pytest, pytest-xdist and networkx";
    let venv = numbered(2, what, || venv("demo", SUITE_PACKAGES))?;
    let suite = data.join("suite");
    numbered(3, "generating the example of 85 files", || {
        generate(&venv, &suite, options.scale)?;
        for folder in [&data, &suite] {
            a_repository_of_its_own(folder);
        }
        Ok(())
    })?;
    let database = data.join("highwater.db");
    let server = Server::start(&binaries, &database, options.port)?;
    say(format_args!("serving {}", server.url));
    let recorder = Recorder {
        binaries: &binaries,
        path: path_with(&venv.join("bin")),
        data: &data,
        url: &server.url,
    };
    let pyargs: Vec<&str> = ["-q", "--no-header", "--pyargs"]
        .into_iter()
        .chain(NETWORKX.iter().copied())
        .collect();
    let parallel = [&["-n", "2"], &pyargs[..]].concat();
    let example = "recording the example (85 files, one session)";
    let sequential = "recording networkx from PyPI, sequential (about a minute)";
    let again = "recording networkx again with two workers";
    let mut pages = Vec::new();
    for (number, what, project, job, folder, args) in [
        (
            4,
            example,
            "example/accumulating-suite",
            "monolith",
            &suite,
            &["-q"][..],
        ),
        (
            5,
            sequential,
            "networkx/networkx",
            "sequential",
            &data,
            &pyargs,
        ),
        (
            6,
            again,
            "networkx/networkx",
            "two-workers",
            &data,
            &parallel,
        ),
    ] {
        let record = || recorder.record(project, job, folder, args);
        pages.push(numbered(number, what, record)?);
    }
    if options.no_wait {
        println!("\nThe server ends with this command. It serves what was recorded again with");
        println!(
            "  {} --database sqlite://{} --listen {}",
            binaries.join("highwater-server").display(),
            database.display(),
            server.url.trim_start_matches("http://")
        );
        println!("at");
        for page in pages {
            println!("  {page}");
        }
        return Ok(());
    }
    println!("\nOpen {} in a browser. What was recorded:", server.url);
    for page in pages {
        println!("  {page}");
    }
    println!("The server runs until Ctrl-C.");
    server.wait()
}

/// Files are named, and commits told, from the nearest repository: without one of its own that would be Highwater's.
fn a_repository_of_its_own(folder: &Path) {
    let made = Command::new("git")
        .args(["init", "--quiet"])
        .arg(folder)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        say("no git here; the files of the example are named from this repository");
    }
}

fn generate(venv: &Path, suite: &Path, scale: f64) -> Done {
    let mut generate = command(python(venv));
    generate
        .arg(root().join("examples/accumulating-suite/generate.py"))
        .arg(suite)
        .args(["--scale", &scale.to_string()]);
    tools::run(&mut generate)
}

fn numbered<T>(number: u32, what: &str, work: impl FnOnce() -> Done<T>) -> Done<T> {
    steps::step(&format!("[{number}/6] {what}"), work)
}

struct Recorder<'a> {
    binaries: &'a Path,
    /// `PATH` with the virtual environment's programs first.
    path: OsString,
    data: &'a Path,
    url: &'a str,
}

impl Recorder<'_> {
    /// Records pytest in a folder; answers the address of the job's page.
    fn record(&self, project: &str, job: &str, folder: &Path, args: &[&str]) -> Done<String> {
        let summary = self.data.join(format!("{job}.json"));
        let spool = self.data.join("spool");
        let mut highwater = Command::new(self.binaries.join("highwater"));
        highwater
            .arg("run")
            .args(["--server", self.url, "--project", project, "--job", job]);
        highwater
            .arg("--spool")
            .arg(spool)
            .arg("--summary")
            .arg(&summary);
        highwater
            .arg("--")
            .args(["pytest", "-p", "no:cacheprovider"])
            .args(args)
            .env("PATH", &self.path);
        highwater.current_dir(folder);
        // Some tests of networkx fail where an optional package is missing; a suite that did not run is another matter.
        tools::run_or(&mut highwater, |code| matches!(code, Some(0 | 1)))?;
        let text = fs::read_to_string(&summary).map_err(io(&summary))?;
        let report: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| said(format!("{}: {error}", summary.display())))?;
        let page = report["url"].as_str().unwrap_or_default().to_owned();
        match report["spool"].as_str() {
            None => Ok(page),
            Some(spool) => Err(said(format!(
                "the server did not acknowledge all of {job}; the rest is in {spool}"
            ))),
        }
    }
}
