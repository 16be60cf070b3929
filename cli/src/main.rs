//! The command `afx`: parse, run, exit status.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod exit_status;
mod filesystem;
mod output;
mod signals;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    let mut output = output::Output::new();
    let result = commands::run(&arguments.command, &mut output);
    // What was printed so far is worth having, also in front of an error.
    let flushed = output.flush();
    match result.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status.leave(),
        Err(failure) => output.report(&failure).leave(),
    }
}
