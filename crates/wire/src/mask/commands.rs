//! Secrets by where they stand in a command: behind a flag that is called so (`--password x`), and behind the flags of a program that takes
//! them (`mysql -px`, `curl -u user:x`).
//!
//! [`Walk`] reads words one by one, of a command in words as of one in a text. A text is cut at blanks, and what stands in quotes is read as a
//! command of its own, as `sh -c 'mysql -px'` has one.

use std::ops::Range;

use super::{
    Counts, Found, INNER_QUOTE, SHORTEST_NAME, is_quote,
    named::{self, Closes},
    programs::{self, Program, Role, Values},
    verbs::{self, Flag, Heard, Said},
};

/// Flags of any program whose value is `name:password`.
const LOGINS: [&str; 4] = ["--proxy-user", "--creds", "--src-creds", "--dest-creds"];
/// The same flag, where it does not tell whose process it shall be.
const USER: &str = "--user";
const COOKIE: &str = "--cookie";
/// Flags that begin so take no value, though they name a secret.
const NO_VALUE: [&str; 4] = ["--no-", "--ask-", "--prompt-", "--skip-"];
/// Quotes within quotes that are read so.
const MOST_QUOTES: usize = 8;

/// Where one is in a command.
#[derive(Debug, Clone, Default)]
pub(super) struct Walk {
    place: Place,
    expects: Option<Expected>,
    heard: Heard,
}

#[derive(Debug, Clone, Default)]
enum Place {
    /// Where a program is named.
    #[default]
    Start,
    /// Behind a program that starts another, and behind this word.
    Behind(Option<String>),
    /// Among the words of a program that takes secrets.
    Of(&'static Program),
    /// Among the words of any other.
    Other,
}

/// What the next word is.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Secret(Plain),
    /// A name and, behind this, a password.
    Login(char),
    Cookie,
    /// A name and its value.
    Assignment,
}

/// What says nothing secret though it stands where a secret does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Nothing,
    /// Whether something is so.
    Answer,
    /// So many tokens.
    Count,
    /// How somebody signs in.
    Way,
    /// Ports that a container shows: the flags of `docker run` may seem to be those of a program in its words.
    Ports,
}

impl Walk {
    /// Where no program is named, as in the arguments of pytest.
    pub(super) fn among_arguments() -> Self {
        Self {
            place: Place::Other,
            ..Self::default()
        }
    }

    /// Reads the next word, and says what is secret in it.
    pub(super) fn read(&mut self, word: &str) -> Option<Range<usize>> {
        if word.is_empty() {
            return None;
        }
        let expected = self.expects.take();
        if ends_a_command(word) {
            *self = Self::default();
            return None;
        }
        let secret = match expected {
            Some(expected) if !is_surely_a_flag(word) => expected.secret_in(word),
            _ if word.len() > 1 && word.starts_with('-') => self.flag(word),
            _ => {
                let secret = self.heard(word);
                self.plain(word);
                secret
            }
        };
        if word.ends_with(';') {
            *self = Self::default();
        }
        secret
    }

    /// What words that came before say of this one.
    fn heard(&mut self, word: &str) -> Option<Range<usize>> {
        match self.heard.word(word) {
            Said::Nothing => None,
            Said::Secret(secret) => Some(secret),
            Said::Name => {
                self.expects = Some(Expected::Secret(Plain::Nothing));
                None
            }
        }
    }

    /// Whether the next word may be a secret.
    fn expects_one(&self) -> bool {
        self.expects.is_some() || self.heard.takes_words()
    }

    fn plain(&mut self, word: &str) {
        // A program may stand right behind what ends a command or begins another.
        let glues = |byte: u8| matches!(byte, b';' | b'|' | b'(' | b'`' | b'&');
        let glued = word.bytes().rposition(glues).map(|at| &word[at + 1..]);
        let glued = glued.filter(|program| {
            !matches!(programs::role(program), Role::Other) || verbs::has(program)
        });
        let program = glued.unwrap_or(word.trim_end_matches(';'));
        if glued.is_some() {
            *self = Self::default();
        }
        if let Place::Of(Program { starts: true, .. }) = self.place {
            self.place = Place::Start;
        }
        let behind = matches!(self.place, Place::Behind(_));
        if behind || matches!(self.place, Place::Start) {
            self.heard.program(program);
        }
        match &mut self.place {
            Place::Start if is_assignment(program) || program.is_empty() => {}
            // A path behind a program that starts others may be a folder.
            Place::Behind(before) if program.contains('/') && !program.contains("bin/") => {
                *before = Some(program.to_owned());
            }
            Place::Start | Place::Behind(_) if programs::runs_tests(program) => {
                *self = Self::among_arguments();
            }
            Place::Start | Place::Behind(_) => {
                let before = match &self.place {
                    Place::Behind(before) => before.as_deref(),
                    _ => None,
                };
                let login = programs::login_of(program, before).filter(|_| behind);
                self.place = match (programs::role(program), login) {
                    (Role::Takes(program), _) | (Role::Other, Some(program)) => Place::Of(program),
                    (Role::Starts, _) => Place::Behind(None),
                    (Role::Other, None) if behind => Place::Behind(Some(program.to_owned())),
                    (Role::Other, None) => Place::Other,
                };
            }
            Place::Of(_) | Place::Other => {}
        }
    }

    fn flag(&mut self, word: &str) -> Option<Range<usize>> {
        if matches!(self.place, Place::Start) {
            self.place = Place::Other;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, _)) => (name, Some(name.len() + 1)),
            None => (word, None),
        };
        if value.is_none() && named::tells_a_secret(name) {
            let takes_one = !NO_VALUE.iter().any(|begin| name.starts_with(begin));
            let plain = if named::is_count(name, "") {
                Plain::Count
            } else if named::is_way(name, "none") {
                Plain::Way
            } else {
                Plain::Answer
            };
            self.expects = takes_one.then_some(Expected::Secret(plain));
            return None;
        }
        let of_verb = self.heard.flag(name).map(|takes| match takes {
            Flag::Secret => Expected::Secret(Plain::Nothing),
            Flag::Named => Expected::Assignment,
        });
        if let Some(expected) = of_verb.or_else(|| self.of_long_flag(name)) {
            if value.is_none() {
                self.expects = Some(expected);
            }
            let value = value?;
            let secret = expected.secret_in(&word[value..])?;
            return Some(value + secret.start..value + secret.end);
        }
        // `-bx` of a verb.
        let short = word.char_indices().nth(2).map(|(at, _)| at);
        if let Some(at) = short.filter(|at| self.heard.flag(&word[..*at]).is_some()) {
            return Some(at..word.len());
        }
        let Place::Of(program) = self.place else {
            return None;
        };
        self.short_flags(program, word)
    }

    /// What the value of a long flag is that is not called a secret.
    fn of_long_flag(&self, name: &str) -> Option<Expected> {
        let (parts, own) = match self.place {
            Place::Of(program) => (program.parts, program.long_logins),
            _ => (':', &[][..]),
        };
        let is_user = name == USER && !matches!(self.place, Place::Behind(_));
        let is_login = is_user || LOGINS.contains(&name) || own.contains(&name);
        let cookie = (name == COOKIE).then_some(Expected::Cookie);
        is_login.then_some(Expected::Login(parts)).or(cookie)
    }

    fn short_flags(&mut self, program: &Program, word: &str) -> Option<Range<usize>> {
        let flags = word.strip_prefix('-')?;
        for (at, flag) in flags.char_indices() {
            let begin = 1 + at + flag.len_utf8();
            let is_valued = program.valued.contains(flag) || !flag.is_ascii_alphanumeric();
            let expected = if program.secrets.contains(flag) {
                let may_be_ports = flag == 'p' && !program.starts;
                Expected::Secret(if may_be_ports {
                    Plain::Ports
                } else {
                    Plain::Nothing
                })
            } else if program.logins.contains(flag) {
                Expected::Login(program.parts)
            } else if program.cookies.contains(flag) {
                Expected::Cookie
            } else if program.joins && !is_valued {
                continue;
            } else {
                return None;
            };
            let value = &word[begin..];
            if value.is_empty() {
                let is_next = program.values != Values::Joined;
                self.expects = is_next.then_some(expected);
                return None;
            }
            let name = flags[at..].split('=').next().unwrap_or("");
            if program.values == Values::Next || program.long_flags.contains(&name) {
                return None;
            }
            let secret = expected.secret_in(value)?;
            return Some(begin + secret.start..begin + secret.end);
        }
        None
    }
}

impl Expected {
    fn secret_in(self, word: &str) -> Option<Range<usize>> {
        match self {
            Self::Secret(plain) => {
                let is_plain = match plain {
                    Plain::Nothing => false,
                    Plain::Answer => named::is_answer(word),
                    Plain::Count => word.bytes().all(|byte| byte.is_ascii_digit()),
                    Plain::Way => named::is_way("auth", word),
                    Plain::Ports => is_ports(word),
                };
                (!is_plain && word != "-").then_some(0..word.len())
            }
            Self::Login(parts) => {
                let (name, password) = word.split_once(parts)?;
                let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
                // A user and a group, an address, or a drive and a path.
                let is_plain = name == password
                    || is_number(name) && is_number(password)
                    || password.starts_with("//")
                    || name.len() == 1 && password.starts_with('\\');
                if password.is_empty() && name.len() >= SHORTEST_NAME {
                    return Some(0..name.len());
                }
                let begin = name.len() + parts.len_utf8();
                (!is_plain).then_some(begin..word.len())
            }
            Self::Cookie => word.contains('=').then_some(0..word.len()),
            Self::Assignment => verbs::assigned(word),
        }
    }
}

/// Ports that a container shows: `8080:80`, `127.0.0.1:80:80/tcp`.
fn is_ports(word: &str) -> bool {
    let ports = word
        .strip_suffix("/tcp")
        .or(word.strip_suffix("/udp"))
        .unwrap_or(word);
    ports.contains(':')
        && ports
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'-'))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !name.is_empty() && name.bytes().all(is_of_name)
    })
}

/// Whether a word has the form of a flag: `-x`, `-vvv`, `--word`, `--two-words=…`, `--`. What else begins with a dash may be a value.
fn is_surely_a_flag(word: &str) -> bool {
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or("");
        let is_of_words = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        return long.is_empty()
            || name.len() > 1 && !name.starts_with('-') && name.bytes().all(is_of_words);
    }
    let Some(short) = word.strip_prefix('-') else {
        return false;
    };
    let mut letters = short.chars();
    let first = letters.next();
    first.is_some_and(|first| first.is_ascii_alphabetic()) && letters.all(|c| Some(c) == first)
}

/// What ends a command or says where its streams go.
fn ends_a_command(word: &str) -> bool {
    matches!(
        word,
        "|" | "||"
            | "&&"
            | "&"
            | ";"
            | "|&"
            | "("
            | ")"
            | "{"
            | "}"
            | ">"
            | ">>"
            | "<"
            | "!"
            | "then"
            | "do"
            | "else"
    )
}

/// Where secrets stand in a text of commands; of the values of flags only those that count.
pub(super) fn secrets(text: &str, counts: Counts<'_>) -> Found {
    let mut found = Found::new();
    let is_one_word = !text.contains([' ', '\t', '\n', '"', '\'']);
    if is_one_word {
        return found;
    }
    let bytes = text.as_bytes();
    let mut walk = Walk::default();
    // The quotes that are open, and where the walk was outside of them.
    let mut outside: Vec<(&str, Walk)> = Vec::new();
    let mut closes = Closes::default();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let around = outside.last().map(|(quote, _)| *quote);
        let next = bytes.get(at + 1).copied();
        let is_before_a_word =
            next.is_none_or(|next| next.is_ascii_whitespace() || is_quote(next) || next == b'[');
        if byte == b'\n' {
            walk = Walk::default();
            at += 1;
        } else if byte == b'\\' && next == Some(b'\n') {
            at += 2;
        } else if byte.is_ascii_whitespace()
            || matches!(byte, b',' | b'[' | b']' | b'\\')
                && (is_before_a_word || !walk.expects_one())
        {
            at += 1;
        } else if let Some(length) = quote_at(text, at, around) {
            let open = at..at + length;
            let word = closes.quoted(text, open.clone());
            if around == Some(&text[open.clone()]) {
                // What a flag in quotes expects comes behind them.
                let expects = walk.expects.take();
                walk = outside.pop().map_or_else(Walk::default, |(_, walk)| walk);
                walk.expects = walk.expects.take().or(expects);
                at = open.end;
            } else if walk.expects_one() && !is_surely_a_flag(&text[word.clone()]) {
                at = (word.end + length).min(bytes.len());
                found.extend(shifted(&mut walk, text, word, counts));
            } else {
                if outside.len() < MOST_QUOTES {
                    outside.push((&text[open.clone()], std::mem::take(&mut walk)));
                }
                at = open.end;
            }
        } else {
            let is_value = walk.expects_one();
            let word = at..end_of_word(text, at, around, is_value, &mut closes);
            at = word.end;
            found.extend(shifted(&mut walk, text, word, counts));
        }
    }
    found
}

/// How long the quote is that is here. Between single quotes, a shell has another one as [`INNER_QUOTE`].
fn quote_at(text: &str, at: usize, around: Option<&str>) -> Option<usize> {
    let rest = &text.as_bytes()[at..];
    let may_be_inner = matches!(around, Some("'" | INNER_QUOTE));
    let is_inner = may_be_inner && rest.starts_with(INNER_QUOTE.as_bytes());
    match rest[0] {
        _ if is_inner => Some(INNER_QUOTE.len()),
        byte => is_quote(byte).then_some(1),
    }
}

/// What is secret in a word of a text.
fn shifted(
    walk: &mut Walk,
    text: &str,
    word: Range<usize>,
    counts: Counts<'_>,
) -> Option<Range<usize>> {
    let secret = walk.read(&text[word.clone()])?;
    let secret = word.start + secret.start..word.start + secret.end;
    // What ends the command stays, and the quotes around a value.
    let end = secret.start + text[secret.clone()].trim_end_matches(';').len();
    let secret = secret.start..end;
    let value = &text[secret.clone()];
    let within = value.strip_prefix(INNER_QUOTE);
    if let Some(within) = within.and_then(|within| within.strip_suffix(INNER_QUOTE)) {
        let begin = secret.start + INNER_QUOTE.len();
        return counts(within).then_some(begin..begin + within.len());
    }
    let close = value.bytes().next_back().filter(|byte| is_quote(*byte));
    let opens = |text: &str| text.bytes().filter(|byte| Some(*byte) == close).count() % 2 == 1;
    let secret = match close {
        Some(close) if value.len() > 1 && value.as_bytes()[0] == close => {
            secret.start + 1..secret.end - 1
        }
        Some(_) if opens(&text[word.start..secret.start]) => secret.start..secret.end - 1,
        _ => secret,
    };
    counts(&text[secret.clone()]).then_some(secret)
}

/// Where a word ends: at a blank, or at the quote that it stands in. In a flag or a value another quote goes to its end.
fn end_of_word(
    text: &str,
    begin: usize,
    around: Option<&str>,
    is_value: bool,
    closes: &mut Closes,
) -> usize {
    let bytes = text.as_bytes();
    let is_flag = bytes[begin] == b'-';
    let mut has_sign = false;
    let mut at = begin;
    while let Some(byte) = bytes.get(at).copied() {
        if byte.is_ascii_whitespace() {
            break;
        }
        has_sign |= byte == b'=';
        let Some(length) = quote_at(text, at, around) else {
            at += 1;
            continue;
        };
        // In a list, what is quoted is the next word.
        let is_list = bytes[..at].last() == Some(&b',') || bytes.get(at + length) == Some(&b',');
        if around == Some(&text[at..at + length]) || is_list {
            break;
        }
        let end = closes.quoted(text, at..at + length).end;
        let goes_on = (is_flag || has_sign || is_value) && end < text.len();
        // Where it does not, an inner quote begins what is read as another command.
        if length > 1 && !goes_on {
            break;
        }
        at = if goes_on { end + length } else { at + length };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_quote_closes_is_looked_for_once() {
        let text = r#"a \" b \" 'c' "d \" e" f '\'' g '\'' "h \" i"#;
        let mut closes = Closes::default();
        for at in 0..text.len() {
            let around = Some("'");
            let Some(length) = quote_at(text, at, around) else {
                continue;
            };
            let open = at..at + length;
            let expected = named::quoted(text, open.clone());
            assert_eq!(closes.quoted(text, open), expected, "at {at} of {text}");
        }
        let many = "\\\"".repeat(1 << 16);
        assert!(secrets(&format!("x {many}"), &|_| true).is_empty());
    }
}
