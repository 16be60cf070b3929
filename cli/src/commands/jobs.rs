//! What `afx copy` copies to where, as cp understands its arguments.

use super::ends;
use crate::{
    args::{CopyArguments, When, usage},
    exit_status::ExitStatus,
    output::{Failure, Output, quoted},
};
use afx_core::{
    Error, Operation,
    compress::{Codec, Compression},
    copy::End,
};
use rustix::io::Errno;
use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// One source and the places it goes to.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) source: PathBuf,
    pub(super) targets: Vec<PathBuf>,
}

impl Job {
    pub(super) fn has_data_on_stdout(&self) -> bool {
        self.targets.iter().any(|target| target == "-")
    }

    pub(super) fn ends(&self) -> Result<(End, Vec<End>), Failure> {
        let targets = self.targets.iter().map(|target| ends::target(target)).collect::<Result<_, _>>();
        Ok((ends::source(&self.source)?, targets?))
    }
}

/// What is copied to where, and whether it is all that was asked for.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) jobs: Vec<Job>,
    pub(super) status: ExitStatus,
}

/// What is copied to where, as cp understands its arguments.
pub(super) fn plan(arguments: &CopyArguments, output: &mut Output) -> Result<Planned, Failure> {
    let (sources, last) = match (&arguments.target_directory, arguments.paths.as_slice()) {
        (Some(directory), sources) => (sources, directory),
        (None, [sources @ .., last]) if !sources.is_empty() => (sources, last),
        _ => usage("a target is wanted behind the source"),
    };
    let into_directory = if arguments.target_directory.is_some() || sources.len() > 1 {
        if arguments.no_target_directory {
            usage("-T takes one source and one target");
        }
        let is_directory = fs::metadata(last).map(|found| found.is_dir());
        let why_not = match is_directory {
            Ok(true) => None,
            Ok(false) => Some(Errno::NOTDIR.into()),
            Err(cause) => Some(cause),
        };
        if let Some(cause) = why_not {
            return Err(Error::new(Operation::Copy, cause).with_path(last).into());
        }
        true
    } else {
        !arguments.no_target_directory && last != "-" && last.is_dir()
    };
    if sources.len() > 1 && !arguments.tee.is_empty() {
        usage("--tee takes one source");
    }
    if !into_directory {
        refuse_missing_directories([last].into_iter().chain(&arguments.tee))?;
        let targets = [last].into_iter().chain(&arguments.tee).cloned().collect();
        let job = Job { source: sources.first().unwrap_or(last).clone(), targets };
        return Ok(Planned { jobs: vec![job], status: ExitStatus::Done });
    }
    refuse_missing_directories(arguments.tee.iter())?;
    Ok(jobs_into(last, sources, arguments, output))
}

/// What is copied into a directory: of several that would get one name, the first.
fn jobs_into(
    directory: &Path,
    sources: &[PathBuf],
    arguments: &CopyArguments,
    output: &mut Output,
) -> Planned {
    let mut taken: HashMap<PathBuf, &Path> = HashMap::new();
    let mut planned = Planned { jobs: Vec::new(), status: ExitStatus::Done };
    for source in sources {
        let target = match name_in(arguments, source) {
            Ok(name) => directory.join(name),
            Err(error) => {
                planned.status = planned.status.and(output.report_error(&error));
                continue;
            }
        };
        match taken.get(&target) {
            None => {
                taken.insert(target.clone(), source);
                let targets = [target].into_iter().chain(arguments.tee.iter().cloned()).collect();
                planned.jobs.push(Job { source: source.clone(), targets });
            }
            Some(first) if is_same_name(first, source) => {
                let name = quoted(source.as_os_str());
                output.complain(format_args!("{name} is given more than once as a source"));
            }
            Some(first) => {
                let reason = format!("{} of this command goes there", quoted(first.as_os_str()));
                let refused = Error::refused(Operation::Copy, io::ErrorKind::InvalidInput, reason);
                planned.status = planned.status.and(output.report_error(&refused.with_path(target)));
            }
        }
    }
    planned
}

/// Whether both are one name of one directory, however it is spelled.
fn is_same_name(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Refuses names that only a directory can have, but none has. The kernel says of them that they are one.
fn refuse_missing_directories<'a>(mut targets: impl Iterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    let is_missing = |target: &&PathBuf| {
        let found = fs::metadata(target);
        target.as_os_str().as_bytes().ends_with(b"/")
            && found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let Some(target) = targets.find(is_missing) else { return Ok(()) };
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let cause = match fs::metadata(parent.unwrap_or(Path::new("."))) {
        Ok(_) => Errno::NOTDIR.into(),
        Err(cause) => cause,
    };
    Err(Error::new(Operation::Open, cause).with_path(target).into())
}

/// The name of `source` in a directory: what is compressed gets its suffix, what is restored loses it.
fn name_in(arguments: &CopyArguments, source: &Path) -> afx_core::Result<OsString> {
    if source == "-" {
        usage("standard input has no name: name the target");
    }
    let Some(name) = source.file_name() else {
        // Such as `..`, or nothing at all.
        let errno = if source.as_os_str().is_empty() { Errno::NOENT } else { Errno::ISDIR };
        return Err(Error::new(Operation::Copy, errno.into()).with_path(source));
    };
    Ok(match arguments.content.compress {
        Some(Compression::Compress { codec, .. }) => {
            let mut name = name.to_owned();
            name.push(".");
            name.push(codec.suffix());
            name
        }
        _ if arguments.content.decompress => restored_name(Path::new(name)).into_os_string(),
        _ => name.to_owned(),
    })
}

/// As `gunzip` and `unzstd` name it.
fn restored_name(name: &Path) -> PathBuf {
    if name.extension().is_some_and(|suffix| ["tgz", "taz", "tzst"].iter().any(|tar| suffix == *tar)) {
        return name.with_extension("tar");
    }
    Codec::of_path(name).and_then(|codec| codec.strip_suffix(name)).unwrap_or_else(|| name.to_owned())
}

/// Ends the process where values of options contradict each other; which options do, the parser knows.
pub(super) fn refuse_conflicts(arguments: &CopyArguments) {
    let (content, running) = (&arguments.content, &arguments.running);
    if content.reflink != When::Always {
        return;
    }
    let others = [
        (content.compress.is_some(), "--compress"),
        (content.decompress, "--decompress"),
        (content.sparse != When::Auto, "--sparse"),
        (!arguments.tee.is_empty(), "--tee"),
        (running.bwlimit.is_some(), "--bwlimit"),
        (running.resume, "--resume"),
    ];
    if let Some((_, other)) = others.iter().find(|(is_given, _)| *is_given) {
        usage(&format!(
            "--reflink=always cannot be used with {other}: blocks are shared as they are, at once"
        ));
    }
}

/// Ends the process where a standard stream cannot be treated as the options want it.
pub(super) fn refuse_streams(arguments: &CopyArguments, jobs: &[Job]) {
    let (target, resume) = (&arguments.target, arguments.running.resume);
    let reads_stream = jobs.iter().any(|job| job.source.as_os_str() == "-");
    let writes_stream = jobs.iter().any(Job::has_data_on_stdout);
    if resume && (reads_stream || writes_stream) {
        usage("--resume cannot be used with `-`: only the copy of one file to another can be resumed");
    }
    if target.atomic && writes_stream {
        usage("--atomic cannot be used with `-`: a stream cannot be replaced in one step");
    }
    if target.verify && writes_stream {
        usage("--verify cannot be used with `-`: a stream cannot be read back");
    }
}
