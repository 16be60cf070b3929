//! How the bytes get to a single target without going through this process.

use super::{
    Source,
    options::{CopyOptions, Reflink, Sparse},
};
use crate::{
    error::{Context, Error, Operation, Result},
    source::is_sparse,
};
use rustix::{
    fs::{copy_file_range, fstatfs, ioctl_ficlone},
    io::Errno,
};
use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

/// Bytes that a server is asked to copy between two looks at the cancel flag.
const OFFLOAD_STEP_BYTES: usize = 64 * 1024 * 1024;

/// Magic numbers of the file systems whose server, or whose own process, copies by itself.
const REMOTE: [u32; 6] = [
    0x0000_6969, // NFS
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x6573_5546, // FUSE
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
];

/// Lets `file`, which is empty, share the blocks of `source`; false where that cannot be.
///
/// # Errors
///
/// With [`Reflink::Always`] whatever stands against it. Otherwise what is no question of what the file
/// system can do: reading and writing would hide it.
///
/// Source: `ioctl_ficlone(2)`.
pub(super) fn clone_to(
    source: &Source,
    file: BorrowedFd<'_>,
    path: &Path,
    options: &CopyOptions,
) -> Result<bool> {
    if options.reflink == Reflink::Never || options.sparse != Sparse::Auto || options.rate.is_some() {
        return Ok(false);
    }
    match ioctl_ficlone(file, &source.file) {
        Ok(()) => Ok(true),
        Err(error)
            if options.reflink == Reflink::Always
                || matches!(error, Errno::IO | Errno::NOMEM | Errno::NOSPC | Errno::DQUOT) =>
        {
            Err(Error::new(Operation::Clone, error.into()).with_path(path))
        }
        Err(_) => Ok(false),
    }
}

/// Whether the file system copies by itself better than we do through it.
pub(super) fn is_offloaded(source: &Source, file: BorrowedFd<'_>, options: &CopyOptions) -> bool {
    // What the server does with the blocks nobody knows, and nobody can slow it down.
    options.reflink != Reflink::Never
        && options.sparse == Sparse::Auto
        && options.rate.is_none()
        && !is_sparse(&source.stat)
        && is_remote(&source.file)
        && is_remote(file)
}

fn is_remote(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|found| {
        // The kernel's type for it has a sign and a width that differ between machines.
        REMOTE.iter().any(|remote| i128::from(*remote) == i128::from(found.f_type) & 0xffff_ffff)
    })
}

/// Has the file system copy `source` to `file`, which is empty. `None` where it does not want to.
///
/// # Errors
///
/// Those of `copy_file_range(2)` once it has begun.
pub(super) fn offload_to(
    source: &Source,
    file: BorrowedFd<'_>,
    path: &Path,
    options: &CopyOptions,
) -> Result<Option<u64>> {
    let (mut from, mut to) = (0, 0);
    loop {
        if options.cancel.is_cancelled() {
            return Err(crate::cancel::cancelled(Operation::Copy, &source.path));
        }
        match copy_file_range(&source.file, Some(&mut from), file, Some(&mut to), OFFLOAD_STEP_BYTES) {
            // Some claim to have copied nothing of what is not empty, and what has a size of nothing may be
            // read all the same: a file that is made as it is read.
            Ok(0) if to == 0 => return Ok(None),
            Ok(0) => return Ok(Some(to)),
            Ok(_) => options.progress.set(to),
            Err(Errno::INTR) => {}
            Err(
                Errno::XDEV
                | Errno::NOTSUP
                | Errno::NOSYS
                | Errno::INVAL
                | Errno::PERM
                | Errno::NOENT
                | Errno::BADF,
            ) if to == 0 => {
                return Ok(None);
            }
            Err(error) => {
                return Err(error).operation(Operation::Copy, path).map_err(|error| error.with_offset(to));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_empty_is_left_to_be_read() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (path, options) = (folder.path().join("empty"), CopyOptions::default());
        std::fs::write(&path, "").unwrap();
        let source = Source::open(&path.into(), &options).unwrap();
        let target = tempfile::tempfile_in(folder.path()).unwrap();
        let offloaded = offload_to(&source, target.as_fd(), Path::new("target"), &options).unwrap();
        assert_eq!(offloaded, None);
    }
}
