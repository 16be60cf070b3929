//! `afx completions`: a script for a shell.

use crate::{
    args::{Arguments, CompletionsArguments},
    exit_status::ExitStatus,
    output::{Failure, Output},
};
use clap::CommandFactory;
use clap_complete::Shell;

pub(crate) fn run(arguments: &CompletionsArguments, output: &mut Output) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "afx", &mut script);
    if arguments.shell == Shell::Bash {
        script = without_unasked_options(&String::from_utf8_lossy(&script)).into_bytes();
    }
    output.write(&script)?;
    Ok(ExitStatus::Done)
}

/// `script` for bash with options only behind a hyphen: where nothing is typed yet, a verb or a file is wanted.
fn without_unasked_options(script: &str) -> String {
    // Verbs stand first, their own arguments second.
    let script = script.replace("|| ${COMP_CWORD} -eq 1 ", "").replace("|| ${COMP_CWORD} -eq 2 ", "");
    // What no option wants a value for; a hyphen has been answered before.
    let rest = r#"COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )"#;
    let without_options = r#"COMPREPLY=( $(compgen -W "${opts}" -X '-*' -- "${cur}") )"#;
    script.replace(&format!("esac\n            {rest}"), &format!("esac\n            {without_options}"))
}
