//! `afx completions`: a script for a shell.

use crate::{
    args::{Arguments, CompletionsArguments},
    exit_status::ExitStatus,
    output::{Failure, Output},
};
use clap::CommandFactory;

pub(crate) fn run(arguments: &CompletionsArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "afx", &mut script);
    output.write(&script)?;
    Ok(ExitStatus::Done)
}
