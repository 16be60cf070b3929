//! `afx doctor`: what was chosen and why, and what this machine and directory support.

use crate::{
    args::DoctorArguments,
    exit_status::ExitStatus,
    filesystem::FileSystem,
    output::{Failure, Output, quoted},
};
use afx_core::{
    Error, Operation,
    engine::{EngineKind, probe_uring, selected},
    hash::{Algorithm, cpu_backend},
};
use std::{env, thread};

pub(crate) fn run(_: &DoctorArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let selection = selected()?;
    row(output, "engine", &format!("{} ({})", selection.kind, selection.reason))?;
    if selection.kind != EngineKind::Uring {
        row(
            output,
            "io_uring",
            &probe_uring().unusable.map_or("works".to_owned(), |why| format!("no: {why}")),
        )?;
    }
    row(output, "kernel", &kernel())?;
    let cpus =
        thread::available_parallelism().map_or_else(|_| "not known".to_owned(), |count| count.to_string());
    row(output, "cpus", &cpus)?;
    for algorithm in Algorithm::ALL {
        row(output, algorithm.name(), &cpu_backend(algorithm))?;
    }
    directory(output)?;
    Ok(ExitStatus::Done)
}

fn directory(output: &mut Output) -> Result<(), Failure> {
    let directory = env::current_dir().map_err(|cause| Error::new(Operation::Open, cause).with_path("."))?;
    let found = FileSystem::of(&directory);
    let found = found.map_err(|errno| Error::new(Operation::Stat, errno.into()).with_path(&directory))?;
    row(output, "directory", &format!("{} on {}", quoted(directory.as_os_str()), found.name))?;
    row(output, "  reflink", &found.reflink.to_string())?;
    row(output, "  fallocate", &found.fallocate.to_string())?;
    row(output, "  O_DIRECT", &found.direct.to_string())?;
    row(output, "  RWF_NOWAIT", &found.nowait.to_string())
}

fn row(output: &mut Output, name: &str, value: &str) -> Result<(), Failure> {
    output.write(format!("{:<14}{value}\n", format!("{name}:")).as_bytes())
}

fn kernel() -> String {
    let name = rustix::system::uname();
    [name.sysname(), name.release(), name.machine()].map(|part| part.to_string_lossy().into_owned()).join(" ")
}
