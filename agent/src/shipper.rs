//! Sends a spool to the server, behind the writer, and retries until it is acknowledged.
//!
//! Answers are taken as they mean. Acknowledged is what the server names in its answer, and nothing else: a redirect is not followed, and a
//! 200 from somebody else ends the sending, as 401 and 403 do. 408, 429 and 5xx and failures of the network are tried again, with growing
//! pauses or the server's own `Retry-After`; 404 means that the server does not know the job (any more): all of it is sent again. Any other
//! refusal concerns the one item, which stays in the spool while the rest goes on.

mod addresses;
mod answer;
mod client;
mod deadline;
mod identity;
mod presence;
mod route;
mod sending;
mod source;
mod thread;
mod transport;

pub use answer::Answer;
pub(crate) use answer::legible;
pub use client::{Client, Item, Timeouts};
pub(crate) use identity::{agent_for, bearer};
pub use presence::{Permit, Presence, Standing};
pub use thread::{Outcome, Shipper, discard, send_whole};

use std::time::Duration;

/// Pause before the nth try after a failure: doubling from 200 ms to 10 s, the last half of it at random, so that
/// agents that failed together do not return together. `chance` is from 0 to 1.
fn pause(failures: u32, chance: f64) -> Duration {
    let full = Duration::from_millis(200)
        .saturating_mul(1 << failures.min(6))
        .min(Duration::from_secs(10));
    full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        assert_eq!(pause(0, 1.0), Duration::from_millis(200));
        assert_eq!(pause(1, 0.0), Duration::from_millis(200));
        assert_eq!(pause(90, 1.0), Duration::from_secs(10));
        assert!(pause(3, 0.1) < pause(3, 0.9));
    }
}
