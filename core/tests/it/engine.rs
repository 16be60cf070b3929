//! What any engine must do, for each engine; and what goes wrong in an older compio.

use afx_core::engine::{Compio, Engine};
use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

/// compio on io_uring, whatever is selected.
mod ring {
    afx_core::engine_conformance!(afx_core::engine::CompioRing);
}

/// compio on its poller, whatever is selected.
mod threads {
    afx_core::engine_conformance!(afx_core::engine::CompioThreads);
}

#[cfg(all(target_os = "linux", feature = "engine-monoio"))]
mod monoio {
    use afx_core::{
        buffer::Slot,
        engine::{Engine, Monoio},
    };
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
        time::Duration,
    };

    afx_core::engine_conformance!(afx_core::engine::Monoio);

    #[test]
    fn a_run_inside_a_run_is_refused_and_the_outer_one_goes_on() {
        let inner = Monoio::run(async {
            let inner = Monoio::run(async {});
            Monoio::sleep(Duration::from_millis(1)).await;
            inner
        });
        let error = inner.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "a monoio engine runs on this thread already");
    }

    #[test]
    fn an_operation_outside_a_run_is_an_error_and_gives_its_buffer_back() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let file = Monoio::adopt(reader.into()).unwrap();
        let mut slot = Slot::with_capacity(8);
        slot.extend_from_slice(b"kept");
        let read = pin!(Monoio::read(&file, slot)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready((result, slot)) = read else { panic!("it waits for nobody") };
        assert_eq!(result.unwrap_err().to_string(), "no monoio engine runs on this thread");
        assert_eq!(slot.filled(), b"kept");
    }
}

/// More tasks than any queue between a waker and its driver holds.
const TASKS: usize = 1000;

/// In compio 0.19 the waking thread stalled once more than 64 tasks of a busy driver were woken. Here
/// the driver stays busy until the waker is done, so a stall of any length would be for ever.
#[test]
fn waking_a_thousand_tasks_of_a_busy_driver_does_not_wait_for_the_driver() {
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let all_woken = Arc::new(AtomicBool::new(false));
    let (start_waking, started) = mpsc::channel::<()>();
    let (woken, wait_for_waker) = mpsc::channel::<()>();
    let waking = thread::spawn({
        let (wakers, all_woken) = (wakers.clone(), all_woken.clone());
        move || {
            started.recv().unwrap();
            all_woken.store(true, Ordering::Release);
            let wakers = std::mem::take(&mut *wakers.lock().unwrap());
            wakers.into_iter().for_each(Waker::wake);
            woken.send(()).unwrap();
        }
    });
    Compio::run(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (wakers, all_woken) = (wakers.clone(), all_woken.clone());
                ::compio::runtime::spawn(poll_fn(move |context| {
                    if all_woken.load(Ordering::Acquire) {
                        return Poll::Ready(());
                    }
                    wakers.lock().unwrap().push(context.waker().clone());
                    Poll::Pending
                }))
            })
            .collect();
        while wakers.lock().unwrap().len() < TASKS {
            Compio::sleep(Duration::from_millis(1)).await;
        }
        start_waking.send(()).unwrap();
        // Busy: the driver polls nothing until the waker is through.
        wait_for_waker.recv_timeout(Duration::from_secs(20)).expect("the waking thread waits for the driver");
        for task in tasks {
            assert!(task.await.is_ok());
        }
    })
    .unwrap();
    waking.join().unwrap();
}
