//! Memory lent to the kernel.
//!
//! A [`Slot`] is unique and read into. [`Slot::freeze`] turns it into a [`Chunk`], which is shared:
//! a hasher and several sinks can hold the same bytes at once. Both own their memory, so a buffer
//! lives until its completion even when the future that asked for it is dropped.

mod chunk;
mod pool;
mod raw;
mod slot;

pub use chunk::Chunk;
pub use pool::Pool;
pub use raw::StableMemory;
pub use slot::Slot;
