//! Every call in turn goes wrong: what each target holds is what the error says.

use crate::case::{Case, pattern, sha256};
use afx_core::{
    Error, Operation,
    copy::{CopyOptions, CopyReport, End, Sparse, Writing, copy},
    engine::Compio,
    hash::Algorithm,
    limits::CHUNK_BYTES,
    testing::{Fault, FaultSwitch, Faults, Faulty},
};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

const FAULTS: [Fault; 4] =
    [Fault::Short, Fault::Interrupt, Fault::Fail(libc::EIO), Fault::Fail(libc::ENOSPC)];

/// Copies with every call in turn going wrong, until one copy passes unharmed; gives each result to `check`.
/// Returns how many failed.
fn every_call<S: FaultSwitch>(
    case: &Case,
    targets: &[PathBuf],
    fault: Fault,
    options: impl Fn() -> CopyOptions,
    check: impl Fn(Result<CopyReport, Error>),
) -> usize {
    let targets_given: Vec<_> = targets.iter().map(End::from).collect();
    let mut failures = 0;
    for number in 1.. {
        for target in targets {
            fs::write(target, "old").unwrap();
        }
        S::faults().arm(number, fault);
        let result = copy::<Faulty<Compio, S>>(&(&case.source).into(), &targets_given, &options());
        failures += usize::from(result.is_err());
        check(result);
        if !S::faults().happened() {
            break;
        }
    }
    assert!(
        matches!(fault, Fault::Short | Fault::Interrupt) == (failures == 0),
        "{fault:?}: {failures} failures"
    );
    failures
}

/// A source with a hole in its middle and one at its end, so that what is written ends before them.
fn holey(path: &Path, len: usize) -> Vec<u8> {
    let file = File::create(path).unwrap();
    file.write_all_at(&pattern(len), 0).unwrap();
    file.write_all_at(&pattern(len), 2_000_000).unwrap();
    file.set_len(4_000_000).unwrap();
    fs::read(path).unwrap()
}

macro_rules! switch {
    () => {
        static OWN: Faults = Faults::new();
        struct Switch;
        impl FaultSwitch for Switch {
            fn faults() -> &'static Faults {
                &OWN
            }
        }
    };
}

#[test]
fn of_two_targets_both_are_old_or_both_new_whichever_call_goes_wrong() {
    switch!();
    let case = Case::new();
    let targets = [case.target.clone(), case.path("second")];
    for len in [1000, 3 * CHUNK_BYTES + 5] {
        let content = pattern(len);
        fs::write(&case.source, &content).unwrap();
        for hashes in [vec![], vec![Algorithm::Sha256, Algorithm::Xxh3]] {
            let options = || CopyOptions { hashes: hashes.clone(), ..CopyOptions::default() };
            for fault in FAULTS {
                every_call::<Switch>(&case, &targets, fault, options, |result| {
                    let expected = match &result {
                        Ok(report) => {
                            let digest = report.digests.first().copied();
                            assert_eq!(digest, (!hashes.is_empty()).then(|| sha256(&content)));
                            content.as_slice()
                        }
                        Err(error) => {
                            assert!(error.path().is_some() && error.offset().is_some());
                            b"old"
                        }
                    };
                    for target in &targets {
                        assert!(fs::read(target).unwrap() == expected, "{result:?}");
                    }
                    assert_eq!(case.names(), ["second", "source", "target"]);
                });
            }
        }
    }
}

#[test]
fn in_place_the_watermark_of_the_error_is_the_length_on_disk_with_one_target_and_with_two() {
    switch!();
    let case = Case::new();
    let both = [case.target.clone(), case.path("second")];
    for targets in [&both[..1], &both[..]] {
        for len in [1000, 3 * CHUNK_BYTES + 5] {
            let content = pattern(len);
            fs::write(&case.source, &content).unwrap();
            for hashes in [vec![], vec![Algorithm::Sha256]] {
                let options = || CopyOptions {
                    writing: Writing::InPlace,
                    hashes: hashes.clone(),
                    ..CopyOptions::default()
                };
                for fault in FAULTS {
                    every_call::<Switch>(&case, targets, fault, options, |result| {
                        check_prefixes(targets, &content, &result);
                    });
                }
            }
        }
    }
}

#[test]
fn in_place_a_hole_in_front_of_the_watermark_is_on_disk() {
    switch!();
    let case = Case::new();
    let both = [case.target.clone(), case.path("second")];
    for targets in [&both[..1], &both[..]] {
        let content = holey(&case.source, 300_000);
        for sparse in [Sparse::Auto, Sparse::Always, Sparse::Never] {
            let options = || CopyOptions { writing: Writing::InPlace, sparse, ..CopyOptions::default() };
            for fault in FAULTS {
                every_call::<Switch>(&case, targets, fault, options, |result| {
                    check_prefixes(targets, &content, &result);
                });
            }
        }
    }
}

/// Every target is a prefix of `content`; the one that failed ends where the error says, and when it is the
/// source that failed, all do.
fn check_prefixes(targets: &[PathBuf], content: &[u8], result: &Result<CopyReport, Error>) {
    for target in targets {
        let held = fs::read(target).unwrap();
        match result {
            Ok(_) => assert!(held == content),
            Err(error) => {
                assert!(content.starts_with(&held), "{error:?}: {} bytes", held.len());
                if error.operation() == Operation::Read || error.path() == Some(target) {
                    assert_eq!(held.len() as u64, error.offset().unwrap(), "{error:?}");
                }
            }
        }
    }
}

#[test]
fn an_interrupted_or_short_call_does_not_change_what_is_sparse() {
    switch!();
    let case = Case::new();
    let content = holey(&case.source, 300_000);
    for sparse in [Sparse::Auto, Sparse::Always] {
        let options = || CopyOptions { sparse, ..CopyOptions::default() };
        for fault in FAULTS {
            let target = std::slice::from_ref(&case.target);
            every_call::<Switch>(&case, target, fault, options, |result| {
                if result.is_ok() {
                    assert!(fs::read(&case.target).unwrap() == content);
                    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&case.target).unwrap());
                    assert!(blocks * 512 < 1_200_000, "{blocks}");
                } else {
                    case.assert_untouched();
                }
            });
        }
    }
}
