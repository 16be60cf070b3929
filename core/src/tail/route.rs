//! The watches that tell when a name leads somewhere else.
//!
//! A path is walked as the kernel walks it, each step watched before it is looked at, so that no
//! change between the two is missed. Directories and symlinks on the way are watched themselves;
//! only where the name stands, or a part of the way is missing, the directory's names are: a busy
//! directory above wakes nobody.

use super::{
    aliases::Aliases,
    hints::{Hint, Hints, Interest, Watch},
};
use rustix::io::Errno;
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStringExt,
    path::{Component, Path, PathBuf},
};

/// Symlinks followed on one way, as the kernel does.
const MAX_LINKS: usize = 40;

/// The watches on the way to a name.
#[derive(Debug, Default)]
pub(super) struct Route {
    watches: Vec<Watched>,
    /// Where the way ends: the directory that holds the file's own name, or would.
    folder: PathBuf,
    /// Whether what arrived says that the name should be looked at.
    news: bool,
    aliases: Aliases,
}

#[derive(Debug)]
struct Watched {
    watch: Watch,
    /// The one name in this directory that matters; otherwise the inode itself does.
    name: Option<OsString>,
    /// Whether that name is the followed file's own.
    own: bool,
}

/// A walk under way.
struct Walk<'a> {
    hints: &'a Hints,
    watches: Vec<Watched>,
    /// How far it got.
    at: PathBuf,
    rest: VecDeque<OsString>,
    links: usize,
}

impl Route {
    /// Sets the watches for where `path` leads now, and removes those of where it led.
    ///
    /// # Errors
    ///
    /// When a watch cannot be set: the limit of watches, or a directory that may not be read. The
    /// others are set all the same.
    pub(super) fn arm(&mut self, hints: &Hints, path: &Path) -> io::Result<()> {
        let mut walk = Walk {
            hints,
            watches: Vec::new(),
            at: start_of(path),
            rest: components(path).collect(),
            links: 0,
        };
        let result = walk.all();
        let stale = std::mem::replace(&mut self.watches, walk.watches);
        for old in stale {
            if !self.watches.iter().any(|new| new.watch == old.watch) {
                hints.unwatch(old.watch);
            }
        }
        if self.folder != walk.at {
            self.aliases = Aliases::default();
            self.folder = walk.at;
        }
        result
    }

    /// The directory that the file's own name stands in.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes a hint into account.
    pub(super) fn take(&mut self, hint: &Hint<'_>) {
        let (watch, name, moved) = match *hint {
            Hint::Lost => {
                self.news = true;
                return;
            }
            Hint::Itself(watch) => {
                self.news |= self.watches.iter().any(|watched| watched.watch == watch);
                return;
            }
            Hint::Name { watch, name, moved } => (watch, name, moved),
        };
        let of_folder = |watched: &&Watched| watched.watch == watch && watched.own;
        let own = self.watches.iter().find(of_folder).and_then(|watched| watched.name.as_deref());
        if let Some(own) = own {
            self.aliases.take(own, name, moved);
        }
        let matters = |watched: &Watched| watched.watch == watch && watched.name.as_deref() == Some(name);
        self.news |= self.watches.iter().any(matters);
    }

    /// Whether a hint since the last call says that the name should be looked at.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// The files that were under the followed name since they were last
    /// [forgotten](Self::forget_aliases), by the names that they have now, oldest first.
    pub(super) fn aliases(&self) -> Vec<PathBuf> {
        self.aliases.names().map(|name| self.folder.join(name)).collect()
    }

    /// Changes with the aliases.
    pub(super) fn aliases_version(&self) -> u64 {
        self.aliases.version()
    }

    pub(super) fn forget_aliases(&mut self) {
        self.aliases.clear();
    }
}

impl Walk<'_> {
    fn all(&mut self) -> io::Result<()> {
        while let Some(component) = self.rest.pop_front() {
            let here = self.at.join(&component);
            let is_last = self.rest.is_empty();
            let exists = if is_last {
                self.watch_name(&component, true)?;
                true
            } else {
                self.watch_itself(&here)?
            };
            if !exists {
                self.watch_name(&component, false)?;
                // It may have appeared in front of the watch.
                if !self.watch_itself(&here)? {
                    return Ok(());
                }
            }
            match rustix::fs::readlink(&here, Vec::new()) {
                Ok(target) => {
                    self.links += 1;
                    if self.links > MAX_LINKS {
                        return Ok(());
                    }
                    self.follow(&PathBuf::from(OsString::from_vec(target.into_bytes())));
                }
                Err(_) if is_last => {}
                Err(_) => self.at = here,
            }
        }
        Ok(())
    }

    fn follow(&mut self, target: &Path) {
        if target.is_absolute() {
            self.at = start_of(target);
        }
        for component in components(target).collect::<Vec<_>>().into_iter().rev() {
            self.rest.push_front(component);
        }
    }

    /// Watches `path` itself; false if it does not exist.
    fn watch_itself(&mut self, path: &Path) -> io::Result<bool> {
        let Some(watch) = existing(self.hints.watch(path, Interest::Itself))? else { return Ok(false) };
        self.watches.push(Watched { watch, name: None, own: false });
        Ok(true)
    }

    /// Watches for `name` in the directory reached. If that has gone, its own watch says so.
    fn watch_name(&mut self, name: &OsStr, own: bool) -> io::Result<()> {
        if let Some(watch) = existing(self.hints.watch(&self.at, Interest::Names))? {
            self.watches.push(Watched { watch, name: Some(name.to_owned()), own });
        }
        Ok(())
    }
}

fn existing(watch: io::Result<Watch>) -> io::Result<Option<Watch>> {
    let absent = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(Errno::raw_os_error);
    match watch {
        Ok(watch) => Ok(Some(watch)),
        Err(error) if error.raw_os_error().is_some_and(|number| absent.contains(&number)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn start_of(path: &Path) -> PathBuf {
    PathBuf::from(if path.is_absolute() { "/" } else { "." })
}

fn components(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_means_looking_at_everything() {
        let mut route = Route::default();
        assert!(!route.take_news());
        route.take(&Hint::Lost);
        assert!(route.take_news());
    }

    #[test]
    fn neighbours_and_appends_are_no_news() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let hints = Hints::new().unwrap();
        let mut route = Route::default();
        route.arm(&hints, &path).unwrap();
        let mut news = |change: &dyn Fn()| {
            change();
            hints.drain_all(|hint| route.take(&hint)).unwrap();
            route.take_news()
        };
        assert!(news(&|| std::fs::write(&path, "new").unwrap()));
        assert!(!news(&|| std::fs::write(folder.path().join("neighbour"), "new").unwrap()));
        let append = || std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        assert!(!news(&|| std::io::Write::write_all(&mut append(), b"more").unwrap()));
        assert!(!news(&|| drop(std::fs::read(&path).unwrap())));
        assert!(news(&|| std::fs::remove_file(&path).unwrap()));
    }
}
