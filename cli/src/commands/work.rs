//! What every long command has: signals that end it, a count of what is done, and a display of that.

use crate::{
    progress::{Display, Meter},
    signals::Watch,
};
use afx_core::{Cancel, Error, Operation};

/// Work on bytes, from its start to its end.
#[derive(Debug)]
pub(crate) struct Work {
    /// Set by a signal: to be given to whatever takes long.
    pub(crate) cancel: Cancel,
    /// Gives each file its count.
    pub(crate) meter: Meter,
    watch: Option<Watch>,
    display: Option<Display>,
}

impl Work {
    /// From now on signals are answered, and the progress is shown if that is wanted. `total` bytes
    /// are to be done, where that is known.
    pub(super) fn start(total: Option<u64>, show: Show) -> Result<Self, Error> {
        let (cancel, meter) = (Cancel::new(), Meter::new(total));
        let start = || {
            let watch = Watch::start(&cancel, &meter)?;
            let display = match show {
                Show::Nothing => None,
                Show::Progress { has_data_on_stdout } => Some(meter.show(has_data_on_stdout)?),
            };
            Ok((Some(watch), display))
        };
        let (watch, display) = start().map_err(|cause| Error::new(Operation::Copy, cause))?;
        Ok(Self { cancel, meter, watch, display })
    }

    /// If a signal has arrived, waits for the death that it brings: what was cancelled has nothing to say.
    pub(super) fn end_if_signalled(&mut self) {
        if self.cancel.is_cancelled()
            && let Some(watch) = self.watch.take()
        {
            watch.join();
        }
    }

    /// Takes the progress off the screen: nothing is left to do.
    pub(super) fn finish(&mut self) {
        self.display = None;
    }
}

/// What is shown while the work goes on. One who asks by SIGUSR1 is always answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Nothing,
    /// A bar, or lines. The bar cannot be where other data than whole lines goes to the same terminal.
    Progress {
        has_data_on_stdout: bool,
    },
}

impl Show {
    /// For a command that prints whole lines.
    pub(super) fn progress_if(is_wanted: bool) -> Self {
        if is_wanted { Self::Progress { has_data_on_stdout: false } } else { Self::Nothing }
    }
}
