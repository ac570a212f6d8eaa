//! The one comment on a pull request at GitHub that speaks of a job, by its REST API.
//!
//! The comment is known by what it begins with. With the token of a workflow only what a bot wrote is ours: anybody may begin a comment with the
//! same words, and this token may change everybody's.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::{
    Agent, Body,
    http::{HeaderValue, Request, Response, StatusCode},
};

use crate::{
    ci::Env,
    settings::Token,
    shipper::{agent_for, bearer, legible},
};

const API_URL: &str = "GITHUB_API_URL";
const PUBLIC_API: &str = "https://api.github.com";
const VERSION: (&str, &str) = ("X-GitHub-Api-Version", "2022-11-28");
const PATIENCE: Duration = Duration::from_secs(30);
/// What a token of a workflow begins with.
const OF_WORKFLOW: &str = "ghs_";
const A_PAGE: usize = 100;
/// GitHub's own bound of comments is 2,500.
const MOST_PAGES: usize = 30;
/// A page holds 100 comments of 65,536 characters at most, each of them up to six bytes long in JSON.
const MOST_BYTES: u64 = 64 << 20;

/// Why there is no comment.
#[derive(Debug, thiserror::Error)]
pub enum CommentError {
    /// No token.
    #[error(
        "GITHUB_TOKEN is not set; give it to the step with `env: GITHUB_TOKEN: ${{{{ github.token }}}}`"
    )]
    NoToken,
    /// A setting that cannot be.
    #[error("{0}")]
    Setting(String),
    /// The token may not.
    #[error(
        "GitHub does not let this token comment on pull request {pull_request} ({status}: {message}): a workflow of a pull request from a fork gets a \
        token that may only read; elsewhere give the job `permissions: pull-requests: write`"
    )]
    Forbidden {
        /// Its number.
        pull_request: u64,
        /// 401, 403 or 404.
        status: StatusCode,
        /// GitHub's word.
        message: String,
    },
    /// Another refusal.
    #[error("GitHub answered {status} to {what}: {message}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What came.
        status: StatusCode,
        /// GitHub's word.
        message: String,
    },
    /// No answer.
    #[error("GitHub does not answer to {what}: {why}")]
    Silent {
        /// What was asked.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commented {
    /// There is nothing to say, and nothing was said.
    Nothing,
    /// It stands there already.
    Unchanged,
    /// The comment that was there was changed; its address.
    Changed(String),
    /// There is a new one; its address.
    Written(String),
}

/// The comments of a pull request.
#[derive(Debug)]
pub struct Comments {
    agent: Agent,
    token: HeaderValue,
    /// Whether the token is that of a workflow.
    is_of_workflow: bool,
    /// `https://api.github.com/repos/owner/repo/issues`.
    issues: String,
    pull_request: u64,
}

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: String,
    #[serde(default)]
    html_url: String,
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    body: &'a str,
}

/// What GitHub says of a refusal.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

impl Comments {
    /// Those of a pull request of the repository that the workflow runs for.
    ///
    /// # Errors
    /// When a variable is missing or cannot be.
    pub fn of(pull_request: u64, env: &Env) -> Result<Self, CommentError> {
        let said = |name: &str| {
            env.get(name)
                .map(|value| value.trim())
                .filter(|it| !it.is_empty())
        };
        let wrong = |name: &str, what: &str| CommentError::Setting(format!("{name} is {what}"));
        let token = said("GITHUB_TOKEN").ok_or(CommentError::NoToken)?;
        let header = Token::new(token).ok().and_then(|token| bearer(&token));
        let repository = said("GITHUB_REPOSITORY").unwrap_or("");
        let is_word = |part: &str| {
            let mut bytes = part.bytes();
            !matches!(part, "" | "." | "..")
                && bytes.all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it))
        };
        match repository.split_once('/') {
            Some((owner, name)) if is_word(owner) && is_word(name) => {}
            _ => return Err(wrong("GITHUB_REPOSITORY", "no owner/repo")),
        }
        let api = said(API_URL).unwrap_or(PUBLIC_API).trim_end_matches('/');
        Ok(Self {
            agent: agent_for(API_URL, api, env).map_err(CommentError::Setting)?,
            token: header.ok_or_else(|| wrong("GITHUB_TOKEN", "no token"))?,
            is_of_workflow: token.starts_with(OF_WORKFLOW),
            issues: format!("{api}/repos/{repository}/issues"),
            pull_request,
        })
    }

    /// Has the comment that begins with `marker` say a text, and none where there is nothing to say: one that is there says `taken_back` then.
    ///
    /// # Errors
    /// When GitHub refuses or does not answer.
    pub fn say(
        &self,
        marker: &str,
        text: Option<&str>,
        taken_back: &str,
    ) -> Result<Commented, CommentError> {
        match (self.find(marker)?, text) {
            (None, None) => Ok(Commented::Nothing),
            (None, Some(text)) => {
                let url = format!("{}/{}/comments", self.issues, self.pull_request);
                let written = self.write("POST", &url, text, "a new comment")?;
                Ok(Commented::Written(written.html_url))
            }
            (Some(there), text) => {
                let text = text.unwrap_or(taken_back);
                // GitHub keeps no blank end of a text.
                if there.body.replace("\r\n", "\n").trim_end() == text.trim_end() {
                    return Ok(Commented::Unchanged);
                }
                let url = format!("{}/comments/{}", self.issues, there.id);
                let written = self.write("PATCH", &url, text, "a change of the comment")?;
                Ok(Commented::Changed(written.html_url))
            }
        }
    }

    fn find(&self, marker: &str) -> Result<Option<Comment>, CommentError> {
        const WHAT: &str = "the list of comments";
        let is_ours = |comment: &Comment| {
            let by_bot = comment.user.as_ref().is_some_and(|user| user.kind == "Bot");
            comment.body.starts_with(marker) && (by_bot || !self.is_of_workflow)
        };
        for page in 1..=MOST_PAGES {
            let Self {
                issues,
                pull_request,
                ..
            } = self;
            let url = format!("{issues}/{pull_request}/comments?per_page={A_PAGE}&page={page}");
            let answer = self.ask("GET", &url, &[], WHAT)?;
            let comments: Vec<Comment> = read(&answer, WHAT)?;
            let is_last = comments.len() < A_PAGE;
            let found = comments.into_iter().find(is_ours);
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn write(
        &self,
        method: &str,
        url: &str,
        text: &str,
        what: &'static str,
    ) -> Result<Comment, CommentError> {
        let silent = |error: serde_json::Error| CommentError::Silent {
            what,
            why: error.to_string(),
        };
        let body = serde_json::to_vec(&Text { body: text }).map_err(silent)?;
        read(&self.ask(method, url, &body, what)?, what)
    }

    fn ask(
        &self,
        method: &str,
        url: &str,
        body: &[u8],
        what: &'static str,
    ) -> Result<String, CommentError> {
        let silent = |why: String| CommentError::Silent { what, why };
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("Accept", "application/vnd.github+json")
            .header(
                "User-Agent",
                concat!("highwater/", env!("CARGO_PKG_VERSION")),
            )
            .header(VERSION.0, VERSION.1)
            .header("Authorization", self.token.clone());
        let sent = match body {
            [] => request.body(()).map(|request| self.run(request)),
            body => request
                .header("Content-Type", "application/json")
                .body(body)
                .map(|request| self.run(request)),
        };
        let sent = sent.map_err(|error| silent(error.to_string()))?;
        let mut answer = sent.map_err(|error| silent(legible(&error.to_string())))?;
        let status = answer.status();
        let read = answer
            .body_mut()
            .with_config()
            .limit(MOST_BYTES)
            .read_to_string();
        let text = read.map_err(|error| silent(legible(&error.to_string())))?;
        if status.is_success() {
            return Ok(text);
        }
        let refusal: Refusal = serde_json::from_str(&text).unwrap_or_default();
        let message = legible(&refusal.message);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                CommentError::Forbidden {
                    pull_request: self.pull_request,
                    status,
                    message,
                }
            }
            _ => CommentError::Refused {
                what,
                status,
                message,
            },
        })
    }

    fn run(&self, request: Request<impl ureq::AsSendBody>) -> Result<Response<Body>, ureq::Error> {
        let config = self.agent.configure_request(request);
        self.agent
            .run(config.timeout_global(Some(PATIENCE)).build())
    }
}

fn read<T: for<'a> Deserialize<'a>>(answer: &str, what: &'static str) -> Result<T, CommentError> {
    serde_json::from_str(answer).map_err(|error| CommentError::Silent {
        what,
        why: format!("what came is not understood: {error}"),
    })
}
