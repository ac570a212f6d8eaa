//! Numbers, signals and commands as sentences name them.

/// Signals by their numbers on Linux.
pub(super) const SIGHUP: i32 = 1;
pub(super) const SIGINT: i32 = 2;
pub(super) const SIGQUIT: i32 = 3;
pub(super) const SIGILL: i32 = 4;
pub(super) const SIGTRAP: i32 = 5;
pub(super) const SIGABRT: i32 = 6;
pub(super) const SIGBUS: i32 = 7;
pub(super) const SIGFPE: i32 = 8;
pub(super) const SIGKILL: i32 = 9;
pub(super) const SIGSEGV: i32 = 11;
pub(super) const SIGTERM: i32 = 15;
pub(super) const SIGXCPU: i32 = 24;
pub(super) const SIGSYS: i32 = 31;

pub(in crate::digest) fn signal_name(signal: i32) -> String {
    let name = match signal {
        SIGHUP => "SIGHUP",
        SIGINT => "SIGINT",
        SIGQUIT => "SIGQUIT",
        SIGILL => "SIGILL",
        SIGTRAP => "SIGTRAP",
        SIGABRT => "SIGABRT",
        SIGBUS => "SIGBUS",
        SIGFPE => "SIGFPE",
        SIGKILL => "SIGKILL",
        SIGSEGV => "SIGSEGV",
        SIGTERM => "SIGTERM",
        SIGXCPU => "SIGXCPU",
        SIGSYS => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// What ends a process for a fault of its own.
pub(super) fn is_of_crash(signal: i32) -> bool {
    matches!(
        signal,
        SIGSEGV | SIGABRT | SIGBUS | SIGILL | SIGFPE | SIGTRAP | SIGQUIT | SIGSYS
    )
}

pub(super) fn count(number: u64, thing: &str) -> String {
    let plural = match (number, thing.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{number} {thing}{plural}")
}

pub(super) fn seconds(us: i64) -> String {
    format!("{:.1} s", us as f64 / 1e6)
}

/// The program of a command line, without its folder.
pub(super) fn program(command: &str) -> &str {
    let first = command.split_whitespace().next().unwrap_or("");
    first.rsplit('/').next().unwrap_or(first)
}

/// A share of a whole as it is told, by the rule of the pages and the terminal; 0 of nothing.
pub(super) fn rounded_percent(part: i64, whole: i64) -> String {
    format!("{:.0}", part as f64 * 100.0 / whole.max(1) as f64)
}

/// A share of a whole in whole percent, rounded down; 0 of nothing.
pub(super) fn percent(part: i64, whole: i64) -> i64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}
