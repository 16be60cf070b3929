//! Whose turn it is: operations on one file run in the order in which they were asked for.
//!
//! Where a file has no position that its reads and its writes share (a socket, a terminal), a read may
//! wait for the answer to a write that is still to come: there the reads have an order, and everything
//! else has another.
//!
//! Who has the file has a [`Hold`]. It is given back once: when the hold is left or dropped, however
//! that comes about, or, while a kernel operation of it is in flight, when that has ended.

use super::{
    Core, File,
    state::{State, Unfinished},
};
use crate::{
    driver::{Operation, Waiter, attach, budget, generation},
    lock::Mutex,
};
use afx_core::buffer::Chunk;
use pyo3::{PyTraverseError, PyVisit, prelude::*, types::PyTuple};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// Who holds the file, and who waits for it.
#[derive(Default)]
pub(crate) struct Fifo {
    /// Who runs, if it is no positional read: one, or one for each side.
    holders: Vec<Arc<Place>>,
    /// Positional reads in flight, which do not disturb each other.
    shared: usize,
    waiting: VecDeque<Entry>,
    /// Reads and the rest do not wait for each other.
    has_two_sides: bool,
    /// The file is a blocking one: nothing can be finished at once any more.
    refuses_attempts: bool,
    /// Holders of another process, before a fork, hold nothing here.
    generation: u64,
}

/// What an operation needs of a file with two sides, as bits; of any other file, each needs the whole.
pub(super) type Sides = u8;

/// The side of operations that read.
pub(super) const READS: Sides = 1;

/// The side of all that do not read.
pub(super) const WRITES: Sides = 2;

const WHOLE: Sides = READS | WRITES;

/// A place in the queue, and whom to wake when its turn has come.
type Entry = (Arc<Place>, Py<Waiter>);

/// A turn that is waited for, runs, or is over. It changes with the file's state locked.
pub(crate) struct Place {
    shared: bool,
    sides: Sides,
    state: AtomicU8,
    generation: u64,
    in_flight: Mutex<Option<InFlight>>,
}

/// What keeps the file for its holder.
struct InFlight {
    /// None for a call in a thread, which nothing can cancel.
    operation: Option<Py<Operation>>,
    /// It waits for bytes that somebody else may never send.
    reads: bool,
}

const WAITING: u8 = 0;
const HOLDS: u8 = 1;
/// Left by its coroutine, and kept until the operation in flight has ended.
const LEAVING: u8 = 2;
const LEFT: u8 = 3;

/// What is to be done, the state being unlocked again, when a place was left.
#[derive(Default)]
pub(crate) struct Left {
    granted: VecDeque<Entry>,
    cancelled: Option<Py<Operation>>,
    // Only to be dropped: doing that can run any code.
    unfinished: Option<Unfinished>,
    outgoing: Option<Chunk>,
    withdrawn: Option<Entry>,
}

impl Place {
    /// A place for the whole file.
    pub(crate) fn new() -> Arc<Self> {
        Self::of(WHOLE, false)
    }

    fn of(sides: Sides, shared: bool) -> Arc<Self> {
        let state = AtomicU8::new(WAITING);
        Arc::new(Self { shared, sides, state, generation: generation(), in_flight: Mutex::new(None) })
    }

    fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::Acquire) == state
    }

    /// Whether its coroutine has left.
    fn is_over(&self) -> bool {
        self.is(LEFT) || self.is(LEAVING)
    }

    fn become_(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }
}

impl Fifo {
    /// Whether an operation that finishes at once may run now.
    pub(crate) fn is_free(&self) -> bool {
        !self.refuses_attempts && self.is_idle()
    }

    /// Every operation takes its turn from now on, and finds out then what became of the file.
    pub(crate) fn refuse_attempts(&mut self) {
        self.refuses_attempts = true;
    }

    /// Whether nobody runs or waits, whatever the file is.
    pub(crate) fn is_idle(&self) -> bool {
        (self.holders.is_empty() && self.shared == 0 && self.waiting.is_empty())
            || self.generation != generation()
    }

    /// Whether a positional read may run beside what runs now.
    fn admits_shared(&self) -> bool {
        (self.holders.is_empty() && self.waiting.is_empty()) || self.generation != generation()
    }

    /// Says whether reads and the rest have turns of their own from now on.
    pub(crate) fn set_two_sides(&mut self, has_two_sides: bool) {
        self.has_two_sides = has_two_sides;
    }

    fn renew(&mut self) {
        if self.generation != generation() {
            // Their loops are those of another process.
            std::mem::forget(std::mem::take(&mut self.waiting));
            let Self { refuses_attempts, has_two_sides, .. } = *self;
            *self = Self { generation: generation(), refuses_attempts, has_two_sides, ..Self::default() };
        }
    }

    /// Takes what the place needs of the file if nobody holds that or waits for it.
    pub(crate) fn try_enter(&mut self, place: &Arc<Place>) -> bool {
        self.renew();
        let free = if place.shared {
            self.admits_shared()
        } else {
            let wanted = self.waiting.iter().fold(self.held(), |sides, (next, _)| sides | next.sides);
            self.shared == 0 && place.sides & wanted == 0
        };
        if free {
            self.hold(place);
        }
        free
    }

    /// Counts a positional read in if it may run now.
    pub(crate) fn try_share(&mut self) -> bool {
        self.renew();
        let free = self.admits_shared();
        self.shared += usize::from(free);
        free
    }

    /// Counts a positional read in beside one that the caller has a place for.
    pub(crate) fn share(&mut self) {
        self.shared += 1;
    }

    /// Ends a positional read that was counted in.
    pub(crate) fn unshare(&mut self) -> Left {
        self.shared = self.shared.saturating_sub(1);
        Left { granted: self.grant(), ..Left::default() }
    }

    fn queue(&mut self, place: &Arc<Place>, waiter: Py<Waiter>) {
        self.waiting.push_back((place.clone(), waiter));
    }

    fn hold(&mut self, place: &Arc<Place>) {
        place.become_(HOLDS);
        if place.shared {
            self.shared += 1;
        } else {
            self.holders.push(place.clone());
        }
    }

    /// What those have who run.
    fn held(&self) -> Sides {
        self.holders.iter().fold(0, |sides, holder| sides | holder.sides)
    }

    fn holder_of(&self, side: Sides) -> Option<&Arc<Place>> {
        self.holders.iter().find(|holder| holder.sides & side != 0)
    }

    /// Gives each side to whoever is first in waiting for it.
    fn grant(&mut self) -> VecDeque<Entry> {
        let mut granted = VecDeque::new();
        let mut taken = self.held();
        let mut number = 0;
        while let Some((next, _)) = self.waiting.get(number)
            && taken != WHOLE
        {
            let next = next.clone();
            let free = next.sides & taken == 0;
            if free && (next.shared || self.shared == 0) {
                self.hold(&next);
                granted.extend(self.waiting.remove(number));
            } else {
                number += 1;
            }
            if !(free && next.shared) {
                // It has them now, or is the next to have them.
                taken |= next.sides;
            }
        }
        granted
    }

    /// Takes a waiting place out of the queue; the next ones may have waited for it only.
    fn withdraw(&mut self, place: &Arc<Place>) -> Left {
        place.become_(LEFT);
        let number = self.waiting.iter().position(|(waiting, _)| Arc::ptr_eq(waiting, place));
        let withdrawn = number.and_then(|number| self.waiting.remove(number));
        Left { withdrawn, granted: self.grant(), ..Left::default() }
    }
}

impl State {
    /// Gives the file back, unless an operation keeps it.
    fn leave(&mut self, py: Python<'_>, place: &Arc<Place>) -> Left {
        match place.state.load(Ordering::Acquire) {
            // A child that leaves what its parent holds would go back in a file that both have.
            _ if place.generation != generation() => Left::default(),
            WAITING => self.fifo.withdraw(place),
            HOLDS => {
                let kept_by = {
                    let in_flight = place.in_flight.lock();
                    let cancellable = |kept: &InFlight| kept.operation.as_ref().map(|op| op.clone_ref(py));
                    in_flight.as_ref().map(cancellable)
                };
                let Some(cancelled) = kept_by else { return self.release(place) };
                place.become_(LEAVING);
                Left { cancelled, ..Left::default() }
            }
            _ => Left::default(),
        }
    }

    fn release(&mut self, place: &Arc<Place>) -> Left {
        place.become_(LEFT);
        if place.shared {
            return self.fifo.unshare();
        }
        let mut left = Left::default();
        if place.sides & READS != 0 {
            let unfinished = std::mem::take(&mut self.unfinished);
            self.roll_back(&unfinished);
            left.unfinished = Some(unfinished);
        }
        if place.sides & WRITES != 0 {
            left.outgoing = self.outgoing.take();
        }
        self.fifo.holders.retain(|holder| !Arc::ptr_eq(holder, place));
        left.granted = self.fifo.grant();
        left
    }
}

impl Core {
    /// Leaves a place, waited for or held. Doing it again is harmless.
    pub(super) fn leave(&self, py: Python<'_>, place: &Arc<Place>) -> PyResult<()> {
        // Without the lock: it may be the garbage collector that runs here.
        if place.is_over() {
            return Ok(());
        }
        let left = self.lock(py).leave(py, place);
        self.hand_on(py, left)
    }

    /// An operation that kept the file has ended. `reached`: its coroutine goes on.
    fn ended(&self, py: Python<'_>, place: &Arc<Place>, reached: bool) -> PyResult<()> {
        let (ended, left) = {
            let mut state = self.lock(py);
            let ended = place.in_flight.lock().take();
            let over = place.is(LEAVING) || (place.is(HOLDS) && !reached);
            let over = over && place.generation == generation();
            (ended, if over { state.release(place) } else { Left::default() })
        };
        drop(ended);
        self.hand_on(py, left)
    }

    /// Wakes whose turn it is now. Those whose loop is closed will never come, and are passed over.
    pub(super) fn hand_on(&self, py: Python<'_>, left: Left) -> PyResult<()> {
        let Left { mut granted, cancelled, unfinished, outgoing, withdrawn } = left;
        drop((unfinished, outgoing, withdrawn));
        let mut raised = cancelled.map_or(Ok(()), |operation| Operation::cancel(operation.bind(py)));
        while let Some((place, waiter)) = granted.pop_front() {
            match Waiter::wake(&waiter, py) {
                Ok(true) => {}
                Ok(false) => granted.extend(self.lock(py).leave(py, &place).granted),
                Err(error) => raised = raised.and(Err(error)),
            }
        }
        raised
    }
}

impl File {
    /// Has `operation` keep this side of the file for its holder until it has ended, whatever becomes of
    /// the coroutine that awaits it. `reads`: it waits for bytes.
    pub(super) fn keep(
        &self,
        py: Python<'_>,
        operation: Py<Operation>,
        side: Sides,
        reads: bool,
    ) -> Py<Operation> {
        let holder = self.core.lock(py).fifo.holder_of(side).cloned();
        if let Some(place) = holder {
            *place.in_flight.lock() = Some(InFlight { operation: Some(operation.clone_ref(py)), reads });
            let core = self.core.clone();
            operation.get().at_end(Box::new(move |py, reached| core.ended(py, &place, reached)));
        }
        operation
    }

    /// The operation of the reader, if it waits for bytes.
    pub(super) fn read_in_flight(state: &State, py: Python<'_>) -> Option<Py<Operation>> {
        let holder = state.fifo.holder_of(READS)?;
        let in_flight = holder.in_flight.lock();
        let operation = in_flight.as_ref().filter(|kept| kept.reads)?.operation.as_ref()?;
        Some(operation.clone_ref(py))
    }
}

#[pymethods]
impl File {
    /// A turn of this file, to be taken with `async with`.
    ///
    /// `reads` says that its holder only reads, and `writes` that it does not read: where the file has a
    /// side for each, one does not wait for the other. `shared`: it only reads at offsets of its own.
    #[pyo3(signature = (*, reads = false, writes = false, shared = false))]
    fn _hold(&self, py: Python<'_>, reads: bool, writes: bool, shared: bool) -> PyResult<Hold> {
        let place = {
            let fifo = &mut self.core.lock(py).fifo;
            let sides = match (reads, writes) {
                (true, false) if fifo.has_two_sides => READS,
                (false, true) if fifo.has_two_sides => WRITES,
                _ => WHOLE,
            };
            let place = Place::of(sides, shared);
            if fifo.try_enter(&place) {
                return Ok(Hold::new(self.core.clone(), place, None));
            }
            place
        };
        // Who has the file may be an operation of a loop that is gone: then it ends here.
        attach(py)?;
        let waiter = Waiter::new(py, None)?;
        let mut state = self.core.lock(py);
        // It may have become free while the waiter was made.
        if !state.fifo.try_enter(&place) {
            state.fifo.queue(&place, waiter.clone_ref(py));
        }
        drop(state);
        Ok(Hold::new(self.core.clone(), place, Some(waiter)))
    }

    /// Has a call in a thread keep the file, or its side, for its holder until it has ended, whatever
    /// becomes of the coroutine that waits for it.
    fn _keep_for_call(&self, py: Python<'_>, reads: bool) -> Keeper {
        let side = if reads { READS } else { WRITES };
        let place = self.core.lock(py).fifo.holder_of(side).cloned();
        if let Some(place) = &place {
            *place.in_flight.lock() = Some(InFlight { operation: None, reads: false });
        }
        Keeper { core: self.core.clone(), place: Mutex::new(place) }
    }
}

/// What a call in a thread keeps a file with.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Keeper {
    core: Arc<Core>,
    /// None when the call has ended.
    place: Mutex<Option<Arc<Place>>>,
}

#[pymethods]
impl Keeper {
    /// The call has ended. Saying it again is harmless.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let place = self.place.lock().take();
        place.map_or(Ok(()), |place| self.core.ended(py, &place, true))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.place.lock().is_none() {
            return;
        }
        Python::attach(|py| {
            // The exception that unwinds the coroutine is not ours to lose.
            let unwinding = PyErr::take(py);
            if let Err(error) = self.end(py) {
                error.write_unraisable(py, None);
            }
            if let Some(unwinding) = unwinding {
                unwinding.restore(py);
            }
        });
    }
}

/// A turn of a file: asked for when it is made, waited for when entered, given back when left.
#[pyclass(frozen, module = "aiofile._native")]
pub(crate) struct Hold {
    core: Arc<Core>,
    place: Arc<Place>,
    waiter: Option<Py<Waiter>>,
    /// Whether the loop has to turn first, since the budget was spent.
    turn: AtomicU8,
}

const NOT_ASKED: u8 = 0;
const TURNS: u8 = 1;
const TURNED: u8 = 2;

impl Hold {
    fn new(core: Arc<Core>, place: Arc<Place>, waiter: Option<Py<Waiter>>) -> Self {
        Self { core, place, waiter, turn: AtomicU8::new(NOT_ASKED) }
    }

    /// Whether the coroutine has to let the loop turn before it goes on.
    fn must_turn(&self) -> bool {
        match self.turn.swap(TURNED, Ordering::Relaxed) {
            NOT_ASKED if budget::is_spent() => {
                self.turn.store(TURNS, Ordering::Relaxed);
                budget::begin_wait();
                true
            }
            TURNS => {
                budget::end_wait();
                false
            }
            _ => false,
        }
    }
}

#[pymethods]
impl Hold {
    fn __aenter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_error))]
    fn __aexit__<'py>(this: Bound<'py, Self>, _error: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, Self>> {
        let hold = this.get();
        hold.core.leave(this.py(), &hold.place)?;
        // Counts operations that attempt nothing, such as `tell`.
        budget::spend(this.py(), 0);
        Ok(this)
    }

    fn __await__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    /// Yields what the task has to wait for: the waiter, or None for a turn of the loop.
    fn __next__(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        if self.place.is_over() {
            return None;
        }
        if self.must_turn() {
            return Some(py.None());
        }
        let waiter = self.waiter.as_ref()?;
        waiter.get().arm();
        // Asked after arming: from then on a wake-up is not lost.
        self.place.is(WAITING).then(|| waiter.clone_ref(py).into_any())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.waiter)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if *self.turn.get_mut() == TURNS {
            budget::end_wait();
        }
        if self.place.is_over() {
            return;
        }
        Python::attach(|py| {
            // The exception that unwinds the coroutine is not ours to lose.
            let unwinding = PyErr::take(py);
            if let Err(error) = self.core.leave(py, &self.place) {
                error.write_unraisable(py, None);
            }
            if let Some(unwinding) = unwinding {
                unwinding.restore(py);
            }
        });
    }
}
