//! `afx tee`, beside GNU tee.

use crate::{Case, assert_succeeded, shell, text};
use signal_hook::consts::SIGPIPE;
use std::{fs, os::unix::process::ExitStatusExt};

#[test]
fn the_input_goes_to_standard_output_and_to_all_files() {
    let case = Case::new();
    let output = shell(
        case.folder(),
        "seq 100000 | \"$AFX\" tee target other >out && cmp out target && cmp target other",
    );
    assert_succeeded(&output);
    assert_eq!(fs::metadata(case.path("other")).unwrap().len(), 588_895);
    assert_succeeded(&shell(case.folder(), "echo more | \"$AFX\" tee -a target >/dev/null"));
    assert!(case.read("target").ends_with("100000\nmore\n"));
    let output = shell(case.folder(), "echo none | \"$AFX\" tee --no-stdout target");
    assert_eq!((text(&output.stdout), case.read("target")), (String::new(), "none\n".into()));
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_the_others_have_all_as_with_tee() {
    let case = Case::new();
    for (program, who) in [("tee", "tee"), ("\"$AFX\" tee", "afx")] {
        let script = format!("seq 50000 | {program} /dev/full no/such {who} >/dev/null");
        let output = shell(case.folder(), &script);
        assert_eq!(output.status.code(), Some(1), "{program}");
        let said = text(&output.stderr);
        assert!(said.contains("/dev/full") && said.contains("no/such"), "{said}");
    }
    assert_eq!(case.read("tee"), case.read("afx"));
}

#[test]
fn broken_pipes_are_answered_as_tee_answers_them() {
    let case = Case::new();
    // The mode, whether the file gets all, and the status of the one who is asked.
    for (mode, has_all) in
        [("", false), ("-p", true), ("--output-error=warn", true), ("--output-error=exit", false)]
    {
        let mut found = Vec::new();
        for program in ["tee", "\"$AFX\" tee"] {
            let script = format!(
                "rm -f out; {{ seq 200000; }} | {{ {program} {mode} out; echo $? >status; }} 2>err | head -c 1 >/dev/null; \
                 wc -c <out; cat status; grep -c . err"
            );
            let output = shell(case.folder(), &script);
            let lines: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
            assert_eq!(lines[0] == "1288895", has_all, "{program} {mode}: {lines:?}");
            found.push(lines[1..].to_vec());
        }
        assert_eq!(found[0], found[1], "{mode:?}");
    }
}

#[test]
fn nobody_reading_any_more_ends_it_by_the_signal() {
    let case = Case::new();
    let output = shell(
        case.folder(),
        "exec 3>&1; { { seq 100000; } | { \"$AFX\" tee out >&4; echo $? >&3; }; } 4>&1 | head -c 1 >/dev/null",
    );
    assert_eq!(text(&output.stdout), format!("{}\n", 128 + SIGPIPE));
    assert!(output.status.signal().is_none());
}

#[test]
fn digests_are_those_of_what_was_written_and_never_among_the_data() {
    let case = Case::new();
    let output = shell(
        case.folder(),
        "seq 1000 | \"$AFX\" tee --hash sha256 one two 2>sums >out && cmp out one && sha256sum -c sums",
    );
    assert_succeeded(&output);
    assert_eq!(text(&output.stdout), "one: OK\ntwo: OK\n");
    let output = shell(
        case.folder(),
        "seq 1000 | \"$AFX\" tee --compress=zstd --hash md5 --manifest=sums z >/dev/null && \
         md5sum --status -c sums && \"$AFX\" copy --decompress z - | cmp - one",
    );
    assert_succeeded(&output);
}

#[test]
fn what_does_not_keep_up_is_left_behind_and_the_status_says_so() {
    let case = Case::new();
    let script = "mkfifo slow; sleep 100 <slow & pid=$!; head -c 60000000 /dev/zero | \
                  \"$AFX\" tee --on-slow=detach --no-stdout out slow; status=$?; kill $pid; exit $status";
    let output = shell(case.folder(), script);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("afx: cannot write 'slow' at byte") && said.contains("it took nothing for too long"),
        "{said}"
    );
    assert_eq!(fs::metadata(case.path("out")).unwrap().len(), 60_000_000);
}

#[test]
fn what_a_file_cannot_take_is_said_while_the_input_still_comes() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    for bad in ["/dev/full", "no/such", "folder"] {
        let script = format!(
            "rm -f said; mkfifo said; {{ echo 1; timeout 20 head -n 1 said >told; echo 2; }} | \
             \"$AFX\" tee {bad} 2>said"
        );
        let output = shell(case.folder(), &script);
        assert!(case.read("told").contains(bad), "{bad}: {:?}", case.read("told"));
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "1\n2\n".into()));
    }
}

#[test]
fn what_a_file_did_not_take_has_no_digest() {
    let case = Case::new();
    let output = shell(
        case.folder(),
        "seq 1000 | \"$AFX\" tee --hash sha256 --manifest sums /dev/full no/such good >/dev/null",
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(case.read("sums").ends_with("  good\n"));
    assert_eq!(case.read("sums").lines().count(), 1);
}

#[test]
fn a_part_of_the_input_has_no_digest() {
    let case = Case::new();
    fs::write(case.path("sums"), "an old one").unwrap();
    let script = "head -c 60000000 /dev/zero | \"$AFX\" tee --hash sha256 --output-error=exit /dev/full part >/dev/null";
    let output = shell(case.folder(), script);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "afx: cannot write '/dev/full': No space left on device\n");
    assert!(fs::metadata(case.path("part")).unwrap().len() < 60_000_000, "it must have a part only");
    let output = shell(case.folder(), &script.replace("--hash", "--manifest sums --hash"));
    assert_eq!((output.status.code(), case.read("sums")), (Some(1), "an old one".into()));
    assert_eq!(case.names(), ["part", "source", "sums", "target"]);
}
