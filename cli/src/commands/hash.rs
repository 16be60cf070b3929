//! `afx hash`: digests of files.

use super::check;
use crate::{
    args::HashArguments,
    exit_status::ExitStatus,
    output::{Failure, Output},
};
use afx_core::{
    Error, Operation,
    engine::Compio,
    hash::{Algorithm, Digest, HashOptions, checkfile, hash_file, hash_open_file},
};
use std::{
    io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

pub(crate) fn run(arguments: &HashArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let standard_input = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { &standard_input[..] } else { &arguments.files };
    let mut status = ExitStatus::Done;
    for file in files {
        status = status.and(if arguments.check {
            check::run(file, arguments, output)?
        } else {
            print(file, arguments, output)?
        });
    }
    Ok(status)
}

fn print(file: &Path, arguments: &HashArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let form = if arguments.tag { checkfile::Form::Tagged } else { checkfile::Form::Text };
    match digest_of(file, arguments.algorithm.unwrap_or_default()) {
        Ok(digest) => {
            output.write(&checkfile::format(&digest, file.as_os_str().as_bytes(), form))?;
            output.write(b"\n")?;
            Ok(ExitStatus::Done)
        }
        Err(error) => Ok(output.report(&error.into())),
    }
}

/// The digest of `file`, or of standard input for `-`.
pub(super) fn digest_of(file: &Path, algorithm: Algorithm) -> afx_core::Result<Digest> {
    let options = HashOptions::default();
    if file != "-" {
        return Ok(hash_file::<Compio>(file, algorithm, &options)?.digest);
    }
    let name = Path::new("standard input");
    let input = io::stdin().as_fd().try_clone_to_owned();
    let input = input.map_err(|cause| Error::new(Operation::Read, cause).with_path(name))?;
    Ok(hash_open_file::<Compio>(input, name, algorithm, &options)?.digest)
}
