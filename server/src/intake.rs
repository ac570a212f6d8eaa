//! Room for the bodies of requests that are under way. Where it is used up, the next sender is told to come again (429): a body that is let in
//! stays in memory until it is on disk, and senders wait better at their end than here.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use highwater_wire::codec::MAX_COMPRESSED_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    error::AppError,
    work::{UNIT, units},
};

/// What a request takes besides its body, bytes.
const BESIDES: u64 = 16 << 10;

/// Room for bodies.
#[derive(Debug)]
pub(crate) struct Intake {
    free: Arc<Semaphore>,
    units: u32,
}

impl Intake {
    /// Room of so many bytes, for one body of the largest kind at least.
    pub(crate) fn new(bytes: u64) -> Self {
        let units = units(bytes.max(MAX_COMPRESSED_BYTES as u64 + BESIDES));
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Claims room for a body before any of it is read, by what its headers announce; the largest there is where they do not say.
    pub(crate) fn claim(&self, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, AppError> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let most = MAX_COMPRESSED_BYTES as u64;
        let bytes = announced.map_or(most, |bytes| bytes.min(most)) + BESIDES;
        let claimed = Arc::clone(&self.free).try_acquire_many_owned(units(bytes));
        claimed.map_err(|_| AppError::busy())
    }

    /// How much of it is claimed, bytes.
    pub(crate) fn used_bytes(&self) -> u64 {
        let free = u64::try_from(self.free.available_permits()).unwrap_or(u64::MAX);
        u64::from(self.units).saturating_sub(free) * UNIT
    }
}
