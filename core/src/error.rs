//! What failed, on which file, at which byte.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// The step that failed, in the words of the system call behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening or creating a file.
    Open,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Bringing written data to the device.
    Sync,
    /// Asking for a file's size, kind or times.
    Stat,
    /// Setting a file's length.
    Truncate,
    /// Reserving space.
    Allocate,
    /// Giving a file another name.
    Rename,
    /// Removing a file.
    Remove,
    /// Setting mode, owner, times or extended attributes.
    SetMetadata,
    /// Closing a file.
    Close,
    /// Watching a file or folder for changes.
    Watch,
    /// Copying one file to another, where no single step is to blame.
    Copy,
    /// Sharing the blocks of one file with another.
    Clone,
    /// Comparing what was written with what is read back.
    Verify,
    /// Compressing or restoring bytes.
    Transform,
    /// Starting an engine: a ring, a poller or a thread.
    StartEngine,
}

impl Operation {
    /// The name that programs know it by: lower case, words joined by `_`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Stat => "stat",
            Self::Truncate => "truncate",
            Self::Allocate => "allocate",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SetMetadata => "set_metadata",
            Self::Close => "close",
            Self::Watch => "watch",
            Self::Copy => "copy",
            Self::Clone => "clone",
            Self::Verify => "verify",
            Self::Transform => "transform",
            Self::StartEngine => "start_engine",
        }
    }

    /// The verb as it stands after "cannot".
    pub fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Stat => "stat",
            Self::Truncate => "truncate",
            Self::Allocate => "allocate space for",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SetMetadata => "set the attributes of",
            Self::Close => "close",
            Self::Watch => "watch",
            Self::Copy => "copy",
            Self::Clone => "share blocks with",
            Self::Verify => "verify",
            Self::Transform => "compress or decompress",
            Self::StartEngine => "start the engine",
        }
    }
}

/// An operation that failed, with the file and the offset it failed at.
///
/// The cause is an [`io::Error`], reached by [`source`](std::error::Error::source) or
/// [`io_error`](Self::io_error); `Display` does not repeat it.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    operation: Operation,
    path: Option<PathBuf>,
    offset: Option<u64>,
    cause: io::Error,
}

/// A result whose error says what failed, where.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `operation`, on no file known yet.
    pub fn new(operation: Operation, cause: io::Error) -> Self {
        Self { inner: Box::new(Inner { operation, path: None, offset: None, cause }) }
    }

    /// An error that we found ourselves and that has no errno.
    pub fn refused(operation: Operation, kind: io::ErrorKind, reason: impl Into<String>) -> Self {
        Self::new(operation, io::Error::new(kind, reason.into()))
    }

    /// The same error, naming the file.
    #[must_use]
    pub fn with_path(mut self, path: impl AsRef<Path>) -> Self {
        self.inner.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// The same error, naming the first byte not known to be done.
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.inner.offset = Some(offset);
        self
    }

    /// The step that failed.
    pub fn operation(&self) -> Operation {
        self.inner.operation
    }

    /// What could not be done, as it stands after "cannot".
    pub fn verb(&self) -> &'static str {
        match (self.operation(), self.kind()) {
            // What is compressed may be any data.
            (Operation::Transform, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => "decompress",
            (operation, _) => operation.verb(),
        }
    }

    /// The file it failed on, where one is known.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// The first byte not known to be done, where that makes sense.
    pub fn offset(&self) -> Option<u64> {
        self.inner.offset
    }

    /// The meaning of the cause.
    pub fn kind(&self) -> io::ErrorKind {
        self.inner.cause.kind()
    }

    /// The cause.
    pub fn io_error(&self) -> &io::Error {
        &self.inner.cause
    }

    /// The errno of the cause, where the system gave one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.inner.cause.raw_os_error()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.verb())?;
        if let Some(path) = &self.inner.path {
            write!(f, " {}", Quoted(path))?;
        }
        match self.inner.offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

/// A path as people read it: in quotes, with escapes for what is not printable or not UTF-8.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_os_str(), f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("operation", &self.inner.operation)
            .field("path", &self.inner.path)
            .field("offset", &self.inner.offset)
            .field("cause", &self.inner.cause)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.inner.cause)
    }
}

/// Turns a system error into an [`Error`] at the place where operation and path are known.
pub(crate) trait Context<T> {
    fn operation(self, operation: Operation, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn operation(self, operation: Operation, path: &Path) -> Result<T> {
        self.map_err(|cause| Error::new(operation, cause).with_path(path))
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn operation(self, operation: Operation, path: &Path) -> Result<T> {
        self.map_err(|cause| Error::new(operation, cause.into()).with_path(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn display_names_operation_path_and_offset_and_leaves_the_cause_to_source() {
        let error =
            Error::new(Operation::Write, io::Error::from_raw_os_error(28)).with_path("a b").with_offset(4096);
        assert_eq!(error.to_string(), "cannot write \"a b\" at byte 4096");
        assert_eq!(error.raw_os_error(), Some(28));
        assert!(error.source().is_some_and(|cause| cause.to_string().contains("No space")));
    }
}
