//! Pure: the names that files have now which were under the followed name a moment ago.
//!
//! Two rotations in quick succession may both be over when the first is looked at. The file of the
//! first then stands under another name, which the hints tell.

use super::hints::Moved;
use crate::limits::TAIL_GENERATIONS;
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
};

/// Follows renames within one directory.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// Oldest file first.
    names: VecDeque<OsString>,
    /// A file on its way: its place in `names`, or none yet if it was under the followed name, and
    /// the number that its arrival will carry.
    under_way: Option<(Option<usize>, u32)>,
    /// Counts changes of the two.
    version: u64,
}

impl Aliases {
    /// Takes a hint of `name` in the directory where the followed name is `own`.
    pub(super) fn take(&mut self, own: &OsStr, name: &OsStr, moved: Moved) {
        let place = self.names.iter().position(|alias| alias == name);
        match moved {
            Moved::From(number) if name == own => self.leave(None, number),
            Moved::From(number) if place.is_some() => self.leave(place, number),
            Moved::To(number) => {
                let arriving = self.under_way.take().filter(|(_, expected)| *expected == number);
                match arriving {
                    // Back under its own name, where it is looked at anyway.
                    Some((Some(from), _)) if name == own => self.forget(Some(from)),
                    Some((Some(from), _)) => self.rename(from, place, name),
                    Some((None, _)) if name != own => {
                        self.forget(place);
                        self.add(name);
                    }
                    _ => self.forget(place),
                }
            }
            Moved::Removed => self.forget(place),
            Moved::From(_) | Moved::No => {}
        }
    }

    /// The names, oldest file first.
    pub(super) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.names.iter().map(OsString::as_os_str)
    }

    /// Changes with the names.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Forgets the names: their files are open.
    pub(super) fn clear(&mut self) {
        self.under_way = self.under_way.filter(|(place, _)| place.is_none());
        self.names.clear();
    }

    fn leave(&mut self, place: Option<usize>, number: u32) {
        self.under_way = Some((place, number));
        self.version += 1;
    }

    fn add(&mut self, name: &OsStr) {
        self.version += 1;
        if self.names.len() == TAIL_GENERATIONS {
            self.names.pop_front();
        }
        self.names.push_back(name.to_owned());
    }

    /// The file at `from` is called `name` now, and no longer the one at `replaced`.
    fn rename(&mut self, from: usize, replaced: Option<usize>, name: &OsStr) {
        self.version += 1;
        if let Some(alias) = self.names.get_mut(from) {
            name.clone_into(alias);
        }
        self.forget(replaced.filter(|replaced| *replaced != from));
    }

    fn forget(&mut self, place: Option<usize>) {
        if let Some(place) = place {
            self.version += 1;
            self.names.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renames as `(from, to)`; an empty `to` removes.
    fn names_after(renames: &[(&str, &str)]) -> Vec<String> {
        let mut aliases = Aliases::default();
        for (number, (from, to)) in (0..).zip(renames) {
            let mut take = |name: &str, moved| aliases.take(OsStr::new("log"), OsStr::new(name), moved);
            if to.is_empty() {
                take(from, Moved::Removed);
            } else {
                take(from, Moved::From(number));
                take(to, Moved::To(number));
            }
        }
        aliases.names().map(|name| name.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_file_that_left_the_name_is_found_under_its_newest_name_oldest_first() {
        assert_eq!(names_after(&[("log", "log.1")]), ["log.1"]);
        assert_eq!(
            names_after(&[("log", "log.1"), ("log.1", "log.2"), ("log", "log.1")]),
            ["log.2", "log.1"]
        );
        assert_eq!(names_after(&[("other", "log.9"), ("log", "log.1"), ("log.1", "b")]), ["b"]);
    }

    #[test]
    fn a_file_that_was_removed_or_overwritten_or_came_back_is_forgotten() {
        assert!(names_after(&[("log", "log.1"), ("log.1", "")]).is_empty());
        assert!(names_after(&[("log", "log.1"), ("other", "log.1")]).is_empty());
        assert!(names_after(&[("log", "log.1"), ("log.1", "log")]).is_empty());
        assert_eq!(names_after(&[("log", "log.1"), ("log", "log.1")]), ["log.1"]);
        assert_eq!(names_after(&[("log", "a"), ("log", "b"), ("a", "b")]), ["b"]);
    }

    #[test]
    fn a_rename_that_the_hints_tell_in_two_parts_is_one() {
        let mut aliases = Aliases::default();
        aliases.take(OsStr::new("log"), OsStr::new("log"), Moved::From(1));
        aliases.clear();
        aliases.take(OsStr::new("log"), OsStr::new("log.1"), Moved::To(1));
        assert!(aliases.names().eq(["log.1"]));
    }

    #[test]
    fn a_file_that_left_the_directory_has_no_name_here() {
        let mut aliases = Aliases::default();
        aliases.take(OsStr::new("log"), OsStr::new("log"), Moved::From(1));
        aliases.take(OsStr::new("log"), OsStr::new("x"), Moved::To(2));
        assert_eq!(aliases.names().count(), 0);
    }
}
