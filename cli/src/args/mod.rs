//! The command line: what is the same for every verb, and the list of verbs. One file per verb.

mod copy;
mod doctor;
mod hash;
mod tail;
mod tee;
mod tools;
mod words;

pub(crate) use copy::{CopyArguments, When};
pub(crate) use doctor::DoctorArguments;
pub(crate) use hash::HashArguments;
pub(crate) use tail::TailArguments;
pub(crate) use tee::{OutputError, Slow, TeeArguments};
pub(crate) use tools::{CompletionsArguments, ManArguments};

use afx_core::{
    compress::{Codec, Compression},
    engine::EngineKind,
    hash::Algorithm,
};
use clap::{
    ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use std::{env, ffi::OsString};
use words::Words;

/// Copy, hash and follow files on completion I/O.
#[derive(Debug, Parser)]
#[command(name = "afx", version, max_term_width = 100, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 something failed or differs, 2 wrong usage.
AFX_ENGINE=uring|threads|monoio overrides the choice of engine; `afx doctor` says what was chosen.
AFX_LOG=LEVEL or TARGET=LEVEL,... logs to standard error.";

/// The environment variables that matter, and what they say.
pub(crate) const ENVIRONMENT: [(&str, &str); 3] = [
    ("AFX_ENGINE", "the engine to run on where --engine names none: uring, threads or monoio"),
    (
        "AFX_LOG",
        "what is logged to standard error where -v does not say: a level (error, warn, info, debug, trace), or \
         levels of parts, such as afx_core::copy=debug,warn",
    ),
    ("NO_COLOR", "if it is set, nothing is coloured, unless --color asks for it"),
];

/// What every verb takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArguments {
    /// Print results and failures as JSON, one object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say nothing on standard error but what failed; with --check, print nothing for files that match
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Tell on standard error what is done and how; -vv tells more, -vvv all
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Colour help, usage errors and the log: on a terminal, unless NO_COLOR is set; always; or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    #[arg(hide_default_value = true)]
    pub(crate) color: ColorChoice,

    /// Run on this engine, whatever AFX_ENGINE says: uring, threads or monoio
    #[arg(long, global = true, value_name = "ENGINE", value_parser = engine(), hide_possible_values = true)]
    pub(crate) engine: Option<EngineKind>,
}

fn algorithm() -> impl TypedValueParser<Value = Algorithm> {
    Words::new(Algorithm::ALL.map(Algorithm::name))
}

fn compression() -> impl TypedValueParser<Value = Compression> {
    Words::new(Codec::ALL.map(Codec::name))
}

fn engine() -> impl TypedValueParser<Value = EngineKind> {
    let names = PossibleValuesParser::new(EngineKind::ALL.map(EngineKind::name));
    names.try_map(|name| name.parse::<EngineKind>())
}

/// Ends the process, as for an option that is not known.
pub(crate) fn usage(message: &str) -> ! {
    let hint = "For more information, try '--help'.";
    clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n\n{hint}\n")).exit()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Copy(CopyArguments),
    Hash(HashArguments),
    Tail(TailArguments),
    Tee(TeeArguments),
    Doctor(DoctorArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

/// The names of all verbs.
const VERBS: [&str; 7] = ["copy", "hash", "tail", "tee", "doctor", "completions", "man"];

impl Arguments {
    /// Those of this process. Does not return if they make no sense, or ask for help.
    pub(crate) fn of_process() -> Self {
        let matches = Self::command().color(asked_color(env::args_os())).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// What `--color` says, found before anything is parsed: what is said of arguments that make no sense
/// has a colour as well.
fn asked_color(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let mut color = ColorChoice::Auto;
    let mut arguments = arguments.take_while(|argument| argument != "--");
    while let Some(argument) = arguments.next() {
        let value = match argument.to_str() {
            Some("--color") => arguments.next(),
            Some(argument) => argument.strip_prefix("--color=").map(OsString::from),
            None => None,
        };
        color = value.and_then(|value| value.to_str()?.parse().ok()).unwrap_or(color);
    }
    color
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_listed() {
        let command = Arguments::command();
        let verbs: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(verbs, VERBS);
    }

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_color_is_found_before_anything_is_parsed() {
        let asked = |text: &str| asked_color(text.split(' ').map(OsString::from));
        assert_eq!(asked("afx --color=never --nonsense"), ColorChoice::Never);
        assert_eq!(asked("afx copy --color always"), ColorChoice::Always);
        assert_eq!(asked("afx copy -- --color=always"), ColorChoice::Auto);
        assert_eq!(asked("afx --color=blue"), ColorChoice::Auto);
    }
}
