//! Where the new content goes: the directory and name behind the links, and what stands there.

use super::plan::{Existing, RegularFacts};
use crate::error::{Context, Operation, Result};
use rustix::{
    fs::{
        Access, AtFlags, FileType, Mode, OFlags, PROC_SUPER_MAGIC, RawMode, Stat, StatxAttributes,
        StatxFlags, accessat, fstat, fstatfs, fsync, open, openat, readlinkat, stat, statat, statx,
    },
    io::Errno,
    process::geteuid,
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

    /// Why no name can be added, if so, as far as that can be told without doing it.
    pub(super) fn check_new_name(&self) -> Result<(), Errno> {
        accessat(&self.directory, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
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

    /// What the link that stands here points to, if the kernel follows it.
    ///
    /// Source: `fs.protected_symlinks` in `proc_sys_fs(5)`, which counts only where the kernel does it itself.
    fn read_link(&self) -> Result<OsString, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(&self.directory, &self.name, flags, Mode::empty())?;
        let (directory, found) = (fstat(&self.directory)?, fstat(&link)?);
        let may_be_a_trap =
            is_left_by_others(directory.st_mode, directory.st_uid, found.st_uid, geteuid().as_raw());
        if may_be_a_trap && links_are_protected() {
            return Err(Errno::ACCESS);
        }
        readlinkat(&link, c"", Vec::new()).map(|path| OsString::from_vec(path.into_bytes()))
    }

    fn is_on_proc(&self) -> bool {
        fstatfs(&self.directory).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC)
    }
}

/// Whether a link of `owner` in a directory where everybody may leave one was left there by somebody else than
/// `user` and the directory's owner. Pure.
fn is_left_by_others(directory_mode: RawMode, directory_owner: u32, owner: u32, user: u32) -> bool {
    let everybody = Mode::WOTH | Mode::SVTX;
    let is_open_to_all = Mode::from_raw_mode(directory_mode).contains(everybody);
    is_open_to_all && owner != user && owner != directory_owner
}

/// Whether the system wants nobody to follow such links.
fn links_are_protected() -> bool {
    std::fs::read("/proc/sys/fs/protected_symlinks").map_or(true, |value| value.trim_ascii() != b"0")
}

/// Whether two statuses are of one file.
pub(crate) fn is_same_file(one: &Stat, other: &Stat) -> bool {
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
        place = Place::new(&place.directory_path.join(place.read_link()?))?;
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
            directory_writable: place.check_new_name().is_ok(),
        }),
        _ => Existing::Special,
    }
}

/// Where the kernel does not say, the rename does: `EBUSY`.
fn is_mount_point(place: &Place) -> bool {
    let found = statx(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
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
    fn a_link_is_another_users_where_everybody_may_leave_one_and_neither_we_nor_the_directorys_owner_did() {
        for (mode, directory, owner, user, is) in [
            (0o41777, 0, 1, 2, true),
            (0o41777, 0, 1, 0, true),
            (0o41777, 0, 2, 2, false),
            (0o41777, 1, 1, 2, false),
            (0o40777, 0, 1, 2, false),
            (0o41775, 0, 1, 2, false),
        ] {
            assert_eq!(is_left_by_others(mode, directory, owner, user), is, "{mode:o} {owner} {user}");
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
