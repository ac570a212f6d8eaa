//! Who answers at a server's address, asked without leaving anything there.

use std::{fmt, time::Duration};

use highwater_wire::receipt::Receipt;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    answer::{Answer, Asked, Reply, is_own_error, legible, meaning},
    client::{Client, Page},
};

/// What was heard from a server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Its `Date` header.
    pub date: Option<String>,
    /// The proxy on the way, and the variable that names it.
    pub proxy: Option<String>,
    /// Who it is, and whether it would take anything.
    pub standing: Standing,
    /// Whether something was sent that proves who asks.
    pub has_token: bool,
    /// What the server says that this allows; `None` where it asks nobody, or does not say.
    pub permits: Option<Vec<Permit>>,
}

/// One thing that a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Permit {
    /// In which project; `None` means in all.
    pub project: Option<String>,
    /// What, in the server's word.
    pub scope: String,
}

impl Permit {
    /// Whether recordings are taken with it.
    #[must_use]
    pub fn records(&self) -> bool {
        matches!(self.scope.as_str(), "ingest" | "admin")
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let project = self.project.as_deref().unwrap_or("every project");
        write!(f, "{} of {}", legible(&self.scope), legible(project))
    }
}

#[derive(Deserialize)]
struct AccessReport {
    open: bool,
    grants: Vec<Permit>,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A server of ours that takes what it is sent.
    Ours,
    /// Somebody who lets nothing through (401, 403), and why.
    Closed(String),
    /// Somebody else, or a server that cannot answer now; in words.
    Other(String),
}

impl Client {
    /// Asks whether the server lives, and for a job that no server has. Each request may take so long.
    ///
    /// # Errors
    /// When no answer came, in words that name the proxy on the way.
    pub fn presence(&self, patience: Duration) -> Result<Presence, String> {
        let page = self.get("/healthz", patience)?;
        let date = page.date.clone();
        let health = (page.status.as_u16(), page.body.trim());
        let standing = match health {
            (200, "ok") => {
                let path = format!("/api/v1/jobs/{}", Uuid::nil());
                of_no_job(&self.get(&path, patience)?, self.has_token())
            }
            _ => refused(&page, self.has_token()),
        };
        let permits = match standing {
            Standing::Ours if self.has_token() => self.permits(patience)?,
            _ => None,
        };
        Ok(Presence {
            has_token: self.has_token(),
            permits,
            date,
            proxy: self.proxy().map(str::to_owned),
            standing,
        })
    }
}

impl Client {
    /// What the token allows; servers of before have no word for it.
    fn permits(&self, patience: Duration) -> Result<Option<Vec<Permit>>, String> {
        let page = self.get("/api/v1/access", patience)?;
        let report = serde_json::from_str::<AccessReport>(&page.body).ok();
        Ok(report
            .filter(|report| !report.open)
            .map(|report| report.grants))
    }
}

/// What an answer about a job that no server has says of who answers: a server of ours does not know it.
fn of_no_job(page: &Page, has_token: bool) -> Standing {
    match page.status.as_u16() {
        404 if is_own_error(&page.body) => Standing::Ours,
        _ => refused(page, has_token),
    }
}

fn refused(page: &Page, has_token: bool) -> Standing {
    let asked = Asked {
        receipt: Receipt::of_job(Uuid::nil()),
        begins_job: true,
        is_batch: false,
        has_token,
        bytes: 0,
    };
    let reply = Reply {
        status: page.status,
        location: page.location.as_deref(),
        retry_after: None,
        body: &page.body,
    };
    match (page.status.as_u16(), meaning(&asked, &reply)) {
        (401 | 403, Answer::Closed(why)) => Standing::Closed(why),
        (_, Answer::Acknowledged) => Standing::Other("answers everything alike".to_owned()),
        (
            _,
            Answer::Again(_, why)
            | Answer::Unknown(why)
            | Answer::Refused(why)
            | Answer::Closed(why),
        ) => Standing::Other(why),
    }
}

#[cfg(test)]
mod tests {
    use ureq::http::StatusCode;

    use super::*;

    fn of(status: u16, body: &str) -> Standing {
        let page = Page {
            status: StatusCode::from_u16(status).unwrap(),
            location: Some("/login".to_owned()),
            date: None,
            told: None,
            body: body.to_owned(),
            is_read: true,
        };
        of_no_job(&page, false)
    }

    #[test]
    fn only_a_server_of_ours_does_not_know_the_job_in_its_own_words() {
        let own = r#"{"error":{"code":"not_found","message":"no such job"}}"#;
        assert_eq!(of(404, own), Standing::Ours);
        for (status, body, words) in [
            (404, "<h1>Not Found</h1>", "404 Not Found: is this"),
            (200, "ok\n", "answered 200 OK to /login: is this"),
            (302, "", "answered 302 Found to /login: is this"),
            (503, "", "503 Service Unavailable"),
        ] {
            match of(status, body) {
                Standing::Other(why) => assert!(why.starts_with(words), "{why}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        let receipt = serde_json::to_string(&Receipt::of_job(Uuid::nil())).unwrap();
        assert!(matches!(of(200, &receipt), Standing::Other(_)));
    }

    #[test]
    fn who_lets_nothing_through_is_told_with_the_token() {
        for (status, body, words) in [
            (401, "", "401 Unauthorized; HIGHWATER_TOKEN is not set"),
            (
                403,
                r#"{"error":{"code":"foreign_host","message":"loopback only"}}"#,
                "403 Forbidden: loopback only",
            ),
        ] {
            assert_eq!(of(status, body), Standing::Closed(words.to_owned()));
        }
    }
}
