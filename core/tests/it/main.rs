//! One binary, one file per verb.

mod case;
mod compress;
mod copy;
mod copy_attributes;
mod copy_blocks;
mod copy_durable;
mod copy_faults;
mod copy_hostile;
mod copy_kill;
mod copy_pace;
mod copy_replace;
mod copy_resume;
mod copy_several;
mod engine;
mod hash;
mod lines;
mod replacement;
mod tail;
mod tee;
mod whole;

/// The engine that the verbs are tested on: monoio where it is built in, otherwise compio with the driver that
/// `AFX_ENGINE` selects.
#[cfg(all(target_os = "linux", feature = "engine-monoio"))]
type Tested = afx_core::engine::Monoio;
#[cfg(not(all(target_os = "linux", feature = "engine-monoio")))]
type Tested = afx_core::engine::Compio;
