//! `afx doctor`: what was chosen and why, and what this machine and directory support.

use crate::{
    args::DoctorArguments,
    exit_status::ExitStatus,
    filesystem::{Ability, FileSystem},
    json::Record,
    output::{Failure, Output, quoted},
};
use afx_core::{
    Error, Operation,
    engine::{EngineKind, Selection, probe_uring, selected},
    hash::{Algorithm, cpu_backend},
};
use std::{collections::BTreeMap, env, path::PathBuf, thread};

/// What was found.
#[derive(Debug)]
struct Findings {
    selection: Selection,
    /// Why io_uring cannot be used, if so.
    uring_unusable: Option<String>,
    kernel: String,
    cpus: Option<usize>,
    directory: PathBuf,
    file_system: FileSystem,
}

pub(crate) fn run(_: &DoctorArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let findings = Findings::gather()?;
    if output.is_json() {
        output.record(findings.record())?;
    } else {
        findings.print(output)?;
    }
    Ok(ExitStatus::Done)
}

impl Findings {
    fn gather() -> Result<Self, Error> {
        let selection = selected()?;
        // The engine that was chosen works.
        let uring_unusable = match selection.kind {
            EngineKind::Uring | EngineKind::Monoio => None,
            EngineKind::Threads => probe_uring().unusable,
        };
        let directory =
            env::current_dir().map_err(|cause| Error::new(Operation::Open, cause).with_path("."))?;
        let file_system = FileSystem::of(&directory)
            .map_err(|errno| Error::new(Operation::Stat, errno.into()).with_path(&directory))?;
        let cpus = thread::available_parallelism().ok().map(usize::from);
        Ok(Self { selection, uring_unusable, kernel: kernel(), cpus, directory, file_system })
    }

    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let Selection { kind, reason, .. } = &self.selection;
        row(output, "engine", &format!("{kind} ({reason})"))?;
        if *kind == EngineKind::Threads {
            let told = self.uring_unusable.as_ref().map_or("works".to_owned(), |why| format!("no: {why}"));
            row(output, "io_uring", &told)?;
        }
        row(output, "monoio", if has_monoio() { "in this build" } else { "not in this build" })?;
        row(output, "kernel", &self.kernel)?;
        row(output, "cpus", &self.cpus.map_or("not known".to_owned(), |count| count.to_string()))?;
        for algorithm in Algorithm::ALL {
            row(output, algorithm.name(), &cpu_backend(algorithm))?;
        }
        let FileSystem { name, reflink, fallocate, direct, nowait } = &self.file_system;
        row(output, "directory", &format!("{} on {name}", quoted(self.directory.as_os_str())))?;
        row(output, "  reflink", &reflink.to_string())?;
        row(output, "  fallocate", &fallocate.to_string())?;
        row(output, "  O_DIRECT", &direct.to_string())?;
        row(output, "  RWF_NOWAIT", &nowait.to_string())
    }

    fn record(&self) -> Record {
        let backends = Algorithm::ALL.map(|algorithm| (algorithm.name(), cpu_backend(algorithm)));
        let FileSystem { name, reflink, fallocate, direct, nowait } = &self.file_system;
        Record::new("doctor")
            .field("version", env!("CARGO_PKG_VERSION"))
            .field("engine", self.selection.kind.name())
            .field("reason", &self.selection.reason)
            .field("io_uring", self.uring_unusable.is_none())
            .field("io_uring_unusable", &self.uring_unusable)
            .field("monoio", has_monoio())
            .field("kernel", &self.kernel)
            .field("cpus", self.cpus)
            .field("hash_backends", BTreeMap::from(backends))
            .name("directory", self.directory.as_os_str())
            .field("file_system", name)
            .field("reflink", known(*reflink))
            .field("fallocate", known(*fallocate))
            .field("direct", known(*direct))
            .field("nowait", known(*nowait))
    }
}

/// Whether the engine that is only used where it is asked for can be.
fn has_monoio() -> bool {
    EngineKind::Monoio.is_built_in()
}

/// What could be tried.
fn known(ability: Ability) -> Option<bool> {
    match ability {
        Ability::Yes => Some(true),
        Ability::No => Some(false),
        Ability::Unknown(_) => None,
    }
}

fn row(output: &mut Output, name: &str, value: &str) -> Result<(), Failure> {
    output.write(format!("{:<14}{value}\n", format!("{name}:")).as_bytes())
}

fn kernel() -> String {
    let name = rustix::system::uname();
    [name.sysname(), name.release(), name.machine()].map(|part| part.to_string_lossy().into_owned()).join(" ")
}
