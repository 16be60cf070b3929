//! The only place that names a runtime.
//!
//! [`Engine`] serves driver threads: a thread builds one with [`Engine::run`] and awaits operations
//! on it. [`LoopRing`] serves a foreign event loop: a bare ring that is pushed to, polled and popped
//! without ever waiting. Which kind of I/O stands behind both is decided once per process by
//! [`selected`].

mod aligned;
mod at_start;
pub mod blocking;
#[path = "compio.rs"]
mod compio_engine;
mod descriptor;
mod direct;
mod dispatch;
mod loop_ring;
#[cfg(all(target_os = "linux", feature = "engine-monoio"))]
#[path = "monoio/mod.rs"]
mod monoio_engine;
mod op;
mod probe;
mod uncached;

pub use aligned::{limit_staged_bytes, staged_bytes};
pub use at_start::StandardStream;
pub use compio_engine::{
    Compio, CompioFile, CompioOn, CompioRing, CompioThreads, Driver, OnRing, OnThreads, Selected,
};
pub use descriptor::{Descriptor, FileKind};
pub use dispatch::{OnEngine, on_selected};
pub use loop_ring::{Completion, LoopRing, Submission};
#[cfg(all(target_os = "linux", feature = "engine-monoio"))]
pub use monoio_engine::{Monoio, MonoioFile};
pub use probe::{EngineKind, Selection, UringReport, prefer, probe_uring, selected};

use crate::buffer::{Chunk, Slot};
use rustix::fs::{Mode, OFlags};
use std::{ffi::CString, future::Future, io, os::fd::BorrowedFd, os::fd::OwnedFd, sync::Arc, time::Duration};

/// A completion engine for one driver thread.
///
/// Dispatch is static and futures are not `Send`: an operation stays on the thread that started it.
/// Buffers are owned by the operation and come back beside its result.
///
/// # Cancel safety
///
/// Dropping the future of an operation asks the kernel to cancel it. The buffer lives until the
/// completion; the bytes of a dropped read are lost, and a dropped write may still happen.
pub trait Engine: 'static {
    /// An open file that this engine can read and write.
    type File: 'static;

    /// Builds the engine on this thread and runs `future` on it to the end.
    ///
    /// # Errors
    ///
    /// When the ring or poller cannot be built.
    fn run<T>(future: impl Future<Output = T>) -> io::Result<T>;

    /// Takes over an open file.
    ///
    /// # Errors
    ///
    /// When the file cannot be attached to the engine.
    fn adopt(file: OwnedFd) -> io::Result<Self::File>;

    /// The descriptor, for system calls that do not wait.
    fn as_fd(file: &Self::File) -> BorrowedFd<'_>;

    /// Opens `path` as `open(2)` does; `O_CLOEXEC` is added.
    fn open(path: CString, flags: OFlags, mode: Mode) -> impl Future<Output = io::Result<Self::File>>;

    /// Reads at `offset` into the room left in `slot`. `Ok(0)` with room left is end of file.
    fn read_at(file: &Self::File, slot: Slot, offset: u64)
    -> impl Future<Output = (io::Result<usize>, Slot)>;

    /// Writes `chunk` at `offset`; may write less.
    fn write_at(
        file: &Self::File,
        chunk: Chunk,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, Chunk)>;

    /// Reads at the file's own position, or whatever comes next on a pipe or terminal.
    fn read(file: &Self::File, slot: Slot) -> impl Future<Output = (io::Result<usize>, Slot)>;

    /// Writes at the file's own position, or to a pipe, a terminal or a file opened with `O_APPEND`.
    fn write(file: &Self::File, chunk: Chunk) -> impl Future<Output = (io::Result<usize>, Chunk)>;

    /// Reads in a plain call on this thread, which waits for the device: at `offset`, or at the file's
    /// own position. Needs no running engine.
    fn read_here(file: &Arc<Descriptor>, slot: Slot, offset: Option<u64>) -> (io::Result<usize>, Slot) {
        blocking::read(file, slot, offset)
    }

    /// Writes in a plain call on this thread, which waits for the device: at `offset`, or at the file's
    /// own position; may write less. Needs no running engine.
    fn write_here(file: &Arc<Descriptor>, chunk: Chunk, offset: Option<u64>) -> (io::Result<usize>, Chunk) {
        blocking::write(file, chunk, offset)
    }

    /// `fsync`, or `fdatasync` when only `data` is asked for.
    fn sync(file: &Self::File, data_only: bool) -> impl Future<Output = io::Result<()>>;

    /// Closes the file and says what `close(2)` says, which is where a network file system reports a write
    /// that it had accepted. An operation in flight keeps the file open until it completes.
    fn close(file: Self::File) -> impl Future<Output = io::Result<()>>;

    /// Waits for `duration`.
    fn sleep(duration: Duration) -> impl Future<Output = ()>;

    /// Runs a blocking function on another thread. A panic there is resumed here.
    fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T>;
}
