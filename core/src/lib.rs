//! Asynchronous file operations on completion I/O: io_uring where the kernel offers it, a poller
//! with a bounded pool of threads elsewhere.
//!
//! The verbs ([`copy`], [`hash`], [`lines`], [`whole`]) are generic over an
//! [`Engine`](engine::Engine); [`tail`] follows a file on threads of its own. [`engine`] is the only
//! module that names a runtime. Memory that the kernel is given is owned by a [`Slot`](buffer::Slot)
//! or shared by a [`Chunk`](buffer::Chunk) and lives until the completion, whatever was cancelled.
#![warn(missing_docs)]

pub mod buffer;
mod cancel;
pub mod compress;
pub mod copy;
pub mod engine;
mod error;
pub mod fifo;
pub mod hash;
pub mod limits;
pub mod lines;
pub mod pages;
mod pipeline;
mod progress;
mod sink;
pub mod small;
mod source;
pub mod tail;
pub mod tee;
#[cfg(feature = "testing")]
pub mod testing;
pub mod whole;
mod zeros;

pub use cancel::Cancel;
pub use error::{Error, Operation, Result};
pub use progress::Progress;
