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
    for algorithm in ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] {
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
    for make in [
        "sha256sum *",
        "sha512sum -b *",
        "md5sum *",
        "sha384sum --tag *",
        "$AFX hash *",
        "$AFX hash --tag -a sha224 *",
    ] {
        let program = match make {
            "md5sum *" => "md5sum",
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
    for arguments in [["--status", "source"], ["--check", "--tag"], ["-a", "md6"], ["--threads", "0"]] {
        let output =
            command_in(case.folder(), env!("CARGO_BIN_EXE_afx")).arg("hash").args(arguments).output();
        assert_eq!(output.unwrap().status.code(), Some(2), "{arguments:?}");
    }
}

/// Whether a program that not every machine has is here; says so if it is not.
fn has(program: &str) -> bool {
    let is_here = shell(std::path::Path::new("/"), &format!("command -v {program}")).status.success();
    if !is_here {
        eprintln!("{program} is not installed: nothing is compared with it");
    }
    is_here
}

#[test]
fn digests_are_those_of_b3sum_and_each_side_passes_the_others_check() {
    if !has("b3sum") {
        return;
    }
    let case = Case::new();
    odd_files(&case);
    // b3sum 1.2 prints a carriage return as it is, and takes only names in UTF-8 back.
    fs::remove_file(case.path("return\rhere")).unwrap();
    fs::remove_file(case.folder().join(OsStr::from_bytes(b"\xff\xfe"))).unwrap();
    let ours = shell(case.folder(), "$AFX hash -a blake3 *");
    let theirs = shell(case.folder(), "b3sum *");
    assert_eq!((ours.status.code(), text(&ours.stdout)), (Some(0), text(&theirs.stdout)));
    let sums = tempfile::NamedTempFile::new().unwrap();
    fs::write(sums.path(), &ours.stdout).unwrap();
    for check in ["b3sum", "$AFX hash -a blake3"] {
        let checked = shell(case.folder(), &format!("{check} -c {}", sums.path().display()));
        assert_eq!((checked.status.code(), text(&checked.stderr)), (Some(0), String::new()), "{check}");
        assert_eq!(text(&checked.stdout).matches(": OK\n").count(), 6, "{check}");
    }
}

#[test]
fn digests_are_those_of_xxhsum_and_it_passes_our_check() {
    if !has("xxhsum") {
        return;
    }
    let case = Case::new();
    for (name, len) in [("empty", 0), ("short", 17), ("long", 241), ("chunk", 262_144), ("more", 1_000_003)] {
        let content: Vec<u8> = (0..len).map(|index| u8::try_from(index % 251).unwrap()).collect();
        fs::write(case.path(name), content).unwrap();
    }
    for (ours, theirs) in
        [("-a xxh3 --tag", "-H3 --tag"), ("-a xxh128", "-H2"), ("-a xxh128 --tag", "-H2 --tag")]
    {
        let printed = shell(case.folder(), &format!("$AFX hash {ours} *"));
        let expected = shell(case.folder(), &format!("xxhsum -q {theirs} * 2>/dev/null"));
        assert_eq!(text(&printed.stdout), text(&expected.stdout), "{ours}");
        assert!(!printed.stdout.is_empty());
        let check = format!("xxhsum -q {theirs} * 2>/dev/null | $AFX hash -a xxh3,xxh128 -c");
        let checked = shell(case.folder(), &check);
        assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
        assert_eq!(text(&checked.stdout).lines().count(), 7);
    }
}

#[test]
fn several_algorithms_print_a_tagged_line_each_and_all_are_checked() {
    let case = Case::new();
    let output =
        run(case.folder(), ["hash", "-a", "xxh3,sha256", "-a", "blake3,sha-256", "source", "target"]);
    let lines: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    let tags: Vec<_> = lines.iter().map(|line| line.split(" = ").next().unwrap()).collect();
    let expected =
        ["XXH3 (source)", "SHA256 (source)", "BLAKE3 (source)", "XXH3 (target)", "SHA256 (target)"];
    assert_eq!(tags[..5], expected);
    assert_eq!((lines.len(), output.status.code()), (6, Some(0)));
    for (tag, algorithm) in [("XXH3", "xxh3"), ("SHA256", "sha256"), ("BLAKE3", "blake3")] {
        let alone = run(case.folder(), ["hash", "--tag", "-a", algorithm, "source"]);
        let line = lines.iter().find(|line| line.starts_with(&format!("{tag} (source)"))).unwrap();
        assert_eq!(text(&alone.stdout).trim_end(), line);
    }
    fs::write(case.path("sums"), &output.stdout).unwrap();
    let checked = run(case.folder(), ["hash", "-c", "sums"]);
    assert_eq!(text(&checked.stdout), "source: OK\n".repeat(3) + &"target: OK\n".repeat(3));
    let checked = run(case.folder(), ["hash", "-c", "-a", "xxh3,blake3", "--strict", "sums"]);
    assert_eq!(text(&checked.stdout), "source: OK\n".repeat(2) + &"target: OK\n".repeat(2));
    assert_eq!(
        (checked.status.code(), text(&checked.stderr)),
        (Some(1), "afx: WARNING: 2 lines are improperly formatted\n".to_owned())
    );
    fs::write(case.path("target"), "other").unwrap();
    let checked = run(case.folder(), ["hash", "-c", "sums"]);
    assert_eq!(text(&checked.stdout), "source: OK\n".repeat(3) + &"target: FAILED\n".repeat(3));
}

#[test]
fn lines_without_a_tag_are_of_the_algorithms_asked_for_or_of_those_of_coreutils() {
    let case = Case::new();
    for algorithm in ["blake3", "xxh3", "xxh128", "crc32c", "md5", "sha1"] {
        let sums = run(case.folder(), ["hash", "-a", algorithm, "source"]);
        fs::write(case.path("sums"), &sums.stdout).unwrap();
        let asked = run(case.folder(), ["hash", "-c", "-a", algorithm, "sums"]);
        assert_eq!(
            (asked.status.code(), text(&asked.stdout)),
            (Some(0), "source: OK\n".to_owned()),
            "{algorithm}"
        );
        let by_length = run(case.folder(), ["hash", "-c", "sums"]);
        let expected = match algorithm {
            // Taken for SHA-256 and MD5.
            "blake3" | "xxh128" => (Some(1), "source: FAILED\n"),
            "crc32c" => (Some(1), ""),
            _ => (Some(0), "source: OK\n"),
        };
        assert_eq!((by_length.status.code(), &text(&by_length.stdout)[..]), expected, "{algorithm}");
    }
    let crc = run(case.folder(), ["hash", "-a", "crc32c", "/dev/null"]);
    assert_eq!(text(&crc.stdout), "00000000  /dev/null\n");
}

/// Files of all sizes, some of which are missing, and a FIFO between them.
fn many_files(case: &Case) -> String {
    let mut names = Vec::new();
    for number in 0..200_usize {
        let name = format!("f{number:03}");
        if number % 29 != 5 {
            fs::write(case.path(&name), vec![b'x'; number * number % 7 * 150_000 + number]).unwrap();
        }
        names.push(name);
    }
    names.insert(90, "fifo".to_owned());
    names.join(" ")
}

#[test]
fn many_files_are_hashed_at_the_same_time_and_told_of_in_their_order() {
    let case = Case::new();
    let names = many_files(&case);
    let script = |hash: &str| format!("mkfifo fifo; cat source > fifo & {hash} {names} 2>&1; wait; rm fifo");
    let theirs = shell(case.folder(), &script("sha256sum"));
    let theirs = text(&theirs.stdout).replace("sha256sum: f", "afx: cannot open 'f");
    let theirs = theirs.replace(": No such", "': No such");
    for options in ["", "--threads 1", "--threads 2", "--threads 7"] {
        let ours = shell(case.folder(), &script(&format!("$AFX hash {options}")));
        assert_eq!(text(&ours.stdout), theirs, "{options}");
    }
    let sums = shell(case.folder(), "sha256sum f??? 2>/dev/null").stdout;
    fs::write(case.path("sums"), [sums, b"no check line\n".to_vec()].concat()).unwrap();
    fs::write(case.path("f010"), "changed").unwrap();
    fs::remove_file(case.path("f020")).unwrap();
    let theirs = shell(case.folder(), "sha256sum -c sums 2>/dev/null");
    for options in ["", "--threads 1", "--threads 3"] {
        let ours = shell(case.folder(), &format!("$AFX hash {options} -c sums"));
        assert_eq!((text(&ours.stdout), ours.status.code()), (text(&theirs.stdout), Some(1)), "{options}");
    }
}

#[test]
fn standard_input_is_read_by_one_at_a_time() {
    let case = Case::new();
    let ours = shell(case.folder(), "cat /bin/sh | $AFX hash --threads 4 - source - target -");
    let theirs = shell(case.folder(), "cat /bin/sh | sha256sum - source - target -");
    assert_eq!(text(&ours.stdout), text(&theirs.stdout));
}

#[test]
fn a_closed_standard_output_ends_what_other_threads_wait_for() {
    let case = Case::new();
    assert!(shell(case.folder(), "mkfifo fifo").status.success());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // With --json each line is written at once; nobody ever opens the FIFO for writing.
    let output = afx_in(case.folder())
        .args(["--json", "hash", "--threads", "2", "source", "fifo"])
        .stdout(OwnedFd::from(writer))
        .output()
        .unwrap();
    assert_eq!((output.status.signal(), text(&output.stderr)), (Some(13), String::new()));
}
