//! Wakers that any thread may use.
//!
//! monoio's own waker says nothing to a thread that sleeps in the ring, and is not to be used on another one. So the
//! future of a run gets ours: on its own thread it is monoio's, on others it writes to an eventfd that the ring reads.
//! monoio can do something like that (its feature `sync`), by way of the tasks whose counts it does not keep
//! right across threads in 0.2.4.
//!
//! Source: <https://github.com/bytedance/monoio/issues/292>, `eventfd(2)`.

use super::{super::descriptor::Descriptor, OWN_POSITION, read};
use crate::buffer::Slot;
use rustix::io::retry_on_intr;
use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    thread::{self, ThreadId},
};

/// Bytes of what an eventfd is read in.
const COUNT_BYTES: usize = 8;

struct Bell {
    thread: ThreadId,
    /// monoio's, for that thread.
    here: Waker,
    event: Arc<Descriptor>,
    /// Written to `event` since that was read.
    rung: AtomicBool,
    /// The future is being polled; only its own thread looks at this.
    polling: AtomicBool,
    /// It was woken meanwhile, by itself.
    again: AtomicBool,
}

impl Bell {
    fn new(event: Arc<Descriptor>, here: Waker) -> Self {
        let thread = thread::current().id();
        let [rung, polling, again] = [const { AtomicBool::new(false) }; 3];
        Self { thread, here, event, rung, polling, again }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if thread::current().id() != self.thread {
            if !self.rung.swap(true, Ordering::AcqRel) {
                // It fails only when the count is full, and then it is readable.
                let _ = retry_on_intr(|| rustix::io::write(&*self.event, &1_u64.to_ne_bytes()));
            }
        } else if self.polling.load(Ordering::Relaxed) {
            self.again.store(true, Ordering::Relaxed);
        } else {
            self.here.wake_by_ref();
        }
    }
}

/// `future`, woken from any thread by way of `event`, an eventfd.
pub(super) async fn listening<T>(future: impl Future<Output = T>, event: Arc<Descriptor>) -> T {
    let mut future = pin!(future);
    let mut heard = pin!(hear(&event));
    let mut bell = None;
    poll_fn(|context| {
        let bell: &Arc<Bell> =
            bell.get_or_insert_with(|| Arc::new(Bell::new(event.clone(), context.waker().clone())));
        while heard.as_mut().poll(context).is_ready() {
            // Before the future is polled: what rings from now on is another time.
            bell.rung.swap(false, Ordering::AcqRel);
            heard.set(hear(&event));
        }
        bell.polling.store(true, Ordering::Relaxed);
        let polled = future.as_mut().poll(&mut Context::from_waker(&Waker::from(bell.clone())));
        bell.polling.store(false, Ordering::Relaxed);
        if bell.again.swap(false, Ordering::Relaxed) && polled.is_pending() {
            // monoio polls its main future as long as that wakes itself, and looks at the ring only then. Around
            // a task it looks at it.
            let here = bell.here.clone();
            drop(monoio::spawn(async move { here.wake() }));
        }
        polled
    })
    .await
}

async fn hear(event: &Arc<Descriptor>) {
    let _ = read(event, Slot::with_capacity(COUNT_BYTES), OWN_POSITION).await;
}
