//! The transcripts in docs/guides are what is really printed.

use crate::{Case, shell, text};
use std::fs;

/// Runs what the guide `name` shows, in a directory with two files, and compares. Returns how many commands.
fn replay(name: &str) -> usize {
    let case = Case::new();
    fs::write(case.path("notes.txt"), "some notes\n").unwrap();
    fs::write(case.path("disk.img"), vec![0; 5_000_000]).unwrap();
    let guide = format!("{}/../docs/guides/{name}.md", env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(guide).unwrap();
    let blocks = guide.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut commands = 0;
    for shown in blocks.flat_map(|block| block.split("$ ").skip(1)) {
        let (line, expected) = shown.split_once('\n').unwrap();
        let script = format!("afx() {{ \"$AFX\" \"$@\"; }}; {line}");
        let printed = shell(case.folder(), &script);
        assert_eq!(text(&printed.stdout) + &text(&printed.stderr), expected, "{line}");
        commands += 1;
    }
    commands
}

#[test]
fn the_guide_to_hashes_shows_what_is_printed() {
    assert_eq!(replay("hash"), 6);
}

#[test]
fn the_guide_to_copies_shows_what_is_printed() {
    assert_eq!(replay("copy"), 22);
}
