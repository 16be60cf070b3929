//! Standard output is data, standard error is all else.

use crate::{args::GlobalArguments, closed, exit_status::ExitStatus, json::Record, progress::above_bar};
use afx_core::engine::StandardStream;
use signal_hook::consts::SIGPIPE;
use std::{
    ffi::OsStr,
    fmt::Display,
    io::{self, BufWriter, IsTerminal, StdoutLock, Write},
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
    stdout: BufWriter<Stdout>,
    /// Whether results and failures are printed as objects.
    json: bool,
    quiet: bool,
    /// Whether somebody looks at each result when it comes.
    is_watched: bool,
}

/// Standard output, which leaves a bar on the terminal whole.
#[derive(Debug)]
struct Stdout {
    lock: StdoutLock<'static>,
    is_terminal: bool,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        closed::check(StandardStream::Output)?;
        if !self.is_terminal {
            return self.lock.write(bytes);
        }
        above_bar(|| self.lock.write(bytes).and_then(|count| self.lock.flush().map(|()| count)))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock.flush()
    }
}

impl Output {
    pub(crate) fn new(arguments: &GlobalArguments) -> Self {
        let &GlobalArguments { json, quiet, .. } = arguments;
        // Rust's own handle flushes at every newline; this one when it is full, and when asked.
        let lock = io::stdout().lock();
        let stdout = Stdout { is_terminal: lock.is_terminal(), lock };
        let is_watched = json || stdout.is_terminal;
        Self { stdout: BufWriter::new(stdout), json, quiet, is_watched }
    }

    /// Whether results are to be printed by [`record`](Self::record).
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether only failures are to be told.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Fails if there is no standard output: for what is to be found before anything is done.
    pub(crate) fn check_stdout() -> Result<(), Failure> {
        closed::check(StandardStream::Output).map_err(Failure::Stdout)
    }

    /// Writes data, buffered.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(Failure::Stdout)
    }

    /// Writes a result of one or more lines, which is read at once where somebody waits for it.
    pub(crate) fn result(&mut self, lines: &[u8]) -> Result<(), Failure> {
        self.write(lines)?;
        if self.is_watched { self.flush() } else { Ok(()) }
    }

    /// Writes a result as an object.
    pub(crate) fn record(&mut self, record: Record) -> Result<(), Failure> {
        self.result(&record.into_line())
    }

    /// Brings buffered data out.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(Failure::Stdout)
    }

    /// Says `message` on standard error, behind the data written so far.
    pub(crate) fn complain(&mut self, message: impl Display) {
        // If standard output fails, the next write to it says so.
        let _ = self.stdout.flush();
        say(message);
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
            Failure::File(error) => return self.report_error(error),
        }
        ExitStatus::Failed
    }

    /// Says what failed with a file.
    pub(crate) fn report_error(&mut self, error: &afx_core::Error) -> ExitStatus {
        self.record_error(error);
        self.complain(describe(error));
        ExitStatus::Failed
    }

    /// Prints what failed with a file as an object, if results are: it was said already.
    pub(crate) fn record_error(&mut self, error: &afx_core::Error) -> ExitStatus {
        // As in `complain`.
        let _ = if self.json { self.record(Record::of_error(error)) } else { Ok(()) };
        ExitStatus::Failed
    }
}

/// Writes a line to standard error, from any thread. If that fails, nobody listens.
pub(crate) fn say(message: impl Display) {
    let line = format!("afx: {message}\n");
    let _ = above_bar(|| io::stderr().lock().write_all(line.as_bytes()));
}

/// An error in one line: what failed, on which file, at which byte, why.
pub(crate) fn describe(error: &afx_core::Error) -> String {
    let verb = error.verb();
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
