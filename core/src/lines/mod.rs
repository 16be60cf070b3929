//! Lines of a file: where they end, where they start, and never more of one in memory than a limit.
//!
//! [`Splitter`] is pure: chunks of bytes in, lines out. [`Lines`] feeds it from an
//! [`Engine`](crate::engine::Engine)'s file, one read ahead of the caller.

mod reader;
mod splitter;

pub use reader::{Lines, LinesOptions};
pub use splitter::{Ending, Line, Splitter};
