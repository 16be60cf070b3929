//! What any engine must do: one list, which the tests run for each.

use crate::{
    buffer::{Chunk, Pool, Slot, StableMemory},
    engine::{Descriptor, Engine, blocking, probe_uring},
};
use rustix::{
    fs::{CWD, Mode, OFlags, mkfifoat},
    pty::{OpenptFlags, openpt, ptsname, unlockpt},
};
use std::{
    alloc::{Layout, alloc_zeroed},
    ffi::CString,
    fs::{self, File},
    future::{Future, poll_fn},
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    pin::{Pin, pin},
    ptr::NonNull,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
        mpsc,
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

/// Lists the checks once, for `check` and for the macro that makes a test of each.
macro_rules! checks {
    ($dollar:tt $($check:ident),+ $(,)?) => {
        /// Does the check of this name on `E`. Where the system has no io_uring and `E` needs it, says so and does
        /// nothing.
        ///
        /// # Panics
        ///
        /// If `E` does not do what it must.
        pub fn check<E: Engine>(name: &str) {
            if let Some(why) = unavailable::<E>() {
                eprintln!("{name}: left out, {why}");
                return;
            }
            match name {
                $(stringify!($check) => $check::<E>(),)+
                _ => panic!("there is no check {name}"),
            }
        }

        /// A test for each check of `afx_core::testing::conformance`, on the engine that is given.
        #[macro_export]
        macro_rules! engine_conformance {
            ($dollar engine:ty) => {
                $(#[test] fn $check() {
                    $dollar crate::testing::conformance::check::<$dollar engine>(stringify!($check));
                })+
            };
        }
    };
}

checks! {$
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
    memory_of_a_dropped_read_is_kept_until_its_completion_and_that_takes_no_byte,
    nothing_is_written_to_memory_that_was_given_back_at_the_end_of_a_run,
    nothing_is_written_to_memory_that_was_given_back_by_a_panic,
    more_operations_than_a_ring_has_places_all_complete,
    a_wake_up_from_another_thread_is_never_lost,
    a_future_that_wakes_itself_does_not_keep_others_from_their_completions,
    a_panic_elsewhere_is_resumed_here,
    calls_that_wait_for_each_other_all_run,
    files_that_have_the_same_number_one_after_the_other_are_not_mixed_up,
    a_terminal_takes_all_bytes_and_a_write_that_it_has_no_room_for_can_be_dropped,
}

/// Why `E` cannot be had here, if that is for want of io_uring.
fn unavailable<E: Engine>() -> Option<String> {
    let error = E::run(async {}).err()?;
    let why = probe_uring().unusable.filter(|_| error.kind() == io::ErrorKind::Unsupported);
    Some(why.unwrap_or_else(|| panic!("the engine does not start: {error}")))
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

/// The outputs of all, which are under way at the same time.
async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

fn memory_of_a_dropped_read_is_kept_until_its_completion_and_that_takes_no_byte<E: Engine>() {
    let pool = Pool::new(4096, 1);
    let (mut reader, mut writer) = io::pipe().unwrap();
    run::<E, _>(async {
        let file = E::adopt(reader.try_clone().unwrap().into()).unwrap();
        let mut read = Box::pin(E::read(&file, pool.acquire()));
        assert!(is_pending(read.as_mut()).await);
        // The engine has waited since, so the kernel has it.
        E::blocking(|| ()).await;
        drop(read);
        assert_eq!(pool.outstanding(), 1, "given back while the kernel may still write to it");
    });
    assert_eq!(pool.outstanding(), 0);
    writer.write_all(b"x").unwrap();
    drop(writer);
    let mut left = String::new();
    reader.read_to_string(&mut left).unwrap();
    assert_eq!(left, "x", "the dropped read took it");
}

/// Reads that a device is busy with when a run ends: enough for some of them to wait for their turn.
const READS: usize = 32;

/// Bytes of each.
const READ_BYTES: usize = 1024 * 1024;

/// Memory that stays where it is when it is given back, and notes what is in it then.
#[derive(Clone)]
struct Watched {
    memory: &'static [AtomicU8],
    given_back: Arc<Mutex<Vec<GivenBack>>>,
}

/// Memory that was given back, and one byte of each of its blocks at that time.
struct GivenBack {
    memory: &'static [AtomicU8],
    was: Vec<u8>,
}

fn one_byte_of_each_block(memory: &[AtomicU8]) -> Vec<u8> {
    memory.iter().step_by(512).map(|byte| byte.load(Ordering::Relaxed)).collect()
}

impl Watched {
    #[allow(unsafe_code, reason = "aligned memory")]
    fn new(given_back: &Arc<Mutex<Vec<GivenBack>>>) -> Self {
        let layout = Layout::from_size_align(READ_BYTES, 4096).unwrap();
        // SAFETY: the layout is not empty. What comes is initialised, never freed, and seen as atomic bytes only.
        let memory = unsafe {
            let address = NonNull::new(alloc_zeroed(layout)).unwrap();
            std::slice::from_raw_parts(address.as_ptr().cast(), READ_BYTES)
        };
        Self { memory, given_back: given_back.clone() }
    }
}

// SAFETY: the memory never moves. While a slot has it, only that slot and the kernel write to it; afterwards nobody
// does, if the engine does what is checked.
#[allow(unsafe_code, reason = "memory that the kernel is given")]
unsafe impl StableMemory for Watched {
    fn address(&self) -> NonNull<u8> {
        NonNull::from_ref(self.memory).cast()
    }
    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let given_back = GivenBack { memory: self.memory, was: one_byte_of_each_block(self.memory) };
        self.given_back.lock().unwrap().push(given_back);
    }
}

fn nothing_is_written_to_memory_that_was_given_back_at_the_end_of_a_run<E: Engine>() {
    let given_back = after_a_run_with_reads_in_flight::<E>(|| ());
    assert!(given_back.is_none_or(|count| count == READS), "some memory was not given back: {given_back:?}");
}

fn nothing_is_written_to_memory_that_was_given_back_by_a_panic<E: Engine>() {
    // Quiet in the output of the tests.
    after_a_run_with_reads_in_flight::<E>(|| std::panic::resume_unwind(Box::new("on purpose")));
}

/// Has the device read into memory while a run ends with `last_words`, and says how many buffers were given back,
/// `None` where the file system always goes through the page cache.
fn after_a_run_with_reads_in_flight<E: Engine>(last_words: impl FnOnce()) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, vec![7; READS * READ_BYTES]).unwrap();
    File::open(&path).unwrap().sync_all().unwrap();
    let Ok(direct) = rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECT, Mode::empty()) else {
        eprintln!("left out: this file system has no O_DIRECT");
        return None;
    };
    let given_back = Arc::default();
    let offset_of = |number: usize| (number * READ_BYTES) as u64;
    let run = || {
        run::<E, _>(async {
            let file = E::adopt(direct.try_clone().unwrap()).unwrap();
            let slot = || Slot::from_memory(Box::new(Watched::new(&given_back)));
            let mut reads: Vec<_> =
                (0..READS).map(|number| Box::pin(E::read_at(&file, slot(), offset_of(number)))).collect();
            for read in &mut reads {
                assert!(is_pending(read.as_mut()).await);
            }
            // The engine has waited since, so the device has them.
            E::blocking(|| ()).await;
            last_words();
        });
    };
    let ended = catch_unwind(AssertUnwindSafe(run));
    // What the device still had to do is done before this is.
    let file = Descriptor::own(direct.try_clone().unwrap()).unwrap();
    for number in 0..READS {
        let (read, _) = blocking::read(&file, Slot::with_capacity(READ_BYTES), Some(offset_of(number)));
        assert_eq!(read.unwrap(), READ_BYTES);
    }
    let given_back: Vec<GivenBack> = std::mem::take(&mut *given_back.lock().unwrap());
    for GivenBack { memory, was } in &given_back {
        assert!(one_byte_of_each_block(memory) == *was, "written to after it was given back");
    }
    ended.is_ok().then_some(given_back.len())
}

fn more_operations_than_a_ring_has_places_all_complete<E: Engine>() {
    const NUMBERS: u32 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, (0..NUMBERS).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
    run::<E, _>(async {
        let file = open::<E>(&path, OFlags::RDONLY).await.unwrap();
        let read = |number| E::read_at(&file, Slot::with_capacity(4), u64::from(number) * 4);
        let slots = all((0..NUMBERS).map(read).collect()).await;
        for (number, (read, slot)) in (0..).zip(slots) {
            assert_eq!((read.unwrap(), slot.filled()), (4, &u32::to_le_bytes(number)[..]));
        }
    });
}

fn a_wake_up_from_another_thread_is_never_lost<E: Engine>() {
    const ROUNDS: usize = 2000;
    let (give, wakers) = mpsc::channel::<(std::task::Waker, Arc<AtomicBool>)>();
    let waking = thread::spawn(move || {
        for (waker, woken) in wakers {
            woken.store(true, Ordering::Release);
            waker.wake();
        }
    });
    run::<E, _>(async move {
        for _ in 0..ROUNDS {
            let woken = Arc::new(AtomicBool::new(false));
            let mut limit = pin!(E::sleep(Duration::from_secs(10)));
            poll_fn(|context| {
                if woken.load(Ordering::Acquire) {
                    return Poll::Ready(());
                }
                assert!(limit.as_mut().poll(context).is_pending(), "nobody woke the future");
                give.send((context.waker().clone(), woken.clone())).unwrap();
                Poll::Pending
            })
            .await;
        }
    });
    waking.join().unwrap();
}

fn a_future_that_wakes_itself_does_not_keep_others_from_their_completions<E: Engine>() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"here").unwrap();
    run::<E, _>(async {
        let file = E::adopt(reader.into()).unwrap();
        let mut read = pin!(E::read(&file, Slot::with_capacity(16)));
        let begun = Instant::now();
        poll_fn(|context| {
            if let Poll::Ready((read, slot)) = read.as_mut().poll(context) {
                assert_eq!((read.unwrap(), slot.filled()), (4, &b"here"[..]));
                return Poll::Ready(());
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "the read has not completed");
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    });
}

fn a_panic_elsewhere_is_resumed_here<E: Engine>() {
    // Quiet in the output of the tests.
    let there = || std::panic::resume_unwind(Box::new("there"));
    let panicked = catch_unwind(|| run::<E, ()>(E::blocking(there)));
    assert!(panicked.is_err());
}

fn calls_that_wait_for_each_other_all_run<E: Engine>() {
    const CALLS: usize = 16;
    let called = Arc::new(AtomicUsize::new(0));
    run::<E, _>(async {
        // A thread is free for one of them.
        E::blocking(|| ()).await;
        let calls = (0..CALLS).map(|_| {
            let called = called.clone();
            E::blocking(move || {
                let begun = Instant::now();
                called.fetch_add(1, Ordering::Relaxed);
                while called.load(Ordering::Relaxed) < CALLS && begun.elapsed() < Duration::from_secs(10) {
                    thread::yield_now();
                }
                called.load(Ordering::Relaxed)
            })
        });
        assert_eq!(all(calls.collect()).await, [CALLS; CALLS]);
    });
}

fn files_that_have_the_same_number_one_after_the_other_are_not_mixed_up<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        run::<E, _>(async {
            for number in 0..50_u8 {
                let path = folder.path().join(number.to_string());
                let file = open::<E>(&path, OFlags::RDWR | OFlags::CREATE).await.unwrap();
                E::write_at(&file, chunk(&[number]), 0).await.0.unwrap();
                E::sync(&file, true).await.unwrap();
                // Closed in one way or the other.
                if number % 2 == 0 {
                    E::close(file).await.unwrap();
                }
            }
        });
        for number in 0..50_u8 {
            assert_eq!(fs::read(folder.path().join(number.to_string())).unwrap(), [number]);
        }
    }
}

fn a_terminal_takes_all_bytes_and_a_write_that_it_has_no_room_for_can_be_dropped<E: Engine>() {
    const BYTES: usize = 100_000;
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let read = AtomicUsize::new(0);
    thread::scope(|scope| {
        let mut controller = File::from(controller);
        let taken = &read;
        let wanted = mpsc::channel::<()>();
        let reading = scope.spawn(move || {
            let mut bytes = [0; 4096];
            while taken.load(Ordering::Relaxed) < BYTES {
                let count = controller.read(&mut bytes).unwrap();
                assert!(bytes.iter().take(count).all(|byte| *byte == b'x'));
                taken.fetch_add(count, Ordering::Relaxed);
            }
            // Nobody reads from here on, but it stays open.
            wanted.1.recv().unwrap_err();
        });
        let dropped = run::<E, _>(async {
            let terminal = E::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).await.unwrap();
            let mut left = chunk(&vec![b'x'; BYTES]);
            while !left.is_empty() {
                let (written, chunk) = E::write(&terminal, left).await;
                left = chunk;
                left.advance(written.unwrap());
            }
            let mut endless = pin!(async {
                loop {
                    E::write(&terminal, chunk(&[b'x'; 4096])).await.0.unwrap();
                }
            });
            let mut enough = pin!(E::sleep(Duration::from_millis(100)));
            poll_fn(|context| match endless.as_mut().poll(context) {
                Poll::Ready(never) => never,
                Poll::Pending => enough.as_mut().poll(context),
            })
            .await;
            Instant::now()
        });
        assert!(
            dropped.elapsed() < Duration::from_secs(2),
            "the run waited for a write that nobody waits for"
        );
        drop(wanted.0);
        reading.join().unwrap();
    });
    assert!(read.load(Ordering::Relaxed) >= BYTES);
}
