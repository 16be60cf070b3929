mod harness;
mod model;

use afx_core::tail::{Ended, Follow, Start, Tail, TailEvent, TailOptions, Unit};
use harness::{Followed, Log, follow, lines, until};
use proptest::prelude::*;
use std::{
    fmt::Write as _,
    fs,
    io::{Seek, SeekFrom, Write},
    ops::ControlFlow,
    os::unix::fs::{FileExt, symlink},
    path::Path,
    time::Duration,
};

fn contents(options: TailOptions) -> (Vec<u8>, Ended) {
    let mut found = Vec::new();
    let mut expected_offset = None;
    let ended = Tail::new(options)
        .unwrap()
        .run(|event| {
            if let TailEvent::Bytes { bytes, offset, .. } = event {
                assert_eq!(offset, expected_offset.unwrap_or(offset));
                expected_offset = Some(offset + bytes.len() as u64);
                found.extend_from_slice(bytes);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (found, ended)
}

/// Lines of which some are longer than a block of the search from the end.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![4 => 0..20_usize, 1 => 0..100_000_usize];
    (prop::collection::vec(line, 0..30), any::<bool>()).prop_map(|(lens, ends)| {
        let mut text = Vec::new();
        for (number, len) in lens.into_iter().enumerate() {
            text.extend(std::iter::repeat_n(b'a' + u8::try_from(number % 26).unwrap(), len));
            text.push(b'\n');
        }
        if !ends {
            text.pop();
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_last_lines_are_those_of_the_whole_file(text in text(), wanted in 0..40_usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, &text).unwrap();
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let last = lines[lines.len().saturating_sub(wanted)..].concat();
        let from = lines[wanted.saturating_sub(1).min(lines.len())..].concat();
        for (start, expected) in [(Start::LastLines(wanted as u64), last), (Start::Line(wanted as u64), from)] {
            let (found, ended) = contents(TailOptions { start, ..TailOptions::new(&path) });
            prop_assert!(found == expected, "{start:?}");
            prop_assert_eq!(ended, Ended::Finished);
        }
    }
}

#[test]
fn a_huge_file_is_not_read_whole_for_its_last_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut file = fs::File::create(&path).unwrap();
    file.set_len(10 << 30).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"\none\ntwo\n").unwrap();
    // Ten gigabytes take seconds to read, and their one line does not end in the last blocks.
    let before = fs::read_to_string("/proc/thread-self/io").unwrap();
    assert_eq!(
        contents(TailOptions { start: Start::LastLines(2), ..TailOptions::new(&path) }).0,
        b"one\ntwo\n"
    );
    let after = fs::read_to_string("/proc/thread-self/io").unwrap();
    let read =
        |io: &str| -> u64 { io.lines().next().unwrap().strip_prefix("rchar: ").unwrap().parse().unwrap() };
    assert!(read(&after) - read(&before) < 1 << 20);
}

#[test]
fn a_file_that_claims_no_size_has_last_lines() {
    let (found, _) =
        contents(TailOptions { start: Start::LastLines(1), ..TailOptions::new("/proc/self/status") });
    assert!(found.starts_with(b"nonvoluntary_ctxt_switches:"), "{}", String::from_utf8_lossy(&found));
}

#[test]
fn an_adopted_file_is_read_from_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one\ntwo\nthree\n").unwrap();
    for (start, expected) in [(Start::LastLines(10), "two\nthree\n"), (Start::Line(2), "three\n")] {
        let mut file = fs::File::open(&path).unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        let mut found = Vec::new();
        let options = TailOptions { start, ..TailOptions::new("-") };
        let ended = Tail::new(options).unwrap().with_file(file.into()).run(|event| {
            if let TailEvent::Bytes { bytes, .. } = event {
                found.extend_from_slice(bytes);
            }
            ControlFlow::Continue(())
        });
        assert_eq!(ended.unwrap(), Ended::Finished);
        assert_eq!(String::from_utf8(found).unwrap(), expected);
    }
}

#[test]
fn errors_name_operation_and_path() {
    let missing = Path::new("/nonexistent/log");
    let run = |path: &Path, follow| {
        Tail::new(TailOptions { follow, ..TailOptions::new(path) })
            .unwrap()
            .run(|_| ControlFlow::Continue(()))
    };
    let error = run(missing, Follow::Descriptor).unwrap_err();
    assert_eq!((error.path(), error.raw_os_error()), (Some(missing), Some(libc::ENOENT)));
    for follow in [Follow::No, Follow::Descriptor, Follow::Name] {
        let error = run(Path::new("/"), follow).unwrap_err();
        assert_eq!(
            (error.operation(), error.raw_os_error()),
            (afx_core::Operation::Read, Some(libc::EISDIR))
        );
    }
}

#[test]
fn appended_bytes_come_at_once_and_lines_when_they_end() {
    let mut log = Log::new();
    log.append("old\n");
    let bytes = Followed::start(TailOptions { follow: Follow::Descriptor, ..log.options() });
    let lines = Followed::start(TailOptions { unit: Unit::Lines, ..follow(&log) });
    bytes.expect("old\n");
    lines.expect("old\n");
    log.append("new\nbegun");
    bytes.expect("old\nnew\nbegun");
    lines.expect("old\nnew\n");
    log.append(" and ended\n");
    bytes.expect("old\nnew\nbegun and ended\n");
    lines.expect("old\nnew\nbegun and ended\n");
    assert_eq!(bytes.notices() + &lines.notices(), "");
    assert_eq!((bytes.stop(), lines.stop()), (Ended::Stopped, Ended::Stopped));
}

#[test]
fn nothing_appended_between_the_end_of_the_file_and_the_watch_is_missed() {
    for _ in 0..30 {
        let mut log = Log::new();
        log.append("old\n");
        let options = TailOptions { start: Start::Line(1), ..follow(&log) };
        let followed = Followed::start(options);
        let mut expected = String::from("old\n");
        for number in 0..100 {
            // The first of these race with the start of the run.
            log.append(&format!("{number}\n"));
            writeln!(expected, "{number}").unwrap();
        }
        followed.expect(&expected);
    }
}

#[test]
fn a_truncated_file_is_read_again_from_its_start() {
    let mut log = Log::new();
    log.append("one\ntwo\n");
    let followed = Followed::start(follow(&log));
    followed.expect("one\ntwo\n");
    log.truncate();
    followed.expect_notices("truncated ");
    log.append("three\n");
    followed.expect("one\ntwo\nthree\n");
}

#[test]
fn a_rewrite_to_the_same_or_a_greater_length_is_seen() {
    for rewritten in ["ONE\nTWO\n", "ONE\nTWO\nTHREE\n", "banner\n".repeat(20).as_str()] {
        let mut log = Log::new();
        let old =
            if rewritten.starts_with('b') { "banner\n".repeat(12) + "end\n" } else { "one\ntwo\n".into() };
        log.append(&old);
        let followed = Followed::start(TailOptions { start: Start::Line(1), ..follow(&log) });
        followed.expect(&old);
        // Both in front of the next look: the sink is still busy with what came before.
        followed.pause();
        log.append("x\n");
        followed.expect_paused();
        log.truncate();
        log.append(rewritten);
        followed.resume();
        followed.expect(&format!("{old}x\n{rewritten}"));
        followed.expect_notices("truncated ");
    }
}

#[test]
fn a_header_changed_in_place_is_no_rewrite() {
    let mut log = Log::new();
    log.append("count 1\n");
    log.append(&"line\n".repeat(30));
    let followed = Followed::start(TailOptions { start: Start::LastLines(1), ..follow(&log) });
    followed.expect("line\n");
    fs::File::options().write(true).open(log.path()).unwrap().write_all_at(b"count 2", 0).unwrap();
    log.append("next\n");
    followed.expect("line\nnext\n");
    assert_eq!(followed.notices(), "");
}

#[test]
fn an_empty_start_at_the_end_notices_a_truncation() {
    let mut log = Log::new();
    log.append("one\ntwo\n");
    let followed = Followed::start(TailOptions { start: Start::LastLines(0), ..follow(&log) });
    followed.wait_until_idle(log.path());
    log.truncate();
    followed.expect_notices("truncated ");
    log.append("three\n");
    followed.expect("three\n");
}

#[test]
fn the_old_file_is_finished_before_the_new_one() {
    let mut log = Log::new();
    log.append("one\n");
    let followed = Followed::start(follow(&log));
    followed.expect("one\n");
    followed.pause();
    log.append("two\n");
    followed.expect_paused();
    log.append("three\n");
    let mut old = log.rotate();
    log.append("four\n");
    writeln!(old, "five, late").unwrap();
    followed.resume();
    followed.expect("one\ntwo\nthree\nfive, late\nfour\n");
    assert_eq!(followed.generations(), [0, 0, 0, 1]);
}

#[test]
fn lines_of_a_late_writer_still_come_and_split_no_line_of_the_new_file() {
    let mut log = Log::new();
    log.append("one\n");
    let followed = Followed::start(TailOptions { line_wait: Duration::from_mins(1), ..follow(&log) });
    followed.expect("one\n");
    let mut old = log.rotate();
    log.append("two\n");
    followed.expect("one\ntwo\n");
    writeln!(old, "late").unwrap();
    followed.expect("one\ntwo\nlate\n");
    log.append("three beg");
    followed.expect("one\ntwo\nlate\nthree beg");
    writeln!(old, "later").unwrap();
    log.append("un\n");
    followed.expect("one\ntwo\nlate\nthree begun\nlater\n");
    write!(old, "latest, in").unwrap();
    log.append("four\n");
    followed.expect("one\ntwo\nlate\nthree begun\nlater\nfour\n");
    writeln!(old, " two parts").unwrap();
    followed.expect("one\ntwo\nlate\nthree begun\nlater\nfour\nlatest, in two parts\n");
}

#[test]
fn a_line_that_does_not_end_holds_another_file_up_for_a_while_only() {
    let mut log = Log::new();
    log.append("never end");
    let followed = Followed::start(TailOptions { line_wait: Duration::from_millis(50), ..follow(&log) });
    followed.expect("never end");
    let old = log.rotate();
    log.append("next\n");
    followed.expect("never endnext\n");
    drop(old);
}

#[test]
fn a_file_that_the_name_has_left_is_closed_after_a_while_and_its_last_line_put_out() {
    let mut log = Log::new();
    log.append("one\n");
    let followed =
        Followed::start(TailOptions { linger: Duration::from_millis(50), unit: Unit::Lines, ..follow(&log) });
    followed.expect("one\n");
    let mut old = log.rotate();
    log.append("two\n");
    write!(old, "no terminator").unwrap();
    followed.expect_sorted("one\ntwo\nno terminator");
    let old_file = old.metadata().unwrap();
    drop(old);
    until("the old file is closed", || !harness::is_open(&old_file));
}

#[test]
fn a_deleted_file_is_closed_after_a_while_and_a_recreated_one_followed() {
    let mut log = Log::new();
    log.append("one\n");
    let followed = Followed::start(TailOptions { linger: Duration::from_millis(50), ..follow(&log) });
    followed.expect("one\n");
    let old = log.delete();
    followed.expect_notices("inaccessible ");
    until("the deleted file is closed", || !harness::is_open(&old));
    log.append("two\n");
    followed.expect("one\ntwo\n");
    followed.expect_notices("inaccessible appeared ");
}

#[test]
fn a_missing_file_is_waited_for_and_so_are_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/log");
    let followed = Followed::start(TailOptions { follow: Follow::Name, ..TailOptions::new(&path) });
    followed.expect_notices("missing ");
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::create_dir(folder.path().join("a/b")).unwrap();
    fs::write(&path, lines(0..30)).unwrap();
    followed.expect(&lines(0..30));
    followed.expect_notices("missing appeared ");
    fs::rename(folder.path().join("a"), folder.path().join("c")).unwrap();
    followed.expect_notices("missing appeared inaccessible ");
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::write(&path, "new\n").unwrap();
    followed.expect(&(lines(0..30) + "new\n"));
}

#[test]
fn a_file_that_comes_back_is_continued_where_it_was_left() {
    let mut log = Log::new();
    log.append("one\n");
    let followed = Followed::start(follow(&log));
    followed.expect("one\n");
    let aside = log.folder().join("aside");
    fs::rename(log.path(), &aside).unwrap();
    followed.expect_notices("inaccessible ");
    fs::write(log.path(), "between\n").unwrap();
    followed.expect("one\nbetween\n");
    fs::OpenOptions::new().append(true).open(&aside).unwrap().write_all(b"two\n").unwrap();
    fs::rename(&aside, log.path()).unwrap();
    followed.expect("one\nbetween\ntwo\n");
    // It has the name again: it is not just a late writer's.
    followed.expect_notices("inaccessible appeared replaced ");
    assert_eq!(followed.generations(), [0, 1, 0]);
}

#[test]
fn a_symlink_that_comes_to_lead_elsewhere_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("other")).unwrap();
    fs::write(path("a"), "one\n").unwrap();
    fs::write(path("other/b"), "two\n").unwrap();
    symlink("a", path("link")).unwrap();
    let followed = Followed::start(TailOptions { follow: Follow::Name, ..TailOptions::new(path("link")) });
    followed.expect("one\n");
    symlink("other/b", path("new")).unwrap();
    fs::rename(path("new"), path("link")).unwrap();
    followed.expect("one\ntwo\n");
    // The target is rotated in its own folder.
    fs::rename(path("other/b"), path("other/b.1")).unwrap();
    fs::write(path("other/b"), "three\n").unwrap();
    followed.expect("one\ntwo\nthree\n");
    // A symlink on the way is replaced.
    fs::create_dir(path("third")).unwrap();
    fs::write(path("third/b"), "four\n").unwrap();
    fs::remove_file(path("link")).unwrap();
    symlink("way/b", path("link")).unwrap();
    symlink("third", path("way")).unwrap();
    followed.expect("one\ntwo\nthree\nfour\n");
    fs::create_dir(path("fourth")).unwrap();
    fs::write(path("fourth/b"), "five\n").unwrap();
    symlink("fourth", path("way2")).unwrap();
    fs::rename(path("way2"), path("way")).unwrap();
    followed.expect("one\ntwo\nthree\nfour\nfive\n");
}

#[test]
fn something_without_an_end_in_place_of_the_file_is_said_and_a_file_waited_for() {
    let mut log = Log::new();
    log.append("one\n");
    let followed = Followed::start(follow(&log));
    followed.expect("one\n");
    log.delete();
    followed.expect_notices("inaccessible ");
    fs::create_dir(log.path()).unwrap();
    followed.expect_notices("inaccessible ");
    fs::remove_dir(log.path()).unwrap();
    log.append("two\n");
    followed.expect("one\ntwo\n");
}

#[test]
fn three_rotations_while_nobody_reads_lose_no_line() {
    let mut log = Log::new();
    let followed = Followed::start(follow(&log));
    log.append("begin\n");
    followed.expect("begin\n");
    followed.pause();
    log.append("paused\n");
    followed.expect_paused();
    for generation in 0..3 {
        for block in 0..20 {
            let first = generation * 20_000 + block * 1000;
            log.append(&lines(first..first + 1000));
        }
        log.rotate();
    }
    followed.resume();
    followed.expect(&format!("begin\npaused\n{}", lines(0..60_000)));
}

#[test]
fn every_generation_is_opened_when_seen_and_read_in_order() {
    let mut log = Log::new();
    log.append("begin\n");
    let followed = Followed::start(follow(&log));
    followed.expect("begin\n");
    let mut expected = String::from("begin\n");
    for generation in 0..40 {
        // As logrotate does: every older file moves on, then the log.
        for number in (1..=generation).rev() {
            fs::rename(
                log.folder().join(format!("log.{number}")),
                log.folder().join(format!("log.{}", number + 1)),
            )
            .unwrap();
        }
        fs::rename(log.path(), log.folder().join("log.1")).unwrap();
        let text = format!("generation {generation}\n");
        fs::write(log.path(), &text).unwrap();
        expected += &text;
    }
    followed.expect(&expected);
}

#[test]
fn a_hard_link_put_over_the_name_is_followed() {
    let mut log = Log::new();
    log.append("one\n");
    let followed = Followed::start(follow(&log));
    followed.expect("one\n");
    let new = log.folder().join("new");
    fs::write(&new, "two\n").unwrap();
    let link = log.folder().join("link");
    fs::hard_link(&new, &link).unwrap();
    fs::rename(&link, log.path()).unwrap();
    followed.expect("one\ntwo\n");
    assert_eq!(followed.notices(), "replaced ");
    fs::OpenOptions::new().append(true).open(&new).unwrap().write_all(b"three\n").unwrap();
    followed.expect("one\ntwo\nthree\n");
}

#[test]
fn a_name_that_is_not_utf8_is_followed() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"l\xffg"));
    fs::write(&path, "one\n").unwrap();
    let followed = Followed::start(TailOptions { follow: Follow::Name, ..TailOptions::new(&path) });
    followed.expect("one\n");
    fs::rename(&path, folder.path().join("old")).unwrap();
    fs::write(&path, "two\n").unwrap();
    followed.expect("one\ntwo\n");
}

#[test]
fn polling_sees_what_the_kernel_does_not_tell() {
    let mut log = Log::new();
    log.append("one\nxxx\n");
    let options = TailOptions { poll: Some(Duration::from_millis(5)), ..follow(&log) };
    let followed = Followed::start(options);
    followed.expect("one\nxxx\n");
    // A change through a memory map is not told.
    harness::write_through_a_map(log.path(), 4, b"two\n");
    followed.expect_notices("truncated ");
    followed.expect("one\nxxx\none\ntwo\n");
}

#[test]
fn a_file_system_that_tells_of_nothing_is_polled_unasked() {
    let (name, renamed) = (c"first", c"second");
    rustix::thread::set_name(name).unwrap();
    let path = format!("/proc/self/task/{}/comm", rustix::thread::gettid().as_raw_nonzero());
    let followed = Followed::start(TailOptions { follow: Follow::Descriptor, ..TailOptions::new(path) });
    followed.expect("first\n");
    rustix::thread::set_name(renamed).unwrap();
    followed.expect("first\nsecond\n");
}

#[test]
fn a_stream_has_last_lines_and_a_fifo_waits_for_its_next_writer() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(lines(0..100).as_bytes()).unwrap();
    drop(writer);
    let mut found = Vec::new();
    let options = TailOptions { start: Start::LastLines(3), follow: Follow::Name, ..TailOptions::new("-") };
    let ended = Tail::new(options).unwrap().with_file(reader.into()).run(|event| {
        if let TailEvent::Bytes { bytes, offset, .. } = event {
            assert_eq!(offset, lines(0..97).len() as u64 + found.len() as u64);
            found.extend_from_slice(bytes);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(ended.unwrap(), Ended::Finished);
    assert_eq!(String::from_utf8(found).unwrap(), lines(97..100));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    harness::make_fifo(&path);
    let options =
        TailOptions { start: Start::LastLines(1), follow: Follow::Descriptor, ..TailOptions::new(&path) };
    let followed = Followed::start(options);
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"one\ntwo\n").unwrap();
    followed.expect("two\n");
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"three\n").unwrap();
    followed.expect("two\nthree\n");
    assert_eq!(followed.stop(), Ended::Stopped);
}

#[test]
fn a_run_ends_when_the_sink_breaks_or_nobody_reads_its_output() {
    let mut log = Log::new();
    log.append("one\n");
    let ended = Tail::new(follow(&log)).unwrap().run(|_| ControlFlow::Break(()));
    assert_eq!(ended.unwrap(), Ended::Broken);
    for follow in [Follow::Descriptor, Follow::Name] {
        let (reader, writer) = std::io::pipe().unwrap();
        let tail = Tail::new(TailOptions { follow, ..log.options() }).unwrap().with_output(writer.into());
        let running = std::thread::spawn(move || tail.run(|_| ControlFlow::Continue(())));
        drop(reader);
        until("the run has ended", || running.is_finished());
        assert_eq!(running.join().unwrap().unwrap(), Ended::OutputClosed);
    }
}

#[test]
fn a_run_that_was_stopped_before_it_began_ends_at_once() {
    let log = Log::new();
    let tail = Tail::new(follow(&log)).unwrap();
    tail.stop().stop();
    assert_eq!(tail.run(|_| ControlFlow::Continue(())).unwrap(), Ended::Stopped);
}

#[test]
fn a_panicking_sink_leaves_no_thread_behind() {
    let mut log = Log::new();
    log.append("one\n");
    let tail = Tail::new(follow(&log)).unwrap();
    let run = std::thread::spawn(move || tail.run(|_| panic!("the sink's own")));
    until("the run has ended", || run.is_finished());
    assert!(run.join().is_err());
}
