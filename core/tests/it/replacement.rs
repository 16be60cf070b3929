//! Files that are written by a program and take a name when they are complete.

use crate::Tested;
use afx_core::{
    Cancel,
    copy::{Durability, Replacement, ReplacementOptions},
};
use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

fn begin(path: &Path) -> afx_core::Result<Replacement> {
    Replacement::begin(path, ReplacementOptions::default())
}

fn fill(replacement: &Replacement, content: &str) {
    let file = replacement.file().try_clone_to_owned().unwrap();
    File::from(file).write_all(content.as_bytes()).unwrap();
}

fn commit(replacement: Replacement) -> afx_core::Result<()> {
    replacement.commit::<Tested>(Durability::None)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_content_appears_with_the_commit_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (content, durability) in
        [("new", Durability::None), ("data", Durability::Data), ("full", Durability::Full)]
    {
        let before = fs::read_to_string(&path).ok();
        let replacement = begin(&path).unwrap();
        fill(&replacement, content);
        assert_eq!(fs::read_to_string(&path).ok(), before);
        replacement.commit::<Tested>(durability).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(names(folder.path()), ["file"]);
    }
}

#[test]
fn what_is_dropped_leaves_the_old_target_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    let replacement = begin(&path).unwrap();
    fill(&replacement, "new");
    drop(replacement);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn a_link_stays_and_what_it_points_to_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link");
    symlink("file", &link).unwrap();
    let replacement = begin(&link).unwrap();
    fill(&replacement, "new");
    commit(replacement).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
}

#[test]
fn a_file_with_other_links_is_refused_or_written_in_place_when_all_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("file"), folder.path().join("other"));
    fs::write(&path, "old").unwrap();
    fs::hard_link(&path, &other).unwrap();
    let error = begin(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.io_error().to_string(), "it cannot be replaced in one step: it has other hard links");
    let options = ReplacementOptions { in_place: true, ..ReplacementOptions::default() };
    let dropped = Replacement::begin(&path, options.clone()).unwrap();
    fill(&dropped, "never");
    drop(dropped);
    assert_eq!(fs::read_to_string(&other).unwrap(), "old");
    let replacement = Replacement::begin(&path, options).unwrap();
    fill(&replacement, "new and longer");
    assert_eq!(fs::read_to_string(&other).unwrap(), "old");
    commit(replacement).unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "new and longer");
    assert_eq!(fs::metadata(&path).unwrap().ino(), fs::metadata(&other).unwrap().ino());
    assert_eq!(names(folder.path()), ["file", "other"]);
}

#[test]
fn a_name_that_was_to_be_new_and_is_taken_stays_somebody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let options = ReplacementOptions { is_new: true, ..ReplacementOptions::default() };
    let late = Replacement::begin(&path, options.clone()).unwrap();
    let replacement = Replacement::begin(&path, options.clone()).unwrap();
    fill(&replacement, "first");
    commit(replacement).unwrap();
    assert_eq!(commit(late).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(Replacement::begin(&path, options).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn the_next_writer_removes_what_a_dead_one_left_and_nothing_of_a_living_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let living = begin(&path).unwrap();
    fill(&living, "living");
    let own = names(folder.path());
    // As of a writer that was killed: the same names, and nobody has the lock.
    let stale = own[0].replace(".0", ".1");
    fs::write(folder.path().join(&stale), "stale").unwrap();
    let other = begin(&path).unwrap();
    fill(&other, "other");
    assert_eq!(names(folder.path()), [own[0].clone(), stale]);
    commit(other).unwrap();
    commit(living).unwrap();
    assert_eq!(names(folder.path()), ["file"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "living");
}

#[test]
fn what_was_cancelled_is_not_begun_and_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let cancel = Cancel::new();
    let options = ReplacementOptions { cancel: cancel.clone(), ..ReplacementOptions::default() };
    let replacement = Replacement::begin(&path, options.clone()).unwrap();
    cancel.cancel();
    assert_eq!(commit(replacement).unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(Replacement::begin(&path, options).unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_directory_and_a_name_in_no_directory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(begin(folder.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
    let nowhere = folder.path().join("no/file");
    assert_eq!(begin(&nowhere).unwrap_err().kind(), ErrorKind::NotFound);
}
