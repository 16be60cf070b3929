//! An engine whose n-th call fails, comes short or is interrupted.

use crate::{
    buffer::{Chunk, Slot},
    engine::{Descriptor, Engine},
};
use rustix::fs::{Mode, OFlags};
use std::{
    ffi::CString,
    future::Future,
    io,
    marker::PhantomData,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this errno and does nothing.
    Fail(i32),
    /// It fails with `EINTR` and does nothing.
    Interrupt,
    /// It moves one byte.
    Short,
    /// If it is a write, it stores another first byte than it was given, and says nothing.
    Alter,
}

/// Counts calls, and says which of them goes wrong.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Calls since the last [`Faults::arm`].
    calls: usize,
    /// The call that goes wrong, counted from one, and how.
    armed: Option<(usize, Fault)>,
    happened: bool,
}

/// A test's own type, which says where its faults are: tests run at the same time.
pub trait FaultSwitch: 'static {
    /// The faults of this test.
    fn faults() -> &'static Faults;
}

/// The engine `E`, with the faults of `S`.
#[derive(Debug)]
pub struct Faulty<E, S>(PhantomData<(E, S)>);

impl Faults {
    /// No call goes wrong.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { calls: 0, armed: None, happened: false }) }
    }

    /// From now on the `number`-th call goes wrong, counted from one.
    pub fn arm(&self, number: usize, fault: Fault) {
        *self.lock() = State { calls: 0, armed: Some((number, fault)), happened: false };
    }

    /// Whether the call that was to go wrong came.
    pub fn happened(&self) -> bool {
        self.lock().happened
    }

    fn next(&self) -> Option<Fault> {
        let mut state = self.lock();
        state.calls += 1;
        let due = state.armed.filter(|(number, _)| *number == state.calls);
        state.happened |= due.is_some();
        due.map(|(_, fault)| fault)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl Fault {
    /// The error of a call that does nothing.
    fn error(self) -> Option<io::Error> {
        match self {
            Self::Fail(errno) => Some(io::Error::from_raw_os_error(errno)),
            Self::Interrupt => Some(io::ErrorKind::Interrupted.into()),
            Self::Short | Self::Alter => None,
        }
    }

    /// What a write stores instead of `chunk`, where it fails with no error.
    fn stored(self, chunk: &Chunk) -> Chunk {
        match (self, chunk.bytes()) {
            (Self::Alter, [first, rest @ ..]) => Chunk::copy_of(&[&[first ^ 1], rest].concat()),
            _ => chunk.slice(0..chunk.len().min(1)),
        }
    }

    /// Whether a read goes wrong.
    fn of_a_read(self) -> Option<Self> {
        (self != Self::Alter).then_some(self)
    }
}

type Read = (io::Result<usize>, Slot);
type Write = (io::Result<usize>, Chunk);

async fn faulty_read<F: Future<Output = Read>>(
    fault: Option<Fault>,
    mut slot: Slot,
    read: impl FnOnce(Slot) -> F,
) -> Read {
    match fault.and_then(Fault::of_a_read).map(Fault::error) {
        None => read(slot).await,
        Some(Some(error)) => (Err(error), slot),
        Some(None) => {
            let limit = slot.capacity();
            slot.limit(limit.min(slot.len() + 1));
            let (result, mut slot) = read(slot).await;
            slot.limit(limit);
            (result, slot)
        }
    }
}

async fn faulty_write<F: Future<Output = Write>>(
    fault: Option<Fault>,
    chunk: Chunk,
    write: impl FnOnce(Chunk) -> F,
) -> Write {
    match fault.map(|fault| (fault, fault.error())) {
        None => write(chunk).await,
        Some((_, Some(error))) => (Err(error), chunk),
        Some((fault, None)) => (write(fault.stored(&chunk)).await.0, chunk),
    }
}

impl<E: Engine, S: FaultSwitch> Engine for Faulty<E, S> {
    type File = E::File;

    fn run<T>(future: impl Future<Output = T>) -> io::Result<T> {
        E::run(future)
    }

    fn adopt(file: OwnedFd) -> io::Result<E::File> {
        E::adopt(file)
    }

    fn as_fd(file: &E::File) -> BorrowedFd<'_> {
        E::as_fd(file)
    }

    async fn open(path: CString, flags: OFlags, mode: Mode) -> io::Result<E::File> {
        match S::faults().next().and_then(Fault::error) {
            Some(error) => Err(error),
            None => E::open(path, flags, mode).await,
        }
    }

    async fn read_at(file: &E::File, slot: Slot, offset: u64) -> Read {
        faulty_read(S::faults().next(), slot, |slot| E::read_at(file, slot, offset)).await
    }

    async fn write_at(file: &E::File, chunk: Chunk, offset: u64) -> Write {
        faulty_write(S::faults().next(), chunk, |chunk| E::write_at(file, chunk, offset)).await
    }

    async fn read(file: &E::File, slot: Slot) -> Read {
        faulty_read(S::faults().next(), slot, |slot| E::read(file, slot)).await
    }

    async fn write(file: &E::File, chunk: Chunk) -> Write {
        faulty_write(S::faults().next(), chunk, |chunk| E::write(file, chunk)).await
    }

    fn read_here(file: &Arc<Descriptor>, mut slot: Slot, offset: Option<u64>) -> Read {
        match S::faults().next().and_then(Fault::of_a_read).map(Fault::error) {
            None => E::read_here(file, slot, offset),
            Some(Some(error)) => (Err(error), slot),
            Some(None) => {
                let limit = slot.capacity();
                slot.limit(limit.min(slot.len() + 1));
                let (result, mut slot) = E::read_here(file, slot, offset);
                slot.limit(limit);
                (result, slot)
            }
        }
    }

    fn write_here(file: &Arc<Descriptor>, chunk: Chunk, offset: Option<u64>) -> Write {
        match S::faults().next().map(|fault| (fault, fault.error())) {
            None => E::write_here(file, chunk, offset),
            Some((_, Some(error))) => (Err(error), chunk),
            Some((fault, None)) => (E::write_here(file, fault.stored(&chunk), offset).0, chunk),
        }
    }

    async fn sync(file: &E::File, data_only: bool) -> io::Result<()> {
        match S::faults().next().and_then(Fault::error) {
            Some(error) => Err(error),
            None => E::sync(file, data_only).await,
        }
    }

    async fn close(file: E::File) -> io::Result<()> {
        let closed = E::close(file).await;
        S::faults().next().and_then(Fault::error).map_or(closed, Err)
    }

    async fn sleep(duration: Duration) {
        E::sleep(duration).await;
    }

    async fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> T {
        E::blocking(function).await
    }
}
