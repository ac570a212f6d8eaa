//! What is done with a recording that stayed in the spool, whatever became of its files.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use highwater_agent::spool::{self, Spool};
use highwater_wire::{VERSION, codec, v1};
use uuid::Uuid;

use crate::{
    harness::{Ended, Place, not_run},
    peer::{Act, Peer},
};

pub(crate) fn job() -> v1::Job {
    v1::Job {
        version: VERSION,
        project: "o/r".to_owned(),
        run: Some(v1::Run {
            provider: "local".to_owned(),
            id: "1".to_owned(),
            ..v1::Run::default()
        }),
        name: "unit".to_owned(),
        attempt: 1,
        interval_us: 50_000,
        ..v1::Job::default()
    }
}

/// A spool of three batches, whose end announces them.
pub(crate) fn recorded(root: &Path) -> PathBuf {
    let mut spool = Spool::create(root, &job(), Uuid::now_v7()).unwrap();
    for seq in 0..3 {
        let batch = v1::Batch {
            version: VERSION,
            to_us: seq + 1,
            ..v1::Batch::default()
        };
        spool.append(seq.cast_unsigned(), &batch).unwrap();
    }
    let end = v1::End {
        version: VERSION,
        exit_code: Some(0),
        streams: vec![v1::StreamCount {
            stream: spool.stream().to_string(),
            batches: 3,
        }],
        ..v1::End::default()
    };
    spool::write_end(spool.folder(), &end).unwrap();
    spool.folder().to_path_buf()
}

fn segment(folder: &Path) -> PathBuf {
    spool::segments(folder).unwrap().remove(0).path
}

fn highwater(place: &Place, words: &[&str]) -> Ended {
    end_of(Command::new(env!("CARGO_BIN_EXE_highwater")), place, words)
}

/// The same where no file can grow, as on a full disk.
fn highwater_on_full_disk(place: &Place, words: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_highwater")]);
    end_of(command, place, words)
}

fn end_of(mut command: Command, place: &Place, words: &[&str]) -> Ended {
    let own = |name: &str| {
        name.starts_with("HIGHWATER_") || name.to_ascii_lowercase().ends_with("_proxy")
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(own) {
            command.env_remove(name);
        }
    }
    let output = command
        .args(words)
        .arg("--spool")
        .arg(place.spool())
        .current_dir(place.file(""))
        .output()
        .unwrap();
    Ended {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn upload(place: &Place, peer: &Peer) -> Ended {
    highwater(place, &["upload", "--server", &peer.url()])
}

#[test]
fn of_a_damaged_spool_what_is_whole_is_sent_and_the_spool_is_kept() {
    for damage in [
        |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1),
        |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1,
    ] {
        let place = Place::new();
        let folder = recorded(&place.spool());
        let mut bytes = fs::read(segment(&folder)).unwrap();
        damage(&mut bytes);
        fs::write(segment(&folder), bytes).unwrap();
        let report = highwater(&place, &["report"]);
        let note = "batches_missing: 1 of 3 announced batches are missing or damaged";
        assert!(report.stdout.contains(note), "{report:?}");
        let peer = Peer::new(|_, _| Act::Take);
        let ended = upload(&place, &peer);
        assert_eq!(ended.code(), 2, "{ended:?}");
        let told =
            "1 of 3 announced batches are missing or damaged in the spool; what is whole was sent";
        assert!(ended.stderr.contains(told), "{ended:?}");
        assert_eq!(peer.items()[1..], ["0", "1", "end"]);
        assert!(spool::is_job(&folder));
    }
}

#[test]
fn a_segment_whose_first_byte_is_damaged_is_read_on_behind_it() {
    let place = Place::new();
    let folder = recorded(&place.spool());
    let mut bytes = fs::read(segment(&folder)).unwrap();
    bytes[0] ^= 1;
    fs::write(segment(&folder), bytes).unwrap();
    let report = highwater(&place, &["report"]);
    let note = "1 damaged records; all that was announced could be read";
    assert!(report.stdout.contains(note), "{report:?}");
    let peer = Peer::new(|_, _| Act::Take);
    let ended = upload(&place, &peer);
    let told = "the spool holds damaged records; all that was announced was sent";
    assert!(ended.stderr.contains(told), "{ended:?}");
    assert_eq!(peer.items()[1..], ["0", "1", "2", "end"]);
}

#[test]
fn a_segment_of_another_version_is_left_out_told_and_kept() {
    let place = Place::new();
    let folder = recorded(&place.spool());
    let foreign = spool::segment_path(&folder, Uuid::new_v4(), 0);
    fs::write(&foreign, b"HWSPOOL\x02of a later agent").unwrap();
    let name = foreign.file_name().unwrap().to_str().unwrap();
    let told = "no spool file of version 1, or its begin is damaged";
    let report = highwater(&place, &["report"]);
    let notice = format!("{name}: {told}");
    assert!(
        report.code() == 0 && report.stdout.contains(&notice),
        "{report:?}"
    );
    // Also where nobody lived to write the end.
    fs::remove_file(folder.join("end")).unwrap();
    let peer = Peer::new(|_, _| Act::Take);
    let ended = upload(&place, &peer);
    assert!(ended.stderr.contains(&notice), "{ended:?}");
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert_eq!(peer.items()[1..], ["0", "1", "2", "end"]);
    assert!(foreign.exists());
}

#[test]
fn what_is_nowhere_any_more_is_told_and_not_called_sent_alone() {
    let place = Place::new();
    let folder = recorded(&place.spool());
    fs::remove_file(segment(&folder)).unwrap();
    let report = highwater(&place, &["report"]);
    assert!(
        report
            .stdout
            .contains("3 of 3 announced batches are missing"),
        "{report:?}"
    );
    let ended = upload(&place, &Peer::new(|_, _| Act::Take));
    let told = "sent (0 batches), but 3 of 3 announced batches were not in the spool and are lost";
    assert!(
        ended.code() == 0 && ended.stdout.contains(told),
        "{ended:?}"
    );
    assert!(!folder.exists());
}

#[test]
fn pipes_and_links_in_the_spool_keep_nobody_waiting() {
    let place = Place::new();
    let folder = recorded(&place.spool());
    let pipe = |name: &str| {
        let made = Command::new("mkfifo").arg(folder.join(name)).status();
        assert!(made.unwrap().success());
    };
    pipe(&format!("{}.segment", Uuid::new_v4()));
    let link = folder.join(format!("{}.segment", Uuid::new_v4()));
    std::os::unix::fs::symlink("/dev/zero", link).unwrap();
    assert_eq!(highwater(&place, &["report"]).code(), 0);
    for name in ["end", "lock"] {
        fs::remove_file(folder.join(name)).unwrap();
        pipe(name);
        let ended = upload(&place, &Peer::new(|_, _| Act::Take));
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(
            ended.stderr.contains("is no regular file; remove it"),
            "{ended:?}"
        );
        fs::remove_file(folder.join(name)).unwrap();
    }
    let ended = upload(&place, &Peer::new(|_, _| Act::Take));
    assert_eq!(ended.code(), 0, "{ended:?}");
}

#[test]
fn a_pipe_that_a_test_leaves_in_the_spool_does_not_keep_the_run_from_ending() {
    let place = Place::new();
    let script = "mkfifo \"$(dirname \"$HIGHWATER_EVENTS\")/$1.segment\" \"$HIGHWATER_EVENTS/1.events\"; exit 3";
    let segment = Uuid::new_v4().to_string();
    let ended = place.run(&["sh", "-c", script, "sh", &segment]);
    assert_eq!(ended.code(), 3, "{ended:?}");
}

#[test]
fn a_full_disk_does_not_keep_a_lost_recording_from_being_sent() {
    let place = Place::new();
    let folder = recorded(&place.spool());
    // As an agent leaves it that was killed, with what pytest went on to write.
    fs::remove_file(folder.join("end")).unwrap();
    let events = "H\t1\t{\"pid\": 2147483646, \"start_ticks\": 3}\nsb\t1000100\t5\t-\n";
    fs::write(folder.join("events/2147483646.events"), events).unwrap();
    let silent = Peer::new(|_, _| Act::status(403));
    let words = ["upload", "--server", &silent.url()];
    assert_eq!(highwater_on_full_disk(&place, &words).code(), 2);
    let peer = Peer::new(|_, _| Act::Take);
    let words = ["upload", "--server", &peer.url()];
    let ended = highwater_on_full_disk(&place, &words);
    assert!(
        ended.code() == 0 && ended.stdout.contains("sent (5 batches): "),
        "{ended:?}"
    );
    assert_eq!(peer.items()[1..], ["0", "1", "2", "end"]);
    assert_eq!(peer.asked().len(), 7);
    assert!(!folder.exists());
}

#[test]
fn a_file_of_the_plugins_that_cannot_be_read_keeps_nothing_else_from_being_sent() {
    let place = Place::new();
    let folder = recorded(&place.spool());
    fs::remove_file(folder.join("end")).unwrap();
    let events = folder.join("events");
    let locked = "H\t1\t{\"pid\": 2147483645, \"start_ticks\": 3}\n";
    fs::write(events.join("2147483645.events"), locked).unwrap();
    let read = "H\t1\t{\"pid\": 2147483646, \"start_ticks\": 3}\nsb\t1000100\t5\t-\n";
    fs::write(events.join("2147483646.events"), read).unwrap();
    let peer = Peer::new(|_, _| Act::Take);
    let Some(ended) = upload_without_right(&place, &peer, &events.join("2147483645.events")) else {
        return;
    };
    assert!(
        ended.code() == 0 && ended.stdout.contains("sent (5 batches): "),
        "{ended:?}"
    );
    let batches = peer.asked().into_iter().filter_map(|asked| {
        let batch = codec::decode::<v1::Batch>(&asked.body).ok()?;
        asked.path.contains("/batches/").then_some(batch)
    });
    let batches: Vec<_> = batches.collect();
    let notices: Vec<_> = batches.iter().flat_map(|batch| &batch.notices).collect();
    assert!(
        notices.iter().any(|notice| notice.code == "events_failed"
            && notice
                .message
                .contains("2147483645.events: Permission denied")),
        "{notices:?}"
    );
    assert!(batches.iter().any(|batch| batch.marks.len() == 1));
}

/// Uploads as somebody who may read all but one file.
fn upload_without_right(place: &Place, peer: &Peer, locked: &Path) -> Option<Ended> {
    fs::set_permissions(locked, Permissions::from_mode(0o000)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    // Root may read everything.
    if rustix::process::geteuid().is_root() {
        let root = place.spool();
        let parent = root.parent().unwrap();
        let all = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(parent)
            .status();
        assert!(all.unwrap().success());
        chown(locked, Some(0), Some(0)).unwrap();
        command.uid(65_534).gid(65_534);
        let mut tried = Command::new(command.get_program());
        if let Err(error) = tried.arg("--version").current_dir("/").uid(65_534).output() {
            not_run(&format!("the agent as another user: {error}"));
            return None;
        }
    }
    let words = ["upload", "--server", &peer.url()];
    Some(end_of(command, place, &words))
}
