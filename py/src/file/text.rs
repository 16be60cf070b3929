//! Text on bytes that are already here: where a line ends, what it decodes to.
//!
//! UTF-8, ASCII and Latin-1 keep no state between bytes, so the position of a text file is a byte
//! offset and a line is found before it is decoded.

use crate::memory::{char_len, decode_ascii, decode_latin1, decode_short_ascii, decode_utf8};
use memchr::{memchr, memchr2, memmem};
use pyo3::{intern, prelude::*, types::PyString};
use std::{
    borrow::Cow,
    ffi::{CStr, CString},
};

/// The encodings that are decoded here; every other one goes through Python's codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Utf8,
    Ascii,
    Latin1,
}

impl Codec {
    /// Whether the bytes are text of this encoding, without an error.
    pub(crate) fn holds(self, bytes: &[u8]) -> bool {
        match self {
            Self::Latin1 => true,
            Self::Ascii => bytes.is_ascii(),
            Self::Utf8 => simdutf8::basic::from_utf8(bytes).is_ok(),
        }
    }

    /// The name that Python's codecs know it by.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::Utf8 => c"utf-8",
            Self::Ascii => c"ascii",
            Self::Latin1 => c"latin-1",
        }
    }
}

/// What ends a line, as the `newline` argument of `open()` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newline {
    /// `None`: any of `\n`, `\r`, `\r\n`, handed out as `\n`.
    Translated,
    /// `''`: any of them, handed out as it is.
    Universal,
    /// `'\n'`.
    Lf,
    /// `'\r'`.
    Cr,
    /// `'\r\n'`.
    CrLf,
}

/// Line ends seen so far, for the attribute `newlines`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent findings")]
pub(crate) struct Seen {
    pub(crate) cr: bool,
    pub(crate) lf: bool,
    pub(crate) crlf: bool,
    /// The last byte was a `\r`: what follows tells what it is.
    pub(crate) held_cr: bool,
}

/// The text half of a file.
pub(crate) struct Text {
    pub(crate) codec: Codec,
    pub(crate) errors: CString,
    pub(crate) newline: Newline,
    pub(crate) line_buffering: bool,
    pub(crate) seen: Seen,
}

/// Codec, errors, newline and line buffering, as Python code says them.
pub(super) type TextSettings = (String, String, Option<String>, bool);

/// A line within a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Bytes before the terminator.
    pub(crate) content: usize,
    /// Bytes with the terminator.
    pub(crate) total: usize,
}

/// The first line of `bytes`, from `scanned` on, or `None` while its end is not here. `ended` says that
/// nothing follows, which settles a `\r` at the very end.
pub(crate) fn find_line(bytes: &[u8], newline: Newline, scanned: usize, ended: bool) -> Option<Line> {
    let rest = bytes.get(scanned..)?;
    match newline {
        Newline::Lf => memchr(b'\n', rest).map(|at| line(scanned + at, 1)),
        Newline::Cr => memchr(b'\r', rest).map(|at| line(scanned + at, 1)),
        Newline::CrLf => {
            // The `\r` may be the last byte that was scanned.
            let from = scanned.saturating_sub(1);
            memmem::find(bytes.get(from..)?, b"\r\n").map(|at| line(from + at, 2))
        }
        Newline::Translated | Newline::Universal => {
            let from =
                if scanned > 0 && bytes.get(scanned - 1) == Some(&b'\r') { scanned - 1 } else { scanned };
            let at = from + memchr2(b'\n', b'\r', bytes.get(from..)?)?;
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'\n'), _) => Some(line(at, 1)),
                (_, Some(b'\n')) => Some(line(at, 2)),
                (_, Some(_)) => Some(line(at, 1)),
                (_, None) => ended.then(|| line(at, 1)),
            }
        }
    }
}

fn line(content: usize, terminator: usize) -> Line {
    Line { content, total: content + terminator }
}

impl Text {
    pub(super) fn new((codec, errors, newline, line_buffering): TextSettings) -> PyResult<Self> {
        Ok(Self {
            codec: match codec.as_str() {
                "utf-8" => Codec::Utf8,
                "ascii" => Codec::Ascii,
                _ => Codec::Latin1,
            },
            errors: CString::new(errors)?,
            newline: match newline.as_deref() {
                None => Newline::Translated,
                Some("\n") => Newline::Lf,
                Some("\r") => Newline::Cr,
                Some("\r\n") => Newline::CrLf,
                Some(_) => Newline::Universal,
            },
            line_buffering,
            seen: Seen::default(),
        })
    }

    /// Decodes bytes that are complete: nothing that belongs to their last character follows.
    pub(crate) fn decode<'py>(&mut self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        self.note(bytes);
        if self.newline != Newline::Translated || memchr(b'\r', bytes).is_none() {
            return self.decode_raw(py, bytes);
        }
        if self.codec.holds(bytes) {
            return self.decode_raw(py, &translated(bytes));
        }
        // An error handler may drop what stands between two halves of a line end, or make one up; and an error
        // names its place among the bytes as they are.
        let string = self.decode_raw(py, bytes)?.call_method1(intern!(py, "replace"), ("\r\n", "\n"))?;
        Ok(string.call_method1(intern!(py, "replace"), ("\r", "\n"))?.cast_into()?)
    }

    /// Decodes one line, its terminator as the file hands it out.
    pub(crate) fn decode_line<'py>(
        &mut self,
        py: Python<'py>,
        bytes: &[u8],
        found: Line,
    ) -> PyResult<Bound<'py, PyString>> {
        let whole = bytes.get(..found.total).unwrap_or(bytes);
        if self.newline == Newline::Lf {
            return self.decode_raw(py, whole);
        }
        if whole.get(found.content) == Some(&b'\n') && !self.seen.held_cr {
            self.note_lf();
            return self.decode_raw(py, whole);
        }
        self.decode(py, whole)
    }

    /// Whether every line of `bytes` ends in `\n`, and is handed out as it is.
    pub(crate) fn ends_lines_with_lf(&self, bytes: &[u8]) -> bool {
        match self.newline {
            Newline::Lf => true,
            Newline::Translated | Newline::Universal => !self.seen.held_cr && memchr(b'\r', bytes).is_none(),
            Newline::Cr | Newline::CrLf => false,
        }
    }

    /// Remembers that lines ended in `\n`.
    pub(crate) fn note_lf(&mut self) {
        self.seen.lf |= matches!(self.newline, Newline::Translated | Newline::Universal);
    }

    /// Decodes bytes as they are, complete characters.
    pub(crate) fn decode_raw<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        if let Some(string) = decode_short_ascii(py, bytes) {
            return string;
        }
        match self.codec {
            Codec::Utf8 => decode_utf8(py, bytes, &self.errors, None),
            Codec::Ascii => decode_ascii(py, bytes, &self.errors),
            Codec::Latin1 => decode_latin1(py, bytes),
        }
    }

    /// Decodes at most `limit` characters from the start of `bytes`. Returns them and the bytes they
    /// took; fewer than `limit` characters only if `bytes` holds no more whole ones.
    pub(crate) fn decode_chars<'py>(
        &mut self,
        py: Python<'py>,
        bytes: &[u8],
        limit: usize,
        ended: bool,
    ) -> PyResult<(Bound<'py, PyString>, usize)> {
        let mut taken = 0;
        let mut so_far: Option<Bound<'py, PyString>> = None;
        loop {
            let have = so_far.as_ref().map_or(0, char_len);
            let rest = bytes.get(taken..).unwrap_or_default();
            let end = self.end_of_chars(rest, limit - have, ended);
            let (string, used) = self.decode_at_most(py, rest, end, limit - have, ended)?;
            taken += used;
            // An error handler may make one character of several bytes, or none: then there is room for more.
            let more = used > 0 && char_len(&string) < limit - have && taken < bytes.len();
            so_far = Some(match so_far {
                None => string,
                Some(before) => before.add(string)?.cast_into()?,
            });
            if let (false, Some(string)) = (more, so_far.take_if(|_| !more)) {
                return Ok((string, taken));
            }
        }
    }

    /// Decodes the first `end` bytes or fewer, so that at most `limit` characters come of it; also says
    /// how many bytes they took. No bytes only while `bytes` holds no whole character.
    fn decode_at_most<'py>(
        &mut self,
        py: Python<'py>,
        bytes: &[u8],
        mut end: usize,
        limit: usize,
        ended: bool,
    ) -> PyResult<(Bound<'py, PyString>, usize)> {
        let mut last = ended && end == bytes.len();
        loop {
            let part = bytes.get(..end).unwrap_or(bytes);
            let (string, used) = self.decode_complete(py, part, last)?;
            let chars = char_len(&string);
            if chars > limit && end > 1 {
                // What is no character made more characters than its bytes say: it may be cut anywhere.
                end = end.saturating_sub(chars - limit).max(1);
            } else if used == 0
                && !last
                && let Some(broken) = self.broken_start(bytes, ended)
            {
                // The decoder still hopes for the rest of a character that the next bytes rule out.
                end = broken;
                last = true;
            } else {
                self.note(bytes.get(..used).unwrap_or(bytes));
                return Ok((string, used));
            }
        }
    }

    /// Decodes whole characters, their line ends translated if they are to be, and says how many bytes
    /// they are; all of them if these are the last.
    fn decode_complete<'py>(
        &self,
        py: Python<'py>,
        bytes: &[u8],
        last: bool,
    ) -> PyResult<(Bound<'py, PyString>, usize)> {
        let mut used = bytes.len();
        let string = if last || self.codec != Codec::Utf8 {
            self.decode_raw(py, bytes)?
        } else {
            decode_utf8(py, bytes, &self.errors, Some(&mut used))?
        };
        if self.newline != Newline::Translated || memchr(b'\r', bytes).is_none() {
            return Ok((string, used));
        }
        let string = string.call_method1("replace", ("\r\n", "\n"))?.call_method1("replace", ("\r", "\n"))?;
        Ok((string.cast_into()?, used))
    }

    /// Bytes at the start that are no character, whatever follows them; `None` if there are none such.
    fn broken_start(&self, bytes: &[u8], ended: bool) -> Option<usize> {
        let start = bytes.get(..4).unwrap_or(bytes);
        match std::str::from_utf8(start) {
            Err(error) if self.codec == Codec::Utf8 && error.valid_up_to() == 0 => match error.error_len() {
                None if ended => Some(start.len()),
                broken => broken,
            },
            _ => None,
        }
    }

    /// Whether the first `limit` characters of `bytes` are whole.
    pub(crate) fn holds_chars(&self, bytes: &[u8], limit: usize) -> bool {
        bytes.len() >= limit && self.walk(bytes, limit, false).0 == limit
    }

    /// Where the first `limit` characters of `bytes` end, a whole character and a whole line end at the
    /// least.
    fn end_of_chars(&self, bytes: &[u8], limit: usize, ended: bool) -> usize {
        self.walk(bytes, limit, ended).1
    }

    /// Goes over at most `limit` characters: how many there are, and the bytes they take.
    fn walk(&self, bytes: &[u8], limit: usize, ended: bool) -> (usize, usize) {
        let translates = self.newline == Newline::Translated;
        let mut chars = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let mut next = at + self.width(byte, bytes.get(at + 1..).unwrap_or_default());
            if byte == b'\r' && translates {
                match bytes.get(at + 1) {
                    Some(b'\n') => next = at + 2,
                    None if !ended => break,
                    _ => {}
                }
            }
            if chars == limit || (next > bytes.len() && !ended) {
                break;
            }
            chars += 1;
            at = next.min(bytes.len());
        }
        (chars, at)
    }

    /// Bytes of the character that starts with `lead`; 1 for what is no whole character of UTF-8. More
    /// than `rest` has when the character is cut off by its end.
    fn width(&self, lead: u8, rest: &[u8]) -> usize {
        let width = match (self.codec, lead) {
            (Codec::Utf8, 0xc2..=0xdf) => 2,
            (Codec::Utf8, 0xe0..=0xef) => 3,
            (Codec::Utf8, 0xf0..=0xf4) => 4,
            _ => return 1,
        };
        let continued = rest.iter().take(width - 1).all(|byte| byte & 0xc0 == 0x80);
        if continued { width } else { 1 }
    }

    /// Remembers which line ends `bytes` holds.
    fn note(&mut self, bytes: &[u8]) {
        if matches!(self.newline, Newline::Translated | Newline::Universal) {
            self.seen.add(Seen::of(bytes, self.seen.held_cr));
        }
    }
}

impl Seen {
    /// The line ends in `bytes`, which follow a `\r` or not.
    pub(crate) fn of(bytes: &[u8], after_cr: bool) -> Self {
        let mut seen = Self::default();
        let mut rest = match (after_cr, bytes) {
            (true, []) => return Self { held_cr: true, ..seen },
            (true, [b'\n', rest @ ..]) => {
                seen.crlf = true;
                rest
            }
            _ => {
                seen.cr = after_cr;
                bytes
            }
        };
        if let [before @ .., b'\r'] = rest {
            seen.held_cr = true;
            rest = before;
        }
        if memchr(b'\r', rest).is_none() {
            seen.lf |= memchr(b'\n', rest).is_some();
            return seen;
        }
        while let Some(found) = find_line(rest, Newline::Universal, 0, true) {
            match rest.get(found.content..found.total) {
                Some(b"\n") => seen.lf = true,
                Some(b"\r") => seen.cr = true,
                _ => seen.crlf = true,
            }
            rest = rest.get(found.total..).unwrap_or_default();
        }
        seen
    }

    /// Adds those of the bytes behind, which were looked at as what they are.
    pub(crate) fn add(&mut self, more: Self) {
        self.cr |= more.cr;
        self.lf |= more.lf;
        self.crlf |= more.crlf;
        self.held_cr = more.held_cr;
    }
}

/// `bytes` with every `\r\n` and `\r` as `\n`.
pub(crate) fn translated(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\r', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(found) = find_line(rest, Newline::Universal, 0, true) {
        out.extend_from_slice(rest.get(..found.content).unwrap_or_default());
        out.push(b'\n');
        rest = rest.get(found.total..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}
