//! What any engine must do. One list, run for each; the kind of I/O beneath is the process's own
//! (`AFX_ENGINE`).

use afx_core::{
    buffer::{Chunk, Pool, Slot},
    engine::{Compio, Engine},
};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use std::{
    ffi::CString,
    fs::{self, File},
    future::{Future, poll_fn},
    io::{self, Write},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::Path,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// Every check under its own name, for one engine.
macro_rules! conformance {
    ($engine:ty: $($check:ident),+ $(,)?) => {
        $(#[test] fn $check() { super::$check::<$engine>(); })+
    };
}

mod compio {
    conformance!(afx_core::engine::Compio:
        bytes_written_at_an_offset_are_read_back_at_it,
        a_read_appends_to_the_slot_and_is_short_at_the_end_of_the_file,
        a_pipe_is_read_and_written_without_offsets,
        an_append_file_is_written_at_its_end_whoever_else_writes,
        an_own_position_moves_with_each_read,
        a_failed_open_carries_the_errno,
        an_open_creates_with_the_mode_and_close_on_exec,
        a_fifo_is_opened_when_the_other_end_is,
        sync_takes_data_and_all_and_fails_on_a_pipe,
        a_file_is_closed_when_close_returns,
        blocking_runs_elsewhere_and_gives_the_value_back,
        sleep_waits_at_least_as_long_while_others_run,
        a_dropped_read_of_a_pipe_leaks_neither_file_nor_memory_and_lets_run_return,
        buffers_come_back_beside_an_error,
    );
}

fn run<E: Engine, T>(future: impl Future<Output = T>) -> T {
    E::run(future).unwrap()
}

async fn open<E: Engine>(path: &Path, flags: OFlags) -> io::Result<E::File> {
    E::open(CString::new(path.as_os_str().as_bytes()).unwrap(), flags, Mode::RUSR | Mode::WUSR).await
}

/// Starts an operation, or looks at it again.
async fn is_pending(mut operation: Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(operation.as_mut().poll(context).is_pending())).await
}

fn chunk(bytes: &[u8]) -> Chunk {
    Chunk::copy_of(bytes)
}

fn bytes_written_at_an_offset_are_read_back_at_it<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    run::<E, _>(async {
        let file = open::<E>(&folder.path().join("file"), OFlags::RDWR | OFlags::CREATE).await.unwrap();
        let (written, back) = E::write_at(&file, chunk(b"hello"), 70_000).await;
        assert_eq!((written.unwrap(), back.bytes()), (5, &b"hello"[..]));
        let (read, slot) = E::read_at(&file, Slot::with_capacity(16), 70_001).await;
        assert_eq!((read.unwrap(), slot.filled()), (4, &b"ello"[..]));
        let (read, slot) = E::read_at(&file, Slot::with_capacity(4), 0).await;
        assert_eq!((read.unwrap(), slot.filled()), (4, &[0; 4][..]));
    });
}

fn a_read_appends_to_the_slot_and_is_short_at_the_end_of_the_file<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "0123456789").unwrap();
    run::<E, _>(async {
        let file = open::<E>(&path, OFlags::RDONLY).await.unwrap();
        let mut slot = Slot::with_capacity(32);
        slot.extend_from_slice(b"> ");
        let (read, slot) = E::read_at(&file, slot, 7).await;
        assert_eq!((read.unwrap(), slot.filled()), (3, &b"> 789"[..]));
        let (read, slot) = E::read_at(&file, slot, 10).await;
        assert_eq!((read.unwrap(), slot.len()), (0, 5), "the end of the file");
        // Somebody appends: it was not the end for ever.
        File::options().append(true).open(&path).unwrap().write_all(b"ab").unwrap();
        let (read, slot) = E::read_at(&file, slot, 10).await;
        assert_eq!((read.unwrap(), slot.filled()), (2, &b"> 789ab"[..]));
        let mut full = Slot::with_capacity(4);
        full.extend_from_slice(b"full");
        let (read, full) = E::read_at(&file, full, 0).await;
        assert_eq!((read.unwrap(), full.filled()), (0, &b"full"[..]));
    });
}

fn a_pipe_is_read_and_written_without_offsets<E: Engine>() {
    let (reader, writer) = io::pipe().unwrap();
    run::<E, _>(async {
        let (reader, writer) = (E::adopt(reader.into()).unwrap(), E::adopt(writer.into()).unwrap());
        // The read is asked for before there is anything to read.
        let mut read = pin!(E::read(&reader, Slot::with_capacity(64)));
        assert!(is_pending(read.as_mut()).await);
        assert_eq!(E::write(&writer, chunk(b"first")).await.0.unwrap(), 5);
        let (count, slot) = read.await;
        assert_eq!((count.unwrap(), slot.filled()), (5, &b"first"[..]));
        drop(writer);
        assert_eq!(E::read(&reader, slot).await.0.unwrap(), 0, "the writer is gone");
    });
}

fn an_append_file_is_written_at_its_end_whoever_else_writes<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "a").unwrap();
    run::<E, _>(async {
        let file = open::<E>(&path, OFlags::WRONLY | OFlags::APPEND).await.unwrap();
        E::write(&file, chunk(b"b")).await.0.unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"c").unwrap();
        E::write(&file, chunk(b"d")).await.0.unwrap();
    });
    assert_eq!(fs::read(&path).unwrap(), b"abcd");
}

fn an_own_position_moves_with_each_read<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "abcdef").unwrap();
    run::<E, _>(async {
        let file = open::<E>(&path, OFlags::RDONLY).await.unwrap();
        for expected in [&b"abcd"[..], b"ef", b""] {
            let (read, slot) = E::read(&file, Slot::with_capacity(4)).await;
            assert_eq!((read.unwrap(), slot.filled()), (expected.len(), expected));
        }
    });
}

fn a_failed_open_carries_the_errno<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    run::<E, _>(async {
        for (path, flags, errno) in [
            (folder.path().join("missing"), OFlags::RDONLY, libc::ENOENT),
            (folder.path().to_path_buf(), OFlags::WRONLY, libc::EISDIR),
            (folder.path().join("x".repeat(256)), OFlags::RDONLY, libc::ENAMETOOLONG),
        ] {
            let error = open::<E>(&path, flags).await.err().unwrap();
            assert_eq!(error.raw_os_error(), Some(errno), "{}", path.display());
        }
    });
}

fn an_open_creates_with_the_mode_and_close_on_exec<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    run::<E, _>(async {
        let file = open::<E>(&path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).await.unwrap();
        let flags = rustix::io::fcntl_getfd(E::as_fd(&file)).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    });
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

fn a_fifo_is_opened_when_the_other_end_is<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    thread::scope(|scope| {
        let path = &path;
        scope.spawn(move || fs::write(path, "through").unwrap());
        run::<E, _>(async {
            let file = open::<E>(path, OFlags::RDONLY).await.unwrap();
            let (read, slot) = E::read(&file, Slot::with_capacity(64)).await;
            assert_eq!((read.unwrap(), slot.filled()), (7, &b"through"[..]), "not a false end of file");
        });
    });
}

fn sync_takes_data_and_all_and_fails_on_a_pipe<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, _writer) = io::pipe().unwrap();
    run::<E, _>(async {
        let file = open::<E>(&folder.path().join("file"), OFlags::WRONLY | OFlags::CREATE).await.unwrap();
        E::write_at(&file, chunk(b"x"), 0).await.0.unwrap();
        E::sync(&file, true).await.unwrap();
        E::sync(&file, false).await.unwrap();
        let pipe = E::adopt(reader.into()).unwrap();
        assert_eq!(E::sync(&pipe, false).await.unwrap_err().raw_os_error(), Some(libc::EINVAL));
    });
}

fn a_file_is_closed_when_close_returns<E: Engine>() {
    run::<E, _>(async {
        let (reader, writer) = std::io::pipe().unwrap();
        let file = E::adopt(writer.into()).unwrap();
        E::close(file).await.unwrap();
        // The last writer is gone, so the pipe has an end.
        assert_eq!(std::io::Read::read(&mut &reader, &mut [0]).unwrap(), 0);
    });
}

fn blocking_runs_elsewhere_and_gives_the_value_back<E: Engine>() {
    let here = thread::current().id();
    let there = run::<E, _>(E::blocking(|| thread::current().id()));
    assert_ne!(here, there);
}

fn sleep_waits_at_least_as_long_while_others_run<E: Engine>() {
    let duration = Duration::from_millis(20);
    let start = Instant::now();
    run::<E, _>(async {
        let mut sleep = pin!(E::sleep(duration));
        assert!(is_pending(sleep.as_mut()).await);
        assert_eq!(E::blocking(|| 1).await, 1);
        sleep.await;
    });
    assert!(start.elapsed() >= duration);
}

fn a_dropped_read_of_a_pipe_leaks_neither_file_nor_memory_and_lets_run_return<E: Engine>() {
    let pool = Pool::new(4096, 1);
    let (reader, writer) = io::pipe().unwrap();
    let number = reader.as_raw_fd();
    run::<E, _>(async {
        let file = E::adopt(reader.into()).unwrap();
        let mut read = Box::pin(E::read(&file, pool.acquire()));
        assert!(is_pending(read.as_mut()).await);
        drop(read);
        drop(file);
    });
    assert_eq!(pool.outstanding(), 0);
    // The number may have been given to a file of another test by now, but not to this pipe.
    let of = |fd: i32| fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    assert_ne!(of(number), of(writer.as_raw_fd()), "the pipe's reader is still open");
}

fn buffers_come_back_beside_an_error<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "x").unwrap();
    run::<E, _>(async {
        let reader = open::<E>(&path, OFlags::RDONLY).await.unwrap();
        let (written, back) = E::write_at(&reader, chunk(b"kept"), 0).await;
        assert_eq!((written.unwrap_err().raw_os_error(), back.bytes()), (Some(libc::EBADF), &b"kept"[..]));
        let writer = open::<E>(&path, OFlags::WRONLY).await.unwrap();
        let mut slot = Slot::with_capacity(8);
        slot.extend_from_slice(b"kept");
        let (read, slot) = E::read_at(&writer, slot, 0).await;
        assert_eq!((read.unwrap_err().raw_os_error(), slot.filled()), (Some(libc::EBADF), &b"kept"[..]));
    });
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
