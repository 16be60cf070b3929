//! From the start of a runtime to its end, which is not before the kernel is done with our memory.
#![allow(unsafe_code, reason = "a runtime that is leaked or dropped by hand")]

use super::{
    super::descriptor::{Descriptor, FileKind},
    bell,
    handles::{Handle, shelve},
};
use crate::limits::RING_ENTRIES;
use monoio::{IoUringDriver, Runtime, RuntimeBuilder, time::TimeDriver};
use rustix::event::{EventfdFlags, eventfd};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::poll_fn,
    io,
    mem::ManuallyDrop,
    os::fd::{AsRawFd, RawFd},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    thread,
    time::Duration,
};

/// How long the end of a run waits for operations that were cancelled but not completed. After that their memory and
/// the ring are leaked: freeing them would let the kernel write to memory that somebody else owns by then.
const DRAIN: Duration = Duration::from_secs(2);

thread_local! {
    static CURRENT: RefCell<Option<Rc<Run>>> = const { RefCell::new(None) };
}

/// What the operations of a run share.
#[derive(Default)]
pub(super) struct Run {
    handles: RefCell<HashMap<RawFd, Rc<Handle>>>,
    counter: Rc<Counter>,
}

impl Run {
    /// The run of this thread.
    pub(super) fn current() -> io::Result<Rc<Self>> {
        let current = CURRENT.with_borrow(Clone::clone);
        current.ok_or_else(|| io::Error::other("no monoio engine runs on this thread"))
    }

    pub(super) fn handle(&self, file: &Descriptor) -> Rc<Handle> {
        let number = file.as_raw_fd();
        self.handles.borrow_mut().entry(number).or_insert_with(|| Rc::new(Handle::of(number))).clone()
    }

    /// Counts an operation until the mark is dropped.
    pub(super) fn count(&self) -> InFlight {
        self.counter.count.set(self.counter.count.get() + 1);
        InFlight(self.counter.clone())
    }
}

/// Operations that the kernel may still have memory of.
#[derive(Default)]
struct Counter {
    count: Cell<usize>,
    /// Woken when there is none left.
    waiting: Cell<Option<Waker>>,
}

/// The mark of an operation that has not completed.
pub(super) struct InFlight(Rc<Counter>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let left = self.0.count.get() - 1;
        self.0.count.set(left);
        if left == 0
            && let Some(waker) = self.0.waiting.take()
        {
            waker.wake();
        }
    }
}

impl Counter {
    fn is_zero(&self) -> bool {
        self.count.get() == 0
    }

    /// Waits until it is zero, but not for ever.
    async fn drained(&self) {
        let mut limit = pin!(monoio::time::sleep(DRAIN));
        poll_fn(|context| {
            if self.is_zero() || limit.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            self.waiting.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Runs `future` to its end on a runtime of its own.
pub(super) fn run<T>(future: impl Future<Output = T>) -> io::Result<T> {
    if Run::current().is_ok() {
        return Err(io::Error::other("a monoio engine runs on this thread already"));
    }
    let event = Descriptor::own_as(eventfd(0, EventfdFlags::CLOEXEC)?, FileKind::Device);
    Ok(Running::start()?.complete(future, event))
}

/// A runtime, and what its operations share.
struct Running {
    runtime: ManuallyDrop<Runtime<TimeDriver<IoUringDriver>>>,
    run: Rc<Run>,
}

impl Running {
    fn start() -> io::Result<Self> {
        let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES);
        let runtime = ManuallyDrop::new(builder.enable_timer().build()?);
        let run = Rc::new(Run::default());
        CURRENT.set(Some(run.clone()));
        Ok(Self { runtime, run })
    }

    fn complete<T>(mut self, future: impl Future<Output = T>, event: Arc<Descriptor>) -> T {
        self.runtime.block_on(bell::listening(future, event))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.set(None);
        let counter = self.run.counter.clone();
        if !counter.is_zero() && !thread::panicking() {
            self.runtime.block_on(counter.drained());
        }
        if !counter.is_zero() {
            // Leaked: the runtime, which nothing drops, and what its operations refer to.
            std::mem::forget(self.run.clone());
            return;
        }
        // SAFETY: this is the only place, and `drop` is called once.
        unsafe { ManuallyDrop::drop(&mut self.runtime) }
        let handles = std::mem::take(&mut *self.run.handles.borrow_mut());
        // One that somebody still holds belongs to a future that has outlived its run: it is leaked.
        let unused = handles.into_values().filter_map(|handle| match Rc::try_unwrap(handle) {
            Ok(handle) => Some(handle),
            Err(used) => {
                std::mem::forget(used);
                None
            }
        });
        // SAFETY: operations that were in flight are gone with the runtime, and futures hold the handle itself, of
        // which this is the last reference.
        unsafe { shelve(unused) }
    }
}
