//! Which of the standard streams were closed when the process began.
//!
//! Rust's runtime opens `/dev/null` in the place of a closed one before `main`, and then nobody can tell whether it
//! was closed or is the device that was asked for: the first would lose data and end with status 0. So it is looked
//! at before that.

use rustix::{
    io::{Errno, fcntl_getfd},
    stdio,
};
use std::{
    io,
    path::Path,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

/// A bit for each of the descriptors 0 and 1 that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

// SAFETY: the loader calls what stands in this section, once, on the only thread there is, before the Rust runtime
// begins: each entry must be a function that takes what the loader passes (which the C calling convention lets it
// ignore) and needs nothing that is set up later. `look` makes two system calls and stores into a static; it neither
// allocates nor panics, and nothing in it needs `std`'s runtime.
#[allow(unsafe_code, reason = "the only way to run before the runtime, which hides what is to be found")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let bit = |is_closed: bool, bit| if is_closed { bit } else { 0 };
    let input = fcntl_getfd(stdio::stdin()) == Err(Errno::BADF);
    let output = fcntl_getfd(stdio::stdout()) == Err(Errno::BADF);
    CLOSED.store(bit(input, Stream::Input as u8) | bit(output, Stream::Output as u8), Relaxed);
}

/// A standard stream that carries data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Input = 1,
    Output = 2,
}

impl Stream {
    /// `EBADF` if it was closed.
    pub(crate) fn check(self) -> io::Result<()> {
        if CLOSED.load(Relaxed) & self as u8 == 0 { Ok(()) } else { Err(Errno::BADF.into()) }
    }
}

/// `EBADF` if `path` is the name that a standard stream has in the file system, and it was closed.
pub(crate) fn check_path(path: &Path) -> io::Result<()> {
    match path.to_str() {
        Some("/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0") => Stream::Input.check(),
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => Stream::Output.check(),
        _ => Ok(()),
    }
}
