//! A real disk that is too small for a recording: what gives way, what never does, and that it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use highwater_agent::{
    ci::Env,
    clock::{JobClock, monotonic_us},
    marks::{JobStart, Tailer},
    recorder::{Message, Recorded, Recorder, RecorderProps, Sighted},
    sampler::{Column, GridBlock, Seen, Spares},
    shipper::{Client, Shipper},
    spool::{self, Spool, Unwritten},
    tree::ProcessKey,
};
use highwater_wire::{
    codec,
    v1::{Batch, Metric, StreamCount, mark::What},
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    harness::{not_run, wait_for},
    leftovers::job,
    peer::{Act, Peer},
};

const PATIENCE: Duration = Duration::from_secs(60);
const TICKS: i64 = 20;
const INTERVAL_US: i64 = 50_000;
const PROCESSES: u32 = 10;

/// A disk of its own, gone at the end.
struct Disk(TempDir);

impl Disk {
    fn of(bytes: u64) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can mount a small disk".to_owned());
        }
        let disk =
            Self(TempDir::with_prefix("highwater disk ").map_err(|error| error.to_string())?);
        disk.mount(&format!("size={bytes}"))?;
        Ok(disk)
    }

    fn grow(&self, bytes: u64) {
        self.mount(&format!("remount,size={bytes}")).unwrap();
    }

    fn mount(&self, options: &str) -> Result<(), String> {
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(self.0.path())
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

/// A recording whose seconds are made as fast as they are taken; its events files lie where there is room.
struct Scene {
    events: TempDir,
    folder: PathBuf,
    stream: Uuid,
    messages: SyncSender<Message>,
    recorder: JoinHandle<Recorded<Spool>>,
    seconds: i64,
    random: u64,
    /// The highest sum of each second.
    highest: BTreeMap<i64, i64>,
}

fn scene(root: &Path) -> (Scene, spool::Handoff) {
    let events = TempDir::new().unwrap();
    let spool = Spool::create(root, &job(), Uuid::now_v7()).unwrap();
    let (folder, stream, handoff) = (
        spool.folder().to_path_buf(),
        spool.stream(),
        spool.handoff(),
    );
    let (messages, heard) = sync_channel(4);
    let start = JobStart {
        boot_id: String::new(),
        monotonic_us: 0,
        unix_us: 0,
    };
    let recorder = Recorder::new(RecorderProps {
        sights: Sighted::default(),
        clock: JobClock::new(monotonic_us().cast_unsigned()),
        tailer: Tailer::new(events.path(), start),
        sink: spool,
        messages: heard,
        lost: Arc::default(),
        spares: Spares::default(),
    });
    let scene = Scene {
        events,
        folder,
        stream,
        messages,
        recorder: thread::spawn(move || recorder.run()),
        seconds: 0,
        random: 7,
        highest: BTreeMap::new(),
    };
    scene.write("H\t1\t{\"pid\": 1, \"start_ticks\": 10, \"exact\": true}\n");
    (scene, handoff)
}

impl Scene {
    fn write(&self, text: &str) {
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .open(self.events.path().join("1.events"))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Numbers that no compression makes small; never the same twice in a row.
    fn next(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.random >> 40
    }

    /// Records so many seconds, with a test in each, whose name is that long.
    fn record(&mut self, seconds: i64, name_bytes: usize) {
        for _ in 0..seconds {
            let second = self.seconds;
            self.seconds += 1;
            let mut name = format!("test_{second}_");
            while name.len() < name_bytes {
                name += &self.next().to_string();
            }
            let t_us = second * 1_000_000 + 1;
            self.write(&format!("tb\t{t_us}\t4096\t-\t1\ta.py\ta.py::{name}\n"));
            let mut columns = Vec::new();
            for pid in 1..=PROCESSES {
                columns.push(Column {
                    key: ProcessKey {
                        pid,
                        start_ticks: u64::from(pid) * 10,
                    },
                    first: 0,
                    rss: (0..TICKS)
                        .map(|_| (50 << 20) + self.next() % (1 << 20))
                        .collect(),
                    anon: (0..TICKS).map(|_| self.next()).collect(),
                });
            }
            let sums = (0..TICKS as usize).map(|tick| {
                columns
                    .iter()
                    .map(|column| column.rss[tick].cast_signed())
                    .sum()
            });
            self.highest.insert(second, sums.max().unwrap_or(0));
            let block = GridBlock {
                t_us: (0..TICKS)
                    .map(|tick| second * 1_000_000 + tick * INTERVAL_US)
                    .collect(),
                lateness_us: vec![0; TICKS as usize],
                columns,
            };
            self.messages
                .send(Message::Seen(Seen::Grid(block)))
                .unwrap();
        }
    }

    fn finish(self) -> Told {
        self.messages
            .send(Message::Finish { missed_ticks: 0 })
            .unwrap();
        Told {
            recorded: self.recorder.join().unwrap(),
            folder: self.folder,
            stream: self.stream,
            seconds: self.seconds,
            highest: self.highest,
        }
    }
}

/// What a recording came to.
struct Told {
    recorded: Recorded<Spool>,
    folder: PathBuf,
    stream: Uuid,
    seconds: i64,
    highest: BTreeMap<i64, i64>,
}

impl Told {
    fn in_spool(&self) -> BTreeMap<u64, Batch> {
        let read = spool::read(&self.folder).unwrap();
        assert_eq!(read.skipped, 0);
        let count = read.batches.len();
        let by_seq: BTreeMap<_, _> = read
            .batches
            .into_iter()
            .map(|(_, seq, batch)| (seq, batch))
            .collect();
        assert_eq!(by_seq.len(), count, "none is there twice");
        by_seq
    }

    /// Every mark once, at least one value a second of each process, the highest moment of each second. How many seconds are thin, and how
    /// many are told to be.
    fn check(&self, batches: &BTreeMap<u64, Batch>) -> (u64, u64) {
        assert!(batches.keys().copied().eq(0..self.recorded.batches));
        let mut tests = Vec::new();
        let mut ticks: BTreeMap<i64, BTreeMap<i64, Vec<(u32, i64)>>> = BTreeMap::new();
        for batch in batches.values() {
            for mark in &batch.marks {
                if let Some(What::TestBegin(test)) = &mark.what {
                    tests.push(
                        test.nodeid
                            .split('_')
                            .nth(1)
                            .unwrap()
                            .parse::<i64>()
                            .unwrap(),
                    );
                }
            }
            for samples in &batch.samples {
                let times = sums(&samples.t_us_delta);
                let rss = samples
                    .series
                    .iter()
                    .filter(|series| series.metric() == Metric::Rss);
                for series in rss {
                    let pid = batch.processes[series.process.unwrap() as usize].pid;
                    let values = sums(&series.value_delta);
                    for (t_us, value) in times[series.first as usize..].iter().zip(values) {
                        let second = ticks.entry(t_us / 1_000_000).or_default();
                        second.entry(*t_us).or_default().push((pid, value));
                    }
                }
            }
        }
        assert!(tests.into_iter().eq(0..self.seconds));
        let mut thin = 0;
        for (second, expected) in &self.highest {
            let there = &ticks[second];
            thin += u64::from(there.len() < TICKS as usize);
            let pids: BTreeSet<_> = there.values().flatten().map(|(pid, _)| *pid).collect();
            assert_eq!(pids.len() as u32, PROCESSES, "second {second}");
            let highest = there
                .values()
                .map(|values| values.iter().map(|(_, value)| value).sum::<i64>());
            assert_eq!(highest.max(), Some(*expected), "second {second}");
        }
        let notices = batches.values().flat_map(|batch| &batch.notices);
        let told = notices.filter(|notice| notice.code == "samples_thinned");
        (thin, told.map(|notice| notice.count).sum())
    }
}

fn sums(deltas: &[i64]) -> Vec<i64> {
    let mut sum = 0;
    let sums = deltas.iter().map(|delta| {
        sum += delta;
        sum
    });
    sums.collect()
}

#[test]
fn on_a_full_disk_the_oldest_fine_samples_give_way_and_nothing_else() {
    let disk = match Disk::of(600 << 10) {
        Ok(disk) => disk,
        Err(reason) => return not_run(&reason),
    };
    let (mut scene, _) = scene(disk.path());
    scene.record(400, 40);
    let told = scene.finish();
    assert!(told.recorded.unwritten.is_empty() && told.recorded.warnings.is_empty());
    let batches = told.in_spool();
    let (thin, said) = told.check(&batches);
    assert!((50..400).contains(&thin) && said == thin, "{said}, {thin}");
    let last = batches.values().rfind(|batch| !batch.samples.is_empty());
    assert_eq!(
        last.unwrap().samples[0].t_us_delta.len(),
        TICKS as usize,
        "the newest is whole"
    );
}

#[test]
fn what_fits_nowhere_waits_in_memory_until_there_is_room() {
    let disk = match Disk::of(100 << 10) {
        Ok(disk) => disk,
        Err(reason) => return not_run(&reason),
    };
    let (mut scene, _) = scene(disk.path());
    scene.record(300, 1_000);
    disk.grow(64 << 20);
    scene.record(2, 40);
    let told = scene.finish();
    assert!(told.recorded.unwritten.is_empty());
    let (thin, said) = told.check(&told.in_spool());
    // What waited in memory did not have to give way.
    assert!(thin < 300 && said == thin, "{said}, {thin}");
}

#[test]
fn what_the_server_has_gives_way_and_all_of_it_reaches_the_server() {
    let disk = match Disk::of(400 << 10) {
        Ok(disk) => disk,
        Err(reason) => return not_run(&reason),
    };
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let peer = Peer::new(move |_, _| match up.load(Ordering::Relaxed) {
        true => Act::Take,
        false => Act::status(503),
    });
    let (mut scene, handoff) = scene(disk.path());
    let uuid = spool::uuid_of(&scene.folder).unwrap();
    let client = Client::new(&peer.url(), None, &Env::new(), uuid);
    let shipper = Shipper::start(client, &scene.folder, handoff.clone()).unwrap();
    scene.record(200, 40);
    wait_for("a try", || peer.asked().first().map(|_| ()));
    is_up.store(true, Ordering::Relaxed);
    wait_for("acknowledgements", || {
        (handoff.acknowledged() > 150).then_some(())
    });
    let before = handoff.acknowledged();
    scene.record(300, 40);
    wait_for("more of them", || {
        (handoff.acknowledged() > before).then_some(())
    });
    let told = scene.finish();
    let end = highwater_wire::v1::End {
        version: highwater_wire::VERSION,
        streams: vec![StreamCount {
            stream: told.stream.to_string(),
            batches: told.recorded.batches,
        }],
        ..highwater_wire::v1::End::default()
    };
    let record =
        |(seq, batch): &(u64, Batch)| (told.stream, spool::record_of(*seq, batch).unwrap());
    let unwritten = Unwritten {
        batches: told.recorded.unwritten.iter().map(record).collect(),
        end: Some(codec::encode(&end).unwrap()),
    };
    let outcome = shipper.finish(unwritten, PATIENCE, &AtomicBool::new(false));
    assert!(outcome.complete && outcome.missing == 0, "{outcome:?}");
    let mut taken = BTreeMap::new();
    for asked in peer.asked() {
        if let Some((_, seq)) = asked.path.split_once("/batches/") {
            let batch: Batch = codec::decode(&asked.body).unwrap();
            taken.insert(seq.parse().unwrap(), batch);
        }
    }
    let (thin, said) = told.check(&taken);
    // One that is under way when it gives way may arrive whole; none gives way untold.
    assert!(
        thin > 0 && (thin..=thin + 5).contains(&said),
        "{said}, {thin}"
    );
    assert!(told.folder.join("reserve").exists());
}

#[test]
fn the_end_of_a_command_that_filled_the_disk_is_written() {
    let disk = match Disk::of(2 << 20) {
        Ok(disk) => disk,
        Err(reason) => return not_run(&reason),
    };
    let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["run", "--quiet", "--spool"])
        .arg(disk.path().join("spool"))
        .args(["--", "sh", "-c", "cat /dev/zero > \"$0\"; exit 3"])
        .arg(disk.path().join("filler"))
        .env_remove("HIGHWATER_SERVER")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    let mut jobs = std::fs::read_dir(disk.path().join("spool")).unwrap();
    let folder = jobs.find_map(|entry| Some(entry.unwrap().path()).filter(|it| spool::is_job(it)));
    let end = spool::read_end(&folder.unwrap()).unwrap();
    assert_eq!(end.and_then(|end| end.exit_code), Some(3), "{told}");
}
