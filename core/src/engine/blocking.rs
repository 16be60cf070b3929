//! Operations as plain system calls on the calling thread, which may wait.
//!
//! For threads that have no engine: a finalizer, or a reader of what the page cache holds.

use super::{
    descriptor::Descriptor,
    op::{Action, FileOp},
};
use crate::buffer::{Chunk, Slot};
use std::{io, sync::Arc};

/// Reads into the room left in `slot`, at `offset` or at the file's own position; `Ok(0)` with room
/// left is end of file.
///
/// # Errors
///
/// Those of `pread(2)` or `read(2)`, without `EINTR`, after which the call is repeated.
pub fn read(file: &Arc<Descriptor>, slot: Slot, offset: Option<u64>) -> (io::Result<usize>, Slot) {
    match FileOp::new(Action::Read { file: file.clone(), slot, offset }).run_here() {
        (result, Action::Read { slot, .. }) => (result, slot),
        _ => unreachable!("an operation stays what it is"),
    }
}

/// Writes `chunk` at `offset` or at the file's own position; may write less.
///
/// # Errors
///
/// Those of `pwrite(2)` or `write(2)`, without `EINTR`, after which the call is repeated.
pub fn write(file: &Arc<Descriptor>, chunk: Chunk, offset: Option<u64>) -> (io::Result<usize>, Chunk) {
    match FileOp::new(Action::Write { file: file.clone(), chunk, offset }).run_here() {
        (result, Action::Write { chunk, .. }) => (result, chunk),
        _ => unreachable!("an operation stays what it is"),
    }
}
