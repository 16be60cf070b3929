//! `afx tail`.

use crate::{afx_in, run, text};
use proptest::prelude::*;
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

/// Longer than any wait takes on a machine that works.
const BOUND: Duration = Duration::from_secs(30);

/// A process that follows a file, and what it has written so far.
struct Following {
    child: Child,
    stdout: Arc<(Mutex<Vec<u8>>, Condvar)>,
    stderr: Arc<(Mutex<Vec<u8>>, Condvar)>,
}

impl Following {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = spawn(folder, arguments);
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    fn expect(&self, expected: &str) {
        wait(&self.stdout, expected);
    }

    fn expect_said(&self, expected: &str) {
        wait(&self.stderr, expected);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = afx_in(folder);
    command.arg("tail").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn collect(mut stream: impl Read + Send + 'static) -> Arc<(Mutex<Vec<u8>>, Condvar)> {
    let collected = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let target = collected.clone();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            target.0.lock().unwrap().extend_from_slice(&buffer[..count]);
            target.1.notify_all();
        }
    });
    collected
}

fn wait((bytes, changed): &(Mutex<Vec<u8>>, Condvar), expected: &str) {
    let bytes = bytes.lock().unwrap();
    let (bytes, _) = changed.wait_timeout_while(bytes, BOUND, |bytes| bytes.len() < expected.len()).unwrap();
    assert_eq!(text(&bytes), expected);
}

fn exit_of(child: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::yield_now();
    }
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn of_gnu(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    piped(Command::new("tail").args(arguments).current_dir(folder), input)
}

fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap().stdout
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_lines_printed_are_those_of_gnu_tail(
        lens in prop::collection::vec(prop_oneof![6 => 0..30_usize, 1 => 0..90_000_usize], 0..40),
        ends in any::<bool>(),
        plus in prop_oneof![Just("+"), Just("-"), Just("")],
        number in 0..50_u32,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut input: Vec<u8> = lens.iter().flat_map(|len| [vec![b'x'; *len], vec![b'\n']].concat()).collect();
        if !ends {
            input.pop();
        }
        fs::write(folder.path().join("file"), &input).unwrap();
        let lines = format!("{plus}{number}");
        let expected = of_gnu(folder.path(), &["-n", &lines, "file"], b"");
        let output = run(folder.path(), ["tail", "-n", &lines, "file"]);
        prop_assert!(output.stdout == expected, "of a file, -n {lines}");
        prop_assert_eq!(output.status.code(), Some(0));
        let found = piped(afx_in(folder.path()).args(["tail", "-n", &lines]), &input);
        prop_assert!(found == expected, "of a pipe, -n {lines}");
    }
}

#[test]
fn numbers_that_are_none_are_wrong_usage() {
    for lines in ["x", "++1", "+-1", "", "1.5", "99999999999999999999"] {
        let output = run(Path::new("."), ["tail", "-n", lines, "file"]);
        assert_eq!(output.status.code(), Some(2), "{lines}");
    }
    for seconds in ["0", "-1", "x", "nan"] {
        assert_eq!(run(Path::new("."), ["tail", "-s", seconds, "file"]).status.code(), Some(2), "{seconds}");
    }
}

#[test]
fn a_missing_file_and_a_directory_are_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dir")).unwrap();
    for (name, said) in [
        ("no", "afx: cannot open 'no': No such file or directory\n"),
        ("dir", "afx: cannot read 'dir': Is a directory\n"),
    ] {
        let output = run(folder.path(), ["tail", name]);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(1), said));
    }
    let output = run(folder.path(), ["tail", "-F", "-"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn standard_input_is_read_from_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one\ntwo\nthree\n").unwrap();
    let mut file = File::open(&path).unwrap();
    file.read_exact(&mut [0; 4]).unwrap();
    let output = afx_in(folder.path()).args(["tail", "-n", "+1"]).stdin(file).output().unwrap();
    assert_eq!(text(&output.stdout), "two\nthree\n");
}

#[test]
fn zero_terminated_lines_end_with_nul() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "a\nb\0c\nd\0").unwrap();
    assert_eq!(text(&run(folder.path(), ["tail", "-z", "-n1", "file"]).stdout), "c\nd\0");
}

#[test]
fn what_happens_to_the_file_is_said_on_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let following = Following::start(folder.path(), &["-F", "log"]);
    let mut said = String::from("afx: cannot open 'log': No such file or directory\n");
    following.expect_said(&said);
    append(&path, b"one\n");
    following.expect("one\n");
    said += "afx: 'log' has appeared; following new file\n";
    following.expect_said(&said);
    let new = folder.path().join("new");
    fs::write(&new, "two, longer\n").unwrap();
    fs::rename(&new, &path).unwrap();
    following.expect("one\ntwo, longer\n");
    said += "afx: 'log' has been replaced; following new file\n";
    following.expect_said(&said);
    fs::write(&path, "three\n").unwrap();
    following.expect("one\ntwo, longer\nthree\n");
    said += "afx: 'log': file truncated\n";
    following.expect_said(&said);
    fs::remove_file(&path).unwrap();
    said += "afx: 'log' has become inaccessible: No such file or directory\n";
    following.expect_said(&said);
}

#[test]
fn quiet_says_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "one\n").unwrap();
    let following = Following::start(folder.path(), &["-q", "-F", "log"]);
    following.expect("one\n");
    fs::rename(&path, folder.path().join("log.1")).unwrap();
    append(&path, b"two\n");
    following.expect("one\ntwo\n");
    assert_eq!(text(&following.stderr.0.lock().unwrap()), "");
}

#[test]
fn a_descriptor_is_followed_whatever_its_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    append(&path, b"one\n");
    let following = Following::start(folder.path(), &["-f", "log"]);
    following.expect("one\n");
    let renamed = folder.path().join("log.1");
    fs::rename(&path, &renamed).unwrap();
    append(&path, b"of another file\n");
    append(&renamed, b"two, begun");
    following.expect("one\ntwo, begun");
}

#[test]
fn sigint_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("log"), b"one\n");
    let mut following = Following::start(folder.path(), &["-F", "log"]);
    following.expect("one\n");
    let process = rustix::process::Pid::from_child(&following.child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert_eq!(exit_of(&mut following.child).signal(), Some(2));
}

#[test]
fn it_ends_by_sigpipe_when_nobody_reads_it_also_while_idle() {
    for arguments in [&["-F", "log"][..], &["-f", "log"], &["-n", "+1", "/proc/self/fd/0"]] {
        let folder = tempfile::tempdir().unwrap();
        append(&folder.path().join("log"), b"one\n");
        let (input, _silent) = std::io::pipe().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = afx_in(folder.path());
        command.arg("tail").args(arguments).stdin(input).stdout(OwnedFd::from(writer));
        let mut child = command.spawn().unwrap();
        // The command holds the writing end as well.
        drop((command, reader));
        assert_eq!(exit_of(&mut child).signal(), Some(13), "{arguments:?}");
    }
}

#[test]
fn a_full_output_is_said_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("log"), b"one\n");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = afx_in(folder.path()).args(["tail", "-F", "log"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "afx: cannot write standard output: No space left on device\n");
}

/// Reads everything, but only when asked to: until then the writer fills the pipe and waits.
fn read_all(mut stdout: ChildStdout, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stdout.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn three_rotations_while_nobody_reads_lose_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    append(&path, b"begin\n");
    let mut child = spawn(folder.path(), &["-F", "-q", "log"]);
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 6]).unwrap();
    let mut expected = Vec::new();
    for generation in 0..3 {
        for number in 0..20 {
            let line = |line| format!("generation {generation} line {:06}\n", number * 1000 + line);
            let block: String = (0..1000).map(line).collect();
            append(&path, block.as_bytes());
            expected.extend_from_slice(block.as_bytes());
        }
        fs::rename(&path, folder.path().join(format!("log.{generation}"))).unwrap();
        File::create(&path).unwrap();
    }
    assert!(read_all(stdout, expected.len()) == expected);
    child.kill().unwrap();
    child.wait().unwrap();
}
