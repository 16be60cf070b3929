//! Rates, the page cache, cancelling, and sources that change or are no files.

use crate::case::{Case, fifo, has, on_each_file_system, pattern, sha256, skip};
use afx_core::{
    Operation,
    copy::{CopyOptions, End, Overwrite, Reflink, Sparse, Writing, copy, copy_file},
    engine::Compio,
    hash::Algorithm,
    limits::CHUNK_BYTES,
};
use rustix::fs::{Advice, fadvise};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    num::NonZeroU64,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

fn at_rate(bytes_per_second: u64) -> CopyOptions {
    CopyOptions { rate: NonZeroU64::new(bytes_per_second), ..CopyOptions::default() }
}

#[test]
fn a_rate_is_kept_whatever_the_size_and_however_many_targets() {
    let case = Case::new();
    let targets = [End::from(&case.target), case.path("second").into()];
    for (len, rate) in [(100_000, 400_000), (CHUNK_BYTES, 1 << 20), (5 * CHUNK_BYTES, 4 << 20)] {
        fs::write(&case.source, pattern(len)).unwrap();
        for targets in [&targets[..1], &targets[..]] {
            let options = CopyOptions { hashes: vec![Algorithm::Sha256], ..at_rate(rate) };
            let begun = Instant::now();
            copy::<Compio>(&(&case.source).into(), targets, &options).unwrap();
            let took = begun.elapsed().as_secs_f64();
            assert!(fs::read(&case.target).unwrap() == pattern(len));
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let wanted = len as f64 / rate as f64;
            // At most a burst ahead; what the machine needs on top is its own affair, within reason.
            assert!((wanted - 0.11..wanted + 5.0).contains(&took), "{took} s instead of {wanted} s");
        }
    }
}

#[test]
fn a_low_rate_lets_little_through_at_a_time_and_gives_way_at_once() {
    let case = Case::new();
    fs::write(&case.source, pattern(10 * CHUNK_BYTES)).unwrap();
    let options = at_rate(10_000);
    let begun = Instant::now();
    thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Compio>(&case.source, &case.target, &options));
        while options.progress.bytes() == 0 {
            thread::yield_now();
        }
        let (done, now) = (options.progress.bytes(), begun.elapsed());
        assert!(u128::from(done) <= 2000 + now.as_millis() * 10, "{done} bytes in {now:?}");
        options.cancel.cancel();
        assert_eq!(copying.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
    });
    case.assert_untouched();
    // Nor is a failure kept waiting: the rest would take minutes.
    let error = copy_file::<Compio>(&case.source, Path::new("/dev/full"), &at_rate(10_000)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Bytes of the file that the page cache holds. Looking with `RWF_NOWAIT` would fetch them.
fn cached(path: &Path) -> u64 {
    let found =
        Command::new("fincore").args(["--bytes", "--noheadings", "--output", "RES"]).arg(path).output();
    String::from_utf8(found.unwrap().stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn what_was_not_in_the_page_cache_is_not_there_afterwards_and_what_was_is() {
    const NAME: &str = "copy_pace::what_was_not_in_the_page_cache_is_not_there_afterwards_and_what_was_is";
    if !has("fincore") {
        return skip(NAME, "fincore is missing");
    }
    on_each_file_system(NAME, |place, kind| {
        let case = Case::on(place);
        for len in [100_000, 6_000_013] {
            let content = pattern(len);
            fs::write(&case.source, &content).unwrap();
            let source = File::open(&case.source).unwrap();
            source.sync_all().unwrap();
            for (hash, verify, reflink) in [
                (false, false, Reflink::Never),
                (true, false, Reflink::Never),
                (true, true, Reflink::Never),
                (true, true, Reflink::Auto),
            ] {
                fadvise(&source, 0, None, Advice::DontNeed).unwrap();
                if cached(&case.source) > 0 {
                    // It is all cache.
                    return assert!(kind == "tmpfs" || kind == "disk", "{kind}");
                }
                // Somebody else's page, without what would be read ahead.
                fadvise(&source, 0, None, Advice::Random).unwrap();
                source.read_exact_at(&mut [0; 10], 65536).unwrap();
                let before = cached(&case.source);
                if kind == "fuse" && before == 0 {
                    return skip(NAME, "this FUSE keeps nothing in the page cache");
                }
                assert!((1..100_000).contains(&before), "{kind}: {before}");
                let options = CopyOptions {
                    hashes: hash.then_some(Algorithm::Blake3).into_iter().collect(),
                    verify,
                    reflink,
                    drop_cache: true,
                    ..CopyOptions::default()
                };
                let report = copy_file::<Compio>(&case.source, &case.target, &options).unwrap();
                let what = format!("{kind} {len} {hash} {verify} {:?}", report.method);
                assert_eq!(cached(&case.target), 0, "target: {what}");
                assert_eq!(cached(&case.source), before, "source: {what}");
                assert!(fs::read(&case.target).unwrap() == content);
            }
        }
    });
}

#[test]
fn cancelled_in_any_phase_all_targets_are_old_or_all_new() {
    let case = Case::new();
    let content = pattern(8 * CHUNK_BYTES + 1);
    fs::write(&case.source, &content).unwrap();
    fs::write(case.path("second"), "old").unwrap();
    let targets = [End::from(&case.target), case.path("second").into()];
    let (mut cancelled, mut done) = (0, 0);
    let trial = |wait: Option<Duration>| {
        let options = CopyOptions { hashes: vec![Algorithm::Sha256], verify: true, ..CopyOptions::default() };
        let begun = Instant::now();
        let result = thread::scope(|scope| {
            let copying = scope.spawn(|| copy::<Compio>(&(&case.source).into(), &targets, &options));
            while wait.is_some_and(|wait| begun.elapsed() < wait) {
                thread::yield_now();
            }
            if wait.is_some() {
                options.cancel.cancel();
            }
            copying.join().unwrap()
        });
        (result, begun.elapsed())
    };
    let (_, whole) = trial(None);
    for number in 0..1000 {
        // On a busy machine the first took longer than the others, or far less.
        if number >= 100 && cancelled > 10 && done > 0 {
            break;
        }
        fs::write(&case.target, "old").unwrap();
        fs::write(case.path("second"), "old").unwrap();
        let expected = match trial(Some(whole * (number % 100) / 80 * (1 + number / 100))).0 {
            Ok(_) => {
                done += 1;
                content.as_slice()
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
                cancelled += 1;
                b"old"
            }
        };
        assert!(fs::read(&case.target).unwrap() == expected);
        assert!(fs::read(case.path("second")).unwrap() == expected);
        assert_eq!(case.names(), ["second", "source", "target"]);
    }
    assert!(cancelled > 10 && done > 0, "{cancelled} cancelled, {done} done");
}

#[test]
fn hashing_a_hole_of_a_terabyte_ends_when_it_is_cancelled() {
    let case = Case::new();
    File::create(&case.source).unwrap().set_len(1 << 40).unwrap();
    let options = CopyOptions { hashes: vec![Algorithm::Sha256], ..CopyOptions::default() };
    thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Compio>(&case.source, &case.target, &options));
        while options.progress.bytes() == 0 {
            thread::yield_now();
        }
        options.cancel.cancel();
        assert_eq!(copying.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
    });
    case.assert_untouched();
}

#[test]
fn a_source_that_grows_is_copied_to_an_end_that_it_had() {
    let case = Case::new();
    fs::write(&case.source, pattern(600_000)).unwrap();
    let options = CopyOptions { hashes: vec![Algorithm::Sha256], ..at_rate(4_000_000) };
    let report = thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Compio>(&case.source, &case.target, &options).unwrap());
        let mut writer = File::options().append(true).open(&case.source).unwrap();
        while options.progress.bytes() == 0 {
            thread::yield_now();
        }
        for _ in 0..100 {
            writer.write_all(&pattern(1001)).unwrap();
        }
        copying.join().unwrap()
    });
    let (whole, target) = (fs::read(&case.source).unwrap(), fs::read(&case.target).unwrap());
    assert_eq!(report.bytes, 700_100);
    assert!(target == whole && report.digests == [sha256(&whole)]);
}

#[test]
fn a_source_with_holes_that_is_truncated_meanwhile_gets_no_zeros_behind_its_end() {
    for (end, sparse) in [(1_500_000, Sparse::Auto), (1_500_000, Sparse::Always), (2_000_000, Sparse::Auto)] {
        let case = Case::new();
        let file = File::create(&case.source).unwrap();
        file.write_all_at(&pattern(1_500_000), 0).unwrap();
        file.set_len(80_000_000).unwrap();
        let whole = fs::read(&case.source).unwrap();
        let options = CopyOptions { hashes: vec![Algorithm::Sha256], sparse, ..at_rate(4_000_000) };
        let report = thread::scope(|scope| {
            let copying = scope.spawn(|| copy_file::<Compio>(&case.source, &case.target, &options).unwrap());
            while options.progress.bytes() == 0 {
                thread::yield_now();
            }
            file.set_len(end as u64).unwrap();
            copying.join().unwrap()
        });
        assert_eq!(report.bytes, end as u64);
        assert_eq!(report.digests, [sha256(&whole[..end])]);
        assert!(fs::read(&case.target).unwrap() == whole[..end]);
    }
}

#[test]
fn files_of_proc_and_sys_whose_size_says_nothing_are_copied_to_their_end_with_every_option() {
    let case = Case::new();
    let known = ["/proc/version", "/proc/self/limits", "/sys/kernel/mm/transparent_hugepage/enabled"];
    for source in known.map(Path::new).into_iter().filter(|source| source.exists()) {
        let content = fs::read(source).unwrap();
        for options in [
            CopyOptions::default(),
            CopyOptions { verify: true, sparse: Sparse::Always, ..CopyOptions::default() },
            CopyOptions { sparse: Sparse::Never, drop_cache: true, ..CopyOptions::default() },
            CopyOptions { writing: Writing::InPlace, ..at_rate(1_000_000) },
        ] {
            let options = CopyOptions { hashes: vec![Algorithm::Sha256], ..options };
            let report = copy_file::<Compio>(source, &case.target, &options).unwrap();
            assert_eq!((report.bytes, report.digests), (content.len() as u64, vec![sha256(&content)]));
            assert_eq!(fs::read(&case.target).unwrap(), content);
        }
    }
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn a_fifo_goes_to_several_targets_verified_and_cannot_be_resumed_or_cloned() {
    let case = Case::new();
    let source = case.path("fifo");
    fifo(&source);
    let content = pattern(3 * CHUNK_BYTES + 7);
    let targets = [End::from(&case.target), case.path("second").into()];
    let options = CopyOptions {
        hashes: vec![Algorithm::Sha256],
        verify: true,
        preserve: true,
        drop_cache: true,
        ..CopyOptions::default()
    };
    let report = thread::scope(|scope| {
        scope.spawn(|| fs::write(&source, &content).unwrap());
        copy::<Compio>(&(&source).into(), &targets, &options).unwrap()
    });
    assert_eq!(report.digests, [sha256(&content)]);
    assert!(fs::read(&case.target).unwrap() == content && fs::read(case.path("second")).unwrap() == content);
    fs::write(&case.target, "old").unwrap();
    for options in [
        CopyOptions { resume: true, ..CopyOptions::default() },
        CopyOptions { reflink: Reflink::Always, overwrite: Overwrite::Always, ..CopyOptions::default() },
    ] {
        let error = thread::scope(|scope| {
            // Its end is there for as long as the copy takes.
            let _both = File::options().read(true).write(true).open(&source).unwrap();
            scope.spawn(|| copy_file::<Compio>(&source, &case.target, &options).unwrap_err()).join().unwrap()
        });
        let expected = if options.resume { Operation::Copy } else { Operation::Clone };
        assert_eq!(error.operation(), expected);
        assert_eq!(fs::read(&case.target).unwrap(), b"old");
    }
}
