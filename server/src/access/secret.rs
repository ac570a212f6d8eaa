//! Tokens: how they are made, and how they are taken apart.
//!
//! `hw_LOOKUP_SECRET`: 16 hexadecimal digits that find the row, and 64 that are the secret (256 random bits). The prefix lets scanners of
//! leaked secrets, and the agent's own masking, tell one. So much chance needs no slow hash: what is kept is the SHA-256 of the whole.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

const PREFIX: &str = "hw_";
const LOOKUP_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 64;

/// A token, whole. Never logged: `Debug` shows its lookup only.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "hw_{}_…", self.lookup())
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; (LOOKUP_DIGITS + SECRET_DIGITS) / 2];
        getrandom::fill(&mut bytes)?;
        let digits = hex(&bytes);
        let (lookup, secret) = digits.split_at(LOOKUP_DIGITS);
        Ok(Self(format!("{PREFIX}{lookup}_{secret}")))
    }

    /// Takes a text for a token; `None` when it does not have the form of one.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (lookup, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_hex = |digits: &str, length| {
            digits.len() == length && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        };
        let fits = is_hex(lookup, LOOKUP_DIGITS) && is_hex(secret, SECRET_DIGITS);
        fits.then(|| Self(text.to_owned()))
    }

    /// The part that finds its row.
    #[must_use]
    pub(crate) fn lookup(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + LOOKUP_DIGITS]
    }

    /// What is kept of it.
    #[must_use]
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The whole, to be shown once.
    #[must_use]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// 256 random bits for a browser that signed in, as hexadecimal digits.
///
/// # Errors
/// When the system gives no random bytes.
pub(crate) fn random_cookie() -> Result<String, getrandom::Error> {
    let mut bytes = [0; SECRET_DIGITS / 2];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_taken_apart_and_shows_no_secret() {
        let secret = Secret::random().unwrap();
        let again = Secret::parse(secret.reveal()).unwrap();
        assert_eq!(again, secret);
        assert_eq!(again.digest(), secret.digest());
        assert_ne!(Secret::random().unwrap(), secret);
        let shown = format!("{secret:?}");
        assert!(shown.contains(secret.lookup()));
        assert!(
            !secret.reveal().contains(&shown) && shown.len() < 30,
            "{shown}"
        );
    }

    #[test]
    fn what_has_another_form_is_no_token() {
        let good = Secret::random().unwrap();
        let good = good.reveal();
        let cases = [
            String::new(),
            "hw_".to_owned(),
            good[1..].to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}0"),
            good.replace("hw_", "hx_"),
            good.replacen('_', "é", 1),
        ];
        for text in cases {
            assert_eq!(Secret::parse(&text), None, "{text}");
        }
    }
}
