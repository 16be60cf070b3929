//! What others may do to a copy: files forged beside the target, names that are no files, sources that break off.

use crate::{
    Tested,
    case::{Case, again, fifo, has, is_root, job, passes, pattern, sha256, skip},
};
use afx_core::{
    Cancel, Error, Operation,
    compress::{Codec, Compression, Level, Transformer},
    copy::{
        CopyMethod, CopyOptions, DryRun, End, Outcome, Overwrite, Reflink, Skip, Writing, copy_file, dry_run,
    },
    tee::{OnFailure, TeeOptions, tee},
};
use std::{
    collections::HashSet,
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, chown, symlink},
    },
    path::{Path, PathBuf},
    process,
    sync::Arc,
    thread,
};

fn compress(codec: Codec) -> Compression {
    Compression::Compress { codec, level: Level::default_of(codec) }
}

/// Whether `compressed` looks like a whole stream.
fn is_whole(compressed: &Path) -> bool {
    if fs::metadata(compressed).unwrap().len() == 0 {
        return false;
    }
    let options = CopyOptions { compression: Some(Compression::Decompress(None)), ..CopyOptions::default() };
    copy_file::<Tested>(compressed, &compressed.with_extension("restored"), &options).is_ok()
}

#[test]
fn a_compressed_stream_has_no_end_where_the_reading_failed() {
    let case = Case::new();
    for codec in [Codec::Zstd, Codec::Gzip] {
        let target = case.path("compressed");
        let folder = Arc::new(OwnedFd::from(File::open(case.folder.path()).unwrap()));
        let options = TeeOptions { compression: Some(compress(codec)), ..TeeOptions::default() };
        let targets = [target.clone().into()];
        let error = tee::<Tested>(&End::Open(folder, "folder".into()), &targets, &options).unwrap_err();
        assert_eq!((error.operation(), error.kind()), (Operation::Read, ErrorKind::IsADirectory));
        assert!(!is_whole(&target), "what {codec:?} made of a part looks like all of it");
    }
}

#[test]
fn a_compressed_stream_has_no_end_where_another_target_ended_it() {
    let case = Case::new();
    for codec in [Codec::Zstd, Codec::Gzip] {
        let target = case.path("compressed");
        let (reader, mut writer) = io::pipe().unwrap();
        let (gone, broken) = io::pipe().unwrap();
        drop(gone);
        let targets = [target.clone().into(), End::Open(Arc::new(broken.into()), "broken".into())];
        let options = TeeOptions {
            compression: Some(compress(codec)),
            on_failure: OnFailure::StopAtBrokenPipe,
            ..TeeOptions::default()
        };
        thread::scope(|scope| {
            scope.spawn(move || while writer.write_all(&pattern(1000)).is_ok() {});
            let source = End::Open(Arc::new(reader.into()), "-".into());
            let report = tee::<Tested>(&source, &targets, &options).unwrap();
            assert_eq!(report.targets[1].as_ref().unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
        assert!(!is_whole(&target), "what {codec:?} made of a part looks like all of it");
    }
}

fn resuming() -> CopyOptions {
    CopyOptions { resume: true, ..CopyOptions::default() }
}

/// The files that a copy to the target leaves to go on from: itself, and what is remembered of it.
fn partial_of(case: &Case) -> (PathBuf, PathBuf) {
    let digest = sha256(b"target").to_string();
    let name = format!(".afx-{}.partial", digest.get(..16).unwrap());
    (case.path(&name), case.path(&format!("{name}.journal")))
}

#[test]
fn what_another_user_left_to_go_on_from_is_not_believed() {
    let case = Case::new();
    if !is_root() {
        return skip("what_another_user_left_to_go_on_from_is_not_believed", "it takes root");
    }
    chown(&case.source, Some(1234), None).unwrap();
    fs::remove_file(&case.target).unwrap();
    let (partial, journal) = partial_of(&case);
    for forged in [&partial, &journal] {
        fs::write(forged, "").unwrap();
        chown(forged, Some(1234), None).unwrap();
        let error = copy_file::<Tested>(&case.source, &case.target, &resuming()).unwrap_err();
        assert_eq!((error.operation(), error.kind()), (Operation::Open, ErrorKind::AlreadyExists), "{error}");
        assert!(!case.target.exists());
        assert_eq!(fs::read(forged).unwrap(), b"");
        let _ = (fs::remove_file(&partial), fs::remove_file(&journal));
    }
    // With -p it may have come so far.
    fs::write(&partial, "").unwrap();
    chown(&partial, Some(1234), None).unwrap();
    let options = CopyOptions { preserve: true, ..resuming() };
    copy_file::<Tested>(&case.source, &case.target, &options).unwrap();
    assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
}

#[test]
fn what_is_remembered_of_a_partial_file_that_is_gone_stands_in_nobodys_way() {
    let case = Case::new();
    let (_, journal) = partial_of(&case);
    fs::write(&journal, "afx-copy 1 device 1 inode 2 size 3 modified 4.5 changed 6.7\ndone 5\n").unwrap();
    let report = copy_file::<Tested>(&case.source, &case.target, &resuming()).unwrap();
    assert_eq!((report.bytes, report.resumed_at), (1000, None));
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn of_several_writers_who_died_all_is_removed_also_where_some_had_ended_before() {
    let case = Case::new();
    let digest = sha256(b"target").to_string();
    // Seven of eight that were there at once, and one of those who came behind them.
    for number in [7, 15] {
        fs::write(case.path(&format!(".afx-{}.{number}", digest.get(..16).unwrap())), "dead").unwrap();
    }
    copy_file::<Tested>(&case.source, &case.target, &CopyOptions::default()).unwrap();
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn of_copies_to_one_target_that_may_be_resumed_one_is_at_work_and_the_others_are_told_so() {
    let case = Case::new();
    let copies = || (0..2000).map(|_| copy_file::<Tested>(&case.source, &case.target, &resuming()));
    let done = thread::scope(|scope| {
        let one = || copies().filter_map(Result::err).map(|error| error.kind()).collect::<HashSet<_>>();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<HashSet<_>>()
    });
    assert!(done.iter().all(|kind| *kind == ErrorKind::ResourceBusy), "{done:?}");
    assert_eq!(fs::read(&case.target).unwrap(), pattern(1000));
}

#[test]
fn what_cannot_be_read_back_is_refused_where_it_was_to_be_verified() {
    let case = Case::new();
    let held = case.path("fifo");
    fifo(&held);
    // Should it be opened after all, which waits for a reader.
    let cancel = Cancel::new();
    cancel.cancel();
    for writing in [Writing::Auto, Writing::InPlace] {
        let options = CopyOptions { verify: true, writing, cancel: cancel.clone(), ..CopyOptions::default() };
        for target in [Path::new("/dev/null"), &held] {
            let error = copy_file::<Tested>(&case.source, target, &options).unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, Some(target)), "{error}");
            let told = rehearsed(&case.source, target, &options).unwrap_err();
            assert_eq!(told.to_string(), error.to_string());
        }
    }
}

#[test]
fn a_file_is_compressed_to_the_same_bytes_however_fast_it_is_read() {
    let case = Case::new();
    let content = pattern(8 << 20);
    fs::write(&case.source, &content).unwrap();
    for codec in [Codec::Zstd, Codec::Gzip] {
        let Compression::Compress { level, .. } = compress(codec) else { unreachable!() };
        let mut transformer = Transformer::compressor(codec, level).unwrap();
        let mut expected = vec![0; 9 << 20];
        let step = transformer.step(&content, &mut expected).unwrap();
        assert_eq!(step.consumed, content.len());
        let finish = transformer.finish(&mut expected[step.produced..]).unwrap();
        assert!(finish.done);
        expected.truncate(step.produced + finish.produced);
        let options = CopyOptions { compression: Some(compress(codec)), ..CopyOptions::default() };
        copy_file::<Tested>(&case.source, &case.target, &options).unwrap();
        assert!(fs::read(&case.target).unwrap() == expected, "{codec:?}");
    }
}

#[test]
fn what_is_not_to_be_overwritten_may_be_a_device_or_a_fifo() {
    let case = Case::new();
    let held = case.path("fifo");
    fifo(&held);
    // Should it be opened after all, which waits for a reader.
    let cancel = Cancel::new();
    cancel.cancel();
    let options = CopyOptions { overwrite: Overwrite::Never, cancel, ..CopyOptions::default() };
    for target in [Path::new("/dev/null"), &held] {
        let report = copy_file::<Tested>(&case.source, target, &options).unwrap();
        assert_eq!(report.targets[0].outcome, Outcome::Skipped(Skip::Exists));
        assert_eq!(report.method, CopyMethod::None);
    }
}

fn rehearsed(source: &Path, target: &Path, options: &CopyOptions) -> Result<DryRun, Error> {
    dry_run(&source.into(), &[target.into()], options)
}

#[test]
fn a_dry_run_leaves_the_writer_of_a_fifo_waiting() {
    let case = Case::new();
    let source = case.path("fifo");
    fifo(&source);
    // It would wait for a writer, otherwise.
    let cancel = Cancel::new();
    cancel.cancel();
    let options = CopyOptions { cancel, ..CopyOptions::default() };
    let run = rehearsed(&source, &case.target, &options).unwrap();
    assert_eq!((run.method, run.bytes), (CopyMethod::Pipeline, None));
}

#[test]
fn a_dry_run_fails_where_no_name_can_be_added() {
    const NAME: &str = "copy_hostile::a_dry_run_fails_where_no_name_can_be_added";
    if is_root() && job().is_none() {
        if !has("setpriv") {
            return skip(NAME, "setpriv is missing");
        }
        let powers = "-dac_override,-dac_read_search";
        return passes(again(NAME, &["setpriv", "--bounding-set", powers, "--inh-caps", powers], "denied"));
    }
    let case = Case::new();
    let (folder, target) = (case.path("folder"), case.path("folder/new"));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    assert_eq!(File::create(&target).unwrap_err().kind(), ErrorKind::PermissionDenied);
    let options = CopyOptions::default();
    let failure = copy_file::<Tested>(&case.source, &target, &options).unwrap_err();
    let rehearsed = rehearsed(&case.source, &target, &options).unwrap_err();
    assert_eq!(rehearsed.to_string(), failure.to_string());
    assert_eq!(rehearsed.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn a_dry_run_fails_where_blocks_are_to_be_shared_and_cannot_be() {
    let case = Case::new();
    symlink("/dev/null", case.path("null")).unwrap();
    let options = CopyOptions { reflink: Reflink::Always, ..CopyOptions::default() };
    let in_place = CopyOptions { writing: Writing::InPlace, ..options.clone() };
    for (source, target, options) in [
        (&case.source, &case.path("null"), &options),
        (&case.source, &case.target, &in_place),
        (&PathBuf::from("/dev/null"), &case.target, &options),
    ] {
        let failure = copy_file::<Tested>(source, target, options).unwrap_err();
        let rehearsed = rehearsed(source, target, options).unwrap_err();
        assert_eq!((rehearsed.operation(), rehearsed.kind()), (failure.operation(), failure.kind()));
        assert_eq!(rehearsed.path(), failure.path());
    }
    assert_eq!(fs::read(&case.target).unwrap(), b"old");
    assert_eq!(case.names(), ["null", "source", "target"]);
}

#[test]
fn a_file_of_the_kernel_that_takes_no_offsets_is_read_as_it_comes() {
    const NAME: &str = "copy_hostile::a_file_of_the_kernel_that_takes_no_offsets_is_read_as_it_comes";
    const MOUNT: &str = r#"folder=$1; shift; mount -t tracefs none "$folder" || exit 99; exec "$@""#;
    if let Some(folder) = job() {
        let traces = PathBuf::from(folder).join(format!("instances/afx-test-{}", process::id()));
        fs::create_dir(&traces).unwrap();
        fs::write(traces.join("trace_marker"), "here it is").unwrap();
        // Its end, where it would wait for more otherwise.
        fs::write(traces.join("tracing_on"), "0").unwrap();
        let case = Case::new();
        let copied = copy_file::<Tested>(&traces.join("trace_pipe"), &case.target, &CopyOptions::default());
        fs::remove_dir(&traces).unwrap();
        copied.unwrap();
        let content = fs::read_to_string(&case.target).unwrap();
        return assert!(content.contains("here it is"), "{content:?}");
    }
    if !is_root() {
        return skip(NAME, "only root may mount");
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().to_str().unwrap();
    let through = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh", folder];
    let output = again(NAME, &through, folder).output().unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) || complained.starts_with("unshare:") {
        return skip(NAME, complained.trim());
    }
    assert!(output.status.success(), "{}{complained}", String::from_utf8_lossy(&output.stdout));
}
