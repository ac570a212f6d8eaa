//! The way of a sample from the kernel to the spool, with real processes and a real spool: in steady state it takes no memory.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::Receiver,
};

use uuid::Uuid;

use super::*;
use crate::{
    cgroup::Cgroups,
    pace::Pace,
    procfs::Procfs,
    sampler::{Sampler, SamplerProps, Seconds, Sights, Teller, Unwatched},
    spool::{self, Spool},
    tree::{Discovery, Tree},
};

const PROCESSES: usize = 10;
const INTERVAL_US: i64 = 50_000;
/// Ticks of a second, and so of a batch.
const SECOND: i64 = 20;
/// Every so many ticks the events files are looked at.
const LOOK: i64 = 4;

/// Real processes that wait for their end.
struct Sleepers(Vec<Child>);

impl Sleepers {
    fn start() -> Self {
        let start = |_| {
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            command.spawn().unwrap()
        };
        Self((0..PROCESSES).map(start).collect())
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A `/proc` of real files in which only this test's processes are: what else is born on the machine meanwhile is no steady state.
fn procfs(root: &Path, sleepers: &Sleepers) -> Procfs {
    let own = std::process::id();
    for child in &sleepers.0 {
        let pid = child.id().to_string();
        symlink(Path::new("/proc").join(&pid), root.join(&pid)).unwrap();
    }
    for name in ["meminfo", "vmstat", "pressure", &own.to_string()] {
        symlink(Path::new("/proc").join(name), root.join(name)).unwrap();
    }
    let newest = sleepers.0.iter().map(Child::id).max().unwrap();
    fs::write(root.join("loadavg"), format!("0.0 0.0 0.0 1/99 {newest}\n")).unwrap();
    Procfs::new(root)
}

struct Way {
    sampler: Sampler<Message>,
    recorder: Recorder<Spool>,
    now_us: i64,
}

impl Way {
    /// Takes so many ticks and hands each second on, as the two threads do.
    fn run(&mut self, ticks: i64) {
        for _ in 0..ticks {
            self.now_us += INTERVAL_US;
            self.sampler.tick(self.now_us);
            while let Ok(Message::Seen(seen)) = self.recorder.messages.try_recv() {
                self.recorder.see(seen);
            }
            let tick = self.now_us / INTERVAL_US;
            if tick % LOOK == 0 {
                self.recorder.look(false);
            }
            if tick % SECOND == 0 {
                self.recorder.advise(false);
                self.recorder.flush(false);
            }
            // The thread that reads PSS has the clock of the machine, not of this test.
            while self.sampler.is_reading_slowly() {
                std::hint::spin_loop();
            }
        }
    }
}

fn way(root: &Path, sleepers: &Sleepers) -> Way {
    let procfs = procfs(root, sleepers);
    let clock = JobClock::new(monotonic_us().cast_unsigned());
    let own = std::process::id();
    let mut tree = Tree::new(procfs.clone(), own, rustix::param::page_size() as u64);
    let first = sleepers.0[0].id();
    let discovery = Discovery::begin(&tree, first, 0);
    for child in &sleepers.0 {
        let words = ["cat", "--token=x", "a word"].map(str::to_owned);
        tree.adopt(child.id(), words.to_vec(), 0).unwrap();
    }
    let cgroups = Cgroups::of(&Procfs::system(), own).unwrap();
    let seconds = Seconds::new(procfs.open_machine().unwrap(), cgroups);
    let (sender, messages): (_, Receiver<Message>) = sync_channel(1_000);
    let (pace, spares) = (Pace::default(), Spares::default());
    let spool = Spool::create(&root.join("spool"), &job(), Uuid::now_v7()).unwrap();
    let start = JobStart {
        boot_id: String::new(),
        monotonic_us: 0,
        unix_us: 0,
    };
    let tailer = Tailer::new(spool.events(), start);
    let teller = Teller::new(sender);
    let recorder = Recorder::new(RecorderProps {
        sights: Sighted::default(),
        clock,
        tailer,
        sink: spool,
        messages,
        lost: teller.lost(),
        spares: spares.clone(),
    });
    let sampler = Sampler::new(SamplerProps {
        sights: Sights::new(Procfs::system(), "/no/events".into(), Unwatched::default()),
        protector: None,
        procfs,
        clock,
        interval_us: INTERVAL_US.cast_unsigned(),
        tree,
        discovery,
        seconds,
        teller,
        budget_bytes: 0,
        pace,
        spares,
    });
    Way {
        sampler: sampler.unwrap(),
        recorder,
        now_us: 0,
    }
}

fn job() -> v1::Job {
    v1::Job {
        version: highwater_wire::VERSION,
        project: "o/r".to_owned(),
        run: Some(v1::Run {
            provider: "local".to_owned(),
            id: "1".to_owned(),
            ..v1::Run::default()
        }),
        name: "steady".to_owned(),
        attempt: 1,
        interval_us: INTERVAL_US.cast_unsigned(),
        ..v1::Job::default()
    }
}

#[test]
fn from_the_kernel_to_the_spool_no_memory_is_taken() {
    let root = TempDir::new().unwrap();
    let sleepers = Sleepers::start();
    let mut way = way(root.path(), &sleepers);
    // A folder that changed this very moment is listed again with each look.
    let events = way.recorder.keeper.sink().events();
    let age = || fs::metadata(&events).unwrap().modified().unwrap().elapsed();
    while age().is_ok_and(|age| age.as_millis() <= 100) {
        std::thread::yield_now();
    }
    let begun = allocation_counter::measure(|| way.run(10 * SECOND));
    assert!(
        begun.count_total > 0,
        "what comes and grows does take memory"
    );
    let folder = way.recorder.keeper.sink().folder().to_path_buf();
    let before = spool::read(&folder).unwrap().batches.len();
    let taken = allocation_counter::measure(|| way.run(10 * SECOND));
    assert_eq!((taken.count_total, taken.bytes_total), (0, 0), "{taken:?}");
    let batches = spool::read(&folder).unwrap().batches;
    assert_eq!(batches.len() - before, 10);
    for (_, _, batch) in &batches[before..] {
        let values = |metric: Metric| -> usize {
            let series = batch.samples.iter().flat_map(|samples| &samples.series);
            let of = series.filter(|series| series.metric() == metric);
            of.map(|series| series.value_delta.len()).sum()
        };
        let expected = PROCESSES * SECOND as usize;
        assert_eq!(
            (values(Metric::Rss), values(Metric::Anon)),
            (expected, expected)
        );
        assert_eq!(values(Metric::MachineTotal), 1);
    }
    let pss = batches.iter().flat_map(|(_, _, batch)| &batch.samples);
    let pss = pss.flat_map(|samples| &samples.series);
    assert!(pss.filter(|series| series.metric() == Metric::Pss).count() >= PROCESSES);
}

#[test]
fn the_counter_counts() {
    let taken = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 9])));
    assert_eq!(taken.count_total, 1);
}
