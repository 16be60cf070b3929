//! docs/reference/cli.md, from the definitions of the command line. `make docs` writes it.

use crate::{
    args::{Arguments, ENVIRONMENT},
    size,
};
use clap::{Arg, Command, CommandFactory};
use std::{env, fmt::Write, fs};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");

#[test]
fn the_reference_is_what_the_definitions_say() {
    let generated = reference();
    if env::var_os("AFX_WRITE_REFERENCE").is_some() {
        fs::write(PATH, &generated).unwrap();
    }
    let stored = fs::read_to_string(PATH).unwrap_or_default();
    assert!(stored == generated, "docs/reference/cli.md is stale: make docs writes it");
}

fn reference() -> String {
    let mut command = Arguments::command();
    command.build();
    let mut page = String::from(
        "<!-- Written by `make docs` from the definitions in cli/src/args; changes here are lost. -->\n\n\
         # The command afx\n\n",
    );
    write!(page, "{}\n\n```\n{}\n```\n", about(&command), usage(&command)).unwrap();
    for verb in command.get_subcommands() {
        let (name, usage) = (verb.get_name(), usage(verb));
        write!(page, "\n## afx {name}\n\n{}\n\n```\n{usage}\n```\n", about(verb)).unwrap();
        arguments(&mut page, verb.get_arguments().filter(|argument| !argument.is_global_set()));
    }
    page.push_str("\n## Global options\n\nEvery verb takes them.\n");
    arguments(&mut page, command.get_arguments().filter(|argument| argument.is_global_set()));
    write!(page, "\n## Sizes\n\nWhere an option takes a size, it is {}.\n", size::HELP).unwrap();
    page.push_str("\n## Environment\n\n");
    for (name, meaning) in ENVIRONMENT {
        writeln!(page, "- `{name}`: {meaning}").unwrap();
    }
    page.push_str(
        "\n## More\n\n[Exit status](exit-status.md), [what `--json` prints](json.md). `afx man` and `afx completions`\n\
         print what a manual and a shell want.\n",
    );
    page
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    about.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").trim_end().to_owned()
}

/// A list of the arguments that are shown, under the headings that they have.
fn arguments<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let shown = arguments.filter(|argument| !argument.is_hide_set());
    let (positional, mut options): (Vec<_>, Vec<_>) = shown.partition(|argument| argument.is_positional());
    options.sort_by_key(|option| option.get_help_heading().is_some());
    let mut heading = None;
    for argument in positional.into_iter().chain(options) {
        let own = argument.get_help_heading().filter(|heading| *heading != "Global options");
        if own != heading {
            write!(page, "\n{}:\n", own.unwrap_or("Options")).unwrap();
            heading = own;
        }
        let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
        let default = default(argument).map(|value| format!(" (default: {value})")).unwrap_or_default();
        let lines = help.unwrap_or_default().replace("\n\n", "\n").replace('\n', "\n  ");
        let new_list =
            if page.ends_with("```\n") || page.ends_with(":\n") || page.ends_with(".\n") { "\n" } else { "" };
        writeln!(page, "{new_list}- {}: {lines}{default}", term(argument)).unwrap();
    }
}

/// How an argument is written: `` `-a`, `--algorithm` `ALGO` ``.
fn term(argument: &Arg) -> String {
    let names = argument.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    if argument.is_positional() {
        return format!("`{names}`");
    }
    let value = if argument.get_action().takes_values() { format!(" `{names}`") } else { String::new() };
    let short = argument.get_short().map(|letter| format!("-{letter}"));
    let long = argument.get_long().map(|name| format!("--{name}"));
    short.into_iter().chain(long).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ") + &value
}

fn default(argument: &Arg) -> Option<String> {
    if argument.is_hide_default_value_set() || !argument.get_action().takes_values() {
        return None;
    }
    let values = argument.get_default_values();
    (!values.is_empty())
        .then(|| values.iter().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(" "))
}
