//! Every default and maximum of this crate, with its unit and the reason for it.

use std::time::Duration;

/// Bytes of one buffer of a copy or a hash.
///
/// 256 KiB is best or near best on every machine that coreutils measured, and keeps a chunk in the
/// second-level cache while it is hashed.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Buffers in flight between the stages of a copy: one being read, one hashed, one written, one spare.
pub const PIPELINE_SLOTS: usize = 4;

/// Threads that hash one file at most, each with a buffer of [`CHUNK_BYTES`]: 8 MiB together.
pub const HASH_THREADS: usize = 32;

/// Alignment of every buffer: the page size, which `O_DIRECT` accepts on every device we know.
pub const BLOCK_ALIGN: usize = 4096;

/// Longest line, in bytes, before it is cut and reported as overlong.
///
/// A file without any newline must not be read into memory whole by a line reader.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Submission entries of a ring. A thousand operations at once need 4 turns, and 64 KiB of memory.
pub const RING_ENTRIES: u32 = 256;

/// Threads that may wait in blocking calls on behalf of one driver.
///
/// Enough to keep a device busy without a ring, few enough that a stalled network file system does
/// not grow the process without bound.
pub const MAX_BLOCKING_THREADS: usize = 32;

/// Shortest pause between two looks for the other end of a FIFO that is being opened.
pub const FIFO_PAUSE_MIN: Duration = Duration::from_millis(1);

/// Longest pause between two looks for the other end of a FIFO: short enough for a program that waits
/// for another, long enough that a hundred waiting FIFOs cost a few per cent of a CPU.
pub const FIFO_PAUSE_MAX: Duration = Duration::from_millis(50);

/// Bytes that a read on the event loop's thread may copy out of the page cache before it must be
/// handed to another thread: 10 to 20 µs on the slowest machine measured.
pub const INLINE_READ_BYTES: usize = 128 * 1024;

/// Operations that are finished on the loop's thread between two turns of the loop. At 0.1 to 1 µs each they
/// stay well below [`INLINE_TIME`]; 300,000 lines without a turn held a loop for 115 ms.
pub const INLINE_OPERATIONS: u32 = 512;

/// Bytes that are copied on the loop's thread between two turns of the loop: about 30 µs of copying.
pub const INLINE_BYTES: usize = 256 * 1024;

/// Time between two turns of the loop, the program's own work between our operations included. 64 tasks that
/// open small files have 4 µs each then, a file at a time; a turn (some 2 µs) is a hundredth part of it.
pub const INLINE_TIME: Duration = Duration::from_micros(250);

/// First read after opening or seeking, in bytes: two pages, so that random access does not read much more
/// than it is asked for.
pub const FIRST_FILL_BYTES: usize = 8 * 1024;

/// Largest read-ahead on the loop's thread, in bytes: about 10 µs of copying, and what fits in the nearer
/// caches while it is cut into lines.
pub const LAST_FILL_BYTES: usize = 64 * 1024;

/// From here on a read is shared out to two threads, in bytes: below it, starting a thread costs more than
/// it saves.
pub const SPLIT_BYTES: usize = 32 * 1024 * 1024;

/// Bytes that one operation of a larger transfer moves, in 1 to 4 ms. A larger one is no faster, and would hold a
/// cancellation up until its last byte.
pub const TRANSFER_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of one plain read of a large one. Where the kernel gives a CPU away only between two calls, a loop
/// whose thread wakes up waits for the end of one: two threads that read 8 MiB at a time on two CPUs held
/// it for 5 to 10 ms, with 128 KiB for 2.
pub const READ_CALL_BYTES: usize = 128 * 1024;

/// Bytes of one system call of a large write whose bytes are a program's own: there is room for others after
/// each, and so much at most is reserved in vain.
pub const WRITE_STEP_BYTES: usize = 1024 * 1024;

/// From here on a write that is waited for is written by a thread that looks out for the next one, in bytes:
/// half of the time of such a write, one after the other, is waking up.
pub const WRITE_JOB_MIN_BYTES: usize = 256 * 1024;

/// Bytes of a large write that one thread takes on: others wait for it no longer than for those.
pub const WRITE_JOB_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Where less may be on its way behind the program, in bytes, an object that is longer than that is waited
/// for: its pieces would be too small to be worth it.
pub const BEHIND_SPLIT_BYTES: usize = 64 * 1024;

/// How long a thread that has written what was buffered looks out for more before it sleeps. Several times
/// what a program takes to fill half a buffer with lines; as long as a thread takes to wake up.
pub const LOOK_OUT: Duration = Duration::from_micros(50);

/// The same where a task waited: its loop has to wake up first, which takes as long as that.
pub const LOOK_OUT_FOR_TASK: Duration = Duration::from_micros(150);

/// Longest pause after which a thread looks out for what comes next. For a program that pauses longer a CPU
/// would be kept busy for nothing; at this distance it is a third of one at the most.
pub const LOOK_OUT_PAUSE: Duration = Duration::from_micros(500);

/// How long the loop's thread waits for room in a buffer before its task is suspended, which costs a turn of
/// the loop: 30 to 100 µs. To write half a buffer takes 2 to 5.
pub const ROOM_PATIENCE: Duration = Duration::from_micros(12);

/// Bytes of buffers in flight for one event loop: what is read ahead, and what reads fill that wait for a
/// device. Some hundreds of reads of 16 KiB keep any device busy; with the operations around them a loop stays
/// below 8 MiB.
pub const IN_FLIGHT_BYTES: usize = 7 * 1024 * 1024;

/// Bytes of one call past the page cache through a buffer of ours: as much as most devices take at once.
pub const STAGED_BYTES: usize = 1024 * 1024;

/// How often a write that must not go past the page cache is tried while somebody else who has the same open
/// file has it go there. Each try hits a moment of some microseconds between two calls of ours.
pub const SHARED_FLAG_TRIES: u32 = 100;

/// Bytes of unused buffers that a process keeps for the next file that is read or written.
pub const IDLE_BUFFER_BYTES: usize = 6 * 1024 * 1024;

/// First guess for a file that does not tell its size, as in `/proc`, where most are smaller.
pub const UNKNOWN_SIZE_BYTES: usize = 64 * 1024;

/// The most that is read at once of a file that does not tell its size, however much was asked for: whoever
/// wants more asks again.
pub const MOST_OF_UNKNOWN_BYTES: usize = 64 * 1024 * 1024;

/// Memory that a line splitter keeps for the next long line, in bytes; what one line took above it is
/// given back.
pub const KEPT_LINE_BYTES: usize = 64 * 1024;

/// Generations of a followed file that are held open before their content is put out. A log rotated
/// this often while nobody reads is lost in part, and counted, so that descriptors are not used up.
pub const TAIL_GENERATIONS: usize = 64;

/// Generations that stay open behind the current one, for writers that have not noticed a rotation.
pub const TAIL_LATE_GENERATIONS: usize = 16;

/// How long a rotated file stays open after its last byte: programs told to reopen their log finish
/// what they are doing first.
pub const TAIL_LINGER: Duration = Duration::from_secs(10);

/// How long another generation's bytes wait for the end of a line that was put out in part.
pub const TAIL_LINE_WAIT: Duration = Duration::from_secs(1);

/// How often a followed file is looked at where the kernel does not tell of every change, as on
/// network file systems; GNU tail's interval.
pub const TAIL_POLL: Duration = Duration::from_secs(1);

/// Bytes held of a stream whose last lines are wanted. It may be one endless line.
pub const TAIL_STREAM_BYTES: usize = 1024 * 1024 * 1024;

/// The base-2 logarithm of the largest window, in bytes, of a zstd frame that is decompressed: 128 MiB, as with the
/// `zstd` command. A decompressor needs that much memory, and the frame alone decides.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;
