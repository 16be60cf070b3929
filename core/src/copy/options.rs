//! How a file is copied, and what came of it.

use super::plan::InPlace;
use crate::{
    cancel::Cancel,
    compress::Compression,
    error::{Error, Operation, Result},
    hash::{Algorithm, Digest},
    progress::Progress,
};
use std::{
    fmt, io,
    num::NonZeroU64,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One end of a copy.
#[derive(Clone, Debug)]
pub enum End {
    /// A file by its name.
    Path(PathBuf),
    /// A file that is open: read from, or written at, its own position. The name stands in errors.
    Open(Arc<OwnedFd>, PathBuf),
}

impl End {
    /// The name that stands in errors and reports.
    pub fn name(&self) -> &Path {
        let (Self::Path(name) | Self::Open(_, name)) = self;
        name
    }
}

impl<P: Into<PathBuf>> From<P> for End {
    fn from(path: P) -> Self {
        Self::Path(path.into())
    }
}

/// Whether target and source share the blocks that the source has, until one is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reflink {
    /// Where the file system can, and nothing else that was asked for stands against it.
    #[default]
    Auto,
    /// Or the copy fails.
    Always,
    /// Never.
    Never,
}

/// What becomes of zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sparse {
    /// Holes of the source stay holes; of what was compressed, blocks of zeros become holes.
    #[default]
    Auto,
    /// Every block of zeros becomes a hole.
    Always,
    /// The target has no holes.
    Never,
}

/// What a crash may lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// After the process dies the target is old or new; after a power loss it may be incomplete.
    #[default]
    None,
    /// After a power loss as well the target is old or new (`fdatasync(2)` before the rename).
    Data,
    /// Once it is reported done, it is new whatever happens (the directory is synced as well).
    Full,
}

/// How the target gets its new content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Writing {
    /// A new file takes its name; in place where that would break something (see [`InPlace`]).
    #[default]
    Auto,
    /// A new file takes its name, or the copy fails.
    Atomic,
    /// The target itself is written to.
    InPlace,
}

/// What becomes of a target that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overwrite {
    /// It is replaced.
    #[default]
    Always,
    /// It is replaced if it was modified before the source was.
    Older,
    /// It stays.
    Never,
}

/// Told before a target is written to in place, and why.
pub type TellInPlace = Arc<dyn Fn(&Path, InPlace) + Send + Sync>;

/// How a file is copied.
#[derive(Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct CopyOptions {
    /// Hash the bytes of the target in the same pass.
    pub hashes: Vec<Algorithm>,
    /// Whether blocks are shared.
    pub reflink: Reflink,
    /// What becomes of zeros.
    pub sparse: Sparse,
    /// Give the target the source's owner, mode, times, access control list and extended attributes.
    pub preserve: bool,
    /// How the target gets its new content.
    pub writing: Writing,
    /// What becomes of a target that exists.
    pub overwrite: Overwrite,
    /// What a crash may lose.
    pub durability: Durability,
    /// Read the target back, past the page cache where that can be, before it takes its name.
    pub verify: bool,
    /// Keep what is done when the copy fails, and go on from there if it was kept before.
    pub resume: bool,
    /// What is done to the bytes on their way.
    pub compression: Option<Compression>,
    /// The most bytes a second, on average.
    pub rate: Option<NonZeroU64>,
    /// Leave nothing in the page cache that was not there before.
    pub drop_cache: bool,
    /// Set to stop; the old target stays, the temporary file goes.
    pub cancel: Cancel,
    /// Bytes of the source done so far.
    pub progress: Progress,
    /// Told before a target is written to in place for a reason that is not the caller's, since a
    /// failure then leaves a part of the source in it.
    pub on_in_place: Option<TellInPlace>,
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions")
            .field("hashes", &self.hashes)
            .field("reflink", &self.reflink)
            .field("sparse", &self.sparse)
            .field("preserve", &self.preserve)
            .field("writing", &self.writing)
            .field("overwrite", &self.overwrite)
            .field("durability", &self.durability)
            .field("verify", &self.verify)
            .field("resume", &self.resume)
            .field("compression", &self.compression)
            .field("rate", &self.rate)
            .field("drop_cache", &self.drop_cache)
            .finish_non_exhaustive()
    }
}

impl CopyOptions {
    /// Refuses what cannot be meant together.
    pub(super) fn check(&self, source: &End, targets: &[End]) -> Result<()> {
        let streams = targets.iter().any(|target| matches!(target, End::Open(..)));
        let from_stream = matches!(source, End::Open(..));
        let reason = if targets.is_empty() {
            "no target is given"
        } else if self.reflink == Reflink::Always && self.sparse != Sparse::Auto {
            "shared blocks (reflink) have the holes of the source and no others"
        } else if self.reflink == Reflink::Always && (targets.len() > 1 || self.rate.is_some() || self.resume)
        {
            "blocks are shared (reflink) at once, with one target"
        } else if self.resume && (targets.len() > 1 || streams || from_stream) {
            "only the copy of one file to another can be resumed"
        } else if self.compression.is_some() && self.reflink == Reflink::Always {
            "what is compressed on the way shares no blocks (reflink)"
        } else if self.compression.is_some() && self.resume {
            "what is compressed on the way cannot be resumed"
        } else if self.resume && self.writing == Writing::InPlace {
            "what is written in place cannot be resumed"
        } else if self.verify && streams {
            "what goes to an open file cannot be read back to verify it"
        } else {
            return Ok(());
        };
        Err(Error::refused(Operation::Copy, io::ErrorKind::InvalidInput, reason).with_path(source.name()))
    }
}

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyReport {
    /// Bytes of each target; 0 if none was written.
    pub bytes: u64,
    /// The digests of these bytes, in the order in which they were asked for.
    pub digests: Vec<Digest>,
    /// How the bytes got there.
    pub method: CopyMethod,
    /// Where the copy that was begun earlier was gone on with, if one was.
    pub resumed_at: Option<u64>,
    /// What became of each target, in their order.
    pub targets: Vec<TargetReport>,
}

impl CopyReport {
    /// Why a target was not replaced in one step, if so: the first there is.
    pub fn in_place(&self) -> Option<InPlace> {
        self.targets.iter().find_map(|target| match target.outcome {
            Outcome::InPlace(reason) => Some(reason),
            _ => None,
        })
    }
}

/// What became of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetReport {
    /// Its name as it was given.
    pub path: PathBuf,
    /// How it got its content, or why not.
    pub outcome: Outcome,
    /// Where its bytes were read back from, if they were: they are those that were written.
    pub verified: Option<ReadBack>,
}

/// How a target got its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// A new file took its name.
    Replaced,
    /// It was written to itself.
    InPlace(InPlace),
    /// It was open, and was written to.
    Streamed,
    /// It stays as it is.
    Skipped(Skip),
}

/// Why a target stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// It exists, and is not to be overwritten.
    Exists,
    /// It is not older than the source.
    NotOlder,
}

/// Where bytes came from that were read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadBack {
    /// The device.
    Device,
    /// The page cache, which could not be gone past: the device was not asked.
    Cache,
}

/// How the bytes got to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyMethod {
    /// Not at all: every target was skipped.
    None,
    /// The file system lets both files share the blocks (`FICLONE`).
    Clone,
    /// The file system's server copies them (`copy_file_range(2)`).
    Offload,
    /// Read and written.
    Pipeline,
}

impl CopyMethod {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Clone => "clone",
            Self::Offload => "offload",
            Self::Pipeline => "pipeline",
        }
    }
}
