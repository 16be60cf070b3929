//! `afx tail`: the last lines of a file, and those to come.

use super::ends::{self, STANDARD_INPUT};
use crate::{
    args::TailArguments,
    exit_status::ExitStatus,
    json::Record,
    output::{Failure, Output, describe, quoted, reason},
};
use afx_core::{
    Error, Operation,
    lines::{Ending, Line},
    tail::{Ended, Follow, Notice, Tail, TailEvent, TailOptions, Unit},
};
use rustix::io::fcntl_dupfd_cloexec;
use signal_hook::consts::SIGPIPE;
use std::{
    io,
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

pub(crate) fn run(arguments: &TailArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let from_stdin = arguments.file.as_os_str() == "-";
    let follow = match arguments {
        TailArguments { follow_name: true, .. } if from_stdin => {
            let reason = "standard input has no name to follow";
            let error = Error::refused(Operation::Open, io::ErrorKind::InvalidInput, reason);
            return Err(error.with_path(&arguments.file).into());
        }
        TailArguments { follow_name: true, .. } => Follow::Name,
        TailArguments { follow: true, .. } => Follow::Descriptor,
        _ => Follow::No,
    };
    let path = if from_stdin { Path::new(STANDARD_INPUT) } else { &arguments.file };
    Output::check_stdout()?;
    ends::check_name(path)?;
    let mut tail = Tail::new(TailOptions {
        start: arguments.lines,
        follow,
        poll: arguments.sleep_interval,
        // A program takes lines; whoever reads along wants also what is not yet one.
        unit: if output.is_json() { Unit::Lines } else { Unit::Bytes },
        terminator: if arguments.zero_terminated { b'\0' } else { b'\n' },
        ..TailOptions::new(path)
    })?;
    if from_stdin {
        tail = tail.with_file(ends::standard_input()?);
    }
    // While nothing comes there is nothing to write, and no write to fail.
    if let Ok(watched) = duplicate(rustix::stdio::stdout()) {
        tail = tail.with_output(watched);
    }
    let mut failure = None;
    let ended = tail.run(|event| match show(&event, arguments, output) {
        Ok(()) => ControlFlow::Continue(()),
        Err(why) => {
            failure = Some(why);
            ControlFlow::Break(())
        }
    })?;
    match (failure, ended) {
        (Some(failure), _) => Err(failure),
        (None, Ended::OutputClosed) => Ok(ExitStatus::Signal(SIGPIPE)),
        (None, _) => Ok(ExitStatus::Done),
    }
}

fn duplicate(stream: impl AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(stream, 3)?)
}

fn show(event: &TailEvent<'_>, arguments: &TailArguments, output: &mut Output) -> Result<(), Failure> {
    match event {
        TailEvent::Bytes { bytes, .. } => {
            output.write(bytes)?;
            // Whoever reads wants it now, in the middle of a line as well.
            output.flush()
        }
        TailEvent::Line { line, generation } => show_line(line, *generation, &arguments.file, output),
        TailEvent::Notice(notice) => {
            if output.is_json() {
                output.record(record_of(notice, &arguments.file))?;
            }
            if let Some(message) = message(notice, &quoted(arguments.file.as_os_str()), output.is_quiet()) {
                output.complain(message);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A line as an object, without its terminator.
fn show_line(line: &Line<'_>, generation: u64, path: &Path, output: &mut Output) -> Result<(), Failure> {
    let (text, ending) = match (line.ending, line.bytes) {
        (Ending::Terminator, [text @ .., _]) => (text, "terminator"),
        (Ending::Overlong, text) => (text, "overlong"),
        (_, text) => (text, "end"),
    };
    output.record(
        Record::new("line")
            .name("path", path.as_os_str())
            .field("generation", generation)
            .field("offset", line.offset)
            .bytes("text", text)
            .field("ending", ending),
    )
}

/// What happened to the file, as an object.
fn record_of(notice: &Notice, path: &Path) -> Record {
    let (event, error, dropped) = match notice {
        Notice::Truncated => ("truncated", None, None),
        Notice::Replaced => ("replaced", None, None),
        Notice::Appeared => ("appeared", None, None),
        Notice::Missing(error) => ("missing", Some(error), None),
        Notice::Inaccessible(error) => ("inaccessible", Some(error), None),
        Notice::Untailable(_) => ("untailable", None, None),
        Notice::Unreadable(error) => ("unreadable", Some(error), None),
        Notice::Dropped(count) => ("dropped", None, Some(*count)),
        Notice::Polling(error) => ("polling", Some(error), None),
        _ => ("other", None, None),
    };
    Record::new("notice")
        .name("path", path.as_os_str())
        .field("event", event)
        .field("errno", error.and_then(Error::raw_os_error))
        .field("dropped", dropped)
}

/// What to say of `notice`; with `quiet`, only what means loss.
fn message(notice: &Notice, name: &str, quiet: bool) -> Option<String> {
    Some(match notice {
        Notice::Unreadable(error) => describe(error),
        Notice::Dropped(count) => {
            format!("{name}: {count} files that had this name were lost, for too many were unread")
        }
        _ if quiet => return None,
        Notice::Truncated => format!("{name}: file truncated"),
        Notice::Replaced => format!("{name} has been replaced; following new file"),
        Notice::Appeared => format!("{name} has appeared; following new file"),
        Notice::Missing(error) => describe(error),
        Notice::Inaccessible(error) => {
            format!("{name} has become inaccessible: {}", reason(error.io_error()))
        }
        Notice::Untailable(_) => format!("{name} has been replaced with something that has no end to follow"),
        Notice::Polling(error) => format!("{}; looking every second instead", describe(error)),
        _ => return None,
    })
}
