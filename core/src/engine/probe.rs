//! Which kind of I/O this process uses, and why.

use crate::error::{Error, Operation, Result};
use std::{
    ffi::OsString,
    fmt, io,
    str::FromStr,
    sync::{Mutex, OnceLock, PoisonError},
};
use tracing::debug;

/// The environment variable that overrides the choice.
const VARIABLE: &str = "AFX_ENGINE";

/// A kind of I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// io_uring.
    Uring,
    /// A poller for pipes and terminals, a bounded pool of threads for files.
    Threads,
    /// io_uring as monoio drives it; only where it is asked for.
    Monoio,
}

impl EngineKind {
    /// Every kind, those that this build lacks too.
    pub const ALL: [Self; 3] = [Self::Uring, Self::Threads, Self::Monoio];

    /// The name that `AFX_ENGINE` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Threads => "threads",
            Self::Monoio => "monoio",
        }
    }

    /// Whether this build has it.
    pub fn is_built_in(self) -> bool {
        self != Self::Monoio || cfg!(all(target_os = "linux", feature = "engine-monoio"))
    }
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| "names no engine: use uring, threads or monoio".to_owned())
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
    /// Chosen for want of something that may be there later, as descriptors are: ask again then.
    pub provisional: bool,
    /// Whether `AFX_ENGINE` or [`prefer`] asked for it: then it is this or none.
    pub asked: bool,
}

impl Selection {
    /// What is done without io_uring for now, because of `error`: nothing if that will not pass, or if
    /// nothing else may be used.
    #[must_use]
    pub fn without_ring(&self, error: &io::Error) -> Option<Self> {
        let replaceable = self.kind == EngineKind::Uring && !self.asked && is_passing(error);
        replaceable.then(|| for_now(&error.to_string()))
    }
}

/// Threads, until io_uring can be had.
fn for_now(why: &str) -> Selection {
    let reason = format!("io_uring cannot be used for now: {why}");
    Selection { kind: EngineKind::Threads, reason, provisional: true, asked: false }
}

/// Whether an error says nothing about this machine, only about how much of it is taken now.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN))
}

/// What a ring of this kernel really did when it was tried.
#[derive(Debug)]
pub struct UringReport {
    /// Nothing, or why io_uring cannot be used here.
    pub unusable: Option<String>,
    /// The errno, where that says nothing about this machine: it can be tried again.
    pub passing: Option<i32>,
}

impl UringReport {
    fn unusable(why: impl Into<String>) -> Self {
        Self { unusable: Some(why.into()), passing: None }
    }
}

/// Why there is no engine.
#[derive(Clone, Debug)]
struct Refusal {
    kind: io::ErrorKind,
    reason: String,
    /// As in [`UringReport`].
    passing: Option<i32>,
}

impl Refusal {
    fn new(kind: io::ErrorKind, reason: String) -> Self {
        Self { kind, reason, passing: None }
    }

    fn error(self) -> Error {
        match self.passing {
            Some(errno) => Error::new(Operation::StartEngine, io::Error::from_raw_os_error(errno)),
            None => Error::refused(Operation::StartEngine, self.kind, self.reason),
        }
    }
}

/// An engine that was asked for, and in which words.
#[derive(Clone, Debug)]
struct Asked {
    kind: EngineKind,
    words: String,
}

/// What [`prefer`] was told.
static PREFERRED: Mutex<Option<Asked>> = Mutex::new(None);

/// What came of [`selected`].
static SELECTED: OnceLock<std::result::Result<Selection, Refusal>> = OnceLock::new();

/// Has this process use `kind`, whatever `AFX_ENGINE` says. `option` is what asks for it, as messages call it:
/// `--engine`, say.
///
/// # Errors
///
/// When the engine of this process has been selected already. Whether `kind` is there is said by
/// [`selected`].
pub fn prefer(kind: EngineKind, option: &str) -> Result<()> {
    if SELECTED.get().is_some() {
        let reason = format!("{option}={kind} comes too late: an engine runs already");
        return Err(Refusal::new(io::ErrorKind::InvalidInput, reason).error());
    }
    let mut preferred = PREFERRED.lock().unwrap_or_else(PoisonError::into_inner);
    *preferred = Some(Asked { kind, words: format!("{option}={kind}") });
    Ok(())
}

/// The engine that was asked for, if one was; it may not be there.
///
/// # Errors
///
/// When `AFX_ENGINE` names none.
pub(super) fn asked_kind() -> Result<Option<EngineKind>> {
    asked().map(|asked| asked.map(|asked| asked.kind)).map_err(Refusal::error)
}

fn asked() -> std::result::Result<Option<Asked>, Refusal> {
    let preferred = PREFERRED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    preferred.map_or_else(|| named(&std::env::var_os(VARIABLE).unwrap_or_default()), |asked| Ok(Some(asked)))
}

/// What the value of `AFX_ENGINE` asks for.
fn named(value: &OsString) -> std::result::Result<Option<Asked>, Refusal> {
    if value.is_empty() {
        return Ok(None);
    }
    let words = format!("{VARIABLE}={}", value.display());
    match value.to_str().unwrap_or_default().parse() {
        Ok(kind) => Ok(Some(Asked { kind, words })),
        Err(why) => Err(Refusal::new(io::ErrorKind::InvalidInput, format!("{words} {why}"))),
    }
}

/// The engine of this process: what [`prefer`] or else `AFX_ENGINE` asked for, io_uring if it works, threads
/// otherwise.
///
/// Decided at the first call for the life of the process, unless io_uring could not be tried for want of
/// descriptors or memory: then the next call tries again, and this one is told to use threads for now.
///
/// # Errors
///
/// When `AFX_ENGINE` asks for an engine that is not there, or names none; the error says why. With an
/// errno (`EMFILE`, `ENFILE`, `ENOMEM`, `EAGAIN`), the engine may be there later.
pub fn selected() -> Result<Selection> {
    let selected = if let Some(known) = SELECTED.get() {
        known.clone()
    } else {
        let selected = asked().and_then(|asked| select(asked, probe_uring));
        if let Ok(Selection { kind, reason, .. }) = &selected {
            debug!(engine = kind.name(), reason, "engine selected");
        }
        remembered(&SELECTED, selected)
    };
    selected.map_err(Refusal::error)
}

fn remembered(
    place: &OnceLock<std::result::Result<Selection, Refusal>>,
    selected: std::result::Result<Selection, Refusal>,
) -> std::result::Result<Selection, Refusal> {
    let passes = match &selected {
        Ok(selection) => selection.provisional,
        Err(refusal) => refusal.passing.is_some(),
    };
    if passes { selected } else { place.get_or_init(|| selected).clone() }
}

fn select(
    asked: Option<Asked>,
    probe: impl FnOnce() -> UringReport,
) -> std::result::Result<Selection, Refusal> {
    let firm = |kind, reason, asked| Selection { kind, reason, provisional: false, asked };
    let Some(Asked { kind, words }) = asked else {
        return Ok(match probe() {
            UringReport { unusable: None, .. } => {
                firm(EngineKind::Uring, "io_uring works here".into(), false)
            }
            UringReport { unusable: Some(why), passing: None } => {
                firm(EngineKind::Threads, format!("io_uring cannot be used: {why}"), false)
            }
            UringReport { unusable: Some(why), passing: Some(_) } => for_now(&why),
        });
    };
    if !kind.is_built_in() {
        let reason = format!(
            "{words}, but this build has no {kind}: afx and Rust programs that are built with the cargo feature \
             engine-monoio have it, on Linux"
        );
        return Err(Refusal::new(io::ErrorKind::Unsupported, reason));
    }
    if kind == EngineKind::Threads {
        return Ok(firm(kind, words, true));
    }
    match probe() {
        UringReport { unusable: None, .. } => Ok(firm(kind, words, true)),
        UringReport { unusable: Some(why), passing } => {
            let reason = format!("{words}, but io_uring cannot be used: {why}");
            Err(Refusal { passing, ..Refusal::new(io::ErrorKind::Unsupported, reason) })
        }
    }
}

/// An error that says why, unless a ring has really completed an operation in this process.
///
/// Whoever builds a ring without asking finds out too late: where entering it is denied, compio panics, and monoio
/// tries for ever.
pub(super) fn uring_works() -> io::Result<()> {
    static WORKS: OnceLock<()> = OnceLock::new();
    if WORKS.get().is_some() {
        return Ok(());
    }
    match probe_uring() {
        UringReport { unusable: None, .. } => {
            WORKS.get_or_init(|| ());
            Ok(())
        }
        UringReport { passing: Some(errno), .. } => Err(io::Error::from_raw_os_error(errno)),
        UringReport { unusable: Some(why), .. } => {
            let reason = format!("io_uring is needed, and cannot be used: {why}");
            Err(io::Error::new(io::ErrorKind::Unsupported, reason))
        }
    }
}

/// Builds a ring, completes one operation on it, and asks for the opcodes that we use.
///
/// Set-up alone proves nothing: a seccomp filter may allow it and deny what follows.
#[cfg(target_os = "linux")]
pub fn probe_uring() -> UringReport {
    match try_uring() {
        Ok(()) => UringReport { unusable: None, passing: None },
        Err(report) => report,
    }
}

/// There is no io_uring here.
#[cfg(not(target_os = "linux"))]
pub fn probe_uring() -> UringReport {
    UringReport::unusable("this system has none")
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "pushing one submission entry")]
fn try_uring() -> std::result::Result<(), UringReport> {
    use io_uring::{IoUring, Probe, opcode};

    let mut ring = IoUring::new(2).map_err(|error| denied("io_uring_setup", &error))?;
    let entry = opcode::Nop::new().build().user_data(7);
    // SAFETY: a NOP refers to no memory.
    unsafe { ring.submission().push(&entry) }.map_err(|error| UringReport::unusable(error.to_string()))?;
    ring.submit_and_wait(1).map_err(|error| denied("io_uring_enter", &error))?;
    match ring.completion().next() {
        Some(completion) if completion.user_data() == 7 && completion.result() == 0 => {}
        other => return Err(UringReport::unusable(format!("a NOP completed as {other:?}"))),
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
        Some((_, name)) => Err(UringReport::unusable(format!("this kernel's io_uring has no {name}"))),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn denied(call: &str, error: &io::Error) -> UringReport {
    let hint = match (error.raw_os_error(), disabled_by_sysctl()) {
        (Some(libc::EPERM), Some(value)) => format!(" (kernel.io_uring_disabled is {value})"),
        (Some(libc::EPERM), None) => " (a seccomp filter, as in containers)".to_owned(),
        _ => String::new(),
    };
    let passing = error.raw_os_error().filter(|_| is_passing(error));
    UringReport { unusable: Some(format!("{call}: {error}{hint}")), passing }
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

    fn ask(name: &str, unusable: Option<&str>) -> std::result::Result<Selection, Refusal> {
        select(named(&name.into())?, || UringReport { unusable: unusable.map(Into::into), passing: None })
    }

    fn ask_when_full(name: &str) -> std::result::Result<Selection, Refusal> {
        let full = || denied("io_uring_setup", &io::Error::from_raw_os_error(libc::EMFILE));
        select(named(&name.into())?, full)
    }

    #[test]
    fn asking_for_uring_where_it_is_denied_is_an_error_that_says_why() {
        let Refusal { kind, reason, .. } = ask("uring", Some("io_uring_enter: EPERM")).unwrap_err();
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
        let selection = select(named(&"threads".into()).unwrap(), || panic!("probed")).unwrap();
        assert_eq!(selection.kind, EngineKind::Threads);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let Refusal { kind, reason, .. } = ask("epoll", None).unwrap_err();
        assert_eq!(kind, io::ErrorKind::InvalidInput);
        assert_eq!(reason, "AFX_ENGINE=epoll names no engine: use uring, threads or monoio");
    }

    #[test]
    fn monoio_is_taken_only_where_it_is_built_in_and_io_uring_works() {
        if EngineKind::Monoio.is_built_in() {
            assert_eq!(ask("monoio", None).unwrap().kind, EngineKind::Monoio);
            let Refusal { reason, .. } = ask("monoio", Some("io_uring_enter: EPERM")).unwrap_err();
            assert_eq!(reason, "AFX_ENGINE=monoio, but io_uring cannot be used: io_uring_enter: EPERM");
        } else {
            let Refusal { kind, reason, .. } = ask("monoio", None).unwrap_err();
            assert_eq!(kind, io::ErrorKind::Unsupported);
            assert!(reason.contains("the cargo feature engine-monoio"), "{reason}");
        }
    }

    #[test]
    fn what_is_missing_for_now_is_not_remembered() {
        let place = OnceLock::new();
        let now = remembered(&place, ask_when_full("")).unwrap();
        assert_eq!((now.kind, now.provisional), (EngineKind::Threads, true));
        assert!(now.reason.contains("for now: io_uring_setup"), "{}", now.reason);
        let refused = remembered(&place, ask_when_full("uring")).unwrap_err().error();
        assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
        let later = remembered(&place, ask("", None)).unwrap();
        assert_eq!((later.kind, later.provisional), (EngineKind::Uring, false));
        assert_eq!(remembered(&place, ask_when_full("")).unwrap().kind, EngineKind::Threads);
        assert!(place.get().is_some_and(|known| known.as_ref().is_ok_and(|known| !known.provisional)));
    }

    #[test]
    fn a_ring_that_cannot_be_made_for_now_is_done_without_unless_it_was_asked_for() {
        let full = io::Error::from_raw_os_error(libc::ENOMEM);
        let found = ask("", None).unwrap();
        assert!(found.without_ring(&full).is_some_and(|other| other.provisional));
        assert!(found.without_ring(&io::Error::from_raw_os_error(libc::EPERM)).is_none());
        assert!(ask("uring", None).unwrap().without_ring(&full).is_none());
    }
}
