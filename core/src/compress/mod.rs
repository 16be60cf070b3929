//! Bytes made fewer and restored, as a stream: zstd and gzip.
//!
//! A [`Transformer`] takes slices and fills slices of any length; it does no I/O, and its memory does not grow with
//! the length of the stream. What it writes carries a checksum, and what it reads is checked against the one that is
//! there: all of gzip's, and zstd's unless it was left out (`zstd --no-check`).

mod codec;
mod gzip;
mod transformer;
mod zstd;

pub use codec::{Codec, Compression, Level};
pub use transformer::{Finish, Step, Transformer};
