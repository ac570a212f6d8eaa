//! Whether a signal that somebody sent to the agent went to its whole process group, and so to the command as well.
//!
//! The kernel does not tell. Of one sender it is known all the same: `timeout` makes itself the leader of a group, and when its time is
//! up, or it is itself told to end, signals first its child and then all of that group, unless it was told `--foreground`. Where
//! anything of that cannot be read the answer is no: a signal that comes twice is better than one that does not come.

use std::path::Path;

use crate::procfs::Procfs;

/// Whether the sender is a `timeout` that signals its whole group, and both the agent and the command are in that.
pub(super) fn reached_both(procfs: &Procfs, sender: u32, agent: u32, command: u32) -> bool {
    let mut buffer = Vec::new();
    let mut in_its_group = |pid| {
        let stat = procfs.stat(pid, &mut buffer).ok().flatten();
        stat.is_some_and(|stat| stat.group == sender)
    };
    [sender, agent, command].into_iter().all(&mut in_its_group)
        && procfs
            .words(sender, &mut buffer)
            .is_ok_and(|words| is_timeout_of_group(&words))
}

fn is_timeout_of_group(words: &[String]) -> bool {
    let program = words
        .first()
        .and_then(|word| Path::new(word).file_name()?.to_str());
    program == Some("timeout") && !options(words).any(means_foreground)
}

/// The options of `timeout`, with their values: they end at its second word in a row that is no option.
fn options(words: &[String]) -> impl Iterator<Item = &str> {
    words
        .windows(2)
        .take_while(|pair| pair.iter().any(|word| word.starts_with('-')))
        .map(|pair| pair[1].as_str())
}

/// `--foreground`, however shortened, or `-f`, also among other letters; what follows `k` and `s` is a value.
fn means_foreground(option: &str) -> bool {
    match option.strip_prefix('-') {
        Some(long) if long.starts_with('-') => long.starts_with("-f"),
        Some(letters) => letters
            .chars()
            .take_while(|letter| !matches!(letter, 'k' | 's'))
            .any(|letter| letter == 'f'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn timeout_signals_its_group_unless_it_is_told_not_to() {
        for (line, expected) in [
            ("timeout 2 highwater run -- pytest -f", true),
            ("/usr/bin/timeout -s INT 2 highwater run --foreground", true),
            ("timeout -v 2 highwater run", true),
            ("timeout -k 5 -sfoo --signal=INT 2 highwater run", true),
            ("timeout --foreground 2 highwater run", false),
            ("timeout -k 5 -s INT --fore 2 highwater run", false),
            ("timeout -vf 2 highwater run", false),
            ("timeout --signal INT -f 2 highwater run", false),
            ("sh -c timeout", false),
            ("", false),
        ] {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(is_timeout_of_group(&words), expected, "{line}");
        }
    }

    #[test]
    fn a_signal_reached_both_where_both_are_in_the_group_of_the_sender() {
        for (groups, expected) in [
            ([5, 5, 5], true),
            ([4, 4, 4], false),
            ([5, 6, 6], false),
            ([5, 5, 7], false),
            ([0, 0, 0], false),
        ] {
            let root = TempDir::new().unwrap();
            for (pid, group) in [5, 6, 7].into_iter().zip(groups) {
                let folder = root.path().join(pid.to_string());
                fs::create_dir(&folder).unwrap();
                let after = "0 ".repeat(47);
                fs::write(
                    folder.join("stat"),
                    format!("{pid} (x) S 1 {group} {after}\n"),
                )
                .unwrap();
                fs::write(folder.join("cmdline"), "timeout\x002\0highwater\0").unwrap();
            }
            let procfs = Procfs::new(root.path());
            assert_eq!(reached_both(&procfs, 5, 6, 7), expected, "{groups:?}");
            assert!(!reached_both(&procfs, 5, 6, 8), "a command that is gone");
        }
    }
}
