//! Which members that look like a pytest are only forks of one: they show its command until they call exec, also after it ended.
//!
//! What the kernel lays into memory at exec differs each time: the places of stack and vDSO, which `auxv` names, and 16 random bytes on the stack. A
//! fork has those of its parent. Where addresses are not random only the bytes tell; reading them takes the right to trace, `auxv` less.

use std::{collections::VecDeque, fs::File, os::unix::fs::FileExt, path::Path};

use super::ProcessKey;
use crate::{
    environ::is_title,
    procfs::{Procfs, read_into},
    pytest::{is_pytest, is_worker},
};

/// So many pytests are remembered, the last ones.
const MAX_REMEMBERED: usize = 512;
/// Type of the entry of `auxv` that says where the random bytes are (`AT_RANDOM` in the kernel's `include/uapi/linux/auxvec.h`).
const RANDOM: u64 = 25;
const RANDOM_BYTES: usize = 16;
const WORD_BYTES: usize = size_of::<usize>();

/// What a process has from its last exec.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    auxv: Vec<u8>,
    random: Option<[u8; RANDOM_BYTES]>,
}

/// The pytests that were seen, by what they have from their exec.
#[derive(Debug, Default)]
pub(super) struct Copies {
    known: VecDeque<(ProcessKey, Origin)>,
}

impl Copies {
    /// Whether a process with such words is a fork of another member that was seen before; `None` where it cannot be told. `members` are asked where none of
    /// the pytests that were seen is its like: one of them may have called exec since it was.
    pub(super) fn judge(
        &mut self,
        procfs: &Procfs,
        key: ProcessKey,
        words: &[String],
        members: impl Iterator<Item = ProcessKey>,
    ) -> Option<bool> {
        if !(is_pytest(words) || is_worker(words) || is_title(words)) {
            return Some(false);
        }
        let origin = Origin::of(procfs, key.pid)?;
        let mut same = self.known.iter().filter(|(_, known)| known.is_of(&origin));
        let Some((first, _)) = same.next() else {
            if self.known.len() == MAX_REMEMBERED {
                self.known.pop_front();
            }
            let began = |key: &ProcessKey| (key.start_ticks, key.pid);
            let mut elders = members.filter(|member| began(member) < began(&key));
            let is_alike = |elder: &ProcessKey| {
                let of_elder = Origin::of(procfs, elder.pid);
                of_elder.is_some_and(|it| it.is_of(&origin))
            };
            let first = elders.find(is_alike).unwrap_or(key);
            self.known.push_back((first, origin));
            return Some(first != key);
        };
        Some(*first != key)
    }
}

impl Origin {
    fn of(procfs: &Procfs, pid: u32) -> Option<Self> {
        let mut auxv = Vec::new();
        read_into(&procfs.path_of(pid, "auxv"), &mut auxv).ok()??;
        // One without a memory, or in the midst of an exec, has none.
        let address = random_address(&auxv)?;
        let random = random_bytes(&procfs.path_of(pid, "mem"), address);
        Some(Self { auxv, random })
    }

    fn is_of(&self, other: &Self) -> bool {
        let bytes_differ = matches!((self.random, other.random), (Some(a), Some(b)) if a != b);
        self.auxv == other.auxv && !bytes_differ
    }
}

fn random_address(auxv: &[u8]) -> Option<u64> {
    let word =
        |bytes: &[u8]| -> Option<u64> { Some(usize::from_ne_bytes(bytes.try_into().ok()?) as u64) };
    auxv.chunks_exact(2 * WORD_BYTES).find_map(|entry| {
        let (kind, value) = entry.split_at(WORD_BYTES);
        (word(kind)? == RANDOM).then(|| word(value))?
    })
}

fn random_bytes(mem: &Path, address: u64) -> Option<[u8; RANDOM_BYTES]> {
    let mut bytes = [0; RANDOM_BYTES];
    let file = File::open(mem).ok()?;
    file.read_exact_at(&mut bytes, address).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests;
