//! The options of `afx tail`.

use afx_core::tail::Start;
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Print the last lines of a file, and with -f or -F those that are still to come
///
/// With -F, a file that is rotated is read to its end before the one that took its name, also when
/// nobody reads the output meanwhile, and lines that a late writer still puts into it come as well.
#[derive(Args, Debug)]
pub(crate) struct TailArguments {
    /// Print the last N lines; with +N, begin with line N
    #[arg(short = 'n', long, value_name = "[+]N", default_value = "10", allow_hyphen_values = true)]
    #[arg(value_parser = start)]
    pub(crate) lines: Start,

    /// At the end, wait for more in the same file, whatever it is called by then
    #[arg(short, long, overrides_with = "follow_name")]
    pub(crate) follow: bool,

    /// At the end, wait for more in whatever file has this name; it need not exist yet
    #[arg(short = 'F', long, overrides_with = "follow")]
    pub(crate) follow_name: bool,

    /// Also look every so many seconds, for changes that the kernel does not tell of
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) sleep_interval: Option<Duration>,

    /// Lines end with NUL, not newline
    #[arg(short, long)]
    pub(crate) zero_terminated: bool,

    /// The file; `-`, or none, is standard input
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
}

fn start(text: &str) -> Result<Start, String> {
    let (start, digits): (fn(u64) -> Start, &str) = match text.strip_prefix('+') {
        Some(digits) => (Start::Line, digits),
        None => (Start::LastLines, text.strip_prefix('-').unwrap_or(text)),
    };
    if digits.starts_with('+') {
        return Err("a number, or + and a number, is wanted".into());
    }
    digits.parse().map(start).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("more than 0 is wanted".into()) } else { Ok(duration) }
}
