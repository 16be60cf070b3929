//! One stream to many targets: what each gets, and what the failure of one does to the others.

use crate::Tested;
use afx_core::{
    Cancel, Operation,
    compress::{Compression, Transformer},
    copy::{CopyOptions, End, Sparse, copy},
    hash::{Algorithm, Hasher},
    tee::{OnFailure, OnSlow, TeeOptions, TeeReport, tee},
};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, PipeReader, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt, symlink},
    },
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tempfile::TempDir;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn stream(reader: PipeReader) -> End {
    End::Open(Arc::new(OwnedFd::from(reader)), "-".into())
}

/// Has a thread write `content` to a pipe that is tee's source.
fn tee_of(content: &[u8], targets: &[End], options: &TeeOptions) -> TeeReport {
    let (reader, mut writer) = io::pipe().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            // A source that nobody reads to its end is no failure of this thread.
            let _ = writer.write_all(content);
        });
        tee::<Tested>(&stream(reader), targets, options).unwrap()
    })
}

#[test]
fn every_target_gets_the_whole_stream_and_the_digest_is_of_it() {
    let folder = folder();
    for len in [0, 1, 300_000, 3_000_001] {
        let content = pattern(len);
        let targets: Vec<End> = (0..3).map(|number| folder.path().join(number.to_string()).into()).collect();
        let options = TeeOptions { hashes: vec![Algorithm::Sha256], ..TeeOptions::default() };
        let report = tee_of(&content, &targets, &options);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&content);
        assert_eq!(report.digests, [hasher.finish()]);
        assert_eq!(report.bytes, len as u64);
        for (target, written) in targets.iter().zip(report.targets) {
            assert_eq!(written.unwrap(), len as u64);
            assert!(fs::read(target.name()).unwrap() == content);
        }
    }
}

#[test]
fn files_are_emptied_first_unless_they_are_appended_to() {
    let folder = folder();
    let target = folder.path().join("target");
    fs::write(&target, "a long old content").unwrap();
    tee_of(b"new", &[target.clone().into()], &TeeOptions::default());
    assert_eq!(fs::read(&target).unwrap(), b"new");
    let options = TeeOptions { append: true, ..TeeOptions::default() };
    tee_of(b"er", &[target.clone().into()], &options);
    assert_eq!(fs::read(&target).unwrap(), b"newer");
}

#[test]
fn a_target_that_fails_takes_no_other_with_it_unless_that_was_asked_for() {
    let folder = folder();
    let content = pattern(2_000_000);
    let good = folder.path().join("good");
    let targets: [End; 3] = ["/dev/full".into(), good.clone().into(), "/no/such/directory/file".into()];
    let report = tee_of(&content, &targets, &TeeOptions::default());
    let errnos: Vec<_> = report
        .targets
        .iter()
        .map(|target| target.as_ref().err().and_then(afx_core::Error::raw_os_error))
        .collect();
    assert_eq!(errnos, [Some(libc::ENOSPC), None, Some(libc::ENOENT)]);
    assert!(fs::read(&good).unwrap() == content);

    let (reader, mut writer) = io::pipe().unwrap();
    let hashes = vec![Algorithm::Sha256];
    let options = TeeOptions { on_failure: OnFailure::Stop, hashes, ..TeeOptions::default() };
    writer.write_all(b"some").unwrap();
    // The writer stays, so only the failure can end it.
    let report = tee::<Tested>(&stream(reader), &targets[..2], &options).unwrap();
    assert_eq!(report.targets[0].as_ref().unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(fs::read(&good).unwrap(), b"some", "what was read still goes to the others");
    assert_eq!(report.digests, [], "what was read is not the whole stream");
    drop(writer);
}

#[test]
fn a_pipe_that_nobody_reads_any_more_ends_it_where_that_was_asked_for() {
    let folder = folder();
    let good = folder.path().join("good");
    for (on_failure, ends) in [(OnFailure::StopAtBrokenPipe, true), (OnFailure::GoOn, false)] {
        let (unread, broken) = io::pipe().unwrap();
        drop(unread);
        let broken = End::Open(Arc::new(OwnedFd::from(broken)), "broken".into());
        let (reader, mut writer) = io::pipe().unwrap();
        let options = TeeOptions { on_failure, ..TeeOptions::default() };
        let targets = [broken, good.clone().into()];
        let report = thread::scope(|scope| {
            let running = scope.spawn(|| tee::<Tested>(&stream(reader), &targets, &options).unwrap());
            writer.write_all(b"one").unwrap();
            if !ends {
                while fs::read(&good).unwrap_or_default() != b"one" {
                    thread::yield_now();
                }
                writer.write_all(b"two").unwrap();
                drop(writer);
            }
            running.join().unwrap()
        });
        assert_eq!(report.targets[0].as_ref().unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(fs::read(&good).unwrap(), if ends { &b"one"[..] } else { b"onetwo" });
    }
}

#[test]
fn a_target_that_takes_nothing_is_left_behind_with_a_prefix_and_the_others_have_all() {
    let folder = folder();
    let good = folder.path().join("good");
    let content = pattern(40 * 1024 * 1024);
    let (mut stuck_reader, stuck) = io::pipe().unwrap();
    let stuck = End::Open(Arc::new(OwnedFd::from(stuck)), "stuck".into());
    let options = TeeOptions { on_slow: OnSlow::Detach, ..TeeOptions::default() };
    let report = tee_of(&content, &[stuck, good.clone().into()], &options);
    let error = report.targets[0].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(*report.targets[1].as_ref().unwrap(), content.len() as u64);
    assert!(fs::read(&good).unwrap() == content);
    let mut got = Vec::new();
    stuck_reader.read_to_end(&mut got).unwrap();
    assert!(content.starts_with(&got), "bytes are missing from the middle");
    assert!(error.offset().unwrap() <= got.len() as u64);
}

#[test]
fn a_pipe_that_must_not_wait_is_written_to_its_last_byte() {
    let content = pattern(5_000_000);
    let (mut reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let target = End::Open(Arc::new(OwnedFd::from(writer)), "pipe".into());
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).unwrap();
            got
        });
        let report = tee_of(&content, std::slice::from_ref(&target), &TeeOptions::default());
        assert_eq!(*report.targets[0].as_ref().unwrap(), content.len() as u64);
        drop(target);
        assert!(reading.join().unwrap() == content);
    });
}

fn restored(compressed: &[u8]) -> Vec<u8> {
    let mut transformer = Transformer::decompressor(None).unwrap();
    let (mut rest, mut output, mut buffer) = (compressed, Vec::new(), vec![0; 65_536]);
    loop {
        let step = transformer.step(rest, &mut buffer).unwrap();
        output.extend_from_slice(&buffer[..step.produced]);
        rest = &rest[step.consumed..];
        if rest.is_empty() && step.produced < buffer.len() {
            return output;
        }
    }
}

#[test]
fn what_is_compressed_is_readable_before_the_stream_ends() {
    let folder = folder();
    let target = folder.path().join("target.zst");
    let (reader, mut writer) = io::pipe().unwrap();
    let compression = Some("zstd".parse::<Compression>().unwrap());
    let options = TeeOptions { compression, ..TeeOptions::default() };
    thread::scope(|scope| {
        let running = scope.spawn(|| tee::<Tested>(&stream(reader), &[target.clone().into()], &options));
        for sofar in ["one\n", "one\ntwo\n"] {
            writer.write_all(&sofar.as_bytes()[sofar.len() - 4..]).unwrap();
            while restored(&fs::read(&target).unwrap_or_default()) != sofar.as_bytes() {
                assert!(!running.is_finished());
                thread::yield_now();
            }
        }
        drop(writer);
        running.join().unwrap().unwrap();
    });
    assert_eq!(restored(&fs::read(&target).unwrap()), b"one\ntwo\n");
}

#[test]
fn a_copy_is_compressed_and_restored_on_its_way_and_a_broken_one_replaces_nothing() {
    let folder = folder();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let content = pattern(3_000_000);
    fs::write(path("plain"), &content).unwrap();
    for codec in ["zstd:1", "gzip"] {
        let options = CopyOptions { compression: Some(codec.parse().unwrap()), ..CopyOptions::default() };
        let packed = copy::<Tested>(&path("plain").into(), &[path("packed").into()], &options).unwrap();
        assert_eq!(packed.bytes, fs::metadata(path("packed")).unwrap().len());
        assert_eq!(options.progress.bytes(), 3_000_000);
        let options =
            CopyOptions { compression: Some(Compression::Decompress(None)), ..CopyOptions::default() };
        copy::<Tested>(&path("packed").into(), &[path("back").into()], &options).unwrap();
        assert!(fs::read(path("back")).unwrap() == content);

        let packed = fs::read(path("packed")).unwrap();
        fs::write(path("cut"), &packed[..packed.len() - 3]).unwrap();
        let error = copy::<Tested>(&path("cut").into(), &[path("back").into()], &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(error.path(), Some(path("cut").as_path()));
        assert!(fs::read(path("back")).unwrap() == content, "the old target is whole");
    }
}

#[test]
fn what_was_sparse_before_it_was_compressed_is_sparse_when_it_is_restored() {
    let folder = folder();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let file = File::create(path("plain")).unwrap();
    file.write_all_at(&pattern(10_000), 30 << 20).unwrap();
    file.set_len(50 << 20).unwrap();
    let packing = CopyOptions { compression: Some("zstd:1".parse().unwrap()), ..CopyOptions::default() };
    copy::<Tested>(&path("plain").into(), &[path("packed").into()], &packing).unwrap();
    for (sparse, is_sparse) in [(Sparse::Auto, true), (Sparse::Never, false)] {
        let restoring = CopyOptions {
            compression: Some(Compression::Decompress(None)),
            sparse,
            ..CopyOptions::default()
        };
        copy::<Tested>(&path("packed").into(), &[path("back").into()], &restoring).unwrap();
        let stored = fs::metadata(path("back")).unwrap().blocks() * 512;
        assert_eq!(stored < 1 << 20, is_sparse, "{sparse:?}: {stored}");
        assert!(fs::read(path("back")).unwrap() == fs::read(path("plain")).unwrap());
    }
}

#[test]
fn what_was_read_before_a_cancel_is_in_the_targets_and_more_can_be_appended() {
    let folder = folder();
    let compressions = [None, Some("zstd"), Some("gzip:9")];
    for compression in compressions.map(|how| how.map(|how| how.parse().unwrap())) {
        let target = folder.path().join(format!("{compression:?}"));
        for number in 1..=2 {
            let (reader, mut writer) = io::pipe().unwrap();
            let cancel = Cancel::new();
            let options =
                TeeOptions { append: true, compression, cancel: cancel.clone(), ..TeeOptions::default() };
            thread::scope(|scope| {
                let running =
                    scope.spawn(|| tee::<Tested>(&stream(reader), &[target.clone().into()], &options));
                writer.write_all(&pattern(500_000)).unwrap();
                while options.progress.bytes() < 500_000 {
                    thread::yield_now();
                }
                cancel.cancel();
                assert_eq!(running.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
            });
            let restored = folder.path().join("restored");
            let restore = CopyOptions {
                compression: compression.map(|_| Compression::Decompress(None)),
                ..CopyOptions::default()
            };
            copy::<Tested>(&target.clone().into(), &[restored.clone().into()], &restore).unwrap();
            assert!(fs::read(&restored).unwrap() == pattern(500_000).repeat(number), "{compression:?}");
        }
    }
}

#[test]
fn nothing_is_appended_behind_what_was_cut_off_and_nobody_could_read() {
    let folder = folder();
    for (compression, marker) in [("zstd", b"zst"), ("gzip", b"gz!")] {
        let options = TeeOptions {
            append: true,
            compression: Some(compression.parse().unwrap()),
            ..TeeOptions::default()
        };
        let target = folder.path().join(compression);
        let targets = [target.clone().into()];
        tee_of(&pattern(300_000), &targets, &options);
        let whole = fs::read(&target).unwrap();
        for (content, is_refused) in [
            (whole.clone(), false),
            (Vec::new(), false),
            (whole[..whole.len() - 1].to_vec(), true),
            ([whole.as_slice(), &whole[..20]].concat(), true),
            ([whole.as_slice(), marker].concat(), true),
        ] {
            fs::write(&target, &content).unwrap();
            let report = tee_of(b"more", &targets, &options);
            let written = report.targets[0].as_ref();
            assert_eq!(written.is_err(), is_refused, "{compression}, {} bytes", content.len());
            if let Err(error) = written {
                assert_eq!((error.operation(), error.path()), (Operation::Open, Some(target.as_path())));
                assert_eq!(fs::read(&target).unwrap(), content);
            }
        }
    }
}

#[test]
fn a_panic_of_the_function_that_is_told_comes_through_while_the_source_is_idle() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&pattern(1000)).unwrap();
    let folder = folder();
    let targets = [End::from(PathBuf::from("/dev/full")), folder.path().join("good").into()];
    let options = TeeOptions {
        on_target_failed: Some(Arc::new(|_| panic!("what it was told is too much"))),
        ..TeeOptions::default()
    };
    let (tell, told) = mpsc::channel();
    let teeing = thread::spawn(move || {
        let teed =
            panic::catch_unwind(AssertUnwindSafe(|| tee::<Tested>(&stream(reader), &targets, &options)));
        tell.send(teed.is_err()).unwrap();
    });
    let panicked = told.recv_timeout(Duration::from_secs(20));
    drop(writer);
    teeing.join().unwrap();
    assert_eq!(panicked, Ok(true));
}

#[test]
fn a_file_that_is_read_is_not_written_and_the_other_targets_are() {
    let folder = folder();
    let (file, link, good) =
        (folder.path().join("file"), folder.path().join("link"), folder.path().join("good"));
    fs::write(&file, pattern(1000)).unwrap();
    symlink("file", &link).unwrap();
    let open = End::Open(Arc::new(File::options().append(true).open(&file).unwrap().into()), "-".into());
    for append in [false, true] {
        let options = TeeOptions { append, ..TeeOptions::default() };
        let targets = [file.clone().into(), link.clone().into(), open.clone(), good.clone().into()];
        let report = tee::<Tested>(&file.clone().into(), &targets, &options).unwrap();
        for refused in &report.targets[..3] {
            assert_eq!(refused.as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!((report.bytes, *report.targets[3].as_ref().unwrap()), (1000, 1000));
        assert_eq!(fs::read(&file).unwrap(), pattern(1000));
    }
}

#[test]
fn what_has_left_the_pipe_when_a_stream_is_stopped_is_written() {
    let folder = folder();
    let target = folder.path().join("file");
    for _ in 0..100 {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut rest = reader.try_clone().unwrap();
        let options = TeeOptions::default();
        let targets = [target.clone().into()];
        let (cancel, progress) = (options.cancel.clone(), options.progress.clone());
        let sender = thread::spawn(move || {
            let mut sent = Vec::new();
            for _ in 0..20 {
                // When it is waited for.
                while progress.bytes() < sent.len() as u64 {
                    thread::yield_now();
                }
                let bytes = (sent.len() as u64).to_le_bytes();
                writer.write_all(&bytes).unwrap();
                sent.extend(bytes);
            }
            cancel.cancel();
            (sent, writer)
        });
        tee::<Tested>(&stream(reader), &targets, &options).unwrap_err();
        let (sent, writer) = sender.join().unwrap();
        drop(writer);
        let mut left = Vec::new();
        rest.read_to_end(&mut left).unwrap();
        assert!(sent == [fs::read(&target).unwrap(), left].concat(), "something is in neither");
    }
}
