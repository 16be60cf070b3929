//! Which kind of I/O this process uses, and why.

use crate::error::{Error, Operation, Result};
use std::{fmt, io, sync::OnceLock};

/// The environment variable that overrides the choice.
const VARIABLE: &str = "AFX_ENGINE";

/// A kind of I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// io_uring.
    Uring,
    /// A poller for pipes and terminals, a bounded pool of threads for files.
    Threads,
}

impl EngineKind {
    /// The name that `AFX_ENGINE` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Threads => "threads",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was chosen, and why.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The kind of I/O.
    pub kind: EngineKind,
    /// One clause for people: what asked for it, or what stood against the other.
    pub reason: String,
}

/// What a ring of this kernel really did when it was tried.
#[derive(Debug)]
pub struct UringReport {
    /// Nothing, or why io_uring cannot be used here.
    pub unusable: Option<String>,
}

/// The engine of this process: `AFX_ENGINE` if it is set, io_uring if it works, threads otherwise.
///
/// Decided at the first call, for the life of the process.
///
/// # Errors
///
/// When `AFX_ENGINE` asks for an engine that is not there, or names none; the error says why.
pub fn selected() -> Result<&'static Selection> {
    static SELECTED: OnceLock<std::result::Result<Selection, (io::ErrorKind, String)>> = OnceLock::new();
    let selected = SELECTED.get_or_init(|| select(std::env::var_os(VARIABLE), probe_uring));
    selected.as_ref().map_err(|(kind, reason)| Error::refused(Operation::StartEngine, *kind, reason.clone()))
}

fn select(
    asked: Option<std::ffi::OsString>,
    probe: impl FnOnce() -> UringReport,
) -> std::result::Result<Selection, (io::ErrorKind, String)> {
    let asked = asked.unwrap_or_default();
    match asked.to_str() {
        Some("") => Ok(match probe().unusable {
            None => Selection { kind: EngineKind::Uring, reason: "io_uring works here".into() },
            Some(why) => {
                Selection { kind: EngineKind::Threads, reason: format!("io_uring cannot be used: {why}") }
            }
        }),
        Some("threads") => Ok(Selection { kind: EngineKind::Threads, reason: format!("{VARIABLE}=threads") }),
        Some("uring") => match probe().unusable {
            None => Ok(Selection { kind: EngineKind::Uring, reason: format!("{VARIABLE}=uring") }),
            Some(why) => Err((
                io::ErrorKind::Unsupported,
                format!("{VARIABLE}=uring, but io_uring cannot be used: {why}"),
            )),
        },
        Some("monoio") => Err((
            io::ErrorKind::Unsupported,
            format!("{VARIABLE}=monoio, but this build has no monoio engine"),
        )),
        _ => Err((
            io::ErrorKind::InvalidInput,
            format!("{VARIABLE}={} names no engine: use uring or threads", asked.display()),
        )),
    }
}

/// Builds a ring, completes one operation on it, and asks for the opcodes that we use.
///
/// Set-up alone proves nothing: a seccomp filter may allow it and deny what follows.
#[cfg(target_os = "linux")]
pub fn probe_uring() -> UringReport {
    UringReport { unusable: try_uring().err() }
}

/// There is no io_uring here.
#[cfg(not(target_os = "linux"))]
pub fn probe_uring() -> UringReport {
    UringReport { unusable: Some("this system has none".into()) }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "pushing one submission entry")]
fn try_uring() -> std::result::Result<(), String> {
    use io_uring::{IoUring, Probe, opcode};

    let mut ring = IoUring::new(2).map_err(|error| denied("io_uring_setup", &error))?;
    let entry = opcode::Nop::new().build().user_data(7);
    // SAFETY: a NOP refers to no memory.
    unsafe { ring.submission().push(&entry) }.map_err(|error| error.to_string())?;
    ring.submit_and_wait(1).map_err(|error| denied("io_uring_enter", &error))?;
    match ring.completion().next() {
        Some(completion) if completion.user_data() == 7 && completion.result() == 0 => {}
        other => return Err(format!("a NOP completed as {other:?}")),
    }
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| denied("io_uring_register", &error))?;
    let needed = [
        (opcode::Read::CODE, "READ"),
        (opcode::Write::CODE, "WRITE"),
        (opcode::Fsync::CODE, "FSYNC"),
        (opcode::OpenAt::CODE, "OPENAT"),
        (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
        (opcode::PollAdd::CODE, "POLL_ADD"),
    ];
    match needed.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, name)) => Err(format!("this kernel's io_uring has no {name}")),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn denied(call: &str, error: &io::Error) -> String {
    let hint = match (error.raw_os_error(), disabled_by_sysctl()) {
        (Some(libc::EPERM), Some(value)) => format!(" (kernel.io_uring_disabled is {value})"),
        (Some(libc::EPERM), None) => " (a seccomp filter, as in containers)".to_owned(),
        _ => String::new(),
    };
    format!("{call}: {error}{hint}")
}

#[cfg(target_os = "linux")]
fn disabled_by_sysctl() -> Option<String> {
    let value = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    let value = value.trim();
    (value != "0").then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, unusable: Option<&str>) -> std::result::Result<Selection, (io::ErrorKind, String)> {
        select(Some(name.into()), || UringReport { unusable: unusable.map(Into::into) })
    }

    #[test]
    fn asking_for_uring_where_it_is_denied_is_an_error_that_says_why() {
        let (kind, reason) = ask("uring", Some("io_uring_enter: EPERM")).unwrap_err();
        assert_eq!(kind, io::ErrorKind::Unsupported);
        assert!(reason.contains("io_uring_enter: EPERM"), "{reason}");
    }

    #[test]
    fn unset_it_falls_back_to_threads_and_says_why() {
        let selection = ask("", Some("no such call")).unwrap();
        assert_eq!(selection.kind, EngineKind::Threads);
        assert!(selection.reason.contains("no such call"));
        assert_eq!(ask("", None).unwrap().kind, EngineKind::Uring);
    }

    #[test]
    fn threads_are_taken_without_trying_the_ring() {
        let selection = select(Some("threads".into()), || panic!("probed")).unwrap();
        assert_eq!(selection.kind, EngineKind::Threads);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert_eq!(ask("epoll", None).unwrap_err().0, io::ErrorKind::InvalidInput);
        assert_eq!(ask("monoio", None).unwrap_err().0, io::ErrorKind::Unsupported);
    }
}
