//! Who writes an events file: its process, role and sessions.

use highwater_wire::v1::{Role, mark::What};

use super::{header, scene};

#[test]
fn marks_sessions_and_roles_come_from_the_plugin() {
    let scene = scene(0);
    scene.born(7, 1, "pytest -n 1", 5);
    scene.born(8, 7, "python -c x", 6);
    let session = "\"session\": \"abc\", \"dist\": \"load\", \"numprocesses\": 1, \"root\": \"/r\", \"args\": [\"-n\", \"1\"]";
    scene.write(7, &header(7));
    scene.write(
        7,
        &format!("S\t{{\"role\": \"controller\", {session}}}\nsb\t100\t5\t-\nse\t900\t5\t-\t1\n"),
    );
    scene.write(8, &header(8));
    scene.write(8, &format!("S\t{{\"role\": \"worker\", \"worker\": \"gw0\", {session}}}\nsb\t200\t5\t6\nse\t800\t5\t6\t5\n"));
    let recorded = scene.finish();
    let batch = &recorded.sink.kept[0];
    let process = |pid| {
        batch
            .processes
            .iter()
            .find(|process| process.pid == pid)
            .unwrap()
    };
    assert_eq!(
        (process(7).role(), process(7).session.as_str()),
        (Role::Controller, "abc")
    );
    assert_eq!(
        (process(8).role(), process(8).worker.as_str()),
        (Role::Worker, "gw0")
    );
    assert_eq!(
        (process(8).parent_pid, process(8).command.as_str()),
        (7, "python -c x")
    );
    assert_eq!(
        (process(8).exact, process(8).python.as_str()),
        (Some(true), "3.11.7")
    );
    let [session] = batch.sessions.as_slice() else {
        panic!("{:?}", batch.sessions)
    };
    // Of the controller, not of the worker.
    assert_eq!(
        (session.began_us, session.ended_us, session.exit_status),
        (Some(100), Some(900), Some(1))
    );
    assert_eq!((session.numprocesses, session.args.len()), (1, 2));
    let of = |pid| {
        batch
            .marks
            .iter()
            .filter(move |mark| batch.processes[mark.process as usize].pid == pid)
    };
    assert_eq!((of(7).count(), of(8).count()), (2, 2));
    assert!(
        of(8).any(
            |mark| mark.peak_bytes == Some(6) && matches!(mark.what, Some(What::SessionEnd(_)))
        )
    );
}

#[test]
fn each_session_of_a_process_is_named_also_where_two_lie_within_a_second() {
    let mut scene = scene(0);
    scene.write(7, &header(7));
    let session = |id: &str, t_us: i64| {
        format!(
            "S\t{{\"role\": \"pytest\", \"session\": \"{id}\"}}\nsb\t{t_us}\t5\t-\nse\t{}\t5\t-\t0\n",
            t_us + 1
        )
    };
    for (number, id) in ["b", "a", "c"].into_iter().enumerate() {
        scene.write(7, &session(id, 100 * number as i64));
    }
    scene.recorder.look(false);
    scene.recorder.flush(false);
    scene.write(7, &session("d", 900));
    let recorded = scene.finish();
    let mut named: Vec<_> = recorded
        .sink
        .kept
        .iter()
        .flat_map(|batch| &batch.processes)
        .filter(|word| !word.session.is_empty())
        .map(|word| (word.seen_us, word.session.as_str()))
        .collect();
    named.sort_unstable();
    let order: Vec<_> = named.iter().map(|(_, session)| *session).collect();
    assert_eq!(order, ["b", "a", "c", "d"], "once each, in their order");
    let distinct = named.windows(2).all(|pair| pair[0].0 < pair[1].0);
    assert!(distinct, "{named:?}");
}

#[test]
fn a_number_from_inside_a_namespace_is_taken_for_the_process_that_started_then() {
    // Both are gone by now, so the kernel cannot be asked.
    for (line, expected) in [("python -m pytest -q", 4_000_007), ("sleep 1", 4_000_001)] {
        let mut scene = scene(0);
        scene.born(4_000_007, 1, line, 5);
        scene.hear_all();
        let inside = header(4_000_001).replace("40000010", "40000070");
        scene.write(4_000_001, &inside);
        scene.write(
            4_000_001,
            "S\t{\"role\": \"pytest\", \"session\": \"abc\"}\nsb\t100\t5\t-\n",
        );
        let recorded = scene.finish();
        let writers: Vec<_> = recorded
            .sink
            .kept
            .iter()
            .flat_map(|batch| {
                let of =
                    |mark: &highwater_wire::v1::Mark| batch.processes[mark.process as usize].pid;
                batch.marks.iter().map(of)
            })
            .collect();
        assert_eq!(writers, [expected], "{line}");
    }
}

/// As many files as somebody likes to put there, each of a process of its own that leads a session of its own.
#[test]
fn thousands_of_files_make_batches_that_can_be_read_and_lose_no_other() {
    const FILES: u32 = 3_000;
    let scene = scene(0);
    for pid in 1..=FILES {
        let session = format!("S\t{{\"session\": \"{pid}\", \"role\": \"pytest\"}}\n");
        let marks = "sb\t5\t5\t-\ntb\t5\t5\t-\t1\ta.py\ta.py::t\n";
        scene.write(pid, &format!("{}{session}{marks}", header(pid)));
    }
    let recorded = scene.finish();
    assert_eq!((recorded.unwritten.len(), recorded.warnings.len()), (0, 0));
    let kept = recorded.sink.kept.iter();
    let sessions: usize = kept.map(|batch| batch.sessions.len()).sum();
    assert_eq!(sessions, FILES as usize);
}
