//! The engine on compio: io_uring where it is selected, compio's poller and pool elsewhere.
#![allow(unsafe_code, reason = "a runtime that is leaked or dropped by hand")]

use super::{
    Engine,
    descriptor::Descriptor,
    op::{Action, FileOp, in_flight},
    probe::{EngineKind, selected, uring_works},
};
use crate::{
    buffer::{Chunk, Slot},
    limits::{MAX_BLOCKING_THREADS, RING_ENTRIES},
};
use compio::{
    BufResult,
    driver::{DriverType, ProactorBuilder},
    runtime::{Runtime, RuntimeBuilder},
};
use rustix::fs::{Mode, OFlags};
use std::{
    ffi::CString,
    future::Future,
    io,
    marker::PhantomData,
    mem::ManuallyDrop,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    task::Poll,
    thread,
    time::{Duration, Instant},
};

/// How long a finished [`Engine::run`] waits for operations that were cancelled but not completed.
/// After that their memory and the ring are leaked: freeing them would let the kernel write to memory
/// that somebody else owns by then.
const DRAIN: Duration = Duration::from_secs(2);

/// The engine on compio, on the driver that `D` chooses.
#[derive(Clone, Copy, Debug)]
pub struct CompioOn<D>(PhantomData<D>);

/// The engine on compio, on the driver that is [`selected`].
pub type Compio = CompioOn<Selected>;

/// The engine on compio's io_uring driver, whatever is selected.
pub type CompioRing = CompioOn<OnRing>;

/// The engine on compio's poller and pool, whatever is selected.
pub type CompioThreads = CompioOn<OnThreads>;

/// What chooses a driver of compio.
pub trait Driver: 'static {
    /// The kind of I/O of the driver.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn kind() -> io::Result<EngineKind>;
}

/// The driver of this process.
#[derive(Clone, Copy, Debug)]
pub struct Selected;

/// io_uring or nothing.
#[derive(Clone, Copy, Debug)]
pub struct OnRing;

/// The poller and pool.
#[derive(Clone, Copy, Debug)]
pub struct OnThreads;

impl Driver for Selected {
    fn kind() -> io::Result<EngineKind> {
        let refused = |error: crate::Error| match error.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::other(error.to_string()),
        };
        Ok(selected().map_err(refused)?.kind)
    }
}

impl Driver for OnRing {
    fn kind() -> io::Result<EngineKind> {
        uring_works().map(|()| EngineKind::Uring)
    }
}

impl Driver for OnThreads {
    fn kind() -> io::Result<EngineKind> {
        Ok(EngineKind::Threads)
    }
}

/// A file of [`Compio`].
#[derive(Clone, Debug)]
pub struct CompioFile(Arc<Descriptor>);

impl<D: Driver> Engine for CompioOn<D> {
    type File = CompioFile;

    fn run<T>(future: impl Future<Output = T>) -> io::Result<T> {
        let running = Running(ManuallyDrop::new(build(D::kind()?)?));
        Ok(running.0.block_on(future))
    }

    fn adopt(file: OwnedFd) -> io::Result<CompioFile> {
        Descriptor::own(file).map(CompioFile)
    }

    fn as_fd(file: &CompioFile) -> BorrowedFd<'_> {
        file.0.as_fd()
    }

    async fn open(path: CString, flags: OFlags, mode: Mode) -> io::Result<CompioFile> {
        let flags = flags | OFlags::CLOEXEC;
        let (result, action) = submit(Action::Open { path, flags, mode, opened: None }).await;
        match (result, action) {
            (Ok(_), Action::Open { opened: Some(file), .. }) => Self::adopt(file),
            (Ok(_), _) => Err(io::Error::other("the kernel reported an open without a file")),
            (Err(error), _) => Err(error),
        }
    }

    async fn read_at(file: &CompioFile, slot: Slot, offset: u64) -> (io::Result<usize>, Slot) {
        read(file, slot, Some(offset)).await
    }

    async fn write_at(file: &CompioFile, chunk: Chunk, offset: u64) -> (io::Result<usize>, Chunk) {
        write(file, chunk, Some(offset)).await
    }

    async fn read(file: &CompioFile, slot: Slot) -> (io::Result<usize>, Slot) {
        read(file, slot, None).await
    }

    async fn write(file: &CompioFile, chunk: Chunk) -> (io::Result<usize>, Chunk) {
        write(file, chunk, None).await
    }

    async fn sync(file: &CompioFile, data_only: bool) -> io::Result<()> {
        submit(Action::Sync { file: file.0.clone(), data_only }).await.0.map(drop)
    }

    async fn close(file: CompioFile) -> io::Result<()> {
        Self::blocking(move || Descriptor::close(file.0)).await
    }

    async fn sleep(duration: Duration) {
        compio::time::sleep(duration).await;
    }

    async fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> T {
        match compio::runtime::spawn_blocking(function).await {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(Box::new(panic.to_string())),
        }
    }
}

async fn read(file: &CompioFile, slot: Slot, offset: Option<u64>) -> (io::Result<usize>, Slot) {
    match submit(Action::Read { file: file.0.clone(), slot, offset }).await {
        (result, Action::Read { slot, .. }) => (result, slot),
        _ => unreachable!("a driver gives back the operation that it was given"),
    }
}

async fn write(file: &CompioFile, chunk: Chunk, offset: Option<u64>) -> (io::Result<usize>, Chunk) {
    match submit(Action::Write { file: file.0.clone(), chunk, offset }).await {
        (result, Action::Write { chunk, .. }) => (result, chunk),
        _ => unreachable!("a driver gives back the operation that it was given"),
    }
}

async fn submit(action: Action) -> (io::Result<usize>, Action) {
    let mut op = FileOp::new(action);
    loop {
        let BufResult(completed, mut submitted) = compio::runtime::submit(op).await;
        if let Poll::Ready(result) = submitted.settle(completed) {
            return (result, submitted.action);
        }
        op = submitted;
    }
}

fn build(kind: EngineKind) -> io::Result<Runtime> {
    let runtime = |driver: ProactorBuilder| RuntimeBuilder::new().with_proactor(driver).build();
    match kind {
        EngineKind::Threads => runtime(driver(DriverType::Poll, RING_ENTRIES)),
        // The thread that builds the ring is the only one that uses it, and it waits inside the ring:
        // completions may be left until it asks (single issuer, deferred task work). Kernels before
        // 6.1 know no such flags.
        EngineKind::Uring => {
            let mut fast = driver(DriverType::IoUring, RING_ENTRIES);
            fast.single_issuer(true).defer_taskrun(true);
            runtime(fast).or_else(|_| runtime(driver(DriverType::IoUring, RING_ENTRIES)))
        }
        EngineKind::Monoio => Err(not_compio()),
    }
}

/// What whoever asked for monoio is told by what is built on compio alone.
pub(super) fn not_compio() -> io::Error {
    let reason = "monoio is asked for, but this part runs on uring or threads only";
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

/// What every driver of ours has in common.
pub(super) fn driver(driver_type: DriverType, entries: u32) -> ProactorBuilder {
    let mut builder = ProactorBuilder::new();
    builder.driver_type(driver_type).capacity(entries).thread_pool_limit(MAX_BLOCKING_THREADS);
    builder
}

/// A runtime that ends when its driver owns no operation of ours any more, and is leaked if that does not come: in a
/// panic nobody waits for it.
struct Running(ManuallyDrop<Runtime>);

impl Drop for Running {
    fn drop(&mut self) {
        if !thread::panicking() {
            drain(&self.0);
        }
        if in_flight() == 0 {
            // SAFETY: this is the only place, and `drop` is called once.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        }
    }
}

/// Waits until the driver owns no operation of ours any more, but not for ever.
fn drain(runtime: &Runtime) {
    let deadline = Instant::now() + DRAIN;
    while in_flight() > 0 && Instant::now() < deadline {
        runtime.enter(|| {
            runtime.poll_with(Some(Duration::from_millis(20)));
            runtime.run();
        });
    }
}
