//! What an answer means.

use std::time::Duration;

use highwater_wire::{codec::MAX_COMPRESSED_BYTES, receipt::Receipt};
use ureq::http::StatusCode;

/// Most characters of a server's words that are passed on.
const MOST_WORDS: usize = 500;
/// The longest pause that a server may ask for.
const MOST_PAUSE: Duration = Duration::from_secs(60);

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is on the server's disk.
    Acknowledged,
    /// Try again, after this pause where the server named one.
    Again(Option<Duration>, String),
    /// The server does not know the job.
    Unknown(String),
    /// This item will never be taken.
    Refused(String),
    /// Nothing will be taken from this agent, or not by whoever answers at this address.
    Closed(String),
}

/// What came back over HTTP.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reply<'a> {
    pub(super) status: StatusCode,
    /// Where a redirect points.
    pub(super) location: Option<&'a str>,
    pub(super) retry_after: Option<&'a str>,
    pub(super) body: &'a str,
}

/// What was sent, as far as it matters for the meaning of its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// What the server says once it has it.
    pub(super) receipt: Receipt,
    pub(super) begins_job: bool,
    pub(super) is_batch: bool,
    pub(super) has_token: bool,
    pub(super) bytes: usize,
}

pub(super) fn meaning(asked: &Asked, reply: &Reply<'_>) -> Answer {
    let own = OwnError::of(reply.body);
    let said = match &own {
        Some(error) => format!("{}: {}", reply.status, error.words),
        None => reply.status.to_string(),
    };
    match reply.status.as_u16() {
        200 | 201 if is_receipt(reply.body, &asked.receipt) => Answer::Acknowledged,
        408 | 425 | 429 | 500..=599 => Answer::Again(pause_named(reply), said),
        401 | 403 => Answer::Closed(said + about_token(own.as_ref(), asked.has_token)),
        404 if !asked.begins_job => Answer::Unknown(said),
        // One writer fills a stream, so the server has this very batch: from before it was thinned on a full disk.
        409 if asked.is_batch && own.as_ref().is_some_and(|error| error.code == "conflict") => {
            Answer::Acknowledged
        }
        413 if own.is_none() => Answer::Refused(format!(
            "{said} for {} bytes: what stands before the server must let {MAX_COMPRESSED_BYTES} through",
            asked.bytes
        )),
        400..=499 if own.is_some() => Answer::Refused(said),
        400..=499 => Answer::Refused(format!("{said}: is this a highwater-server?")),
        // A redirect is not followed: a PUT would become a GET, and its answer would be no acknowledgement.
        _ => {
            let to = reply
                .location
                .map_or_else(String::new, |location| format!(" to {}", legible(location)));
            Answer::Closed(format!("answered {said}{to}: is this a highwater-server?"))
        }
    }
}

/// Whether a body is an error in the words of a server of ours.
pub(super) fn is_own_error(body: &str) -> bool {
    OwnError::of(body).is_some()
}

/// What such an error says: message and hint.
pub(super) fn own_words(body: &str) -> Option<String> {
    OwnError::of(body).map(|error| error.words)
}

fn is_receipt(body: &str, expected: &Receipt) -> bool {
    serde_json::from_str::<Receipt>(body).is_ok_and(|receipt| receipt == *expected)
}

fn pause_named(reply: &Reply<'_>) -> Option<Duration> {
    let seconds = reply.retry_after?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MOST_PAUSE))
}

fn about_token(error: Option<&OwnError>, has_token: bool) -> &'static str {
    match (error, has_token) {
        (Some(error), _) if error.code == "foreign_host" => "",
        (_, true) => "; the token in HIGHWATER_TOKEN is not the right one",
        (_, false) => "; HIGHWATER_TOKEN is not set",
    }
}

/// The server's error envelope.
struct OwnError {
    code: String,
    /// Message and hint.
    words: String,
}

impl OwnError {
    fn of(body: &str) -> Option<Self> {
        let envelope: serde_json::Value = serde_json::from_str(body).ok()?;
        let error = envelope.get("error")?;
        let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
        let message = text("message")?;
        let words = match text("hint").filter(|hint| !hint.is_empty()) {
            Some(hint) => format!("{message} ({hint})"),
            None => message.to_owned(),
        };
        Some(Self {
            code: text("code").unwrap_or("").to_owned(),
            words: legible(&words),
        })
    }
}

/// Foreign words as they may go to a terminal: on one line, of bounded length, and without what a terminal would obey.
pub(crate) fn legible(text: &str) -> String {
    let shown = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().take(MOST_WORDS).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const STREAM: Uuid = Uuid::from_u128(2);

    fn asked() -> Asked {
        Asked {
            receipt: Receipt::of_batch(Uuid::nil(), STREAM, 3),
            begins_job: false,
            is_batch: true,
            has_token: false,
            bytes: 7,
        }
    }

    fn of(status: u16, body: &str) -> Answer {
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            body,
            ..Reply::default()
        };
        meaning(&asked(), &reply)
    }

    #[test]
    fn only_the_servers_word_on_exactly_this_item_is_an_acknowledgement() {
        let whole = |receipt: Receipt| serde_json::to_string(&receipt).unwrap();
        let own = whole(asked().receipt);
        assert_eq!(of(201, &own), Answer::Acknowledged);
        assert_eq!(of(200, &own), Answer::Acknowledged);
        for (status, body) in [
            (200, ""),
            (204, ""),
            (202, own.as_str()),
            (302, own.as_str()),
            (200, "<html>please log in</html>"),
            (201, &whole(Receipt::of_job(Uuid::nil()))),
            (201, &whole(Receipt::of_batch(Uuid::nil(), STREAM, 4))),
            (201, &whole(Receipt::of_batch(STREAM, STREAM, 3))),
        ] {
            let answer = of(status, body);
            assert!(
                matches!(answer, Answer::Closed(_)),
                "{status} {body}: {answer:?}"
            );
        }
    }

    #[test]
    fn a_redirect_is_told_with_where_it_points() {
        let reply = Reply {
            status: StatusCode::FOUND,
            location: Some("https://sso.example/login\u{1b}[2J"),
            ..Reply::default()
        };
        let told = "answered 302 Found to https://sso.example/login\u{fffd}[2J: is this a highwater-server?";
        assert_eq!(meaning(&asked(), &reply), Answer::Closed(told.to_owned()));
    }

    #[test]
    fn each_status_is_taken_as_it_means() {
        assert!(matches!(of(503, ""), Answer::Again(None, _)));
        assert!(matches!(of(429, ""), Answer::Again(..)));
        assert!(matches!(of(404, ""), Answer::Unknown(_)));
        assert!(matches!(of(409, ""), Answer::Refused(_)));
        let conflict = r#"{"error":{"code":"conflict","message":"stored with other content"}}"#;
        assert_eq!(of(409, conflict), Answer::Acknowledged);
        let begin = Asked {
            begins_job: true,
            ..asked()
        };
        let not_found = Reply {
            status: StatusCode::NOT_FOUND,
            ..Reply::default()
        };
        let told = "404 Not Found: is this a highwater-server?".to_owned();
        assert_eq!(meaning(&begin, &not_found), Answer::Refused(told));
        let Answer::Refused(told) = of(413, "<html>") else {
            panic!("413 was not refused");
        };
        assert!(told.contains("for 7 bytes"), "{told}");
    }

    #[test]
    fn a_pause_is_taken_as_named_within_bounds() {
        for (header, pause) in [("2", Some(2)), ("9999", Some(60)), ("soon", None)] {
            let reply = Reply {
                status: StatusCode::SERVICE_UNAVAILABLE,
                retry_after: Some(header),
                ..Reply::default()
            };
            let Answer::Again(named, _) = meaning(&asked(), &reply) else {
                panic!("503 is not for good");
            };
            assert_eq!(named, pause.map(Duration::from_secs), "{header}");
        }
    }

    #[test]
    fn whoever_is_not_let_in_learns_about_the_token() {
        let foreign = r#"{"error":{"code":"foreign_host","message":"no"}}"#;
        for (status, body, has_token, told) in [
            (
                401,
                "",
                false,
                "401 Unauthorized; HIGHWATER_TOKEN is not set",
            ),
            (
                403,
                "",
                true,
                "403 Forbidden; the token in HIGHWATER_TOKEN is not the right one",
            ),
            (403, foreign, false, "403 Forbidden: no"),
        ] {
            let asked = Asked {
                has_token,
                ..asked()
            };
            let reply = Reply {
                status: StatusCode::from_u16(status).unwrap(),
                body,
                ..Reply::default()
            };
            assert_eq!(meaning(&asked, &reply), Answer::Closed(told.to_owned()));
        }
    }

    #[test]
    fn the_servers_own_words_are_passed_on_and_nothing_a_terminal_obeys() {
        let body = r#"{"error":{"code":"x","message":"too large","hint":"send less"}}"#;
        let told = "400 Bad Request: too large (send less)".to_owned();
        assert_eq!(of(400, body), Answer::Refused(told));
        let body = r#"{"error":{"message":"\u001b[2J\u0007\nhighwater: all is well \u202e"}}"#;
        let told = "400 Bad Request: \u{fffd}[2J\u{fffd}\u{fffd}highwater: all is well \u{fffd}"
            .to_owned();
        assert_eq!(of(400, body), Answer::Refused(told));
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(60_000));
        let Answer::Refused(told) = of(400, &long) else {
            panic!("400 was not refused");
        };
        assert!(told.len() < 600, "{}", told.len());
    }
}
