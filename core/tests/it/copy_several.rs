//! One source to several targets in one pass: all of them, or none.

use crate::Tested;
use crate::case::{Case, again, fifo, has, is_root, job, passes, pattern, sha256, skip};
use afx_core::{
    Error, Operation,
    copy::{CopyOptions, CopyReport, End, InPlace, Outcome, Writing, copy},
    hash::{Algorithm, Hasher},
    limits::{CHUNK_BYTES, PIPELINE_SLOTS},
};
use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Read, pipe},
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

fn hashed() -> CopyOptions {
    CopyOptions { hashes: vec![Algorithm::Sha256], ..CopyOptions::default() }
}

fn open(file: impl Into<OwnedFd>) -> End {
    End::Open(Arc::new(file.into()), "<open>".into())
}

fn to_all(source: &Path, targets: &[PathBuf], options: &CopyOptions) -> Result<CopyReport, Error> {
    let targets: Vec<End> = targets.iter().map(End::from).collect();
    copy::<Tested>(&source.into(), &targets, options)
}

#[test]
fn every_target_holds_the_source_and_the_digests_are_of_these_bytes() {
    let case = Case::new();
    let targets = ["target", "new", "third"].map(|name| case.path(name));
    for len in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 7] {
        let content = pattern(len);
        fs::write(&case.source, &content).unwrap();
        for hashes in [vec![], vec![Algorithm::Sha256], vec![Algorithm::Blake3, Algorithm::Sha256]] {
            let digests: Vec<_> = hashes
                .iter()
                .map(|algorithm| {
                    let mut hasher = Hasher::new(*algorithm);
                    hasher.update(&content);
                    hasher.finish()
                })
                .collect();
            let options = CopyOptions { hashes, ..CopyOptions::default() };
            let report = to_all(&case.source, &targets, &options).unwrap();
            assert_eq!((report.bytes, report.digests), (len as u64, digests));
            for (target, report) in targets.iter().zip(&report.targets) {
                assert!(fs::read(target).unwrap() == content, "{len} bytes differ");
                assert_eq!((&report.path, report.outcome), (target, Outcome::Replaced));
            }
        }
    }
    assert_eq!(case.names(), ["new", "source", "target", "third"]);
}

#[test]
fn one_that_fails_leaves_all_the_old_targets_whole_wherever_it_stands() {
    let case = Case::new();
    fs::write(case.path("second"), "old").unwrap();
    for len in [1000, 5 * CHUNK_BYTES] {
        fs::write(&case.source, pattern(len)).unwrap();
        for (bad, operation, errno) in [
            (PathBuf::from("/dev/full"), Operation::Write, libc::ENOSPC),
            (case.path("no/new"), Operation::Open, libc::ENOENT),
            (case.folder.path().to_path_buf(), Operation::Open, libc::EISDIR),
        ] {
            for place in 0..3 {
                let mut targets = vec![case.path("target"), case.path("second")];
                targets.insert(place, bad.clone());
                let error = to_all(&case.source, &targets, &hashed()).unwrap_err();
                assert_eq!((error.operation(), error.raw_os_error()), (operation, Some(errno)));
                assert_eq!(error.path(), Some(bad.as_path()));
                assert_eq!(fs::read(case.path("second")).unwrap(), b"old");
                assert_eq!(fs::read(&case.target).unwrap(), b"old");
                assert_eq!(case.names(), ["second", "source", "target"]);
            }
        }
    }
}

#[test]
fn a_new_file_that_was_to_be_written_in_place_is_not_left_behind_empty() {
    let case = Case::new();
    let options = CopyOptions { writing: Writing::InPlace, ..CopyOptions::default() };
    for bad in [case.path("no/new"), case.folder.path().to_path_buf()] {
        let targets = [case.path("new"), case.target.clone(), bad];
        to_all(&case.source, &targets, &options).unwrap_err();
        case.assert_untouched();
    }
    options.cancel.cancel();
    to_all(&case.source, &[case.path("new"), case.target.clone()], &options).unwrap_err();
    case.assert_untouched();
}

#[test]
fn a_directory_that_cannot_be_written_leaves_all_the_old_targets_whole() {
    const NAME: &str = "copy_several::a_directory_that_cannot_be_written_leaves_all_the_old_targets_whole";
    if job().is_none() && is_root() {
        if !has("setpriv") {
            return skip(NAME, "setpriv is missing");
        }
        let powers = "-dac_override,-dac_read_search";
        let through = ["setpriv", "--bounding-set", powers, "--inh-caps", powers];
        return passes(again(NAME, &through, "denied"));
    }
    let case = Case::new();
    let shut = case.path("shut");
    fs::create_dir(&shut).unwrap();
    fs::write(shut.join("old"), "old").unwrap();
    fs::set_permissions(&shut, Permissions::from_mode(0o555)).unwrap();
    assert_eq!(File::create(shut.join("denied")).unwrap_err().kind(), ErrorKind::PermissionDenied);
    let error = to_all(&case.source, &[case.target.clone(), shut.join("new")], &hashed()).unwrap_err();
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::Open, Some(libc::EACCES)));
    assert_eq!(error.path(), Some(shut.join("new").as_path()));
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
    // What is there already is written in place, and with `Atomic` it is not.
    let atomic = CopyOptions { writing: Writing::Atomic, ..CopyOptions::default() };
    let error = to_all(&case.source, &[case.target.clone(), shut.join("old")], &atomic).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, Some(shut.join("old").as_path())));
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
    assert_eq!(fs::read(shut.join("old")).unwrap(), b"old");
    let report = to_all(&case.source, &[case.target.clone(), shut.join("old")], &hashed()).unwrap();
    let outcomes: Vec<_> = report.targets.iter().map(|target| target.outcome).collect();
    assert_eq!(outcomes, [Outcome::Replaced, Outcome::InPlace(InPlace::Directory)]);
    assert_eq!(fs::read(shut.join("old")).unwrap(), pattern(1000));
    assert_eq!(case.names(), ["shut", "source", "target"]);
    assert_eq!(fs::read_dir(&shut).unwrap().count(), 1);
}

#[test]
fn one_place_given_twice_by_whatever_name_is_refused_before_it_is_touched() {
    let case = Case::new();
    fs::hard_link(&case.target, case.path("hard")).unwrap();
    symlink("target", case.path("soft")).unwrap();
    symlink(".", case.path("here")).unwrap();
    let names = case.names();
    for writing in [Writing::Auto, Writing::InPlace] {
        let options = CopyOptions { writing, ..CopyOptions::default() };
        for (one, two) in [
            ("target", "target"),
            ("target", "./target"),
            ("target", "soft"),
            ("target", "hard"),
            ("hard", "soft"),
            ("target", "here/target"),
            ("new", "here/new"),
        ] {
            let targets = [case.path(one), case.path("between"), case.path(two)];
            let error = to_all(&case.source, &targets, &options).unwrap_err();
            assert_eq!((error.operation(), error.kind()), (Operation::Copy, ErrorKind::InvalidInput));
            assert_eq!(error.path(), Some(case.path(two).as_path()), "{one} {two}");
        }
        let opened = || open(File::options().append(true).open(&case.target).unwrap());
        for targets in [
            [opened(), case.target.clone().into()],
            [case.path("soft").into(), opened()],
            [opened(), opened()],
        ] {
            let error = copy::<Tested>(&End::from(&case.source), &targets, &options).unwrap_err();
            assert_eq!((error.operation(), error.kind()), (Operation::Copy, ErrorKind::InvalidInput));
        }
        let to_source =
            [case.target.clone().into(), open(File::options().write(true).open(&case.source).unwrap())];
        let error = copy::<Tested>(&End::from(&case.source), &to_source, &options).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidInput, Some(case.source.as_path())));
    }
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
    assert_eq!(fs::read(&case.source).unwrap(), pattern(1000));
    assert_eq!(case.names(), names);
}

#[test]
fn a_pipe_and_files_get_the_same_bytes_and_the_slowest_sets_the_pace() {
    let case = Case::new();
    let content = pattern(40 * CHUNK_BYTES + 11);
    fs::write(&case.source, &content).unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let targets = [End::from(&case.target), open(writer), case.path("new").into()];
    let options = hashed();
    // What may be between the source and a reader who takes nothing: every buffer, and the pipe itself.
    let ahead = ((PIPELINE_SLOTS + 2) * CHUNK_BYTES) as u64;
    let report = thread::scope(|scope| {
        let copying = scope.spawn(|| {
            let targets = targets;
            copy::<Tested>(&End::from(&case.source), &targets, &options)
        });
        let mut taken = Vec::new();
        let mut piece = vec![0; 50_000];
        loop {
            let count = reader.read(&mut piece).unwrap();
            taken.extend_from_slice(&piece[..count]);
            let done = options.progress.bytes();
            assert!(done <= taken.len() as u64 + ahead, "{done} bytes read for {} taken", taken.len());
            if count == 0 {
                break;
            }
        }
        assert!(taken == content);
        copying.join().unwrap().unwrap()
    });
    assert_eq!(report.digests, [sha256(&content)]);
    let outcomes: Vec<_> = report.targets.iter().map(|target| target.outcome).collect();
    assert_eq!(outcomes, [Outcome::Replaced, Outcome::Streamed, Outcome::Replaced]);
    assert!(fs::read(&case.target).unwrap() == content && fs::read(case.path("new")).unwrap() == content);
    assert_eq!(case.names(), ["new", "source", "target"]);
}

#[test]
fn a_target_that_fails_ends_the_wait_for_one_that_takes_nothing() {
    let case = Case::new();
    fs::write(&case.source, pattern(40 * CHUNK_BYTES)).unwrap();
    for name in ["one", "two"] {
        let target = case.path(name);
        fifo(&target);
        // It opens, reads nothing, and stays.
        let reader = File::options().read(true).write(true).open(&target).unwrap();
        let mut targets = vec![target.clone(), case.target.clone()];
        targets.insert(usize::from(name == "two"), "/dev/full".into());
        let error = to_all(&case.source, &targets, &hashed()).unwrap_err();
        assert_eq!((error.operation(), error.raw_os_error()), (Operation::Write, Some(libc::ENOSPC)));
        drop(reader);
        fs::remove_file(target).unwrap();
    }
    case.assert_untouched();
}

#[test]
fn memory_stays_flat_however_much_goes_to_however_many() {
    const NAME: &str = "copy_several::memory_stays_flat_however_much_goes_to_however_many";
    /// The most bytes that a copy may keep in memory, the program included.
    const MOST_BYTES: u64 = 32 * 1024 * 1024;
    if job().is_none() {
        return passes(again(NAME, &[], "measure"));
    }
    let case = Case::new();
    let file = File::create(&case.source).unwrap();
    for _ in 0..64 {
        std::io::Write::write_all(&mut &file, &pattern(1 << 20)).unwrap();
    }
    let targets = ["target", "new", "third"].map(|name| case.path(name));
    let options =
        CopyOptions { hashes: vec![Algorithm::Sha256, Algorithm::Blake3], ..CopyOptions::default() };
    assert_eq!(to_all(&case.source, &targets, &options).unwrap().bytes, 64 << 20);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u64 = most.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(most * 1024 <= MOST_BYTES, "{most} KiB");
}

#[test]
fn some_targets_are_skipped_and_the_others_written() {
    use afx_core::copy::{Overwrite, Skip};
    let case = Case::new();
    let options = CopyOptions { overwrite: Overwrite::Never, ..hashed() };
    let report = to_all(&case.source, &[case.target.clone(), case.path("new")], &options).unwrap();
    let outcomes: Vec<_> = report.targets.iter().map(|target| target.outcome).collect();
    assert_eq!(outcomes, [Outcome::Skipped(Skip::Exists), Outcome::Replaced]);
    assert_eq!((report.bytes, report.digests), (1000, vec![sha256(&pattern(1000))]));
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
    assert_eq!(fs::read(case.path("new")).unwrap(), pattern(1000));
    let report = to_all(&case.source, &[case.target.clone(), case.path("new")], &options).unwrap();
    assert_eq!((report.bytes, report.digests), (0, vec![]));
    assert_eq!(report.method.name(), "none");
}
