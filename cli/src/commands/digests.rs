//! Digests that a copy or a tee took on its way: printed, or written to a manifest.

use super::ends;
use crate::output::{Failure, Output, quoted};
use afx_core::{
    Cancel, Error, Operation,
    copy::{Durability, Replacement, ReplacementOptions},
    engine::{Engine, OnEngine, on_selected},
    hash::{Digest, checkfile},
};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
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

/// A file of digests that is being made. Dropped, it leaves the old one as it is.
#[derive(Debug)]
pub(super) struct Manifest {
    path: PathBuf,
    file: Replacement,
}

impl Manifest {
    /// Makes a file beside the manifest, so that one that cannot be written is found before anything is done.
    /// None is made where standard output takes the digests.
    ///
    /// Refused is a manifest that would take the place of one of `ends`, the files that it is to tell of.
    pub(super) fn begin<'a>(
        path: Option<&PathBuf>,
        mut ends: impl Iterator<Item = &'a Path>,
        cancel: &Cancel,
    ) -> Result<Option<Self>, Failure> {
        let Some(path) = path.filter(|path| *path != "-") else { return Ok(None) };
        let place = place_of(path);
        if place.is_some() && ends.any(|end| end != "-" && place_of(end) == place) {
            let reason = "the digests would replace one of the files that they are of";
            let refused = Error::refused(Operation::Write, io::ErrorKind::InvalidInput, reason);
            return Err(refused.with_path(path).into());
        }
        ends::check_name(path)?;
        let options =
            ReplacementOptions { in_place: true, cancel: cancel.clone(), ..ReplacementOptions::default() };
        Ok(Some(Self { path: path.clone(), file: Replacement::begin(path, options)? }))
    }

    /// Its name, for what is not in it.
    pub(super) fn name(&self) -> String {
        quoted(self.path.as_os_str())
    }

    /// Has `lines` take the place of the old one, in one step. Where nothing is to be told, the old one stays.
    pub(super) fn commit(self, lines: &[u8]) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.file.file().try_clone_to_owned().map(File::from);
        let written = written.and_then(|mut file| file.write_all(lines));
        written.map_err(|cause| Error::new(Operation::Write, cause).with_path(&self.path))?;
        on_selected(Commit(self.file))??;
        Ok(())
    }
}

struct Commit(Replacement);

impl OnEngine for Commit {
    type Output = afx_core::Result<()>;

    fn on<E: Engine>(self) -> Self::Output {
        self.0.commit::<E>(Durability::None)
    }
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
