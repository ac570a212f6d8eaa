//! Message after message into bytes, in memory that is used again.

use std::{fmt, io};

use prost::Message;

use super::LEVEL;

/// A buffer that a large message needed is given back beyond that, bytes.
const KEPT_BYTES: usize = 1 << 20;

/// Does what [`encode`](super::encode) does without asking for memory each time.
pub struct Encoder {
    plain: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
}

impl Encoder {
    /// Makes one.
    ///
    /// # Errors
    /// When zstd fails, which only a lack of memory can cause.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            plain: Vec::new(),
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
        })
    }

    /// Appends a message, protobuf under zstd, to some bytes.
    ///
    /// # Errors
    /// When zstd fails; the bytes are then as they were.
    pub fn append<M: Message>(&mut self, message: &M, to: &mut Vec<u8>) -> io::Result<()> {
        self.plain.clear();
        message.encode(&mut self.plain).map_err(io::Error::other)?;
        let before = to.len();
        let most = zstd::zstd_safe::compress_bound(self.plain.len());
        to.resize(before + most, 0);
        let written = self
            .compressor
            .compress_to_buffer(&self.plain, &mut to[before..]);
        to.truncate(before + *written.as_ref().unwrap_or(&0));
        if self.plain.capacity() > KEPT_BYTES {
            self.plain = Vec::new();
        }
        written.map(|_| ())
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VERSION, codec::decode, v1::Batch};

    #[test]
    fn what_is_appended_is_decoded_alone() {
        let mut encoder = Encoder::new().unwrap();
        let batch = |to_us| Batch {
            version: VERSION,
            to_us,
            ..Batch::default()
        };
        for to_us in [1, 1_000_000] {
            let mut bytes = b"head".to_vec();
            encoder.append(&batch(to_us), &mut bytes).unwrap();
            assert_eq!(bytes[..4], *b"head");
            assert_eq!(decode::<Batch>(&bytes[4..]).unwrap(), batch(to_us));
        }
    }
}
