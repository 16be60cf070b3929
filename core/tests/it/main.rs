//! One binary, one file per verb.

mod whole;
