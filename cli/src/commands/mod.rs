//! One verb per file; each takes its arguments and says how the process ends.

mod doctor;

use crate::{
    args::Command,
    exit_status::ExitStatus,
    output::{Failure, Output},
};

pub(crate) fn run(command: &Command, output: &mut Output) -> Result<ExitStatus, Failure> {
    match command {
        Command::Doctor(arguments) => doctor::run(arguments, output),
    }
}
