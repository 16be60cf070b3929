//! `afx hash`: digests of files.

use super::{
    check,
    ends::{self, STANDARD_INPUT},
    work::{Show, Work},
};
use crate::{
    args::HashArguments,
    exit_status::ExitStatus,
    in_order::{Job, in_order},
    json::Record,
    output::{Failure, Output},
    progress::{Meter, total_of},
};
use afx_core::{
    Cancel,
    engine::{Engine, OnEngine, on_selected},
    hash::{
        Algorithm, HashOptions, Hashed,
        checkfile::{self, Form},
        hash_file, hash_open_file,
    },
    limits::HASH_THREADS,
};
use std::{
    num::NonZero,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread,
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
    if arguments.check {
        for list in files {
            status = status.and(check::run(list, arguments, &mut work, output)?);
        }
        return Ok(status);
    }
    Output::check_stdout()?;
    let algorithms = match &arguments.algorithms[..] {
        [] => &[Algorithm::default()],
        algorithms => algorithms,
    };
    // Without a tag, nobody could say which line is of which algorithm.
    let form = if arguments.tag || algorithms.len() > 1 { Form::Tagged } else { Form::Text };
    let job = Files { hashing: Hashing::of(&work), algorithms };
    in_order(&job, threads(arguments), files.iter(), |file, hashed| {
        work.end_if_signalled();
        status = status.and(print(file, hashed, form, output)?);
        Ok::<_, Failure>(())
    })?;
    Ok(status)
}

/// How many threads hash at the same time.
pub(super) fn threads(arguments: &HashArguments) -> NonZero<usize> {
    let asked = arguments.threads.or_else(|| thread::available_parallelism().ok());
    let most = NonZero::new(HASH_THREADS).unwrap_or(NonZero::<usize>::MIN);
    asked.unwrap_or(NonZero::<usize>::MIN).min(most)
}

fn print(
    file: &Path,
    hashed: afx_core::Result<Hashed>,
    form: Form,
    output: &mut Output,
) -> Result<ExitStatus, Failure> {
    let hashed = match hashed {
        Ok(hashed) => hashed,
        Err(error) => return Ok(output.report(&error.into())),
    };
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

/// Files of which the digests are wanted.
struct Files<'a> {
    hashing: Hashing,
    algorithms: &'a [Algorithm],
}

impl<'a> Job for Files<'a> {
    type Item = &'a PathBuf;
    type Result = afx_core::Result<Hashed>;

    fn is_apart(&self, file: &&PathBuf) -> bool {
        is_apart(file)
    }

    fn work(&self, file: &&PathBuf, threads: NonZero<usize>) -> Self::Result {
        self.hashing.digests_of(file, self.algorithms, threads)
    }

    fn abandon(&self) {
        self.hashing.abandon();
    }
}

/// Whether `file` is standard input, a pipe, a terminal or the like: what is read of it is gone, so two
/// threads must not share it, and whoever fills it may do one thing after the other.
pub(super) fn is_apart(file: &Path) -> bool {
    file == "-" || file.metadata().is_ok_and(|metadata| !metadata.is_file())
}

/// What all files have in common.
#[derive(Debug)]
pub(super) struct Hashing {
    cancel: Cancel,
    meter: Meter,
}

impl Hashing {
    pub(super) fn of(work: &Work) -> Self {
        Self { cancel: work.cancel.clone(), meter: work.meter.clone() }
    }

    /// Ends what is under way.
    pub(super) fn abandon(&self) {
        self.cancel.cancel();
    }

    /// The digests of `file`, or of standard input for `-`.
    pub(super) fn digests_of(
        &self,
        file: &Path,
        algorithms: &[Algorithm],
        threads: NonZero<usize>,
    ) -> afx_core::Result<Hashed> {
        let count = self.meter.file_beside();
        let (cancel, progress) = (self.cancel.clone(), count.progress());
        let options = HashOptions { cancel, progress, threads: Some(threads) };
        let hashed = on_selected(Hash { file, algorithms, options }).and_then(|hashed| hashed)?;
        let names: Vec<_> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        info!(path = ?file, algorithm = names.join(","), bytes = hashed.bytes, "hashed");
        Ok(hashed)
    }
}

/// A hash, for any engine.
struct Hash<'a> {
    file: &'a Path,
    algorithms: &'a [Algorithm],
    options: HashOptions,
}

impl OnEngine for Hash<'_> {
    type Output = afx_core::Result<Hashed>;

    fn on<E: Engine>(self) -> Self::Output {
        if self.file != "-" {
            ends::check_name(self.file)?;
            return hash_file::<E>(self.file, self.algorithms, &self.options);
        }
        let input = ends::standard_input()?;
        hash_open_file::<E>(input, Path::new(STANDARD_INPUT), self.algorithms, &self.options)
    }
}
