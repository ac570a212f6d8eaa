//! What was seen: how long acknowledgements took, what failed, and what the server took of the machine.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{client::Client, life::Play};

/// Batches of the first seconds are not counted: ten thousand connections are made then.
const WARM_UP: Duration = Duration::from_secs(10);
/// A page is asked for so often.
const LOOKS: Duration = Duration::from_secs(2);

pub(crate) struct Tally {
    server_pid: u32,
    began: Instant,
    took_us: Mutex<Vec<u32>>,
    page_us: Mutex<Vec<u32>>,
    refused: Mutex<BTreeMap<u16, u64>>,
    broken: AtomicU64,
    ended: AtomicU64,
    page_failures: AtomicU64,
    cpu_before_s: f64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    pub(crate) fn new(server_pid: u32) -> Self {
        Self {
            server_pid,
            began: Instant::now(),
            took_us: Mutex::default(),
            page_us: Mutex::default(),
            refused: Mutex::default(),
            broken: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            page_failures: AtomicU64::new(0),
            cpu_before_s: cpu_seconds(server_pid),
        }
    }

    /// A batch was acknowledged so long after it was due.
    pub(crate) fn acknowledged(&self, took: Duration) {
        if self.began.elapsed() > WARM_UP {
            lock(&self.took_us).push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn ended(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, status: u16) {
        *lock(&self.refused).entry(status).or_default() += 1;
    }

    pub(crate) fn broken(&self) {
        self.broken.fetch_add(1, Relaxed);
    }

    /// What was tried again: refused by status, and connections that broke.
    pub(crate) fn tried_again(&self) -> (BTreeMap<u16, u64>, u64) {
        (lock(&self.refused).clone(), self.broken.load(Relaxed))
    }

    /// Prints it.
    pub(crate) fn tell(&self, took: Duration) {
        let mut took_us = lock(&self.took_us).clone();
        took_us.sort_unstable();
        let seconds = (took - WARM_UP).as_secs_f64();
        println!(
            "acknowledged after {WARM_UP:?}: {} batches, {:.0} a second; ms from due to acknowledged: p50 {:.1}, p99 {:.1}, most {:.1}",
            took_us.len(),
            took_us.len() as f64 / seconds,
            at(&took_us, 0.5),
            at(&took_us, 0.99),
            at(&took_us, 1.0),
        );
        let mut page_us = lock(&self.page_us).clone();
        page_us.sort_unstable();
        println!(
            "pages: {} answered, {} not; ms: p50 {:.1}, p99 {:.1}",
            page_us.len(),
            self.page_failures.load(Relaxed),
            at(&page_us, 0.5),
            at(&page_us, 0.99),
        );
        println!(
            "jobs ended: {}; refused and sent again: {:?}; connections broken: {}",
            self.ended.load(Relaxed),
            lock(&self.refused),
            self.broken.load(Relaxed),
        );
        let cpu = cpu_seconds(self.server_pid) - self.cpu_before_s;
        println!(
            "server: {:.2} of a core, highest RSS {:.0} MB; this generator: {:.2} of a core",
            cpu / took.as_secs_f64(),
            high_water_mb(self.server_pid),
            cpu_seconds(std::process::id()) / took.as_secs_f64(),
        );
    }
}

/// A quantile of sorted times, ms.
fn at(sorted_us: &[u32], quantile: f64) -> f64 {
    let last = sorted_us.len().saturating_sub(1) as f64;
    let found = sorted_us.get((last * quantile) as usize);
    found.map_or(f64::NAN, |us| f64::from(*us) / 1e3)
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = |n: usize| {
        fields
            .split(' ')
            .nth(n)
            .and_then(|text| text.parse::<f64>().ok())
    };
    (ticks(11).unwrap_or(f64::NAN) + ticks(12).unwrap_or(f64::NAN)) / 100.0
}

fn high_water_mb(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0 / 1e6)
}

/// Opens pages while jobs are played, as people do.
pub(crate) async fn look(play: Arc<Play>) {
    let pages = [
        "/",
        "/p/load~p1",
        "/api/v1/projects/load~p1/jobs",
        "/p/load~p2",
    ];
    let mut next = pages.iter().cycle();
    while tokio::time::Instant::now() < play.until {
        sleep(LOOKS).await;
        let began = Instant::now();
        let page = next.next().copied().unwrap_or("/");
        match Client::new(&play.address).get(page).await {
            Ok(answer) if answer.status.is_success() => {
                let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
                lock(&play.tally.page_us).push(took);
            }
            Ok(_) | Err(_) => {
                play.tally.page_failures.fetch_add(1, Relaxed);
            }
        }
    }
}
