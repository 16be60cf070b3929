//! `--progress`, and SIGUSR1.

use crate::{
    Case, afx_in,
    signals::{copy_under_way_with, send, wait_until_it_answers},
    text,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, mkfifoat},
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// Both ends of a terminal of so many columns: what is written to the second is read from the first.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    let mut raw = tcgetattr(&theirs).unwrap();
    raw.make_raw();
    tcsetattr(&theirs, rustix::termios::OptionalActions::Now, &raw).unwrap();
    tcsetwinsize(&theirs, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (File::from(ours), theirs)
}

/// What the terminal is sent, until `wanted` is in it or nobody writes to it any more.
fn read_until(terminal: &mut File, wanted: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let deadline = Instant::now() + Duration::from_secs(20);
    while !text(&seen).contains(wanted) {
        let mut ready = [PollFd::new(&*terminal, PollFlags::IN)];
        let left = deadline.saturating_duration_since(Instant::now());
        let count = poll(&mut ready, Some(&Timespec::try_from(left).unwrap())).unwrap();
        assert!(count > 0, "{wanted:?} is not in {:?}", text(&seen));
        match terminal.read(&mut buffer) {
            Ok(count) if count > 0 => seen.extend(&buffer[..count]),
            // EIO: the last of the other end was closed.
            _ => break,
        }
    }
    text(&seen)
}

/// What the next bar says.
fn next_percent(terminal: &mut File) -> u32 {
    let seen = read_until(terminal, "\x1b[?7h");
    let bar = seen.rsplit("\x1b[?7l").next().unwrap();
    bar.split('%').next().unwrap().trim().parse().expect(bar)
}

/// A hash of what is written to the file, and of a small one before it, shown on a terminal.
fn hash_on_terminal(case: &Case, terminal: OwnedFd) -> (Child, File) {
    mkfifoat(CWD, case.path("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    let mut command = afx_in(case.folder());
    command.args(["hash", "--progress", "source", "fifo"]).env("TERM", "xterm");
    let child = command.stdout(Stdio::piped()).stderr(terminal).spawn().unwrap();
    let mut writer = File::options().write(true).open(case.path("fifo")).unwrap();
    writer.write_all(&[b'x'; 3000]).unwrap();
    (child, writer)
}

const ERASED: &str = "\r\x1b[2K \x1b[J\r";

#[test]
fn a_bar_is_drawn_on_a_terminal_and_is_gone_at_the_end() {
    let case = Case::new();
    let (mut ours, theirs) = terminal(40);
    let (child, writer) = hash_on_terminal(&case, theirs);
    let seen = read_until(&mut ours, "  2.9 KiB  ");
    assert!(seen.contains("  2.9 KiB  "), "{seen:?}");
    drop(writer);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 2));
    let rest = read_until(&mut ours, "nothing of the kind");
    assert!(rest.ends_with(ERASED), "{rest:?}");
    let drawn = [seen, rest].concat();
    let bars = drawn.split("\x1b[?7l").skip(1).map(|bar| bar.split("\x1b[?7h").next().unwrap());
    assert!(bars.clone().count() > 0 && bars.clone().all(|bar| bar.len() < 40), "{drawn:?}");
}

#[test]
fn a_message_stands_above_the_bar_and_a_signal_takes_the_bar_away() {
    let case = Case::new();
    let (mut ours, theirs) = terminal(80);
    let (child, _writer) = hash_on_terminal(&case, theirs);
    read_until(&mut ours, "  2.9 KiB  ");
    send(&child, Signal::USR1);
    let seen = read_until(&mut ours, "KiB in 0:");
    assert!(seen.contains(&format!("{ERASED}afx: 2.9 KiB in 0:")), "{seen:?}");
    read_until(&mut ours, "\x1b[?7h\x1b[J\r");
    send(&child, Signal::INT);
    let rest = read_until(&mut ours, "nothing of the kind");
    assert!(rest.ends_with(ERASED), "{rest:?}");
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(2));
}

#[test]
fn lines_come_every_few_seconds_where_there_is_no_terminal() {
    let case = Case::new();
    let mut command = afx_in(case.folder());
    let (mut child, writer) = copy_under_way_with(&case, &mut command, &["--progress"]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("afx: 4 B in 0:0") && line.ends_with("/s\n"), "{line:?}");
    drop(writer);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(case.read("target"), "some");
}

#[test]
fn sigusr1_tells_how_far_a_copy_is_without_being_asked_to_show_it() {
    for engine in ["uring", "threads"] {
        let case = Case::new();
        let (mut child, writer) =
            copy_under_way_with(&case, afx_in(case.folder()).env("AFX_ENGINE", engine), &[]);
        wait_until_it_answers(&child);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut ask = || {
            send(&child, Signal::USR1);
            let mut line = String::new();
            stderr.read_line(&mut line).unwrap();
            line
        };
        // What is in the file is counted a moment later.
        let told = (0..1000).map(|_| ask()).find(|line| !line.starts_with("afx: 0 B in 0:"));
        assert!(told.as_ref().is_some_and(|line| line.starts_with("afx: 4 B in 0:")), "{engine}: {told:?}");
        drop(writer);
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
        assert_eq!(case.read("target"), "some");
    }
}

#[test]
fn many_signals_do_no_harm_to_what_is_copied() {
    for engine in ["uring", "threads"] {
        let case = Case::new();
        let mut command = afx_in(case.folder());
        let (child, mut writer) = copy_under_way_with(&case, command.env("AFX_ENGINE", engine), &["-q"]);
        let mut content = b"some".to_vec();
        for number in 0..200_u8 {
            send(&child, Signal::USR1);
            let piece = vec![number; 40_000];
            writer.write_all(&piece).unwrap();
            content.extend(piece);
        }
        drop(writer);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{engine}");
        assert!(text(&output.stderr).lines().all(|line| line.starts_with("afx: ")), "{output:?}");
        assert!(std::fs::read(case.path("target")).unwrap() == content);
    }
}

#[test]
fn a_known_total_is_told_in_percent() {
    let case = Case::new();
    std::fs::write(case.path("big"), vec![b'x'; 10_000_000]).unwrap();
    mkfifoat(CWD, case.path("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    let (mut ours, theirs) = terminal(80);
    let mut command = afx_in(case.folder());
    command.args(["copy", "--progress", "big", "fifo"]).env("TERM", "xterm").stderr(theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    // A pipe takes 1 MiB at most, and no more until somebody reads.
    let mut reader = File::open(case.path("fifo")).unwrap();
    let percent = next_percent(&mut ours);
    assert!(percent <= 15, "{percent}");
    let mut content = vec![0; 5_000_000];
    reader.read_exact(&mut content).unwrap();
    let drawn: Vec<u32> =
        (0..100).map(|_| next_percent(&mut ours)).take_while(|percent| *percent < 50).collect();
    assert!(drawn.len() < 100 && drawn.is_sorted(), "{drawn:?}");
    let percent = next_percent(&mut ours);
    assert!((50..=65).contains(&percent), "{percent}");
    reader.read_to_end(&mut content).unwrap();
    assert_eq!((child.wait().unwrap().code(), content.len()), (Some(0), 10_000_000));
}

#[test]
fn there_is_no_bar_where_the_data_goes_to_the_same_terminal() {
    let case = Case::new();
    mkfifoat(CWD, case.path("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    let (mut ours, theirs) = terminal(80);
    let mut command = afx_in(case.folder());
    command.args(["copy", "--progress", "fifo", "-"]).env("TERM", "xterm");
    let mut child = command.stdout(theirs.try_clone().unwrap()).stderr(theirs).spawn().unwrap();
    drop(command);
    let mut writer = File::options().write(true).open(case.path("fifo")).unwrap();
    writer.write_all(b"some").unwrap();
    let mut seen = read_until(&mut ours, "some");
    // A bar would have been drawn several times by then.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !seen.contains(" in 0:01") {
        assert!(Instant::now() < deadline, "{seen:?}");
        send(&child, Signal::USR1);
        seen += &read_until(&mut ours, "\n");
    }
    drop(writer);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    seen += &read_until(&mut ours, "nothing of the kind");
    assert!(seen.starts_with("some") && !seen.contains('\x1b'), "{seen:?}");
}
