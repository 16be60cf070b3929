//! `-q`, `-v`, `AFX_LOG` and colours.

use crate::{Case, afx_in, assert_succeeded, run, shell, text};
use std::{fs, process::Output};

fn logged(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0));
    text(&output.stderr)
}

#[test]
fn verbose_tells_what_is_done_on_standard_error_and_leaves_standard_output_alone() {
    let case = Case::new();
    let plain = run(case.folder(), ["hash", "source"]);
    assert_succeeded(&plain);
    let verbose = run(case.folder(), ["hash", "-v", "source"]);
    assert_eq!(verbose.stdout, plain.stdout);
    let said = logged(&verbose);
    assert!(said.contains(" info afx::commands::hash: hashed path=\"source\""), "{said}");
    assert!(said.lines().all(|line| line.starts_with("afx: ") && !line.contains(" debug ")), "{said}");
}

#[test]
fn more_verbose_tells_which_engine_and_method_are_used() {
    let case = Case::new();
    let mut command = afx_in(case.folder());
    command.args(["copy", "-vv", "source", "target"]).env("AFX_ENGINE", "threads");
    let said = logged(&command.output().unwrap());
    assert!(
        said.contains(" debug afx_core::copy: copy begins source=\"source\" size=12 targets=1"),
        "{said}"
    );
    assert!(said.contains(" debug afx_core::copy: targets filled method="), "{said}");
    let output = command.args(["--json"]).arg("-v").output().unwrap();
    assert!(logged(&output).lines().count() >= said.lines().count(), "{output:?}");
}

#[test]
fn afx_log_says_which_part_logs_and_an_option_overrules_it() {
    let case = Case::new();
    let with = |filter: &str, options: &[&str]| {
        let mut command = afx_in(case.folder());
        let output = command.args(["hash", "source"]).args(options).env("AFX_LOG", filter).output().unwrap();
        logged(&output)
    };
    assert!(with("info", &[]).contains(" info afx::commands::hash: "));
    assert_eq!(with("afx::commands::copy=trace", &[]), "");
    assert_eq!(with("", &[]), "");
    assert!(with("off", &["-v"]).contains(" info "));
    let said = with("afx=loud", &[]);
    assert!(said.starts_with("afx: AFX_LOG: ") && said.ends_with("; nothing is logged\n"), "{said}");
}

#[test]
fn quiet_says_nothing_of_what_is_no_failure() {
    let case = Case::new();
    fs::hard_link(case.path("target"), case.path("other")).unwrap();
    let output = run(case.folder(), ["copy", "source", "target"]);
    assert_eq!(logged(&output), "afx: writing 'target' in place: it has other hard links\n");
    assert_succeeded(&run(case.folder(), ["copy", "-q", "source", "target"]));
    assert_eq!(run(case.folder(), ["copy", "-qv", "source", "target"]).status.code(), Some(2));
}

#[test]
fn colour_comes_when_it_is_asked_for_and_not_into_a_pipe() {
    let case = Case::new();
    let with = |options: &[&str]| text(&run(case.folder(), options).stderr).contains('\x1b');
    assert!(with(&["hash", "-v", "--color=always", "source"]));
    assert!(!with(&["hash", "-v", "source"]) && !with(&["hash", "-v", "--color=never", "source"]));
    assert!(with(&["--color=always", "--nonsense"]) && !with(&["--nonsense"]));
}

#[test]
fn verbose_says_why_a_file_was_left_alone_and_what_was_read_back() {
    let case = Case::new();
    let said = |arguments: &[&str]| text(&run(case.folder(), arguments).stderr);
    let exists = said(&["-v", "copy", "-n", "source", "target"]);
    assert!(exists.contains("left alone: it exists target=\"target\""), "{exists}");
    assert!(shell(case.folder(), "touch -d 2001-01-01 source").status.success());
    let not_older = said(&["-v", "copy", "-u", "source", "target"]);
    assert!(not_older.contains("left alone: it is not older"), "{not_older}");
    let verified = said(&["-v", "copy", "--verify", "source", "target"]);
    assert!(verified.contains("read back: it is what was written target=\"target\" from="), "{verified}");
}
