//! The command `afx`: parse, run, exit status.
#![forbid(unsafe_code)]

mod args;
mod closed;
mod commands;
mod exit_status;
mod filesystem;
mod in_order;
mod json;
mod log;
mod output;
mod progress;
#[cfg(test)]
mod reference;
mod signals;
mod size;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = args::Arguments::of_process();
    log::start(&arguments.global);
    let mut output = output::Output::new(&arguments.global);
    let result = commands::run(&arguments, &mut output);
    // What was printed so far is worth having, also in front of an error.
    let flushed = output.flush();
    match result.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status.leave(),
        Err(failure) => output.report(&failure).leave(),
    }
}
