//! What a target gets of the source's attributes, and which targets are written at all.

use crate::case::{Case, access_list, access_list_of, again, fifo, has, is_root, job, passes, pattern, skip};
use afx_core::{
    copy::{CopyOptions, Durability, Outcome, Overwrite, Skip, Writing, copy_file},
    engine::Compio,
};
use rustix::fs::{Mode, XattrFlags, getxattr, setxattr};
use std::{
    fs::{self, File, FileTimes, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

const CAPABILITIES: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn preserving() -> CopyOptions {
    CopyOptions { preserve: true, ..CopyOptions::default() }
}

fn set_times(path: &Path) {
    let at = |seconds, nanos| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
    let times = FileTimes::new().set_accessed(at(1_000_000_001, 123_456_789));
    let times = times.set_modified(at(1_111_111_111, 987_654_321));
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

fn times(path: &Path) -> [i64; 4] {
    let found = fs::metadata(path).unwrap();
    [found.atime(), found.atime_nsec(), found.mtime(), found.mtime_nsec()]
}

const TIMES: [i64; 4] = [1_000_000_001, 123_456_789, 1_111_111_111, 987_654_321];

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let len = getxattr(path, name, value.as_mut_slice()).ok()?;
    value.truncate(len);
    Some(value)
}

#[test]
fn preserved_are_times_to_the_nanosecond_mode_attributes_and_access_list_and_of_root_the_owner() {
    let case = Case::new();
    fs::hard_link(&case.target, case.path("linked")).unwrap();
    setxattr(&case.source, "user.origin", b"value", XattrFlags::empty()).unwrap();
    let list = access_list(1234, 4);
    for (list, mode) in [(Some(&list), 0o100_640), (None, 0o106_755)] {
        match list {
            Some(list) => {
                setxattr(&case.source, "system.posix_acl_access", list, XattrFlags::empty()).unwrap();
            }
            None => {
                rustix::fs::removexattr(&case.source, "system.posix_acl_access").unwrap();
            }
        }
        if is_root() {
            chown(&case.source, Some(1234), Some(5678)).unwrap();
            setxattr(&case.source, "security.capability", &CAPABILITIES, XattrFlags::empty()).unwrap();
        }
        fs::set_permissions(&case.source, Permissions::from_mode(mode & 0o7777)).unwrap();
        for (target, writing) in [
            ("new", Writing::Auto),
            ("new", Writing::InPlace),
            ("linked", Writing::Auto),
            ("target", Writing::InPlace),
        ] {
            for (verify, durability) in
                [(false, Durability::None), (true, Durability::None), (true, Durability::Full)]
            {
                set_times(&case.source);
                let target = case.path(target);
                let options = CopyOptions { writing, verify, durability, ..preserving() };
                copy_file::<Compio>(&case.source, &target, &options).unwrap();
                assert_eq!(times(&target), TIMES, "{writing:?} verify {verify}");
                let (source, found) = (fs::metadata(&case.source).unwrap(), fs::metadata(&target).unwrap());
                assert_eq!(found.mode(), mode);
                assert_eq!((found.uid(), found.gid()), (source.uid(), source.gid()));
                assert_eq!(attribute(&target, "user.origin").as_deref(), Some(&b"value"[..]));
                assert_eq!(access_list_of(&target).as_ref(), list);
                let capabilities = is_root().then_some(&CAPABILITIES[..]);
                assert_eq!(attribute(&target, "security.capability").as_deref(), capabilities);
                assert_eq!(fs::read(&target).unwrap(), pattern(1000));
            }
        }
        fs::remove_file(case.path("new")).unwrap();
    }
    if !is_root() {
        skip("owner and capabilities", "only root may set them");
    }
}

#[test]
fn a_list_that_the_directory_gives_to_new_files_is_not_what_the_source_had() {
    let case = Case::new();
    let default = access_list(4321, 6);
    setxattr(case.folder.path(), "system.posix_acl_default", &default, XattrFlags::empty()).unwrap();
    fs::set_permissions(&case.source, Permissions::from_mode(0o660)).unwrap();
    for writing in [Writing::Auto, Writing::InPlace] {
        for target in ["new", "target"] {
            let options = CopyOptions { writing, ..preserving() };
            copy_file::<Compio>(&case.source, &case.path(target), &options).unwrap();
            assert_eq!(access_list_of(&case.path(target)), None, "{writing:?} {target}");
            assert_eq!(fs::metadata(case.path(target)).unwrap().mode() & 0o7777, 0o660);
        }
        fs::remove_file(case.path("new")).unwrap();
    }
}

/// Runs the rest of the test `name` as a user who is not root; true there.
fn is_somebody(name: &str) -> bool {
    if job().is_some() || !is_root() {
        return true;
    }
    if !has("setpriv") {
        skip(name, "setpriv is missing");
        return false;
    }
    let through = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let tried = again("none", &through, "").output().unwrap();
    if !tried.status.success() {
        skip(name, "others may not run this program where it is");
        return false;
    }
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
    // Not theirs, and without what only root may give.
    let foreign = place.path().join("foreign");
    fs::write(&foreign, pattern(1000)).unwrap();
    setxattr(&foreign, "security.capability", &CAPABILITIES, XattrFlags::empty()).unwrap();
    fs::set_permissions(&foreign, Permissions::from_mode(0o6755)).unwrap();
    set_times(&foreign);
    passes(again(name, &through, place.path().to_str().unwrap()));
    false
}

#[test]
fn who_may_not_give_files_away_keeps_the_copy_without_set_user_id() {
    if !is_somebody("copy_attributes::who_may_not_give_files_away_keeps_the_copy_without_set_user_id") {
        return;
    }
    let Some(place) = job() else { return skip("a file of another user", "it takes root to have one") };
    let (case, foreign) = (Case::on(Path::new(&place)), Path::new(&place).join("foreign"));
    assert_eq!(chown(&case.target, Some(0), None).unwrap_err().kind(), ErrorKind::PermissionDenied);
    for target in ["new", "target"] {
        let target = case.path(target);
        copy_file::<Compio>(&foreign, &target, &preserving()).unwrap();
        let found = fs::metadata(&target).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (65534, 65534, 0o755));
        // The first copy read it, so its access time is another for the second.
        assert_eq!(times(&target)[2..], TIMES[2..]);
        assert_eq!(attribute(&target, "security.capability"), None);
    }
}

#[test]
fn what_may_not_be_read_when_it_is_complete_is_verified_all_the_same() {
    if !is_somebody("copy_attributes::what_may_not_be_read_when_it_is_complete_is_verified_all_the_same") {
        return;
    }
    let case = job().map_or_else(Case::new, |place| Case::on(Path::new(&place)));
    fs::set_permissions(&case.target, Permissions::from_mode(0o200)).unwrap();
    assert_eq!(File::open(&case.target).unwrap_err().kind(), ErrorKind::PermissionDenied);
    let options = CopyOptions { verify: true, ..CopyOptions::default() };
    let report = copy_file::<Compio>(&case.source, &case.target, &options).unwrap();
    assert!(report.targets[0].verified.is_some());
    assert_eq!(fs::metadata(&case.target).unwrap().mode() & 0o7777, 0o200);
    fs::set_permissions(&case.target, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
}

#[test]
fn a_target_that_exists_or_is_not_older_stays_as_asked() {
    let case = Case::new();
    let modified = |path: &Path, nanos| {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, nanos);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    for (overwrite, target_nanos, expected) in [
        (Overwrite::Never, 0, Some(Skip::Exists)),
        (Overwrite::Older, 499, None),
        (Overwrite::Older, 500, Some(Skip::NotOlder)),
        (Overwrite::Older, 501, Some(Skip::NotOlder)),
        (Overwrite::Always, 501, None),
    ] {
        for writing in [Writing::Auto, Writing::InPlace] {
            fs::write(&case.target, "old").unwrap();
            modified(&case.source, 500);
            modified(&case.target, target_nanos);
            let options = CopyOptions { overwrite, writing, ..CopyOptions::default() };
            let report = copy_file::<Compio>(&case.source, &case.target, &options).unwrap();
            match expected {
                Some(skip) => {
                    assert_eq!(report.targets[0].outcome, Outcome::Skipped(skip), "{overwrite:?}");
                    assert_eq!(report.bytes, 0);
                    case.assert_untouched();
                }
                None => assert_eq!(fs::read(&case.target).unwrap(), pattern(1000)),
            }
            let new = case.path("new");
            assert_eq!(copy_file::<Compio>(&case.source, &new, &options).unwrap().bytes, 1000);
            fs::remove_file(new).unwrap();
        }
    }
}

#[test]
fn a_target_that_appears_while_the_copy_runs_is_not_clobbered() {
    let case = Case::new();
    let (source, target) = (case.path("fifo"), case.path("new"));
    fifo(&source);
    for resume in [false, true] {
        // What is resumed reads a file: it gets the time to meddle from its rate.
        fs::write(&case.source, pattern(500_000)).unwrap();
        let options = CopyOptions {
            overwrite: Overwrite::Never,
            resume,
            rate: resume.then(|| 1_000_000.try_into().unwrap()),
            ..CopyOptions::default()
        };
        let report = thread::scope(|scope| {
            let from = if resume { &case.source } else { &source };
            let copying = scope.spawn(|| copy_file::<Compio>(from, &target, &options).unwrap());
            let writer = (!resume).then(|| {
                let mut writer = File::options().write(true).open(&source).unwrap();
                writer.write_all(b"some").unwrap();
                writer
            });
            while options.progress.bytes() < 4 {
                thread::yield_now();
            }
            fs::write(&target, "theirs").unwrap();
            drop(writer);
            copying.join().unwrap()
        });
        assert_eq!(report.targets[0].outcome, Outcome::Skipped(Skip::Exists));
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
        if !resume {
            assert_eq!(case.names(), ["fifo", "new", "source", "target"]);
        }
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn a_new_target_that_is_not_preserved_has_the_mode_of_the_source_under_the_mask_at_every_moment() {
    let case = Case::new();
    fs::set_permissions(&case.source, Permissions::from_mode(0o7644)).unwrap();
    let new = case.path("new");
    copy_file::<Compio>(&case.source, &new, &CopyOptions::default()).unwrap();
    let plain = case.path("plain");
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    rustix::fs::open(&plain, flags, Mode::from_raw_mode(0o644)).unwrap();
    assert_eq!(fs::metadata(&new).unwrap().mode(), fs::metadata(&plain).unwrap().mode());
}
