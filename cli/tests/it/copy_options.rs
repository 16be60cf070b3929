//! The options of `afx copy`: what each does to the target, and what is said.

use crate::{Case, afx_in, assert_failed, assert_succeeded, run, shell, text};
use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::Stdio,
    time::{Duration, Instant},
};

#[test]
fn several_sources_go_to_a_directory_as_with_cp() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    assert_succeeded(&run(case.folder(), ["copy", "source", "target", "folder"]));
    assert_eq!(
        (case.read("folder/source"), case.read("folder/target")),
        ("new content\n".into(), "old".into())
    );
    assert_succeeded(&run(case.folder(), ["copy", "-t", "folder", "source"]));
    assert_failed(
        &run(case.folder(), ["copy", "source", "target", "none"]),
        "cannot copy 'none': No such file or directory",
    );
    assert_failed(
        &run(case.folder(), ["copy", "-T", "source", "folder"]),
        "cannot open 'folder': Is a directory",
    );
    for senseless in [&["copy", "source"][..], &["copy", "-T", "a", "b", "c"], &["copy", "-", "folder"]] {
        assert_eq!(run(case.folder(), senseless).status.code(), Some(2), "{senseless:?}");
    }
}

#[test]
fn one_that_fails_does_not_keep_the_others_from_being_copied() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    let output = run(case.folder(), ["copy", "gone", "source", "folder"]);
    assert_failed(&output, "cannot open 'gone': No such file or directory");
    assert_eq!(case.read("folder/source"), "new content\n");
}

#[test]
fn standard_input_and_output_are_ends_like_any_other() {
    let case = Case::new();
    let piped = shell(case.folder(), "echo piped | \"$AFX\" copy - target");
    assert_succeeded(&piped);
    assert_eq!(case.read("target"), "piped\n");
    let output = run(case.folder(), ["copy", "source", "-"]);
    assert_succeeded(&output);
    assert_eq!(text(&output.stdout), "new content\n");
    // At its own position, as the shell's other commands write.
    assert_succeeded(&shell(case.folder(), "{ echo head; \"$AFX\" copy source -; echo tail; } > target"));
    assert_eq!(case.read("target"), "head\nnew content\ntail\n");
    assert_succeeded(&shell(case.folder(), "{ read line; \"$AFX\" copy - rest; } < target"));
    assert!(case.read("target").ends_with(&case.read("rest")));
    let digest = shell(case.folder(), "\"$AFX\" copy --hash sha256 source - | cmp - source");
    // Where the data does not go, with the name that sha256sum gives to it.
    assert!(text(&digest.stderr).ends_with("  -\n"), "{}", text(&digest.stderr));
    assert_eq!(digest.status.code(), Some(0));
}

#[test]
fn the_bytes_of_a_tee_are_those_of_the_target_and_all_old_files_stay_if_one_fails() {
    let case = Case::new();
    let output =
        run(case.folder(), ["copy", "source", "a", "--tee", "b", "--tee", "c", "--hash", "md5,xxh3"]);
    assert_succeeded(&output);
    assert_eq!((case.read("a"), case.read("b")), (case.read("source"), case.read("c")));
    fs::write(case.path("sums"), &output.stdout).unwrap();
    let checked = run(case.folder(), ["hash", "-c", "sums"]);
    assert_succeeded(&checked);
    assert_eq!(text(&checked.stdout).lines().count(), 6);
    let output = run(case.folder(), ["copy", "a", "target", "--tee", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write '/dev/full': No space left on device"));
    assert_eq!(case.read("target"), "old");
}

#[test]
fn a_manifest_is_replaced_in_one_step_and_can_be_checked() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    fs::write(case.path("manifest"), "an old one").unwrap();
    let output =
        run(case.folder(), ["copy", "--hash=sha256", "--manifest=manifest", "source", "target", "folder"]);
    assert_succeeded(&output);
    assert!(output.stdout.is_empty());
    assert!(shell(case.folder(), "sha256sum --status -c manifest").status.success());
    assert_eq!(case.read("manifest").lines().count(), 2);
}

#[test]
fn what_is_compressed_gets_a_suffix_in_a_directory_and_loses_it_again() {
    let case = Case::new();
    fs::create_dir(case.path("packed")).unwrap();
    fs::create_dir(case.path("back")).unwrap();
    for (codec, name) in [("zstd:19", "packed/source.zst"), ("gzip", "packed/source.gz")] {
        assert_succeeded(&run(case.folder(), ["copy", "--compress", codec, "source", "packed"]));
        assert_succeeded(&run(case.folder(), ["copy", "--decompress", name, "back"]));
        assert_eq!(case.read("back/source"), case.read("source"));
        fs::remove_file(case.path("back/source")).unwrap();
    }
    let output = run(case.folder(), ["copy", "--decompress", "source", "target"]);
    assert_eq!((output.status.code(), case.read("target")), (Some(1), "old".into()));
    let message = "afx: cannot decompress 'source': neither in zstd nor in gzip format\n";
    assert_eq!(text(&output.stderr), message);
    for start in ["PK", "(", "\x1f"] {
        fs::write(case.path("other"), format!("{start} and more")).unwrap();
        let output = run(case.folder(), ["copy", "--decompress", "other", "target"]);
        assert_eq!(text(&output.stderr), message.replace("'source'", "'other'"));
    }
    assert_eq!(run(case.folder(), ["copy", "--compress", "rar", "source", "x"]).status.code(), Some(2));
}

#[test]
fn an_existing_target_stays_where_it_is_not_to_be_overwritten() {
    let case = Case::new();
    assert_succeeded(&run(case.folder(), ["copy", "-n", "source", "target"]));
    assert_eq!(case.read("target"), "old");
    assert!(shell(case.folder(), "touch -d 2001-01-01 source").status.success());
    assert_succeeded(&run(case.folder(), ["copy", "-u", "source", "target"]));
    assert_eq!(case.read("target"), "old");
    assert!(shell(case.folder(), "touch -d 2000-01-01 target").status.success());
    assert_succeeded(&run(case.folder(), ["copy", "-u", "source", "target"]));
    assert_eq!(case.read("target"), "new content\n");
}

#[test]
fn what_is_preserved_is_what_cp_preserves() {
    let case = Case::new();
    fs::set_permissions(case.path("source"), fs::Permissions::from_mode(0o2755)).unwrap();
    assert!(shell(case.folder(), "touch -d '2001-02-03 04:05:06.123456789' source").status.success());
    assert_succeeded(&run(case.folder(), ["copy", "-p", "source", "ours"]));
    assert!(shell(case.folder(), "cp -p source theirs").status.success());
    let of = |name| {
        let found = fs::metadata(case.path(name)).unwrap();
        (found.mode(), found.uid(), found.gid(), found.mtime(), found.mtime_nsec())
    };
    assert_eq!(of("ours"), of("theirs"));
}

#[test]
fn in_place_keeps_the_file_and_atomic_refuses_what_it_would_break() {
    let case = Case::new();
    let inode = |name| fs::metadata(case.path(name)).unwrap().ino();
    let before = inode("target");
    assert_succeeded(&run(case.folder(), ["copy", "--in-place", "source", "target"]));
    assert_eq!((inode("target"), case.read("target")), (before, "new content\n".into()));
    fs::hard_link(case.path("target"), case.path("other")).unwrap();
    fs::write(case.path("source"), "newer").unwrap();
    let refused = run(case.folder(), ["copy", "--atomic", "source", "target"]);
    let why = "cannot copy 'target': it cannot be replaced in one step: it has other hard links";
    assert_failed(&refused, why);
    assert_eq!(case.read("other"), "new content\n");
    symlink("target", case.path("link")).unwrap();
    let links = ["copy", "--atomic", "--durability=full", "source", "link"];
    assert_failed(&run(case.folder(), links), &why.replace("'target'", "'link'"));
}

#[test]
fn a_dry_run_says_what_how_and_why_and_does_nothing() {
    let case = Case::new();
    let output = run(case.folder(), ["copy", "--dry-run", "--compress=zstd", "source", "target"]);
    assert_succeeded(&output);
    let expected =
        "'source' -> 'target': replaced in one step; method pipeline: the bytes are transformed on the way\n";
    assert_eq!(text(&output.stdout), expected);
    let output = run(case.folder(), ["copy", "--dry-run", "-n", "source", "target"]);
    assert_eq!(text(&output.stdout), "'source' -> 'target': left alone: it exists\n");
    let output = run(case.folder(), ["--json", "copy", "--dry-run", "source", "/dev/null"]);
    assert!(text(&output.stdout).contains(r#""in_place":"special""#), "{}", text(&output.stdout));
    assert_failed(
        &run(case.folder(), ["copy", "--dry-run", "source", "source"]),
        "cannot copy 'source': source and target are the same file",
    );
    assert_eq!((case.read("target"), case.names()), ("old".into(), vec!["source".into(), "target".into()]));
}

#[test]
fn a_limit_holds_on_average() {
    let case = Case::new();
    fs::write(case.path("source"), vec![7; 3 * 1024 * 1024]).unwrap();
    let begun = Instant::now();
    assert_succeeded(&run(case.folder(), ["copy", "--bwlimit=4M", "source", "target"]));
    // Three quarters of a second, less the burst at the start and the last piece.
    assert!(begun.elapsed() > Duration::from_millis(450), "{:?}", begun.elapsed());
    for wrong in ["0", "-1", "fast", "1X"] {
        assert_eq!(
            run(case.folder(), ["copy", "--bwlimit", wrong, "source", "x"]).status.code(),
            Some(2),
            "{wrong}"
        );
    }
}

#[test]
fn what_was_kept_is_gone_on_with() {
    let case = Case::new();
    fs::write(case.path("source"), vec![7; 200 * 1024 * 1024]).unwrap();
    let resumed = ["copy", "--resume", "--reflink=never", "source", "target"];
    let mut first = afx_in(case.folder()).args(resumed).arg("--bwlimit=150M").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let journal = case.names().into_iter().find(|name| name.ends_with(".journal"));
        let content = journal.map(|name| fs::read_to_string(case.path(&name)).unwrap_or_default());
        if content.is_some_and(|content| content.contains("done ")) {
            break;
        }
        assert!(Instant::now() < deadline, "no record was made");
        assert!(first.try_wait().unwrap().is_none(), "the first copy was too fast");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(case.read("target"), "old");
    let again = run(case.folder(), resumed);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains("'source' was gone on with at byte"), "{}", text(&again.stderr));
    assert!(shell(case.folder(), "cmp source target").status.success());
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn results_in_json_have_no_place_where_the_data_goes() {
    let case = Case::new();
    assert_eq!(run(case.folder(), ["--json", "copy", "source", "-"]).status.code(), Some(2));
    let mut tee = afx_in(case.folder())
        .args(["--json", "tee", "--no-stdout", "out"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    tee.stdin.take().unwrap().write_all(b"some").unwrap();
    let output = tee.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "{\"tee\":{\"bytes\":4,\"written\":[4],\"digests\":{}}}\n");
}

#[test]
fn digests_never_replace_the_files_that_they_are_of() {
    let case = Case::new();
    fs::hard_link(case.path("source"), case.path("link")).unwrap();
    let before = case.read("source");
    for manifest in ["source", "./source", "link", "target", "./target", "./new", "second"] {
        let target = if manifest == "./new" { "new" } else { "target" };
        let arguments = ["copy", "--hash=md5", "--manifest", manifest, "--tee", "second", "source", target];
        let output = run(case.folder(), arguments);
        assert_eq!(output.status.code(), Some(1), "{manifest}");
        assert!(text(&output.stderr).contains("the digests would replace"), "{}", text(&output.stderr));
        assert_eq!(case.read("source"), before);
        assert!(!case.path("second").exists());
    }
    let teed = shell(case.folder(), "echo x | \"$AFX\" tee --hash md5 --manifest source source");
    assert!(text(&teed.stderr).contains("the digests would replace"), "{}", text(&teed.stderr));
    assert_eq!(case.read("source"), before);
}

#[test]
fn a_manifest_stays_where_nothing_was_written() {
    let case = Case::new();
    fs::write(case.path("sums"), "an old one").unwrap();
    for (arguments, status) in [(["--no-clobber", "source"], 0), (["--update", "gone"], 1)] {
        let [option, source] = arguments;
        let arguments = ["copy", option, "--hash=md5", "--manifest=sums", source, "target"];
        assert_eq!(run(case.folder(), arguments).status.code(), Some(status));
        assert_eq!(case.read("sums"), "an old one");
    }
    let nowhere = "echo x | \"$AFX\" tee --hash md5 --manifest sums no/such >/dev/null";
    assert_eq!(shell(case.folder(), nowhere).status.code(), Some(1));
    assert_eq!(case.read("sums"), "an old one");
}

#[test]
fn a_dash_is_a_standard_stream_also_as_a_manifest_and_beside_a_folder_of_that_name() {
    let case = Case::new();
    fs::create_dir(case.path("-")).unwrap();
    let output = run(case.folder(), ["copy", "source", "-"]);
    assert_eq!(text(&output.stdout), "new content\n");
    assert!(!case.path("-/source").exists());
    fs::remove_dir(case.path("-")).unwrap();
    let output = run(case.folder(), ["copy", "--hash=md5", "--manifest=-", "source", "target"]);
    assert_succeeded(&output);
    assert!(text(&output.stdout).ends_with("  target\n"), "{}", text(&output.stdout));
    assert!(!case.path("-").exists());
}

#[test]
fn a_folder_to_copy_to_that_is_missing_is_called_missing() {
    let case = Case::new();
    let output = run(case.folder(), ["copy", "-t", "gone", "source"]);
    assert_failed(&output, "cannot copy 'gone': No such file or directory");
    let output = run(case.folder(), ["copy", "-t", "source", "source"]);
    assert_failed(&output, "cannot copy 'source': Not a directory");
    fs::create_dir(case.path("folder")).unwrap();
    let output = run(case.folder(), ["copy", "folder/..", "target", "folder"]);
    assert_failed(&output, "cannot copy 'folder/..': Is a directory");
    assert_eq!(case.read("folder/target"), "old", "the others are copied");
}

#[test]
fn a_manifest_that_cannot_be_written_is_found_before_anything_is_copied() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    for (manifest, why) in [("no/sums", "No such file or directory"), ("folder", "Is a directory")] {
        let message = format!("cannot open '{manifest}': {why}");
        let arguments = ["copy", "--hash=md5", "--manifest", manifest, "source", "target"];
        assert_failed(&run(case.folder(), arguments), &message);
        let script = format!("echo x | \"$AFX\" tee --hash md5 --manifest {manifest} target");
        assert_failed(&shell(case.folder(), &script), &message);
    }
    assert_eq!(
        (case.read("target"), case.names()),
        ("old".into(), vec!["folder".into(), "source".into(), "target".into()])
    );
}

#[test]
fn a_new_manifest_has_the_permissions_of_any_new_file() {
    let case = Case::new();
    let script = "umask 027; touch plain; \"$AFX\" copy --hash md5 --manifest one source target && \
                  echo x | \"$AFX\" tee --hash md5 --manifest two --no-stdout target; stat -c %a plain one two; ls -A";
    let output = shell(case.folder(), script);
    assert_succeeded(&output);
    assert_eq!(text(&output.stdout), "640\n640\n640\none\nplain\nsource\ntarget\ntwo\n");
}

#[test]
fn what_is_left_alone_is_not_in_the_manifest_which_is_said() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    let arguments = ["copy", "-u", "--hash=md5", "--manifest=sums", "source", "target", "folder"];
    assert_succeeded(&run(case.folder(), arguments));
    let before = case.read("sums");
    assert_eq!(before.lines().count(), 2);
    let again = run(case.folder(), arguments);
    assert_eq!(again.status.code(), Some(0));
    let said = |name| format!("afx: 'folder/{name}' is not in 'sums': left alone: it is not older\n");
    assert_eq!(text(&again.stderr), said("source") + &said("target"));
    assert_eq!(case.read("sums"), before);
    assert_succeeded(&run(case.folder(), ["-q"].into_iter().chain(arguments)));
}

#[test]
fn of_two_files_with_one_name_the_first_is_copied_as_by_cp() {
    let case = Case::new();
    for folder in ["one", "two", "ours", "theirs"] {
        fs::create_dir(case.path(folder)).unwrap();
    }
    for name in ["one/f", "one/g", "two/f"] {
        fs::write(case.path(name), name).unwrap();
    }
    let clash = run(case.folder(), ["copy", "one/f", "two/f", "one/g", "ours"]);
    assert_failed(&clash, "cannot copy 'ours/f': 'one/f' of this command goes there");
    assert_eq!(shell(case.folder(), "cp one/f two/f one/g theirs").status.code(), Some(1));
    for name in ["f", "g"] {
        assert_eq!(case.read(&format!("ours/{name}")), case.read(&format!("theirs/{name}")));
    }
    let twice = run(case.folder(), ["copy", "one/f", "one/f", "./one/f", "one/g", "ours"]);
    let warned = |name| format!("afx: '{name}' is given more than once as a source\n");
    assert_eq!(text(&twice.stderr), warned("one/f") + &warned("./one/f"));
    assert_eq!(twice.status.code(), Some(0));
    assert_eq!(shell(case.folder(), "cp one/f one/f ./one/f one/g theirs").status.code(), Some(0));
}

#[test]
fn options_that_contradict_each_other_are_wrong_usage() {
    let case = Case::new();
    for (options, target) in [
        ("--resume --compress zstd", "target"),
        ("--resume --decompress", "target"),
        ("--resume --tee other", "target"),
        ("--resume --in-place", "target"),
        ("--resume", "-"),
        ("--resume --reflink=always", "target"),
        ("--reflink=always --compress=zstd", "target"),
        ("--reflink --tee other", "target"),
        ("--reflink=always --sparse=never", "target"),
        ("--reflink=always --bwlimit 1M", "target"),
        ("--atomic", "-"),
        ("--verify", "-"),
        ("--verify --tee -", "target"),
    ] {
        let arguments = ["copy"].into_iter().chain(options.split(' ')).chain(["source", target]);
        let output = run(case.folder(), arguments);
        assert_eq!(
            (output.status.code(), text(&output.stdout)),
            (Some(2), String::new()),
            "{options} {target}"
        );
        assert!(text(&output.stderr).starts_with("error: "), "{options} {target}");
    }
    assert_eq!(run(case.folder(), ["copy", "--resume", "-", "target"]).status.code(), Some(2));
    assert_eq!((case.read("target"), case.names().len()), ("old".into(), 2));
}

#[test]
fn what_cannot_be_read_back_or_replaced_is_refused_where_that_was_asked_for() {
    let case = Case::new();
    assert!(shell(case.folder(), "mkfifo fifo").status.success());
    for target in ["/dev/null", "fifo"] {
        for option in ["--verify", "--atomic"] {
            let output = run(case.folder(), ["copy", option, "source", target]);
            assert_eq!(output.status.code(), Some(1), "{option} {target}");
            assert!(text(&output.stderr).contains("not a regular file"), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn what_is_restored_in_a_directory_has_the_name_that_gunzip_gives() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    assert_succeeded(&run(case.folder(), ["copy", "--compress=gzip", "source", "packed"]));
    for (name, restored) in [
        ("a.gz", "a"),
        ("a.zst", "a"),
        ("a.tar.gz", "a.tar"),
        ("b.tgz", "b.tar"),
        ("c.tzst", "c.tar"),
        ("plain", "plain"),
        (".gz", ".gz"),
    ] {
        fs::rename(case.path("packed"), case.path(name)).unwrap();
        assert_succeeded(&run(case.folder(), ["copy", "--decompress", name, "folder"]));
        assert_eq!(case.read(&format!("folder/{restored}")), case.read("source"), "{name}");
        fs::rename(case.path(name), case.path("packed")).unwrap();
        fs::remove_file(case.path("folder").join(restored)).unwrap();
    }
}

#[test]
fn a_source_that_changed_names_the_partial_file_and_its_directory() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    let script = "head -c 3000000 /dev/urandom >large; (ulimit -f 1000; \"$AFX\" copy --resume large folder/x); touch large; \
                  \"$AFX\" copy --resume large folder/x 2>said; ls -A folder";
    let output = shell(case.folder(), script);
    let kept = text(&output.stdout);
    let folder = fs::canonicalize(case.path("folder")).unwrap();
    let place = |name: &str| folder.join(name).display().to_string();
    let names: Vec<_> = kept.lines().collect();
    assert_eq!(names.len(), 2, "{kept}{}", text(&output.stderr));
    let expected = format!("remove {} and {} to begin anew\n", place(names[0]), place(names[1]));
    assert!(case.read("said").ends_with(&expected), "{}", case.read("said"));
}
