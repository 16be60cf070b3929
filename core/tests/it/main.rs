//! One binary, one file per verb.

mod lines;
mod tail;
mod whole;
