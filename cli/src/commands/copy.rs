//! `afx copy`: one file to another.

use crate::{
    args::CopyArguments,
    exit_status::ExitStatus,
    output::{Failure, Output, quoted},
    signals::Watch,
};
use afx_core::{
    Error, Operation,
    copy::{CopyOptions, copy_file},
    engine::Compio,
    hash::checkfile,
};
use std::{
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) fn run(arguments: &CopyArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let target = file_in(&arguments.target, &arguments.source);
    let mut options = CopyOptions { hash: arguments.hash, ..CopyOptions::default() };
    options.on_in_place = Some(Arc::new({
        let target = target.clone();
        move |reason| {
            let name = quoted(target.as_os_str());
            // If nobody listens, the copy is made all the same.
            let _ = writeln!(io::stderr(), "afx: writing {name} in place: {reason}");
        }
    }));
    let watch = Watch::start(&options.cancel).map_err(|cause| Error::new(Operation::Copy, cause))?;
    let result = copy_file::<Compio>(&arguments.source, &target, &options);
    watch.end_if_signalled();
    if let Some(digest) = result?.digest {
        output.write(&checkfile::format(&digest, target.as_os_str().as_bytes(), checkfile::Form::Text))?;
        output.write(b"\n")?;
    }
    Ok(ExitStatus::Done)
}

/// The target itself, or the file in it that has the source's name if it is a directory.
fn file_in(target: &Path, source: &Path) -> PathBuf {
    match source.file_name() {
        Some(name) if target.is_dir() => target.join(name),
        _ => target.to_path_buf(),
    }
}
