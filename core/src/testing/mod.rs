//! Files that fail on purpose, and what every engine must do, for tests of this crate and of those built on it.

pub mod conformance;
mod faulty;

pub use faulty::{Fault, FaultSwitch, Faults, Faulty};
