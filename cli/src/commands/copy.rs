//! `afx copy`: one file to another.

use super::work::{Show, Work};
use crate::{
    args::CopyArguments,
    exit_status::ExitStatus,
    json::Record,
    output::{Failure, Output, quoted, say},
    progress::total_of,
};
use afx_core::{
    copy::{CopyOptions, CopyReport, InPlace, copy_file},
    engine::{Engine, OnEngine, on_selected},
    hash::checkfile,
};
use std::{
    collections::BTreeMap,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::info;

pub(crate) fn run(arguments: &CopyArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    info!(source = ?arguments.source, target = ?arguments.target, "copy");
    let target = file_in(&arguments.target, &arguments.source);
    let total = total_of([arguments.source.as_path()]);
    let mut work = Work::start(total, Show::progress_if(arguments.progress))?;
    let mut options = CopyOptions {
        hashes: arguments.hash.into_iter().collect(),
        cancel: work.cancel.clone(),
        progress: work.meter.next_file(),
        ..CopyOptions::default()
    };
    if !output.is_quiet() {
        options.on_in_place = Some(Arc::new(|target, reason| {
            say(format_args!("writing {} in place: {reason}", quoted(target.as_os_str())));
        }));
    }
    let copy = Copy { source: &arguments.source, target: &target, options: &options };
    let result = on_selected(copy).and_then(|copied| copied);
    work.end_if_signalled();
    work.finish();
    show(&arguments.source, &target, &result?, output)?;
    Ok(ExitStatus::Done)
}

fn show(source: &Path, target: &Path, report: &CopyReport, output: &mut Output) -> Result<(), Failure> {
    let (method, bytes) = (report.method.name(), report.bytes);
    info!(method, bytes, "copied");
    if output.is_json() {
        let digests = report.digests.iter().map(|digest| (digest.algorithm().name(), digest.to_string()));
        let record = Record::new("copy")
            .name("source", source.as_os_str())
            .name("target", target.as_os_str())
            .field("bytes", bytes)
            .field("method", method)
            .field("in_place", report.in_place().map(InPlace::name))
            .field("digests", digests.collect::<BTreeMap<_, _>>());
        return output.record(record);
    }
    for digest in &report.digests {
        let mut line = checkfile::format(digest, target.as_os_str().as_bytes(), checkfile::Form::Text);
        line.push(b'\n');
        output.result(&line)?;
    }
    Ok(())
}

/// A copy, for any engine.
struct Copy<'a> {
    source: &'a Path,
    target: &'a Path,
    options: &'a CopyOptions,
}

impl OnEngine for Copy<'_> {
    type Output = afx_core::Result<CopyReport>;

    fn on<E: Engine>(self) -> Self::Output {
        copy_file::<E>(self.source, self.target, self.options)
    }
}

/// The target itself, or the file in it that has the source's name if it is a directory.
fn file_in(target: &Path, source: &Path) -> PathBuf {
    match source.file_name() {
        Some(name) if target.is_dir() => target.join(name),
        _ => target.to_path_buf(),
    }
}
