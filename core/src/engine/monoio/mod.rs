//! The engine on monoio: io_uring as another runtime drives it. Linux only, and only where it is asked for.
//!
//! Reads, writes and syncs go through monoio's ring. What monoio has no right operation for is a plain call
//! on another thread: opening (its open of a FIFO does not wait for the other end), closing (its close
//! keeps what `close(2)` said to itself), and whatever moves a position that others share.
//! What it does have and is not used here, and why: docs/decisions/0012-monoio.md.

mod bell;
mod handles;
mod lent;
mod run;
mod threads;

use self::{lent::Lent, run::Run};
use super::{
    Engine, blocking,
    descriptor::{Descriptor, FileKind},
    op::{Action, FileOp},
    probe::uring_works,
};
use crate::buffer::{Chunk, Slot};
use rustix::{
    fs::{Mode, OFlags},
    io::retry_on_intr,
};
use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// The offset that means "at the file's own position".
const OWN_POSITION: u64 = u64::MAX;

/// The engine on monoio.
///
/// # Platform
///
/// Linux with io_uring, with the cargo feature `engine-monoio`. Without io_uring [`run`](Engine::run) is an
/// error: monoio would read and write files in plain calls on the thread that drives all the others.
#[derive(Clone, Copy, Debug)]
pub struct Monoio;

/// A file of [`Monoio`].
#[derive(Clone, Debug)]
pub struct MonoioFile(Arc<Descriptor>);

impl Engine for Monoio {
    type File = MonoioFile;

    fn run<T>(future: impl Future<Output = T>) -> io::Result<T> {
        uring_works()?;
        run::run(future)
    }

    fn adopt(file: OwnedFd) -> io::Result<MonoioFile> {
        Descriptor::own(file).map(MonoioFile)
    }

    fn as_fd(file: &MonoioFile) -> BorrowedFd<'_> {
        file.0.as_fd()
    }

    async fn open(path: CString, flags: OFlags, mode: Mode) -> io::Result<MonoioFile> {
        let flags = flags | OFlags::CLOEXEC;
        let open = move || retry_on_intr(|| rustix::fs::open(path.as_c_str(), flags, mode));
        Self::adopt(Self::blocking(open).await?)
    }

    async fn read_at(file: &MonoioFile, slot: Slot, offset: u64) -> (io::Result<usize>, Slot) {
        read(&file.0, slot, offset).await
    }

    async fn write_at(file: &MonoioFile, chunk: Chunk, offset: u64) -> (io::Result<usize>, Chunk) {
        write(&file.0, chunk, offset).await
    }

    async fn read(file: &MonoioFile, slot: Slot) -> (io::Result<usize>, Slot) {
        if moves_shared_position(&file.0) {
            let file = file.0.clone();
            return Self::blocking(move || blocking::read(&file, slot, None)).await;
        }
        read(&file.0, slot, OWN_POSITION).await
    }

    async fn write(file: &MonoioFile, chunk: Chunk) -> (io::Result<usize>, Chunk) {
        if moves_shared_position(&file.0) {
            let file = file.0.clone();
            return Self::blocking(move || blocking::write(&file, chunk, None)).await;
        }
        if file.0.is_terminal() {
            return write_to_terminal(&file.0, chunk).await;
        }
        write(&file.0, chunk, OWN_POSITION).await
    }

    async fn sync(file: &MonoioFile, data_only: bool) -> io::Result<()> {
        let run = Run::current()?;
        let (handle, held) = (run.handle(&file.0), (file.0.clone(), run.count()));
        // monoio holds nothing of ours until it is done. So a task does, which goes on when nobody waits.
        let synced = monoio::spawn(async move {
            let file = handle.file();
            let synced = if data_only { file.sync_data().await } else { file.sync_all().await };
            drop(held);
            synced
        });
        synced.await
    }

    async fn close(file: MonoioFile) -> io::Result<()> {
        Self::blocking(move || Descriptor::close(file.0)).await
    }

    async fn sleep(duration: Duration) {
        monoio::time::sleep(duration).await;
    }

    async fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> T {
        let (give, output) = flume::bounded(1);
        threads::run(Box::new(move || {
            // Nobody takes it if the future was dropped.
            let _ = give.send(catch_unwind(AssertUnwindSafe(function)));
        }));
        match output.recv_async().await {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => unreachable!("a function returns or panics"),
        }
    }
}

/// As for a ring of our own: see [`FileOp`].
fn moves_shared_position(file: &Descriptor) -> bool {
    file.kind() == FileKind::Seekable
}

async fn read(file: &Arc<Descriptor>, slot: Slot, offset: u64) -> (io::Result<usize>, Slot) {
    let run = match Run::current() {
        Ok(run) => run,
        Err(error) => return (Err(error), slot),
    };
    let (result, lent) = run.handle(file).file().read_at(Lent::new(slot, file, run.count()), offset).await;
    (result, lent.give_back())
}

async fn write(file: &Arc<Descriptor>, chunk: Chunk, offset: u64) -> (io::Result<usize>, Chunk) {
    let run = match Run::current() {
        Ok(run) => run,
        Err(error) => return (Err(error), chunk),
    };
    let (result, lent) = run.handle(file).file().write_at(Lent::new(chunk, file, run.count()), offset).await;
    (result, lent.give_back())
}

/// Asks the ring only for the room, as [`FileOp`] does and for its reasons.
async fn write_to_terminal(file: &Arc<Descriptor>, chunk: Chunk) -> (io::Result<usize>, Chunk) {
    let mut op = FileOp::new(Action::Write { file: file.clone(), chunk, offset: None });
    let result = loop {
        if let Err(error) = wait_until_writable(file).await {
            break Err(error);
        }
        if let Poll::Ready(result) = op.attempt() {
            break result;
        }
    };
    match op.action {
        Action::Write { chunk, .. } => (result, chunk),
        _ => unreachable!("an operation stays what it is"),
    }
}

async fn wait_until_writable(file: &Arc<Descriptor>) -> io::Result<()> {
    let run = Run::current()?;
    // The operation has no memory that the kernel writes to; but while this future has it, it has the ring.
    let _in_flight = run.count();
    run.handle(file).polled()?.writable(true).await
}
