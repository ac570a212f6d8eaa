//! A name that says what its value is: `--password=x`, `DB_PASSWORD=x`, `"token": "x"`, `X-Api-Key: x`, `?sig=x`.

use std::ops::Range;

use super::{Counts, Found, INNER_QUOTE, MASK, after, is_mixed, is_quote};

/// What is called so is a secret, also with something before or behind it.
const WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "authorization",
];
/// A key of these is one.
const KEYS: [&str; 10] = [
    "api",
    "access",
    "private",
    "account",
    "auth",
    "signing",
    "encryption",
    "master",
    "subscription",
    "functions",
];
/// Names that end in one of these, behind a dash or whatever parts words, are secrets.
const LAST: [&str; 11] = [
    "pass",
    "pgpass",
    "pat",
    "pw",
    "otp",
    "bearer",
    "sshpass",
    "dbpass",
    "userpass",
    "storepass",
    "keypass",
];
/// Names that end so tell where a secret is, how long it counts or how it is called.
const NO_SECRETS: [&str; 23] = [
    "file",
    "path",
    "dir",
    "url",
    "uri",
    "name",
    "type",
    "length",
    "timeout",
    "expires",
    "stdin",
    "prompt",
    "policy",
    "ttl",
    "format",
    "endpoint",
    "authentication",
    "hasher",
    "hashers",
    "validator",
    "validators",
    "backend",
    "-fd",
];
/// What only sounds like a secret.
const SOUNDS_SO: [&str; 4] = ["tokeniz", "tokenis", "passwordless", "secretar"];
/// What stands behind `auth` and says how it is done.
const WAYS: [&str; 18] = [
    "none",
    "basic",
    "digest",
    "bearer",
    "ntlm",
    "negotiate",
    "oauth",
    "oauth2",
    "jwt",
    "ldap",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "required",
    "optional",
];
/// Whether something is or not, which no secret says.
const ANSWERS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "none", "null"];
/// A key of an object that is called a secret, of which this is the value.
const VALUES: [&str; 6] = ["value", "raw", "plain", "plaintext", "string", "text"];
/// What stands before the secret in a header.
const SCHEMES: [&str; 6] = ["bearer", "basic", "token", "digest", "apikey", "negotiate"];
/// What follows `Bearer` or `Basic` and is shorter may be a word.
const SHORTEST_BEARER: usize = 16;

/// Where the values of names are that tell a secret; of these only those that count.
pub(super) fn secrets(text: &str, counts: Counts<'_>) -> Found {
    let mut found = Found::new();
    if !text.contains(['=', ':', ' ']) {
        return found;
    }
    let bytes = text.as_bytes();
    let mut object = Object::default();
    let mut closes = Closes::default();
    let mut at = 0;
    while at < bytes.len() {
        let begin = after(bytes, at, |byte| !is_of_name(byte));
        let end = after(bytes, begin, is_of_name);
        object.read(&bytes[at..begin]);
        at = end.max(begin);
        let value = value_behind(text, begin..end, &mut object, &mut closes);
        let value = value.filter(|value| counts(&text[value.clone()]));
        let secret = value.or_else(|| behind_scheme(text, begin..end));
        if let Some(secret) = secret {
            at = secret.end.max(at);
            found.push(secret);
        }
    }
    found
}

/// The value in a word `name=value`, where the name tells a secret: whatever stands behind it.
pub(super) fn whole_value(word: &str) -> Option<Range<usize>> {
    let (name, value) = word.split_once('=')?;
    let is_secret = name.bytes().all(is_of_name) && tells_a_secret(name);
    let is_plain =
        is_count(name, value) || is_way(name, value) || is_folder(name, value) || is_answer(value);
    (is_secret && !is_plain).then_some(name.len() + 1..word.len())
}

/// Whether a name that has a secret's word in it is one of a secret, not of where it lies.
pub(super) fn tells_a_secret(name: &str) -> bool {
    if !name.as_bytes().windows(2).any(may_be_of_a_secret) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or("");
    let mut parts = last.rsplit(['_', '-']);
    let last_part = parts.next().unwrap_or("");
    let is_one_of_more = parts.next().is_some();
    let is_key = || {
        last.match_indices("key").any(|(at, _)| {
            let before = last[..at].trim_end_matches(['_', '-']);
            KEYS.iter().any(|kind| before.ends_with(kind))
        })
    };
    let is_secret = WORDS.iter().any(|word| last.contains(word))
        || LAST.contains(&last_part)
        || last_part == "auth" && is_one_of_more
        || last_part == "signature" && last.starts_with("x-")
        || is_key();
    is_secret
        && !NO_SECRETS.iter().any(|end| name.ends_with(end))
        && !SOUNDS_SO.iter().any(|word| name.contains(word))
}

/// Two letters that begin a word of a secret, at its beginning or inside of it. Most flags have none, and to look for these is quick.
fn may_be_of_a_secret(two: &[u8]) -> bool {
    let two = [two[0].to_ascii_lowercase(), two[1].to_ascii_lowercase()];
    [
        b"pa", b"pw", b"se", b"to", b"cr", b"au", b"ke", b"ot", b"si", b"be",
    ]
    .contains(&&two)
}

/// So many tokens, as of a language model. Of one token digits are the token.
pub(super) fn is_count(name: &str, value: &str) -> bool {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let is_of_many = !name.ends_with("token") || name.contains("max") || name.contains("num");
    name.contains("token") && is_of_many
}

/// How somebody signs in, not with what.
pub(super) fn is_way(name: &str, value: &str) -> bool {
    let ends_so = name.len() >= 4 && name.is_char_boundary(name.len() - 4);
    ends_so
        && name[name.len() - 4..].eq_ignore_ascii_case("auth")
        && WAYS.contains(&value.to_ascii_lowercase().as_str())
}

/// Whether a value says only that something is so.
pub(super) fn is_answer(value: &str) -> bool {
    ANSWERS
        .iter()
        .any(|answer| answer.eq_ignore_ascii_case(value))
}

/// Where a shell is.
fn is_folder(name: &str, value: &str) -> bool {
    matches!(name, "PWD" | "OLDPWD") && value.starts_with('/')
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The value that follows a name, where it is a secret.
fn value_behind(
    text: &str,
    name: Range<usize>,
    object: &mut Object,
    closes: &mut Closes,
) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // The quote around the name, be it escaped, as in JSON.
    let key_end = match after(bytes, name.end, |byte| byte == b'\\') {
        end if bytes.get(end).copied().is_some_and(is_quote) => end + 1,
        _ => name.end,
    };
    let sign = after(bytes, key_end, |byte| byte.is_ascii_whitespace());
    let is_colon = bytes.get(sign) == Some(&b':');
    let begin = sign + length_of_sign(&bytes[sign..])?;
    let called = &text[name.clone()];
    let before = bytes[..name.start].last().copied();
    let is_key = key_end > name.end;
    if is_colon && is_of_tests(&text[..name.start], called) {
        return None;
    }
    let kind = Kind::of(called, before, is_colon, is_key);
    let of_object = || (is_key && object.is_value(called)).then_some(Kind::Value);
    let kind = kind.or_else(of_object)?;

    let begin = after(bytes, begin, |byte| byte.is_ascii_whitespace());
    if is_structure(&bytes[begin..]) {
        object.is_next |= bytes.get(begin) == Some(&b'{');
        return None;
    }
    let quote = after(bytes, begin, |byte| byte == b'\\');
    let value = match bytes.get(quote) {
        _ if text[begin..].starts_with(INNER_QUOTE) => {
            quoted(text, begin..begin + INNER_QUOTE.len())
        }
        Some(byte) if is_quote(*byte) => quoted(text, begin..quote + 1),
        _ => {
            let around = before.filter(|before| is_quote(*before) && key_end == name.end);
            let is_word = before
                .is_none_or(|byte| byte.is_ascii_whitespace() || is_quote(byte) || byte == b'=');
            let has_comma = is_word && !is_colon && begin == name.end + 1;
            let is_line = |byte: u8| !matches!(byte, b'\r' | b'\n');
            let end = match (kind, around) {
                (Kind::Header, Some(around)) => {
                    after(bytes, begin, |byte| byte != around && is_line(byte))
                }
                (Kind::Header, None) if name.start == 0 => after(bytes, begin, is_line),
                (Kind::Header, None) => after(bytes, begin, is_of_header),
                (Kind::Value, Some(around)) if is_colon || called.starts_with('-') => {
                    after(bytes, begin, |byte| byte != around)
                }
                (Kind::Value, _) => behind_way(text, begin, |begin| {
                    bare_end(text, begin, around, has_comma, closes)
                }),
            };
            begin..end
        }
    };
    (!is_plain(called, &text[value.clone()])).then_some(value)
}

/// Whether a name with a colon behind it is a test's (`a.py::test_token: it failed`), or says what is measured (`--cov=token:branch`).
fn is_of_tests(before: &str, name: &str) -> bool {
    before.ends_with("--cov=") || before.ends_with("::") && name.starts_with("test_")
}

/// Whether a value tells nothing secret though its name sounds so.
fn is_plain(name: &str, value: &str) -> bool {
    let is_cookie = name.to_ascii_lowercase().ends_with("cookie");
    // In an address the name was the user's.
    let is_login = value
        .strip_prefix(MASK)
        .is_some_and(|rest| rest.starts_with('@'));
    is_structure(value.as_bytes())
        || is_login
        || is_cookie && !value.contains('=')
        || is_count(name, value)
        || is_way(name, value)
        || is_folder(name, value)
        || is_answer(value)
}

/// An object that is called a secret, as in `"password": {"value": "x"}`.
#[derive(Debug, Default)]
struct Object {
    /// The next that begins is one.
    is_next: bool,
    /// So many braces are open in one.
    open: usize,
}

impl Object {
    /// Reads what stands between two names.
    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'{' if self.open > 0 || self.is_next => {
                    self.open += 1;
                    self.is_next = false;
                }
                b'}' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether a key of it has the secret as its value.
    fn is_value(&self, key: &str) -> bool {
        let is = |known: &&str| known.eq_ignore_ascii_case(key);
        let ends_so = key.to_ascii_lowercase().ends_with("value");
        self.open > 0 && (ends_so || VALUES.iter().any(is))
    }
}

/// Whether an object or a list begins: what is in it has names of its own.
fn is_structure(bytes: &[u8]) -> bool {
    let opens = |byte: u8| matches!(byte, b'{' | b'[');
    match bytes {
        [first] => opens(*first),
        [first, second, ..] => {
            let goes_on = is_quote(*second) || opens(*second) || matches!(second, b'\\' | b'}');
            opens(*first) && (goes_on || second.is_ascii_whitespace())
        }
        [] => true,
    }
}

/// Where a value ends that may say first what kind it is: `Bearer x`.
fn behind_way(text: &str, begin: usize, mut end: impl FnMut(usize) -> usize) -> usize {
    let first = end(begin);
    let is_scheme = |known: &&str| known.eq_ignore_ascii_case(&text[begin..first]);
    let second = after(text.as_bytes(), first, |byte| byte == b' ');
    match SCHEMES.iter().find(|known| is_scheme(known)) {
        Some(_) if second > first && !text[second..].starts_with("--") => end(second),
        _ => first,
    }
}

/// How far a value goes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// It is a word.
    Value,
    /// It goes to the end of the line or to the quote that it stands in.
    Header,
}

impl Kind {
    fn of(name: &str, before: Option<u8>, is_colon: bool, is_key: bool) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let ends = |end: &str| {
            let at = name.len().checked_sub(end.len());
            at.is_some_and(|at| name.as_bytes()[at..].eq_ignore_ascii_case(end.as_bytes()))
        };
        if is_colon && (ends("authorization") || is("cookie") || is("set-cookie")) {
            return Some(Self::Header);
        }
        let is_signature =
            matches!(before, Some(b'?' | b'&' | b';')) && (is("sig") || is("signature"));
        let is_auth = is("auth") && (is_key || !is_colon);
        let is_secret = tells_a_secret(name) || is_auth || is_signature;
        is_secret.then_some(Self::Value)
    }
}

/// How long the sign is that parts a name from its value. Two colons are none, and `://` follows a scheme.
fn length_of_sign(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b':', b':', ..] | [b':', b'/', b'/', ..] => None,
        [b':' | b'=', b'=', ..] | [b'=', b'>', ..] => Some(2),
        [b':' | b'=', ..] => Some(1),
        _ => None,
    }
}

/// What stands between quotes, which may be escaped; what is not closed goes to the end.
pub(super) fn quoted(text: &str, open: Range<usize>) -> Range<usize> {
    let quote = &text[open.clone()];
    let is_escaped = |at: usize| quote.len() == 1 && text[..at].ends_with('\\') && quote != "'";
    let mut closes = text[open.end..].match_indices(quote);
    let close = closes.find(|(at, _)| !is_escaped(open.end + at));
    open.end..close.map_or(text.len(), |(at, _)| open.end + at)
}

/// Where the quotes of each kind close that were looked for last. Those that are escaped close none, so many may have the same end, and to look
/// for it from each of them would take too long.
#[derive(Debug, Default)]
pub(super) struct Closes([Option<Range<usize>>; 3]);

impl Closes {
    /// As [`quoted`].
    pub(super) fn quoted(&mut self, text: &str, open: Range<usize>) -> Range<usize> {
        let kind = match &text.as_bytes()[open.clone()] {
            b"\"" => 0,
            b"'" => 1,
            _ => 2,
        };
        let known = self.0[kind].clone();
        let found = known.filter(|known| known.start <= open.end && open.end <= known.end);
        let found = found.unwrap_or_else(|| quoted(text, open.clone()));
        let within = open.end..found.end;
        self.0[kind] = Some(found);
        within
    }
}

/// Where a value without quotes ends. A quote inside of it belongs to it, as a shell reads `a'b c'd`.
fn bare_end(
    text: &str,
    begin: usize,
    around: Option<u8>,
    has_comma: bool,
    closes: &mut Closes,
) -> usize {
    let bytes = text.as_bytes();
    let mut at = begin;
    while let Some(byte) = bytes.get(at).copied() {
        if byte.is_ascii_whitespace() || matches!(byte, b'&' | b';' | b']') {
            break;
        }
        if byte == b',' && !has_comma {
            break;
        }
        if is_quote(byte) {
            let goes_on = bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
            if Some(byte) == around || at == begin || !goes_on {
                break;
            }
            let close = closes.quoted(text, at..at + 1).end;
            if close == text.len() {
                break;
            }
            at = close;
        }
        at += 1;
    }
    // The quote that follows may be an escaped one.
    if bytes.get(at).copied().is_some_and(is_quote) {
        let slashes = bytes[begin..at].iter().rev();
        at -= slashes.take_while(|byte| **byte == b'\\').count();
    }
    at
}

/// What a header may say.
fn is_of_header(byte: u8) -> bool {
    !is_quote(byte) && !matches!(byte, b']' | b'\r' | b'\n')
}

/// What follows `Bearer` or `Basic`, where it is too long for a word, or does not look like one.
fn behind_scheme(text: &str, scheme: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is = |known: &str| known.eq_ignore_ascii_case(&text[scheme.clone()]);
    let is_basic = is("basic");
    if !is_basic && !is("bearer") {
        return None;
    }
    let begin = after(bytes, scheme.end, |byte| byte.is_ascii_whitespace());
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=._~-".contains(&byte);
    let end = after(bytes, begin, is_of_token);
    let is_long = begin > scheme.end && end - begin >= SHORTEST_BEARER;
    // In Base64 there are capitals or digits.
    let is_secret = is_long && (!is_basic || is_mixed(&bytes[begin..end]));
    is_secret.then_some(begin..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_secret_is_looked_at() {
        let more = ["http_auth", "x-amz-signature", "api-key"];
        for name in WORDS.iter().chain(&LAST).chain(&more) {
            assert!(tells_a_secret(name), "{name}");
        }
        for kind in KEYS {
            for name in [format!("{kind}key"), format!("MY-{kind}_Key")] {
                assert!(tells_a_secret(&name), "{name}");
            }
        }
        for end in NO_SECRETS {
            assert!(!tells_a_secret(&format!("token-{end}")), "{end}");
        }
    }
}
