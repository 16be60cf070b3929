//! The real binary: exit status, standard output, standard error. One file per verb.

mod doctor;
mod tail;
mod usage;

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
};

/// The binary, in `folder`, with nothing of this process's own settings but the engine.
fn afx_in(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afx"));
    command.current_dir(folder).env("LC_ALL", "C");
    command
}

/// Runs `afx` in `folder` to its end.
fn run<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Output {
    afx_in(folder).args(arguments).output().expect("afx starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
