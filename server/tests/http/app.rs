//! A running server and how to ask it.

use std::{
    net::SocketAddr,
    process::Command,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use highwater_server::{config::Config, open, serve};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};
use uuid::Uuid;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that stops when it is dropped.
pub(crate) struct App {
    pub(crate) url: String,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) database: String,
    folder: Option<TempDir>,
}

/// A status and what came with it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// A header of it, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {}: {}", self.status, self.text))
    }
}

impl App {
    pub(crate) fn start() -> Self {
        Self::with_silence(Duration::from_secs(600))
    }

    pub(crate) fn with_silence(silence: Duration) -> Self {
        Self::with(Self::config(silence), |_| {})
    }

    /// A usual server, but for how long it waits for a silent job.
    pub(crate) fn config(silence: Duration) -> Config {
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            silence,
            patience: PATIENCE,
            ..Config::default()
        }
    }

    /// A server whose database is prepared before it starts, by its address.
    pub(crate) fn with(config: Config, prepare: impl FnOnce(&str)) -> Self {
        let folder = TempDir::new().unwrap();
        let database = format!("sqlite://{}", folder.path().join("test.db").display());
        prepare(&database);
        let mut app = Self::on(config, database);
        app.folder = Some(folder);
        app
    }

    /// A server on a database that somebody else cares for.
    pub(crate) fn on(config: Config, database: String) -> Self {
        let address_of_database = database.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, address) = std::sync::mpsc::channel::<SocketAddr>();
        let thread = std::thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let store = open(&database).await.unwrap();
                let config = Config { database, ..config };
                let shutdown = async {
                    let _ = stopped.await;
                };
                serve(&config, store, listener, shutdown).await.unwrap();
            });
        });
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Self {
            url: format!("http://{}", address.recv().unwrap()),
            agent: config.into(),
            stop: Some(stop),
            thread: Some(thread),
            database: address_of_database,
            folder: None,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let answer = self.agent.get(format!("{}{path}", self.url)).call();
        read(answer.unwrap())
    }

    /// Asks with headers of one's own; a body is a form.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match method {
            "GET" => self.agent.run(request.body(()).unwrap()),
            _ => self.agent.run(request.body(body.to_owned()).unwrap()),
        };
        read(answer.unwrap())
    }

    pub(crate) fn get_as(&self, path: &str, host: &str) -> Answer {
        let request = self.agent.get(format!("{}{path}", self.url));
        read(request.header("Host", host).call().unwrap())
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        let answer = self.agent.delete(format!("{}{path}", self.url)).call();
        read(answer.unwrap())
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.put_bytes(path, "application/json", "", body.to_string().as_bytes())
    }

    /// Puts something that must be taken as new.
    pub(crate) fn put_new(&self, path: &str, body: &Value) {
        let answer = self.put(path, body);
        assert_eq!(answer.status, 201, "{path}: {}", answer.text);
    }

    pub(crate) fn put_bytes(&self, path: &str, kind: &str, encoding: &str, body: &[u8]) -> Answer {
        let mut request = self
            .agent
            .put(format!("{}{path}", self.url))
            .header("Content-Type", kind);
        if !encoding.is_empty() {
            request = request.header("Content-Encoding", encoding);
        }
        read(request.send(body).unwrap())
    }

    /// Returns once a job is settled, seen with a token.
    pub(crate) fn wait_settled(&self, uuid: Uuid, token: &str) {
        let bearer = format!("Bearer {token}");
        wait_for(&format!("{uuid} to be settled"), || {
            let path = format!("/api/v1/jobs/{uuid}");
            let job = self
                .ask("GET", &path, &[("Authorization", &bearer)], "")
                .json();
            (job["revision"].as_u64() > Some(0)).then_some(())
        });
    }

    /// The job once it is settled in a state.
    pub(crate) fn settled(&self, uuid: Uuid, state: &str) -> Value {
        wait_for(&format!("{uuid} to be {state}"), || {
            let job = self.get(&format!("/api/v1/jobs/{uuid}")).json();
            (job["state"] == state && job["revision"].as_u64() > Some(0)).then_some(job)
        })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// Runs a command of the program on a database: whether it succeeded, what it put out, and what it said besides.
pub(crate) fn command(database: &str, args: &[&str]) -> (bool, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_highwater-server"))
        .args(args)
        .args(["--database", database])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        text: {
            let body = answer.body_mut().with_config().limit(1 << 30);
            body.read_to_string().unwrap()
        },
    }
}

pub(crate) fn wait_for<T>(what: &str, condition: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How a job begins.
pub(crate) fn job(name: &str) -> Value {
    json!({"version": 1, "project": "owner/repo", "name": name, "attempt": 1, "intervalUs": 50000, "startedUnixUs": "1700000000000000",
        "run": {"provider": "local", "id": "1"}})
}

/// The nth of the batches of a job that runs one test in each: samples on the grid, and marks.
pub(crate) fn batch(n: i64, file: &str) -> Value {
    let at = n * 1_000_000;
    let rss = 10_000_000 + n * 1_000_000;
    let marks = json!([
        {"tUs": at + 10, "rssBytes": rss, "peakBytes": rss, "testBegin": {"execution": 1, "path": file, "nodeid": format!("{file}::test_{n}")}},
        {"tUs": at + 500_000, "rssBytes": rss + 1_000_000, "peakBytes": rss + 5_000_000, "testEnd": {"outcome": "passed", "setup": "passed", "call": "passed", "teardown": "passed"}},
    ]);
    let ticks: Vec<i64> = (0..20)
        .map(|tick| if tick == 0 { at } else { 50_000 })
        .collect();
    let values: Vec<i64> = (0..20)
        .map(|tick| if tick == 0 { rss } else { 1_000 * (n + 1) })
        .collect();
    json!({"version": 1, "fromUs": at, "toUs": at + 1_000_000,
        "processes": [{"pid": 7, "startTicks": 1, "command": "pytest", "role": "ROLE_PYTEST", "session": "s", "exact": true, "startedUs": 0}],
        "sessions": [{"id": "s", "beganUs": 0}],
        "samples": [{"tUsDelta": ticks, "latenessUs": vec![3; 20], "series": [{"metric": "METRIC_RSS", "process": 0, "first": 0, "valueDelta": values}]}],
        "marks": marks})
}

/// How a job of so many batches ended.
pub(crate) fn end(stream: Uuid, batches: i64) -> Value {
    json!({"version": 1, "endedUs": batches * 1_000_000, "exitCode": 0, "streams": [{"stream": stream, "batches": batches}]})
}
