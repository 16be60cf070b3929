//! `afx tee`: standard input to standard output and files.

use super::{
    digests::{self, Manifest},
    ends,
    work::{Show, Work},
};
use crate::{
    args::{OutputError, Slow, TeeArguments, usage},
    exit_status::ExitStatus,
    json::Record,
    output::{Failure, Output, describe, say},
};
use afx_core::{
    Cancel, Error, Operation,
    copy::End,
    engine::{Engine, OnEngine, on_selected},
    tee::{OnFailure, OnSlow, TeeOptions, TeeReport, tee},
};
use signal_hook::{
    consts::{SIGINT, SIGPIPE},
    flag,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) fn run(arguments: &TeeArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    if output.is_json() && !arguments.no_stdout {
        usage("--json prints results where the data goes: use --no-stdout");
    }
    if output.is_json() {
        Output::check_stdout()?;
    }
    let source = ends::source(Path::new("-"))?;
    let (targets, mut status) = targets(arguments, output)?;
    if status != ExitStatus::Done && targets.is_empty() {
        return Ok(status);
    }
    let mut work = if arguments.ignore_interrupts {
        let ignored = flag::register(SIGINT, Arc::default());
        ignored.map_err(|cause| Error::new(Operation::Read, cause))?;
        None
    } else {
        Some(Work::start(None, Show::Nothing)?)
    };
    let cancel = work.as_ref().map_or_else(Cancel::new, |work| work.cancel.clone());
    let ends = arguments.files.iter().map(PathBuf::as_path);
    let mut manifest = Manifest::begin(arguments.manifest.as_ref(), ends, &cancel)?;
    let options = TeeOptions {
        append: arguments.append,
        hashes: arguments.hash.clone(),
        compression: arguments.compress,
        on_slow: match arguments.on_slow {
            Slow::Wait => OnSlow::Wait,
            Slow::Detach => OnSlow::Detach,
        },
        on_failure: on_failure(arguments),
        cancel: cancel.clone(),
        on_target_failed: Some(Arc::new({
            let mode = mode(arguments);
            move |error: &Error| {
                if !is_silent(mode, error) {
                    say(describe(error));
                }
            }
        })),
        progress: work.as_mut().map(|work| work.meter.next_file()).unwrap_or_default(),
    };
    let result = on_selected(Tee { source: &source, targets: &targets, options: &options });
    manifest = manifest.filter(|_| !cancel.is_cancelled());
    if let Some(work) = &mut work {
        work.end_if_signalled();
        work.finish();
    }
    status = status.and(conclude(arguments, &targets, &result??, manifest, output)?);
    Ok(status)
}

/// Where the input goes to; one that is closed is said, and is for itself, as a file that cannot be written.
fn targets(arguments: &TeeArguments, output: &mut Output) -> Result<(Vec<End>, ExitStatus), Failure> {
    let standard_output = Some(Path::new("-")).filter(|_| !arguments.no_stdout);
    let names = standard_output.into_iter().chain(arguments.files.iter().map(PathBuf::as_path));
    let (mut targets, mut status) = (Vec::new(), ExitStatus::Done);
    for name in names {
        match ends::target(name) {
            Ok(target) => targets.push(target),
            Err(error) if ends_all(arguments) => return Err(error.into()),
            Err(error) => status = status.and(output.report_error(&error)),
        }
    }
    Ok((targets, status))
}

/// Whether one file that cannot be opened ends it for all.
fn ends_all(arguments: &TeeArguments) -> bool {
    matches!(mode(arguments), Some(OutputError::Exit | OutputError::ExitNopipe))
}

fn on_failure(arguments: &TeeArguments) -> OnFailure {
    match mode(arguments) {
        None => OnFailure::StopAtBrokenPipe,
        Some(OutputError::Warn | OutputError::WarnNopipe) => OnFailure::GoOn,
        Some(OutputError::Exit) => OnFailure::Stop,
        Some(OutputError::ExitNopipe) => OnFailure::StopUnlessBrokenPipe,
    }
}

fn mode(arguments: &TeeArguments) -> Option<OutputError> {
    arguments.output_error.or(arguments.pipes.then_some(OutputError::WarnNopipe))
}

/// Whether it is a pipe that nobody reads any more, where that is not to be said.
fn is_silent(mode: Option<OutputError>, error: &Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
        && matches!(mode, None | Some(OutputError::WarnNopipe | OutputError::ExitNopipe))
}

/// Counts what failed, as tee does, and prints the digests of what is complete.
fn conclude(
    arguments: &TeeArguments,
    targets: &[End],
    report: &TeeReport,
    manifest: Option<Manifest>,
    output: &mut Output,
) -> Result<ExitStatus, Failure> {
    let mut status = ExitStatus::Done;
    for target in &report.targets {
        let Err(error) = target else { continue };
        match mode(arguments) {
            None if is_silent(None, error) => return Ok(ExitStatus::Signal(SIGPIPE)),
            mode if is_silent(mode, error) => {}
            // It was said when it happened.
            _ => status = status.and(output.record_error(error)),
        }
    }
    let complete = targets.iter().zip(&report.targets).filter(|(_, written)| written.is_ok());
    let named = complete.map(|(target, _)| target).filter(|target| matches!(target, End::Path(_)));
    if output.is_json() {
        let digests = report.digests.iter().map(|digest| (digest.algorithm().name(), digest.to_string()));
        let written: Vec<_> = report.targets.iter().map(|target| target.as_ref().ok().copied()).collect();
        let record = Record::new("tee")
            .field("bytes", report.bytes)
            .field("written", written)
            .field("digests", digests.collect::<BTreeMap<_, _>>());
        output.record(record)?;
    }
    let lines = named.flat_map(|target| digests::lines(&report.digests, target.name())).collect::<Vec<_>>();
    match manifest {
        Some(manifest) => manifest.commit(&lines)?,
        None if output.is_json() => {}
        None => digests::print(&lines, !arguments.no_stdout, output)?,
    }
    Ok(status)
}

struct Tee<'a> {
    source: &'a End,
    targets: &'a [End],
    options: &'a TeeOptions,
}

impl OnEngine for Tee<'_> {
    type Output = afx_core::Result<TeeReport>;

    fn on<E: Engine>(self) -> Self::Output {
        tee::<E>(self.source, self.targets, self.options)
    }
}
