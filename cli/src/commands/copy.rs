//! `afx copy`: files to files, to directories, and to many places at once.

use super::{
    digests::{self, Manifest},
    ends::STANDARD_OUTPUT,
    jobs::{Job, Planned, plan, refuse_conflicts, refuse_streams},
    work::{Show, Work},
};
use crate::{
    args::{CopyArguments, usage},
    exit_status::ExitStatus,
    json::Record,
    output::{Failure, Output, quoted, say},
    progress::total_of,
};
use afx_core::{
    Operation,
    compress::Compression,
    copy::{
        CopyMethod, CopyOptions, CopyReport, DryRun, End, InPlace, Outcome, Overwrite, ReadBack, Skip,
        TargetReport, Writing, copy, dry_run,
    },
    engine::{Engine, OnEngine, on_selected},
};
use signal_hook::consts::SIGPIPE;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::info;

pub(crate) fn run(arguments: &CopyArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    refuse_conflicts(arguments);
    let Planned { jobs, mut status } = plan(arguments, output)?;
    refuse_streams(arguments, &jobs);
    let has_data_on_stdout = jobs.iter().any(Job::has_data_on_stdout);
    if has_data_on_stdout && output.is_json() {
        usage("--json prints results where the data would go: name a target");
    }
    if arguments.running.dry_run {
        return Ok(status.and(rehearse(arguments, &jobs, output)?));
    }
    let has_results = output.is_json() || prints_digests(arguments);
    if has_results && !has_data_on_stdout {
        Output::check_stdout()?;
    }
    let total = total_of(jobs.iter().map(|job| job.source.as_path()));
    let show = if arguments.running.progress { Show::Progress { has_data_on_stdout } } else { Show::Nothing };
    let mut work = Work::start(total, show)?;
    let ends = jobs.iter().flat_map(|job| job.targets.iter().chain([&job.source]));
    let ends = ends.map(PathBuf::as_path);
    let mut manifest = Manifest::begin(arguments.content.manifest.as_ref(), ends, &work.cancel)?;
    let mut lines = Vec::new();
    for job in &jobs {
        let mut options = options(arguments, output);
        options.cancel = work.cancel.clone();
        options.progress = work.meter.next_file();
        let result = run_job(job, &options);
        manifest = manifest.filter(|_| !work.cancel.is_cancelled());
        work.end_if_signalled();
        match result {
            Ok(report) => {
                lines.extend(tell(arguments, job, &report, output)?);
                tell_skipped(&report, manifest.as_ref(), output);
            }
            Err(failure) if is_unread(&failure) => return Ok(ExitStatus::Signal(SIGPIPE)),
            Err(failure) => status = status.and(output.report(&failure)),
        }
    }
    work.finish();
    match manifest {
        Some(manifest) => {
            let made = manifest.commit(&lines);
            work.end_if_signalled();
            made?;
        }
        None if output.is_json() => {}
        None => digests::print(&lines, has_data_on_stdout, output)?,
    }
    Ok(status)
}

fn run_job(job: &Job, options: &CopyOptions) -> Result<CopyReport, Failure> {
    info!(source = ?job.source, targets = ?job.targets, "copy");
    let (source, targets) = job.ends()?;
    let report = on_selected(Copy { source: &source, targets: &targets, options })??;
    info!(method = report.method.name(), bytes = report.bytes, "copied");
    Ok(report)
}

/// Whether the reader of standard output went away, which ends any program by SIGPIPE.
fn is_unread(failure: &Failure) -> bool {
    let Failure::File(error) = failure else { return false };
    let is_output = |path| path == Path::new(STANDARD_OUTPUT) || path == Path::new("/dev/stdout");
    error.operation() == Operation::Write
        && error.kind() == io::ErrorKind::BrokenPipe
        && error.path().is_some_and(is_output)
}

/// Says of which targets a manifest does not tell, and why.
fn tell_skipped(report: &CopyReport, manifest: Option<&Manifest>, output: &mut Output) {
    for target in &report.targets {
        let Outcome::Skipped(why) = target.outcome else { continue };
        let name = quoted(target.path.as_os_str());
        if let Some(manifest) = manifest.filter(|_| !output.is_quiet()) {
            output.complain(format_args!("{name} is not in {}: {}", manifest.name(), left_alone(why)));
        }
    }
}

/// Why a target stays as it is.
fn left_alone(why: Skip) -> &'static str {
    match why {
        Skip::Exists => "left alone: it exists",
        Skip::NotOlder => "left alone: it is not older",
    }
}

/// Whether the digests go to one of the standard streams.
fn prints_digests(arguments: &CopyArguments) -> bool {
    let content = &arguments.content;
    !content.hash.is_empty() && content.manifest.as_ref().is_none_or(|manifest| manifest == "-")
}

fn options(arguments: &CopyArguments, output: &Output) -> CopyOptions {
    let (content, target, running) = (&arguments.content, &arguments.target, &arguments.running);
    CopyOptions {
        hashes: content.hash.clone(),
        reflink: content.reflink.into(),
        sparse: content.sparse.into(),
        preserve: target.preserve,
        writing: match (target.atomic, target.in_place) {
            (true, _) => Writing::Atomic,
            (_, true) => Writing::InPlace,
            _ => Writing::Auto,
        },
        overwrite: match (target.no_clobber, target.update) {
            (true, _) => Overwrite::Never,
            (_, true) => Overwrite::Older,
            _ => Overwrite::Always,
        },
        durability: target.durability.into(),
        verify: target.verify,
        resume: running.resume,
        compression: content.compress.or(content.decompress.then_some(Compression::Decompress(None))),
        rate: running.bwlimit,
        drop_cache: running.drop_cache,
        on_in_place: (!output.is_quiet()).then(|| {
            Arc::new(|target: &Path, reason: InPlace| {
                say(format_args!("writing {} in place: {reason}", quoted(target.as_os_str())));
            }) as _
        }),
        ..CopyOptions::default()
    }
}

/// Says what is worth saying of one source; returns the lines of its digests.
fn tell(
    arguments: &CopyArguments,
    job: &Job,
    report: &CopyReport,
    output: &mut Output,
) -> Result<Vec<u8>, Failure> {
    let mut lines = Vec::new();
    for (name, target) in job.targets.iter().zip(&report.targets) {
        let is_written = !matches!(target.outcome, Outcome::Skipped(_));
        if let Outcome::Skipped(why) = target.outcome {
            info!(target = ?target.path, "{}", left_alone(why));
        }
        if let Some(from) = target.verified {
            info!(target = ?target.path, from = read_back(from), "read back: it is what was written");
        }
        if target.verified == Some(ReadBack::Cache) && !output.is_quiet() {
            let name = quoted(target.path.as_os_str());
            output.complain(format_args!(
                "{name} was verified in the page cache only, which cannot be gone past"
            ));
        }
        if output.is_json() {
            output.record(record(job, report, target))?;
        }
        if is_written {
            lines.extend(digests::lines(&report.digests, name));
        }
    }
    if let Some(offset) = report.resumed_at.filter(|_| !output.is_quiet()) {
        output.complain(format_args!("{} was gone on with at byte {offset}", quoted(job.source.as_os_str())));
    }
    Ok(if arguments.content.hash.is_empty() { Vec::new() } else { lines })
}

fn record(job: &Job, report: &CopyReport, target: &TargetReport) -> Record {
    let digests = report.digests.iter().map(|digest| (digest.algorithm().name(), digest.to_string()));
    let is_written = !matches!(target.outcome, Outcome::Skipped(_));
    Record::new("copy")
        .name("source", job.source.as_os_str())
        .name("target", target.path.as_os_str())
        .field("bytes", if is_written { report.bytes } else { 0 })
        .field("method", if is_written { report.method } else { CopyMethod::None }.name())
        .field("in_place", in_place(target.outcome))
        .field("skipped", skipped(target.outcome))
        .field("verified", target.verified.map(read_back))
        .field("resumed_at", report.resumed_at)
        .field("digests", digests.filter(|_| is_written).collect::<BTreeMap<_, _>>())
}

fn in_place(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::InPlace(reason) => Some(reason.name()),
        _ => None,
    }
}

fn skipped(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Skipped(Skip::Exists) => Some("exists"),
        Outcome::Skipped(Skip::NotOlder) => Some("not_older"),
        _ => None,
    }
}

fn read_back(from: ReadBack) -> &'static str {
    match from {
        ReadBack::Device => "device",
        ReadBack::Cache => "cache",
    }
}

/// Says what would be done.
fn rehearse(arguments: &CopyArguments, jobs: &[Job], output: &mut Output) -> Result<ExitStatus, Failure> {
    let mut status = ExitStatus::Done;
    for job in jobs {
        let (source, targets) = job.ends()?;
        match dry_run(&source, &targets, &options(arguments, output)) {
            Ok(run) => tell_of(job, &run, output)?,
            Err(error) => status = status.and(output.report(&error.into())),
        }
    }
    Ok(status)
}

fn tell_of(job: &Job, run: &DryRun, output: &mut Output) -> Result<(), Failure> {
    for (target, outcome) in &run.targets {
        if output.is_json() {
            let record = Record::new("dry_run")
                .name("source", job.source.as_os_str())
                .name("target", target.as_os_str())
                .field("bytes", run.bytes)
                .field("method", run.method.name())
                .field("why", &run.why)
                .field("in_place", in_place(*outcome))
                .field("skipped", skipped(*outcome));
            output.record(record)?;
            continue;
        }
        let (source, target) = (quoted(job.source.as_os_str()), quoted(target.as_os_str()));
        let what = match outcome {
            Outcome::InPlace(InPlace::Asked) => "written in place, as asked".to_owned(),
            Outcome::InPlace(reason) => format!("written in place: {reason}"),
            Outcome::Skipped(why) => left_alone(*why).to_owned(),
            Outcome::Streamed => "written to as it is".to_owned(),
            _ => "replaced in one step".to_owned(),
        };
        let how = match outcome {
            Outcome::Skipped(_) => String::new(),
            _ => format!("; method {}: {}", run.method.name(), run.why),
        };
        output.result(format!("{source} -> {target}: {what}{how}\n").as_bytes())?;
    }
    Ok(())
}

/// A copy, for any engine.
struct Copy<'a> {
    source: &'a End,
    targets: &'a [End],
    options: &'a CopyOptions,
}

impl OnEngine for Copy<'_> {
    type Output = afx_core::Result<CopyReport>;

    fn on<E: Engine>(self) -> Self::Output {
        copy::<E>(self.source, self.targets, self.options)
    }
}
