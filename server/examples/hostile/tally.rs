//! What was answered, and whether it may be.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, header, http::response::Parts};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{Failure, PATIENCE, Play};

/// Whether the server lives, and how much it holds, is looked at so often.
const LOOKS: Duration = Duration::from_millis(250);
/// So many wrong answers are shown.
const MOST_SHOWN: usize = 20;

pub(crate) struct Tally {
    canary: Vec<u8>,
    server_pid: u32,
    began: Instant,
    /// By kind and status; 0 where the connection broke off.
    counts: Mutex<BTreeMap<(&'static str, u16), u64>>,
    wrong: Mutex<Vec<String>>,
    highest_rss_bytes: AtomicU64,
    looks: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Tally {
    pub(crate) fn new(canary: &str, server_pid: u32) -> Self {
        Self {
            canary: canary.as_bytes().to_vec(),
            server_pid,
            began: Instant::now(),
            counts: Mutex::default(),
            wrong: Mutex::default(),
            highest_rss_bytes: AtomicU64::new(0),
            looks: AtomicU64::new(0),
        }
    }

    fn count(&self, kind: &'static str, status: u16) {
        *lock(&self.counts).entry((kind, status)).or_default() += 1;
    }

    /// The connection was closed instead of an answer: for what is no HTTP, and bodies beyond their limit.
    pub(crate) fn broken(&self, kind: &'static str) {
        self.count(kind, 0);
    }

    pub(crate) fn wrong(&self, what: String) {
        let mut wrong = lock(&self.wrong);
        if wrong.len() < MOST_SHOWN {
            eprintln!("hostile: {what}");
        }
        wrong.push(what);
    }

    /// Holds an answer to what it may be.
    pub(crate) fn answered(&self, kind: &'static str, told: &str, head: &Parts, body: &[u8]) {
        let status = head.status.as_u16();
        self.count(kind, status);
        let told: String = told.chars().take(300).collect();
        let may_wait = matches!(status, 429 | 503);
        if may_wait && !head.headers.contains_key(header::RETRY_AFTER) {
            self.wrong(format!("{told}: {status} without Retry-After"));
        }
        if status >= 500 && !may_wait {
            self.wrong(format!(
                "{told}: {status} {}",
                String::from_utf8_lossy(body)
            ));
        }
        if head.headers.contains_key("owned")
            || head
                .headers
                .get_all(header::SET_COOKIE)
                .iter()
                .any(|cookie| holds(cookie.as_bytes(), b"owned"))
        {
            self.wrong(format!("{told}: a header was sent along"));
        }
        let is_page = head
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        for markup in [&b"<script>"[..], b"<img", b"<iframe", b"<svg/"] {
            if is_page && holds(body, markup) {
                self.wrong(format!(
                    "{told}: the page holds {}",
                    String::from_utf8_lossy(markup)
                ));
            }
        }
        self.no_canary(&told, body);
    }

    /// The same for the bytes of a connection.
    pub(crate) fn said(&self, kind: &'static str, sent: &[u8], answer: &[u8]) {
        let status = answer
            .get(9..12)
            .and_then(|status| std::str::from_utf8(status).ok());
        let status = status.and_then(|status| status.parse().ok()).unwrap_or(0);
        self.count(kind, status);
        let told: String = String::from_utf8_lossy(sent).chars().take(300).collect();
        if status >= 500 {
            self.wrong(format!("{told:?}: {status}"));
        }
        self.no_canary(&told, answer);
    }

    fn no_canary(&self, told: &str, body: &[u8]) {
        if holds(body, &self.canary) {
            self.wrong(format!("{told}: tells of another project"));
        }
    }

    /// Tells everything; true where nothing was wrong.
    pub(crate) fn tell(&self) -> bool {
        let seconds = self.began.elapsed().as_secs_f64();
        let counts = lock(&self.counts);
        let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((kind, status), count) in counts.iter() {
            let status = if *status == 0 {
                "closed".to_owned()
            } else {
                status.to_string()
            };
            kinds
                .entry(kind)
                .or_default()
                .push(format!("{status}: {count}"));
        }
        for (kind, told) in kinds {
            println!("{kind:16} {}", told.join(", "));
        }
        let all: u64 = counts.values().sum();
        println!(
            "{all} requests in {seconds:.1} s ({:.0} a second)",
            all as f64 / seconds
        );
        let rss = self.highest_rss_bytes.load(Relaxed);
        println!(
            "highest memory of the server: {} MiB; it answered {} looks",
            rss >> 20,
            self.looks.load(Relaxed)
        );
        let wrong = lock(&self.wrong).len();
        println!("{wrong} answers were wrong");
        wrong == 0
    }
}

/// Looks whether the server lives, until everything is sent.
pub(crate) async fn look(play: Arc<Play>) {
    while !play.is_over.load(Relaxed) {
        match timeout(PATIENCE, alive(&play)).await {
            Ok(Ok(true)) => {
                play.tally.looks.fetch_add(1, Relaxed);
            }
            other => play
                .tally
                .wrong(format!("the server does not say that it lives: {other:?}")),
        }
        let status = format!("/proc/{}/status", play.tally.server_pid);
        let status = fs::read_to_string(status).unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let rss = rss.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        play.tally
            .highest_rss_bytes
            .fetch_max(rss.unwrap_or(0) << 10, Relaxed);
        sleep(LOOKS).await;
    }
}

async fn alive(play: &Play) -> Result<bool, Failure> {
    let stream = TcpStream::connect(&play.address).await?;
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    let request = Request::get("/healthz").header(header::HOST, &play.address);
    let answer = sender
        .send_request(request.body(Empty::<Bytes>::new())?)
        .await?;
    let is_well = answer.status().is_success();
    answer.into_body().collect().await?;
    Ok(is_well)
}
