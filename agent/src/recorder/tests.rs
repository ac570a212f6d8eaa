use std::{
    collections::BTreeMap,
    error::Error,
    fs::OpenOptions,
    io::Write,
    sync::mpsc::{SyncSender, sync_channel},
};

use highwater_wire::{
    codec::{Checked, MAX_SAMPLES},
    v1::{self, Batch, Metric, mark::What},
};
use tempfile::TempDir;

use super::*;
use crate::{
    marks::JobStart,
    procfs::MachineReading,
    sampler::{Column, GridBlock, SecondReading, SlowReading, SlowValue, Unwatched},
    spool::{Less, Removed},
    tree::Birth,
};

mod disk;
mod sights;
mod steady;
mod writers;

/// Keeps batches in memory, and fails where it is told to.
#[derive(Debug, Default)]
struct Sink {
    kept: Vec<Batch>,
    fails: usize,
}

impl BatchSink for Sink {
    fn take_less(&mut self) -> Less {
        Less::default()
    }

    fn take_removed(&mut self) -> Option<Removed> {
        None
    }

    fn be_quick(&mut self) {}

    fn append(&mut self, seq: u64, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.fails > 0 {
            self.fails -= 1;
            return Err("no space left on device".into());
        }
        assert_eq!(seq, self.kept.len() as u64, "numbers have no holes");
        batch.check()?;
        self.kept.push(batch.clone());
        Ok(())
    }
}

struct Scene {
    unwatched: Unwatched,
    folder: TempDir,
    messages: SyncSender<Message>,
    recorder: Recorder<Sink>,
}

fn scene(fails: usize) -> Scene {
    let folder = TempDir::new().unwrap();
    let unwatched = Unwatched::default();
    let (messages, heard) = sync_channel(1_000);
    let start = JobStart {
        boot_id: String::new(),
        monotonic_us: 0,
        unix_us: 0,
    };
    let sink = Sink {
        kept: Vec::new(),
        fails,
    };
    let recorder = Recorder::new(RecorderProps {
        clock: JobClock::new(monotonic_us().cast_unsigned()),
        tailer: Tailer::new(folder.path(), start),
        sights: Sighted::new(unwatched.clone(), None, true),
        sink,
        messages: heard,
        lost: Arc::default(),
        spares: Spares::default(),
    });
    Scene {
        unwatched,
        folder,
        messages,
        recorder,
    }
}

impl Scene {
    fn write(&self, pid: u32, text: &str) {
        let path = self.folder.path().join(format!("{pid}.events"));
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn born(&self, pid: u32, parent_pid: u32, line: &str, t_us: i64) {
        let birth = Birth {
            key: key(pid),
            parent_pid,
            words: line.split(' ').map(str::to_owned).collect(),
            is_copy: false,
            is_as_large: None,
        };
        self.tell(Message::Seen(Seen::Tree(TreeEvent::Born(birth), t_us)));
    }

    fn tell(&self, message: Message) {
        self.messages.send(message).unwrap();
    }

    fn hear_all(&mut self) {
        while let Ok(Message::Seen(seen)) = self.recorder.messages.try_recv() {
            self.recorder.see(seen);
        }
    }

    fn finish(self) -> Recorded<Sink> {
        self.tell(Message::Finish { missed_ticks: 0 });
        self.recorder.run()
    }
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey {
        pid,
        start_ticks: u64::from(pid) * 10,
    }
}

fn header(pid: u32) -> String {
    let start = pid * 10;
    format!(
        "H\t1\t{{\"pid\": {pid}, \"start_ticks\": {start}, \"python\": \"3.11.7\", \"exact\": true, \"peak_error_bytes\": 4096}}\n"
    )
}

fn notices(batches: &[Batch]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for notice in batches.iter().flat_map(|batch| &batch.notices) {
        *counts.entry(notice.code.as_str()).or_default() += notice.count;
    }
    counts
}

#[test]
fn samples_keep_their_holes_and_name_their_processes() {
    let scene = scene(0);
    let block = GridBlock {
        t_us: vec![10, 20, 40],
        lateness_us: vec![1, 0, 3],
        columns: vec![
            Column {
                key: key(7),
                first: 0,
                rss: vec![100, 90, 95],
                anon: vec![10, 10, 11],
            },
            Column {
                key: key(8),
                first: 2,
                rss: vec![50],
                anon: vec![5],
            },
        ],
    };
    let reading = |t_us, psi_some| SecondReading {
        t_us,
        machine: MachineReading {
            total_bytes: Some(1_000),
            psi_some,
            ..MachineReading::default()
        },
        cgroups: vec![("/job".into(), crate::cgroup::CgroupReading::default())],
    };
    let slow = |pid, t_us| SlowValue {
        key: key(pid),
        t_us,
        pss_bytes: Some(40),
        swap_bytes: None,
    };
    for (t_us, psi) in [
        (0, Some(5)),
        (1_000, None),
        (2_000, Some(4)),
        (3_000, Some(6)),
    ] {
        scene.tell(Message::Seen(Seen::Second(reading(t_us, psi))));
    }
    let values = vec![slow(7, 30_000), slow(8, 31_000), slow(9, 90_000)];
    scene.tell(Message::Seen(Seen::Slow(SlowReading { values })));
    let again = vec![slow(9, 94_000)];
    scene.tell(Message::Seen(Seen::Slow(SlowReading { values: again })));
    scene.tell(Message::Seen(Seen::Grid(block)));
    let recorded = scene.finish();
    let batch = &recorded.sink.kept[0];
    let [grid, seconds, rounds] = batch.samples.as_slice() else {
        panic!("{:?}", batch.samples)
    };
    assert_eq!(
        (grid.t_us_delta.as_slice(), grid.lateness_us.as_slice()),
        (&[10, 10, 20][..], &[1, 0, 3][..])
    );
    let series = |samples: &v1::Samples, metric: Metric| -> Vec<(Option<u32>, u32, Vec<i64>)> {
        let of = samples
            .series
            .iter()
            .filter(|series| series.metric() == metric);
        of.map(|series| {
            let pid = series
                .process
                .map(|process| batch.processes[process as usize].pid);
            (pid, series.first, series.value_delta.clone())
        })
        .collect()
    };
    let expected = [(Some(7), 0, vec![100, -10, 5]), (Some(8), 2, vec![50])];
    assert_eq!(series(grid, Metric::Rss), expected);
    assert_eq!(
        series(seconds, Metric::MachineTotal),
        [(None, 0, vec![1_000, 0, 0, 0])]
    );
    assert_eq!(
        series(seconds, Metric::MachinePsiSome),
        [(None, 0, vec![5]), (None, 2, vec![4, 2])]
    );
    assert_eq!(series(seconds, Metric::CgroupUsage), []);
    assert_eq!(
        rounds.t_us_delta,
        [30_000, 60_000, 4_000],
        "readings of one moment share a tick, two of one process do not"
    );
    let expected = [
        (Some(7), 0, vec![40]),
        (Some(8), 0, vec![40]),
        (Some(9), 1, vec![40]),
        (Some(9), 2, vec![40]),
    ];
    assert_eq!(series(rounds, Metric::Pss), expected);
}

#[test]
fn what_was_said_of_a_process_is_not_said_again() {
    let mut scene = scene(0);
    scene.born(7, 1, "sh", 5);
    let hear = |scene: &mut Scene| {
        scene.hear_all();
        scene.recorder.flush(false);
    };
    let block = || GridBlock {
        t_us: vec![1],
        lateness_us: vec![0],
        columns: vec![Column {
            key: key(7),
            first: 0,
            rss: vec![1],
            anon: vec![1],
        }],
    };
    hear(&mut scene);
    scene.tell(Message::Seen(Seen::Grid(block())));
    hear(&mut scene);
    let words = vec!["pytest".to_owned()];
    scene.tell(Message::Seen(Seen::Tree(
        TreeEvent::Renamed {
            key: key(7),
            words,
            is_copy: false,
        },
        9,
    )));
    hear(&mut scene);
    let recorded = scene.finish();
    let commands: Vec<_> = recorded
        .sink
        .kept
        .iter()
        .flat_map(|batch| &batch.processes)
        .map(|p| p.command.as_str())
        .collect();
    assert_eq!(commands, ["sh", "", "pytest"]);
    let third = &recorded.sink.kept[2].processes[0];
    assert_eq!(
        (third.parent_pid, third.seen_us),
        (1, 9),
        "news says everything again"
    );
}

#[test]
fn what_one_batch_cannot_hold_becomes_several() {
    let scene = scene(0);
    let ticks = MAX_SAMPLES / 8;
    for number in 0..6 {
        let block = GridBlock {
            t_us: (0..ticks as i64)
                .map(|tick| number * 1_000_000 + tick)
                .collect(),
            lateness_us: vec![0; ticks],
            columns: vec![Column {
                key: key(7),
                first: 0,
                rss: vec![1; ticks],
                anon: vec![1; ticks],
            }],
        };
        scene.tell(Message::Seen(Seen::Grid(block)));
    }
    let recorded = scene.finish();
    let values = |batch: &Batch| -> usize {
        let series = batch.samples.iter().flat_map(|samples| &samples.series);
        series.map(|series| series.value_delta.len()).sum()
    };
    let counts: Vec<_> = recorded.sink.kept.iter().map(values).collect();
    assert_eq!(counts.iter().sum::<usize>(), 12 * ticks);
    assert!(
        counts.iter().all(|count| *count <= MAX_SAMPLES),
        "{counts:?}"
    );
}

#[test]
fn an_end_that_the_agent_saw_itself_is_kept() {
    let scene = scene(0);
    scene.born(7, 1, "sh", 5);
    scene.tell(Message::Seen(Seen::Tree(
        TreeEvent::Gone { key: key(7) },
        50,
    )));
    let ending = Ending {
        exit_code: None,
        signal: Some(9),
    };
    scene.tell(Message::Reaped {
        pid: 7,
        t_us: 40,
        ending,
    });
    scene.tell(Message::Reaped {
        pid: 1234,
        t_us: 41,
        ending: Ending::default(),
    });
    let recorded = scene.finish();
    let [process] = recorded.sink.kept[0].processes.as_slice() else {
        panic!("{recorded:?}")
    };
    assert_eq!(
        (process.signal, process.exit_code, process.ended_us),
        (Some(9), None, Some(40))
    );
}

#[test]
fn many_marks_are_split_over_batches_and_none_is_lost() {
    let scene = scene(0);
    let mut text = header(7);
    for at in 0..20_000 {
        text += &format!(
            "tb\t{at}\t5\t6\t1\ta/long/path/to/test_file.py\ta/long/path/to/test_file.py::test_number[{at}]\n"
        );
    }
    scene.write(7, &text);
    let recorded = scene.finish();
    let sizes: Vec<_> = recorded
        .sink
        .kept
        .iter()
        .map(prost::Message::encoded_len)
        .collect();
    assert!(
        sizes.len() > 2 && sizes.iter().all(|size| *size < 1 << 20),
        "{sizes:?}"
    );
    let times = recorded
        .sink
        .kept
        .iter()
        .flat_map(|batch| &batch.marks)
        .map(|mark| mark.t_us);
    assert!(times.eq(0..20_000));
    let spans: Vec<_> = recorded
        .sink
        .kept
        .iter()
        .map(|batch| (batch.from_us, batch.to_us))
        .collect();
    assert!(
        spans.windows(2).all(|pair| pair[0].1 == pair[1].0),
        "batches lie side by side: {spans:?}"
    );
}

#[test]
fn a_mark_that_cannot_be_does_not_cost_the_others() {
    let scene = scene(0);
    let long = "x".repeat(20_000);
    scene.write(
        7,
        &format!(
            "{}sb\t1\t5\t-\nib\t2\t5\t-\t{long}\nsb\t3\t5\t-\nsb\tx\t5\t-\n",
            header(7)
        ),
    );
    let recorded = scene.finish();
    let marks: Vec<_> = recorded.sink.kept[0]
        .marks
        .iter()
        .map(|mark| mark.t_us)
        .collect();
    assert_eq!(marks, [1, 3]);
    assert_eq!(notices(&recorded.sink.kept)["marks_malformed"], 2);
}

#[test]
fn a_pytest_without_the_plugin_is_pointed_out_once() {
    let scene = scene(0);
    scene.born(7, 1, "pytest tests", 0);
    scene.born(8, 1, "python -m pytest", 0);
    // A test of the recorded one starts another pytest, which is silent on purpose.
    scene.born(9, 8, "pytest inner", 0);
    scene.write(8, &header(8));
    for pid in [7, 8, 9] {
        scene.tell(Message::Seen(Seen::Tree(
            TreeEvent::Gone { key: key(pid) },
            2_000_000,
        )));
    }
    let recorded = scene.finish();
    let said: Vec<_> = recorded
        .sink
        .kept
        .iter()
        .flat_map(|batch| &batch.notices)
        .filter(|notice| notice.code == "pytest_without_plugin")
        .collect();
    let [notice] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(
        notice.message.starts_with("pytest (process 7) ran without"),
        "{}",
        notice.message
    );
}

#[test]
fn of_a_pytest_that_was_killed_while_it_loaded_nobody_says_that_its_plugin_does_not_come() {
    let said = |exit_code, signal| {
        let scene = scene(0);
        scene.born(7, 1, "pytest tests", 0);
        let ending = Ending { exit_code, signal };
        scene.tell(Message::Seen(Seen::Tree(
            TreeEvent::Gone { key: key(7) },
            2_000_000,
        )));
        scene.tell(Message::Reaped {
            pid: 7,
            t_us: 2_000_000,
            ending,
        });
        notices(&scene.finish().sink.kept).contains_key("pytest_without_plugin")
    };
    assert!(!said(None, Some(9)));
    assert!(said(Some(0), None));
}

#[test]
fn the_recorder_tells_its_own_cost() {
    let recorded = scene(0).finish();
    let notices = notices(&recorded.sink.kept);
    assert!(notices["agent_rss_bytes"] > 1 << 20);
    assert!(notices.contains_key("agent_cpu_us"));
}
