//! Standard output is data, standard error is all else.

use crate::exit_status::ExitStatus;
use signal_hook::consts::SIGPIPE;
use std::{
    ffi::OsStr,
    fmt::Display,
    io::{self, BufWriter, StdoutLock, Write},
    os::unix::ffi::OsStrExt,
};

/// Why a command stops early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An operation on a file failed.
    File(afx_core::Error),
    /// Standard output cannot be written.
    Stdout(io::Error),
}

impl From<afx_core::Error> for Failure {
    fn from(error: afx_core::Error) -> Self {
        Self::File(error)
    }
}

/// The two output streams.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        // Rust's own handle flushes at every newline; this one when it is full, and when asked.
        Self { stdout: BufWriter::new(io::stdout().lock()) }
    }

    /// Writes data, buffered.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(Failure::Stdout)
    }

    /// Brings buffered data out.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(Failure::Stdout)
    }

    /// Says `message` on standard error, behind the data written so far.
    pub(crate) fn complain(&mut self, message: impl Display) {
        // If standard output fails, the next write to it says so; if standard error does, nobody listens.
        let _ = self.stdout.flush();
        let _ = writeln!(io::stderr().lock(), "afx: {message}");
    }

    /// Says what failed; a command that goes on with the next file carries the status to its end.
    pub(crate) fn report(&mut self, failure: &Failure) -> ExitStatus {
        match failure {
            Failure::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitStatus::Signal(SIGPIPE);
            }
            Failure::Stdout(error) => {
                self.complain(format_args!("cannot write standard output: {}", reason(error)));
            }
            Failure::File(error) => self.complain(describe(error)),
        }
        ExitStatus::Failed
    }
}

/// An error in one line: what failed, on which file, at which byte, why.
pub(crate) fn describe(error: &afx_core::Error) -> String {
    let verb = error.operation().verb();
    let path = error.path().map(|path| format!(" {}", quoted(path.as_os_str()))).unwrap_or_default();
    let offset = error.offset().filter(|offset| *offset > 0);
    let place = offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
    format!("cannot {verb}{path}{place}: {}", reason(error.io_error()))
}

/// What the system says, without the number that Rust puts behind it.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text.get(..end).unwrap_or(&text).to_owned(),
        _ => text,
    }
}

/// A name as a shell takes it back, with nothing in it that a terminal would obey.
pub(crate) fn quoted(name: &OsStr) -> String {
    if let Some(text) = name.to_str()
        && !text.chars().any(needs_escape)
    {
        return format!("'{text}'");
    }
    let mut escaped = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        escaped.extend(chunk.valid().chars().map(escape));
        escaped.extend(chunk.invalid().iter().map(|byte| format!("\\{byte:03o}")));
    }
    format!("$'{escaped}'")
}

/// Control characters, and those that turn the direction of the text around them.
fn needs_escape(letter: char) -> bool {
    letter == '\''
        || letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(letter: char) -> String {
    match letter {
        '\\' => r"\\".to_owned(),
        '\'' => r"\'".to_owned(),
        '\n' => r"\n".to_owned(),
        '\r' => r"\r".to_owned(),
        '\t' => r"\t".to_owned(),
        _ if needs_escape(letter) && letter.is_ascii() => format!("\\{:03o}", u32::from(letter)),
        _ if needs_escape(letter) => format!("\\u{:04x}", u32::from(letter)),
        _ => letter.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afx_core::{Error, Operation};

    #[test]
    fn an_error_is_one_line_without_the_number_of_the_cause() {
        let error = Error::new(Operation::Open, io::Error::from_raw_os_error(2)).with_path("x");
        assert_eq!(describe(&error), "cannot open 'x': No such file or directory");
        let error =
            Error::new(Operation::Write, io::Error::from_raw_os_error(28)).with_path("y").with_offset(7);
        assert_eq!(describe(&error), "cannot write 'y' at byte 7: No space left on device");
    }

    #[test]
    fn odd_names_are_quoted_so_that_a_shell_takes_them_back_and_a_terminal_obeys_nothing() {
        assert_eq!(quoted(OsStr::new("a b\\ü")), "'a b\\ü'");
        assert_eq!(quoted(OsStr::new("a\nb'\\")), r"$'a\nb\'\\'");
        assert_eq!(quoted(OsStr::new("\u{1b}[31m")), r"$'\033[31m'");
        assert_eq!(quoted(OsStr::new("\u{202e}txt")), r"$'\u202etxt'");
        assert_eq!(quoted(OsStr::from_bytes(b"a\xff7")), r"$'a\3777'");
    }
}
