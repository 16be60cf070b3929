//! One binary, one file per verb.

mod lines;
mod whole;
