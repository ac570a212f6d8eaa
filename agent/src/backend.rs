//! What reads processes and machine.
//!
//! The choice is made once, where a recording begins: each backend has a sampler of its own, and what they see is of the same kind.

use std::{fmt, str::FromStr, time::Duration};

/// What reads processes and machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The kernel's own files, on Linux alone: a fine grid, PSS, cgroups, every child that lives a tick.
    Linux,
    /// The crate sysinfo, on any system: a coarser grid, RSS alone.
    Sysinfo,
}

impl Default for Backend {
    /// The best that this system has.
    fn default() -> Self {
        if cfg!(target_os = "linux") {
            Self::Linux
        } else {
            Self::Sysinfo
        }
    }
}

impl Backend {
    /// How close two ticks may be. Looking at all processes through sysinfo takes milliseconds.
    #[must_use]
    pub fn shortest_interval(self) -> Duration {
        match self {
            Self::Linux => Duration::ZERO,
            Self::Sysinfo => Duration::from_millis(200),
        }
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "linux" if cfg!(target_os = "linux") => Ok(Self::Linux),
            "linux" => Err("linux: this system is none; leave it out, or write sysinfo".to_owned()),
            "sysinfo" => Ok(Self::Sysinfo),
            other => Err(format!("{other:?} is neither linux nor sysinfo")),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux => "linux",
            Self::Sysinfo => "sysinfo",
        })
    }
}
