//! A process whose `environ` has been found.

use std::{collections::HashSet, ops::Range};

use super::{
    memory::{Fault, Memory, WORD_BYTES},
    value::{Current, Worker},
};

const CURRENT_TEST: &[u8; PREFIX_BYTES] = b"PYTEST_CURRENT_TEST=";
const XDIST_WORKER: &[u8; PREFIX_BYTES] = b"PYTEST_XDIST_WORKER=";

/// Both names have the same length, so one read of this tells them from any other.
const PREFIX_BYTES: usize = 20;

/// Longest variable that is read. A node id of 2,000 characters of any script fits.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// Longest name of a worker.
const MAX_WORKER_BYTES: usize = 256;

/// An environment with more variables is not read.
const MAX_VARIABLES: usize = 8192;

/// Pointers that one read takes.
const POINTERS_A_READ: usize = 512;

/// An environment that changed during a look is looked at again, so often.
const TRIES: usize = 4;

/// Why a look found nothing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// It changed meanwhile.
    Moved,
    /// The memory is gone.
    Gone,
    /// There is more than what is read.
    TooLarge,
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Gone => Self::Gone,
            // The array and its strings are mapped; a pointer that leads elsewhere was read amid a change.
            Fault::NotMapped => Self::Moved,
        }
    }
}

/// What is known of the memory of one program in one process.
#[derive(Debug)]
pub(super) struct Attached {
    memory: Memory,
    /// Where variables `environ` lie: the executable's own, then libc's. The first that is not null counts.
    environs: Vec<u64>,
    /// Set where they were found without symbols, so that there may be copies among them: the array that the kernel laid, where one of
    /// them points to it, otherwise 0.
    guessed: Option<u64>,
    /// The strings that the kernel laid at exec. They never become another variable, so each is looked at once.
    initial: Range<u64>,
    /// Those of them that are neither variable.
    others: HashSet<u64>,
    /// Where the variable was last: array and index.
    last: Option<(u64, usize)>,
    entries: Vec<u64>,
    again: Vec<u64>,
    text: Vec<u8>,
    second: Vec<u8>,
}

impl Attached {
    pub(super) fn new(
        memory: Memory,
        environs: Vec<u64>,
        guessed: Option<u64>,
        initial: Range<u64>,
    ) -> Self {
        Self {
            memory,
            environs,
            guessed,
            initial,
            others: HashSet::new(),
            last: None,
            entries: Vec::new(),
            again: Vec::new(),
            text: Vec::new(),
            second: Vec::new(),
        }
    }

    /// Looks once; whether a test runs.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn look(
        &mut self,
        current: &mut Current,
        worker: &mut Worker,
    ) -> Result<bool, Miss> {
        for _ in 1..TRIES {
            match self.try_look(current, worker) {
                Err(Miss::Moved) => {}
                told => return told,
            }
        }
        self.try_look(current, worker)
    }

    fn try_look(&mut self, current: &mut Current, worker: &mut Worker) -> Result<bool, Miss> {
        let Some(array) = self.array()? else {
            return Ok(false);
        };
        if let Some((_, index)) = self.last.filter(|(known, _)| *known == array)
            && self.take(array, index, current)?
        {
            return Ok(true);
        }
        self.last = None;
        let Some(index) = self.scan(array, worker)? else {
            return Ok(false);
        };
        if !self.take(array, index, current)? {
            return Err(Miss::Moved);
        }
        self.last = Some((array, index));
        Ok(true)
    }

    /// Where the array of pointers is. Among guesses one that still points to the kernel's array is a copy once another does not, and one
    /// that is null tells that the environment was cleared: libc keeps copies of where its array was.
    fn array(&self) -> Result<Option<u64>, Fault> {
        let mut first = None;
        for at in &self.environs {
            let array = self.memory.word(*at)?;
            match self.guessed {
                None if array != 0 => return Ok(Some(array)),
                None => {}
                Some(_) if array == 0 => return Ok(None),
                Some(kernels) if first.is_none_or(|known| known == kernels) => first = Some(array),
                Some(_) => {}
            }
        }
        Ok(first)
    }

    /// Reads the current test at an index; `false` when it is not there.
    fn take(&mut self, array: u64, index: usize, current: &mut Current) -> Result<bool, Miss> {
        // What was there at exec is of the process that started this one.
        let pointer = self.pointer(array, index);
        let Some(pointer) = pointer.filter(|pointer| !self.initial.contains(pointer)) else {
            return Ok(false);
        };
        let whole = match self.memory.text(pointer, MAX_TEXT_BYTES, &mut self.text) {
            Ok(whole) => whole,
            Err(Fault::NotMapped) => return Ok(false),
            Err(Fault::Gone) => return Err(Miss::Gone),
        };
        let Some(value) = self.text.strip_prefix(CURRENT_TEST) else {
            return Ok(false);
        };
        if !whole {
            return Err(Miss::TooLarge);
        }
        // A string that is written while it is read does not read as the last one did, nor twice the same.
        if current.is(value) {
            return Ok(true);
        }
        let unmoved = self.array()? == Some(array)
            && self.pointer(array, index) == Some(pointer)
            && self
                .memory
                .text(pointer, MAX_TEXT_BYTES, &mut self.second)?
            && self.second == self.text;
        if !unmoved {
            return Err(Miss::Moved);
        }
        current.set(value);
        Ok(true)
    }

    /// The pointer at an index, unless the array ends before it: what lies behind its end may look like a pointer.
    fn pointer(&self, array: u64, index: usize) -> Option<u64> {
        let before = index.saturating_sub(1);
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..(index - before + 1) * 8];
        self.memory.fill(entry(array, before)?, bytes).ok()?;
        let mut pointers = words(bytes);
        if index > before && pointers.next()? == 0 {
            return None;
        }
        pointers.next().filter(|pointer| *pointer != 0)
    }

    /// Goes through the array from its end, where what was set last is; the index of the current test.
    fn scan(&mut self, array: u64, worker: &mut Worker) -> Result<Option<usize>, Miss> {
        snapshot(&self.memory, array, &mut self.entries)?;
        let mut found = None;
        for (index, pointer) in self.entries.iter().copied().enumerate().rev() {
            if self.others.contains(&pointer) {
                continue;
            }
            let mut prefix = [0; PREFIX_BYTES];
            let length = match self.memory.read(pointer, &mut prefix) {
                Ok(length) => length,
                Err(Fault::NotMapped) => 0,
                Err(Fault::Gone) => return Err(Miss::Gone),
            };
            let is_own = !self.initial.contains(&pointer);
            if length == PREFIX_BYTES && &prefix == CURRENT_TEST && is_own {
                found = found.or(Some(index));
            } else if length == PREFIX_BYTES && &prefix == XDIST_WORKER {
                if !worker.is_at(pointer) {
                    let whole = self
                        .memory
                        .text(pointer, MAX_WORKER_BYTES, &mut self.text)?;
                    let unmoved = self.pointer(array, index) == Some(pointer);
                    match self.text.strip_prefix(XDIST_WORKER) {
                        Some(name) if whole && unmoved => worker.set(pointer, name),
                        _ => return Err(Miss::Moved),
                    }
                }
            } else if !is_own {
                self.others.insert(pointer);
            }
            if found.is_some() && worker.name().is_some() {
                return Ok(found);
            }
        }
        if found.is_none() {
            // An entry that moved from behind to before the place that was just being read has been missed.
            snapshot(&self.memory, array, &mut self.again)?;
            if self.array()? != Some(array) || self.entries != self.again {
                return Err(Miss::Moved);
            }
        }
        Ok(found)
    }
}

/// Reads the array up to the null at its end.
fn snapshot(memory: &Memory, array: u64, entries: &mut Vec<u64>) -> Result<(), Miss> {
    entries.clear();
    let mut bytes = [0; POINTERS_A_READ * 8];
    while entries.len() < MAX_VARIABLES {
        let at = entry(array, entries.len()).ok_or(Miss::Moved)?;
        let length = memory.read(at, &mut bytes)?;
        if length < 8 {
            return Err(Miss::Moved);
        }
        for pointer in words(&bytes[..length]) {
            if pointer == 0 {
                return Ok(());
            }
            entries.push(pointer);
        }
    }
    Err(Miss::TooLarge)
}

/// Where an entry of the array is.
fn entry(array: u64, index: usize) -> Option<u64> {
    array.checked_add(u64::try_from(index).ok()?.checked_mul(WORD_BYTES)?)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().copied().map(u64::from_ne_bytes)
}
