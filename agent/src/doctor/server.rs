//! Whether the server takes what is sent to it.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use uuid::Uuid;

use super::Check;
use crate::{
    ci::Env,
    settings::Places,
    shipper::{Client, Permit, Presence, Standing},
};

/// What a request may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Clocks may differ by so much, s: the header tells whole seconds, and nothing but the time that is shown comes from the clock.
const MOST_SKEW_S: i64 = 30;

const SERVER: &str = "server";
const TOKEN: &str = "token";
const CLOCK: &str = "clock";

/// Reachable and of ours, the token, and the clock.
pub(super) fn all(places: &Places, env: &Env) -> Vec<Check> {
    let Some(server) = &places.server else {
        return vec![Check::not_checked(
            SERVER,
            "none is named: recordings stay in the spool",
            "give --server URL or set HIGHWATER_SERVER",
        )];
    };
    let client = Client::new(server, places.token.as_ref(), env, Uuid::nil());
    match client.presence(PATIENCE) {
        Err(why) => vec![Check::missing(
            SERVER,
            format!("{server}: {why}"),
            "start it, or mend its address or the way to it; until then recordings stay in the spool",
        )],
        Ok(presence) => judge(server, &presence, Timestamp::now()),
    }
}

/// What an answer means, at a time of this machine's clock.
pub(super) fn judge(server: &str, presence: &Presence, now: Timestamp) -> Vec<Check> {
    let clock = || clock(presence.date.as_deref(), now);
    let through = match &presence.proxy {
        Some(proxy) => format!(", through {proxy}"),
        None => String::new(),
    };
    match &presence.standing {
        Standing::Ours => {
            let server = Check::works(SERVER, format!("{server} is a highwater-server{through}"));
            vec![server, token(presence), clock()]
        }
        Standing::Closed(why) => vec![
            Check::works(SERVER, format!("{server} answers{through}")),
            Check::missing(
                TOKEN,
                why,
                "set HIGHWATER_TOKEN to a token that the server, or the proxy before it, takes",
            ),
            clock(),
        ],
        Standing::Other(why) => vec![Check::missing(
            SERVER,
            format!("{server}: {why}{through}"),
            "name the address that the server itself has, or let the proxy pass /api/v1 and /healthz through",
        )],
    }
}

fn token(presence: &Presence) -> Check {
    let permits = match (&presence.permits, presence.has_token) {
        (Some(permits), _) => permits,
        (None, true) => return Check::works(TOKEN, "taken"),
        (None, false) => return Check::works(TOKEN, "none is set, none is asked for"),
    };
    let words: Vec<String> = permits.iter().map(Permit::to_string).collect();
    let words = words.join(", ");
    if permits.iter().any(Permit::records) {
        Check::works(TOKEN, format!("taken, for {words}"))
    } else {
        Check::missing(
            TOKEN,
            format!("it is for {words}: no recording is taken with it"),
            "set HIGHWATER_TOKEN to one of `highwater-server token create --scope ingest`",
        )
    }
}

fn clock(date: Option<&str>, now: Timestamp) -> Check {
    let told = date.and_then(|date| rfc2822::parse(date).ok());
    let Some(told) = told else {
        return Check::not_checked(
            CLOCK,
            "the server tells no time",
            "let the proxy pass its Date header through",
        );
    };
    let ahead_s = now.as_second() - told.timestamp().as_second();
    let seen = match ahead_s {
        -1..=1 => "as the server's".to_owned(),
        2.. => format!("{ahead_s} s ahead of the server's"),
        _ => format!("{} s behind the server's", ahead_s.unsigned_abs()),
    };
    match ahead_s.unsigned_abs() > MOST_SKEW_S.unsigned_abs() {
        true => Check::limited(
            CLOCK,
            seen,
            "set one of the clocks (NTP): jobs are shown at the wrong time",
        ),
        false => Check::works(CLOCK, seen),
    }
}
