//! One verb per file; each takes its arguments and says how the process ends.

mod check;
mod copy;
mod doctor;
mod hash;
mod tail;

use crate::{
    args::Command,
    exit_status::ExitStatus,
    output::{Failure, Output},
};

pub(crate) fn run(command: &Command, output: &mut Output) -> Result<ExitStatus, Failure> {
    match command {
        Command::Copy(arguments) => copy::run(arguments, output),
        Command::Hash(arguments) => hash::run(arguments, output),
        Command::Tail(arguments) => tail::run(arguments, output),
        Command::Doctor(arguments) => doctor::run(arguments, output),
    }
}
