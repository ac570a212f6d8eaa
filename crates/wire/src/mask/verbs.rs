//! Words of a program behind which secrets stand: `vault login x`, `npm config set //r/:_authToken x`.

use std::ops::Range;

use super::named;

/// Words of a program, in this order and with others between them, and what they take.
#[derive(Debug)]
pub(super) struct Verb {
    programs: &'static [&'static str],
    words: &'static [&'static str],
    takes: Takes,
}

#[derive(Debug, Clone, Copy)]
enum Takes {
    /// Every word is a secret, but so many at first.
    Words(usize),
    /// A name and its value.
    Pair,
    /// Names with values: `A=x`.
    Assignments,
    /// `user/password@host`.
    Login,
    /// These flags take a secret.
    Flags(&'static [&'static str]),
    /// These flags take a name with a value.
    Named(&'static [&'static str]),
}

const fn verb(
    programs: &'static [&'static str],
    words: &'static [&'static str],
    takes: Takes,
) -> Verb {
    Verb {
        programs,
        words,
        takes,
    }
}

static VERBS: [Verb; 19] = [
    verb(&["vault", "bao"], &["login"], Takes::Words(0)),
    verb(&["snyk"], &["auth"], Takes::Words(0)),
    verb(&["redis-cli", "valkey-cli"], &["auth"], Takes::Words(0)),
    verb(&["mc", "mcli"], &["alias", "set"], Takes::Words(2)),
    verb(&["mc", "mcli"], &["host", "add"], Takes::Words(2)),
    verb(&["dotnet"], &["user-secrets", "set"], Takes::Words(1)),
    verb(&["npm", "pnpm", "yarn"], &["set"], Takes::Pair),
    verb(&["aws"], &["configure", "set"], Takes::Pair),
    verb(
        &["pip", "pip3", "kubectl", "oc"],
        &["config", "set"],
        Takes::Pair,
    ),
    verb(&["git", "poetry", "composer"], &["config"], Takes::Pair),
    verb(&["heroku"], &["config:set"], Takes::Assignments),
    verb(&["heroku"], &["config:add"], Takes::Assignments),
    verb(&["fly", "flyctl"], &["secrets", "set"], Takes::Assignments),
    verb(&["doppler"], &["secrets", "set"], Takes::Assignments),
    verb(
        &["sqlplus", "sqlldr", "expdp", "impdp", "rman"],
        &[],
        Takes::Login,
    ),
    verb(&["gh"], &["secret", "set"], Takes::Flags(&["--body", "-b"])),
    verb(&["aws"], &["put-parameter"], Takes::Flags(&["--value"])),
    verb(&["az"], &["secret", "set"], Takes::Flags(&["--value"])),
    verb(
        &["kubectl", "oc", "kustomize"],
        &[],
        Takes::Named(&["--from-literal"]),
    ),
];

/// Whether a program has verbs.
pub(super) fn has(program: &str) -> bool {
    of_program(program).next().is_some()
}

fn of_program(word: &str) -> impl Iterator<Item = &'static Verb> + '_ {
    let name = word.rsplit('/').next().unwrap_or(word);
    VERBS
        .iter()
        .filter(move |verb| verb.programs.contains(&name))
}

/// Which verbs a command may have, and how much of each was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Vec<(&'static Verb, usize)>);

/// What a word says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    /// This of it is a secret.
    Secret(Range<usize>),
    /// The next word is one.
    Name,
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Secret,
    Named,
}

impl Heard {
    /// Reads a word that may name a program.
    pub(super) fn program(&mut self, word: &str) {
        for verb in of_program(word) {
            if !self.0.iter().any(|(heard, _)| std::ptr::eq(*heard, verb)) {
                self.0.push((verb, 0));
            }
        }
    }

    /// Reads a word that is no flag.
    pub(super) fn word(&mut self, word: &str) -> Said {
        let mut said = Said::Nothing;
        for (verb, read) in &mut self.0 {
            let behind = read.checked_sub(verb.words.len());
            *read += 1;
            let Some(behind) = behind else {
                let is_next = verb.words[*read - 1].eq_ignore_ascii_case(word);
                *read -= usize::from(!is_next);
                continue;
            };
            if said == Said::Nothing {
                said = verb.takes.word(word, behind);
            }
        }
        said
    }

    /// Whether the next word may say anything, be it in quotes.
    pub(super) fn takes_words(&self) -> bool {
        self.complete().any(|(takes, behind)| match takes {
            Takes::Words(_) | Takes::Assignments | Takes::Login => true,
            Takes::Pair => behind == 0,
            Takes::Flags(_) | Takes::Named(_) => false,
        })
    }

    pub(super) fn flag(&self, name: &str) -> Option<Flag> {
        self.complete().find_map(|(takes, _)| match takes {
            Takes::Flags(flags) => flags.contains(&name).then_some(Flag::Secret),
            Takes::Named(flags) => flags.contains(&name).then_some(Flag::Named),
            _ => None,
        })
    }

    fn complete(&self) -> impl Iterator<Item = (Takes, usize)> + '_ {
        self.0.iter().filter_map(|(verb, read)| {
            let behind = read.checked_sub(verb.words.len())?;
            Some((verb.takes, behind))
        })
    }
}

impl Takes {
    /// What a word says behind so many others.
    fn word(self, word: &str, behind: usize) -> Said {
        let secret = match self {
            // What has a name may be the name of somebody.
            Self::Words(first) if behind >= first && assigned(word).is_none() && word != "-" => {
                Some(0..word.len())
            }
            Self::Pair if behind == 0 && names_a_secret(word) => return Said::Name,
            Self::Assignments => assigned(word),
            Self::Login => oracle_password(word),
            _ => None,
        };
        secret.map_or(Said::Nothing, Said::Secret)
    }
}

/// Whether a name as it stands in settings is one of a secret: `//r.example/:_authToken`, `pypi-token.pypi`.
fn names_a_secret(name: &str) -> bool {
    let last = name.rsplit(['/', ':']).next().unwrap_or(name);
    !name.contains('=') && (named::tells_a_secret(last) || last.starts_with("pypi-token."))
}

/// The value of `A=x`.
pub(super) fn assigned(word: &str) -> Option<Range<usize>> {
    let (name, value) = word.split_once('=')?;
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./'\"\\".contains(&byte);
    let is_one = !value.is_empty() && name.bytes().all(is_of_name);
    is_one.then_some(name.len() + 1..word.len())
}

/// The password in `user/password@host`. A path has no user.
fn oracle_password(word: &str) -> Option<Range<usize>> {
    let (name, rest) = word.split_once('/')?;
    let is_name = !name.is_empty() && !name.contains(['@', '.', ':']);
    let begin = name.len() + 1;
    let length = rest.rfind('@').unwrap_or(rest.len());
    (is_name && length > 0).then_some(begin..begin + length)
}
