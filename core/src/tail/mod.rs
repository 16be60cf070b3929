//! The last lines of a file, and those that are still to come.
//!
//! What the kernel says about changes is a hint to look, never truth: `state` (pure) turns what a
//! look showed into what to do next. Two threads share the work. The caller's own reads and puts
//! out, woken by appends directly: a hand-over in between would cost more than the rest together.
//! Where a name is followed, a second one, the lookout, watches where the name leads and opens
//! every generation of the file the moment it is seen; it never waits for output, so a rotation
//! while nobody reads the output loses nothing. Neither has a timer on local file systems.

mod aliases;
mod emit;
mod extent;
mod hints;
mod locality;
mod lookout;
mod options;
mod reader;
mod route;
mod sightings;
mod start;
mod state;
mod stream;
mod wait;

pub use options::{Ended, Follow, Notice, Start, Stop, Tail, TailEvent, TailOptions, Unit};
