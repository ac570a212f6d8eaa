//! What the kernel says of an ending: how a process ended, whom it killed for want of memory, who sent a signal; and what can be done before, that it
//! takes the tests and not the agent.
//!
//! All of it is missing somewhere (an old kernel, a container, another user's process), and then quietly not there.

mod bystanders;
mod exit;
mod kernel_log;
mod protector;
mod sender;

pub use bystanders::{Bystander, Bystanders, Scan};
pub use exit::{ExitStatus, Held, tells_exit_of_reaped};
pub use kernel_log::{KernelLog, kills_in};
pub use protector::Protector;
pub use sender::signal_taken;
