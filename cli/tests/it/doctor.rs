//! `afx doctor`.

use crate::{afx_in, text};
use std::path::Path;

#[test]
fn doctor_names_the_engine_and_why() {
    let output = afx_in(Path::new(".")).arg("doctor").env("AFX_ENGINE", "threads").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("engine:       threads (AFX_ENGINE=threads)\n"));
}

#[test]
fn an_engine_that_does_not_exist_is_an_error_that_names_it() {
    let output = afx_in(Path::new(".")).arg("doctor").env("AFX_ENGINE", "warp").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "afx: cannot start the engine: AFX_ENGINE=warp names no engine: use uring, threads or monoio\n"
    );
}
