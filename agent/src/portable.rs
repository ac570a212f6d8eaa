//! Processes and machine through the crate sysinfo, for systems other than Linux; there by `--backend sysinfo`, which is how it is tested.
//!
//! What it sees becomes the same words as what the Linux [`sampler`](crate::sampler) sees, so the recorder and all that follows know no
//! difference. It is coarser: a look at a process costs more, so ticks are at least a fifth of a second apart; a child that lives
//! between two looks for new processes is not seen; there is RSS but no PSS, so shared memory counts for each process; there are no
//! cgroups. Peaks are sampled, save where the plugin's own marks say more.
//!
//! Nothing here depends on orphans being adopted: a process belongs to the job when it was a descendant of the agent as it was first
//! seen, and stays in it whoever its parent becomes.

mod processes;
mod sampler;

pub use processes::{Processes, Seen as SeenProcess};
pub use sampler::{PortableProps, PortableSampler};

#[cfg(test)]
mod tests;
