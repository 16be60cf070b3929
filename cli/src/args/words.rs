//! Values of options that are words which text is parsed to, for shells to complete.

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, TypedValueParser},
};
use std::{ffi::OsStr, io, str::FromStr};

/// Takes whatever `T` takes, and tells shells the usual words for it.
#[derive(Clone, Debug)]
pub(super) struct Words<T> {
    words: Vec<&'static str>,
    parse: fn(&str) -> io::Result<T>,
}

impl<T: FromStr<Err = io::Error>> Words<T> {
    pub(super) fn new(words: impl IntoIterator<Item = &'static str>) -> Self {
        Self { words: words.into_iter().collect(), parse: T::from_str }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Words<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        self.parse.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words.iter().map(PossibleValue::new)))
    }
}
