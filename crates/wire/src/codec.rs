//! Bytes of the wire messages, and the checks of what comes from outside.
//!
//! The agent sends protobuf compressed with zstd (`Content-Type: application/x-protobuf`, `Content-Encoding: zstd`);
//! JSON in proto3 mapping serves people with curl. Both end in the same message and the same [`check`](Checked::check).

mod encoder;
mod limits;
mod parts;

use std::{cell::RefCell, io::Read};

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    VERSION,
    v1::{Batch, End, Job},
};

pub use encoder::Encoder;
pub use limits::{
    MAX_BATCH_BYTES, MAX_BATCHES, MAX_BYTES, MAX_COMPRESSED_BYTES, MAX_FILE_LIMIT_BYTES,
    MAX_FILE_LIMITS, MAX_JOB_WEIGHT, MAX_LINE_BYTES, MAX_NAME_BYTES, MAX_SAMPLES, MAX_TEXT_BYTES,
    MAX_TIME_US,
};

/// The fastest: the agent compresses beside the tests it measures.
const LEVEL: i32 = 1;

/// Why a message from outside was refused.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Not zstd, or cut off.
    #[error("the body is no whole zstd frame: {0}")]
    Compression(#[source] std::io::Error),
    /// Would grow past the limit.
    #[error("the body is larger than {limit} bytes; send smaller batches")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not protobuf of this schema.
    #[error("the body is no {what} in protobuf: {source}")]
    Protobuf {
        /// Which message was expected.
        what: &'static str,
        /// What prost said.
        source: prost::DecodeError,
    },
    /// Not JSON of this schema.
    #[error("the body is no {what} in JSON: {source}")]
    Json {
        /// Which message was expected.
        what: &'static str,
        /// What serde said, with line and column.
        source: serde_json::Error,
    },
    /// A version this build does not know.
    #[error(
        "wire version {found} is not known here (this side reads {VERSION}); update the older side"
    )]
    Version {
        /// The version of the message.
        found: u32,
    },
    /// A field that cannot be as it is.
    #[error("field {field}: {reason}")]
    Field {
        /// Path of the field in the message.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Problem {
    /// The same problem of a field inside another.
    fn within(self, outer: &str) -> Self {
        match self {
            Self::Field { field, reason } => Self::Field {
                field: format!("{outer}.{field}"),
                reason,
            },
            other => other,
        }
    }

    fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// A message that can come from outside.
pub trait Checked: Message + Default + Serialize + DeserializeOwned {
    /// Name of the message in errors.
    const NAME: &'static str;

    /// Most bytes of it in protobuf.
    const MOST_BYTES: usize;

    /// Checks what the schema cannot say.
    ///
    /// # Errors
    /// The first field that is wrong, and why.
    fn check(&self) -> Result<(), Problem>;

    /// Checks on its bytes that the message would not take more memory than it may; before any is taken.
    ///
    /// # Errors
    /// The field of which there is too much, or damage.
    fn check_bytes(_bytes: &[u8]) -> Result<(), Problem> {
        Ok(())
    }
}

/// About what a batch takes in memory once it is part of a recording and its digest, bytes.
#[must_use]
pub fn weight(batch: &Batch) -> u64 {
    (parts::Parts::of(batch).weight() + batch.encoded_len()) as u64
}

/// Message to protobuf to zstd.
///
/// # Errors
/// When zstd fails, which only a lack of memory can cause.
pub fn encode<M: Message>(message: &M) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(&message.encode_to_vec(), LEVEL)
}

/// zstd to protobuf to checked message.
///
/// # Errors
/// When the bytes are no frame, too large, no such message, or fail its checks.
pub fn decode<M: Checked>(compressed: &[u8]) -> Result<M, Problem> {
    decode_plain(&decompress(compressed)?)
}

/// Protobuf without compression to checked message.
///
/// # Errors
/// As [`decode`].
pub fn decode_plain<M: Checked>(bytes: &[u8]) -> Result<M, Problem> {
    at_most(bytes, M::MOST_BYTES)?;
    M::check_bytes(bytes)?;
    let message = M::decode(bytes).map_err(|source| Problem::Protobuf {
        what: M::NAME,
        source,
    })?;
    message.check()?;
    Ok(message)
}

/// JSON to checked message.
///
/// # Errors
/// As [`decode`].
pub fn decode_json<M: Checked>(bytes: &[u8]) -> Result<M, Problem> {
    at_most(bytes, limits::MAX_JSON_BYTES.min(M::MOST_BYTES))?;
    let objects = bytes.iter().filter(|byte| **byte == b'{').count();
    limits::count("objects", objects, limits::MAX_JSON_OBJECTS)?;
    let message: M = serde_json::from_slice(bytes).map_err(|source| Problem::Json {
        what: M::NAME,
        source,
    })?;
    message.check()?;
    Ok(message)
}

/// What a body becomes, where it is one frame that says so and nothing else, bytes; `None` where it is not. [`decompress`] holds such a body to
/// what it says.
#[must_use]
pub fn announced_bytes(compressed: &[u8]) -> Option<usize> {
    let length = zstd::zstd_safe::find_frame_compressed_size(compressed).ok()?;
    if length != compressed.len() {
        return None;
    }
    let size = zstd::zstd_safe::get_frame_content_size(compressed).ok()??;
    usize::try_from(size).ok()
}

/// What becomes of a frame that announces so many bytes.
fn at_once(compressed: &[u8], bytes: usize) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = RefCell::default();
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            none => none.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress(compressed, bytes)
    })
}

/// Decompresses with a bound, so that a small body cannot fill the memory.
///
/// # Errors
/// When the bytes are no frame or pass [`MAX_BATCH_BYTES`].
pub fn decompress(compressed: &[u8]) -> Result<Vec<u8>, Problem> {
    if let Some(bytes) = announced_bytes(compressed) {
        if bytes > MAX_BATCH_BYTES {
            return Err(Problem::TooLarge {
                limit: MAX_BATCH_BYTES,
            });
        }
        return at_once(compressed, bytes).map_err(Problem::Compression);
    }
    let decoder =
        zstd::stream::read::Decoder::with_buffer(compressed).map_err(Problem::Compression)?;
    let mut bytes = Vec::new();
    decoder
        .take(MAX_BATCH_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Problem::Compression)?;
    if bytes.len() > MAX_BATCH_BYTES {
        return Err(Problem::TooLarge {
            limit: MAX_BATCH_BYTES,
        });
    }
    Ok(bytes)
}

fn at_most(bytes: &[u8], limit: usize) -> Result<(), Problem> {
    if bytes.len() > limit {
        return Err(Problem::TooLarge { limit });
    }
    Ok(())
}

fn check_version(found: u32) -> Result<(), Problem> {
    if found == VERSION {
        Ok(())
    } else {
        Err(Problem::Version { found })
    }
}

impl Checked for Job {
    const NAME: &'static str = "Job";
    const MOST_BYTES: usize = limits::MAX_FRAME_BYTES;

    fn check(&self) -> Result<(), Problem> {
        check_version(self.version)?;
        limits::check_job(self)
    }
}

impl Checked for Batch {
    const NAME: &'static str = "Batch";
    const MOST_BYTES: usize = MAX_BATCH_BYTES;

    fn check(&self) -> Result<(), Problem> {
        check_version(self.version)?;
        limits::check_batch(self)
    }

    fn check_bytes(bytes: &[u8]) -> Result<(), Problem> {
        let parts = parts::Parts::of_bytes(bytes).map_err(|source| Problem::Protobuf {
            what: Self::NAME,
            source,
        })?;
        parts.check()
    }
}

impl Checked for End {
    const NAME: &'static str = "End";
    const MOST_BYTES: usize = limits::MAX_FRAME_BYTES;

    fn check(&self) -> Result<(), Problem> {
        check_version(self.version)?;
        limits::check_end(self)
    }
}

#[cfg(test)]
mod tests;
