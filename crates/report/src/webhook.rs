//! What a webhook is told of a job: a document in the envelope of [Standard Webhooks](https://www.standardwebhooks.com), or a message for a chat.

use std::{collections::BTreeMap, fmt, str::FromStr};

use highwater_wire::report::{
    Confidence, JobReport, Remark, RemarkKind, Severity, ShardReport, Verdict,
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    escape::{chat, chat_address},
    names::fitted,
    rank,
};

/// Remarks that a chat is told one by one.
const MOST_IN_CHAT: usize = 5;
/// How wide a sentence and a name may be in a chat.
const CHAT_SENTENCE: usize = 500;
const CHAT_NAME: usize = 120;
/// Characters of a sentence in a document: names of tests may be very long.
const MOST_CHARACTERS: usize = 2_000;

/// In which form a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// A document: type, timestamp and data.
    Json,
    /// A text as Slack takes it, and the chats that take what Slack does.
    Slack,
}

impl WebhookFormat {
    /// Every form there is.
    pub const ALL: [Self; 2] = [Self::Json, Self::Slack];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
        }
    }
}

impl fmt::Display for WebhookFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for WebhookFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| format!("there is no format {word:?}; there are json and slack"))
    }
}

/// Of what a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A job died.
    Death,
    /// Something of it is new beside the jobs before.
    Finding,
    /// A confirming run refuted what was told as a finding.
    Refuted,
}

impl Told {
    /// Each of them, in the order in which they are told of one job.
    pub const ALL: [Self; 3] = [Self::Death, Self::Finding, Self::Refuted];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Death => "death",
            Self::Finding => "finding",
            Self::Refuted => "refuted",
        }
    }
}

/// What a webhook is told of a job, of one kind.
#[derive(Debug)]
pub struct Telling<'a> {
    told: Told,
    /// What it was told before and is told no more.
    refuted: Vec<&'a Remark>,
    job: &'a JobReport,
    remarks: Vec<&'a Remark>,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    r#type: &'a str,
    timestamp: &'a str,
    data: T,
}

#[derive(Serialize)]
struct JobData<'a> {
    uuid: Uuid,
    revision: u32,
    project: &'a str,
    name: &'a str,
    variant: &'a BTreeMap<String, String>,
    shard: Option<ShardReport>,
    attempt: u32,
    branch: &'a str,
    commit: &'a str,
    pull_request: &'a str,
    url: Option<&'a str>,
    started_at: &'a str,
    ended_at: Option<&'a str>,
    peak_bytes: u64,
    headroom_bytes: Option<i64>,
    verdict: Option<Verdict>,
    confidence: Option<Confidence>,
    remarks: Vec<Remark>,
}

#[derive(Serialize)]
struct TestData<'a> {
    project: &'a str,
}

#[derive(Serialize)]
struct Chat {
    text: String,
}

impl<'a> Telling<'a> {
    /// What there is to tell; `None` where there is nothing. What an earlier job had already is nothing.
    #[must_use]
    pub fn of(told: Told, job: &'a JobReport, remarks: &'a [Remark]) -> Option<Self> {
        let is_told = |remark: &&Remark| match told {
            Told::Death => matches!(remark.kind, RemarkKind::Death | RemarkKind::Culprit),
            Told::Finding => {
                remark.kind == RemarkKind::Finding && remark.severity < Severity::Notice
            }
            Told::Refuted => remark.is_refuted,
        };
        let refuted = remarks.iter().filter(|remark| remark.is_refuted);
        let telling = Self {
            told,
            refuted: refuted.collect(),
            job,
            remarks: remarks.iter().filter(is_told).collect(),
        };
        (!telling.remarks.is_empty()).then_some(telling)
    }

    /// What it tells of.
    #[must_use]
    pub fn told(&self) -> Told {
        self.told
    }

    /// What is told, in short: the same where the same is told again. Findings of which some were refuted since are the same.
    #[must_use]
    pub fn in_short(&self) -> String {
        let all = match self.told {
            Told::Death => {
                let ending = self.job.ending.as_ref();
                return ending.map_or("", |it| it.verdict.as_str()).to_owned();
            }
            Told::Finding => self.remarks.iter().chain(&self.refuted),
            Told::Refuted => self.remarks.iter().chain(&[]),
        };
        let mut marks: Vec<Uuid> = all.map(|it| it.fingerprint).collect();
        marks.sort_unstable();
        let all: Vec<u8> = marks.iter().flat_map(|it| *it.as_bytes()).collect();
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &all).to_string()
    }

    /// The body of a post, made at a time (RFC 3339), with the address of the job's page where that is known.
    ///
    /// # Errors
    /// When a library fails that writes into memory, which it does not.
    pub fn body(
        &self,
        format: WebhookFormat,
        page: Option<&str>,
        made_at: &str,
    ) -> serde_json::Result<String> {
        match format {
            WebhookFormat::Json => serde_json::to_string(&Envelope {
                r#type: self.told.as_str(),
                timestamp: made_at,
                data: self.data(page),
            }),
            WebhookFormat::Slack => serde_json::to_string(&Chat {
                text: self.text(page),
            }),
        }
    }

    fn data(&self, page: Option<&'a str>) -> JobData<'a> {
        let job = self.job;
        let ending = job.ending.as_ref();
        JobData {
            uuid: job.uuid,
            revision: job.revision,
            project: &job.project,
            name: &job.name,
            variant: &job.variant,
            shard: job.shard,
            attempt: job.attempt,
            branch: &job.branch,
            commit: &job.commit,
            pull_request: &job.run.pull_request,
            url: page,
            started_at: &job.started_at,
            ended_at: job.ended_at.as_deref(),
            peak_bytes: job.peak_bytes,
            headroom_bytes: job.headroom_bytes,
            verdict: ending.map(|it| it.verdict),
            confidence: ending.map(|it| it.confidence),
            remarks: self.remarks.iter().map(|it| cut(it)).collect(),
        }
    }

    fn text(&self, page: Option<&str>) -> String {
        let job = self.job;
        let name = |text: &str| chat(&fitted(text, CHAT_NAME));
        let what = match self.told {
            Told::Death => "died",
            Told::Finding => "got worse",
            Told::Refuted => "has findings that a confirming run refuted",
        };
        let mut head = format!(
            "{}: {} {what}",
            name(&job.project),
            name(&rank::job_name(job))
        );
        if !job.branch.is_empty() {
            head += &format!(" on {}", name(&job.branch));
        }
        if !job.commit.is_empty() {
            let short: String = job.commit.chars().take(10).collect();
            head += &format!(" at {}", chat(&short));
        }
        let mut lines = vec![head];
        let told = self.remarks.iter().take(MOST_IN_CHAT);
        lines.extend(told.map(|it| format!("• {}", chat(&fitted(&it.sentence, CHAT_SENTENCE)))));
        let more = self.remarks.len().saturating_sub(MOST_IN_CHAT);
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        lines.extend(page.map(|page| format!("<{}|The job's page>", chat_address(page))));
        lines.join("\n")
    }
}

/// What is sent to try a webhook of a project, made at a time (RFC 3339).
///
/// # Errors
/// When a library fails that writes into memory, which it does not.
pub fn webhook_test(
    format: WebhookFormat,
    project: &str,
    made_at: &str,
) -> serde_json::Result<String> {
    match format {
        WebhookFormat::Json => serde_json::to_string(&Envelope {
            r#type: "test",
            timestamp: made_at,
            data: TestData { project },
        }),
        WebhookFormat::Slack => serde_json::to_string(&Chat {
            text: format!(
                "{}: this is a test of a webhook of Highwater",
                chat(&fitted(project, CHAT_NAME))
            ),
        }),
    }
}

/// A remark with a sentence of bounded length.
fn cut(remark: &Remark) -> Remark {
    let mut remark = remark.clone();
    if let Some((at, _)) = remark.sentence.char_indices().nth(MOST_CHARACTERS) {
        remark.sentence.truncate(at);
        remark.sentence.push('…');
    }
    remark
}

#[cfg(test)]
mod tests;
