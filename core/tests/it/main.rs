//! One binary, one file per verb.

mod compress;
mod copy;
mod engine;
mod hash;
mod lines;
mod tail;
mod tee;
mod whole;
