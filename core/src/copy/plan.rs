//! What to do with the target: replace it by a rename, write into it, or refuse. Pure.

use rustix::io::Errno;
use std::fmt;

/// What stands where the target goes, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// Nothing.
    Missing,
    /// A directory.
    Directory,
    /// A FIFO, socket, device, or a name of `/proc` for an open file.
    Special,
    /// A regular file.
    Regular(RegularFacts),
}

/// What matters about a regular file that is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RegularFacts {
    /// Why we may not write to it, if so.
    pub(super) write_denied: Option<Errno>,
    /// Whether it has more than one name.
    pub(super) has_other_links: bool,
    /// Whether something is mounted on it.
    pub(super) is_mount_point: bool,
    /// Whether we may add and remove names in its directory.
    pub(super) directory_writable: bool,
}

/// How the target gets its new content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// A new file takes the name when it is complete.
    Replace,
    /// The file itself is written to.
    InPlace(InPlace),
    /// Not at all.
    Refuse(Errno),
}

/// Why a target was written to instead of being replaced: until the copy is complete, and after a
/// failure, it holds part of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InPlace {
    /// The caller wants it so.
    Asked,
    /// It is no regular file.
    Special,
    /// It has other names, which would keep the old content.
    HardLinks,
    /// Something is mounted on it, so its name cannot be given away.
    MountPoint,
    /// No name can be added to its directory.
    Directory,
    /// A new file could not have its owner, access control list or extended attributes.
    Attributes,
}

impl InPlace {
    /// The name that programs know it by: lower case, words joined by `_`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Special => "special",
            Self::HardLinks => "hard_links",
            Self::MountPoint => "mount_point",
            Self::Directory => "directory",
            Self::Attributes => "attributes",
        }
    }
}

impl fmt::Display for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "it was asked for",
            Self::Special => "it is not a regular file",
            Self::HardLinks => "it has other hard links",
            Self::MountPoint => "it is a mount point",
            Self::Directory => "its directory cannot be written",
            Self::Attributes => "a new file could not keep its owner and attributes",
        })
    }
}

/// Decides by what stands there; the first row that fits counts.
///
/// | target | plan |
/// |---|---|
/// | missing | replace (where no name can be added, creating the new file says why) |
/// | directory | refuse, `EISDIR` |
/// | FIFO, socket, device, open file of `/proc` | in place |
/// | regular, not writable | refuse with the reason, as `cp` does |
/// | regular, mount point | in place |
/// | regular, more than one hard link | in place |
/// | regular, directory not writable | in place |
/// | regular otherwise | replace |
///
/// One more reason to write in place shows only when the new file is there: it cannot be given the
/// target's owner or attributes.
pub(super) fn plan(existing: Existing) -> Plan {
    let facts = match existing {
        Existing::Missing => return Plan::Replace,
        Existing::Directory => return Plan::Refuse(Errno::ISDIR),
        Existing::Special => return Plan::InPlace(InPlace::Special),
        Existing::Regular(facts) => facts,
    };
    if let Some(errno) = facts.write_denied {
        Plan::Refuse(errno)
    } else if facts.is_mount_point {
        Plan::InPlace(InPlace::MountPoint)
    } else if facts.has_other_links {
        Plan::InPlace(InPlace::HardLinks)
    } else if !facts.directory_writable {
        Plan::InPlace(InPlace::Directory)
    } else {
        Plan::Replace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: RegularFacts = RegularFacts {
        write_denied: None,
        has_other_links: false,
        is_mount_point: false,
        directory_writable: true,
    };

    #[test]
    fn each_row_of_the_table_is_what_it_says() {
        for (existing, expected) in [
            (Existing::Missing, Plan::Replace),
            (Existing::Directory, Plan::Refuse(Errno::ISDIR)),
            (Existing::Special, Plan::InPlace(InPlace::Special)),
            (Existing::Regular(PLAIN), Plan::Replace),
            (
                Existing::Regular(RegularFacts { write_denied: Some(Errno::ROFS), ..PLAIN }),
                Plan::Refuse(Errno::ROFS),
            ),
            (
                Existing::Regular(RegularFacts { is_mount_point: true, ..PLAIN }),
                Plan::InPlace(InPlace::MountPoint),
            ),
            (
                Existing::Regular(RegularFacts { has_other_links: true, ..PLAIN }),
                Plan::InPlace(InPlace::HardLinks),
            ),
            (
                Existing::Regular(RegularFacts { directory_writable: false, ..PLAIN }),
                Plan::InPlace(InPlace::Directory),
            ),
        ] {
            assert_eq!(plan(existing), expected, "{existing:?}");
        }
    }

    #[test]
    fn a_target_that_cannot_be_written_is_refused_whatever_else_it_is() {
        for (has_other_links, is_mount_point, directory_writable) in
            [(false, true, true), (true, false, true), (false, false, false)]
        {
            let facts = RegularFacts {
                write_denied: Some(Errno::ACCESS),
                has_other_links,
                is_mount_point,
                directory_writable,
            };
            assert_eq!(plan(Existing::Regular(facts)), Plan::Refuse(Errno::ACCESS));
        }
    }
}
