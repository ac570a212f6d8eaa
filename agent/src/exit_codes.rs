//! Exit codes of `highwater`. `highwater run` ends with its command's own.

/// Done. `highwater doctor`: a recording can be made, if perhaps a limited one.
pub const OK: u8 = 0;
/// `highwater check`: something got worse, or is over a limit.
pub const REGRESSION: u8 = 1;
/// Wrong use, or something that cannot be done; the message says what to do. `highwater doctor`: something that a recording needs is missing.
pub const FAILED: u8 = 2;
/// `highwater check`: there is too little to compare with.
pub const NOT_ENOUGH_DATA: u8 = 3;
