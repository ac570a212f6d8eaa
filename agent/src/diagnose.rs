//! Whether the plugin takes apart why memory stays, and how deeply.

use std::str::FromStr;

/// What the plugin looks into at the end of each test file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Diagnose {
    /// Nothing: the tests run as they would.
    #[default]
    No,
    /// Garbage, what the allocator keeps, live objects by type.
    Yes,
    /// And which lines made them.
    Tracemalloc,
}

impl Diagnose {
    /// The value of `HIGHWATER_DIAGNOSE` for the plugin.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "0",
            Self::Yes => "1",
            Self::Tracemalloc => "tracemalloc",
        }
    }
}

impl FromStr for Diagnose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Self::Yes),
            "0" | "false" | "no" | "off" => Ok(Self::No),
            "tracemalloc" => Ok(Self::Tracemalloc),
            _ => Err(format!("{text:?} is none of true, false and tracemalloc")),
        }
    }
}
