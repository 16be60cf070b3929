//! What a file keeps when another takes its name: owner, mode, access control list and extended
//! attributes.

use rustix::{
    fs::{
        Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr,
        fremovexattr, fsetxattr, fstat, futimens, lgetxattr, llistxattr,
    },
    io::Errno,
    process::geteuid,
};
use std::{os::fd::BorrowedFd, path::Path};

/// Attributes that vouch for the content, not for the name: the kernel takes them away at a write. They go
/// with the content, and do not stay when it is replaced.
const OF_THE_CONTENT: [&[u8]; 3] = [b"security.capability", b"security.ima", b"security.evm"];

/// The only attribute that a directory gives to a new file in it.
const ACCESS_LIST: &[u8] = b"system.posix_acl_access";

/// The most bytes of a list of names or of a value that Linux allows.
const MAX_XATTR_BYTES: usize = 64 * 1024;

/// The attributes of one file.
#[derive(Debug)]
pub(super) struct Attributes {
    owner: Uid,
    group: Gid,
    mode: Mode,
    /// Names and values.
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Those of the file `path`, whose status is `stat`.
    pub(super) fn of(path: &Path, stat: &Stat) -> Result<Self, Errno> {
        Self::found(stat, |buffer| llistxattr(path, buffer), |name, buffer| lgetxattr(path, name, buffer))
    }

    /// Those of the open `file`, whose status is `stat`.
    pub(super) fn of_open(file: BorrowedFd<'_>, stat: &Stat) -> Result<Self, Errno> {
        Self::found(stat, |buffer| flistxattr(file, buffer), |name, buffer| fgetxattr(file, name, buffer))
    }

    fn found(
        stat: &Stat,
        list: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
        get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
    ) -> Result<Self, Errno> {
        let names = match read_all(list) {
            Ok(names) => names,
            // The file system has none.
            Err(Errno::NOTSUP) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut extended = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            extended.push((name.to_vec(), read_all(|buffer| get(name, buffer))?));
        }
        let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        Ok(Self { owner, group, mode: Mode::from_raw_mode(stat.st_mode), extended })
    }

    /// Gives `file` all but the mode.
    pub(super) fn give_to(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        let now = fstat(file)?;
        if (now.st_uid, now.st_gid) != (self.owner.as_raw(), self.group.as_raw()) {
            fchown(file, Some(self.owner), Some(self.group))?;
        }
        self.refuse_inherited_access(file)?;
        self.extended
            .iter()
            .filter(|(name, _)| !OF_THE_CONTENT.contains(&name.as_slice()))
            .try_for_each(|(name, value)| fsetxattr(file, name.as_slice(), value, XattrFlags::empty()))
    }

    /// Takes away the access control list that a directory gave to the new `file`, if there was none.
    fn refuse_inherited_access(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        if self.extended.iter().any(|(name, _)| name == ACCESS_LIST) {
            return Ok(());
        }
        match fremovexattr(file, ACCESS_LIST) {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives `file` all that a program of this user may give: owner and group where it may, mode, access
    /// control list and extended attributes where the file system has them, and the times of `stat`.
    ///
    /// As `cp -p`: a user who may not give files away keeps what is copied, without set-user-ID.
    pub(super) fn preserve_on(&self, file: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
        let mut mode = self.mode;
        match fchown(file, Some(self.owner), Some(self.group)) {
            Ok(()) => {}
            Err(Errno::PERM | Errno::INVAL) => {
                mode -= Mode::SUID | Mode::SGID;
                // The group alone may be allowed.
                let _ = fchown(file, None, Some(self.group));
            }
            Err(error) => return Err(error),
        }
        self.refuse_inherited_access(file)?;
        for (name, value) in &self.extended {
            match fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::NOTSUP) => {}
                Err(Errno::PERM) if !name.starts_with(b"user.") && name != ACCESS_LIST => {}
                Err(error) => return Err(error),
            }
        }
        fchmod(file, mode)?;
        let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
        futimens(
            file,
            &Timestamps {
                last_access: time(stat.st_atime, i64::try_from(stat.st_atime_nsec).unwrap_or(0)),
                last_modification: time(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            },
        )
    }

    /// The mode, without what a write by us would have taken away.
    pub(super) fn mode(&self) -> Mode {
        if geteuid().is_root() { self.mode } else { self.mode - (Mode::SUID | Mode::SGID) }
    }
}

fn read_all(read: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; MAX_XATTR_BYTES];
    let len = read(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}
