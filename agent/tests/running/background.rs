//! `start`, `status` and `stop`: a recording beside the steps of a CI job.

use std::{fs, path::PathBuf, process::Output};

use highwater_agent::spool;
use highwater_wire::v1::{EndedBy, event::What};

use crate::{
    harness::{Place, kill, wait_for},
    steps::{HOLD, Job, hold, let_go, lives},
};

#[test]
fn the_steps_of_a_job_are_recorded_from_start_to_stop() {
    let mut job = Job::new();
    let started = job.start("--job unit");
    assert_eq!(started.code, 0, "{started:?}");
    assert!(started.stderr.contains("highwater stop"), "{started:?}");
    let names: Vec<_> = job.exported().into_iter().map(|(name, _)| name).collect();
    for name in ["HIGHWATER_JOB", "HIGHWATER_EVENTS", "PYTHONPATH"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    let agent = job.agent_pid().unwrap();
    let (step, pid) = hold(&mut job, "held");
    let status = wait_for("the process in the status", || {
        let status = job_status(&job);
        let processes = status["processes"].as_array().unwrap().clone();
        processes
            .iter()
            .any(|process| process["pid"] == pid && process["rss_bytes"].as_u64() > Some(40 << 20))
            .then_some(status)
    });
    assert_eq!(status["agent_pid"], agent);
    assert_eq!(status["agent_lives"], true);
    let_go(&job, "held", step);
    let stopped = job.step("highwater stop --exit-code 3 --summary summary.json");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stderr.contains("peak"), "{stopped:?}");
    assert!(!lives(agent));
    let recorded = job.place.recorded();
    let end = recorded.end.as_ref().unwrap();
    assert_eq!((end.exit_code, end.ended_by()), (Some(3), EndedBy::Stop));
    let [process] = recorded.processes("held").try_into().unwrap();
    assert_eq!(process.pid, pid);
    assert!(spool::read_job(&job.folder()).unwrap().background);
    let summary = fs::read(job.place.file("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert!(summary["peak_bytes"].as_u64() > Some(40 << 20));
    assert!(job.step("highwater status").stdout.contains("it has ended"));
}

fn job_status(job: &Job) -> serde_json::Value {
    let output = job.place.command("status", &["--json", "--job", "unit"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn own_commands_are_no_processes_of_the_job_and_figures_have_an_age() {
    let mut job = Job::new();
    job.start("--job unit");
    let (step, pid) = hold(&mut job, "held");
    wait_for("a first sample", || {
        let recorded = job.place.recorded();
        let values = recorded.values(highwater_wire::v1::Metric::Rss, pid);
        (!values.is_empty()).then_some(())
    });
    let status = job.step("highwater status; highwater status");
    assert!(status.stdout.contains(" s ago, "), "{status:?}");
    let tests = "no test done, none running, none failed";
    assert!(status.stdout.contains(tests), "{status:?}");
    assert!(job_status(&job)["age_us"].as_i64().is_some());
    let_go(&job, "held", step);
    assert_eq!(job.step("highwater stop --quiet").code, 0);
    let recorded = job.place.recorded();
    for own in ["highwater status", "highwater stop"] {
        let own = own.replace("highwater", env!("CARGO_BIN_EXE_highwater"));
        assert!(recorded.processes(&own).is_empty(), "{recorded:?}");
    }
}

#[test]
fn to_start_twice_is_refused_and_changes_nothing() {
    let mut job = Job::new();
    job.start("--job unit");
    let agent = job.agent_pid();
    let again = job.step("highwater start --job unit");
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("is recorded already"), "{again:?}");
    // Also by a step that knows nothing of the first.
    fs::remove_file(job.place.file("env")).unwrap();
    let again = job.step("highwater start --job unit");
    assert_eq!(again.code, 2, "{again:?}");
    assert_eq!(job.agent_pid(), agent);
    assert_eq!(job.place.jobs().len(), 1);
}

#[test]
fn variables_for_eval_are_all_of_standard_output() {
    let mut job = Job::new();
    let started = job.step(
        "eval \"$(highwater start --job unit --print-env)\"\necho \"$HIGHWATER_JOB\"; highwater stop --quiet",
    );
    assert_eq!(started.code, 0, "{started:?}");
    let uuid = started.stdout.trim();
    assert_eq!(job.folder().file_name().unwrap().to_str().unwrap(), uuid);
    assert_eq!(job.exported(), []);
}

#[test]
fn how_a_process_of_a_step_ended_is_known_though_the_agent_is_nobodys_parent() {
    let mut job = Job::new();
    job.start("--job unit");
    let (step, pid) = hold(&mut job, "held");
    let told = |job: &Job| {
        let processes = job.place.recorded().processes("");
        processes.into_iter().find(|process| process.pid == pid)
    };
    let raised = wait_for("what it was raised to", || {
        let path = format!("/proc/{pid}/oom_score_adj");
        let now = fs::read_to_string(path).unwrap();
        let told = told(&job)?.oom_score_adj?;
        (now.trim() == told.to_string()).then_some(told)
    });
    let of_runner = fs::read_to_string(format!("/proc/{}/oom_score_adj", job.runner.id()));
    assert!(raised > of_runner.unwrap().trim().parse().unwrap());
    kill(pid, "SEGV");
    assert_eq!(step.end().code, 139);
    let signal = wait_for("its end", || told(&job)?.signal);
    assert_eq!(signal, 11);
    assert_eq!(job.step("highwater stop").code, 0);
}

#[test]
fn the_agent_ends_with_the_runner_and_says_so() {
    let mut job = Job::new();
    job.start("--job unit");
    let agent = job.agent_pid().unwrap();
    let runner = job.runner.id();
    job.end_runner();
    wait_for("the agent's end", || (!lives(agent)).then_some(()));
    let recorded = job.place.recorded();
    assert_eq!(
        recorded.end.as_ref().unwrap().ended_by(),
        EndedBy::RunnerGone
    );
    let gone = recorded.events().iter().find_map(|event| match event {
        What::RunnerGone(gone) => Some(gone.pid),
        _ => None,
    });
    assert_eq!(gone, Some(runner));
}

#[test]
fn the_agent_ends_by_a_signal_and_by_its_age() {
    for (flags, ended_by) in [("", EndedBy::Signal), ("--max-age 100ms", EndedBy::Age)] {
        let mut job = Job::new();
        job.start(&format!("--job unit {flags}"));
        let agent = job.agent_pid().unwrap();
        if ended_by == EndedBy::Signal {
            kill(agent, "HUP");
            kill(agent, "TERM");
        }
        wait_for("the agent's end", || (!lives(agent)).then_some(()));
        let end = job.place.recorded().end.unwrap();
        assert_eq!(end.ended_by(), ended_by);
        assert_eq!(end.forwarded_signal, flags.is_empty().then_some(15));
    }
}

#[test]
fn an_agent_that_was_killed_is_gone_on_with_or_ended_in_its_stead() {
    let mut job = Job::new();
    job.start("--job unit");
    let first = job.agent_pid().unwrap();
    let (step, pid) = hold(&mut job, "held");
    wait_for("a first sample", || {
        let recorded = job.place.recorded();
        (!recorded
            .values(highwater_wire::v1::Metric::Rss, pid)
            .is_empty())
        .then_some(())
    });
    kill(first, "KILL");
    wait_for("its end", || (!lives(first)).then_some(()));
    let again = job.start("--job unit");
    assert!(again.stderr.contains("again"), "{again:?}");
    let second = job.agent_pid().unwrap();
    assert_ne!(first, second);
    assert_eq!(job.place.jobs().len(), 1);
    wait_for("the gap in the recording", || {
        let recorded = job.place.recorded();
        recorded
            .events()
            .iter()
            .any(|event| matches!(event, What::AgentGap(_)))
            .then_some(())
    });
    kill(second, "KILL");
    wait_for("its end", || (!lives(second)).then_some(()));
    let_go(&job, "held", step);
    let stopped = job.step("highwater stop");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stderr.contains("agent is gone"), "{stopped:?}");
    let end = job.place.recorded().end.unwrap();
    assert!(end.agent_lost);
    // Of both agents, and what was left in the events files.
    assert!(end.streams.len() >= 2, "{end:?}");
}

#[test]
fn two_jobs_on_one_machine_never_mix() {
    let (mut one, mut other) = (Job::new(), Job::new());
    one.start("--job unit");
    other.start("--job unit");
    let (in_one, pid_one) = hold(&mut one, "one");
    let (in_other, pid_other) = hold(&mut other, "other");
    for (job, pid) in [(&one, pid_one), (&other, pid_other)] {
        wait_for("the process of a job", || {
            let recorded = job.place.recorded();
            (!recorded
                .values(highwater_wire::v1::Metric::Rss, pid)
                .is_empty())
            .then_some(())
        });
    }
    let_go(&one, "one", in_one);
    let_go(&other, "other", in_other);
    for job in [&mut one, &mut other] {
        assert_eq!(job.step("highwater stop --quiet").code, 0);
    }
    let pids = |job: &Job| -> Vec<u32> {
        let recorded = job.place.recorded();
        recorded.processes("").iter().map(|it| it.pid).collect()
    };
    assert!(pids(&one).contains(&pid_one) && !pids(&one).contains(&pid_other));
    assert!(pids(&other).contains(&pid_other) && !pids(&other).contains(&pid_one));
}

#[test]
fn below_one_runner_the_closer_starter_has_the_process() {
    // Two scripts below one shell, each with a job of its own, and neither exports anything.
    let mut job = Job::new();
    let script = |name: &str| {
        format!(
            "unset GITHUB_ENV\nhighwater start --quiet --job {name} >/dev/null\n{HOLD} {name} &\nwait $!\nhighwater stop --quiet --job {name}\n"
        )
    };
    for name in ["one", "two"] {
        let text = script(name).replace(
            "highwater ",
            &format!("'{}' ", env!("CARGO_BIN_EXE_highwater")),
        );
        fs::write(job.place.file(&format!("{name}.sh")), text).unwrap();
    }
    let step = job.begin_step("sh one.sh & sh two.sh & wait");
    let pids: Vec<u32> = ["one", "two"]
        .map(|name| {
            let path = job.place.file(name);
            let text = wait_for(name, || fs::read_to_string(&path).ok());
            text.trim().parse().unwrap()
        })
        .to_vec();
    let recorded = || -> Vec<Vec<u32>> {
        job.place
            .jobs()
            .iter()
            .map(|folder| {
                let recorded = spool::read(folder).unwrap();
                let batches = recorded.batches.into_iter();
                let processes = batches.flat_map(|(_, _, batch)| batch.processes);
                processes
                    .map(|process| process.pid)
                    .filter(|pid| pids.contains(pid))
                    .collect()
            })
            .collect()
    };
    wait_for("both processes, each in its job", || {
        let found = recorded();
        (found.len() == 2 && found.iter().all(|pids| !pids.is_empty())).then_some(())
    });
    for name in ["one", "two"] {
        fs::write(job.place.file(&format!("{name}.go")), "").unwrap();
    }
    assert_eq!(step.end().code, 0);
    for pids in recorded() {
        assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    }
}

#[test]
fn a_job_that_is_begun_again_writes_each_variable_once() {
    let mut job = Job::new();
    for at in 1..=3 {
        let started = job.step("highwater start --job unit");
        assert_eq!(started.code, 0, "{started:?}");
        assert_eq!(job.step("highwater stop --quiet").code, 0);
        let exported = job.exported();
        let values = |wanted: &str| -> Vec<String> {
            let of_it = exported.iter().filter(|(name, _)| name == wanted);
            of_it.map(|(_, value)| value.clone()).collect()
        };
        // A new job has a new name and a new folder; all else stays as it was.
        assert_eq!(values("HIGHWATER_JOB").len(), at, "{exported:?}");
        for name in [
            "TOX_OVERRIDE",
            "TOX_TESTENV_PASSENV",
            "PYTHONPATH",
            "HIGHWATER_ROOT",
        ] {
            assert_eq!(values(name).len(), 1, "{name}: {exported:?}");
        }
        assert_eq!(values("TOX_TESTENV_PASSENV"), ["HIGHWATER_* PYTHONPATH"]);
    }
}

#[test]
fn start_leaves_no_pipe_open_behind_it() {
    let place = Place::new();
    // A reader of the pipe waits until every writer is gone: the agent must be none.
    let mut command = place.bare("sh");
    let script = format!(
        "exec 7>&1; '{0}' start --quiet --spool '{1}' --project o/r --job unit --max-age 3s; echo started",
        env!("CARGO_BIN_EXE_highwater"),
        place.spool().display()
    );
    let output: Output = command.args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "started\n");
    let stopped = place.command("stop", &["--quiet", "--job", "unit"]);
    assert!(stopped.status.success(), "{stopped:?}");
}

#[test]
fn through_sysinfo_nothing_is_recorded_beside_a_job_and_the_step_passes() {
    let mut job = Job::new();
    let started = job.step("highwater start --backend sysinfo --job unit");
    assert_eq!(started.code, 0, "{started:?}");
    assert!(
        started.stderr.contains("highwater run --backend sysinfo"),
        "{started:?}"
    );
    assert!(job.exported().is_empty());
    assert_eq!(job.place.jobs(), [""; 0].map(PathBuf::from));
}

#[test]
fn an_agent_whose_folder_is_gone_and_cannot_be_made_anew_is_ended_all_the_same() {
    let mut job = Job::new();
    job.start("--job unit");
    let agent = job.agent_pid().unwrap();
    let folder = job.folder();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let status = job.step("highwater status");
    assert_eq!(status.code, 2, "{status:?}");
    let told = format!("the agent (process {agent}) records, but its folder");
    assert!(status.stderr.contains(&told), "{status:?}");
    let stopped = job.step("highwater stop");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stderr.contains("is lost"), "{stopped:?}");
    wait_for("the agent's end", || (!lives(agent)).then_some(()));
}

#[test]
fn who_is_no_runner_is_refused_and_no_other_process_is_ended() {
    let mut job = Job::new();
    let refused = job.step("highwater start --job unit --runner-pid 4194304");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--runner-pid"), "{refused:?}");
    // A file that names a stranger as the agent makes it none.
    job.start("--job unit");
    let agent = job.agent_pid().unwrap();
    let (step, pid) = hold(&mut job, "held");
    let start = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = start
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let path = job.folder().join("agent.json");
    let mut told: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let before = told.clone();
    told["process"] =
        serde_json::json!({"pid": pid, "start_ticks": fields[19].parse::<u64>().unwrap()});
    fs::write(&path, told.to_string()).unwrap();
    job.step("highwater stop");
    assert!(lives(pid), "a stranger was told to end");
    fs::write(&path, before.to_string()).unwrap();
    let_go(&job, "held", step);
    assert_eq!(job.step("highwater stop --quiet").code, 0);
    assert!(!lives(agent));
}
