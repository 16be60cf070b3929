//! Which of the standard streams were closed when the process began.
//!
//! Rust's runtime opens `/dev/null` in the place of a closed one before `main`, and then nobody can tell whether it
//! was closed or is the device that was asked for: the first would lose data and end with status 0. So it is looked
//! at before that.
#![allow(unsafe_code, reason = "the only way to run before the runtime, which hides what is to be found")]

use rustix::{
    io::{Errno, fcntl_getfd},
    stdio,
};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A bit for each of the descriptors 0 and 1 that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

// SAFETY: the loader calls what stands in this section, once, on the only thread there is, before the Rust runtime
// begins: each entry must be a function that takes what the loader passes (which the C calling convention lets it
// ignore) and needs nothing that is set up later. `look` makes two system calls and stores into a static; it neither
// allocates nor panics, and nothing in it needs `std`'s runtime.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let bit = |is_closed: bool, bit| if is_closed { bit } else { 0 };
    let input = fcntl_getfd(stdio::stdin()) == Err(Errno::BADF);
    let output = fcntl_getfd(stdio::stdout()) == Err(Errno::BADF);
    CLOSED
        .store(bit(input, StandardStream::Input as u8) | bit(output, StandardStream::Output as u8), Relaxed);
}

/// A standard stream that carries data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    /// Descriptor 0.
    Input = 1,
    /// Descriptor 1.
    Output = 2,
}

impl StandardStream {
    /// Whether it was closed when the process began, and is nothing but `/dev/null` since. In a library that was
    /// loaded later, whether it was closed at that moment.
    pub fn was_closed(self) -> bool {
        CLOSED.load(Relaxed) & self as u8 != 0
    }
}
