//! One live job after the other, on a connection of its own.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use highwater_wire::{VERSION, codec, v1};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};
use uuid::Uuid;

use crate::{LASTS, tally::Tally, trace::Trace};

/// As the agent waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Play {
    pub(crate) address: String,
    pub(crate) trace: Arc<Trace>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) began: Instant,
    pub(crate) until: Instant,
}

/// What of a job was acknowledged.
pub(crate) struct Acknowledged {
    pub(crate) uuid: Uuid,
    pub(crate) stream: Uuid,
    pub(crate) batches: u32,
    pub(crate) is_ended: bool,
}

pub(crate) struct Life {
    play: Arc<Play>,
    /// When within a second its batches are due, and how long its first job still lasts: as if all had been there for long.
    phase: Duration,
    first_lasts: u32,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Life {
    pub(crate) fn new(play: Arc<Play>, number: u32, of: u32) -> Self {
        Self {
            play,
            phase: Duration::from_secs_f64(fastrand::f64()),
            // Even over the life of a job, so that as many end in each second.
            first_lasts: 1 + u32::try_from(u64::from(number) * u64::from(LASTS) / u64::from(of))
                .unwrap_or(0),
            connection: None,
        }
    }

    /// Plays until the time is over.
    pub(crate) async fn run(mut self) -> Vec<Acknowledged> {
        let mut jobs = Vec::new();
        let mut second = 0;
        let mut lasts = self.first_lasts;
        while self.due(second) < self.play.until {
            sleep_until(self.due(second)).await;
            let job = self.one(second, lasts).await;
            second += job.batches;
            jobs.push(job);
            lasts = LASTS;
        }
        jobs
    }

    fn due(&self, second: u32) -> Instant {
        self.play.began + self.phase + Duration::from_secs(u64::from(second))
    }

    /// Plays a job from a second on.
    async fn one(&mut self, second: u32, lasts: u32) -> Acknowledged {
        let mut job = Acknowledged {
            uuid: Uuid::now_v7(),
            stream: Uuid::new_v4(),
            batches: 0,
            is_ended: false,
        };
        let path = format!("/api/v1/jobs/{}", job.uuid);
        let mut begin = self.play.trace.job.clone();
        begin.project = format!("load/p{}", fastrand::u8(0..50));
        begin.started_unix_us = jiff::Timestamp::now().as_microsecond();
        let Ok(body) = codec::encode(&begin) else {
            return job;
        };
        self.put(&path, body.into()).await;
        for n in 0..lasts {
            let due = self.due(second + n);
            if due >= self.play.until {
                return job;
            }
            sleep_until(due).await;
            let body = self.play.trace.batches[n as usize].clone();
            let path = format!("{path}/streams/{}/batches/{n}", job.stream);
            self.put(&path, body).await;
            self.play.tally.acknowledged(due.elapsed());
            job.batches += 1;
        }
        let end = v1::End {
            version: VERSION,
            ended_us: i64::from(lasts) * 1_000_000,
            exit_code: Some(0),
            streams: vec![v1::StreamCount {
                stream: job.stream.to_string(),
                batches: u64::from(lasts),
            }],
            ..v1::End::default()
        };
        if let Ok(body) = codec::encode(&end) {
            self.put(&format!("{path}/end"), body.into()).await;
            self.play.tally.ended();
            job.is_ended = true;
        }
        job
    }

    /// Sends until it is acknowledged.
    async fn put(&mut self, path: &str, body: Bytes) {
        let mut failures = 0;
        loop {
            match timeout(PATIENCE, self.try_put(path, body.clone())).await {
                Ok(Ok(status)) if status.is_success() => return,
                Ok(Ok(status)) => self.play.tally.refused(status.as_u16()),
                Ok(Err(_)) | Err(_) => {
                    self.connection = None;
                    self.play.tally.broken();
                }
            }
            // As the agent: doubling from 200 ms to 10 s, the last half of it at random.
            let full = Duration::from_millis(200 << failures.min(6)).min(Duration::from_secs(10));
            sleep(full.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            failures += 1;
        }
    }

    async fn try_put(&mut self, path: &str, body: Bytes) -> Result<StatusCode, crate::Failure> {
        let connection = match &mut self.connection {
            Some(connection) if !connection.is_closed() => connection,
            slot => {
                let stream = TcpStream::connect(&self.play.address).await?;
                stream.set_nodelay(true)?;
                let (sender, driver) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(driver);
                slot.insert(sender)
            }
        };
        connection.ready().await?;
        let request = Request::put(path)
            .header(header::HOST, &self.play.address)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "zstd")
            .body(Full::new(body))?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        Ok(status)
    }
}
