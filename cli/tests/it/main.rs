//! The real binary: exit status, standard output, standard error. One file per verb.

mod closed;
mod copy;
mod copy_options;
mod denied;
mod doctor;
mod engine;
mod guides;
mod hash;
mod json;
mod log;
mod progress;
mod signals;
mod tail;
mod tee;
mod tools;
mod usage;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The binary, in `folder`, in the language of the expected messages.
fn afx_in(folder: &Path) -> Command {
    command_in(folder, env!("CARGO_BIN_EXE_afx"))
}

/// Any program, in the same surroundings; `afx` is found by its name in `$AFX`.
fn command_in(folder: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C").env("AFX", env!("CARGO_BIN_EXE_afx"));
    command
}

/// Runs `afx` in `folder` to its end.
fn run<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Output {
    afx_in(folder).args(arguments).output().expect("afx starts")
}

/// Runs a script in `folder` to its end.
fn shell(folder: &Path, script: &str) -> Output {
    command_in(folder, "sh").args(["-c", script]).output().expect("sh starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// That a run failed with exit status 1, printed nothing, and said `message`.
fn assert_failed(output: &Output, message: &str) {
    assert_eq!(text(&output.stderr), format!("afx: {message}\n"));
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
}

/// That a run succeeded and said nothing on standard error.
fn assert_succeeded(output: &Output) {
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// A directory with the files `source`, `target` (which holds `old`) and nothing else.
struct Case {
    folder: TempDir,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("source"), "new content\n").unwrap();
        fs::write(folder.path().join("target"), "old").unwrap();
        Self { folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        names_in(self.folder())
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// How to run a script that mounts something, where that is allowed at all.
fn shell_with_mounts(folder: &Path, script: &str) -> Option<Output> {
    let choices: [&[&str]; 2] = [&["-m"], &["-r", "-m"]];
    let allowed = choices.into_iter().find(|options| {
        let mount = "mount -t tmpfs none /mnt";
        let tried = command_in(folder, "unshare").args(*options).args(["sh", "-c", mount]).output();
        tried.is_ok_and(|output| output.status.success())
    })?;
    Some(command_in(folder, "unshare").args(allowed).args(["sh", "-c", script]).output().unwrap())
}
