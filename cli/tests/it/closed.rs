//! A closed standard stream is no `/dev/null`: it is an error, and no file is touched.

use crate::{Case, assert_failed, assert_succeeded, shell, text};

/// Runs `script`, which must fail with exit status 1 and say that `operation` failed for the stream was closed.
fn fails(case: &Case, script: &str, operation: &str) {
    let output = shell(case.folder(), &script.replace("afx", "\"$AFX\""));
    let expected = format!("afx: cannot {operation}: Bad file descriptor\n");
    assert_eq!(text(&output.stderr), expected, "{script}");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{script}");
}

#[test]
fn no_input_is_not_an_empty_input() {
    let case = Case::new();
    for script in [
        "afx copy - target <&-",
        "afx copy --dry-run - target <&-",
        "afx copy --hash md5 --manifest sums - target <&-",
        "afx tee target <&-",
        "afx tee --no-stdout --append target <&-",
        "afx hash <&-",
        "afx hash --check <&-",
        "afx hash --check - <&-",
        "afx tail <&-",
    ] {
        fails(&case, script, "open 'standard input'");
    }
    fails(&case, "afx copy /dev/stdin target <&-", "open '/dev/stdin'");
    fails(&case, "afx hash /dev/stdin <&-", "open '/dev/stdin'");
    assert_eq!((case.read("target"), case.read("source")), ("old".into(), "new content\n".into()));
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn what_nobody_can_get_is_said_before_anything_is_done() {
    let case = Case::new();
    fails(&case, "afx copy source - >&-", "open 'standard output'");
    fails(&case, "afx copy source --tee - target >&-", "open 'standard output'");
    fails(&case, "afx copy source /dev/stdout >&-", "open '/dev/stdout'");
    for script in [
        "afx hash source >&-",
        "afx tail source >&-",
        "afx copy --hash md5 source target >&-",
        "afx --json copy source target >&-",
        "echo hi | afx --json tee --no-stdout target >&-",
        "md5sum source | afx hash --check - >&-",
        "afx doctor >&-",
        "afx completions bash >&-",
    ] {
        fails(&case, script, "write standard output");
    }
    assert_eq!(case.read("target"), "old");
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn what_has_nothing_to_read_or_print_needs_neither() {
    let case = Case::new();
    assert_succeeded(&shell(case.folder(), "\"$AFX\" copy source target <&- >&-"));
    assert_eq!(case.read("target"), "new content\n");
    assert_succeeded(&shell(case.folder(), "echo hi | \"$AFX\" tee --no-stdout target >&-"));
    assert_eq!(case.read("target"), "hi\n");
    // The device is what was asked for.
    for script in ["\"$AFX\" copy - target <>/dev/null", "\"$AFX\" copy source - 1<>/dev/null"] {
        assert_succeeded(&shell(case.folder(), script));
    }
    assert_eq!(case.read("target"), "");
}

#[test]
fn the_files_of_a_tee_go_on_without_standard_output_as_with_tee() {
    let case = Case::new();
    for program in ["tee", "afx tee"] {
        let name = program.split(' ').next().unwrap();
        let script = format!("echo hi | {program} {name} >&-").replace("afx tee", "\"$AFX\" tee");
        let output = shell(case.folder(), &script);
        assert_eq!((output.status.code(), case.read(name)), (Some(1), "hi\n".into()), "{program}");
        assert!(text(&output.stderr).contains("'standard output': Bad file descriptor"), "{program}");
    }
    let script = "seq 3 | \"$AFX\" tee --output-error=exit target >&-";
    assert_failed(&shell(case.folder(), script), "cannot open 'standard output': Bad file descriptor");
    assert_eq!(case.read("target"), "old");
    assert_failed(
        &shell(case.folder(), "\"$AFX\" tee >&- </dev/zero"),
        "cannot open 'standard output': Bad file descriptor",
    );
}
