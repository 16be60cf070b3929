//! One binary, one file per verb.
