//! Follows a log by name through a rotation.
//!
//! Usage: `cargo run -p afx-core --example tail [LOG]`
use afx_core::tail::{Follow, Tail, TailEvent, TailOptions, Unit};
use std::{
    env,
    error::Error,
    fs::{self, OpenOptions},
    io::{self, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let given = env::args_os().nth(1).map(PathBuf::from);
    let own = given.is_none();
    let log = given.unwrap_or_else(|| folder.path().join("service.log"));
    if own {
        fs::write(&log, "written before\n")?;
    }

    let mut to_rotate = own.then_some(&log);
    let mut rotated = Ok(());
    let options = TailOptions { follow: Follow::Name, unit: Unit::Lines, ..TailOptions::new(&log) };
    Tail::new(options)?.run(|event| {
        let TailEvent::Line { line, .. } = event else { return ControlFlow::Continue(()) };
        print!("{}", String::from_utf8_lossy(line.bytes));
        if let Some(log) = to_rotate.take() {
            rotated = rotate(log);
        }
        let over = rotated.is_err() || own && line.bytes == b"the end\n";
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(rotated?)
}

/// Stands for the program that is watched: it renames its log away and starts a new one.
fn rotate(log: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(log)?;
    writeln!(file, "the last line of the old file")?;
    fs::rename(log, log.with_extension("log.1"))?;
    fs::write(log, "the first line of the new file\nthe end\n")
}
