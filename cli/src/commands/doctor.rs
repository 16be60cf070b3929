//! `afx doctor`: what was chosen and why.

use crate::{
    args::DoctorArguments,
    exit_status::ExitStatus,
    output::{Failure, Output},
};
use afx_core::engine::selected;

pub(crate) fn run(_: &DoctorArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let selection = selected()?;
    row(output, "engine", &format!("{} ({})", selection.kind, selection.reason))?;
    row(output, "kernel", &kernel())?;
    row(output, "cpus", &cpus())?;
    Ok(ExitStatus::Done)
}

fn row(output: &mut Output, name: &str, value: &str) -> Result<(), Failure> {
    output.write(format!("{:<13}{value}\n", format!("{name}:")).as_bytes())
}

fn kernel() -> String {
    let name = rustix::system::uname();
    [name.sysname(), name.release(), name.machine()].map(|part| part.to_string_lossy().into_owned()).join(" ")
}

fn cpus() -> String {
    std::thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |count| count.to_string())
}
