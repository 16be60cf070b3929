//! How a target gets its new content, row by row, and what it holds after a failure.

use crate::Tested;
use crate::case::{Case, again, fifo, has, is_root, job, passes, pattern, skip};
use afx_core::{
    Cancel, Error, Operation,
    copy::{CopyOptions, CopyReport, Durability, InPlace, Outcome, Writing, copy_file},
    limits::CHUNK_BYTES,
};
use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

fn copy(source: &Path, target: &Path, writing: Writing) -> Result<CopyReport, Error> {
    let options = CopyOptions { writing, ..CopyOptions::default() };
    copy_file::<Tested>(source, target, &options)
}

/// A target that cannot be replaced in one step for `reason` is not touched if it has to be, and is written in
/// place otherwise.
fn assert_in_place_only(case: &Case, target: &Path, reason: InPlace) {
    let told = Arc::new(AtomicUsize::new(0));
    let mut options = CopyOptions { writing: Writing::Atomic, ..CopyOptions::default() };
    let count = told.clone();
    options.on_in_place = Some(Arc::new(move |_: &Path, _| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let (before, names) = (fs::metadata(target).unwrap(), case.names());
    let error = copy_file::<Tested>(&case.source, target, &options).unwrap_err();
    assert_eq!((error.operation(), error.kind()), (Operation::Copy, ErrorKind::Unsupported), "{error}");
    assert_eq!(error.path(), Some(target));
    assert!(error.io_error().to_string().contains(&reason.to_string()), "{:?}", error.io_error());
    let after = fs::metadata(target).unwrap();
    assert_eq!(
        (after.ino(), after.len(), after.mtime_nsec()),
        (before.ino(), before.len(), before.mtime_nsec())
    );
    assert_eq!((case.names(), told.load(Ordering::Relaxed)), (names, 0));
    let report = copy(&case.source, target, Writing::Auto).unwrap();
    assert_eq!(report.targets[0].outcome, Outcome::InPlace(reason));
    assert_eq!(fs::metadata(target).unwrap().ino(), before.ino());
}

#[test]
fn hard_links_and_devices_are_written_in_place_or_with_atomic_not_at_all() {
    let case = Case::new();
    fs::hard_link(&case.target, case.path("other")).unwrap();
    assert_in_place_only(&case, &case.target, InPlace::HardLinks);
    assert_eq!(fs::read(case.path("other")).unwrap(), pattern(1000));
    symlink("target", case.path("link")).unwrap();
    assert_in_place_only(&case, &case.path("link"), InPlace::HardLinks);
    assert_in_place_only(&case, Path::new("/dev/null"), InPlace::Special);
    let held = case.path("fifo");
    fifo(&held);
    // Read and written by this test, so that opening it does not wait: a thousand bytes fit in it.
    let _both = File::options().read(true).write(true).open(&held).unwrap();
    assert_in_place_only(&case, &held, InPlace::Special);
    // A name of /proc for an open file.
    let opened = File::options().write(true).open(&case.target).unwrap();
    let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&opened));
    assert_in_place_only(&case, Path::new(&name), InPlace::Special);
    assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
}

#[test]
fn a_mount_point_is_written_in_place_or_with_atomic_not_at_all() {
    const NAME: &str = "copy_replace::a_mount_point_is_written_in_place_or_with_atomic_not_at_all";
    if job().is_none() {
        if !is_root() {
            return skip(NAME, "only root may mount");
        }
        let tried = Command::new("unshare").args(["--mount", "true"]).output().unwrap();
        if !tried.status.success() {
            return skip(NAME, String::from_utf8_lossy(&tried.stderr).trim());
        }
        return passes(again(NAME, &["unshare", "--mount", "--propagation", "private"], "mount"));
    }
    let case = Case::new();
    let other = case.path("other");
    fs::write(&other, "other").unwrap();
    assert!(Command::new("mount").arg("--bind").args([&other, &case.target]).status().unwrap().success());
    assert_in_place_only(&case, &case.target, InPlace::MountPoint);
    assert_eq!(fs::read(&other).unwrap(), pattern(1000));
    assert!(Command::new("umount").arg(&case.target).status().unwrap().success());
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
}

#[test]
fn what_a_new_file_could_not_keep_is_written_in_place_or_with_atomic_not_at_all() {
    const NAME: &str =
        "copy_replace::what_a_new_file_could_not_keep_is_written_in_place_or_with_atomic_not_at_all";
    if job().is_none() {
        if !(is_root() && has("setpriv")) {
            return skip(NAME, "it takes root, and setpriv");
        }
        let powers = "-chown";
        return passes(again(NAME, &["setpriv", "--bounding-set", powers, "--inh-caps", powers], "no chown"));
    }
    let case = Case::new();
    // Made by somebody else: this process may not give files away.
    let denied = std::os::unix::fs::chown(&case.target, Some(1234), None).unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    let mut as_other = Command::new("setpriv");
    fs::set_permissions(case.folder.path(), Permissions::from_mode(0o777)).unwrap();
    as_other.args(["--reuid", "1234", "--clear-groups", "sh", "-c", "echo old > \"$0\""]);
    let target = case.path("theirs");
    assert!(as_other.arg(&target).status().unwrap().success());
    fs::set_permissions(&target, Permissions::from_mode(0o666)).unwrap();
    assert_in_place_only(&case, &target, InPlace::Attributes);
    assert_eq!(fs::metadata(&target).unwrap().uid(), 1234);
    assert_eq!(fs::read(&target).unwrap(), pattern(1000));
}

#[test]
fn what_is_asked_to_be_written_in_place_is_whatever_it_is() {
    let case = Case::new();
    let new = case.path("new");
    let report = copy(&case.source, &new, Writing::InPlace).unwrap();
    assert_eq!(report.targets[0].outcome, Outcome::InPlace(InPlace::Asked));
    assert_eq!(fs::read(&new).unwrap(), pattern(1000));
    // Longer than the source, so that its end must go; its mode stays.
    fs::write(&case.target, pattern(9000)).unwrap();
    fs::set_permissions(&case.target, Permissions::from_mode(0o741)).unwrap();
    fs::hard_link(&case.target, case.path("other")).unwrap();
    symlink("target", case.path("link")).unwrap();
    let before = fs::metadata(&case.target).unwrap();
    for target in [&case.target, &case.path("link"), &case.path("other")] {
        for durability in [Durability::None, Durability::Data, Durability::Full] {
            fs::write(&case.target, pattern(9000)).unwrap();
            let options =
                CopyOptions { writing: Writing::InPlace, durability, verify: true, ..CopyOptions::default() };
            let report = copy_file::<Tested>(&case.source, target, &options).unwrap();
            assert_eq!(report.targets[0].outcome, Outcome::InPlace(InPlace::Asked));
            assert!(report.targets[0].verified.is_some());
            let after = fs::metadata(&case.target).unwrap();
            assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
            assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
        }
    }
    let held = case.path("fifo");
    fifo(&held);
    let read = thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read(&held).unwrap());
        copy(&case.source, &held, Writing::InPlace).unwrap();
        reader.join().unwrap()
    });
    assert_eq!(read, pattern(1000));
    assert_eq!(copy(&case.source, Path::new("/dev/null"), Writing::InPlace).unwrap().bytes, 1000);
    assert_eq!(case.names(), ["fifo", "link", "new", "other", "source", "target"]);
}

#[test]
fn a_copy_that_was_cancelled_before_it_began_does_not_empty_what_is_written_in_place() {
    let case = Case::new();
    let cancel = Cancel::new();
    cancel.cancel();
    let options = CopyOptions { writing: Writing::InPlace, cancel, ..CopyOptions::default() };
    let error = copy_file::<Tested>(&case.source, &case.target, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    case.assert_untouched();
}

#[test]
fn a_copy_in_place_that_is_cancelled_in_the_middle_leaves_a_clean_prefix() {
    let case = Case::new();
    let source = case.path("fifo");
    fifo(&source);
    let content = pattern(3 * CHUNK_BYTES);
    let options = CopyOptions { writing: Writing::InPlace, ..CopyOptions::default() };
    thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Tested>(&source, &case.target, &options));
        let mut writer = File::options().write(true).open(&source).unwrap();
        writer.write_all(&content).unwrap();
        while options.progress.bytes() < CHUNK_BYTES as u64 {
            thread::yield_now();
        }
        options.cancel.cancel();
        assert_eq!(copying.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
    });
    let held = fs::read(&case.target).unwrap();
    assert!(content.starts_with(&held), "{} bytes", held.len());
}
