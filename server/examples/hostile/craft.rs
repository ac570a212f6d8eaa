//! One request after the other.

use std::{fmt::Write, sync::Arc};

use fastrand::Rng;
use http_body_util::Full;
use hyper::{Request, body::Bytes, header, http::HeaderValue};
use uuid::Uuid;

use crate::{
    Play,
    messages::{self, Body},
    texts::{escaped, number, text},
};

/// Jobs that one connection fills with hostile texts.
const MOST_MADE: usize = 4;

pub(crate) struct Crafter {
    play: Arc<Play>,
    pub(crate) random: Rng,
    bombs: Vec<Vec<u8>>,
    /// Jobs that were begun, filled and ended.
    pub(crate) made: Vec<Uuid>,
    /// What of a job is still to be sent.
    under_way: Vec<(String, Body)>,
}

impl Crafter {
    pub(crate) fn new(play: Arc<Play>, seed: u64) -> Self {
        Self {
            play,
            random: Rng::with_seed(seed),
            bombs: messages::bombs(),
            made: Vec::new(),
            under_way: Vec::new(),
        }
    }

    /// Whether the next is to be no HTTP.
    pub(crate) fn wants_raw(&mut self) -> bool {
        self.random.u16(..1_000) < 10
    }

    /// A request, and of what kind it is.
    pub(crate) fn next(&mut self) -> (&'static str, Request<Full<Bytes>>) {
        match self.random.u16(..1_000) {
            0..=299 => ("query", self.query()),
            300..=449 => ("path", self.path()),
            450..=599 => ("other project", self.other_project()),
            600..=699 => ("header", self.header()),
            700..=849 => ("damaged body", self.damaged()),
            850..=899 => ("absurd numbers", self.absurd()),
            900..=939 => ("sign-in", self.sign_in()),
            940..=979 => ("hostile job", self.job()),
            980..=984 => ("bomb", self.bomb()),
            985..=986 => ("oversized", self.oversized()),
            _ => ("dead token", self.dead_token()),
        }
    }

    fn request(&mut self, method: &str, target: &str, token: &str) -> Request<Full<Bytes>> {
        self.request_with(method, target, token, Vec::new(), &[])
    }

    fn request_with(
        &mut self,
        method: &str,
        target: &str,
        token: &str,
        body: Vec<u8>,
        headers: &[(header::HeaderName, &str)],
    ) -> Request<Full<Bytes>> {
        // Each comes from an address of its own, or ten wrong tokens would close the door to what the others try.
        let from = format!(
            "10.{}.{}.{}",
            self.random.u8(..),
            self.random.u8(..),
            self.random.u8(..)
        );
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, &self.play.address)
            .header("x-forwarded-for", from);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        // What hyper itself will not send is sent by `raw`.
        request.body(Full::new(body.into())).unwrap_or_default()
    }

    fn put(&mut self, target: &str, token: &str, body: Body) -> Request<Full<Bytes>> {
        let mut headers = vec![(header::CONTENT_TYPE, body.kind)];
        if !body.encoding.is_empty() {
            headers.push((header::CONTENT_ENCODING, body.encoding));
        }
        self.request_with("PUT", target, token, body.bytes, &headers)
    }

    fn own(&self) -> (String, String) {
        let Play { setting, .. } = &*self.play;
        (
            format!("/api/v1/jobs/{}", setting.mine),
            setting.project.replace('/', "~"),
        )
    }

    /// Hostile values of every parameter, of the API and of the pages.
    fn query(&mut self) -> Request<Full<Bytes>> {
        let (job, project) = self.own();
        let routes = [
            (format!("{job}/processes"), "limit after"),
            (format!("{job}/files"), "limit after"),
            (format!("{job}/tests"), "limit after"),
            (format!("{job}/fixtures"), "limit after"),
            (format!("{job}/series"), "from to points"),
            (format!("{job}/export"), "format what"),
            (
                format!("/api/v1/projects/{project}/jobs"),
                "branch name verdict limit after",
            ),
            (format!("/api/v1/projects/{project}/runs"), "limit after"),
            (
                format!("/api/v1/projects/{project}/files/test_a.py"),
                "limit after",
            ),
            ("/api/v1/projects".to_owned(), "limit after"),
            (format!("/p/{project}"), "limit after"),
            ("/".to_owned(), "after"),
            (job.replace("/api/v1", ""), "sort files"),
            ("/sign-in".to_owned(), "to"),
        ];
        let (mut target, names) = routes[self.random.usize(..routes.len())].clone();
        target.push('?');
        for name in names.split(' ') {
            if self.random.bool() {
                let value = match self.random.u8(..3) {
                    0 => number(&mut self.random).to_string(),
                    _ => text(&mut self.random),
                };
                let value = escaped(&mut self.random, &value);
                let _ = write!(target, "{name}={value}&");
            }
        }
        let token = self.play.setting.read.clone();
        self.request("GET", &target, &token)
    }

    /// Hostile parts of paths: traversal, markup, SQL.
    fn path(&mut self) -> Request<Full<Bytes>> {
        let hostile = text(&mut self.random);
        let hostile = escaped(&mut self.random, &hostile);
        let (job, project) = self.own();
        let targets = [
            format!("/static/{hostile}"),
            format!("/static/../../{hostile}"),
            format!("/{hostile}"),
            format!("/p/{hostile}"),
            format!("/p/{project}/runs/{hostile}"),
            format!("/p/{project}/files/{hostile}"),
            format!("/jobs/{hostile}"),
            format!("/api/v1/jobs/{hostile}"),
            format!("{job}/{hostile}"),
            format!("{job}/streams/{hostile}/batches/0"),
            format!("/api/v1/projects/{hostile}/jobs"),
            format!("/api/v1/projects/{project}/files/{hostile}"),
            format!("/api/{hostile}"),
        ];
        let target = &targets[self.random.usize(..targets.len())];
        let method = [
            "GET", "GET", "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "TRACE", "PROPFIND",
        ];
        let method = method[self.random.usize(..method.len())];
        let token = self.play.setting.read.clone();
        self.request(method, target, &token)
    }

    /// What is of another project, read and written with tokens that are not for it.
    fn other_project(&mut self) -> Request<Full<Bytes>> {
        let Play { setting, .. } = &*self.play;
        let (job, slug) = (setting.others, setting.others_project.replace('/', "~"));
        let others_project = setting.others_project.clone();
        let tokens = [
            setting.read.clone(),
            setting.ingest.clone(),
            setting.admin.clone(),
            String::new(),
        ];
        let token = tokens[self.random.usize(..tokens.len())].clone();
        let api = format!("/api/v1/jobs/{job}");
        let stream = Uuid::from_u128(self.random.u128(..));
        match self.random.u8(..20) {
            0 => {
                let body = messages::job(&mut self.random, &others_project);
                let body = messages::written(&mut self.random, &body);
                self.put(&format!("/api/v1/jobs/{stream}"), &token, body)
            }
            1 => {
                let body = messages::job(&mut self.random, &self.play.setting.project.clone());
                let body = messages::written(&mut self.random, &body);
                self.put(&api, &token, body)
            }
            2 => {
                let body = messages::batch(&mut self.random);
                let body = messages::written(&mut self.random, &body);
                self.put(&format!("{api}/streams/{stream}/batches/0"), &token, body)
            }
            3 => {
                let body = messages::end(&mut self.random, &stream.to_string());
                let body = messages::written(&mut self.random, &body);
                self.put(&format!("{api}/end"), &token, body)
            }
            4 => self.request("DELETE", &format!("{api}/pin"), &token),
            5 => self.request("PUT", &format!("{api}/pin"), &token),
            _ => {
                let targets = [
                    api.clone(),
                    format!("{api}/processes"),
                    format!("{api}/files"),
                    format!("{api}/tests"),
                    format!("{api}/fixtures"),
                    format!("{api}/series"),
                    format!("{api}/live"),
                    format!("{api}/export?format=json"),
                    format!("{api}/export?format=csv&what=tests"),
                    format!("/api/v1/projects/{slug}/jobs"),
                    format!("/api/v1/projects/{slug}/runs"),
                    format!("/api/v1/projects/{slug}/files/test_a.py"),
                    "/api/v1/projects?limit=1000".to_owned(),
                    format!("/jobs/{job}"),
                    format!("/p/{slug}"),
                    format!("/p/{slug}/runs/1"),
                    "/".to_owned(),
                    "/metrics".to_owned(),
                ];
                let target = targets[self.random.usize(..targets.len())].clone();
                self.request("GET", &target, &token)
            }
        }
    }

    fn header(&mut self) -> Request<Full<Bytes>> {
        const NAMES: &[&str] = &[
            "authorization",
            "cookie",
            "host",
            "origin",
            "sec-fetch-site",
            "if-none-match",
            "x-forwarded-for",
            "x-request-id",
            "accept",
            "accept-encoding",
            "content-type",
            "content-encoding",
            "highwater-clock",
            "range",
            "expect",
            "referer",
            "user-agent",
            "last-event-id",
        ];
        let (job, project) = self.own();
        let targets = [
            job.clone(),
            format!("{job}/tests"),
            format!("/p/{project}"),
            "/".to_owned(),
            "/sign-in".to_owned(),
            "/api".to_owned(),
        ];
        let target = targets[self.random.usize(..targets.len())].clone();
        let token = self.play.setting.read.clone();
        let mut request = self.request("GET", &target, &token);
        for _ in 0..self.random.usize(1..4) {
            let name = header::HeaderName::from_static(NAMES[self.random.usize(..NAMES.len())]);
            let prefix = [
                "",
                "",
                "Bearer ",
                "Bearer hw_",
                "highwater=",
                "gzip;q=",
                "application/",
            ];
            let prefix = prefix[self.random.usize(..prefix.len())];
            let value = [prefix.as_bytes(), text(&mut self.random).as_bytes()].concat();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().insert(name, value);
            }
        }
        request
    }

    fn damaged(&mut self) -> Request<Full<Bytes>> {
        let (job, _) = self.own();
        let project = self.play.setting.project.clone();
        let stream = Uuid::from_u128(self.random.u128(..));
        let (target, mut body) = match self.random.u8(..8) {
            0 => {
                let message = messages::job(&mut self.random, &project);
                (job, messages::written(&mut self.random, &message))
            }
            1 => {
                let message = messages::end(&mut self.random, &stream.to_string());
                (
                    format!("{job}/end"),
                    messages::written(&mut self.random, &message),
                )
            }
            _ => {
                let message = messages::batch(&mut self.random);
                (
                    format!("{job}/streams/{stream}/batches/0"),
                    messages::written(&mut self.random, &message),
                )
            }
        };
        messages::damage(&mut self.random, &mut body.bytes);
        let token = self.play.setting.ingest.clone();
        self.put(&target, &token, body)
    }

    fn absurd(&mut self) -> Request<Full<Bytes>> {
        let (job, _) = self.own();
        let stream = Uuid::from_u128(self.random.u128(..));
        let seq = if self.random.bool() {
            number(&mut self.random).cast_unsigned()
        } else {
            0
        };
        let message = messages::absurd(&mut self.random);
        let body = messages::written(&mut self.random, &message);
        let token = self.play.setting.ingest.clone();
        self.put(
            &format!("{job}/streams/{stream}/batches/{seq}"),
            &token,
            body,
        )
    }

    fn sign_in(&mut self) -> Request<Full<Bytes>> {
        let hostile = [text(&mut self.random), text(&mut self.random)];
        let [token, to] = hostile.map(|text| escaped(&mut self.random, &text));
        let mut form = format!("token={token}&to={to}").into_bytes();
        if self.random.u8(..4) == 0 {
            messages::damage(&mut self.random, &mut form);
        }
        let headers = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
        self.request_with("POST", "/sign-in", "", form, &headers)
    }

    /// Begins, fills and ends a job with hostile texts; once there are enough, looks at them.
    fn job(&mut self) -> Request<Full<Bytes>> {
        if let Some((target, body)) = self.under_way.pop() {
            let token = self.play.setting.ingest.clone();
            return self.put(&target, &token, body);
        }
        if self.made.len() >= MOST_MADE {
            let job = self.made[self.random.usize(..MOST_MADE)];
            let targets = [
                format!("/jobs/{job}"),
                format!("/api/v1/jobs/{job}"),
                format!("/api/v1/jobs/{job}/tests"),
            ];
            let target = targets[self.random.usize(..targets.len())].clone();
            let token = self.play.setting.read.clone();
            return self.request("GET", &target, &token);
        }
        let (job, stream) = (
            Uuid::from_u128(self.random.u128(..)),
            Uuid::from_u128(self.random.u128(..)),
        );
        self.made.push(job);
        let target = format!("/api/v1/jobs/{job}");
        let end = messages::end(&mut self.random, &stream.to_string());
        let batch = messages::batch(&mut self.random);
        let begin = messages::job(&mut self.random, &self.play.setting.project.clone());
        let end = messages::written(&mut self.random, &end);
        let batch = messages::written(&mut self.random, &batch);
        self.under_way = vec![
            (format!("{target}/end"), end),
            (format!("{target}/streams/{stream}/batches/0"), batch),
        ];
        let body = messages::written(&mut self.random, &begin);
        let token = self.play.setting.ingest.clone();
        self.put(&target, &token, body)
    }

    fn bomb(&mut self) -> Request<Full<Bytes>> {
        let (job, _) = self.own();
        let stream = Uuid::from_u128(self.random.u128(..));
        let kind = if self.random.bool() {
            "application/json"
        } else {
            "application/x-protobuf"
        };
        let body = Body {
            bytes: self.bombs[self.random.usize(..self.bombs.len())].clone(),
            kind,
            encoding: "zstd",
        };
        let token = self.play.setting.ingest.clone();
        self.put(&format!("{job}/streams/{stream}/batches/0"), &token, body)
    }

    fn oversized(&mut self) -> Request<Full<Bytes>> {
        let (job, _) = self.own();
        let body = Body {
            bytes: vec![b'['; (4 << 20) + self.random.usize(..2)],
            kind: "application/json",
            encoding: "",
        };
        let token = self.play.setting.ingest.clone();
        self.put(&job, &token, body)
    }

    /// Tokens that were revoked, have expired, or were made up.
    fn dead_token(&mut self) -> Request<Full<Bytes>> {
        let (job, project) = self.own();
        let targets = [
            job.clone(),
            format!("{job}/tests"),
            format!("/p/{project}"),
            "/api/v1/access".to_owned(),
        ];
        let target = targets[self.random.usize(..targets.len())].clone();
        let dead = &self.play.setting.dead;
        let mut token = dead[self.random.usize(..dead.len())].clone();
        if self.random.bool() {
            token = self.play.setting.admin.clone();
            let at = self.random.usize(token.len() / 2..token.len());
            let other = if token[at..].starts_with('0') {
                "1"
            } else {
                "0"
            };
            token.replace_range(at..=at, other);
        }
        self.request("GET", &target, &token)
    }
}
