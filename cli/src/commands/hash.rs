//! `afx hash`: digests of files.

use super::{
    check,
    work::{Show, Work},
};
use crate::{
    args::HashArguments,
    exit_status::ExitStatus,
    json::Record,
    output::{Failure, Output},
    progress::total_of,
};
use afx_core::{
    Error, Operation,
    engine::{Engine, OnEngine, on_selected},
    hash::{Algorithm, HashOptions, Hashed, checkfile, hash_file, hash_open_file},
};
use std::{
    io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};
use tracing::info;

pub(crate) fn run(arguments: &HashArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let standard_input = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { &standard_input[..] } else { &arguments.files };
    // What a check file lists is known only when it has been read.
    let known = || total_of(files.iter().map(PathBuf::as_path));
    let total = if arguments.check { None } else { known() };
    let mut work = Work::start(total, Show::progress_if(arguments.progress))?;
    let mut status = ExitStatus::Done;
    for file in files {
        status = status.and(if arguments.check {
            check::run(file, arguments, &mut work, output)?
        } else {
            print(file, arguments, &mut work, output)?
        });
    }
    Ok(status)
}

fn print(
    file: &Path,
    arguments: &HashArguments,
    work: &mut Work,
    output: &mut Output,
) -> Result<ExitStatus, Failure> {
    let form = if arguments.tag { checkfile::Form::Tagged } else { checkfile::Form::Text };
    match digest_of(file, arguments.algorithm.unwrap_or_default(), work) {
        Ok(hashed) => {
            for digest in &hashed.digests {
                if output.is_json() {
                    output.record(
                        Record::new("hash")
                            .name("path", file.as_os_str())
                            .field("algorithm", digest.algorithm().name())
                            .field("digest", digest.to_string())
                            .field("bytes", hashed.bytes),
                    )?;
                } else {
                    let mut line = checkfile::format(digest, file.as_os_str().as_bytes(), form);
                    line.push(b'\n');
                    output.result(&line)?;
                }
            }
            Ok(ExitStatus::Done)
        }
        Err(error) => Ok(output.report(&error.into())),
    }
}

/// The digest of `file`, or of standard input for `-`.
pub(super) fn digest_of(file: &Path, algorithm: Algorithm, work: &mut Work) -> afx_core::Result<Hashed> {
    let (cancel, progress) = (work.cancel.clone(), work.meter.next_file());
    let options = HashOptions { cancel, progress, ..HashOptions::default() };
    let hashed = on_selected(Hash { file, algorithm, options }).and_then(|hashed| hashed);
    work.end_if_signalled();
    let hashed = hashed?;
    info!(path = ?file, algorithm = algorithm.name(), bytes = hashed.bytes, "hashed");
    Ok(hashed)
}

/// A hash, for any engine.
struct Hash<'a> {
    file: &'a Path,
    algorithm: Algorithm,
    options: HashOptions,
}

impl OnEngine for Hash<'_> {
    type Output = afx_core::Result<Hashed>;

    fn on<E: Engine>(self) -> Self::Output {
        if self.file != "-" {
            return hash_file::<E>(self.file, &[self.algorithm], &self.options);
        }
        let name = Path::new("standard input");
        let input = io::stdin().as_fd().try_clone_to_owned();
        let input = input.map_err(|cause| Error::new(Operation::Read, cause).with_path(name))?;
        hash_open_file::<E>(input, name, &[self.algorithm], &self.options)
    }
}
