//! Signals while a copy is under way.

use crate::{Case, afx_in, assert_succeeded, run, shell, text};
use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::{Pid, Signal, kill_process},
};
use std::{
    fs::File,
    io::Write,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A copy from a FIFO that has written something and waits for more; the FIFO's other end keeps it
/// waiting.
fn copy_under_way(case: &Case, command: &mut Command) -> (Child, File) {
    copy_under_way_with(case, command, &[])
}

pub(crate) fn copy_under_way_with(case: &Case, command: &mut Command, options: &[&str]) -> (Child, File) {
    let fifo = case.path("fifo");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    command.args(["copy", "--hash", "sha256", "fifo", "target"]).args(options);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut writer = File::options().write(true).open(&fifo).unwrap();
    writer.write_all(b"some").unwrap();
    let written = || {
        let mut temporary = case.names().into_iter().filter(|name| name.starts_with(".afx-"));
        temporary.any(|name| case.path(&name).metadata().is_ok_and(|found| found.len() == 4))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !written() {
        assert!(Instant::now() < deadline, "nothing was written beside the target");
        thread::yield_now();
    }
    (child, writer)
}

/// Those that this build has.
const ENGINES: &[&str] =
    if cfg!(feature = "engine-monoio") { &["uring", "threads", "monoio"] } else { &["uring", "threads"] };

pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_removes_the_temporary_file_and_the_process_dies_by_it() {
    for &engine in ENGINES {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            let case = Case::new();
            let (child, writer) = copy_under_way(&case, afx_in(case.folder()).env("AFX_ENGINE", engine));
            send(&child, signal);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.signal(), Some(signal.as_raw()), "{engine}");
            assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
            assert_eq!(case.names(), ["fifo", "source", "target"]);
            assert_eq!(case.read("target"), "old");
            drop(writer);
        }
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let case = Case::new();
    let mut nohup = crate::command_in(case.folder(), "nohup");
    let (child, writer) = copy_under_way(&case, nohup.arg(env!("CARGO_BIN_EXE_afx")).stdin(Stdio::null()));
    send(&child, Signal::HUP);
    drop(writer);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(case.read("target"), "some");
}

#[test]
fn what_a_killed_copy_left_is_removed_by_the_next() {
    let case = Case::new();
    let (child, _writer) = copy_under_way(&case, &mut afx_in(case.folder()));
    send(&child, Signal::KILL);
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(9));
    assert_eq!(case.names().len(), 4, "the killed copy leaves its file");
    assert_eq!(case.read("target"), "old");
    assert_succeeded(&run(case.folder(), ["copy", "source", "target"]));
    assert_eq!(case.names(), ["fifo", "source", "target"]);
}

#[test]
fn a_signal_ends_a_copy_that_waits_for_the_writer_of_a_fifo() {
    for &engine in ENGINES {
        let case = Case::new();
        mkfifoat(CWD, case.path("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
        let mut command = afx_in(case.folder());
        command.args(["copy", "fifo", "target"]).env("AFX_ENGINE", engine);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until_it_answers(&child);
        send(&child, Signal::TERM);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.signal(), text(&output.stderr)), (Some(15), String::new()), "{engine}");
        assert_eq!(case.names(), ["fifo", "source", "target"]);
    }
}

/// Waits until signals are answered. That one is caught is not enough: while signal-hook installs its
/// handler, a signal that arrives is lost.
pub(crate) fn wait_until_it_answers(child: &Child) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let answers = || {
        let mut threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        threads.any(|thread| {
            // A thread may have ended meanwhile.
            let name = std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default();
            name == "afx-signals\n"
        })
    };
    while !answers() {
        assert!(Instant::now() < deadline, "no thread waits for signals");
        thread::yield_now();
    }
}

#[test]
fn a_log_that_is_stopped_by_a_signal_can_be_read_and_appended_to() {
    let case = Case::new();
    for codec in ["zstd", "gzip"] {
        let log = format!("log.{codec}");
        for run in 1..=2 {
            let mut command = afx_in(case.folder());
            command.args(["tee", "--append", "--no-stdout", "--compress", codec, &log]);
            let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let before = case.path(&log).metadata().map_or(0, |found| found.len());
            let mut writer = child.stdin.take().unwrap();
            writer.write_all(b"a line\n").unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while case.path(&log).metadata().map_or(0, |found| found.len()) == before {
                assert!(Instant::now() < deadline, "nothing was written");
                thread::yield_now();
            }
            send(&child, Signal::TERM);
            let output = child.wait_with_output().unwrap();
            drop(writer);
            assert_eq!(output.status.signal(), Some(Signal::TERM.as_raw()));
            assert_eq!(text(&output.stderr), "");
            let restored = shell(case.folder(), &format!("\"$AFX\" copy --decompress {log} - "));
            assert_succeeded(&restored);
            assert_eq!(text(&restored.stdout), "a line\n".repeat(run), "{codec}");
        }
    }
}

#[test]
fn a_signal_takes_the_manifest_that_is_being_made_as_well() {
    let case = Case::new();
    let manifest = ["--manifest", "sums"];
    let (child, _writer) = copy_under_way_with(&case, &mut afx_in(case.folder()), &manifest);
    assert_eq!(case.names().len(), 5, "a file for the target and one for the manifest");
    wait_until_it_answers(&child);
    send(&child, Signal::TERM);
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(case.names(), ["fifo", "source", "target"]);
}
