//! `afx man`: manual pages, from the definitions of the command line.

use crate::{
    args::{Arguments, ENVIRONMENT, ManArguments},
    exit_status::{ExitStatus, TABLE},
    output::{Failure, Output},
};
use afx_core::{Error, Operation};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::{fs, io, io::Write};

pub(crate) fn run(arguments: &ManArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let mut command = Arguments::command();
    // Gives the verbs the options that all of them take.
    command.build();
    let verbs = command.get_subcommands().cloned().map(verb_page);
    if let Some(folder) = &arguments.output {
        let written =
            (verbs.chain([("afx".to_owned(), page(command.clone()))])).try_for_each(|(name, page)| {
                let path = folder.join(format!("{name}.1"));
                let written = page.and_then(|page| fs::write(&path, page));
                written.map_err(|cause| Error::new(Operation::Write, cause).with_path(path))
            });
        written?;
        return Ok(ExitStatus::Done);
    }
    let wanted = arguments.verb.as_ref().map(|verb| format!("afx-{verb}"));
    let page = match wanted {
        Some(wanted) => verbs.into_iter().find(|(name, _)| *name == wanted).map(|(_, page)| page),
        None => Some(page(command.clone())),
    };
    // The parser takes no other verbs, and writing to memory does not fail.
    output.write(&page.transpose().map_err(Failure::Stdout)?.unwrap_or_default())?;
    Ok(ExitStatus::Done)
}

/// The name and the page of a verb.
fn verb_page(verb: Command) -> (String, io::Result<Vec<u8>>) {
    let name = format!("afx-{}", verb.get_name());
    (name, page(verb.version(env!("CARGO_PKG_VERSION"))))
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let has_verbs = command.has_subcommands();
    let man = Man::new(command.after_help("").after_long_help(""))
        .manual("afx")
        .source(concat!("afx ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_verbs {
        man.render_subcommands_section(&mut page)?;
    }
    section(&mut page, "EXIT STATUS", &TABLE)?;
    section(&mut page, "ENVIRONMENT", &ENVIRONMENT)?;
    Ok(page)
}

/// A list of terms and what they mean.
fn section(page: &mut Vec<u8>, title: &str, terms: &[(&str, &str)]) -> io::Result<()> {
    writeln!(page, ".SH \"{title}\"")?;
    terms.iter().try_for_each(|(term, meaning)| {
        writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(meaning))
    })
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
