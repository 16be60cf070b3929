//! Blocks that are shared, left out or filled, on every file system that can be had.

use crate::Tested;
use crate::case::{Case, is_root, on_each_file_system, pattern, sha256, skip};
use afx_core::{
    Operation,
    copy::{CopyMethod, CopyOptions, Reflink, Sparse, Writing, copy_file},
    hash::Algorithm,
};
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    process::Command,
};

fn allocated(path: &Path) -> u64 {
    // What is not on the device yet need not have its blocks yet.
    File::open(path).unwrap().sync_all().unwrap();
    fs::metadata(path).unwrap().blocks() * 512
}

fn options() -> CopyOptions {
    CopyOptions { hashes: vec![Algorithm::Sha256], ..CopyOptions::default() }
}

#[test]
fn blocks_are_shared_where_the_file_system_can_and_where_it_is_wanted() {
    on_each_file_system(
        "copy_blocks::blocks_are_shared_where_the_file_system_can_and_where_it_is_wanted",
        |place, kind| {
            let case = Case::on(place);
            let content = pattern(1_000_013);
            fs::write(&case.source, &content).unwrap();
            File::open(&case.source).unwrap().sync_all().unwrap();
            let shares = copy_file::<Tested>(&case.source, &case.target, &options()).unwrap().method
                == CopyMethod::Clone;
            match kind {
                "xfs" | "btrfs" => assert!(shares),
                "ext4" | "tmpfs" => assert!(!shares),
                _ => {}
            }
            for reflink in [Reflink::Auto, Reflink::Always, Reflink::Never] {
                for hashes in [vec![], vec![Algorithm::Sha256]] {
                    fs::write(&case.target, "old").unwrap();
                    let hashed = !hashes.is_empty();
                    let options = CopyOptions { reflink, hashes, ..CopyOptions::default() };
                    let result = copy_file::<Tested>(&case.source, &case.target, &options);
                    if reflink == Reflink::Always && !shares {
                        assert_eq!(result.unwrap_err().operation(), Operation::Clone);
                        case.assert_untouched();
                        continue;
                    }
                    let report = result.unwrap();
                    let cloned = shares && reflink != Reflink::Never;
                    let offloaded = kind == "fuse" && !hashed && reflink != Reflink::Never;
                    let method = match (cloned, offloaded) {
                        (true, _) => CopyMethod::Clone,
                        (_, true) => CopyMethod::Offload,
                        _ => CopyMethod::Pipeline,
                    };
                    assert_eq!((report.method, report.bytes), (method, 1_000_013));
                    assert_eq!(report.digests.first().copied(), hashed.then(|| sha256(&content)));
                    assert!(fs::read(&case.target).unwrap() == content);
                }
            }
        },
    );
}

#[test]
fn blocks_that_must_be_shared_and_cannot_be_leave_what_would_be_written_in_place_whole() {
    on_each_file_system(
        "copy_blocks::blocks_that_must_be_shared_and_cannot_be_leave_what_would_be_written_in_place_whole",
        |place, _| {
            let case = Case::on(place);
            let asked =
                CopyOptions { reflink: Reflink::Always, writing: Writing::InPlace, ..CopyOptions::default() };
            let error = copy_file::<Tested>(&case.source, &case.target, &asked).unwrap_err();
            assert_eq!((error.operation(), error.path()), (Operation::Clone, Some(case.target.as_path())));
            case.assert_untouched();
            fs::hard_link(&case.target, case.path("other")).unwrap();
            let linked = CopyOptions { reflink: Reflink::Always, ..CopyOptions::default() };
            let error = copy_file::<Tested>(&case.source, &case.target, &linked).unwrap_err();
            assert_eq!(error.operation(), Operation::Clone);
            assert_eq!(fs::read(&case.target).unwrap(), b"old");
        },
    );
}

/// Bytes of the zeros that are stored, of the hole behind them, and of all.
const ZEROS: u64 = 400_000;
const HOLE: u64 = 2_000_000;
const SIZE: u64 = 5000 + ZEROS + HOLE + 77 + 30_000;

/// A file with data, stored zeros, a hole, data and a hole at the end, none of which ends where a block does.
pub(crate) fn holey(path: &Path) -> Vec<u8> {
    let file = File::create(path).unwrap();
    file.write_all_at(&pattern(5000), 0).unwrap();
    file.write_all_at(&vec![0; usize::try_from(ZEROS).unwrap()], 5000).unwrap();
    file.write_all_at(&pattern(77), 5000 + ZEROS + HOLE).unwrap();
    file.set_len(SIZE).unwrap();
    file.sync_all().unwrap();
    fs::read(path).unwrap()
}

#[test]
fn holes_are_kept_made_or_filled_as_asked_in_new_files_and_in_old_ones() {
    on_each_file_system(
        "copy_blocks::holes_are_kept_made_or_filled_as_asked_in_new_files_and_in_old_ones",
        |place, kind| {
            let case = Case::on(place);
            let content = holey(&case.source);
            assert!(allocated(&case.source) < SIZE / 2, "{kind} makes no holes");
            for writing in [Writing::Auto, Writing::InPlace] {
                for (sparse, least, most) in [
                    (Sparse::Always, 1, 100_000),
                    (Sparse::Auto, ZEROS, ZEROS + 200_000),
                    (Sparse::Never, SIZE, SIZE + 200_000),
                ] {
                    fs::write(&case.target, vec![7; 4_000_000]).unwrap();
                    File::open(&case.target).unwrap().sync_all().unwrap();
                    let options = CopyOptions { reflink: Reflink::Never, sparse, writing, ..options() };
                    let report = copy_file::<Tested>(&case.source, &case.target, &options).unwrap();
                    assert_eq!((report.bytes, report.digests), (SIZE, vec![sha256(&content)]));
                    assert!(fs::read(&case.target).unwrap() == content, "{kind} {sparse:?} {writing:?}");
                    let blocks = allocated(&case.target);
                    // Whoever keeps no list of holes cannot tell them from zeros.
                    let most = if kind == "fuse" && sparse == Sparse::Auto { SIZE + 200_000 } else { most };
                    assert!(
                        (least..=most).contains(&blocks),
                        "{kind} {sparse:?} {writing:?}: {blocks} bytes in blocks"
                    );
                }
            }
            assert_eq!(case.names(), ["source", "target"]);
        },
    );
}

#[test]
fn zeros_that_come_through_a_pipe_in_odd_pieces_become_holes() {
    use std::{io::Write, thread};
    let case = Case::new();
    let content = [pattern(5000), vec![0; 1_000_000], pattern(77), vec![0; 100_000]].concat();
    let source = case.path("fifo");
    crate::case::fifo(&source);
    let options = CopyOptions { sparse: Sparse::Always, ..options() };
    let report = thread::scope(|scope| {
        let copying = scope.spawn(|| copy_file::<Tested>(&source, &case.target, &options).unwrap());
        let mut writer = File::options().write(true).open(&source).unwrap();
        let mut written = 0;
        for piece in content.chunks(1001) {
            writer.write_all(piece).unwrap();
            written += piece.len() as u64;
            // One at a time, or the pipe would make one large piece of many.
            while options.progress.bytes() < written {
                thread::yield_now();
            }
        }
        drop(writer);
        copying.join().unwrap()
    });
    assert_eq!(report.digests, [sha256(&content)]);
    assert!(fs::read(&case.target).unwrap() == content);
    assert!(allocated(&case.target) < 100_000, "{} bytes in blocks", allocated(&case.target));
}

#[test]
fn a_device_gets_every_zero_for_what_it_held_does_not_read_as_zero() {
    if !is_root() {
        return skip("a device as target", "only root may set up a loop device");
    }
    let case = Case::new();
    let content = holey(&case.source);
    let image = case.path("image");
    fs::write(&image, vec![0xff; 4 << 20]).unwrap();
    let output = Command::new("losetup").args(["--find", "--show"]).arg(&image).output().unwrap();
    if !output.status.success() {
        return skip("a device as target", String::from_utf8_lossy(&output.stderr).trim());
    }
    let device = String::from_utf8(output.stdout).unwrap();
    let device = Path::new(device.trim());
    let mut wrong = Vec::new();
    for sparse in [Sparse::Auto, Sparse::Always, Sparse::Never] {
        fs::write(device, vec![0xff; 4 << 20]).unwrap();
        let options = CopyOptions { sparse, ..options() };
        let report = copy_file::<Tested>(&case.source, device, &options);
        let mut held = vec![1; content.len() + 4];
        File::open(device).unwrap().read_exact(&mut held).unwrap();
        let same = held[..content.len()] == content && held[content.len()..] == [0xff; 4];
        if !same || report.is_err() {
            wrong.push((sparse, report));
        }
    }
    assert!(Command::new("losetup").arg("--detach").arg(device).status().unwrap().success());
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_source_that_shrinks_leaves_no_blocks_behind_the_end_of_its_copy() {
    on_each_file_system(
        "copy_blocks::a_source_that_shrinks_leaves_no_blocks_behind_the_end_of_its_copy",
        |place, kind| {
            let case = Case::on(place);
            fs::write(&case.source, pattern(8_000_000)).unwrap();
            let source = File::options().write(true).open(&case.source).unwrap();
            let rate = std::num::NonZeroU64::new(20_000_000);
            let options = CopyOptions { rate, ..CopyOptions::default() };
            let report = std::thread::scope(|scope| {
                let copying =
                    scope.spawn(|| copy_file::<Tested>(&case.source, &case.target, &options).unwrap());
                while options.progress.bytes() == 0 {
                    std::thread::yield_now();
                }
                source.set_len(3_000_000).unwrap();
                copying.join().unwrap()
            });
            assert_eq!(report.bytes, 3_000_000);
            assert!(fs::read(&case.target).unwrap() == pattern(3_000_000));
            let blocks = allocated(&case.target);
            assert!(blocks < 3_200_000, "{kind}: {blocks} bytes in blocks");
        },
    );
}
