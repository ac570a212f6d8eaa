//! The files of a spool, as bytes: how a file begins, what a record is, what a segment is called. The agent's module `spool` says what they are for and
//! how a reader goes on behind a writer; who reads a spool that nobody writes takes [`Records`].
//!
//! Each file begins with [`MAGIC`], whose last byte is the version. A record is, in little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the payload |
//! | 4 | CRC-32 of all that follows |
//! | 1 | kind: 1 job, 2 batch, 3 end |
//! | 8 | sequence number of a batch; 0 otherwise |
//! | n | payload: the message in protobuf under zstd |

use std::io::{self, ErrorKind, Read};

use uuid::Uuid;

use crate::codec::MAX_BATCH_BYTES;

/// The first bytes of every file; the last is the version.
pub const MAGIC: &[u8; 8] = b"HWSPOOL\x01";
/// What stands there instead where a disk lost its power: it has the length of a file, and not yet its bytes.
pub const BLANK: [u8; MAGIC.len()] = [0; MAGIC.len()];
/// Length, CRC, kind and sequence number.
pub const HEAD_BYTES: usize = 17;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// How the job began.
    Job = 1,
    /// A second of it.
    Batch = 2,
    /// How it ended.
    End = 3,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it holds.
    pub kind: Kind,
    /// Sequence number of a batch.
    pub seq: u64,
    /// Protobuf under zstd.
    pub payload: Vec<u8>,
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head([u8; HEAD_BYTES]);

impl Head {
    /// Takes the bytes before a payload; `None` where the payload would be longer than any is.
    #[must_use]
    pub fn of(bytes: [u8; HEAD_BYTES]) -> Option<Self> {
        let head = Self(bytes);
        (head.length() <= MAX_BATCH_BYTES).then_some(head)
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn length(&self) -> usize {
        let [l0, l1, l2, l3, ..] = self.0;
        u32::from_le_bytes([l0, l1, l2, l3]) as usize
    }

    /// The record with this payload; `None` where it is broken, or of a kind that is not known.
    #[must_use]
    pub fn record(&self, payload: Vec<u8>) -> Option<Record> {
        let [_, _, _, _, c0, c1, c2, c3, kind, seq @ ..] = self.0;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.0[8..]);
        crc.update(&payload);
        let kind = match kind {
            1 => Kind::Job,
            2 => Kind::Batch,
            3 => Kind::End,
            _ => return None,
        };
        (crc.finalize() == u32::from_le_bytes([c0, c1, c2, c3])).then(|| Record {
            kind,
            seq: u64::from_le_bytes(seq),
            payload,
        })
    }
}

/// Stream and place among its files of a segment, by the name of its file: `<stream>.segment`, `<stream>.<place>.segment`.
#[must_use]
pub fn segment_of(file_name: &str) -> Option<(Uuid, u64)> {
    let name = file_name.strip_suffix(".segment")?;
    let (stream, place) = match name.split_once('.') {
        Some((stream, place)) => (stream, place.parse().ok()?),
        None => (name, 0),
    };
    Some((Uuid::parse_str(stream).ok()?, place))
}

/// The records of a file that nobody writes. A torn one at its end is none, and so are zeros up to its end; a broken one is passed over
/// and counted.
#[derive(Debug)]
pub struct Records<R> {
    file: R,
    skipped: u64,
}

impl<R: Read> Records<R> {
    /// Begins to read; `None` where the file is no spool's of this version.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(mut file: R) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        // A writer that was killed before its first bytes has written nothing to lose.
        let is_whole = whole(&mut file, &mut magic)?;
        let is_known = !is_whole || magic == *MAGIC || magic == BLANK;
        Ok(is_known.then_some(Self { file, skipped: 0 }))
    }

    /// The next whole record; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            let mut head = [0; HEAD_BYTES];
            if !whole(&mut self.file, &mut head)? {
                return Ok(None);
            }
            if head == [0; HEAD_BYTES] {
                self.skipped += u64::from(!is_blank_to_its_end(&mut self.file)?);
                return Ok(None);
            }
            let Some(head) = Head::of(head) else {
                self.skipped += 1;
                return Ok(None);
            };
            let mut payload = Vec::new();
            let mut rest = self.file.by_ref().take(head.length() as u64);
            rest.read_to_end(&mut payload)?;
            if payload.len() < head.length() {
                return Ok(None);
            }
            match head.record(payload) {
                Some(record) => return Ok(Some(record)),
                None => self.skipped += 1,
            }
        }
    }

    /// Records that were broken and passed over.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Fills a buffer; false where the file ends before.
fn whole(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_blank_to_its_end(file: &mut impl Read) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(true),
            length if bytes[..length].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(seq: u64, payload: &[u8]) -> Vec<u8> {
        let mut behind = vec![2];
        behind.extend(seq.to_le_bytes());
        behind.extend(payload);
        let length = u32::try_from(payload.len()).unwrap();
        let crc = crc32fast::hash(&behind);
        [&length.to_le_bytes()[..], &crc.to_le_bytes(), &behind].concat()
    }

    fn read(bytes: &[u8]) -> Option<(Vec<u64>, u64)> {
        let mut records = Records::of(bytes).unwrap()?;
        let mut seqs = Vec::new();
        while let Some(record) = records.next_record().unwrap() {
            seqs.push(record.seq);
        }
        Some((seqs, records.skipped()))
    }

    #[test]
    fn what_is_whole_is_read_and_what_is_broken_is_counted() {
        let (one, two) = (written(0, b"one"), written(1, b"two"));
        let file = |parts: &[&[u8]]| [&MAGIC[..], &parts.concat()].concat();
        let mut broken = one.clone();
        broken[19] ^= 1;
        let endless = [0xff; HEAD_BYTES];
        let cases = [
            (file(&[&one, &two]), Some((vec![0, 1], 0))),
            (file(&[&one, &two[..two.len() - 1]]), Some((vec![0], 0))),
            (file(&[&one, &[0; 5000]]), Some((vec![0], 0))),
            (file(&[&one, &[0; 100], &two]), Some((vec![0], 1))),
            (file(&[&broken, &two]), Some((vec![1], 1))),
            (file(&[&endless, &two]), Some((vec![], 1))),
            (Vec::new(), Some((vec![], 0))),
            (b"HWSPOOL\x02".to_vec(), None),
            (b"SQLite format 3\0".to_vec(), None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_segment_is_known_by_its_name() {
        let stream = Uuid::from_u128(7);
        assert_eq!(segment_of(&format!("{stream}.segment")), Some((stream, 0)));
        assert_eq!(
            segment_of(&format!("{stream}.12.segment")),
            Some((stream, 12))
        );
        for other in ["x.segment", "job", &format!("{stream}.x.segment")] {
            assert_eq!(segment_of(other), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&MAGIC[..], &bytes].concat());
        }
    }
}
