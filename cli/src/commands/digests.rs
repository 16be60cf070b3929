//! Digests that a copy or a tee took on its way: printed, or written to a manifest.

use crate::output::{Failure, Output};
use afx_core::{
    Error, Operation,
    copy::{CopyOptions, CopyReport, End, copy},
    engine::{Engine, OnEngine, on_selected},
    hash::{Digest, checkfile},
};
use rustix::fs::{MemfdFlags, memfd_create};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Seek, Write},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::Path,
    sync::Arc,
};

/// The lines that `afx hash --check` takes: one for each digest of `name`, tagged where there are several.
pub(super) fn lines(digests: &[Digest], name: &Path) -> Vec<u8> {
    let form = if digests.len() > 1 { checkfile::Form::Tagged } else { checkfile::Form::Text };
    let mut lines = Vec::new();
    for digest in digests {
        lines.extend(checkfile::format(digest, name.as_os_str().as_bytes(), form));
        lines.push(b'\n');
    }
    lines
}

/// Prints `lines`: on standard error where standard output has other data.
pub(super) fn print(lines: &[u8], has_data_on_stdout: bool, output: &mut Output) -> Result<(), Failure> {
    if has_data_on_stdout {
        // If nobody listens, the data is there all the same.
        let _ = io::stderr().lock().write_all(lines);
        return Ok(());
    }
    output.result(lines)
}

/// Refuses a manifest that would take the place of one of the files that it is to tell of.
pub(super) fn check_manifest<'a>(
    manifest: &Path,
    mut ends: impl Iterator<Item = &'a Path>,
) -> Result<(), Failure> {
    let wanted = place_of(manifest);
    if manifest == "-" || wanted.is_none() || !ends.any(|end| end != "-" && place_of(end) == wanted) {
        return Ok(());
    }
    let reason = "the digests would replace one of the files that they are of";
    let refused = Error::refused(Operation::Write, io::ErrorKind::InvalidInput, reason);
    Err(refused.with_path(manifest).into())
}

/// What tells one file from another: its own identity, or of one that is missing its folder's, and its name. None
/// of what keeps no content, such as `/dev/null`.
fn place_of(path: &Path) -> Option<(u64, u64, Option<&OsStr>)> {
    if let Ok(found) = fs::metadata(path) {
        return found.is_file().then(|| (found.dev(), found.ino(), None));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let found = fs::metadata(folder.unwrap_or(Path::new("."))).ok()?;
    Some((found.dev(), found.ino(), Some(path.file_name()?)))
}

/// Replaces the file `manifest` by `lines`, in one step. Where there are none, since nothing was written that they
/// could be of, the old one stays.
pub(super) fn write(lines: &[u8], manifest: &Path) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let made = || -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("manifest", MemfdFlags::CLOEXEC)?);
        file.write_all(lines)?;
        file.rewind()?;
        Ok(file.into())
    };
    let file = made().map_err(|cause| Error::new(Operation::Write, cause).with_path(manifest))?;
    on_selected(Manifest { source: End::Open(Arc::new(file), "manifest".into()), target: manifest })??;
    Ok(())
}

struct Manifest<'a> {
    source: End,
    target: &'a Path,
}

impl OnEngine for Manifest<'_> {
    type Output = afx_core::Result<CopyReport>;

    fn on<E: Engine>(self) -> Self::Output {
        copy::<E>(&self.source, &[self.target.into()], &CopyOptions::default())
    }
}
