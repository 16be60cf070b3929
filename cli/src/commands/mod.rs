//! One verb per file; each takes its arguments and says how the process ends.

mod check;
mod completions;
mod copy;
mod digests;
mod doctor;
mod ends;
mod hash;
mod jobs;
mod man;
mod tail;
mod tee;
mod work;

use crate::{
    args::{Arguments, Command},
    exit_status::ExitStatus,
    output::{Failure, Output},
};
use afx_core::engine::prefer;

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    if let Some(kind) = arguments.global.engine {
        prefer(kind, "--engine")?;
    }
    match &arguments.command {
        Command::Copy(arguments) => copy::run(arguments, output),
        Command::Hash(arguments) => hash::run(arguments, output),
        Command::Tail(arguments) => tail::run(arguments, output),
        Command::Tee(arguments) => tee::run(arguments, output),
        Command::Doctor(arguments) => doctor::run(arguments, output),
        Command::Completions(arguments) => completions::run(arguments, output),
        Command::Man(arguments) => man::run(arguments, output),
    }
}
