//! `afx hash`, beside sha256sum and its family.

use crate::{Case, afx_in, assert_failed, command_in, run, shell, text};
use std::{
    ffi::OsStr,
    fs,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, process::ExitStatusExt},
    },
};

/// Files with names that need care, and contents around the size of a chunk.
fn odd_files(case: &Case) {
    let contents = [0, 1, 262_143, 262_144, 262_145, 1_000_000];
    let names = [&b"a b"[..], b"back\\slash", b"new\nline", b"return\rhere", b"\xff\xfe", b"\\"];
    for (name, len) in names.into_iter().zip(contents) {
        fs::write(case.folder().join(OsStr::from_bytes(name)), vec![b'x'; len]).unwrap();
    }
}

#[test]
fn digests_and_lines_are_those_of_coreutils_for_every_algorithm_and_any_name() {
    let case = Case::new();
    odd_files(&case);
    for algorithm in ["sha224", "sha256", "sha384", "sha512"] {
        for (tag, option) in [(false, ""), (true, "--tag")] {
            let ours = shell(case.folder(), &format!("$AFX hash -a {algorithm} {option} *"));
            let theirs = shell(case.folder(), &format!("{algorithm}sum {option} *"));
            assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{algorithm} {tag}");
            assert!(ours.status.success() && !ours.stdout.is_empty());
        }
    }
}

/// Every name with a character that is escaped has the mark in front. (coreutils 9.1 escapes here only
/// where there is a newline, so a carriage return reaches the terminal.)
const EXPECTED: &str = "\\\\\\: OK\na b: OK\n\\back\\\\slash: OK\n\\new\\nline: OK\n\\return\\rhere: OK\n\
     source: OK\ntarget: OK\n\u{fffd}\u{fffd}: OK\n";

#[test]
fn each_side_passes_the_others_check_in_every_form() {
    let case = Case::new();
    odd_files(&case);
    for make in
        ["sha256sum *", "sha512sum -b *", "sha384sum --tag *", "$AFX hash *", "$AFX hash --tag -a sha224 *"]
    {
        let program = match make {
            "sha512sum -b *" => "sha512sum",
            "sha384sum --tag *" => "sha384sum",
            "$AFX hash --tag -a sha224 *" => "sha224sum",
            _ => "sha256sum",
        };
        let made = shell(case.folder(), make);
        assert!(made.status.success());
        let sums = tempfile::NamedTempFile::new().unwrap();
        let lines = made.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for terminator in [&b"\n"[..], b"\r\n"] {
            fs::write(
                sums.path(),
                lines.clone().flat_map(|line| [line, terminator].concat()).collect::<Vec<_>>(),
            )
            .unwrap();
            let check =
                |command: &str| shell(case.folder(), &format!("{command} -c {}", sums.path().display()));
            let (ours, theirs) = (check("$AFX hash"), check(program));
            assert_eq!(text(&ours.stdout), EXPECTED, "{make}");
            assert_eq!((ours.status.code(), theirs.status.code()), (Some(0), Some(0)), "{make}");
        }
    }
}

#[test]
fn every_outcome_of_a_check_is_told_as_sha256sum_tells_it() {
    let case = Case::new();
    let good = text(&shell(case.folder(), "sha256sum source").stdout);
    let bad = format!("{}  target\n", "0".repeat(64));
    let missing = format!("{}  missing\n", "0".repeat(64));
    let odd = format!("{}  a\\nb\n", "\\".to_owned() + &"0".repeat(64));
    let lists = [
        good.clone(),
        good.repeat(2) + &bad,
        bad.clone() + &bad,
        good.clone() + &missing,
        missing.clone(),
        odd,
        good.clone() + "no check line\n" + "# a comment\n\n",
        "no check line\n".to_owned(),
        String::new(),
    ];
    for list in &lists {
        fs::write(case.path("sums"), list).unwrap();
        for options in
            ["", "--quiet", "--status", "--ignore-missing", "--strict", "--warn", "--quiet --ignore-missing"]
        {
            let ours = shell(case.folder(), &format!("$AFX hash -c {options} sums"));
            let theirs = shell(case.folder(), &format!("sha256sum -c {options} sums"));
            let told = format!("{options} of\n{list}");
            assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{told}");
            assert_eq!(ours.status.code(), theirs.status.code(), "{told}");
            let warnings = |bytes: &[u8]| {
                let said = text(bytes).replace("sha256sum: ", "afx: ");
                let warnings =
                    said.lines().filter(|line| line.starts_with("afx: WARNING")).map(str::to_owned);
                (warnings.collect::<Vec<_>>(), said.lines().count())
            };
            assert_eq!(warnings(&ours.stderr), warnings(&theirs.stderr), "{told}");
        }
    }
}

#[test]
fn a_line_that_is_no_check_line_is_named_by_its_number() {
    let case = Case::new();
    fs::write(case.path("sums"), format!("\n# a comment\nodd\n{}  x\n", "0".repeat(70_000))).unwrap();
    let output = run(case.folder(), ["hash", "-c", "-w", "-a", "sha256", "sums"]);
    let said = text(&output.stderr);
    assert!(said.starts_with("afx: 'sums': 3: improperly formatted SHA256 checksum line\n"), "{said}");
    assert!(said.ends_with("afx: 'sums': no properly formatted SHA256 checksum lines found\n"), "{said}");
}

#[test]
fn an_algorithm_that_is_asked_for_is_the_only_one_checked() {
    let case = Case::new();
    let sums = text(&shell(case.folder(), "sha512sum source; sha256sum source").stdout);
    fs::write(case.path("sums"), sums).unwrap();
    let output = run(case.folder(), ["hash", "-c", "sums"]);
    assert_eq!(text(&output.stdout), "source: OK\nsource: OK\n");
    let output = run(case.folder(), ["hash", "-c", "-a", "sha512", "--strict", "sums"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "source: OK\n".to_owned()));
    assert_eq!(text(&output.stderr), "afx: WARNING: 1 line is improperly formatted\n");
}

#[test]
fn standard_input_is_read_where_it_stands_when_no_file_is_named() {
    let case = Case::new();
    for script in [
        "PROGRAM < source",
        "PROGRAM - < source",
        "cat source | PROGRAM",
        "{ head -c 4 >/dev/null; PROGRAM; } < source",
        "PROGRAM source - target < source",
        "sha256sum source | PROGRAM -c",
        "PROGRAM /proc/version /dev/null",
    ] {
        let ours = shell(case.folder(), &script.replace("PROGRAM", "$AFX hash"));
        let theirs = shell(case.folder(), &script.replace("PROGRAM", "sha256sum"));
        assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{script}");
        assert_eq!(ours.status.code(), Some(0), "{script}: {}", text(&ours.stderr));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_the_others_are_hashed() {
    let case = Case::new();
    let output = run(case.folder(), ["hash", "missing", ".", "source"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "afx: cannot open 'missing': No such file or directory\nafx: cannot read '.': Is a directory\n"
    );
    assert!(text(&output.stdout).ends_with("  source\n"));
    assert_failed(
        &run(case.folder(), ["hash", "-c", "missing"]),
        "cannot open 'missing': No such file or directory",
    );
}

#[test]
fn a_closed_standard_output_ends_quietly_by_sigpipe() {
    let case = Case::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output =
        afx_in(case.folder()).args(["hash", "source"]).stdout(OwnedFd::from(writer)).output().unwrap();
    assert_eq!((output.status.signal(), text(&output.stderr)), (Some(13), String::new()));
}

#[test]
fn options_that_make_no_sense_together_are_wrong_usage() {
    let case = Case::new();
    for arguments in [["--status", "source"], ["--check", "--tag"], ["-a", "md6"]] {
        let output =
            command_in(case.folder(), env!("CARGO_BIN_EXE_afx")).arg("hash").args(arguments).output();
        assert_eq!(output.unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
