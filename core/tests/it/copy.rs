//! Copying one file: what the target holds, what it keeps, and what a failure leaves.

use crate::Tested;
use crate::case::{Case, access_list, access_list_of, copy_and_listen, every_call, fifo, pattern, sha256};
use afx_core::{
    Cancel, Error, Operation,
    copy::{CopyOptions, CopyReport, InPlace, copy_file},
    hash::Algorithm,
    limits::CHUNK_BYTES,
    testing::{Fault, FaultSwitch, Faults},
};
use rustix::fs::{Mode, XattrFlags, getxattr, setxattr};
use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

fn copy(source: &Path, target: &Path) -> Result<CopyReport, Error> {
    copy_file::<Tested>(source, target, &CopyOptions::default())
}

#[test]
fn the_target_holds_the_source_whatever_its_size_and_the_digest_is_of_these_bytes() {
    let case = Case::new();
    for len in [0, 1, 4095, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 7 * CHUNK_BYTES + 13] {
        let content = pattern(len);
        fs::write(&case.source, &content).unwrap();
        for hash in [None, Some(Algorithm::Sha256)] {
            let options = CopyOptions { hashes: hash.into_iter().collect(), ..CopyOptions::default() };
            let report = copy_file::<Tested>(&case.source, &case.target, &options).unwrap();
            assert!(fs::read(&case.target).unwrap() == content, "{len} bytes differ");
            assert_eq!((report.bytes, options.progress.bytes()), (len as u64, len as u64));
            assert_eq!(report.digests.first().copied(), hash.map(|_| sha256(&content)));
            assert_eq!(report.in_place(), None);
        }
    }
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn a_new_target_gets_the_permissions_of_the_source_under_the_creation_mask() {
    let case = Case::new();
    for mode in [0o600, 0o444, 0o6777] {
        fs::set_permissions(&case.source, Permissions::from_mode(mode)).unwrap();
        let (target, plain) = (case.path("new"), case.path("plain"));
        copy(&case.source, &target).unwrap();
        // What `open(2)` makes of it.
        rustix::fs::open(
            &plain,
            rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY,
            Mode::from_raw_mode(mode & 0o777),
        )
        .unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode(), fs::metadata(&plain).unwrap().mode(), "{mode:o}");
        fs::remove_file(target).unwrap();
        fs::remove_file(plain).unwrap();
    }
}

#[test]
fn an_existing_target_is_replaced_and_keeps_its_owner_permissions_and_attributes() {
    let case = Case::new();
    fs::set_permissions(&case.target, Permissions::from_mode(0o640)).unwrap();
    setxattr(&case.target, "user.kept", b"value", XattrFlags::empty()).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&case.target, Some(1234), Some(5678)).unwrap();
    }
    let before = fs::metadata(&case.target).unwrap();
    let reader = File::open(&case.target).unwrap();
    assert_eq!(copy(&case.source, &case.target).unwrap().in_place(), None);
    let after = fs::metadata(&case.target).unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino());
    let mut value = [0; 16];
    let len = getxattr(&case.target, "user.kept", &mut value).unwrap();
    assert_eq!(&value[..len], b"value");
    let mut old = String::new();
    (&reader).read_to_string(&mut old).unwrap();
    assert_eq!(old, "old", "a reader of the old file keeps it");
}

#[test]
fn access_control_lists_are_kept_and_inherited_by_new_files_only() {
    let case = Case::new();
    let list = access_list(1234, 4);
    setxattr(&case.target, "system.posix_acl_access", &list, XattrFlags::empty()).unwrap();
    fs::write(case.path("without"), "old").unwrap();
    let default = access_list(4321, 6);
    setxattr(case.folder.path(), "system.posix_acl_default", &default, XattrFlags::empty()).unwrap();
    for name in ["target", "without", "new"] {
        assert_eq!(copy(&case.source, &case.path(name)).unwrap().in_place(), None);
    }
    assert_eq!(access_list_of(&case.target), Some(list));
    assert_eq!(access_list_of(&case.path("without")), None);
    // As of any file that is created with the source's mode.
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    rustix::fs::open(case.path("plain"), flags, Mode::from_raw_mode(0o644)).unwrap();
    assert_eq!(access_list_of(&case.path("new")), access_list_of(&case.path("plain")));
    assert!(access_list_of(&case.path("new")).is_some());
}

#[test]
fn a_target_with_other_hard_links_is_written_in_place_and_said_so() {
    let case = Case::new();
    fs::write(&case.target, pattern(5000)).unwrap();
    fs::hard_link(&case.target, case.path("other")).unwrap();
    let (result, told) = copy_and_listen(&case.source, &case.target);
    assert_eq!(result.unwrap().in_place(), Some(InPlace::HardLinks));
    assert_eq!(told, [InPlace::HardLinks]);
    assert_eq!(fs::read(case.path("other")).unwrap(), pattern(1000));
}

#[test]
fn a_fifo_and_a_device_are_written_to_and_stay_what_they_are() {
    let case = Case::new();
    let target = case.path("fifo");
    fifo(&target);
    let ((result, told), read) = thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read(&target).unwrap());
        (copy_and_listen(&case.source, &target), reader.join().unwrap())
    });
    assert_eq!(read, pattern(1000));
    assert_eq!((result.unwrap().in_place(), told), (Some(InPlace::Special), vec![InPlace::Special]));
    assert_eq!(copy(&case.source, Path::new("/dev/null")).unwrap().bytes, 1000);
}

#[test]
fn a_link_stays_and_what_it_points_to_is_replaced() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    let link = case.path("folder/link");
    symlink("middle", &link).unwrap();
    symlink("../target", case.path("folder/middle")).unwrap();
    assert_eq!(copy(&case.source, &link).unwrap().in_place(), None);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
    assert_eq!(case.names(), ["folder", "source", "target"]);
}

#[test]
fn a_link_to_nothing_and_a_loop_of_links_are_refused() {
    let case = Case::new();
    let (dangling, round) = (case.path("dangling"), case.path("round"));
    symlink("nowhere", &dangling).unwrap();
    symlink("round", &round).unwrap();
    assert_eq!(copy(&case.source, &dangling).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    assert_eq!(copy(&case.source, &round).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    assert_eq!(case.names(), ["dangling", "round", "source", "target"]);
}

#[test]
fn source_and_target_that_are_one_file_by_any_name_are_refused_before_it_is_touched() {
    let case = Case::new();
    fs::hard_link(&case.source, case.path("hard")).unwrap();
    symlink("source", case.path("soft")).unwrap();
    for name in ["source", "./source", "hard", "soft"] {
        let error = copy(&case.source, &case.path(name)).unwrap_err();
        assert_eq!((error.operation(), error.kind()), (Operation::Copy, ErrorKind::InvalidInput), "{name}");
    }
    assert_eq!(
        copy(Path::new("/dev/null"), Path::new("/dev/null")).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(fs::read(&case.source).unwrap(), pattern(1000));
}

#[test]
fn a_directory_is_refused_on_either_side_and_a_missing_source_changes_nothing() {
    let case = Case::new();
    let refused = |source: &Path, target: &Path, errno: i32, path: &Path| {
        let error = copy(source, target).unwrap_err();
        assert_eq!((error.raw_os_error(), error.path()), (Some(errno), Some(path)));
    };
    refused(case.folder.path(), &case.target, libc::EISDIR, case.folder.path());
    refused(&case.source, case.folder.path(), libc::EISDIR, case.folder.path());
    refused(&case.source, &case.path("new/"), libc::EISDIR, &case.path("new/"));
    refused(&case.source, &case.path("no/new"), libc::ENOENT, &case.path("no/new"));
    refused(&case.source, &case.path("source/new"), libc::ENOTDIR, &case.path("source/new"));
    refused(&case.path("missing"), &case.target, libc::ENOENT, &case.path("missing"));
    case.assert_untouched();
}

#[test]
fn a_name_of_255_bytes_works() {
    let case = Case::new();
    let target = case.path(&"n".repeat(255));
    copy(&case.source, &target).unwrap();
    copy(&case.source, &target).unwrap();
    assert_eq!(fs::read(&target).unwrap(), pattern(1000));
    assert_eq!(case.names().len(), 3);
}

#[test]
fn a_fifo_and_a_file_of_proc_are_copied_to_their_end() {
    let case = Case::new();
    let source = case.path("fifo");
    fifo(&source);
    let content = pattern(2 * CHUNK_BYTES + 3);
    thread::scope(|scope| {
        scope.spawn(|| fs::write(&source, &content).unwrap());
        assert_eq!(copy(&source, &case.target).unwrap().bytes, content.len() as u64);
    });
    assert!(fs::read(&case.target).unwrap() == content);
    copy(Path::new("/proc/version"), &case.target).unwrap();
    assert_eq!(fs::read(&case.target).unwrap(), fs::read("/proc/version").unwrap());
}

#[test]
fn holes_stay_holes_and_count_as_zeros() {
    let case = Case::new();
    let file = File::create(&case.source).unwrap();
    file.write_all_at(b"start", 0).unwrap();
    file.write_all_at(b"middle", 5_000_000).unwrap();
    file.set_len(20_000_000).unwrap();
    let content = fs::read(&case.source).unwrap();
    let (result, _) = copy_and_listen(&case.source, &case.target);
    assert_eq!(result.unwrap().digests, [sha256(&content)]);
    assert!(fs::read(&case.target).unwrap() == content);
    assert!(fs::metadata(&case.target).unwrap().blocks() * 512 < 200_000, "the holes were filled");
    // A pipe cannot skip.
    let target = case.path("fifo");
    fifo(&target);
    thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read(&target).unwrap());
        copy(&case.source, &target).unwrap();
        assert!(reader.join().unwrap() == content);
    });
}

/// A terabyte.
const END: u64 = 1 << 40;

#[test]
fn a_sparse_terabyte_takes_neither_the_disk_nor_the_day() {
    let case = Case::new();
    let file = File::create(&case.source).unwrap();
    file.write_all_at(b"end", END - 3).unwrap();
    let report = copy(&case.source, &case.target).unwrap();
    assert_eq!(report.bytes, END);
    let mut end = [0; 4];
    File::open(&case.target).unwrap().read_exact_at(&mut end, END - 4).unwrap();
    assert_eq!(&end, b"\0end");
    assert!(fs::metadata(&case.target).unwrap().blocks() * 512 < 200_000);
}

#[test]
fn a_full_device_is_reported_at_the_byte_it_filled_up_at() {
    let case = Case::new();
    let error = copy(&case.source, Path::new("/dev/full")).unwrap_err();
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::Write, Some(libc::ENOSPC)));
    assert_eq!((error.path(), error.offset()), (Some(Path::new("/dev/full")), Some(0)));
}

#[test]
fn a_write_that_fails_ends_a_copy_whose_source_is_silent() {
    let case = Case::new();
    let source = case.path("fifo");
    fifo(&source);
    for hash in [None, Some(Algorithm::Sha256)] {
        let options = CopyOptions { hashes: hash.into_iter().collect(), ..CopyOptions::default() };
        thread::scope(|scope| {
            let copying = scope.spawn(|| copy_file::<Tested>(&source, Path::new("/dev/full"), &options));
            let mut writer = File::options().write(true).open(&source).unwrap();
            writer.write_all(b"some").unwrap();
            // The writer is still there when the copy ends.
            assert_eq!(copying.join().unwrap().unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        });
    }
}

/// Copies from a FIFO whose writer has written `some` and keeps it open, cancels, and gives the error.
fn cancelled_in_the_middle(case: &Case, target: &Path) -> Error {
    let source = case.path("fifo");
    fifo(&source);
    let cancel = Cancel::new();
    let options =
        CopyOptions { cancel: cancel.clone(), hashes: vec![Algorithm::Sha256], ..CopyOptions::default() };
    let error = thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Tested>(&source, target, &options));
        let mut writer = File::options().write(true).open(&source).unwrap();
        writer.write_all(b"some").unwrap();
        while options.progress.bytes() < 4 {
            thread::yield_now();
        }
        assert_ne!(fs::read(&case.target).unwrap(), b"some", "written beside the target");
        cancel.cancel();
        copying.join().unwrap().unwrap_err()
    });
    fs::remove_file(source).unwrap();
    error
}

#[test]
fn a_cancelled_copy_leaves_the_old_target_whole_and_nothing_beside_it() {
    let case = Case::new();
    assert_eq!(cancelled_in_the_middle(&case, &case.target).kind(), ErrorKind::Interrupted);
    case.assert_untouched();
    let new = case.path("new");
    assert_eq!(cancelled_in_the_middle(&case, &new).kind(), ErrorKind::Interrupted);
    case.assert_untouched();
}

#[test]
fn the_temporary_file_is_private_and_has_a_short_name_derived_from_the_targets() {
    let case = Case::new();
    let (source, target) = (case.path("fifo"), case.path(&"n".repeat(255)));
    fifo(&source);
    fs::set_permissions(&source, Permissions::from_mode(0o644)).unwrap();
    let options = CopyOptions::default();
    thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Tested>(&source, &target, &options));
        let mut writer = File::options().write(true).open(&source).unwrap();
        writer.write_all(b"some").unwrap();
        while options.progress.bytes() < 4 {
            thread::yield_now();
        }
        let names = case.names();
        let name = names.iter().find(|name| name.starts_with(".afx-")).unwrap();
        assert!(name.len() < 32, "{name}");
        assert_eq!(fs::metadata(case.path(name)).unwrap().mode() & 0o7777, 0o600);
        drop(writer);
        copying.join().unwrap().unwrap();
    });
    assert_eq!(fs::read(&target).unwrap(), b"some");
    assert_eq!(case.names().iter().filter(|name| name.starts_with(".afx-")).count(), 0);
}

#[test]
fn the_file_of_a_dead_writer_is_removed_and_that_of_a_live_one_is_not() {
    let case = Case::new();
    let source = case.path("fifo");
    fifo(&source);
    let options = CopyOptions::default();
    thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Tested>(&source, &case.target, &options));
        let mut writer = File::options().write(true).open(&source).unwrap();
        writer.write_all(b"late").unwrap();
        while options.progress.bytes() < 4 {
            thread::yield_now();
        }
        let live = case.names().into_iter().find(|name| name.starts_with(".afx-")).unwrap();
        // As two killed copies leave theirs: nobody has a lock on them.
        let numbered = |number: u32| format!("{}.{number}", live.strip_suffix(".0").unwrap());
        fs::write(case.path(&numbered(1)), "dead").unwrap();
        fs::write(case.path(&numbered(2)), "dead").unwrap();
        copy(&case.source, &case.target).unwrap();
        assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
        let left: Vec<_> = case.names().into_iter().filter(|name| name.starts_with(".afx-")).collect();
        assert_eq!(left, [live]);
        drop(writer);
        copying.join().unwrap().unwrap();
    });
    assert_eq!(fs::read(&case.target).unwrap(), b"late");
    assert_eq!(case.names(), ["fifo", "source", "target"]);
}

/// Returns when some thread of this process waits for the other end of a FIFO; after a while in any
/// case, since not every kernel tells.
fn wait_until_an_open_waits() {
    let deadline = Instant::now() + Duration::from_secs(2);
    let waits = || {
        let mut tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks.any(|task| fs::read(task.path().join("wchan")).is_ok_and(|place| place == b"wait_for_partner"))
    };
    while !waits() && Instant::now() < deadline {
        thread::yield_now();
    }
}

#[test]
fn waiting_for_the_other_end_of_a_fifo_ends_when_it_is_cancelled() {
    let case = Case::new();
    let (read_end, write_end) = (case.path("read"), case.path("write"));
    for (fifo_path, source, target) in
        [(&read_end, &read_end, &case.target), (&write_end, &case.source, &write_end)]
    {
        fifo(fifo_path);
        let cancel = Cancel::new();
        let options = CopyOptions { cancel: cancel.clone(), ..CopyOptions::default() };
        let error = thread::scope(|scope| {
            let copying = scope.spawn(|| copy_file::<Tested>(source, target, &options).unwrap_err());
            wait_until_an_open_waits();
            cancel.cancel();
            copying.join().unwrap()
        });
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        // On threads, the open itself cannot be called back: let it end.
        drop(File::options().read(true).write(true).open(fifo_path).unwrap());
        fs::remove_file(fifo_path).unwrap();
    }
    case.assert_untouched();
}

#[test]
fn whichever_call_fails_the_old_target_is_whole_and_short_or_interrupted_calls_are_continued() {
    static FAULTS: Faults = Faults::new();
    struct Switch;
    impl FaultSwitch for Switch {
        fn faults() -> &'static Faults {
            &FAULTS
        }
    }
    let case = Case::new();
    for (len, least_calls) in [(1000, 3), (3 * CHUNK_BYTES + 5, 9)] {
        let content = pattern(len);
        fs::write(&case.source, &content).unwrap();
        for hash in [None, Some(Algorithm::Sha256)] {
            for fault in [Fault::Fail(libc::ENOSPC), Fault::Interrupt, Fault::Short] {
                let calls =
                    every_call::<Switch, Tested>(&case, &case.target, fault, hash, |result| match result {
                        Ok(report) => {
                            assert!(fs::read(&case.target).unwrap() == content);
                            assert_eq!(report.digests.first().copied(), hash.map(|_| sha256(&content)));
                            assert_eq!(case.names(), ["source", "target"]);
                        }
                        Err(error) => {
                            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
                            assert!(error.path().is_some() && error.offset().is_some());
                            case.assert_untouched();
                        }
                    });
                assert!(calls >= least_calls, "only {calls} calls for {len} bytes");
            }
        }
    }
}

#[test]
fn a_failure_in_place_leaves_a_clean_prefix_as_long_as_it_says() {
    static FAULTS: Faults = Faults::new();
    struct Switch;
    impl FaultSwitch for Switch {
        fn faults() -> &'static Faults {
            &FAULTS
        }
    }
    let case = Case::new();
    fs::hard_link(&case.target, case.path("other")).unwrap();
    for len in [1000, 3 * CHUNK_BYTES + 5] {
        let content = pattern(len);
        fs::write(&case.source, &content).unwrap();
        for fault in [Fault::Fail(libc::EIO), Fault::Short, Fault::Interrupt] {
            let calls = every_call::<Switch, Tested>(&case, &case.target, fault, None, |result| {
                let written = fs::read(&case.target).unwrap();
                match result {
                    Ok(_) => assert!(written == content),
                    Err(error) => {
                        let offset = usize::try_from(error.offset().unwrap()).unwrap();
                        assert_eq!(written.len(), offset);
                        assert!(written == content[..offset]);
                    }
                }
            });
            assert!(calls >= 3);
        }
    }
    assert_eq!(case.names(), ["other", "source", "target"]);
}

#[test]
fn names_that_are_not_utf_8_or_hold_a_newline_are_names() {
    let case = Case::new();
    for name in [&b"\xff\xfe"[..], b"a\nb"] {
        let target = case.folder.path().join(std::ffi::OsStr::from_bytes(name));
        copy(&case.source, &target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), pattern(1000));
    }
    let with_nul = Path::new(std::ffi::OsStr::from_bytes(b"a\0b"));
    assert_eq!(copy(&case.source, with_nul).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(copy(with_nul, &case.target).unwrap_err().kind(), ErrorKind::InvalidInput);
}
