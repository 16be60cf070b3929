//! Work on many things at the same time, whose results come in the order of the things.

use std::{
    collections::VecDeque,
    num::NonZero,
    sync::{
        Mutex, PoisonError, RwLock,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, Scope},
};

/// Results that may wait for one in front of them, for each thread: so many small files are hashed while a
/// large one is.
const AHEAD_PER_THREAD: usize = 64;

/// What is done with each item.
pub(crate) trait Job: Sync {
    type Item: Send;
    type Result: Send;

    /// Whether the item has to wait for all in front of it, and those behind it for the item: what it
    /// reads may be gone then, or come from the same place.
    fn is_apart(&self, item: &Self::Item) -> bool;

    /// Does the work, with the help of so many threads in all.
    fn work(&self, item: &Self::Item, threads: NonZero<usize>) -> Self::Result;

    /// Called when no more results are wanted: work that goes on should end.
    fn abandon(&self);
}

/// Does `job` with each of `items`, on `threads` threads at the most, and hands each item with its result
/// to `take`, in the order of the items.
///
/// # Errors
///
/// The first of `take`, after which no item is begun.
pub(crate) fn in_order<J: Job, E>(
    job: &J,
    threads: NonZero<usize>,
    items: impl Iterator<Item = J::Item>,
    mut take: impl FnMut(J::Item, J::Result) -> Result<(), E>,
) -> Result<(), E> {
    let count = items.size_hint().1.unwrap_or(usize::MAX);
    let mut items = items.peekable();
    let Some(first) = items.next() else { return Ok(()) };
    if items.peek().is_none() || threads.get() == 1 {
        for item in [first].into_iter().chain(items) {
            let result = job.work(&item, threads);
            take(item, result)?;
        }
        return Ok(());
    }
    // Where there are fewer items than threads, each gets some.
    let threads_each =
        NonZero::new(threads.get() / count.min(threads.get())).unwrap_or(NonZero::<usize>::MIN);
    let (give, jobs) = channel();
    let workshop = Workshop { job, threads_each, jobs: Mutex::new(jobs), apart: RwLock::new(()) };
    thread::scope(|scope| {
        // When it is dropped, the threads know that nothing more comes.
        let mut line = Line { give, waiting: VecDeque::new(), workers: 0, threads: threads.get() };
        let ended = line.run(scope, &workshop, [first].into_iter().chain(items), &mut take);
        if ended.is_err() {
            job.abandon();
        }
        ended
    })
}

/// An item, and where its result is awaited.
type Order<J> = (<J as Job>::Item, SyncSender<Done<J>>);

/// An item with its result.
type Done<J> = (<J as Job>::Item, <J as Job>::Result);

/// What the threads share.
struct Workshop<'a, J: Job> {
    job: &'a J,
    threads_each: NonZero<usize>,
    jobs: Mutex<Receiver<Order<J>>>,
    /// Written by whoever works apart, read by all others.
    apart: RwLock<()>,
}

impl<J: Job> Workshop<'_, J> {
    fn work(&self) {
        while self.work_on_next().is_some() {}
    }

    fn work_on_next(&self) -> Option<()> {
        // Held until it is known that the item may be begun: the next must not overtake it.
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let (item, give) = jobs.recv().ok()?;
        let result = if self.job.is_apart(&item) {
            let _alone = self.apart.write().unwrap_or_else(PoisonError::into_inner);
            drop(jobs);
            self.job.work(&item, self.threads_each)
        } else {
            let _together = self.apart.read().unwrap_or_else(PoisonError::into_inner);
            drop(jobs);
            self.job.work(&item, self.threads_each)
        };
        // Nobody takes it when another result could not be printed.
        let _ = give.send((item, result));
        Some(())
    }
}

/// The items that are worked on, in order.
struct Line<J: Job> {
    give: Sender<Order<J>>,
    waiting: VecDeque<Receiver<Done<J>>>,
    workers: usize,
    threads: usize,
}

impl<J: Job> Line<J> {
    fn run<'scope, E>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        workshop: &'scope Workshop<'_, J>,
        items: impl Iterator<Item = J::Item>,
        take: &mut impl FnMut(J::Item, J::Result) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut items = items.fuse();
        loop {
            let has_room = self.waiting.len() < self.threads * AHEAD_PER_THREAD;
            if let Some(item) = has_room.then(|| items.next()).flatten() {
                self.order(item);
                self.have_it_done(scope, workshop);
                // The next item may be long in coming, so what is done by now goes out first.
                while let Some((item, result)) = self.first_if_done() {
                    take(item, result)?;
                }
                continue;
            }
            let Some(first) = self.waiting.pop_front() else { return Ok(()) };
            // Otherwise its thread has panicked, which the scope passes on.
            let Ok((item, result)) = first.recv() else { return Ok(()) };
            take(item, result)?;
        }
    }

    fn order(&mut self, item: J::Item) {
        let (give, result) = sync_channel(1);
        // The other end is in the workshop, which is still there.
        let _ = self.give.send((item, give));
        self.waiting.push_back(result);
    }

    /// Sees to it that there is a thread for what was ordered.
    fn have_it_done<'scope>(&mut self, scope: &'scope Scope<'scope, '_>, workshop: &'scope Workshop<'_, J>) {
        if self.workers < self.threads {
            let worker = thread::Builder::new().name("afx-work".to_owned());
            if worker.spawn_scoped(scope, || workshop.work()).is_ok() {
                self.workers += 1;
            }
        }
        if self.workers == 0 {
            // There are no threads to be had.
            workshop.work_on_next();
        }
    }

    fn first_if_done(&mut self) -> Option<Done<J>> {
        let done = self.waiting.front()?.try_recv().ok()?;
        self.waiting.pop_front();
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Condvar,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    };

    /// What items do is a function.
    struct Doing<W: Fn(usize, usize) -> usize + Sync> {
        apart: Option<usize>,
        work: W,
        abandoned: AtomicBool,
    }

    impl<W: Fn(usize, usize) -> usize + Sync> Doing<W> {
        fn new(work: W) -> Self {
            Self { apart: None, work, abandoned: AtomicBool::new(false) }
        }
    }

    impl<W: Fn(usize, usize) -> usize + Sync> Job for Doing<W> {
        type Item = usize;
        type Result = usize;

        fn is_apart(&self, item: &usize) -> bool {
            self.apart == Some(*item)
        }

        fn work(&self, item: &usize, threads: NonZero<usize>) -> usize {
            (self.work)(*item, threads.get())
        }

        fn abandon(&self) {
            self.abandoned.store(true, SeqCst);
        }
    }

    const THREE: NonZero<usize> = NonZero::new(3).unwrap();

    fn all<W: Fn(usize, usize) -> usize + Sync>(
        job: &Doing<W>,
        threads: usize,
        count: usize,
    ) -> Vec<(usize, usize)> {
        let mut taken = Vec::new();
        let threads = NonZero::new(threads).unwrap();
        in_order(job, threads, 0..count, |item, result| {
            taken.push((item, result));
            Ok::<_, ()>(())
        })
        .unwrap();
        taken
    }

    /// A count that can be waited for.
    #[derive(Default)]
    struct Count(Mutex<usize>, Condvar);

    impl Count {
        fn add(&self) {
            *self.0.lock().unwrap() += 1;
            self.1.notify_all();
        }

        fn wait_for(&self, count: usize) {
            drop(self.1.wait_while(self.0.lock().unwrap(), |now| *now < count).unwrap());
        }
    }

    #[test]
    fn results_come_in_order_though_the_first_is_done_last() {
        let others = Count::default();
        let job = Doing::new(|item, _| {
            match item {
                0 => others.wait_for(99),
                _ => others.add(),
            }
            item * 2
        });
        assert_eq!(all(&job, 2, 100), (0..100).map(|item| (item, item * 2)).collect::<Vec<_>>());
        assert!(!job.abandoned.load(SeqCst));
    }

    #[test]
    fn threads_are_shared_out_where_there_are_fewer_items() {
        let threads = Doing::new(|_, threads| threads);
        assert_eq!(all(&threads, 8, 0), []);
        assert_eq!(all(&threads, 8, 1), [(0, 8)]);
        assert_eq!(all(&threads, 8, 2), [(0, 4), (1, 4)]);
        assert_eq!(all(&threads, 8, 5).iter().map(|done| done.1).collect::<Vec<_>>(), [1; 5]);
        assert_eq!(all(&threads, 1, 3), [(0, 1), (1, 1), (2, 1)]);
    }

    #[test]
    fn an_item_apart_begins_when_all_before_it_are_done_and_ends_before_any_other_begins() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let begun = Count::default();
        let mut job = Doing::new(|item, _| {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            begun.add();
            // The first two are at work together, whatever the machine.
            match item {
                0 | 1 => begun.wait_for(2),
                2 => assert_eq!((now.load(SeqCst), *begun.0.lock().unwrap()), (1, 3)),
                _ => {}
            }
            now.fetch_sub(1, SeqCst);
            item
        });
        job.apart = Some(2);
        assert_eq!(all(&job, 3, 50).len(), 50);
        assert!(most.load(SeqCst) >= 2);
    }

    #[test]
    fn no_more_results_wait_than_the_limit() {
        const LIMIT: usize = 2 * AHEAD_PER_THREAD;
        let (begun, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ready = Count::default();
        let job = Doing::new(|item, _| {
            match item {
                0 => ready.wait_for(LIMIT - 1),
                _ => ready.add(),
            }
            item
        });
        let items = (0..1000).inspect(|_| {
            let ahead = begun.fetch_add(1, SeqCst) + 1 - taken.load(SeqCst);
            // One more was taken to see whether there are several.
            assert!(ahead <= LIMIT + 1, "{ahead}");
        });
        let threads = NonZero::new(2).unwrap();
        let ended: Result<(), ()> = in_order(&job, threads, items, |_, _| {
            taken.fetch_add(1, SeqCst);
            Ok(())
        });
        assert!(ended.is_ok());
        assert_eq!(taken.load(SeqCst), 1000);
    }

    #[test]
    fn after_a_result_that_cannot_be_taken_the_work_is_abandoned() {
        let job = Doing::new(|item, _| item);
        let mut taken = 0;
        let ended = in_order(&job, THREE, 0.., |item, _| {
            taken += 1;
            if item == 10 { Err("full") } else { Ok(()) }
        });
        assert_eq!((ended, taken), (Err("full"), 11));
        assert!(job.abandoned.load(SeqCst));
    }
}
