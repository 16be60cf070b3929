//! Files that fail on purpose, for tests of this crate and of those built on it.

mod faulty;

pub use faulty::{Fault, FaultSwitch, Faults, Faulty};
