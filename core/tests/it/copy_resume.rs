//! A copy that goes on where another was killed or failed.

use crate::case::{Case, again, has, is_root, job, passes, skip};
use afx_core::{
    Error, Operation,
    copy::{CopyOptions, CopyReport, Outcome, copy_file},
    engine::Compio,
    hash::{Algorithm, HashOptions, hash_file},
    limits::CHUNK_BYTES,
    testing::{Fault, FaultSwitch, Faults, Faulty},
};
use rustix::process::{Signal, getpid, kill_process};
use std::{
    fs::{self, File, FileTimes},
    io::{ErrorKind, Read, Write},
    os::unix::{
        fs::{FileExt, MetadataExt, symlink},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    thread,
};

/// Bytes between two records of a journal.
const RECORD: u64 = 64 * 1024 * 1024;

fn resuming() -> CopyOptions {
    CopyOptions { resume: true, hashes: vec![Algorithm::Blake3], ..CopyOptions::default() }
}

/// Writes `mebibytes` of which no two are the same.
fn fill(path: &Path, mebibytes: u64) {
    let mut file = File::create(path).unwrap();
    let mut block = crate::case::pattern(1 << 20);
    for number in 0..mebibytes {
        block[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&block).unwrap();
    }
}

fn same(one: &Path, two: &Path) -> bool {
    let (mut one, mut two) = (File::open(one).unwrap(), File::open(two).unwrap());
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = one.read(&mut left).unwrap();
        if count == 0 {
            return two.read(&mut right).unwrap() == 0;
        }
        if two.read_exact(&mut right[..count]).is_err() || left[..count] != right[..count] {
            return false;
        }
    }
}

/// Copies as the job `offset folder` says, and kills itself once the source is read so far.
fn copy_and_die(job: &str) {
    let (offset, folder) = job.split_once(' ').unwrap();
    let (offset, folder): (u64, _) = (offset.parse().unwrap(), Path::new(folder));
    let options = resuming();
    thread::scope(|scope| {
        scope.spawn(|| {
            while options.progress.bytes() < offset {
                thread::yield_now();
            }
            kill_process(getpid(), Signal::KILL).unwrap();
        });
        copy_file::<Compio>(&folder.join("source"), &folder.join("target"), &options).unwrap();
    });
}

#[test]
fn killed_at_any_offset_it_goes_on_to_the_same_bytes_and_digest() {
    const NAME: &str = "copy_resume::killed_at_any_offset_it_goes_on_to_the_same_bytes_and_digest";
    const MEBIBYTES: u64 = 150;
    if let Some(job) = job() {
        return copy_and_die(&job);
    }
    // In memory where there is room: the disk would only make it slower.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let case = Case::on(place);
    fill(&case.source, MEBIBYTES);
    let hashed = hash_file::<Compio>(&case.source, &[Algorithm::Blake3], &HashOptions::default()).unwrap();
    let (mut resumed, mut offset) = (0, 7_777_777_u64);
    for number in 0..20_u64 {
        fs::write(&case.target, "old").unwrap();
        // Anywhere, and near the records and the end as well.
        offset = match number % 4 {
            0 => (MEBIBYTES << 20) - number * 20_000,
            1 => RECORD + number * 30_000,
            _ => {
                (offset.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 8)
                    % (MEBIBYTES << 20)
            }
        };
        let job = format!("{offset} {}", case.folder.path().display());
        let output = again(NAME, &[], &job).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
        if fs::read(&case.target).unwrap() == b"old" {
            assert!(case.names().iter().any(|name| name.ends_with(".partial")));
        }
        let report = copy_file::<Compio>(&case.source, &case.target, &resuming()).unwrap();
        assert_eq!((report.bytes, report.digests), (MEBIBYTES << 20, hashed.digests.clone()));
        // How far it came until the signal arrived is up to the scheduler.
        assert!(report.resumed_at.is_none_or(|at| at % RECORD == 0));
        assert!(same(&case.source, &case.target));
        assert_eq!(case.names(), ["source", "target"]);
        resumed += usize::from(report.resumed_at.is_some());
    }
    assert!(resumed >= 5, "{resumed} of 20 were gone on with");
}

static FAULTS: Faults = Faults::new();
struct Switch;
impl FaultSwitch for Switch {
    fn faults() -> &'static Faults {
        &FAULTS
    }
}

/// A source whose first record is a hole, and a copy of it that failed behind that.
fn begun() -> (Case, Vec<String>) {
    let case = Case::new();
    let file = File::create(&case.source).unwrap();
    file.write_all_at(&crate::case::pattern(9 * CHUNK_BYTES), RECORD).unwrap();
    fail(&case, 9);
    let names = case.names();
    assert_eq!(names.iter().filter(|name| name.starts_with(".afx-")).count(), 2, "{names:?}");
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
    (case, names)
}

/// One at a time: they share the faults.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn fail(case: &Case, call: usize) {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    FAULTS.arm(call, Fault::Fail(libc::EIO));
    let error = copy_file::<Faulty<Compio, Switch>>(&case.source, &case.target, &resuming()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    FAULTS.arm(usize::MAX, Fault::Interrupt);
}

fn try_to_go_on(case: &Case) -> Result<CopyReport, Error> {
    copy_file::<Compio>(&case.source, &case.target, &resuming())
}

fn go_on(case: &Case) -> Result<CopyReport, Error> {
    let begun = std::time::Instant::now();
    loop {
        match try_to_go_on(case) {
            // A process that another test is just starting has the lock of the copy before, until it runs.
            Err(error)
                if error.raw_os_error() == Some(libc::EBUSY)
                    && begun.elapsed() < std::time::Duration::from_secs(10) => {}
            result => return result,
        }
    }
}

fn partial(case: &Case) -> PathBuf {
    case.path(case.names().iter().find(|name| name.ends_with(".partial")).unwrap())
}

fn journal(case: &Case) -> PathBuf {
    case.path(case.names().iter().find(|name| name.ends_with(".journal")).unwrap())
}

#[test]
fn a_copy_that_failed_goes_on_behind_its_last_record_and_leaves_nothing_beside_the_target() {
    let (case, _) = begun();
    let report = go_on(&case).unwrap();
    assert_eq!(report.resumed_at, Some(RECORD));
    assert_eq!(report.targets[0].outcome, Outcome::Replaced);
    assert!(same(&case.source, &case.target));
    assert_eq!(case.names(), ["source", "target"]);
}

type Change<'a> = (&'a str, &'a dyn Fn(&Case));

#[test]
fn a_source_that_is_another_or_was_changed_is_refused_and_what_was_done_is_kept() {
    let times = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        FileTimes::new().set_modified(found.modified().unwrap()).set_accessed(found.accessed().unwrap())
    };
    let changes: [Change<'_>; 4] = [
        ("another time", &|case| {
            let file = File::options().write(true).open(&case.source).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }),
        ("another size", &|case| {
            let times = times(&case.source);
            let file = File::options().append(true).open(&case.source).unwrap();
            (&file).write_all(b"more").unwrap();
            file.set_times(times).unwrap();
        }),
        ("another file of the same size and time", &|case| {
            let (times, other) = (times(&case.source), case.path("other"));
            fs::copy(&case.source, &other).unwrap();
            File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
            fs::rename(&other, &case.source).unwrap();
        }),
        ("other bytes of the same size and time", &|case| {
            let times = times(&case.source);
            let file = File::options().write(true).open(&case.source).unwrap();
            file.write_all_at(b"other", 0).unwrap();
            file.set_times(times).unwrap();
        }),
    ];
    for (what, change) in changes {
        let (case, names) = begun();
        let kept = (fs::read(journal(&case)).unwrap(), fs::metadata(partial(&case)).unwrap().len());
        change(&case);
        let error = go_on(&case).unwrap_err();
        assert_eq!((error.operation(), error.kind()), (Operation::Copy, ErrorKind::InvalidData), "{what}");
        assert_eq!(error.path(), Some(case.source.as_path()));
        assert_eq!(case.names(), names, "{what}");
        assert_eq!((fs::read(journal(&case)).unwrap(), fs::metadata(partial(&case)).unwrap().len()), kept);
        assert_eq!(fs::read(&case.target).unwrap(), b"old");
        // As the error says.
        fs::remove_file(journal(&case)).unwrap();
        fs::remove_file(partial(&case)).unwrap();
        assert_eq!(go_on(&case).unwrap().resumed_at, None);
        assert!(same(&case.source, &case.target));
    }
}

#[test]
fn a_source_that_is_changed_while_it_is_copied_does_not_become_the_target() {
    let case = Case::new();
    fill(&case.source, 1);
    let options = CopyOptions { rate: Some(2_000_000.try_into().unwrap()), ..resuming() };
    let error = thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Compio>(&case.source, &case.target, &options).unwrap_err());
        while options.progress.bytes() == 0 {
            thread::yield_now();
        }
        File::options().write(true).open(&case.source).unwrap().write_all_at(b"other", 0).unwrap();
        copying.join().unwrap()
    });
    assert_eq!((error.operation(), error.kind()), (Operation::Copy, ErrorKind::InvalidData));
    assert_eq!(error.path(), Some(case.source.as_path()));
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
}

#[test]
fn two_do_not_go_on_with_one_partial_file() {
    let (case, names) = begun();
    let first = File::open(partial(&case)).unwrap();
    first.try_lock().unwrap();
    let error = try_to_go_on(&case).unwrap_err();
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::Open, Some(libc::EBUSY)));
    assert_eq!(case.names(), names);
    drop(first);
    go_on(&case).unwrap();
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn a_journal_that_was_torn_anywhere_is_gone_on_with_from_what_it_still_says() {
    let (case, _) = begun();
    let (whole, held) = (fs::read(journal(&case)).unwrap(), fs::read(partial(&case)).unwrap());
    let (journal, partial) = (journal(&case), partial(&case));
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut torn: Vec<(Vec<u8>, u64)> = [0, 1, first_line - 1, first_line, first_line + 3, whole.len() - 1]
        .map(|cut| (whole[..cut].to_vec(), 0))
        .to_vec();
    for behind in [&b""[..], b"\0\0\0\0", b"done 99999999999", b"\xff\xfe\n", b"done -1\n", b"\0\0\n"] {
        torn.push(([&whole, behind].concat(), RECORD));
    }
    for (content, expected) in torn {
        fs::write(&case.target, "old").unwrap();
        fs::write(&journal, &content).unwrap();
        fs::write(&partial, &held).unwrap();
        let report = go_on(&case).unwrap();
        assert_eq!(report.resumed_at.unwrap_or(0), expected, "{}", String::from_utf8_lossy(&content));
        assert!(same(&case.source, &case.target));
        assert_eq!(case.names(), ["source", "target"]);
    }
    // A partial file that lost its end, or of which only the journal is left.
    for cut in [Some(1000), None] {
        fs::write(&journal, &whole).unwrap();
        match cut {
            Some(cut) => fs::write(&partial, &held[..cut]).unwrap(),
            None => assert!(!partial.exists()),
        }
        go_on(&case).unwrap();
        assert!(same(&case.source, &case.target));
        assert_eq!(case.names(), ["source", "target"]);
    }
}

#[test]
fn a_new_target_that_was_gone_on_with_has_the_mode_of_any_new_file() {
    const NAME: &str = "copy_resume::a_new_target_that_was_gone_on_with_has_the_mode_of_any_new_file";
    if job().is_none() {
        return passes(again(NAME, &["sh", "-c", "umask 027; exec \"$@\"", "sh"], "masked"));
    }
    for call in [1, 9] {
        let case = Case::new();
        fs::remove_file(&case.target).unwrap();
        let file = File::create(&case.source).unwrap();
        file.write_all_at(&crate::case::pattern(9 * CHUNK_BYTES), RECORD).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        fs::set_permissions(&case.source, mode).unwrap();
        fail(&case, call);
        go_on(&case).unwrap();
        assert_eq!(fs::metadata(&case.target).unwrap().mode() & 0o7777, 0o640, "call {call}");
        assert_eq!(case.names(), ["source", "target"]);
    }
}

#[test]
fn what_somebody_put_in_the_place_of_a_partial_file_is_neither_written_to_nor_made_the_target() {
    let (case, _) = begun();
    let (partial, journal) = (partial(&case), journal(&case));
    let precious = case.path("precious");
    fs::write(&precious, "precious").unwrap();
    let refused = |what: &str| {
        let error = go_on(&case).unwrap_err();
        assert_eq!(error.operation(), Operation::Open, "{what}: {error:?}");
        assert_eq!(fs::read(&precious).unwrap(), b"precious", "{what}");
        assert_eq!(fs::read(&case.target).unwrap(), b"old", "{what}");
    };
    for place in [&partial, &journal] {
        for what in ["link", "hard link", "fifo", "folder"] {
            let kept = fs::read(place).unwrap();
            fs::remove_file(place).unwrap();
            match what {
                "link" => symlink(&precious, place).unwrap(),
                "hard link" => fs::hard_link(&precious, place).unwrap(),
                "fifo" => crate::case::fifo(place),
                _ => fs::create_dir(place).unwrap(),
            }
            refused(what);
            if what == "folder" {
                fs::remove_dir(place).unwrap();
            } else {
                fs::remove_file(place).unwrap();
            }
            fs::write(place, kept).unwrap();
        }
    }
    if is_root() && has("setpriv") {
        std::os::unix::fs::chown(&partial, Some(4321), None).unwrap();
        refused("a file of somebody else");
        std::os::unix::fs::chown(&partial, Some(0), None).unwrap();
    } else {
        skip("a partial file of somebody else", "it takes root to make one");
    }
    assert_eq!(go_on(&case).unwrap().resumed_at, Some(RECORD));
}

#[test]
fn what_was_damaged_since_is_found_by_who_verifies_and_not_gone_on_with_again() {
    const NAME: &str =
        "copy_resume::what_was_damaged_since_is_found_by_who_verifies_and_not_gone_on_with_again";
    if let Some(job) = job() {
        return copy_and_die(&job);
    }
    let case = Case::new();
    fill(&case.source, 150);
    fs::write(&case.target, "old").unwrap();
    let hashed = hash_file::<Compio>(&case.source, &[Algorithm::Blake3], &HashOptions::default()).unwrap();
    let job = format!("{} {}", RECORD + (40 << 20), case.folder.path().display());
    assert_eq!(again(NAME, &[], &job).output().unwrap().status.signal(), Some(9));
    let verifying = CopyOptions { verify: true, ..resuming() };
    let report = copy_file::<Compio>(&case.source, &case.target, &verifying).unwrap();
    assert_eq!(
        (report.resumed_at, &report.digests),
        (Some(RECORD), &hashed.digests),
        "nothing is damaged yet"
    );
    assert!(same(&case.source, &case.target));

    fs::write(&case.target, "old").unwrap();
    assert_eq!(again(NAME, &[], &job).output().unwrap().status.signal(), Some(9));
    let partial = case.names().into_iter().find(|name| name.ends_with(".partial")).unwrap();
    let partial = File::options().write(true).open(case.path(&partial)).unwrap();
    partial.write_all_at(b"damage", 1000).unwrap();
    let error = copy_file::<Compio>(&case.source, &case.target, &verifying).unwrap_err();
    assert_eq!((error.operation(), error.kind()), (Operation::Verify, ErrorKind::InvalidData));
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
    assert_eq!(case.names(), ["source", "target"]);
    let report = copy_file::<Compio>(&case.source, &case.target, &verifying).unwrap();
    assert_eq!((report.resumed_at, report.digests), (None, hashed.digests));
    assert!(same(&case.source, &case.target));
}
