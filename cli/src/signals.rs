//! Signals that end the process, but not before the temporary file is gone.

use afx_core::Cancel;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::emulate_default_handler,
};
use std::{
    ffi::c_int,
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// The thread that waits for a signal to end the process by.
#[derive(Debug)]
pub(crate) struct Watch {
    thread: JoinHandle<()>,
    cancel: Cancel,
}

impl Watch {
    /// From now on SIGINT, SIGTERM and SIGHUP set `cancel`; when all is cleaned up, the process dies
    /// by the signal. A second signal does not wait.
    pub(crate) fn start(cancel: &Cancel) -> io::Result<Self> {
        let ignored = ignored_signals();
        let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !ignored(*signal));
        let impatient = Arc::new(AtomicBool::new(false));
        // A write above the limit is then an error, `EFBIG`, and not death with a file left behind.
        flag::register(SIGXFSZ, Arc::default())?;
        // First, since the others alone would swallow a signal.
        let mut arriving = Signals::new(signals.clone())?;
        for signal in signals {
            flag::register_conditional_default(signal, impatient.clone())?;
        }
        let cleaned_up = cancel.clone();
        let thread = thread::Builder::new().name("afx-signals".to_owned()).spawn(move || {
            if let Some(signal) = arriving.forever().next() {
                impatient.store(true, Ordering::Release);
                cleaned_up.cancel();
                cleaned_up.wait_until_released();
                let _ = emulate_default_handler(signal);
            }
        })?;
        Ok(Self { thread, cancel: cancel.clone() })
    }

    /// If a signal has arrived, waits for the death that it brings.
    pub(crate) fn end_if_signalled(self) {
        if self.cancel.is_cancelled() {
            let _ = self.thread.join();
        }
    }
}

/// Which signals whoever started the process wants ignored, as `nohup` does: they stay ignored.
fn ignored_signals() -> impl Fn(c_int) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    move |signal| mask >> (signal - 1) & 1 == 1
}
