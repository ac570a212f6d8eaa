//! Passwords in addresses (`scheme://user:password@host`, also without the scheme), and addresses that are a secret as a whole.

use std::ops::Range;

use super::{Counts, Found, SHORTEST_NAME, after, is_quote};

const MOST_PORT_DIGITS: usize = 5;

/// Addresses that let in whoever knows what follows this.
const HOOKS: [&str; 12] = [
    "hooks.slack.com/services/",
    "hooks.slack.com/workflows/",
    "hooks.slack.com/triggers/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "discord.com/api/v10/webhooks/",
    ".webhook.office.com/webhookb2/",
    ".webhook.office.com/webhook/",
    "outlook.office.com/webhook/",
    "hooks.zapier.com/hooks/catch/",
    "maker.ifttt.com/trigger/",
    "api.telegram.org/bot",
];

/// What stands before the `:` of something that is no login though an `@` follows.
const NO_USERS: [&str; 8] = [
    "mailto",
    "sip",
    "sips",
    "xmpp",
    "acct",
    "npm",
    "pkg",
    "workspace",
];

/// Where passwords in addresses are. Of logins without `//` only those count whose password `counts`.
pub(super) fn secrets(text: &str, counts: Counts<'_>) -> Found {
    let mut found = Found::new();
    if has_host_of_hooks(text.as_bytes()) {
        found.extend(HOOKS.iter().flat_map(|hook| behind(text, hook)));
    }
    if text.contains('@') {
        found.extend(logins(text));
        let bare = bare_logins(text);
        found.extend(bare.filter(|password| counts(&text[password.clone()])));
    }
    found
}

/// Whether there is a `/` behind an end of one of [`HOOKS`]. To look for it is much quicker than for each of them.
fn has_host_of_hooks(bytes: &[u8]) -> bool {
    let ends = [b".com/", b".org/"];
    bytes
        .windows(5)
        .any(|end| end[4] == b'/' && ends.iter().any(|known| end == *known))
}

/// What follows a hook's address, wherever it stands.
fn behind<'a>(text: &'a str, hook: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    text.match_indices(hook).map(|(at, hook)| {
        let begin = at + hook.len();
        let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-@:%.~+=*".contains(&byte);
        begin..after(text.as_bytes(), begin, is_of_path)
    })
}

/// Passwords behind `//`. Inside of one no other begins.
fn logins(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut end = 0;
    runs(text).filter_map(move |run| {
        if run.start < end {
            return None;
        }
        let secret = of_login(&text[run.clone()])?;
        end = run.start + secret.end;
        Some(run.start + secret.start..end)
    })
}

/// What follows a `//` where an address begins, not inside of a path, if it holds an `@`: to a blank, to the quote that it stands in, or to the
/// next address. Ids may be full of slashes, so no byte is looked at for each of them.
fn runs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    let behind = |from: usize, found: Option<usize>| found.map_or(bytes.len(), |at| from + at);
    let (mut blank, mut at_sign, mut scheme) = (0, 0, 0);
    text.match_indices("//").filter_map(move |(at, _)| {
        let before = bytes[..at].last().copied();
        let is_address = match before {
            None => true,
            Some(b':') => at > 1 && bytes[at - 2].is_ascii_alphanumeric(),
            Some(byte) => begins_a_word(byte),
        };
        if !is_address {
            return None;
        }
        let begin = at + 2;
        if blank < begin {
            blank = after(bytes, begin, |byte| !byte.is_ascii_whitespace());
        }
        if at_sign < begin {
            at_sign = behind(begin, text[begin..].find('@'));
        }
        if scheme < begin {
            scheme = behind(begin, text[begin..].find("://"));
        }
        let quote = before.filter(|before| is_quote(*before));
        let end = quote.map_or(blank, |quote| {
            after(&bytes[..blank], begin, |byte| byte != quote)
        });
        let is_next = at_sign < scheme && scheme + "://".len() <= end;
        let end = if is_next { scheme } else { end };
        (at_sign < end).then_some(begin..end)
    })
}

/// Whether what follows this is the beginning of an address.
fn begins_a_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'`=([{<,;|&".contains(&byte)
}

/// What is secret in the name and the password before the host.
fn of_login(run: &str) -> Option<Range<usize>> {
    let special = |c: char| matches!(c, '/' | '?' | '#' | ':' | '@' | '[' | ']');
    let at = run.find(special)?;
    match run.as_bytes()[at] {
        b':' => {
            let password = password(run, at + 1)?;
            // The password says that the name is one.
            let is_name = matches!(&run[password.clone()], "x-oauth-basic" | "");
            if is_name {
                return (at >= SHORTEST_NAME).then_some(0..at);
            }
            Some(password)
        }
        b'@' => {
            let authority = &run[..run.find(['/', '?', '#']).unwrap_or(run.len())];
            // The name may be an address of mail.
            let colon = authority[at + 1..].find(':').map(|colon| at + 1 + colon);
            match colon.and_then(|colon| password(authority, colon + 1)) {
                Some(password) => Some(password),
                None => (at >= SHORTEST_NAME).then_some(0..at),
            }
        }
        _ => None,
    }
}

/// The password that begins here in an address, which may hold what it should have escaped (`@`, `/`, `:`).
fn password(run: &str, begin: usize) -> Option<Range<usize>> {
    let rest = &run[begin..];
    let digits = after(rest.as_bytes(), 0, |byte| byte.is_ascii_digit());
    let ends_a_port = |byte: &u8| b"/?#\"'`,;)]}>\\".contains(byte);
    let is_port = match rest.as_bytes().get(digits) {
        None => true,
        Some(byte) if digits == 0 => *byte == b'/',
        Some(byte) => digits <= MOST_PORT_DIGITS && ends_a_port(byte),
    };
    if is_port {
        return None;
    }
    let mut end = rest.find('@')?;
    loop {
        let host = end + 1;
        let host_end = rest[host..].find(['/', '?', '#']);
        let host_end = host_end.map_or(rest.len(), |length| host + length);
        if let Some(later) = rest[host..host_end].rfind('@') {
            end = host + later;
        }
        let path = &rest[host_end..];
        let later = path.find('@');
        match later.filter(|later| !path[..*later].contains(['?', '#'])) {
            Some(later) if !is_surely_a_host(&rest[end + 1..host_end]) => end = host_end + later,
            _ => break,
        }
    }
    // The name of an image and its digest.
    let is_digest = rest[end + 1..].starts_with("sha256:");
    (!is_digest).then_some(begin..begin + end)
}

/// Whether this is a host and no piece of a password: it has a dot or a port.
fn is_surely_a_host(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let is_named = name.contains('.') || !port.is_empty() || name == "localhost";
    let mut bytes = host.bytes();
    is_named && bytes.all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
}

/// Passwords in `user:password@host/` and `user:password@host:port`, which begin a word.
fn bare_logins(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let words = words_with_at(text);
    words.filter_map(move |word| {
        let run = &text[word.clone()];
        let password = of_bare_login(run)?;
        Some(word.start + password.start..word.start + password.end)
    })
}

/// The pieces between blanks and quotes that hold an `@`.
fn words_with_at(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut begin = 0;
    let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '`');
    text.split(is_end).filter_map(move |piece| {
        let word = begin..begin + piece.len();
        begin = word.end + 1;
        piece.contains('@').then_some(word)
    })
}

fn of_bare_login(run: &str) -> Option<Range<usize>> {
    let bytes = run.as_bytes();
    let last_at = run.rfind('@')?;
    let colons = run[..last_at].match_indices(':').map(|(at, _)| at);
    let ends = || run.match_indices('@').map(|(at, _)| at);
    let last_of_host = ends().rev().find(|at| has_port(&run[at + 1..]));
    let of_path: Vec<usize> = ends().filter(|at| has_path(&run[at + 1..])).collect();
    colons.into_iter().find_map(|colon| {
        let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-*".contains(byte);
        let length = bytes[..colon].iter().rev().take_while(is_of_name).count();
        let name = colon - length..colon;
        let begins = name.start == 0 || begins_a_word(bytes[name.start - 1]);
        let is_user = begins
            && !name.is_empty()
            && !NO_USERS.contains(&run[name].to_ascii_lowercase().as_str());
        // Two colons part the words of a node id; a path follows one in `from:/to`.
        let is_password = !matches!(bytes[colon + 1], b':' | b'/' | b'\\' | b'@');
        if !is_user || !is_password {
            return None;
        }
        let begin = colon + 1;
        let of_host = last_of_host.filter(|at| *at >= begin);
        let next_of_path = of_path.partition_point(|at| *at < begin);
        let end = of_host.or_else(|| {
            let at = *of_path.get(next_of_path)?;
            (!run[begin..at].contains('/')).then_some(at)
        })?;
        Some(begin..end)
    })
}

/// The host at the beginning, and what follows it.
fn host(text: &str) -> Option<(&str, &str)> {
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let end = match text.strip_prefix('[') {
        Some(_) => text.find(']').map(|end| end + 1)?,
        None => after(text.as_bytes(), 0, is_of_host),
    };
    let (host, rest) = text.split_at(end);
    let is_digest = matches!(host, "sha256" | "sha512");
    // What begins with a digit is a version, unless it is a whole address.
    let is_version = host.starts_with(|c: char| c.is_ascii_digit())
        && (host.split('.').count() != 4 || host.contains(|c: char| c.is_ascii_alphabetic()));
    (!host.is_empty() && !is_digest && !is_version).then_some((host, rest))
}

fn has_port(text: &str) -> bool {
    let port = host(text).and_then(|(_, rest)| rest.strip_prefix(':'));
    port.is_some_and(|port| {
        let digits = after(port.as_bytes(), 0, |byte| byte.is_ascii_digit());
        let behind = port.as_bytes().get(digits);
        digits > 0 && behind.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'@')
    })
}

/// Whether a host and a path follow, as also in `tcp(host:1)/name` and in `/name`, of which the host is left out.
fn has_path(text: &str) -> bool {
    text.starts_with('/') || host(text).is_some_and(|(_, rest)| rest.starts_with(['/', '(']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_is_looked_for() {
        for hook in HOOKS {
            assert!(has_host_of_hooks(hook.as_bytes()), "{hook}");
        }
    }

    #[test]
    fn of_many_slashes_only_those_are_followed_that_begin_an_address() {
        let slashes = "/".repeat(1 << 14);
        assert_eq!(runs(&format!("a{slashes}u:p@h")).count(), 0);
        assert_eq!(runs(&format!("{slashes}u:p@h")).count(), 1);
        assert_eq!(runs(&"=//u:p".repeat(1 << 12)).count(), 0);
        let nested = "=//u:p@h".repeat(1 << 12);
        let mut found = logins(&nested);
        let whole = "=//u:".len()..nested.len() - "@h".len();
        assert_eq!((found.next(), found.next()), (Some(whole), None));
    }
}
