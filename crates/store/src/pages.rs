//! Packed columns of whole numbers, and their pyramid.
//!
//! # Layout of a packed column
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 1: `pco`; 2: differences in zigzag varints under zstd |
//! | n | content |
//!
//! Whichever is smaller is kept. A page of level 0 without holes is one packed column of up to [`PAGE_VALUES`] values. A page with holes,
//! where a series has nothing on some of its ticks, is two, numbers as four little-endian bytes each:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 3 |
//! | 4 | how many values there are |
//! | 4 | how many stretches |
//! | 4 | bytes of the next |
//! | n | packed column: places with values, places without, and so on in turn, first and last with |
//! | n | packed column: the values |
//!
//! A page of a higher level is three packed columns, least, greatest and last of each [`FACTOR`] entries of the level below, each behind
//! its length in the same way. A level is there only where the one below has more than [`FACTOR`] entries.
//! Pages of at most 4,096 values, as they were written before, are read; whoever wrote these refuses larger ones as damaged.
//! A reader says how many values it expects and refuses any other number, so that damaged content cannot fill the memory.

use std::io::Read;

/// Values a page holds at most. Smaller pages leave more of SQLite's own pages empty; of larger ones more is unpacked than a short span needs.
pub const PAGE_VALUES: usize = 16_384;
/// Entries of a level that make one of the next.
pub const FACTOR: usize = 64;

const BY_PCO: u8 = 1;
const BY_ZSTD: u8 = 2;
const WITH_HOLES: u8 = 3;
/// Runs a page holds at most: so many that their stretches are a column of a page.
const PAGE_RUNS: usize = PAGE_VALUES / 2;
const PCO_LEVEL: usize = 8;
const ZSTD_LEVEL: i32 = 19;
/// A 64-bit varint has at most ten bytes.
const MOST_VARINT_BYTES: usize = 10;

/// Content that is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("damaged page: {0}")]
pub struct Damaged(&'static str);

/// Least, greatest and last of some values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Least of each bucket.
    pub min: Vec<i64>,
    /// Greatest of each bucket.
    pub max: Vec<i64>,
    /// Last of each bucket.
    pub last: Vec<i64>,
}

/// Packs a column.
#[must_use]
pub fn pack(values: &[i64]) -> Vec<u8> {
    let by_zstd = {
        let mut bytes = Vec::with_capacity(values.len() * 2);
        let mut before = 0_i64;
        for value in values {
            varint(&mut bytes, value.wrapping_sub(before));
            before = *value;
        }
        zstd::bulk::compress(&bytes, ZSTD_LEVEL).ok()
    };
    let config = pco::ChunkConfig::default().with_compression_level(PCO_LEVEL);
    let by_pco = pco::standalone::simple_compress(values, &config).ok();
    let (code, content) = match (by_pco, by_zstd) {
        (Some(pco), Some(zstd)) if zstd.len() < pco.len() => (BY_ZSTD, zstd),
        (Some(pco), _) => (BY_PCO, pco),
        (None, Some(zstd)) => (BY_ZSTD, zstd),
        // Neither can fail on whole numbers in memory; an empty page is refused by whoever reads it.
        (None, None) => (0, Vec::new()),
    };
    let mut packed = Vec::with_capacity(content.len() + 1);
    packed.push(code);
    packed.extend(content);
    packed
}

/// Unpacks a column of a known number of values.
///
/// # Errors
/// When the content is damaged or holds another number.
pub fn unpack(packed: &[u8], expected: usize) -> Result<Vec<i64>, Damaged> {
    if expected > PAGE_VALUES {
        return Err(Damaged("more values than a page holds"));
    }
    match packed.split_first() {
        Some((&BY_PCO, content)) => {
            let mut values = vec![0_i64; expected + 1];
            let progress = pco::standalone::simple_decompress_into(content, &mut values)
                .map_err(|_| Damaged("pco cannot read it"))?;
            if progress.n_processed != expected || !progress.finished {
                return Err(Damaged("another number of values"));
            }
            values.truncate(expected);
            Ok(values)
        }
        Some((&BY_ZSTD, content)) => unpack_zstd(content, expected),
        _ => Err(Damaged("unknown packing")),
    }
}

/// Values without holes between them, and the place of the first.
pub type Piece<T> = (usize, T);

/// Cuts the runs of a column, in order, into what pages hold.
#[must_use]
pub fn cut<'a>(runs: impl IntoIterator<Item = Piece<&'a [i64]>>) -> Vec<Vec<Piece<&'a [i64]>>> {
    let mut pages: Vec<Vec<Piece<&[i64]>>> = Vec::new();
    let mut room = 0;
    for (mut first, mut values) in runs {
        while !values.is_empty() {
            match pages.last_mut() {
                Some(page) if room > 0 && page.len() < PAGE_RUNS => {
                    let (fitting, rest) = values.split_at(room.min(values.len()));
                    page.push((first, fitting));
                    (first, values) = (first + fitting.len(), rest);
                    room -= fitting.len();
                }
                _ => {
                    pages.push(Vec::new());
                    room = PAGE_VALUES;
                }
            }
        }
    }
    pages
}

/// Packs a page of level 0: the place of its first value, how many places it covers, and its content.
#[must_use]
pub fn pack_pieces(pieces: &[Piece<&[i64]>]) -> (usize, usize, Vec<u8>) {
    let first = pieces.first().map_or(0, |piece| piece.0);
    if let [(_, values)] = pieces {
        return (first, values.len(), pack(values));
    }
    let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    let (mut stretches, mut values, mut end) = (Vec::new(), Vec::new(), first);
    for (at, piece) in pieces {
        if !values.is_empty() {
            stretches.push(i64::try_from(at - end).unwrap_or(i64::MAX));
        }
        stretches.push(i64::try_from(piece.len()).unwrap_or(i64::MAX));
        values.extend_from_slice(piece);
        end = at + piece.len();
    }
    let lengths = pack(&stretches);
    let mut packed = vec![WITH_HOLES];
    packed.extend(number(values.len()));
    packed.extend(number(stretches.len()));
    packed.extend(number(lengths.len()));
    packed.extend(lengths);
    packed.extend(pack(&values));
    (first, end - first, packed)
}

/// Unpacks a page of level 0 that covers a known number of places; places are counted from its first.
///
/// # Errors
/// When the content is damaged or covers another number.
pub fn unpack_pieces(packed: &[u8], expected: usize) -> Result<Vec<Piece<Vec<i64>>>, Damaged> {
    let Some((&WITH_HOLES, mut rest)) = packed.split_first() else {
        return Ok(vec![(0, unpack(packed, expected)?)]);
    };
    let mut number = || {
        let (number, after) = rest.split_first_chunk::<4>().ok_or(Damaged("torn head"))?;
        rest = after;
        Ok(u32::from_le_bytes(*number) as usize)
    };
    let (values, stretches, bytes) = (number()?, number()?, number()?);
    let (lengths, content) = rest.split_at_checked(bytes).ok_or(Damaged("torn column"))?;
    let stretches = unpack(lengths, stretches)?;
    let values = unpack(content, values)?;
    let (mut pieces, mut at, mut rest) = (Vec::new(), 0_usize, values.as_slice());
    for (stretch, is_hole) in stretches.iter().zip([false, true].into_iter().cycle()) {
        let length = usize::try_from(*stretch).map_err(|_| Damaged("a stretch below zero"))?;
        if !is_hole {
            let (piece, after) = rest
                .split_at_checked(length)
                .ok_or(Damaged("another number of values"))?;
            pieces.push((at, piece.to_vec()));
            rest = after;
        }
        at = at.checked_add(length).ok_or(Damaged("an endless page"))?;
    }
    match rest.is_empty() && at == expected {
        true => Ok(pieces),
        false => Err(Damaged("another number of values")),
    }
}

/// Bytes at the beginning of a page of level 0 that say how many values it has.
pub const HEAD_BYTES: usize = 5;

/// How many values a page of level 0 has that covers so many places, from the beginning of its content.
#[must_use]
pub fn values_in(head: &[u8], covers: usize) -> usize {
    match head {
        [WITH_HOLES, a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        _ => covers,
    }
}

fn unpack_zstd(content: &[u8], expected: usize) -> Result<Vec<i64>, Damaged> {
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(content)
        .map_err(|_| Damaged("zstd cannot read it"))?
        .take((expected * MOST_VARINT_BYTES + 1) as u64)
        .read_to_end(&mut bytes)
        .map_err(|_| Damaged("zstd cannot read it"))?;
    let mut values = Vec::with_capacity(expected);
    let mut rest = bytes.as_slice();
    let mut before = 0_i64;
    while !rest.is_empty() {
        before = before.wrapping_add(take_varint(&mut rest)?);
        values.push(before);
    }
    if values.len() == expected {
        Ok(values)
    } else {
        Err(Damaged("another number of values"))
    }
}

fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<i64, Damaged> {
    let mut value = 0_u64;
    for at in 0..MOST_VARINT_BYTES {
        let (byte, rest) = bytes.split_first().ok_or(Damaged("torn number"))?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(Damaged("endless number"))
}

/// Least, greatest and last of each [`FACTOR`] values; buckets lie on the grid of the ticks, `first` being the place of the first value.
#[must_use]
pub fn summarise(values: &[i64], first: usize) -> Summary {
    let mut summary = Summary::default();
    let mut rest = values;
    let mut at = first;
    while !rest.is_empty() {
        let (bucket, following) = rest.split_at((FACTOR - at % FACTOR).min(rest.len()));
        summary.min.push(bucket.iter().copied().min().unwrap_or(0));
        summary.max.push(bucket.iter().copied().max().unwrap_or(0));
        summary.last.push(bucket[bucket.len() - 1]);
        at += bucket.len();
        rest = following;
    }
    summary
}

/// The next level: `first` is the place of the first bucket at this level.
#[must_use]
pub fn summarise_again(below: &Summary, first: usize) -> Summary {
    Summary {
        min: summarise(&below.min, first).min,
        max: summarise(&below.max, first).max,
        last: summarise(&below.last, first).last,
    }
}

/// Packs a page of a higher level.
#[must_use]
pub fn pack_summary(summary: &Summary) -> Vec<u8> {
    let mut packed = Vec::new();
    for column in [&summary.min, &summary.max, &summary.last] {
        let content = pack(column);
        packed.extend(
            u32::try_from(content.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        packed.extend(content);
    }
    packed
}

/// Unpacks a page of a higher level with a known number of buckets.
///
/// # Errors
/// When the content is damaged or holds another number.
pub fn unpack_summary(packed: &[u8], expected: usize) -> Result<Summary, Damaged> {
    let mut rest = packed;
    let mut column = || {
        let (length, after) = rest
            .split_first_chunk::<4>()
            .ok_or(Damaged("torn column"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let content = after.get(..length).ok_or(Damaged("torn column"))?;
        rest = &after[length..];
        unpack(content, expected)
    };
    Ok(Summary {
        min: column()?,
        max: column()?,
        last: column()?,
    })
}

#[cfg(test)]
mod tests;
