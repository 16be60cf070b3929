//! One binary, one file per verb.

mod copy;
mod engine;
mod hash;
mod lines;
mod tail;
mod whole;
