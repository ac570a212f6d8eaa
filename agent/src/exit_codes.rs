//! Exit codes of `highwater`. `highwater run` ends with its command's own.

/// Done.
pub const OK: u8 = 0;
/// Wrong use, or something that cannot be done; the message says what to do.
pub const FAILED: u8 = 2;
