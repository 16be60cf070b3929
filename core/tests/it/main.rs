//! One binary, one file per verb.

mod copy;
mod hash;
mod lines;
mod tail;
mod whole;
