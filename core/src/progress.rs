//! How far long work is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A count of bytes done, which any thread may read while the work goes on. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    bytes: Arc<AtomicU64>,
}

impl Progress {
    /// A count of zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes done so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}
