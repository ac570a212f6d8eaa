//! Exit codes of `highwater`. `highwater run` ends with its command's own.

/// Done. `highwater doctor`: a recording can be made, if perhaps a limited one.
pub const OK: u8 = 0;
/// Wrong use, or something that cannot be done; the message says what to do. `highwater doctor`: something that a recording needs is missing.
pub const FAILED: u8 = 2;
