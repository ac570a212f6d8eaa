//! `highwater-server token`: makes, lists and takes back tokens.

use std::{io::Write, time::Duration};

use highwater_analysis::time::rfc3339;
use highwater_store::{NewToken, Store, TokenRow};
use highwater_wire::ids::ProjectSlug;

use super::columns;
use crate::access::{FIRST_TOKEN_WITHIN, Scope, secret::Secret};

/// What to do about tokens.
#[derive(Debug)]
pub enum Order {
    /// Make one.
    Create {
        /// Of which project; `None` means all.
        project: Option<ProjectSlug>,
        /// What it allows.
        scope: Scope,
        /// How long it counts; `None` means for good.
        expires: Option<Duration>,
        /// What to call it.
        note: String,
    },
    /// Show all.
    List,
    /// Take one back, by itself or by its lookup.
    Revoke(String),
}

/// Does it. A new token is the only thing that goes to `out`, so that it can be kept by a script; what is said of it goes to `notes`.
///
/// # Errors
/// When the database fails, there is no such token, or nothing can be written.
pub async fn run(
    store: &Store,
    order: Order,
    now_unix_us: i64,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    match order {
        Order::Create {
            project,
            scope,
            expires,
            note,
        } => {
            if note.chars().any(char::is_control) {
                return Err("--note: holds a character that is none to read".into());
            }
            let secret = Secret::random()?;
            let expires_unix_us = expires.map(|expires| {
                let us = i64::try_from(expires.as_micros()).unwrap_or(i64::MAX);
                now_unix_us.saturating_add(us)
            });
            let project = project.map(|slug| slug.as_str().to_owned());
            let is_first = !store.has_tokens().await?;
            let token = NewToken {
                lookup: secret.lookup().to_owned(),
                digest: secret.digest(),
                project: project.clone(),
                scope: scope.to_string(),
                note,
                created_unix_us: now_unix_us,
                expires_unix_us,
            };
            store.create_token(token).await?;
            // One that nobody saw shall not count.
            if let Err(error) = writeln!(out, "{}", secret.reveal()).and_then(|()| out.flush()) {
                store.revoke_token(secret.lookup(), now_unix_us).await?;
                return Err(error.into());
            }
            // Once this has returned the server asks for it, also where another made the first one a moment ago.
            tokio::time::sleep(FIRST_TOKEN_WITHIN).await;
            let until = expires_unix_us.map_or_else(
                || "for good".to_owned(),
                |at| format!("until {}", rfc3339(at)),
            );
            writeln!(
                notes,
                "This token allows {scope} of {} {until}. Keep it: only a digest of it is stored, and it is not shown again.",
                project.as_deref().unwrap_or("every project")
            )?;
            if is_first {
                writeln!(
                    notes,
                    "It is the first one: from now on this server asks everybody for a token."
                )?;
            }
        }
        Order::List => {
            for line in table(&store.tokens().await?, now_unix_us) {
                writeln!(out, "{line}")?;
            }
        }
        Order::Revoke(token) => {
            let secret = Secret::parse(&token);
            let lookup = secret.as_ref().map_or(token.as_str(), Secret::lookup);
            if !store.revoke_token(lookup, now_unix_us).await? {
                let all = "`highwater-server token list` shows all";
                return Err(format!("there is no token {lookup:?}; {all}").into());
            }
            writeln!(notes, "The token {lookup} no longer counts.")?;
        }
    }
    Ok(())
}

const HEAD: [&str; 7] = [
    "token",
    "project",
    "scope",
    "created",
    "last used",
    "state",
    "note",
];

fn table(tokens: &[TokenRow], now_unix_us: i64) -> Vec<String> {
    if tokens.is_empty() {
        let how = "make one with `highwater-server token create --project owner/repo --scope read`";
        return vec![format!("There are no tokens; {how}.")];
    }
    let rows = tokens.iter().map(|token| {
        let state = match (token.revoked_unix_us, token.expires_unix_us) {
            (Some(at), _) => format!("revoked {}", rfc3339(at)),
            (None, Some(at)) if at <= now_unix_us => format!("expired {}", rfc3339(at)),
            (None, Some(at)) => format!("until {}", rfc3339(at)),
            (None, None) => "for good".to_owned(),
        };
        [
            token.lookup.clone(),
            token.project.clone().unwrap_or_else(|| "(all)".to_owned()),
            token.scope.clone(),
            rfc3339(token.created_unix_us),
            token
                .used_unix_us
                .map_or_else(|| "never".to_owned(), rfc3339),
            state,
            token.note.clone(),
        ]
    });
    columns::lines(HEAD, rows)
}
