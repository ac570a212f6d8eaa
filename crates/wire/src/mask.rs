//! Masks what looks like a secret in command lines, arguments, paths and test ids: the agent before it writes its spool, so that nothing of it leaves the
//! machine, and whoever brings in what other recorders wrote.
//!
//! Five things look like one: what has the form of a well-known token ([`tokens`]), the password in an address ([`addresses`]), the value of
//! what is called a password, token or key ([`named`]), the password in a statement of SQL ([`statements`]), and what stands where a flag or a
//! program takes a secret ([`commands`], [`programs`], [`verbs`]).
//! In the path of a file, as in what stands before the parameters in the id of a test, only tokens are looked for, so that the one still begins with the other.
//! In the id of a test the value of a name counts only where it is no plain word, since suites have many parameters of such names. A secret
//! that looks like nothing is not found.
//!
//! Each rule says where in a text the secrets are, and [`MASK`] is put there. What one rule masks may show another what it could not see
//! before, so a text is looked at until nothing more is found: what is masked is the same when it is masked again.

mod addresses;
mod commands;
mod named;
mod programs;
mod statements;
mod tokens;
mod verbs;

use std::ops::Range;

use self::commands::Walk;
use crate::v1::{self, Batch, event, mark};

/// What stands for a secret.
const MASK: &str = "***";
/// In the id of a test a shorter value is no secret.
const SHORTEST_VALUE: usize = 6;
/// So many letters, small and capital ones mixed, are no word.
const SHORTEST_CHANCE: usize = 12;
/// Where a name has no password and is so long, it is one.
const SHORTEST_NAME: usize = 16;
/// A quote between quotes, as a shell has it and the agent writes it.
const INNER_QUOTE: &str = r"'\''";
/// How often a text is looked at. One that still shows something new then, as nobody writes it, is masked as a whole.
const MOST_LOOKS: usize = 8;

/// Where in a text secrets are.
type Found = Vec<Range<usize>>;
/// Which values that are called a secret are one.
type Counts<'a> = &'a dyn Fn(&str) -> bool;
/// Finds the secrets of a kind.
type Rule = fn(&str, Counts<'_>) -> Found;

/// Masks everything in a batch that may hold a secret.
pub fn batch(batch: &mut Batch) {
    for process in &mut batch.processes {
        text(&mut process.command);
    }
    for session in &mut batch.sessions {
        all(&mut session.args, Walk::among_arguments());
        only_tokens(&mut session.root);
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
            Some(mark::What::TestBegin(begin)) => {
                only_tokens(&mut begin.path);
                test_id(&mut begin.nodeid);
            }
            Some(mark::What::FixtureBegin(begin)) => {
                for word in [&mut begin.name, &mut begin.path, &mut begin.base] {
                    only_tokens(word);
                }
            }
            Some(mark::What::CollectEnd(end)) => only_tokens(&mut end.files),
            Some(mark::What::ImportBegin(begin)) => only_tokens(&mut begin.path),
            Some(mark::What::ModuleBegin(begin)) => only_tokens(&mut begin.module),
            Some(mark::What::ModuleGone(gone)) => only_tokens(&mut gone.module),
            _ => {}
        }
    }
}

/// Masks what a job says of itself.
pub fn job(job: &mut v1::Job) {
    words(&mut job.command);
    text(&mut job.url);
    only_tokens(&mut job.name);
    for (name, value) in &mut job.variant {
        let mut both = format!("{name}={value}");
        text(&mut both);
        let behind_name = both.strip_prefix(name.as_str());
        // Where not even the name is left, nothing tells where the value began.
        let masked = behind_name.and_then(|behind| behind.strip_prefix('='));
        masked.unwrap_or(MASK).clone_into(value);
    }
    for limit in job.check_limits.iter_mut().flat_map(|it| &mut it.files) {
        only_tokens(limit);
    }
    if let Some(run) = &mut job.run {
        text(&mut run.url);
        for word in [&mut run.branch, &mut run.pull_request, &mut run.event] {
            only_tokens(word);
        }
    }
}

/// Masks a command in words: a value may stand in the word after its name.
pub fn words(words: &mut [String]) {
    all(words, Walk::default());
}

/// Masks the words of a command, or what follows its program.
fn all(words: &mut [String], from: Walk) {
    for _ in 0..MOST_LOOKS {
        let mut walk = from.clone();
        let mut is_changed = false;
        for word in &mut *words {
            let secret = walk.read(word).or_else(|| named::whole_value(word));
            let is_masked = match secret {
                Some(secret) => put(word, vec![secret]),
                None => look(word, &|_| true),
            };
            is_changed |= is_masked;
        }
        if !is_changed {
            return;
        }
    }
    for word in words.iter_mut().filter(|word| !word.is_empty()) {
        MASK.clone_into(word);
    }
}

/// Masks a text that people or programs wrote.
fn text(text: &mut String) {
    mask(text, &|_| true);
}

/// Masks well-known tokens, which are such wherever they stand.
fn only_tokens(text: &mut String) {
    settle(text, |text| put(text, tokens::secrets(text)));
}

/// Masks the id of a test: tokens wherever they stand, and what is called a secret among its parameters.
fn test_id(id: &mut String) {
    only_tokens(id);
    let Some(begin) = id.find('[') else {
        return;
    };
    let parameters = &id[begin..];
    if parameters.len() < SHORTEST_VALUE {
        return;
    }
    let mut masked = parameters.to_owned();
    mask(&mut masked, &|value| {
        value.len() >= SHORTEST_VALUE && !is_plain_word(value)
    });
    if masked != parameters {
        id.replace_range(begin.., &masked);
    }
}

/// Masks by all rules; of the values of names only those that count.
fn mask(text: &mut String, counts: Counts<'_>) {
    settle(text, |text| look(text, counts));
}

/// Looks at a text until nothing more is masked.
fn settle(text: &mut String, look: impl Fn(&mut String) -> bool) {
    for _ in 0..MOST_LOOKS {
        if !look(text) {
            return;
        }
    }
    MASK.clone_into(text);
}

/// Looks once at a text by each rule, and says whether anything was masked. What has none of a rule's signs costs a look at its bytes.
fn look(text: &mut String, counts: Counts<'_>) -> bool {
    let rules: [Rule; 5] = [
        |text, _| tokens::secrets(text),
        addresses::secrets,
        named::secrets,
        statements::secrets,
        commands::secrets,
    ];
    let mut is_changed = false;
    for rule in rules {
        let found = rule(text, counts);
        is_changed |= put(text, found);
    }
    is_changed
}

/// Puts the mask in the place of secrets and says whether that changed anything. Of two that overlap the first counts.
fn put(text: &mut String, mut secrets: Found) -> bool {
    secrets.sort_by_key(|secret| secret.start);
    let mut end = 0;
    secrets.retain(|secret| {
        let is_one = !secret.is_empty() && secret.start >= end && text[secret.clone()] != *MASK;
        end = if is_one { secret.end } else { end };
        is_one
    });
    for secret in secrets.iter().rev() {
        text.replace_range(secret.clone(), MASK);
    }
    !secrets.is_empty()
}

/// Where a text goes on after bytes of a kind.
fn after(bytes: &[u8], from: usize, is_of: impl Fn(u8) -> bool) -> usize {
    let count = bytes[from..].iter().take_while(|byte| is_of(**byte));
    from + count.count()
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// Letters alone, of which a long run changes between small and capital ones no more often than words do that are written as one.
fn is_plain_word(value: &str) -> bool {
    let bytes = value.as_bytes();
    let changes = bytes
        .windows(2)
        .filter(|two| two[0].is_ascii_uppercase() != two[1].is_ascii_uppercase());
    let is_word = bytes.len() < SHORTEST_CHANCE || changes.count() * 3 <= bytes.len();
    is_word && bytes.iter().all(u8::is_ascii_alphabetic)
}

/// Whether chance may have made this: letters alone, and small ones, are a word.
fn is_mixed(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
