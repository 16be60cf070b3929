//! The options of the verbs that print what this command line is.

use clap::{Args, ValueHint, builder::PossibleValuesParser};
use clap_complete::Shell;
use std::path::PathBuf;

/// Print a script that completes this command in a shell
///
/// For the running bash: `source <(afx completions bash)`. For good: to a file in
/// ~/.local/share/bash-completion/completions, in a folder of zsh's $fpath as _afx, or in
/// ~/.config/fish/completions as afx.fish.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    /// bash, zsh, fish, elvish or powershell
    #[arg(hide_possible_values = true)]
    pub(crate) shell: Shell,
}

/// Print the manual page of this command, or of one of its verbs
#[derive(Args, Debug)]
pub(crate) struct ManArguments {
    /// The verb
    #[arg(conflicts_with = "output", value_parser = PossibleValuesParser::new(super::VERBS))]
    #[arg(hide_possible_values = true)]
    pub(crate) verb: Option<String>,

    /// Write all pages into this folder, which must exist
    #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
}
