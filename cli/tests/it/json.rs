//! `--json`: every line parsed back, and every key documented.

use crate::{Case, afx_in, run, shell, text};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, mkfifoat},
};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, process::ExitStatusExt},
    },
    process::{Output, Stdio},
};

const DIGEST: &str = "1c3ef9a7c817b4642bcb3cb1456fbce92a6f992df2e1d6ad9d8a2dfb4fdf42f6";

/// The objects of a run, each of a kind and with keys that are documented for it.
fn records(output: &Output) -> Vec<Value> {
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reference = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/json.md"));
    let reference = reference.unwrap();
    for line in &lines {
        let [(kind, fields)] = &line.as_object().unwrap().iter().collect::<Vec<_>>()[..] else {
            panic!("one kind per line: {line}");
        };
        let (_, section) = reference.split_once(&format!("## `{kind}`\n")).expect(kind);
        let section = section.split("\n## ").next().unwrap();
        for key in fields.as_object().unwrap().keys() {
            let key = key.trim_end_matches("_base64");
            assert!(section.contains(&format!("| `{key}` |")), "{kind}: {key} is not documented");
        }
    }
    lines
}

#[test]
fn a_copy_is_one_object_with_how_it_was_made() {
    let case = Case::new();
    let output = run(case.folder(), ["copy", "--json", "source", "target"]);
    let [record] = &records(&output)[..] else { panic!("{output:?}") };
    let copied = json!({"copy": {
        "source": "source", "target": "target", "bytes": 12, "method": record["copy"]["method"],
        "in_place": null, "skipped": null, "verified": null, "resumed_at": null, "digests": {},
    }});
    assert_eq!((record, output.status.code()), (&copied, Some(0)));
    assert!(["clone", "pipeline"].map(Value::from).contains(&record["copy"]["method"]));
    fs::hard_link(case.path("target"), case.path("other")).unwrap();
    let output = run(case.folder(), ["--json", "-q", "copy", "--hash", "sha256", "source", "target"]);
    let record = &records(&output)[0]["copy"];
    assert_eq!((&record["in_place"], &record["digests"]), (&json!("hard_links"), &json!({"sha256": DIGEST})));
    assert_eq!(text(&output.stderr), "", "quiet");
}

#[test]
fn names_that_are_not_utf8_come_back_and_failures_are_objects_among_the_results() {
    let case = Case::new();
    fs::rename(case.path("source"), case.folder().join(OsStr::from_bytes(b"a\xff\n"))).unwrap();
    let output =
        shell(case.folder(), r#"$AFX hash --json "$(printf 'a\377\n.')" missing $(printf 'a\377*')"#);
    assert_eq!(output.status.code(), Some(1));
    let records = records(&output);
    assert_eq!(records.len(), 3);
    assert_eq!(
        records[1],
        json!({"error": {
            "operation": "open", "path": "missing", "offset": null, "errno": 2,
            "message": "cannot open 'missing': No such file or directory",
        }})
    );
    assert_eq!(records[0]["error"]["path_base64"], "Yf8KLg==");
    let hashed = json!({
        "path": "a\u{fffd}\n", "path_base64": "Yf8K", "algorithm": "sha256", "digest": DIGEST, "bytes": 12,
    });
    assert_eq!(records[2]["hash"], hashed);
    let said = text(&output.stderr);
    assert!(said.ends_with("afx: cannot open 'missing': No such file or directory\n"), "{said}");
}

#[test]
fn a_check_tells_each_result_and_the_counts() {
    let case = Case::new();
    let zeros = "0".repeat(64);
    let list = format!("{DIGEST}  source\n{zeros}  target\n{zeros}  missing\nodd\n");
    fs::write(case.path("sums"), list).unwrap();
    let output = run(case.folder(), ["hash", "-c", "--json", "sums"]);
    let records = records(&output);
    let results: Vec<_> = records.iter().map(|record| record["check"]["result"].as_str()).collect();
    assert_eq!(results, [Some("ok"), Some("failed"), None, Some("unreadable"), None]);
    assert_eq!(records[2]["error"]["errno"], 2);
    let counts = json!({"path": "sums", "ok": 1, "failed": 1, "unreadable": 1, "misformatted": 1});
    assert_eq!(records[4]["checked"], counts);
    assert_eq!(output.status.code(), Some(1));
    let output = run(case.folder(), ["hash", "-c", "--json", "--status", "sums"]);
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').count(), 2, "the error only");
}

#[test]
fn a_tail_is_an_object_for_each_line() {
    let case = Case::new();
    fs::write(case.path("log"), b"zero\none\n\xfftwo").unwrap();
    let output = run(case.folder(), ["tail", "--json", "-n", "2", "log"]);
    assert_eq!(
        records(&output),
        [
            json!({"line": {
                "path": "log", "generation": 0, "offset": 5, "text": "one", "ending": "terminator",
            }}),
            json!({"line": {
                "path": "log", "generation": 0, "offset": 9, "text": "\u{fffd}two", "text_base64": "/3R3bw==",
                "ending": "end",
            }}),
        ]
    );
}

#[test]
fn doctor_is_one_object() {
    let case = Case::new();
    let output = afx_in(case.folder()).args(["doctor", "--json"]).env("AFX_ENGINE", "threads").output();
    let [record] = &records(&output.unwrap())[..] else { panic!() };
    let found = &record["doctor"];
    assert_eq!((&found["engine"], &found["reason"]), (&json!("threads"), &json!("AFX_ENGINE=threads")));
    assert_eq!(found["directory"], json!(case.folder().to_str()));
}

#[test]
fn an_error_that_ends_the_command_is_an_object_too() {
    let case = Case::new();
    let output = run(case.folder(), ["copy", "--json", "missing", "target"]);
    assert_eq!(records(&output)[0]["error"]["path"], "missing");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_full_or_closed_standard_output_is_told_as_without_json() {
    let case = Case::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = afx_in(case.folder());
    let output = command.args(["hash", "--json", "source"]).stdout(Stdio::from(full)).output().unwrap();
    assert_eq!(text(&output.stderr), "afx: cannot write standard output: No space left on device\n");
    assert_eq!(output.status.code(), Some(1));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(OwnedFd::from(writer)).output().unwrap();
    assert_eq!((output.status.signal(), text(&output.stderr)), (Some(13), String::new()));
}

#[test]
fn an_object_is_written_out_when_its_result_is_there() {
    let case = Case::new();
    mkfifoat(CWD, case.path("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    let mut command = afx_in(case.folder());
    let mut child =
        command.args(["hash", "--json", "source", "fifo"]).stdout(Stdio::piped()).spawn().unwrap();
    let writer = fs::File::options().write(true).open(case.path("fifo")).unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut ready = [PollFd::new(stdout.get_ref(), PollFlags::IN)];
    let bound = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut ready, Some(&bound)), Ok(1), "while the second file is not read yet");
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains(DIGEST), "{line}");
    drop(writer);
    stdout.read_line(&mut line).unwrap();
    assert_eq!((line.lines().count(), child.wait().unwrap().code()), (2, Some(0)));
}
