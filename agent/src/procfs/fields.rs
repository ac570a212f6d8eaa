//! Numbers out of the kernel's text, without allocation.

/// The number after `key` at the begin of a line, as in `VmHWM:     1740 kB` or `oom_kill 0`; `None` when no line has the key.
///
/// # Errors
/// The line, from 1, where the key stands without a number.
pub fn value_of(text: &[u8], key: &str) -> Result<Option<u64>, usize> {
    read_after(text, key, number_after)
}

/// The same of a size in kB, in bytes.
///
/// # Errors
/// The line, from 1, where the key stands without a number, or with one that does not fit.
pub fn bytes_of(text: &[u8], key: &str) -> Result<Option<u64>, usize> {
    read_after(text, key, |rest| number_after(rest)?.checked_mul(1024))
}

fn read_after(
    text: &[u8],
    key: &str,
    read: impl Fn(&[u8]) -> Option<u64>,
) -> Result<Option<u64>, usize> {
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let Some(rest) = line.strip_prefix(key.as_bytes()) else {
            continue;
        };
        let rest = rest.strip_prefix(b":").unwrap_or(rest);
        if !rest.first().is_some_and(u8::is_ascii_whitespace) {
            continue;
        }
        return read(rest).map(Some).ok_or(at + 1);
    }
    Ok(None)
}

/// The unsigned number that follows blanks; `None` where there is none or it does not fit.
#[must_use]
pub fn number_after(text: &[u8]) -> Option<u64> {
    let mut digits = text.trim_ascii_start().iter().map_while(|byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(u64::from(digit))
    });
    let first = digits.next()?;
    digits.try_fold(first, |number, digit| {
        number.checked_mul(10)?.checked_add(digit)
    })
}
