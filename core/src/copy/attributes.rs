//! What a file keeps when another takes its name: owner, mode, access control list and extended
//! attributes.

use rustix::{
    fs::{Gid, Mode, Stat, Uid, XattrFlags, fchown, fremovexattr, fsetxattr, fstat, lgetxattr, llistxattr},
    io::Errno,
    process::geteuid,
};
use std::{os::fd::BorrowedFd, path::Path};

/// Attributes that vouch for the content, not for the name: the kernel takes them away at a write.
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
        let names = match read_all(|buffer| llistxattr(path, buffer)) {
            Ok(names) => names,
            // The file system has none.
            Err(Errno::NOTSUP) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut extended = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            if !OF_THE_CONTENT.contains(&name) {
                extended.push((name.to_vec(), read_all(|buffer| lgetxattr(path, name, buffer))?));
            }
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
        if !self.extended.iter().any(|(name, _)| name == ACCESS_LIST) {
            match fremovexattr(file, ACCESS_LIST) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(error) => return Err(error),
            }
        }
        self.extended
            .iter()
            .try_for_each(|(name, value)| fsetxattr(file, name.as_slice(), value, XattrFlags::empty()))
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
