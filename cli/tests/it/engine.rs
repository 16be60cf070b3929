//! `--engine`, and `AFX_ENGINE` below it.

use crate::{Case, afx_in, text};
use std::{fs, path::Path};

#[test]
fn the_option_wins_over_the_environment_before_and_behind_the_verb() {
    for arguments in [["--engine=threads", "doctor"], ["doctor", "--engine=threads"]] {
        let output = afx_in(Path::new(".")).args(arguments).env("AFX_ENGINE", "warp").output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        assert!(text(&output.stdout).starts_with("engine:       threads (--engine=threads)\n"));
    }
}

#[test]
fn an_engine_that_does_not_exist_is_wrong_usage() {
    let output = afx_in(Path::new(".")).args(["--engine", "warp", "doctor"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("'warp'") && said.contains("[possible values: uring, threads, monoio]"), "{said}");
}

#[test]
fn every_verb_that_runs_on_an_engine_runs_on_the_one_that_is_asked_for_or_says_what_is_missing() {
    let case = Case::new();
    fs::write(case.path("source"), vec![7; 3_000_000]).unwrap();
    let built_in = cfg!(feature = "engine-monoio");
    for arguments in [&["copy", "source", "target"][..], &["hash", "source"]] {
        for engine in ["threads", "monoio"] {
            let mut command = afx_in(case.folder());
            let output = command.args(arguments).arg("--engine").arg(engine).output().unwrap();
            let said = text(&output.stderr);
            if engine == "monoio" && !built_in {
                assert_eq!(output.status.code(), Some(1), "{said}");
                assert_eq!(
                    said,
                    "afx: cannot start the engine: --engine=monoio, but this build has no monoio: afx and Rust \
                     programs that are built with the cargo feature engine-monoio have it, on Linux\n"
                );
            } else {
                assert_eq!((output.status.code(), said), (Some(0), String::new()));
            }
        }
    }
    assert_eq!(fs::read(case.path("target")).unwrap(), vec![7; 3_000_000]);
}
