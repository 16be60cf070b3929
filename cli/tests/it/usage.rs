//! What is the same for every verb.

use crate::{afx_in, run, text};
use std::{
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::Stdio,
};

#[test]
fn wrong_usage_exits_with_2_and_says_so_on_standard_error_only() {
    for arguments in [&["no-such-verb"][..], &[], &["doctor", "--no-such-option"]] {
        let output = run(Path::new("."), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn a_closed_standard_output_ends_quietly_by_sigpipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = afx_in(Path::new(".")).arg("doctor").stdout(OwnedFd::from(writer)).output().unwrap();
    assert_eq!(output.status.signal(), Some(13));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_full_standard_output_is_said_and_exits_with_1() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = afx_in(Path::new(".")).arg("doctor").stdout(Stdio::from(full)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "afx: cannot write standard output: No space left on device\n");
}
