//! Hashing a file of any kind.

use crate::Tested;
use afx_core::{
    Cancel, Operation,
    hash::{Algorithm, Digest, HashOptions, Hashed, Hasher, hash_file, hash_open_file},
    limits::CHUNK_BYTES,
    testing::{Fault, FaultSwitch, Faults, Faulty},
};
use rustix::fs::{Mode, mkfifoat};
use std::{
    fs::{self, File},
    io::{ErrorKind, Seek, SeekFrom, Write},
    num::NonZero,
    os::unix::fs::FileExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

fn naive(content: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(content);
    hasher.finish()
}

fn hash(path: &Path) -> afx_core::Result<Hashed> {
    hash_file::<Tested>(path, &[Algorithm::Sha256], &HashOptions::default())
}

/// Bytes that differ from chunk to chunk.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[test]
fn a_file_of_any_size_hashes_to_the_digest_of_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for len in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 17] {
        let content = pattern(len);
        fs::write(&path, &content).unwrap();
        let options = HashOptions::default();
        let hashed = hash_file::<Tested>(&path, &[Algorithm::Sha256], &options).unwrap();
        assert_eq!(hashed, Hashed { digests: vec![naive(&content)], bytes: len as u64 }, "{len} bytes");
        assert_eq!(options.progress.bytes(), len as u64);
    }
}

/// The digests of these bytes, each computed by itself.
fn each(algorithms: &[Algorithm], content: &[u8]) -> Vec<Digest> {
    let of = |algorithm: &Algorithm| {
        let mut hasher = Hasher::new(*algorithm);
        hasher.update(content);
        hasher.finish()
    };
    algorithms.iter().map(of).collect()
}

#[test]
fn any_algorithms_on_any_count_of_threads_give_the_digests_of_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let asked = [&Algorithm::ALL[..], &[Algorithm::Blake3], &[Algorithm::Crc32c, Algorithm::Blake3], &[]];
    for len in [0, 1, CHUNK_BYTES + 1, 17 * CHUNK_BYTES - 1] {
        let content = pattern(len);
        fs::write(&path, &content).unwrap();
        for algorithms in asked {
            for threads in [None, NonZero::new(1), NonZero::new(2), NonZero::new(3)] {
                let options = HashOptions { threads, ..HashOptions::default() };
                let hashed = hash_file::<Tested>(&path, algorithms, &options).unwrap();
                let expected = Hashed { digests: each(algorithms, &content), bytes: len as u64 };
                assert_eq!(hashed, expected, "{len} bytes, {threads:?} threads");
                assert_eq!(options.progress.bytes(), len as u64);
            }
        }
    }
}

#[test]
fn several_algorithms_read_a_pipe_once_and_holes_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let algorithms = [Algorithm::Xxh3, Algorithm::Blake3, Algorithm::Sha1];
    let (reader, mut writer) = std::io::pipe().unwrap();
    let content = pattern(3 * CHUNK_BYTES + 1);
    let options = HashOptions::default();
    let hashed = thread::scope(|scope| {
        let content = &content;
        scope.spawn(move || writer.write_all(content).unwrap());
        hash_open_file::<Tested>(reader.into(), Path::new("pipe"), &algorithms, &options).unwrap()
    });
    assert_eq!(hashed.digests, each(&algorithms, &content));
    let path = folder.path().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(9_000_000).unwrap();
    file.write_all_at(b"middle", 4_000_000).unwrap();
    for algorithms in [&algorithms[..], &[Algorithm::Blake3]] {
        let hashed = hash_file::<Tested>(&path, algorithms, &options).unwrap();
        assert_eq!(hashed.digests, each(algorithms, &fs::read(&path).unwrap()));
    }
}

#[test]
fn a_fifo_and_a_file_of_proc_are_read_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    mkfifoat(rustix::fs::CWD, &path, Mode::RWXU).unwrap();
    let content = pattern(3 * CHUNK_BYTES + 1);
    let digests = thread::scope(|scope| {
        scope.spawn(|| fs::write(&path, &content).unwrap());
        hash(&path).unwrap().digests
    });
    assert_eq!(digests, [naive(&content)]);
    let version = Path::new("/proc/version");
    assert_eq!(hash(version).unwrap().digests, [naive(&fs::read(version).unwrap())]);
}

#[test]
fn waiting_for_the_writer_of_a_fifo_ends_when_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    mkfifoat(rustix::fs::CWD, &path, Mode::RWXU).unwrap();
    let options = HashOptions::default();
    let hashed = thread::scope(|scope| {
        let hashing = scope.spawn(|| hash_file::<Tested>(&path, &[Algorithm::Sha256], &options));
        options.cancel.cancel();
        hashing.join().unwrap()
    });
    assert_eq!(hashed.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn an_open_file_is_hashed_from_its_own_position_which_moves_to_the_end() {
    let mut file = tempfile::tempfile().unwrap();
    for len in [1000, 2 * CHUNK_BYTES] {
        let content = pattern(len);
        file.set_len(0).unwrap();
        file.rewind().unwrap();
        file.write_all(&content).unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        let copy = file.try_clone().unwrap().into();
        let options = HashOptions::default();
        let hashed = hash_open_file::<Tested>(copy, Path::new("-"), &[Algorithm::Sha256], &options).unwrap();
        assert_eq!(hashed.digests, [naive(&content[7..])]);
        assert_eq!(file.stream_position().unwrap(), len as u64);
    }
}

#[test]
fn holes_are_hashed_as_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(9_000_000).unwrap();
    file.write_all_at(b"middle", 4_000_000).unwrap();
    assert_eq!(hash(&path).unwrap().digests, [naive(&fs::read(&path).unwrap())]);
}

#[test]
fn errors_name_the_operation_the_file_and_the_errno() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = hash(&missing).unwrap_err();
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::Open, Some(libc::ENOENT)));
    assert_eq!(error.path(), Some(missing.as_path()));
    let error = hash(folder.path()).unwrap_err();
    assert_eq!((error.operation(), error.raw_os_error()), (Operation::Read, Some(libc::EISDIR)));
}

#[test]
fn a_hash_that_waits_for_a_pipe_ends_when_it_is_cancelled() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let cancel = Cancel::new();
    let options = HashOptions { cancel: cancel.clone(), ..HashOptions::default() };
    let error = thread::scope(|scope| {
        let options = &options;
        let hashing = scope.spawn(|| {
            hash_open_file::<Tested>(reader.into(), Path::new("pipe"), &[Algorithm::Sha256], options)
        });
        writer.write_all(b"some").unwrap();
        while options.progress.bytes() < 4 {
            thread::yield_now();
        }
        cancel.cancel();
        hashing.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    drop(writer);
}

#[test]
fn a_hash_of_holes_without_end_ends_when_it_is_cancelled() {
    const STEP: u64 = 1 << 32;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let file = File::create(&path).unwrap();
    for number in 0..16 {
        file.write_all_at(b"data", number * STEP).unwrap();
    }
    let options = HashOptions::default();
    let error = thread::scope(|scope| {
        let hashing = scope.spawn(|| hash_file::<Tested>(&path, &[Algorithm::Sha256], &options));
        while options.progress.bytes() == 0 {
            thread::yield_now();
        }
        options.cancel.cancel();
        hashing.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn a_hole_counts_as_done_step_by_step() {
    const LEN: u64 = 1 << 40;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hole");
    File::create(&path).unwrap().set_len(LEN).unwrap();
    for threads in [1, 2] {
        let options = HashOptions { threads: NonZero::new(threads), ..HashOptions::default() };
        let seen = thread::scope(|scope| {
            let hashing = scope.spawn(|| hash_file::<Tested>(&path, &[Algorithm::Sha256], &options));
            let deadline = Instant::now() + Duration::from_secs(20);
            while options.progress.bytes() == 0 && Instant::now() < deadline {
                thread::yield_now();
            }
            let seen = options.progress.bytes();
            options.cancel.cancel();
            assert_eq!(hashing.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
            seen
        });
        assert!((1..LEN / 2).contains(&seen), "{seen}");
    }
}

#[test]
fn a_read_that_fails_is_reported_at_its_offset_and_short_ones_are_continued() {
    static FAULTS: Faults = Faults::new();
    struct Switch;
    impl FaultSwitch for Switch {
        fn faults() -> &'static Faults {
            &FAULTS
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for len in [1000, 3 * CHUNK_BYTES + 5] {
        let content = pattern(len);
        fs::write(&path, &content).unwrap();
        for fault in [Fault::Fail(libc::EIO), Fault::Interrupt, Fault::Short] {
            for number in 1.. {
                FAULTS.arm(number, fault);
                let result =
                    hash_file::<Faulty<Tested, Switch>>(&path, &[Algorithm::Sha256], &HashOptions::default());
                match result {
                    Ok(hashed) => assert_eq!(hashed.digests, [naive(&content)]),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::EIO));
                        let offset = (number - 1) * CHUNK_BYTES;
                        assert_eq!(error.offset(), Some(offset.min(len) as u64));
                    }
                }
                if !FAULTS.happened() {
                    assert!(number > len / CHUNK_BYTES, "only {number} reads of {len} bytes");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_read_of_one_of_several_threads_that_fails_is_reported_where_all_bytes_in_front_were_hashed() {
    static FAULTS: Faults = Faults::new();
    struct Switch;
    impl FaultSwitch for Switch {
        fn faults() -> &'static Faults {
            &FAULTS
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let content = pattern(17 * CHUNK_BYTES + 5);
    fs::write(&path, &content).unwrap();
    let expected = each(&[Algorithm::Blake3], &content);
    for fault in [Fault::Fail(libc::EIO), Fault::Interrupt, Fault::Short] {
        let mut failed = 0;
        for number in 1.. {
            FAULTS.arm(number, fault);
            let options = HashOptions { threads: NonZero::new(3), ..HashOptions::default() };
            let algorithms = [Algorithm::Blake3];
            match hash_file::<Faulty<Tested, Switch>>(&path, &algorithms, &options) {
                Ok(hashed) => assert_eq!(hashed.digests, expected),
                Err(error) => {
                    failed += 1;
                    assert_eq!(error.raw_os_error(), Some(libc::EIO));
                    assert_eq!(error.path(), Some(path.as_path()));
                    let offset = error.offset().unwrap();
                    assert!(offset <= content.len() as u64);
                    assert_eq!(options.progress.bytes(), offset);
                }
            }
            if !FAULTS.happened() {
                assert!(number > 18, "only {number} reads");
                break;
            }
        }
        assert_eq!(failed > 17, matches!(fault, Fault::Fail(_)), "{failed} of {fault:?}");
    }
}
