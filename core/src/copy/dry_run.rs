//! What a copy would do, and why.

use super::{
    Source,
    method::is_offloaded,
    options::{CopyMethod, CopyOptions, End, Outcome, Reflink, Sparse, Writing},
    placing::{admit, check_in_place},
    plan::{InPlace, Plan, plan},
    prepare_ends,
    target::Target,
};
use crate::error::{Context, Error, Operation, Result};
use rustix::{
    fs::{Mode, OFlags, ioctl_ficlone, openat},
    io::Errno,
};
use std::{io, path::PathBuf};

/// What a copy would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// How the bytes would get to the targets.
    pub method: CopyMethod,
    /// Why so, as a clause.
    pub why: String,
    /// Bytes of the source, where it has a size.
    pub bytes: Option<u64>,
    /// What would become of each target, in their order.
    pub targets: Vec<(PathBuf, Outcome)>,
}

/// Finds out what [`copy`](super::copy) would do now, and does nothing: whether blocks can be shared is tried
/// with a file that has no name.
///
/// Whether a new file can have the owner and the attributes of an old target shows only when it is there; if not,
/// the target will be written in place.
///
/// # Errors
///
/// Those of [`copy`](super::copy) that come before the first byte.
pub fn dry_run(source: &End, targets: &[End], options: &CopyOptions) -> Result<DryRun> {
    let (looked_up, source) = prepare_ends(source, targets, options, Source::look_at)?;
    let mut outcomes = Vec::with_capacity(targets.len());
    let mut written = Vec::new();
    for (end, target) in targets.iter().zip(&looked_up) {
        let outcome = match target {
            None => Outcome::Streamed,
            Some(target) => match admit(target, &source, options)? {
                Some(skip) => Outcome::Skipped(skip),
                None => outcome_of(target, options)?,
            },
        };
        if !matches!(outcome, Outcome::Skipped(_)) {
            written.push((target.as_ref(), outcome));
        }
        outcomes.push((end.name().to_path_buf(), outcome));
    }
    let (method, why) = method_of(&source, &written, options)?;
    Ok(DryRun { method, why, bytes: source.whole_size(), targets: outcomes })
}

fn outcome_of(target: &Target, options: &CopyOptions) -> Result<Outcome> {
    let reason = match (plan(target.existing), options.writing) {
        (Plan::Refuse(errno), _) => {
            return Err(Error::new(Operation::Open, errno.into()).with_path(&target.path));
        }
        (_, Writing::InPlace) => InPlace::Asked,
        (Plan::InPlace(reason), _) => reason,
        (Plan::Replace, _) => {
            target.place.check_new_name().operation(Operation::Open, &target.path)?;
            return Ok(Outcome::Replaced);
        }
    };
    check_in_place(target, options, reason)?;
    Ok(Outcome::InPlace(reason))
}

fn method_of(
    source: &Source,
    written: &[(Option<&Target>, Outcome)],
    options: &CopyOptions,
) -> Result<(CopyMethod, String)> {
    let pipeline = |why: &str| Ok((CopyMethod::Pipeline, why.to_owned()));
    let target = match written {
        [] => return Ok((CopyMethod::None, "no target is to be written".to_owned())),
        [(Some(target), Outcome::Replaced)] => target,
        [(target, _)] if options.reflink == Reflink::Always => {
            let path = target.map_or(source.path.as_path(), |target| &target.path);
            return Err(Errno::NOTSUP).operation(Operation::Clone, path);
        }
        [_] => return pipeline("blocks are shared with new files only"),
        _ => return pipeline("several targets get the bytes in one pass"),
    };
    if source.whole_size().is_none() && options.reflink == Reflink::Always {
        return Err(Errno::NOTSUP).operation(Operation::Clone, &target.path);
    }
    if source.whole_size().is_none() {
        return pipeline("the source is no regular file, or is not read from its start");
    }
    if options.compression.is_some() {
        return pipeline("the bytes are transformed on the way");
    }
    if options.resume || options.rate.is_some() || options.sparse != Sparse::Auto {
        return pipeline("an option asks for what sharing blocks cannot do");
    }
    if options.reflink == Reflink::Never {
        return pipeline("blocks are not to be shared");
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let nameless = openat(&target.place.directory, ".", flags, Mode::RUSR | Mode::WUSR);
    let shared = nameless.and_then(|file| ioctl_ficlone(&file, &source.file));
    let errno = match shared {
        Ok(()) => return Ok((CopyMethod::Clone, "the file system lets both share the blocks".to_owned())),
        Err(errno) if options.reflink == Reflink::Always => {
            return Err(errno).operation(Operation::Clone, &target.path);
        }
        Err(errno) => errno,
    };
    let is_asked = !options.hashes.is_empty() || options.verify;
    let directory =
        rustix::fs::openat(&target.place.directory, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    if let Ok(directory) = directory
        && !is_asked
        && is_offloaded(source, std::os::fd::AsFd::as_fd(&directory), options)
    {
        return Ok((CopyMethod::Offload, "the file system's server copies by itself".to_owned()));
    }
    let why = match errno {
        Errno::XDEV => "source and target are on different file systems".to_owned(),
        Errno::NOTSUP | Errno::INVAL | Errno::NOTTY => "the file system cannot share blocks".to_owned(),
        errno => format!("blocks cannot be shared: {}", io::Error::from(errno)),
    };
    Ok((CopyMethod::Pipeline, why))
}
