//! Masks what looks like a secret in command lines, arguments and test ids: the agent before it writes its spool, so that nothing of it leaves the
//! machine, and whoever brings in what other recorders wrote.
//!
//! Three things look like one: what has the form of a well-known token, the password in an address, and the value of what is called a
//! password, token or key. In the id of a test the last counts only where the value is no plain word, since suites have many parameters of
//! such names. A secret that looks like nothing is not found.

use std::{borrow::Cow, sync::LazyLock};

use crate::v1::{self, Batch, event, mark};
use regex_lite::{Captures, Regex};

/// What stands for a secret.
const MASK: &str = "***";
/// No well-known token is shorter.
const SHORTEST_TOKEN: usize = 16;
/// In the id of a test a shorter value is no secret.
const SHORTEST_VALUE: usize = 6;

/// Tokens by their form, as their makers chose it to be found by scanners.
static TOKENS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        r"hw_[0-9a-f]{16}_[0-9a-f]{64}",
        r"gh[pousr]_[A-Za-z0-9]{20,}",
        r"github_pat_[A-Za-z0-9_]{20,}",
        r"gl(?:pat|dt|rt|cbt|ptt|ft)-[A-Za-z0-9_\-]{16,}",
        r"xox[abeprs]-[A-Za-z0-9\-]{10,}",
        r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}",
        r"sk-[A-Za-z0-9_\-]{20,}",
        r"(?:AKIA|ASIA)[A-Z0-9]{16}",
        r"AIza[A-Za-z0-9_\-]{35}",
        r"ya29\.[A-Za-z0-9_\-]{20,}",
        r"npm_[A-Za-z0-9]{30,}",
        r"pypi-[A-Za-z0-9_\-]{30,}",
        r"hf_[A-Za-z0-9]{30,}",
        r"dop_v1_[a-f0-9]{60,}",
        r"SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}",
        r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    ];
    Regex::new(&forms.join("|")).ok()
});

/// `scheme://user:password@`, and what an Authorization header says.
static LOGINS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x) ( [A-Za-z][A-Za-z0-9+.\-]* :// [^/\s:@\[\]]* : ) [^\s/]+ @
             | ( [A-Za-z][A-Za-z0-9+.\-]* :// ) [^/\s:@\[\]]{16,} @
             | ( [Aa]uthorization ["']? \s* : \s* ["']? ) [^"'\]\r\n]+
             | ( (?:[Bb]earer|[Bb]asic) \s+ ) [A-Za-z0-9+/=._~\-]{16,}"#,
    )
    .ok()
});

/// A name that says what its value is: `--password=x`, `--api-key x`, `DB_PASSWORD=x`, `"token": "x"`.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?xi)
        ( [a-z0-9_.\-]*
          (?: passw(?:or)?d | passphrase | passwd | pwd | secret | token | api[_\-]?key | access[_\-]?key | private[_\-]?key | credential | authorization )
          s? [a-z0-9_\-]* | \b (?: [a-z0-9_.\-]* [_.\-] )? (?: pass | otp ) )
        ( ["']? \s* [=:] \s* | \s+ )
        ( "[^"]*" | '[^']*' | [^\s"'&;,\]]+ )"#,
    )
    .ok()
});

/// Names that end so tell where a secret is, how long it counts or how it is called.
const NO_SECRETS: [&str; 10] = [
    "file", "path", "dir", "url", "uri", "name", "type", "length", "timeout", "expires",
];

/// Masks everything in a batch that may hold a secret.
pub fn batch(batch: &mut Batch) {
    for process in &mut batch.processes {
        text(&mut process.command);
    }
    for session in &mut batch.sessions {
        words(&mut session.args);
    }
    for notice in &mut batch.notices {
        text(&mut notice.message);
    }
    for event in &mut batch.events {
        match &mut event.what {
            Some(event::What::Signal(signal)) => text(&mut signal.sender),
            Some(event::What::RunnerGone(runner)) => text(&mut runner.command),
            _ => {}
        }
    }
    for mark in &mut batch.marks {
        match &mut mark.what {
            Some(mark::What::TestBegin(begin)) => test_id(&mut begin.nodeid),
            Some(mark::What::FixtureBegin(begin)) => tokens(&mut begin.name),
            _ => {}
        }
    }
}

/// Masks what a job says of itself.
pub fn job(job: &mut v1::Job) {
    words(&mut job.command);
    text(&mut job.url);
    tokens(&mut job.name);
    for (name, value) in &mut job.variant {
        let mut both = format!("{name}={value}");
        text(&mut both);
        if let Some((_, masked)) = both.split_once('=') {
            masked.clone_into(value);
        }
    }
    if let Some(run) = &mut job.run {
        text(&mut run.url);
        for word in [&mut run.branch, &mut run.pull_request, &mut run.event] {
            tokens(word);
        }
    }
}

/// Masks a command in words: a value may stand in the word after its name.
pub fn words(words: &mut [String]) {
    let mut names_the_next = false;
    for word in words {
        // A short flag is one, and a long one; what else begins with a dash may be a value.
        let is_flag = word.starts_with("--") || word.starts_with('-') && word.len() <= 2;
        let is_value = names_the_next && !is_flag;
        if is_value {
            MASK.clone_into(word);
        } else if !mask_named(word) {
            text(word);
            // Where a token was, there may be a name now.
            mask_named(word);
        }
        // What is masked is looked at, so that it says the same when it is masked again.
        names_the_next = word.starts_with('-') && !word.contains('=') && names_a_secret(word);
    }
}

/// Masks a word `name=value` of a secret, where it is one: whatever stands behind the name in the same word is the value.
fn mask_named(word: &mut String) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    let name = name.filter(|name| !name.contains(' ') && names_a_secret(name));
    let masked = name.map(|name| format!("{name}={MASK}"));
    let is_named = masked.is_some();
    if let Some(masked) = masked {
        *word = masked;
    }
    is_named
}

/// Masks a text that people or programs wrote.
fn text(text: &mut String) {
    mask(text, |_| true);
}

/// What each of [`TOKENS`] begins with. To look for these is much quicker than for the patterns, and most texts have none.
const BEGINNINGS: [&str; 29] = [
    "hw_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "glcbt-",
    "glptt-",
    "glft-",
    "xox",
    "sk_",
    "rk_",
    "pk_",
    "sk-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "npm_",
    "pypi-",
    "hf_",
    "dop_v1_",
    "SG.",
    "eyJ",
    "-----BEGIN ",
];
/// Parts of the names in [`NAMED`], in small letters.
const WORDS: [&str; 9] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "authorization",
    "otp",
    "phrase",
];

/// Masks well-known tokens, which are such wherever they stand.
fn tokens(text: &mut String) {
    if text.len() >= SHORTEST_TOKEN && BEGINNINGS.iter().any(|begin| text.contains(begin)) {
        replace(text, &TOKENS, |_| Some(MASK.to_owned()));
    }
}

/// Masks the id of a test: tokens wherever they stand, and what is called a secret among its parameters.
fn test_id(id: &mut String) {
    tokens(id);
    let Some(begin) = id.find('[') else {
        return;
    };
    let parameters = &id[begin..];
    if parameters.len() < SHORTEST_VALUE {
        return;
    }
    let mut masked = parameters.to_owned();
    mask(&mut masked, |value| {
        value.len() >= SHORTEST_VALUE && !value.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    if masked != parameters {
        id.replace_range(begin.., &masked);
    }
}

/// Masks by all three rules; of a named value only those that count. What has none of their signs costs a look at its bytes.
fn mask(text: &mut String, counts: impl Fn(&str) -> bool) {
    tokens(text);
    let signs = ["://", "earer ", "asic ", "uthorization"];
    if signs.iter().any(|sign| text.contains(sign)) {
        replace(text, &LOGINS, |found| {
            let login = found.get(1).or(found.get(2));
            let header = found.get(3).or(found.get(4));
            let at = if login.is_some() { "@" } else { "" };
            let kept = login.or(header)?.as_str();
            Some(format!("{kept}{MASK}{at}"))
        });
    }
    let small = text.to_ascii_lowercase();
    if text.contains(['=', ':', ' ']) && WORDS.iter().any(|word| small.contains(word)) {
        replace(text, &NAMED, |found| {
            let (name, between, value) = (&found[1], &found[2], &found[3]);
            // Only a flag has its value in the next word; in prose the next word is one.
            let by_space = between.trim().is_empty();
            let is_value = !by_space || name.starts_with('-') && !value.starts_with('-');
            let quote = value.get(..1).filter(|first| matches!(*first, "'" | "\""));
            let quote = quote.unwrap_or("");
            let bare = value.trim_matches(['\'', '"']);
            let is_number = bare.bytes().all(|byte| byte.is_ascii_digit());
            // So many tokens, as of a language model.
            let is_count = is_number && name.to_ascii_lowercase().contains("token");
            let masked =
                is_value && !is_count && names_a_secret(name) && bare != MASK && counts(bare);
            masked.then(|| format!("{name}{between}{quote}{MASK}{quote}"))
        });
    }
}

/// Whether a name that has a secret's word in it is one of a secret, not of where it lies.
fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let holds = NAMED
        .as_ref()
        .is_some_and(|named| named.is_match(&format!("{name}=x")));
    holds && !NO_SECRETS.iter().any(|end| name.ends_with(end))
}

/// Puts what `with` gives in the place of each match; `None` leaves one as it is.
fn replace(
    text: &mut String,
    pattern: &LazyLock<Option<Regex>>,
    with: impl Fn(&Captures<'_>) -> Option<String>,
) {
    let Some(pattern) = pattern.as_ref() else {
        return;
    };
    let replaced = pattern.replace_all(text, |found: &Captures<'_>| {
        with(found).unwrap_or_else(|| found[0].to_owned())
    });
    if let Cow::Owned(replaced) = replaced {
        *text = replaced;
    }
}

#[cfg(test)]
mod tests;
