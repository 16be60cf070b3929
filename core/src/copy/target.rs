//! Where the new content goes: the directory and name behind the links, and what stands there.

use super::plan::{Existing, RegularFacts};
use crate::error::{Context, Operation, Result};
use rustix::{
    fs::{
        Access, AtFlags, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, StatxAttributes, StatxFlags,
        accessat, fstat, fstatfs, fsync, open, openat, readlinkat, stat, statat, statx,
    },
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

/// Links that are followed before it is called a loop, as the kernel does.
const MAX_LINKS: usize = 40;

/// A target that was looked up.
#[derive(Debug)]
pub(super) struct Target {
    /// The path as it was given: for errors, and to open what is no regular file.
    pub(super) path: PathBuf,
    /// The place behind the links.
    pub(super) place: Place,
    /// What stands there.
    pub(super) existing: Existing,
    /// Its status, unless it is missing.
    pub(super) stat: Option<Stat>,
}

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: Arc<OwnedFd>,
    /// For calls that take no descriptor.
    directory_path: PathBuf,
    pub(super) name: OsString,
}

impl Target {
    /// Looks `path` up, following links.
    pub(super) fn look_up(path: &Path) -> Result<Self> {
        let (place, stat) = find(path).operation(Operation::Open, path)?;
        let existing = match &stat {
            Some(found) => classify(&place, found),
            None => Existing::Missing,
        };
        Ok(Self { path: path.to_path_buf(), place, existing, stat })
    }

    /// Whether both are one name of one directory.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        let (one, two) = (fstat(&self.place.directory), fstat(&other.place.directory));
        self.place.name == other.place.name
            && matches!((one, two), (Ok(one), Ok(two)) if is_same_file(&one, &two))
    }
}

impl Place {
    /// Splits a path into a directory, which is opened, and a name.
    fn new(path: &Path) -> Result<Self, Errno> {
        let (directory_path, name) = split(path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(&directory_path, flags, Mode::empty())?;
        Ok(Self { directory: Arc::new(directory), directory_path, name })
    }

    /// Its path, for calls that take no descriptor.
    pub(super) fn path(&self) -> PathBuf {
        self.directory_path.join(&self.name)
    }

    /// Has the directory's names on the device.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        let directory = openat(
            &self.directory,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        fsync(&directory)
    }

    fn is_on_proc(&self) -> bool {
        fstatfs(&self.directory).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC)
    }
}

/// Whether two statuses are of one file.
pub(super) fn is_same_file(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// The place behind the links, and the status of what stands there.
fn find(path: &Path) -> Result<(Place, Option<Stat>), Errno> {
    let mut place = Place::new(path)?;
    for followed in 0..MAX_LINKS {
        let found = match statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            // As `cp`: what a dangling link points to is not created.
            Err(Errno::NOENT) if followed == 0 => return Ok((place, None)),
            Err(error) => return Err(error),
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            return Ok((place, Some(found)));
        }
        if place.is_on_proc() {
            // A link of /proc stands for an open file, which need not have a name: its own is kept.
            return Ok((place, Some(stat(path)?)));
        }
        let link = readlinkat(&place.directory, &place.name, Vec::new())?;
        place = Place::new(&place.directory_path.join(OsString::from_vec(link.into_bytes())))?;
    }
    Err(Errno::LOOP)
}

fn classify(place: &Place, found: &Stat) -> Existing {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Existing::Directory,
        FileType::RegularFile if !place.is_on_proc() => Existing::Regular(RegularFacts {
            write_denied: accessat(&place.directory, &place.name, Access::WRITE_OK, AtFlags::EACCESS).err(),
            has_other_links: found.st_nlink > 1,
            is_mount_point: is_mount_point(place),
            directory_writable: may_change(place),
        }),
        _ => Existing::Special,
    }
}

/// Where the kernel does not say, the rename does: `EBUSY`.
fn is_mount_point(place: &Place) -> bool {
    let found = statx(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn may_change(place: &Place) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    accessat(&place.directory, ".", access, AtFlags::EACCESS).is_ok()
}

/// The directory and the name of a path that is to be a file.
///
/// [`Path::file_name`] would take `a/` and `a/.` for `a`.
fn split(path: &Path) -> Result<(PathBuf, OsString), Errno> {
    let bytes = path.as_os_str().as_bytes();
    let start = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = bytes.split_at(start);
    match name {
        _ if bytes.is_empty() => Err(Errno::NOENT),
        // It names a directory, or should.
        b"" | b"." | b".." => match stat(path) {
            Ok(_) | Err(Errno::NOENT) => Err(Errno::ISDIR),
            Err(error) => Err(error),
        },
        _ if directory.is_empty() => Ok((".".into(), OsStr::from_bytes(name).into())),
        _ => Ok((OsStr::from_bytes(directory).into(), OsStr::from_bytes(name).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_into_the_directory_and_the_name_that_the_kernel_sees() {
        for (path, directory, name) in
            [("a", ".", "a"), ("/a", "/", "a"), ("b//a", "b//", "a"), ("./.a", "./", ".a")]
        {
            let split = split(Path::new(path)).unwrap();
            assert_eq!(split, (PathBuf::from(directory), OsString::from(name)), "{path}");
        }
    }

    #[test]
    fn a_path_that_can_only_be_a_directory_is_no_target() {
        for path in ["/", ".", "..", "/tmp/", "/tmp/.", "/tmp/..", "no-such-name/"] {
            assert_eq!(split(Path::new(path)), Err(Errno::ISDIR), "{path}");
        }
        assert_eq!(split(Path::new("")), Err(Errno::NOENT));
        assert_eq!(split(Path::new("/dev/null/")), Err(Errno::NOTDIR));
    }
}
