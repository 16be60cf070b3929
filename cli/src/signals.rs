//! Signals that end the process, but not before the temporary file is gone, and SIGUSR1, which asks how
//! far it is.

use crate::progress::{self, Meter};
use afx_core::Cancel;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::emulate_default_handler,
};
use std::{
    ffi::c_int,
    fs, io,
    sync::Arc,
    thread::{self, JoinHandle},
};

/// The thread that waits for a signal to end the process by.
#[derive(Debug)]
pub(crate) struct Watch {
    thread: JoinHandle<()>,
}

impl Watch {
    /// From now on SIGINT, SIGTERM and SIGHUP set `cancel`; when all is cleaned up, the process dies
    /// by the signal. A second signal does not wait. For SIGUSR1, `meter` is told.
    pub(crate) fn start(cancel: &Cancel, meter: &Meter) -> io::Result<Self> {
        let ignored = ignored_signals();
        let arriving =
            Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1].into_iter().filter(|signal| !ignored(*signal)))?;
        // A write above the limit is then an error, `EFBIG`, and not death with a file left behind.
        flag::register(SIGXFSZ, Arc::default())?;
        let thread = spawn({
            let (cancel, meter) = (cancel.clone(), meter.clone());
            move || wait(arriving, &cancel, &meter)
        })?;
        Ok(Self { thread })
    }

    /// Waits for the death that the signal brings.
    pub(crate) fn join(self) {
        // It panics nowhere; and if it did, the command would end with an error.
        let _ = self.thread.join();
    }
}

fn wait(mut arriving: Signals, cancel: &Cancel, meter: &Meter) {
    for signal in arriving.forever() {
        if signal == SIGUSR1 {
            meter.tell();
            continue;
        }
        if cancel.is_cancelled() {
            die(signal);
        }
        cancel.cancel();
        let cleaned_up = cancel.clone();
        let clean_up = move || {
            cleaned_up.wait_until_released();
            die(signal);
        };
        if spawn(clean_up).is_err() {
            die(signal);
        }
    }
}

/// Ends the process by `signal`.
fn die(signal: c_int) {
    progress::leave();
    // It fails only for numbers that are no signals.
    let _ = emulate_default_handler(signal);
}

fn spawn(function: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("afx-signals".to_owned()).spawn(function)
}

/// Which signals whoever started the process wants ignored, as `nohup` does: they stay ignored.
fn ignored_signals() -> impl Fn(c_int) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    move |signal| mask >> (signal - 1) & 1 == 1
}
