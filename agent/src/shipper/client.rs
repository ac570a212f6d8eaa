//! One request.

use std::{fmt, sync::Arc, time::Duration};

use highwater_wire::{
    CLOCK_HEADER,
    receipt::{JOB_HEADER, JobTold, Receipt},
};
use ureq::{
    Agent, Error, Timeout,
    http::{HeaderValue, StatusCode},
    tls::TlsConfig,
};
use uuid::Uuid;

use super::{
    addresses::{Addresses, Remembered},
    answer::{Answer, Asked, Reply, legible, meaning, own_words},
    identity::{Identity, bearer},
    route,
    transport::{Connections, Leisure},
};
use crate::{bell::Bell, ci::Env, settings::Token};

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connecting: Duration,
    /// All of it, the answer included.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connecting: Duration::from_secs(3),
            whole: Duration::from_secs(20),
        }
    }
}

/// The longest answer that is read: a server of ours says less.
const MOST_ANSWER_BYTES: u64 = 64 << 10;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// How the job began.
    Job,
    /// A batch of a stream.
    Batch(Uuid, u64),
    /// How it ended.
    End,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job => f.write_str("the job's begin"),
            Self::Batch(stream, seq) => write!(f, "batch {seq} of stream {stream}"),
            Self::End => f.write_str("the job's end"),
        }
    }
}

/// What came back of a question.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    /// Where a redirect points.
    pub(super) location: Option<String>,
    /// The server's clock.
    pub(super) date: Option<String>,
    /// Which job it says that it tells of.
    pub(super) told: Option<String>,
    pub(super) body: String,
    /// Whether the body is there; one that was too long is not.
    pub(super) is_read: bool,
}

/// What proves to a server who sends.
#[derive(Debug, Clone)]
enum Credential {
    None,
    Token(HeaderValue),
    Identity(Arc<Identity>),
}

impl Credential {
    /// A token where one is given, else what the CI can prove, if that is asked for.
    fn of(token: Option<&Token>, env: &Env) -> Result<Self, String> {
        if let Some(header) = token.and_then(bearer) {
            return Ok(Self::Token(header));
        }
        match Identity::of(env) {
            None => Ok(Self::None),
            Some(identity) => Ok(Self::Identity(Arc::new(identity?))),
        }
    }

    fn header(&self) -> Result<Option<HeaderValue>, String> {
        match self {
            Self::None => Ok(None),
            Self::Token(header) => Ok(Some(header.clone())),
            Self::Identity(identity) => identity.header().map(Some),
        }
    }
}

/// A server and a job there.
#[derive(Debug, Clone)]
pub struct Client {
    /// Or why nothing can be sent.
    agent: Result<Agent, String>,
    /// Where the server was when it was last looked up.
    addresses: Remembered,
    leisure: Leisure,
    server: String,
    credential: Credential,
    uuid: Uuid,
    timeouts: Timeouts,
    /// How the proxy on the way is called.
    proxy: Option<String>,
}

impl Client {
    /// Speaks of a job to a server, as `http://host:port`; the proxy and the certificates to trust come from the environment.
    /// What is wrong with these is the answer to every request.
    #[must_use]
    pub fn new(server: &str, token: Option<&Token>, env: &Env, uuid: Uuid) -> Self {
        Self::with_timeouts(server, token, env, uuid, Timeouts::default())
    }

    /// The same with other timeouts.
    #[must_use]
    pub fn with_timeouts(
        server: &str,
        token: Option<&Token>,
        env: &Env,
        uuid: Uuid,
        timeouts: Timeouts,
    ) -> Self {
        let server = server.trim_end_matches('/').to_owned();
        let proxy = route::proxy_for(&server, env);
        let name = proxy.as_ref().ok().and_then(Option::as_ref);
        let credential = Credential::of(token, env);
        let resolver = Addresses::default();
        let connections = Connections::default();
        Self {
            addresses: resolver.remembered(),
            leisure: connections.leisure(),
            proxy: name.map(|proxy| proxy.name.clone()),
            agent: proxy.and_then(|proxy| {
                credential.as_ref().map_err(Clone::clone)?;
                let roots = match server.starts_with("https:") {
                    true => route::roots(env)?,
                    false => ureq::tls::RootCerts::WebPki,
                };
                let config = Agent::config_builder()
                    .timeout_connect(Some(timeouts.connecting))
                    .timeout_global(Some(timeouts.whole))
                    .http_status_as_error(false)
                    .max_redirects(0)
                    .proxy(proxy.map(|proxy| proxy.proxy))
                    .tls_config(TlsConfig::builder().root_certs(roots).build())
                    .user_agent(concat!("highwater/", env!("CARGO_PKG_VERSION")))
                    .build();
                Ok(Agent::with_parts(config, connections, resolver))
            }),
            credential: credential.unwrap_or(Credential::None),
            server,
            uuid,
            timeouts,
        }
    }

    /// Address of the job's page.
    #[must_use]
    pub fn page(&self) -> String {
        format!("{}/jobs/{}", self.server, self.uuid)
    }

    /// Sends one item, protobuf under zstd.
    #[must_use]
    pub fn put(&self, item: Item, payload: &[u8]) -> Answer {
        self.put_within(item, payload, Duration::MAX)
    }

    /// The same, and takes no longer than `patience`, should that be less than a request may take anyway.
    #[must_use]
    pub fn put_within(&self, item: Item, payload: &[u8], patience: Duration) -> Answer {
        let whole = self.timeouts.whole.min(patience);
        let agent = match &self.agent {
            Ok(agent) => agent,
            Err(problem) => return Answer::Closed(problem.clone()),
        };
        let Self { server, uuid, .. } = self;
        let (url, receipt) = match item {
            Item::Job => (
                format!("{server}/api/v1/jobs/{uuid}"),
                Receipt::of_job(*uuid),
            ),
            Item::Batch(stream, seq) => (
                format!("{server}/api/v1/jobs/{uuid}/streams/{stream}/batches/{seq}"),
                Receipt::of_batch(*uuid, stream, seq),
            ),
            Item::End => (
                format!("{server}/api/v1/jobs/{uuid}/end"),
                Receipt::of_end(*uuid),
            ),
        };
        let mut request = agent
            .put(&url)
            .config()
            .timeout_global(Some(whole))
            .build()
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "zstd");
        match self.credential.header() {
            Ok(Some(header)) => request = request.header("Authorization", header),
            Ok(None) => {}
            Err(why) => return Answer::Again(None, why),
        }
        // Last, so that nothing that is waited for before counts.
        let request = request.header(CLOCK_HEADER, crate::clock::unix_us().to_string());
        let mut response = match request.send(payload) {
            Ok(response) => response,
            Err(error) => return self.no_answer(&error, whole),
        };
        let body = response
            .body_mut()
            .with_config()
            .limit(MOST_ANSWER_BYTES)
            .read_to_string();
        let body = match body {
            Ok(body) => body,
            // No answer of a server of ours, whatever it says.
            Err(Error::BodyExceedsLimit(_)) => String::new(),
            Err(error) => return self.no_answer(&error, whole),
        };
        if let Credential::Identity(identity) = &self.credential
            && response.status() == StatusCode::UNAUTHORIZED
            && identity.forget()
        {
            return Answer::Again(
                None,
                "the server asks for a newer identity token".to_owned(),
            );
        }
        let header = |name| response.headers().get(name)?.to_str().ok();
        let reply = Reply {
            status: response.status(),
            location: header("location"),
            retry_after: header("retry-after"),
            body: &body,
        };
        let asked = Asked {
            receipt,
            begins_job: item == Item::Job,
            is_batch: matches!(item, Item::Batch(..)),
            has_token: self.has_token(),
            bytes: payload.len(),
        };
        meaning(&asked, &reply)
    }

    /// Lets the answer to what is put next wait for a bell, since nobody is in a hurry for it, or for none.
    pub(super) fn set_leisure(&self, bell: Option<Bell>) {
        self.leisure.set(bell);
    }

    /// What a path of the server answers, of at most so many bytes, or why it does not.
    ///
    /// # Errors
    /// When nothing comes within the time, or a refusal.
    pub fn read(&self, path: &str, patience: Duration, most_bytes: u64) -> Result<String, String> {
        read(self.get_up_to(path, patience, most_bytes)?, most_bytes)
    }

    /// The same; `None` where nothing is there.
    ///
    /// # Errors
    /// When nothing comes within the time, or a refusal.
    pub fn read_if_there(
        &self,
        path: &str,
        patience: Duration,
        most_bytes: u64,
    ) -> Result<Option<String>, String> {
        let page = self.get_up_to(path, patience, most_bytes)?;
        match page.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => read(page, most_bytes).map(Some),
        }
    }

    /// The same of a report of the job, which says of itself that it is one.
    ///
    /// # Errors
    /// When nothing comes within the time, or a refusal, or something that is no report of the job.
    pub fn read_report(
        &self,
        path: &str,
        patience: Duration,
        most_bytes: u64,
    ) -> Result<String, String> {
        let page = self.get_up_to(path, patience, most_bytes)?;
        let told = page.told.as_deref().map(str::parse::<JobTold>);
        match told {
            _ if page.status != StatusCode::OK => {}
            Some(Ok(told)) if told.job == self.uuid => {}
            Some(Ok(told)) => return Err(format!("it answered with a report of {}", told.job)),
            Some(Err(_)) | None => {
                return Err(format!(
                    "what answers at {} is no report: it lacks the header {JOB_HEADER}, by which a highwater-server names the job. A page that asks for a login answers so, and so does a server that is older than this highwater",
                    self.server
                ));
            }
        }
        read(page, most_bytes)
    }

    /// Sends a document to a path of the server; what it answers, or why it takes it not.
    ///
    /// # Errors
    /// When nothing comes, or a refusal.
    pub fn post(&self, path: &str, json: &str) -> Result<String, String> {
        self.change("POST", path, json, MOST_ANSWER_BYTES)
    }

    /// The same with an answer of at most so many bytes.
    ///
    /// # Errors
    /// When nothing comes, or a refusal.
    pub fn post_up_to(&self, path: &str, json: &str, most_bytes: u64) -> Result<String, String> {
        self.change("POST", path, json, most_bytes)
    }

    /// Has the server take something back; what it answers, or why it does not.
    ///
    /// # Errors
    /// When nothing comes, or a refusal.
    pub fn delete(&self, path: &str) -> Result<String, String> {
        self.change("DELETE", path, "", MOST_ANSWER_BYTES)
    }

    fn change(
        &self,
        method: &str,
        path: &str,
        body: &str,
        most_bytes: u64,
    ) -> Result<String, String> {
        let agent = self.agent.as_ref().map_err(Clone::clone)?;
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("Content-Type", "application/json");
        if let Some(header) = self.credential.header()? {
            request = request.header("Authorization", header);
        }
        let request = request
            .body(body.to_owned())
            .map_err(|error| error.to_string())?;
        let sent = agent.run(request).and_then(|mut response| {
            let body = response.body_mut().with_config().limit(most_bytes);
            let body = body.read_to_string()?;
            Ok((response.status(), body))
        });
        let (status, body) =
            sent.map_err(|error| match self.no_answer(&error, self.timeouts.whole) {
                Answer::Closed(why) | Answer::Again(_, why) => why,
                _ => error.to_string(),
            })?;
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(body),
            StatusCode::UNAUTHORIZED => {
                Err("the server asks for a token of the scope admin (HIGHWATER_TOKEN)".to_owned())
            }
            StatusCode::NOT_FOUND => Err(not_there(&body)),
            status => Err(format!("the server answered {status}{}", said_of(&body))),
        }
    }

    /// Asks for a page, which may take so long; the answer, or why there is none.
    pub(super) fn get(&self, path: &str, patience: Duration) -> Result<Page, String> {
        self.get_up_to(path, patience, MOST_ANSWER_BYTES)
    }

    fn get_up_to(&self, path: &str, patience: Duration, most_bytes: u64) -> Result<Page, String> {
        let agent = self.agent.as_ref().map_err(Clone::clone)?;
        let mut request = agent
            .get(format!("{}{path}", self.server))
            .config()
            .timeout_global(Some(patience))
            .build();
        if let Some(header) = self.credential.header()? {
            request = request.header("Authorization", header);
        }
        let read = request.call().and_then(|mut response| {
            let body = response.body_mut().with_config().limit(most_bytes);
            let body = match body.read_to_string() {
                // No answer of a server of ours, whatever it says.
                Err(Error::BodyExceedsLimit(_)) => None,
                body => Some(body?),
            };
            let header = |name| response.headers().get(name)?.to_str().ok();
            Ok(Page {
                status: response.status(),
                location: header("location").map(str::to_owned),
                date: header("date").map(str::to_owned),
                told: header(JOB_HEADER).map(str::to_owned),
                is_read: body.is_some(),
                body: body.unwrap_or_default(),
            })
        });
        read.map_err(|error| match self.no_answer(&error, patience) {
            Answer::Closed(why) | Answer::Again(_, why) => why,
            _ => error.to_string(),
        })
    }

    /// How the proxy on the way is called.
    pub(super) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Whether a token goes with each request.
    pub(super) fn has_token(&self) -> bool {
        !matches!(self.credential, Credential::None)
    }

    /// What it means that no answer came in the time that a request had, and what stood between. A peer that does not prove who it is will not do so later either.
    fn no_answer(&self, error: &Error, whole: Duration) -> Answer {
        self.addresses.forget();
        let mut why = match error {
            Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                format!("no connection within {}", seconds(self.timeouts.connecting))
            }
            Error::Timeout(_) => format!("no answer within {}", seconds(whole)),
            error => legible(&error.to_string()),
        };
        if let Some(proxy) = &self.proxy {
            why = format!("{why}, through {proxy}");
        }
        let unproven = match error {
            Error::Rustls(_) | Error::Tls(_) => true,
            Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
            _ => false,
        };
        match unproven && self.server.starts_with("https:") {
            true => Answer::Closed(format!(
                "{why}; HIGHWATER_CA_FILE can name the authority of the server's certificate"
            )),
            false => Answer::Again(None, why),
        }
    }
}

/// What a page says, or why it does not.
fn read(page: Page, most_bytes: u64) -> Result<String, String> {
    match page.status {
        StatusCode::OK if !page.is_read => Err(format!(
            "it answered with more than {} MB",
            most_bytes / 1_000_000
        )),
        StatusCode::OK => Ok(page.body),
        StatusCode::NOT_FOUND => Err(not_there(&page.body)),
        StatusCode::UNAUTHORIZED => {
            Err("the server asks for a token that may read (HIGHWATER_TOKEN)".to_owned())
        }
        status => Err(format!(
            "the server answered {status}{}",
            said_of(&page.body)
        )),
    }
}

/// A server tells nobody of what is not for him.
fn not_there(body: &str) -> String {
    "it is not there, or not for whoever asks".to_owned() + &said_of(body)
}

/// What a server of ours says of a refusal, behind what is told of it anyway.
fn said_of(body: &str) -> String {
    own_words(body).map_or_else(String::new, |words| format!(": {words}"))
}

/// A time as it is told, to a tenth of a second.
pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", (time.as_secs_f64() * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    #[test]
    fn a_server_that_does_not_answer_is_looked_up_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        // Answers one question and then listens no more.
        let once = thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            assert!(lines.take_while(|line| !line.is_empty()).count() > 0);
            stream.write_all(b"HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        });
        let client = Client::new(&server, None, &Env::new(), Uuid::nil());
        let page = client.get("/healthz", Duration::from_secs(60)).unwrap();
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!client.addresses.is_empty());
        once.join().unwrap().unwrap();
        client.get("/healthz", Duration::from_secs(60)).unwrap_err();
        assert!(client.addresses.is_empty());
    }
}
