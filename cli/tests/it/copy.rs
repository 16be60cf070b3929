//! `afx copy`.

use crate::{
    Case, afx_in, assert_failed, assert_succeeded, command_in, names_in, run, shell, shell_with_mounts, text,
};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, Permissions},
    io::Read,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::{MetadataExt, PermissionsExt, chown},
            process::ExitStatusExt,
        },
    },
    process::{Command, Stdio},
};

#[test]
fn a_copy_is_what_cp_makes_and_is_silent() {
    let case = Case::new();
    for mode in [0o644, 0o755, 0o600] {
        fs::set_permissions(case.path("source"), Permissions::from_mode(mode)).unwrap();
        let output = run(case.folder(), ["copy", "source", "ours"]);
        assert_succeeded(&output);
        assert!(output.stdout.is_empty());
        assert!(shell(case.folder(), "cp source theirs").status.success());
        assert_eq!(case.read("ours"), case.read("theirs"));
        let mode_of = |name| fs::metadata(case.path(name)).unwrap().mode();
        assert_eq!(mode_of("ours"), mode_of("theirs"));
        fs::remove_file(case.path("ours")).unwrap();
        fs::remove_file(case.path("theirs")).unwrap();
    }
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn the_digest_line_is_sha256sums_for_any_name_and_passes_its_check() {
    let case = Case::new();
    for name in [&b"plain"[..], b"a b", b"back\\slash", b"new\nline", b"\xff\xfe", b"-dash"] {
        let name = OsStr::from_bytes(name);
        let ours = run(
            case.folder(),
            [OsStr::new("copy"), OsStr::new("--hash=sha256"), OsStr::new("--"), OsStr::new("source"), name],
        );
        assert_succeeded(&ours);
        let theirs = command_in(case.folder(), "sha256sum").arg("--").arg(name).output().unwrap();
        assert_eq!(text(&ours.stdout), text(&theirs.stdout));
        fs::write(case.path("sums"), &ours.stdout).unwrap();
        assert!(shell(case.folder(), "sha256sum --status -c sums").status.success());
        assert_succeeded(&run(case.folder(), ["hash", "-c", "--status", "sums"]));
    }
}

#[test]
fn a_directory_as_target_takes_the_file_under_its_own_name() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    for target in ["folder", "folder/", "./folder/."] {
        let output = run(case.folder(), ["copy", "--hash", "sha224", "./source", target]);
        assert_succeeded(&output);
        assert!(text(&output.stdout).ends_with("/source\n"));
        assert_eq!(case.read("folder/source"), "new content\n");
        fs::remove_file(case.path("folder/source")).unwrap();
    }
}

#[test]
fn what_cannot_be_copied_is_said_in_one_line_and_changes_nothing() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    let fails = |source: &str, target: &str, message: &str| {
        assert_failed(&run(case.folder(), ["copy", source, target]), message);
    };
    fails("missing", "target", "cannot open 'missing': No such file or directory");
    fails("folder", "target", "cannot copy 'folder': Is a directory");
    fails("source", "source", "cannot copy 'source': source and target are the same file");
    fails("source", "new/", "cannot open 'new/': Not a directory");
    fails("source", "no/new/", "cannot open 'no/new/': No such file or directory");
    fails("source", "no/new", "cannot open 'no/new': No such file or directory");
    fails("source", "target/new", "cannot open 'target/new': Not a directory");
    fails("a\nb", "target", r"cannot open $'a\nb': No such file or directory");
    assert_eq!(case.names(), ["folder", "source", "target"]);
    assert_eq!(case.read("target"), "old");
}

#[test]
fn a_full_device_is_an_error_and_in_place_is_said_once() {
    let case = Case::new();
    let output = run(case.folder(), ["copy", "source", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "afx: writing '/dev/full' in place: it is not a regular file\n\
         afx: cannot write '/dev/full': No space left on device\n"
    );
    fs::hard_link(case.path("target"), case.path("other")).unwrap();
    let output = run(case.folder(), ["copy", "source", "target"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "afx: writing 'target' in place: it has other hard links\n");
    assert_eq!(case.read("other"), "new content\n");
}

#[test]
fn standard_input_and_output_are_files_by_their_names_in_dev() {
    let case = Case::new();
    assert_succeeded(&shell(case.folder(), "cat source | $AFX copy /dev/stdin target"));
    assert_eq!(case.read("target"), "new content\n");
    let output = run(case.folder(), ["copy", "source", "/dev/stdout"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "new content\n".to_owned()));
    // The redirected file itself is written: what the shell appends later must land in it.
    let script = "{ $AFX copy source /dev/stdout 2>/dev/null; echo more >&1; } >> target; cat target";
    assert!(text(&shell(case.folder(), script).stdout).ends_with("more\n"));
}

#[test]
fn a_full_disk_leaves_the_old_target_whole_and_says_how_far_it_came() {
    let case = Case::new();
    fs::create_dir(case.path("disk")).unwrap();
    let script = "mount -t tmpfs -o size=1m none disk && printf old > disk/target || exit 99
        head -c 3000000 /dev/zero > large
        $AFX copy large disk/target; echo $?
        head -c 3000000 /dev/zero | $AFX copy /dev/stdin disk/target; echo $?
        cat disk/target; ls -A disk";
    let Some(output) = shell_with_mounts(case.folder(), script) else {
        eprintln!("not checked: nothing can be mounted here");
        return;
    };
    assert_eq!(text(&output.stdout), "1\n1\noldtarget\n");
    let said = text(&output.stderr);
    let (known, unknown) = said.trim_end().split_once('\n').unwrap();
    assert_eq!(known, "afx: cannot write 'disk/target': No space left on device");
    let place = unknown.strip_prefix("afx: cannot write 'disk/target' at byte ").unwrap();
    let place: u64 = place.strip_suffix(": No space left on device").unwrap().parse().unwrap();
    assert!((900_000..1_048_577).contains(&place), "{place}");
}

#[test]
fn a_mount_point_is_written_in_place() {
    let case = Case::new();
    fs::write(case.path("mounted"), "older").unwrap();
    let script = "mount --bind mounted target || exit 99; $AFX copy source target; echo $?; cat target";
    let Some(output) = shell_with_mounts(case.folder(), script) else {
        eprintln!("not checked: nothing can be mounted here");
        return;
    };
    assert_eq!(text(&output.stdout), "0\nnew content\n");
    assert_eq!(text(&output.stderr), "afx: writing 'target' in place: it is a mount point\n");
    assert_eq!((case.read("mounted"), case.read("target")), ("new content\n".into(), "old".into()));
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_death_by_sigxfsz() {
    let case = Case::new();
    let script = "ulimit -f 100; head -c 3000000 /dev/zero | $AFX copy /dev/stdin target";
    let output = shell(case.folder(), script);
    let said = text(&output.stderr);
    assert!(said.starts_with("afx: cannot write 'target' at byte "), "{said}");
    assert!(said.ends_with(": File too large\n"), "{said}");
    assert_eq!((output.status.code(), case.names()), (Some(1), vec!["source".into(), "target".into()]));
    assert_eq!(case.read("target"), "old");
}

/// A program that permissions hold for, even when the tests run as root.
fn unprivileged(case: &Case, program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return command_in(case.folder(), program);
    }
    let mut command = command_in(case.folder(), "setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search,-fowner,-chown").arg(program);
    command
}

fn copy_unprivileged(case: &Case, target: &str) -> std::process::Output {
    unprivileged(case, env!("CARGO_BIN_EXE_afx")).args(["copy", "source", target]).output().unwrap()
}

#[test]
fn a_directory_that_cannot_be_written_takes_no_new_target_and_an_old_one_is_written_in_place() {
    let case = Case::new();
    fs::create_dir(case.path("folder")).unwrap();
    fs::write(case.path("folder/target"), "old").unwrap();
    fs::set_permissions(case.path("folder"), Permissions::from_mode(0o555)).unwrap();
    let denied = unprivileged(&case, "touch").arg("folder/new").output().unwrap();
    assert!(!denied.status.success(), "the directory must deny what this test is about");
    assert_failed(&copy_unprivileged(&case, "folder/new"), "cannot open 'folder/new': Permission denied");
    let output = copy_unprivileged(&case, "folder/target");
    assert_eq!(output.status.code(), Some(0));
    let message = "afx: writing 'folder/target' in place: its directory cannot be written\n";
    assert_eq!(text(&output.stderr), message);
    assert_eq!(case.read("folder/target"), "new content\n");
    assert_eq!(names_in(&case.path("folder")), ["target"]);
    fs::set_permissions(case.path("folder"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_target_or_source_that_permissions_deny_is_refused_and_stays() {
    let case = Case::new();
    fs::set_permissions(case.path("target"), Permissions::from_mode(0o444)).unwrap();
    let denied = unprivileged(&case, "sh").args(["-c", ": >> target"]).output().unwrap();
    assert!(!denied.status.success(), "the file must deny what this test is about");
    assert_failed(&copy_unprivileged(&case, "target"), "cannot open 'target': Permission denied");
    assert_eq!(case.read("target"), "old");
    fs::set_permissions(case.path("source"), Permissions::from_mode(0o0)).unwrap();
    assert_failed(&copy_unprivileged(&case, "new"), "cannot open 'source': Permission denied");
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn a_target_whose_owner_cannot_be_kept_is_written_in_place() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not checked: only root can give a file away");
        return;
    }
    let case = Case::new();
    chown(case.path("target"), Some(1234), Some(1234)).unwrap();
    fs::set_permissions(case.path("target"), Permissions::from_mode(0o666)).unwrap();
    let denied = unprivileged(&case, "chown").args(["1234", "source"]).output().unwrap();
    assert!(!denied.status.success(), "chown must be denied");
    let output = copy_unprivileged(&case, "target");
    assert_eq!(
        text(&output.stderr),
        "afx: writing 'target' in place: a new file could not keep its owner and attributes\n"
    );
    assert_eq!((output.status.code(), case.read("target")), (Some(0), "new content\n".to_owned()));
    assert_eq!(fs::metadata(case.path("target")).unwrap().uid(), 1234);
    assert_eq!(case.names(), ["source", "target"]);
}

#[test]
fn a_closed_standard_output_ends_by_sigpipe_after_the_copy_is_made() {
    let case = Case::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = afx_in(case.folder());
    command.args(["copy", "--hash", "sha256", "source", "target"]).stdout(OwnedFd::from(writer));
    let output = command.output().unwrap();
    assert_eq!((output.status.signal(), text(&output.stderr)), (Some(13), String::new()));
    assert_eq!(case.read("target"), "new content\n");
}

#[test]
fn the_longest_name_is_copied_to_and_from() {
    let case = Case::new();
    let name = OsString::from_vec(vec![b'n'; 255]);
    assert_succeeded(&run(case.folder(), [OsStr::new("copy"), OsStr::new("source"), &name]));
    assert_succeeded(&run(case.folder(), [OsStr::new("copy"), &name, OsStr::new("target")]));
    assert_eq!(case.read("target"), "new content\n");
}

#[test]
fn nobody_reading_what_is_copied_any_more_ends_it_by_sigpipe_and_replaces_nothing() {
    let case = Case::new();
    fs::write(case.path("large"), vec![7; 3_000_000]).unwrap();
    for arguments in [&["large", "-"][..], &["large", "--tee", "-", "target"], &["large", "/dev/stdout"]] {
        let mut command = afx_in(case.folder());
        command.args(["copy", "-q"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // More is to come than a pipe holds.
        let mut reader = child.stdout.take().unwrap();
        reader.read_exact(&mut [0]).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.signal(), text(&output.stderr)),
            (Some(13), String::new()),
            "{arguments:?}"
        );
    }
    assert_eq!((case.read("target"), case.names().len()), ("old".into(), 3));
}
