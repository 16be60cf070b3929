//! What is done and how, on standard error, for who asks: `-v`, or `AFX_LOG`.

use crate::{args::GlobalArguments, output::say, progress::above_bar};
use clap::ColorChoice;
use std::{
    env,
    ffi::OsString,
    fmt,
    io::{self, IsTerminal, Write},
    time::Instant,
};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{DefaultFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// The environment variable that says what is logged where no option does.
const VARIABLE: &str = "AFX_LOG";

/// Begins to log, if anything is to be logged.
pub(crate) fn start(arguments: &GlobalArguments) {
    let targets = match arguments.verbose {
        0 => match env::var_os(VARIABLE).filter(|text| !text.is_empty()).map(OsString::into_string) {
            None => return,
            Some(Ok(text)) => match text.parse() {
                Ok(targets) => targets,
                Err(error) => return say(format_args!("{VARIABLE}: {error}; nothing is logged")),
            },
            Some(Err(_)) => return say(format_args!("{VARIABLE} is not UTF-8; nothing is logged")),
        },
        count => of_verbosity(count),
    };
    let format = Format { start: Instant::now(), has_color: has_color(arguments.color) };
    let layer = tracing_subscriber::fmt::layer()
        .fmt_fields(DefaultFields::new())
        .event_format(format)
        .with_writer(|| Stderr);
    tracing_subscriber::registry().with(layer).with(targets).init();
}

/// What `-v`, given so many times, lets through.
fn of_verbosity(count: u8) -> Targets {
    let (own, others) = match count {
        1 => (Level::INFO, Level::WARN),
        2 => (Level::DEBUG, Level::WARN),
        _ => (Level::TRACE, Level::DEBUG),
    };
    Targets::new().with_default(others).with_target("afx", own)
}

fn has_color(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
            let is_dumb = env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
            !is_set("NO_COLOR") && !is_dumb && io::stderr().is_terminal()
        }
    }
}

/// Standard error, below which the bar stays.
#[derive(Debug)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above_bar(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// One line per event: the seconds since the start, the level, the module, what happened.
#[derive(Debug)]
struct Format {
    start: Instant,
    has_color: bool,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, color) = match *event.metadata().level() {
            Level::ERROR => ("error", "\x1b[31m"),
            Level::WARN => ("warning", "\x1b[33m"),
            Level::INFO => ("info", "\x1b[32m"),
            Level::DEBUG => ("debug", "\x1b[34m"),
            Level::TRACE => ("trace", "\x1b[35m"),
        };
        let (color, plain) = if self.has_color { (color, "\x1b[0m") } else { ("", "") };
        let seconds = self.start.elapsed().as_secs_f64();
        let target = event.metadata().target();
        write!(writer, "afx: {seconds:.6} {color}{level}{plain} {target}: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
