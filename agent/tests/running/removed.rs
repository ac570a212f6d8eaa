//! A spool that is removed while its recording goes on, as by `git clean -fdx` in a step of the job or by a test.

use std::fs;

use highwater_agent::spool;
use highwater_wire::v1::EndedBy;

use crate::{
    harness::{Place, wait_for},
    peer::{Act, Peer},
    steps::Job,
};

/// Removes a folder and waits until something is there again.
fn removes(folder: &str, awaited: &str) -> String {
    format!(
        "JOB=$(dirname \"$HIGHWATER_EVENTS\"); SPOOL=$(dirname \"$JOB\"); rm -rf {folder} || exit 9; {}; exit 3",
        waits_for(awaited)
    )
}

/// Waits until something is there, for no longer than a test may.
fn waits_for(awaited: &str) -> String {
    format!(
        "WAITED=0; until [ -e {awaited} ]; do WAITED=$((WAITED + 1)); [ $WAITED -lt 1000 ] || exit 8; sleep 0.05; done"
    )
}

#[test]
fn a_spool_that_is_removed_at_the_end_of_the_command_is_made_anew_with_all_it_held() {
    let place = Place::new();
    let script = "rm -rf \"$(dirname \"$(dirname \"$HIGHWATER_EVENTS\")\")\"; exit 3";
    let ended = place.run(&["sh", "-c", script]);
    assert_eq!(ended.code(), 3, "{ended:?}");
    let told =
        "was removed while the recording went on, and was made anew; nothing of it is missing";
    assert!(ended.stderr.contains(told), "{ended:?}");
    let recorded = place.recorded();
    assert_eq!(recorded.end.as_ref().unwrap().exit_code, Some(3));
    assert_eq!(recorded.notices("spool_removed").len(), 1);
    assert!(!recorded.processes("exit 3").is_empty());
    let report = place.command("report", &[]);
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.contains("spool_removed"), "{report}");
    assert!(!report.contains("batches_missing"), "{report}");
}

#[test]
fn what_is_recorded_after_a_removal_is_kept_and_sent_under_the_numbers_that_follow() {
    for folder in ["\"$SPOOL\"", "\"$JOB\"/*.segment"] {
        let place = Place::new();
        let peer = Peer::new(|_, _| Act::Take);
        // Made anew where all was removed, and where the segment alone was.
        let script = removes(folder, "\"$JOB\"/*.segment");
        let mut agent = place.agent(&["sh", "-c", &script]);
        let output = agent.env("HIGHWATER_SERVER", peer.url()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("was made anew"), "{stderr}");
        assert!(!stderr.contains("not all of it"), "{stderr}");
        assert_eq!(place.jobs().len(), 0, "all of it was acknowledged");
        let items = peer.items();
        let [_, batches @ .., end] = items.as_slice() else {
            panic!("{items:?}");
        };
        let numbers = (0..batches.len()).map(|seq| seq.to_string());
        assert!(
            end == "end" && numbers.eq(batches.iter().cloned()),
            "{items:?}"
        );
    }
}

#[test]
fn a_spool_that_somebody_cuts_is_written_on_so_that_it_can_be_read() {
    let place = Place::new();
    let script = "JOB=$(dirname \"$HIGHWATER_EVENTS\"); for FILE in \"$JOB\"/*.segment; do : >\"$FILE\"; done; exit 3";
    let ended = place.run(&["sh", "-c", script]);
    assert_eq!(ended.code(), 3, "{ended:?}");
    let told = "was cut short by somebody while it went on";
    assert!(ended.stderr.contains(told), "{ended:?}");
    assert_eq!(place.recorded().end.unwrap().exit_code, Some(3));
    let report = place.command("report", &[]);
    assert!(report.status.success(), "{report:?}");
}

#[test]
fn a_spool_whose_place_is_taken_goes_on_elsewhere() {
    let place = Place::new();
    let home = place.file("home");
    let output = replaces(&place, "echo mine >\"$SPOOL\"");
    let told = format!("goes on in {}", home.join("highwater").display());
    assert!(output.contains(&told), "{output}");
    assert!(output.contains("marks are missing"), "{output}");
    assert!(!output.contains("nothing of it is missing"), "{output}");
    assert_eq!(fs::read_to_string(place.spool()).unwrap(), "mine\n");
    ends_in_its_home(&place);
}

#[test]
fn a_spool_whose_place_became_a_link_to_itself_goes_on_elsewhere() {
    let place = Place::new();
    let output = replaces(&place, "ln -s \"$SPOOL\" \"$SPOOL\"");
    assert!(output.contains("goes on in"), "{output}");
    ends_in_its_home(&place);
}

/// Replaces the spool by something else; answers what the agent says.
fn replaces(place: &Place, by: &str) -> String {
    let script = format!(
        "SPOOL=$(dirname \"$(dirname \"$HIGHWATER_EVENTS\")\"); rm -rf \"$SPOOL\"; {by}; exit 3"
    );
    let mut agent = place.agent(&["sh", "-c", &script]);
    let output = agent
        .env("XDG_STATE_HOME", place.file("home"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn ends_in_its_home(place: &Place) {
    let other = place.file("home").join("highwater");
    let [folder] = spool::open_jobs(&other).unwrap().try_into().unwrap();
    assert_eq!(
        spool::read_end(&folder).unwrap().unwrap().exit_code,
        Some(3)
    );
}

#[test]
fn the_plugins_files_are_read_where_they_always_lay_also_when_the_spool_went_elsewhere() {
    let place = Place::new();
    let home = place.file("home");
    let script = format!(
        "SPOOL=$(dirname \"$(dirname \"$HIGHWATER_EVENTS\")\"); rm -rf \"$SPOOL\"; echo mine >\"$SPOOL\"
        {}; rm \"$SPOOL\"; {}
        printf 'H\\t1\\t{{\"pid\": %d, \"start_ticks\": 1, \"python\": \"3.77\"}}\\n' $$ >\"$HIGHWATER_EVENTS/$$.events\"; exit 3",
        waits_for("\"$XDG_STATE_HOME\"/highwater/*/job"),
        waits_for("\"$HIGHWATER_EVENTS\"")
    );
    let mut agent = place.agent(&["sh", "-c", &script]);
    let output = agent.env("XDG_STATE_HOME", &home).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("marks are missing"), "{stderr}");
    let [folder] = spool::open_jobs(&home.join("highwater"))
        .unwrap()
        .try_into()
        .unwrap();
    let recorded = spool::read(&folder).unwrap();
    let mut processes = recorded
        .batches
        .iter()
        .flat_map(|(.., batch)| &batch.processes);
    assert!(processes.any(|process| process.python == "3.77"));
    assert_eq!(place.jobs().len(), 0);
}

#[test]
fn the_folder_of_the_plugins_files_alone_is_made_anew_too() {
    let place = Place::new();
    let ended = place.run(&[
        "sh",
        "-c",
        &removes("\"$HIGHWATER_EVENTS\"", "\"$HIGHWATER_EVENTS\""),
    ]);
    assert_eq!(ended.code(), 3, "{ended:?}");
    let recorded = place.recorded();
    assert!(recorded.notices("events_failed").is_empty());
    assert!(recorded.notices("spool_removed").is_empty());
}

#[test]
fn a_job_beside_the_steps_outlives_the_removal_of_its_folder_and_of_what_tells_of_its_agent() {
    for removed in ["\"$(dirname \"$JOB\")\"", "\"$JOB\"/agent.json"] {
        let mut job = Job::new();
        job.start("--job unit");
        let agent = job.agent_pid().unwrap();
        let folder = job.folder();
        let script =
            format!("JOB=$(dirname \"$HIGHWATER_EVENTS\"); rm -rf {removed} && highwater status");
        let status = job.step(&script);
        assert_eq!(status.code, 0, "{status:?}");
        let told = format!("process {agent} records");
        assert!(status.stdout.contains(&told), "{status:?}");
        let log = wait_for("its log", || {
            fs::read_to_string(folder.join("agent.log")).ok()
        });
        assert!(
            log.contains("was removed while the recording went on"),
            "{log}"
        );
        let stopped = job.step("highwater stop --exit-code 3");
        assert_eq!(stopped.code, 0, "{stopped:?}");
        assert!(stopped.stderr.contains("kept in"), "{stopped:?}");
        let end = job.place.recorded().end.unwrap();
        assert_eq!((end.exit_code, end.ended_by()), (Some(3), EndedBy::Stop));
    }
}
