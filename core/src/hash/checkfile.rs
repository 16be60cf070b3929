//! Check lines: a digest and a file name in the forms of coreutils. Pure.
//!
//! | form | example |
//! |---|---|
//! | text, binary | `HEX  NAME`, `HEX *NAME` |
//! | reversed, as BSD's `-r` prints | `HEX NAME` |
//! | tagged, as BSD and `--tag` print | `SHA256 (NAME) = HEX` |
//!
//! A line that starts with a backslash has a name in which `\\`, `\n` and `\r` stand for a backslash,
//! a newline and a carriage return. Names are bytes; they need not be UTF-8.

use super::{Algorithm, Digest};

/// A digest, and the name of the file it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckLine {
    /// What the file must hash to.
    pub digest: Digest,
    /// The file's name, unescaped, without NUL bytes.
    pub name: Vec<u8>,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `HEX  NAME`.
    #[default]
    Text,
    /// `HEX *NAME`.
    Binary,
    /// `SHA256 (NAME) = HEX`.
    Tagged,
}

/// The line for `name` without its newline.
pub fn format(digest: &Digest, name: &[u8], form: Form) -> Vec<u8> {
    let (escaped_name, escaped) = escape(name);
    let mut line = if escaped { b"\\".to_vec() } else { Vec::new() };
    match form {
        Form::Text | Form::Binary => {
            line.extend(digest.to_string().bytes());
            line.extend(if form == Form::Text { b"  " } else { b" *" });
            line.extend(escaped_name);
        }
        Form::Tagged => {
            line.extend(digest.algorithm().tag().bytes());
            line.extend(b" (");
            line.extend(escaped_name);
            line.extend(b") = ");
            line.extend(digest.to_string().bytes());
        }
    }
    line
}

/// Reads one line, with or without its newline or carriage return and newline; `None` if it is no
/// check line.
pub fn parse(line: &[u8]) -> Option<CheckLine> {
    let line = trim_terminator(line);
    let line = line.trim_ascii_start();
    let (line, escaped) = match line.strip_prefix(b"\\") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (digest, name) = parse_tagged(line).or_else(|| parse_untagged(line))?;
    let name = if escaped { unescape(name)? } else { name.to_vec() };
    (!name.is_empty() && !name.contains(&0)).then_some(CheckLine { digest, name })
}

/// Whether a line says nothing: it is empty or a comment.
pub fn is_blank(line: &[u8]) -> bool {
    let line = trim_terminator(line);
    line.is_empty() || line.starts_with(b"#")
}

fn trim_terminator(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn parse_untagged(line: &[u8]) -> Option<(Digest, &[u8])> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    let digest = Digest::from_hex(digits)?;
    let name = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"\t"))?;
    // The second separator is missing in the reversed form.
    let marked = name.strip_prefix(b" ").or_else(|| name.strip_prefix(b"*"));
    Some((digest, marked.unwrap_or(name)))
}

fn parse_tagged(line: &[u8]) -> Option<(Digest, &[u8])> {
    let (algorithm, rest) = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let rest = line.strip_prefix(algorithm.tag().as_bytes())?;
        Some((algorithm, rest))
    })?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest).strip_prefix(b"(")?;
    // The name may hold a parenthesis, the digest cannot.
    let end = rest.iter().rposition(|byte| *byte == b')')?;
    let (name, rest) = rest.split_at(end);
    let digits = rest.strip_prefix(b")")?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let digest = Digest::from_hex(digits).filter(|digest| digest.algorithm() == algorithm)?;
    Some((digest, name))
}

/// The name as it stands in a line, and whether the line must start with a backslash.
pub fn escape(name: &[u8]) -> (Vec<u8>, bool) {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'\\' => escaped.extend(b"\\\\"),
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            _ => escaped.push(*byte),
        }
    }
    let changed = escaped.len() != name.len();
    (escaped, changed)
}

fn unescape(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::{super::Hasher, *};
    use proptest::prelude::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn abc() -> Digest {
        Digest::from_hex(HEX.as_bytes()).unwrap()
    }

    fn name_in(line: &[u8]) -> Option<Vec<u8>> {
        let parsed = parse(line)?;
        assert_eq!(parsed.digest, abc());
        Some(parsed.name)
    }

    fn with_hex(before: &str, after: &str) -> Vec<u8> {
        format!("{before}{HEX}{after}").into_bytes()
    }

    #[test]
    fn every_form_of_coreutils_is_read() {
        for (line, name) in [
            (with_hex("", "  a b"), "a b"),
            (with_hex("", " *a"), "a"),
            (with_hex("", " a"), "a"),
            (with_hex("", "   a"), " a"),
            (with_hex(" \t", "  a\r\n"), "a"),
            (with_hex("", "  a\n"), "a"),
            (with_hex("\\", "  a\\\\b\\nc\\rd"), "a\\b\nc\rd"),
            (with_hex("", "  a\\nb"), "a\\nb"),
            (with_hex("SHA256 (a) = ", ""), "a"),
            (with_hex("SHA256(a)= ", "\r\n"), "a"),
            (with_hex("SHA256 (a) = (b) = ", ""), "a) = (b"),
            (with_hex("\\SHA256 (a\\nb) = ", ""), "a\nb"),
            (format!("{}  a", HEX.to_uppercase()).into_bytes(), "a"),
        ] {
            assert_eq!(name_in(&line), Some(name.as_bytes().to_vec()), "{}", line.escape_ascii());
        }
        assert_eq!(name_in(&[HEX.as_bytes(), b"  \xff\xfe"].concat()), Some(b"\xff\xfe".to_vec()));
    }

    #[test]
    fn what_is_no_check_line_is_refused() {
        for line in [
            b"".to_vec(),
            b"abc  a".to_vec(),
            with_hex("", ""),
            with_hex("", "  "),
            with_hex("", "a"),
            with_hex("0", "  a"),
            with_hex("", "  a\0b"),
            with_hex("\\", "  a\\tb"),
            with_hex("\\", "  a\\"),
            with_hex("SHA512 (a) = ", ""),
            with_hex("SHA256 (a = ", ""),
            with_hex("MD5 (a) = ", ""),
        ] {
            assert_eq!(parse(&line), None, "{}", line.escape_ascii());
        }
        assert!(is_blank(b"\r\n") && is_blank(b"# x\n") && !is_blank(b" x"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            name in prop::collection::vec(1_u8.., 1..40),
            content in prop::collection::vec(any::<u8>(), 0..8),
            which in 0..4_usize,
            terminator in prop::sample::select(vec!["", "\n", "\r\n"]),
        ) {
            let mut hasher = Hasher::new(Algorithm::ALL[which]);
            hasher.update(&content);
            let digest = hasher.finish();
            for form in [Form::Text, Form::Binary, Form::Tagged] {
                let mut line = format(&digest, &name, form);
                prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
                line.extend(terminator.bytes());
                prop_assert_eq!(parse(&line), Some(CheckLine { digest, name: name.clone() }));
            }
        }

        #[test]
        fn no_line_makes_the_parser_panic(line in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&line);
        }

        #[test]
        fn no_line_that_looks_like_one_makes_the_parser_panic(tail in r"[ \\*()=\rnSHA256]{0,40}") {
            let _ = parse(&with_hex("", &tail));
            let _ = parse(&with_hex(&tail, ""));
        }
    }
}
