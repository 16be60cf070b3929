//! The last line of the terminal, which the bar shares with everything that is printed.
//!
//! The cursor waits at the start of the bar. So when the terminal is made narrower and breaks the bar
//! into two lines, erasing from the cursor on still erases all of it, and nothing above. The bar is
//! written with the breaking of lines turned off, for a terminal may be narrower than it says yet: tmux
//! tells of a new size up to 0.25 s later. And the line is erased as a whole first, since tmux otherwise
//! takes it for the first half of a broken one for ever.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::getpgrp,
    termios::{isatty, tcgetpgrp, tcgetwinsize},
};
use std::{
    env,
    io::{self, Write},
    sync::{Mutex, PoisonError, TryLockError},
};

/// Of a terminal that does not say.
const DEFAULT_COLUMNS: usize = 80;

/// Whether the bar is there. Whoever holds the lock may write to the terminal.
static IS_DRAWN: Mutex<bool> = Mutex::new(false);

/// Runs `write`, which prints whole lines to the terminal, with the bar out of the way.
pub(crate) fn above_bar<T>(write: impl FnOnce() -> T) -> T {
    let mut is_drawn = IS_DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::take(&mut *is_drawn) {
        erase();
    }
    write()
}

/// Erases the bar because the process ends, but never waits for that.
pub(crate) fn leave() {
    let mut is_drawn = match IS_DRAWN.try_lock() {
        Ok(is_drawn) => is_drawn,
        Err(TryLockError::Poisoned(error)) => error.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    if std::mem::take(&mut *is_drawn) && takes_bytes() {
        erase();
    }
}

/// Whether a bar can be drawn on standard error at all.
pub(super) fn can_show_bar() -> bool {
    isatty(rustix::stdio::stderr()) && env::var_os("TERM").is_some_and(|name| name != "dumb")
}

/// Draws the bar that `bar` makes for so many columns, over the old one.
pub(super) fn draw(bar: impl FnOnce(usize) -> String) {
    let mut is_drawn = IS_DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    // A stopped terminal would hold this thread, one that belongs to another job is not ours to write on.
    if !is_in_foreground() || !takes_bytes() {
        return;
    }
    // In the last column, some terminals begin a new line.
    let text = bar(columns().saturating_sub(1));
    print(&format!("\r\x1b[2K\x1b[?7l{text}\x1b[?7h\x1b[J\r"));
    *is_drawn = true;
}

fn erase() {
    // The space, because tmux keeps what is erased from the upper left corner on.
    print("\r\x1b[2K \x1b[J\r");
}

fn print(text: &str) {
    // If that fails, nobody looks.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn columns() -> usize {
    match tcgetwinsize(rustix::stdio::stderr()).map(|size| size.ws_col) {
        Ok(0) | Err(_) => DEFAULT_COLUMNS,
        Ok(columns) => usize::from(columns),
    }
}

fn is_in_foreground() -> bool {
    // Whoever has no job control has no jobs in the background.
    tcgetpgrp(rustix::stdio::stderr()).map_or(true, |foreground| foreground == getpgrp())
}

fn takes_bytes() -> bool {
    let mut stream = [PollFd::from_borrowed_fd(rustix::stdio::stderr(), PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut stream, Some(&at_once)).is_ok_and(|count| count > 0)
}
