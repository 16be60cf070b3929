//! `afx hash --check`: files against the digests that a check file lists.

use super::{
    ends::{self, STANDARD_INPUT},
    hash::{Hashing, is_apart, threads},
    work::Work,
};
use crate::{
    args::HashArguments,
    exit_status::ExitStatus,
    in_order::{Job, in_order},
    json::Record,
    output::{Failure, Output, quoted},
};
use afx_core::{
    Error, Operation,
    hash::{
        Algorithm, Hashed,
        checkfile::{self, CheckLine},
    },
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    num::NonZero,
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// The longest line that can be a check line: every byte of the longest path escaped, and a digest.
/// What is longer is no check line, and is not kept in memory.
const MAX_CHECK_LINE_BYTES: u64 = 16 * 1024;

/// What came of the lines of one check file.
#[derive(Debug, Default)]
struct Tally {
    /// Lines that are check lines.
    formatted: u64,
    misformatted: u64,
    matched: u64,
    mismatched: u64,
    unreadable: u64,
}

/// What came of one line.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Matches,
    Differs,
    Unreadable,
}

/// Checks what the file `list` lists, or standard input for `-`.
pub(super) fn run(
    list: &Path,
    arguments: &HashArguments,
    work: &mut Work,
    output: &mut Output,
) -> Result<ExitStatus, Failure> {
    let name = if list == "-" { OsStr::new(STANDARD_INPUT) } else { list.as_os_str() };
    let mut lines = match open(list) {
        Ok(file) => BufReader::new(file),
        Err(error) => return Ok(output.report(&error.into())),
    };
    let mut tally = Tally::default();
    let mut unread = None;
    let lines = read_lines(&mut lines, arguments).map_while(|line| match line {
        Ok(line) => Some(line),
        Err(cause) => {
            unread = Some(cause);
            None
        }
    });
    let job = Listed { hashing: Hashing::of(work) };
    in_order(&job, threads(arguments), lines, |line, hashed| match (line, hashed) {
        (Line::File(line), Some(hashed)) => {
            work.end_if_signalled();
            check(&line, hashed, arguments, &mut tally, output)
        }
        (Line::Misformatted(number), _) => {
            tally.misformatted += 1;
            if arguments.checking.warn {
                let (name, kind) = (quoted(name), kind(arguments));
                output.complain(format_args!("{name}: {number}: improperly formatted {kind}checksum line"));
            }
            Ok(())
        }
        // Whatever is a file is hashed.
        (Line::File(_), None) => Ok(()),
    })?;
    if let Some(cause) = unread {
        return Ok(output.report(&Error::new(Operation::Read, cause).with_path(name).into()));
    }
    if output.is_json() && !arguments.checking.status {
        summarize(&tally, list.as_os_str(), output)?;
    }
    Ok(conclude(&tally, name, arguments, output))
}

fn open(list: &Path) -> afx_core::Result<File> {
    if list == "-" {
        return ends::standard_input().map(File::from);
    }
    ends::check_name(list)?;
    File::open(list).map_err(|cause| Error::new(Operation::Open, cause).with_path(list))
}

/// What a line says, if it says anything.
#[derive(Debug)]
enum Line {
    File(CheckLine),
    /// No check line; the number of it.
    Misformatted(u64),
}

/// The lines that say something, and the error that ends them.
fn read_lines(lines: &mut dyn BufRead, arguments: &HashArguments) -> impl Iterator<Item = io::Result<Line>> {
    let mut line = Vec::new();
    (1_u64..)
        .map_while(move |number| {
            line.clear();
            match lines.take(MAX_CHECK_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => None,
                Ok(_) if checkfile::is_blank(&line) => Some(Ok(None)),
                Ok(_) => {
                    Some(Ok(Some(parse(&line, arguments).map_or(Line::Misformatted(number), Line::File))))
                }
                Err(cause) => Some(Err(cause)),
            }
        })
        .filter_map(Result::transpose)
}

/// A check line, of one of the algorithms that were asked for if some were.
fn parse(line: &[u8], arguments: &HashArguments) -> Option<CheckLine> {
    let asked = &arguments.algorithms[..];
    let line = checkfile::parse(line, if asked.is_empty() { &Algorithm::COREUTILS } else { asked })?;
    let fits = asked.is_empty() || asked.contains(&line.digest.algorithm());
    fits.then_some(line)
}

fn kind(arguments: &HashArguments) -> String {
    let tags: Vec<_> = arguments.algorithms.iter().map(|algorithm| algorithm.tag()).collect();
    if tags.is_empty() { String::new() } else { format!("{} ", tags.join(" or ")) }
}

/// The files that a list names.
struct Listed {
    hashing: Hashing,
}

impl Job for Listed {
    type Item = Line;
    type Result = Option<afx_core::Result<Hashed>>;

    fn is_apart(&self, line: &Line) -> bool {
        matches!(line, Line::File(line) if is_apart(path_of(line)))
    }

    fn work(&self, line: &Line, threads: NonZero<usize>) -> Self::Result {
        let Line::File(line) = line else { return None };
        Some(self.hashing.digests_of(path_of(line), &[line.digest.algorithm()], threads))
    }

    fn abandon(&self) {
        self.hashing.abandon();
    }
}

fn path_of(line: &CheckLine) -> &Path {
    Path::new(OsStr::from_bytes(&line.name))
}

fn check(
    line: &CheckLine,
    hashed: afx_core::Result<Hashed>,
    arguments: &HashArguments,
    tally: &mut Tally,
    output: &mut Output,
) -> Result<(), Failure> {
    let options = &arguments.checking;
    tally.formatted += 1;
    let verdict = match hashed {
        Ok(hashed) if hashed.digests == [line.digest] => {
            tally.matched += 1;
            (!output.is_quiet()).then_some(Verdict::Matches)
        }
        Ok(_) => {
            tally.mismatched += 1;
            Some(Verdict::Differs)
        }
        Err(error) if options.ignore_missing && error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tally.unreadable += 1;
            output.report(&error.into());
            Some(Verdict::Unreadable)
        }
    };
    match verdict {
        Some(verdict) if !options.status => show(line, verdict, output),
        _ => Ok(()),
    }
}

fn show(line: &CheckLine, verdict: Verdict, output: &mut Output) -> Result<(), Failure> {
    let (told, result) = match verdict {
        Verdict::Matches => (&b"OK"[..], "ok"),
        Verdict::Differs => (&b"FAILED"[..], "failed"),
        Verdict::Unreadable => (&b"FAILED open or read"[..], "unreadable"),
    };
    if output.is_json() {
        let algorithm = line.digest.algorithm().name();
        let record = Record::new("check").bytes("path", &line.name);
        return output.record(record.field("algorithm", algorithm).field("result", result));
    }
    let (name, escaped) = checkfile::escape(&line.name);
    let mark: &[u8] = if escaped { b"\\" } else { b"" };
    output.result(&[mark, &name, b": ", told, b"\n"].concat())
}

/// Prints the counts, which a program would otherwise have to find in the warnings.
fn summarize(tally: &Tally, name: &OsStr, output: &mut Output) -> Result<(), Failure> {
    output.record(
        Record::new("checked")
            .name("path", name)
            .field("ok", tally.matched)
            .field("failed", tally.mismatched)
            .field("unreadable", tally.unreadable)
            .field("misformatted", tally.misformatted),
    )
}

fn conclude(tally: &Tally, name: &OsStr, arguments: &HashArguments, output: &mut Output) -> ExitStatus {
    let options = &arguments.checking;
    if tally.formatted == 0 {
        let kind = kind(arguments);
        output.complain(format_args!("{}: no properly formatted {kind}checksum lines found", quoted(name)));
        return ExitStatus::Failed;
    }
    if !options.status {
        for (count, one, many) in [
            (tally.misformatted, "line is improperly formatted", "lines are improperly formatted"),
            (tally.unreadable, "listed file could not be read", "listed files could not be read"),
            (tally.mismatched, "computed checksum did NOT match", "computed checksums did NOT match"),
        ] {
            match count {
                0 => {}
                1 => output.complain(format_args!("WARNING: 1 {one}")),
                _ => output.complain(format_args!("WARNING: {count} {many}")),
            }
        }
        if options.ignore_missing && tally.matched == 0 {
            output.complain(format_args!("{}: no file was verified", quoted(name)));
        }
    }
    let failed = tally.mismatched + tally.unreadable > 0
        || (options.strict && tally.misformatted > 0)
        || (options.ignore_missing && tally.matched == 0);
    if failed { ExitStatus::Failed } else { ExitStatus::Done }
}
