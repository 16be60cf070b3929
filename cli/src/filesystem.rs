//! What the file system of a directory can do, found out by doing it on files without a name.

use rustix::{
    fs::{CWD, FallocateFlags, Mode, OFlags, fallocate, ioctl_ficlone, openat, statfs},
    io::{Errno, ReadWriteFlags, preadv2, pwrite},
};
use std::{fmt, io::IoSliceMut, os::fd::OwnedFd, path::Path};

/// One page, which is also what a clone shares.
const PROBE_BYTES: usize = 4096;

/// An answer by trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    Yes,
    No,
    /// It cannot be tried here, for this reason.
    Unknown(Errno),
}

/// What was found.
#[derive(Debug)]
pub(crate) struct FileSystem {
    pub(crate) name: String,
    /// Files can share blocks (`FICLONE`).
    pub(crate) reflink: Ability,
    /// Space can be reserved.
    pub(crate) fallocate: Ability,
    /// Reads can pass the page cache.
    pub(crate) direct: Ability,
    /// A read that would wait says so instead (`RWF_NOWAIT`).
    pub(crate) nowait: Ability,
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No => f.write_str("no"),
            Self::Unknown(errno) => {
                let reason = std::io::Error::from(*errno);
                write!(f, "not known (no file can be made here: {})", crate::output::reason(&reason))
            }
        }
    }
}

impl FileSystem {
    /// Asks about the file system of `directory`.
    pub(crate) fn of(directory: &Path) -> Result<Self, Errno> {
        let file_system = statfs(directory)?;
        let magic = u32::try_from(file_system.f_type & 0xffff_ffff).unwrap_or(0);
        let name = name(magic).map_or_else(|| format!("type {magic:#x}"), str::to_owned);
        let [reflink, fallocate, direct, nowait] = match probe_files(directory) {
            Ok((one, other)) => [
                ability(ioctl_ficlone(&other, &one)),
                ability(fallocate(&other, FallocateFlags::KEEP_SIZE, 0, 2 * PROBE_BYTES as u64)),
                ability(new_file(directory, OFlags::DIRECT).map(drop)),
                ability(read_without_waiting(&one)),
            ],
            Err(errno) => [Ability::Unknown(errno); 4],
        };
        Ok(Self { name, reflink, fallocate, direct, nowait })
    }
}

fn ability(result: Result<(), Errno>) -> Ability {
    if result.is_ok() { Ability::Yes } else { Ability::No }
}

/// Two files without names, the first with a page in it.
fn probe_files(directory: &Path) -> Result<(OwnedFd, OwnedFd), Errno> {
    let one = new_file(directory, OFlags::empty())?;
    pwrite(&one, &[1; PROBE_BYTES], 0)?;
    Ok((one, new_file(directory, OFlags::empty())?))
}

fn new_file(directory: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | flags;
    openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR)
}

fn read_without_waiting(file: &OwnedFd) -> Result<(), Errno> {
    let mut byte = [0];
    match preadv2(file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT) {
        // It would wait, and says so.
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The names of `<linux/magic.h>` for what files are usually on.
fn name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x0000_ef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x0000_6969 => "nfs",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb2",
        0x6573_5546 => "fuse",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0xca45_1a4e => "bcachefs",
        0x0000_4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x0102_1997 => "9p",
        0x00c3_6400 => "ceph",
        0x0000_9fa0 => "proc",
        0x6265_6572 => "sysfs",
        0x7371_7368 => "squashfs",
        _ => return None,
    })
}
