//! What the command inherits: variables, and how signals are disposed of.

use std::{collections::HashMap, fs, process::Command};

use crate::harness::Place;

fn variables(text: &str) -> HashMap<&str, &str> {
    text.split('\0')
        .filter_map(|line| line.split_once('='))
        .collect()
}

#[test]
fn the_plugin_comes_by_pythonpath_and_finds_its_job() {
    let place = Place::new();
    let mut agent = place.agent(&["env", "-0"]);
    agent
        .env("PYTHONPATH", "src")
        .env("TOX_OVERRIDE", "testenv.passenv+=X")
        .env("OTHER", "kept");
    let output = agent.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let variables = variables(&text);
    let folder = &place.jobs()[0];
    assert_eq!(
        folder.file_name().unwrap().to_str(),
        Some(variables["HIGHWATER_JOB"])
    );
    assert_eq!(
        folder.join("events").to_str(),
        Some(variables["HIGHWATER_EVENTS"])
    );
    let (plugin, rest) = variables["PYTHONPATH"].split_once(':').unwrap();
    assert_eq!(rest, "src");
    assert!(
        fs::metadata(format!("{plugin}/highwater_pytest/__init__.py"))
            .unwrap()
            .is_file()
    );
    assert!(
        variables["TOX_OVERRIDE"].starts_with("testenv.passenv+=X;"),
        "{}",
        variables["TOX_OVERRIDE"]
    );
    assert_eq!(variables["OTHER"], "kept");
    for unsaid in ["HIGHWATER_EXACT", "HIGHWATER_DIAGNOSE", "PYTEST_PLUGINS"] {
        assert!(!variables.contains_key(unsaid), "{unsaid}");
    }
}

#[test]
fn the_plugin_is_told_what_the_flag_says_of_a_diagnosis_whatever_the_variable_said() {
    let place = Place::new();
    for (flag, variable, told) in [
        ("--diagnose", "", "1"),
        ("--diagnose=tracemalloc", "1", "tracemalloc"),
        ("--diagnose=no", "1", "0"),
        ("--quiet", "yes", "1"),
    ] {
        let mut agent = place.bare(env!("CARGO_BIN_EXE_highwater"));
        agent.args(["run", flag, "--spool"]).arg(place.spool());
        agent.args(["--project", "o/r", "--", "env", "-0"]);
        agent.env("HIGHWATER_DIAGNOSE", variable);
        let text = String::from_utf8(agent.output().unwrap().stdout).unwrap();
        assert_eq!(variables(&text)["HIGHWATER_DIAGNOSE"], told, "{flag}");
    }
}

#[test]
fn without_exactness_the_plugin_is_told_so() {
    let place = Place::new();
    let mut agent = place.agent(&[]);
    agent.env("HIGHWATER_NO_EXACT", "true").args(["env", "-0"]);
    let text = String::from_utf8(agent.output().unwrap().stdout).unwrap();
    assert_eq!(variables(&text)["HIGHWATER_EXACT"], "0");
}

/// Ignored signals as a bit mask, and whether any is blocked, of a process that is started by `script` with `$0` as the agent's words.
fn dispositions(place: &Place, setup: &str) -> (u64, u64) {
    let agent = place.agent(&["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{setup} exec \"$0\" \"$@\"")])
        .arg(agent.get_program())
        .args(agent.get_args());
    masks(&mut shell)
}

/// Becomes what follows with these signals ignored, those blocked, and all others at their default.
const BECOME: &str = "import os, signal, sys
for one in signal.valid_signals() - {9, 19}: signal.signal(one, signal.SIG_DFL)
for one in eval(sys.argv[1]): signal.signal(one, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, eval(sys.argv[2]))
os.execv(sys.argv[3], sys.argv[3:])";

/// The same of a process that was started with signals of these numbers ignored and blocked; after some words, as those of a run inside the run.
fn inherited(ignored: &[u32], blocked: &[u32], before: &[&str]) -> (u64, u64) {
    let place = Place::new();
    let words = ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"];
    let agent = place.agent(&[before, &words].concat());
    let mut python = Command::new("python3");
    python
        .args(["-c", BECOME])
        .args([format!("{ignored:?}"), format!("{blocked:?}")])
        .arg(agent.get_program())
        .args(agent.get_args());
    for (name, value) in agent.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    masks(&mut python)
}

fn masks(command: &mut Command) -> (u64, u64) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mask = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{text:?}"));
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    (mask("SigIgn:"), mask("SigBlk:"))
}

#[test]
fn signals_are_disposed_of_as_the_agent_found_them() {
    let bit = |signal: u32| 1_u64 << (signal - 1);
    let (ignored, blocked) = dispositions(&Place::new(), "");
    // The agent itself ignores SIGPIPE; its command must not.
    assert_eq!(
        (ignored & (bit(1) | bit(2) | bit(13) | bit(15)), blocked),
        (0, 0)
    );
    let (ignored, _) = dispositions(&Place::new(), "trap '' HUP INT;");
    assert_eq!(
        ignored & (bit(1) | bit(2) | bit(15)),
        bit(1) | bit(2),
        "as under nohup"
    );
}

#[test]
fn the_command_has_the_signals_that_the_agent_was_started_with() {
    const HUP: u32 = 1;
    const USR1: u32 = 10;
    const PIPE: u32 = 13;
    const CHLD: u32 = 17;
    const XFSZ: u32 = 25;
    let mask = |signals: &[u32]| {
        signals
            .iter()
            .fold(0, |mask, one| mask | 1_u64 << (one - 1))
    };
    for (ignored, blocked) in [
        (&[][..], &[][..]),
        (&[PIPE], &[]),
        (&[HUP, PIPE, CHLD, XFSZ], &[]),
        (&[CHLD], &[USR1]),
    ] {
        let expected = (mask(ignored), mask(blocked));
        for before in [&[][..], &[env!("CARGO_BIN_EXE_highwater"), "run", "--"]] {
            let (ignored, blocked) = inherited(ignored, blocked, before);
            // 32 and 33 are libc's own, which nobody can set.
            let settable = !(mask(&[32, 33]));
            assert_eq!((ignored & settable, blocked), expected, "{before:?}");
        }
    }
}
