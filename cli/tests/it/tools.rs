//! `afx completions` and `afx man`.

use crate::{Case, afx_in, assert_failed, assert_succeeded, names_in, run, shell, text};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

const VERBS: [&str; 7] = ["copy", "hash", "tail", "tee", "doctor", "completions", "man"];

/// Whether a program is there to be asked.
fn is_installed(program: &str) -> bool {
    let script = format!("command -v {program}");
    Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status().unwrap().success()
}

#[test]
fn bash_completes_verbs_options_and_values() {
    let case = Case::new();
    let completed = |words: &str| {
        let script = format!(
            "source <($AFX completions bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             _afx afx \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        fs::write(case.path("script"), script).unwrap();
        let output = shell(case.folder(), "bash script");
        assert_succeeded(&output);
        text(&output.stdout).trim().to_owned()
    };
    assert_eq!(completed("afx ha"), "hash");
    assert_eq!(completed("afx copy --prog"), "--progress");
    assert_eq!(completed("afx hash --color n"), "never");
    let algorithms = "md5 sha1 sha224 sha256 sha384 sha512 blake3 xxh3 xxh128 crc32c";
    assert_eq!(completed("afx hash -a ''"), algorithms);
    for verb in ["copy", "tee"] {
        assert_eq!(completed(&format!("afx {verb} --hash ''")), algorithms);
        assert_eq!(completed(&format!("afx {verb} --compress ''")), "zstd gzip");
    }
    // Options only where one is begun: else a verb or a file is wanted.
    assert_eq!(completed("afx ''"), VERBS.join(" "));
    assert_eq!(completed("afx man ''"), VERBS.join(" "));
    for verb in ["copy", "hash", "tail", "tee"] {
        assert_eq!(completed(&format!("afx {verb} ''")), "");
        assert_eq!(completed(&format!("afx -q {verb} source ''")), "");
        assert!(completed(&format!("afx {verb} -")).contains("--json"), "{verb}");
    }
    // Where nothing is found, bash goes on with the names of files.
    let script = text(&run(case.folder(), ["completions", "bash"]).stdout);
    assert!(script.contains("complete -F _afx -o nosort -o bashdefault -o default afx\n"));
}

#[test]
fn every_shell_gets_a_script_that_knows_all_verbs_and_that_the_shell_takes() {
    let case = Case::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(case.folder(), ["completions", name]);
        assert_succeeded(&output);
        let script = text(&output.stdout);
        assert!(VERBS.iter().all(|verb| script.contains(verb)) && script.contains("progress"), "{name}");
        if ["bash", "zsh", "fish"].contains(&name) && is_installed(name) {
            fs::write(case.path("script"), script).unwrap();
            assert_succeeded(&shell(case.folder(), &format!("{name} -n script")));
        }
    }
    assert_eq!(run(case.folder(), ["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn there_is_a_page_for_the_command_and_for_each_verb() {
    let case = Case::new();
    fs::create_dir(case.path("pages")).unwrap();
    assert_succeeded(&run(case.folder(), ["man", "--output", "pages"]));
    let mut expected: Vec<_> = VERBS.iter().map(|verb| format!("afx-{verb}.1")).collect();
    expected.push("afx.1".to_owned());
    expected.sort();
    assert_eq!(names_in(&case.path("pages")), expected);
    for name in expected {
        let page = case.read(&format!("pages/{name}"));
        let verb = name.strip_prefix("afx-").and_then(|name| name.strip_suffix(".1"));
        let printed = run(case.folder(), ["man"].into_iter().chain(verb));
        assert_eq!(text(&printed.stdout), page);
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "ENVIRONMENT"] {
            assert!(
                page.contains(&format!(".SH {section}")) || page.contains(&format!(".SH \"{section}\"")),
                "{name}: {section}"
            );
        }
        check_page(&case.path("pages"), &name);
    }
    let output = run(case.folder(), ["man", "--output", "nowhere"]);
    assert_failed(&output, "cannot write 'nowhere/afx-copy.1': No such file or directory");
    assert_eq!(run(case.folder(), ["man", "no-such-verb"]).status.code(), Some(2));
}

/// That the programs that show manual pages have nothing to say against this one.
fn check_page(folder: &Path, name: &str) {
    if is_installed("groff") {
        let output = shell(folder, &format!("groff -man -Tutf8 -wall -b {name}"));
        assert_succeeded(&output);
        assert!(text(&output.stdout).contains("its output went away"), "{name}");
    }
    if is_installed("mandoc") {
        assert_succeeded(&shell(folder, &format!("mandoc -Tlint -Werror {name}")));
    }
}

#[test]
fn a_closed_standard_output_ends_a_long_script_quietly() {
    let case = Case::new();
    let output = shell(case.folder(), "$AFX completions zsh | head -n 1");
    assert_succeeded(&output);
    assert_eq!(text(&output.stdout), "#compdef afx\n");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = afx_in(case.folder()).arg("man").stdout(Stdio::from(full)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
