//! What is said of the guard: `--memory-limit` and `--on-limit`, their variables and their place in `pyproject.toml`.

use super::parse_bytes;
use crate::guard::{Limit, LimitSize, OnLimit};

/// Where the guard's limit is, as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Nowhere: nothing is guarded, whatever a further source says.
    Off,
    /// There.
    At(LimitSize),
}

/// What one source says of the guard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Where the limit is.
    pub limit: Option<MemoryLimit>,
    /// What is done there.
    pub on_limit: Option<OnLimit>,
}

impl Guarded {
    /// What is said here, else what is said there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            limit: self.limit.or(other.limit),
            on_limit: self.on_limit.or(other.on_limit),
        }
    }

    /// What is guarded, if anything is: either word alone is enough.
    #[must_use]
    pub fn settled(self, quiet: bool, annotates: bool) -> Option<Limit> {
        let size = match (self.limit, self.on_limit) {
            (None, None) | (Some(MemoryLimit::Off), _) => return None,
            (Some(MemoryLimit::At(size)), _) => size,
            (None, Some(_)) => LimitSize::DEFAULT,
        };
        Some(Limit {
            size,
            on_limit: self.on_limit.unwrap_or_default(),
            quiet,
            annotates,
        })
    }

    /// The size given, bytes.
    #[must_use]
    pub fn size_bytes(self) -> Option<u64> {
        match self.limit {
            Some(MemoryLimit::At(LimitSize::Bytes(bytes))) => Some(bytes),
            _ => None,
        }
    }
}

/// `6GB`, `80%`, or `off`.
///
/// # Errors
/// When it is none of these, no memory at all, or more than all.
pub fn parse_memory_limit(text: &str) -> Result<MemoryLimit, String> {
    let wanted = |what: &str| format!("{text:?} is not {what}");
    let text = text.trim();
    if text == "off" {
        return Ok(MemoryLimit::Off);
    }
    if let Some(percent) = text.strip_suffix('%') {
        return match percent.trim().parse() {
            Ok(percent @ 1..=100) => Ok(MemoryLimit::At(LimitSize::Share(percent))),
            _ => Err(wanted("a share from 1% to 100%")),
        };
    }
    match parse_bytes(text)? {
        0 => Err(wanted("a size such as 6GB, a share such as 90%, or off")),
        bytes => Ok(MemoryLimit::At(LimitSize::Bytes(bytes))),
    }
}

/// `warn` or `stop`.
///
/// # Errors
/// When it is neither.
pub fn parse_on_limit(text: &str) -> Result<OnLimit, String> {
    match text.trim() {
        "warn" => Ok(OnLimit::Warn),
        "stop" => Ok(OnLimit::Stop),
        _ => Err(format!("{text:?} is neither warn nor stop")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_a_share_or_off() {
        let at = |size| Ok(MemoryLimit::At(size));
        assert_eq!(
            parse_memory_limit("6GB"),
            at(LimitSize::Bytes(6_000_000_000))
        );
        assert_eq!(parse_memory_limit(" 80 % "), at(LimitSize::Share(80)));
        assert_eq!(parse_memory_limit("off"), Ok(MemoryLimit::Off));
        for bad in ["", "0", "0%", "101%", "-1%", "much", "6 apples", "90%%"] {
            assert!(parse_memory_limit(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_on_limit("stop"), Ok(OnLimit::Stop));
        assert!(parse_on_limit("kill").is_err());
    }

    #[test]
    fn either_word_alone_sets_the_guard_and_off_lifts_it() {
        let settled = |limit, on_limit| {
            let settled = Guarded { limit, on_limit }.settled(false, false);
            settled.map(|limit| (limit.size, limit.on_limit))
        };
        let size = LimitSize::Bytes(7);
        let at = Some(MemoryLimit::At(size));
        assert_eq!(settled(None, None), None);
        assert_eq!(settled(at, None), Some((size, OnLimit::Warn)));
        assert_eq!(
            settled(None, Some(OnLimit::Stop)),
            Some((LimitSize::DEFAULT, OnLimit::Stop))
        );
        assert_eq!(
            settled(at, Some(OnLimit::Stop)),
            Some((size, OnLimit::Stop))
        );
        assert_eq!(settled(Some(MemoryLimit::Off), Some(OnLimit::Stop)), None);
    }
}
