//! Whether a file system tells this machine about every change.

use rustix::fs::fstatfs;
use std::os::fd::AsFd;

/// Magic numbers of the file systems that only this machine's kernel changes, and of which it hears
/// every change. What is not here is remote, layered (overlayfs: the file that we hold open may be
/// the copy that nobody writes to any more) or made up by a driver, and is polled as well.
const LOCAL: [u32; 21] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x9123_683e, // btrfs
    0x5846_5342, // xfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x2fc1_2fc1, // zfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0x3153_464a, // jfs
    0x5265_4973, // reiserfs
    0x0000_3434, // nilfs
    0x2011_bab0, // exfat
    0x0000_4d44, // fat
    0x7366_746e, // ntfs3
    0x2405_1905, // ubifs
    0x0000_72b6, // jffs2
    0x0000_482b, // hfs+
    0x1501_3346, // udf
    0x0000_9660, // iso9660
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
];

/// Whether hints alone can be relied on for the open `file` or directory.
///
/// Source: `statfs(2)`.
pub(super) fn is_local(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|file_system| {
        // The kernel's type for it has a sign and a width that differ between machines.
        let magic = i128::from(file_system.f_type);
        LOCAL.iter().any(|local| i128::from(*local) == magic & 0xffff_ffff)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn proc_is_polled_and_shared_memory_is_not() {
        assert!(!is_local(File::open("/proc/self/status").unwrap()));
        assert!(is_local(File::open("/dev/shm").unwrap()));
    }
}
