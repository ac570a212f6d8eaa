//! What is told to no one.

use std::fmt;

/// A secret: no message and no debug output shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// What goes into a header as a bearer token; the line end of a pasted secret is left out.
    ///
    /// # Errors
    /// When no header can carry it. The token is not repeated.
    pub fn new(text: &str) -> Result<Self, String> {
        let token = text.trim();
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(token.to_owned()))
        } else {
            Err("a token is one word of ASCII letters, digits and signs".to_owned())
        }
    }

    /// The secret itself, for whoever sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
