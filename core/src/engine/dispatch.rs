//! From the engine that is selected when a program runs to the one that its code is built for.

use super::{Compio, Engine, EngineKind, probe::asked_kind};
use crate::error::Result;

/// Work that any engine can do.
pub trait OnEngine {
    /// What comes of it.
    type Output;

    /// Does it on `E`.
    fn on<E: Engine>(self) -> Self::Output;
}

/// Does `work` on the engine that [`prefer`](super::prefer) or `AFX_ENGINE` asked for, on [`Compio`] otherwise.
/// No other place knows which types stand behind the names.
///
/// # Errors
///
/// When an engine is asked for that is not known. Whether io_uring works is asked for monoio only: compio
/// does without a ring as long as the work needs none.
pub fn on_selected<W: OnEngine>(work: W) -> Result<W::Output> {
    if asked_kind()? == Some(EngineKind::Monoio) {
        // An error where monoio is not built in, or where io_uring does not work.
        super::selected()?;
        #[cfg(all(target_os = "linux", feature = "engine-monoio"))]
        return Ok(work.on::<super::Monoio>());
    }
    Ok(work.on::<Compio>())
}
