//! The command `afx`.
#![forbid(unsafe_code)]

fn main() {}
