//! Where `environ` is in a program that no table of symbols tells of: linked statically and stripped.
//!
//! The variable lies in the writable data of the program or of its libc. It points to an array, first the one that the kernel laid on the stack,
//! later one on the heap, and that array begins with pointers to strings whose place is known (`env_start` to `env_end` in `stat`). So the data is gone through
//! for such a pointer: once a program, and up to bounds.

use std::ops::Range;

use super::{
    maps,
    memory::{Memory, WORD_BYTES},
};
use crate::procfs::{ProcError, Procfs};

/// Of the data no more than this is gone through, bytes; that of a CPython linked statically is below two megabytes.
const MAX_DATA_BYTES: u64 = 16 << 20;

/// What one read takes, bytes.
const PIECE_BYTES: usize = 64 << 10;

/// So many pointers are followed; each costs about half a microsecond.
const MAX_FOLLOWED: usize = 50_000;

/// So many variables that look like it are kept: a program may have saved the array that `main` was given.
const MAX_FOUND: usize = 8;

/// So many entries at the begin of an array are looked at.
const LOOKED_AT: usize = 8;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Where variables lie that may be `environ`.
    pub(super) environs: Vec<u64>,
    /// The array that the kernel laid: whoever still points there, while another does not, is not the living one. 0 where none does.
    pub(super) first_array: u64,
}

/// Where data lies, and where what it points to may lie.
#[derive(Debug, Default)]
struct Places {
    data: Vec<Range<u64>>,
    arrays: Vec<Range<u64>>,
    stack: Range<u64>,
}

/// Goes through the data of a process whose first variables' strings lie in `strings`.
///
/// # Errors
/// When its mappings cannot be read.
pub(super) fn scan(
    procfs: &Procfs,
    pid: u32,
    memory: &Memory,
    strings: &Range<u64>,
) -> Result<Scanned, ProcError> {
    let mut scanned = Scanned {
        environs: Vec::new(),
        first_array: 0,
    };
    if strings.is_empty() {
        return Ok(scanned);
    }
    let places = places(procfs, pid)?;
    let (mut left, mut followed) = (MAX_DATA_BYTES, 0);
    let mut piece = vec![0; PIECE_BYTES];
    for data in &places.data {
        let mut at = data.start;
        while at < data.end && left > 0 {
            let wanted = (data.end - at).min(PIECE_BYTES as u64).min(left) as usize;
            // A page that is not there holds no pointer.
            let length = memory.read(at, &mut piece[..wanted]).unwrap_or(0);
            let (words, _) = piece[..length].as_chunks::<8>();
            for (word, offset) in words.iter().zip((0_u64..).step_by(8)) {
                let array = u64::from_ne_bytes(*word);
                if !places.may_hold(array) || scanned.environs.len() >= MAX_FOUND {
                    continue;
                }
                followed += 1;
                if followed > MAX_FOLLOWED {
                    return Ok(scanned);
                }
                if is_environment(memory, array, strings) {
                    scanned.environs.push(at + offset);
                    if places.stack.contains(&array) {
                        scanned.first_array = array;
                    }
                }
            }
            at += wanted as u64;
            left -= wanted as u64;
        }
    }
    Ok(scanned)
}

fn places(procfs: &Procfs, pid: u32) -> Result<Places, ProcError> {
    let images = maps::read(procfs, pid)?.unwrap_or_default();
    let is_image = |path: &[u8]| {
        let mut known = images.executable.iter().chain(&images.libcs);
        known.any(|image| maps::is_named(image, path))
    };
    let mut places = Places::default();
    // What is not initialised lies behind the data of its file, without a name.
    let mut data_until = 0;
    maps::each(procfs, pid, |mapping| {
        if !mapping.writable {
            return;
        }
        let range = mapping.start..mapping.end;
        let follows = mapping.path.is_empty() && mapping.start == data_until;
        if follows || is_image(mapping.path) {
            data_until = mapping.end;
            places.data.push(range.clone());
        }
        match mapping.path {
            b"[stack]" => {
                places.stack = range.clone();
                places.arrays.push(range);
            }
            b"" | b"[heap]" => places.arrays.push(range),
            _ => {}
        }
    })?;
    Ok(places)
}

impl Places {
    fn may_hold(&self, array: u64) -> bool {
        array.is_multiple_of(WORD_BYTES) && self.arrays.iter().any(|range| range.contains(&array))
    }
}

/// Whether an array begins as an environment does that grew from the one the kernel laid: pointers to strings with an equals sign, one of them at
/// least among the first strings.
fn is_environment(memory: &Memory, array: u64, strings: &Range<u64>) -> bool {
    let mut bytes = [0; LOOKED_AT * 8];
    let Ok(length) = memory.read(array, &mut bytes) else {
        return false;
    };
    let (words, _) = bytes[..length].as_chunks::<8>();
    let entries = words.iter().map(|word| u64::from_ne_bytes(*word));
    let entries: Vec<u64> = entries.take_while(|entry| *entry != 0).collect();
    if !entries.iter().any(|entry| strings.contains(entry)) {
        return false;
    }
    let mut text = [0; 256];
    entries.iter().all(|entry| {
        let length = memory.read(*entry, &mut text).unwrap_or(0);
        let name = text[..length]
            .iter()
            .position(|byte| matches!(byte, 0 | b'='));
        name.is_some_and(|end| end > 0 && text[end] == b'=')
    })
}
