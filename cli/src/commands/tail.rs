//! `afx tail`: the last lines of a file, and those to come.

use crate::{
    args::TailArguments,
    exit_status::ExitStatus,
    output::{Failure, Output, describe, quoted, reason},
};
use afx_core::{
    Error, Operation,
    tail::{Ended, Follow, Notice, Tail, TailEvent, TailOptions},
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
    let path = if from_stdin { Path::new("standard input") } else { &arguments.file };
    let mut tail = Tail::new(TailOptions {
        start: arguments.lines,
        follow,
        poll: arguments.sleep_interval,
        terminator: if arguments.zero_terminated { b'\0' } else { b'\n' },
        ..TailOptions::new(path)
    })?;
    if from_stdin {
        let input = duplicate(rustix::stdio::stdin());
        tail = tail.with_file(input.map_err(|cause| Error::new(Operation::Open, cause).with_path(path))?);
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
        TailEvent::Notice(notice) => {
            if let Some(message) = message(notice, &quoted(arguments.file.as_os_str()), arguments.quiet) {
                output.complain(message);
            }
            Ok(())
        }
        _ => Ok(()),
    }
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
