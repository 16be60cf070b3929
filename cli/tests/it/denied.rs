//! Where io_uring is denied, as in most containers, everything works on threads.

use crate::{Case, command_in, text};
use std::{fs, process::Command};

const DENY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../py/tests/deny_uring.py");

/// `afx` under a filter that fails `call` with `errno`.
fn denied(case: &Case, errno: &str, call: &str) -> Command {
    let mut command = command_in(case.folder(), "python3");
    command.args([DENY, errno, call, env!("CARGO_BIN_EXE_afx")]).env_remove("AFX_ENGINE");
    command
}

#[test]
fn every_verb_works_where_a_call_of_io_uring_is_denied_and_doctor_says_which() {
    for (errno, call) in [("EPERM", "setup"), ("ENOSYS", "setup"), ("EPERM", "enter"), ("EPERM", "register")]
    {
        let case = Case::new();
        let output = denied(&case, errno, call).arg("doctor").output().unwrap();
        let said = text(&output.stdout);
        let start = format!("engine:       threads (io_uring cannot be used: io_uring_{call}: ");
        assert!(said.starts_with(&start), "{said}{}", text(&output.stderr));
        // Large enough for every stage to have a thread.
        fs::write(case.path("source"), vec![7; 3_000_000]).unwrap();
        let output =
            denied(&case, errno, call).args(["copy", "--hash", "sha256", "source", "target"]).output();
        let output = output.unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        fs::write(case.path("sums"), output.stdout).unwrap();
        let output = denied(&case, errno, call).args(["hash", "--check", "sums"]).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "target: OK\n".to_owned()));
        // Pipes need the engine itself.
        let mut command = denied(&case, errno, call);
        let through_pipe = command_in(case.folder(), "sh")
            .args(["-c", "cat source | \"$@\" hash", "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_remove("AFX_ENGINE")
            .output()
            .unwrap();
        assert_eq!((through_pipe.status.code(), text(&through_pipe.stderr)), (Some(0), String::new()));
        let asked = command.args(["hash"]).env("AFX_ENGINE", "uring").output().unwrap();
        assert_eq!(asked.status.code(), Some(1));
    }
}

#[test]
fn asking_for_io_uring_where_it_is_denied_is_an_error_that_says_why() {
    let case = Case::new();
    let output = denied(&case, "EPERM", "setup").arg("doctor").env("AFX_ENGINE", "uring").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let start =
        "afx: cannot start the engine: AFX_ENGINE=uring, but io_uring cannot be used: io_uring_setup: ";
    assert!(said.starts_with(start), "{said}");
}

/// Its own driver without io_uring would read and write files on the thread that drives everything else, and where
/// entering a ring is denied it tries for ever.
#[cfg(feature = "engine-monoio")]
#[test]
fn monoio_is_refused_where_a_call_of_io_uring_is_denied_also_for_what_needs_no_engine() {
    for (errno, call) in [("EPERM", "setup"), ("ENOSYS", "setup"), ("EPERM", "enter"), ("EPERM", "register")]
    {
        let case = Case::new();
        fs::write(case.path("source"), "content").unwrap();
        for arguments in [&["doctor"][..], &["copy", "source", "target"], &["hash"]] {
            let mut command = denied(&case, errno, call);
            let output = command.args(arguments).args(["--engine", "monoio"]).output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            let said = text(&output.stderr);
            let start = format!(
                "afx: cannot start the engine: --engine=monoio, but io_uring cannot be used: io_uring_{call}: "
            );
            assert!(said.starts_with(&start), "{said}");
        }
        assert_eq!(case.read("target"), "old");
    }
}
