//! Who sent a signal.

use highwater_wire::v1::SignalTaken;

use crate::{
    bounds::cut,
    procfs::{Procfs, command_line},
};

/// So much of a sender's command is kept, bytes.
const MOST_BYTES: usize = 200;

/// A signal that the agent has just been sent, with the command of its sender, who may be gone in a moment.
#[must_use]
pub fn signal_taken(
    procfs: &Procfs,
    number: i32,
    sender_pid: Option<u32>,
    from_terminal: bool,
) -> SignalTaken {
    // 0 is the kernel, or somebody outside this PID namespace.
    let sender_pid = sender_pid.filter(|pid| *pid > 0 && !from_terminal);
    let mut buffer = Vec::new();
    let mut sender = sender_pid
        .and_then(|pid| procfs.words(pid, &mut buffer).ok())
        .map(|words| command_line(&words))
        .unwrap_or_default();
    if let (true, Some(pid)) = (sender.is_empty(), sender_pid) {
        let stat = procfs.stat(pid, &mut buffer).ok().flatten();
        sender = stat.map_or_else(String::new, |stat| format!("[{}]", stat.comm));
    }
    cut(&mut sender, MOST_BYTES);
    SignalTaken {
        signal: number,
        sender_pid: sender_pid.unwrap_or(0),
        sender,
        from_terminal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_named_and_the_kernel_is_nobody() {
        let own = std::process::id();
        let taken = signal_taken(&Procfs::system(), 15, Some(own), false);
        let program = std::env::current_exe().unwrap();
        let name = program.file_name().unwrap().to_str().unwrap();
        assert!(taken.sender.contains(name), "{taken:?}");
        assert_eq!((taken.signal, taken.sender_pid), (15, own));
        for nobody in [None, Some(0)] {
            let taken = signal_taken(&Procfs::system(), 2, nobody, true);
            assert_eq!(
                (taken.sender_pid, taken.sender.as_str(), taken.from_terminal),
                (0, "", true)
            );
        }
    }
}
