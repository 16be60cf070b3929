//! Check lines: a digest and a file name in the forms of coreutils, `b3sum` and `xxhsum`. Pure.
//!
//! | form | example |
//! |---|---|
//! | text, binary | `HEX  NAME`, `HEX *NAME` |
//! | the same of XXH3, as `xxhsum -H3` prints | `XXH3_HEX  NAME` |
//! | reversed, as BSD's `-r` prints | `HEX NAME` |
//! | tagged, as BSD and `--tag` print | `SHA256 (NAME) = HEX` |
//! | tagged, as `openssl dgst` prints | `SHA2-256(NAME)= HEX` |
//!
//! A tagged line says which algorithm it is of. The digits of one without a tag do not: those of SHA-256
//! and BLAKE3 are as many, those of MD5 and XXH128 as well. So whoever reads them says which it may be.
//!
//! A line that starts with a backslash has a name in which `\\`, `\n` and `\r` stand for a backslash,
//! a newline and a carriage return. Names are bytes; they need not be UTF-8.

use super::{Algorithm, Digest};

/// In front of the digits of an XXH3 without a tag, so that nobody takes them for an XXH64.
const XXH3_MARK: &str = "XXH3_";

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
    /// `HEX  NAME`; of XXH3 `XXH3_HEX  NAME`.
    #[default]
    Text,
    /// `HEX *NAME`; of XXH3 `XXH3_HEX *NAME`.
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
            if digest.algorithm() == Algorithm::Xxh3 {
                line.extend(XXH3_MARK.bytes());
            }
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
///
/// A line without a tag is of the first algorithm in `untagged` whose digests have so many digits:
/// [`Algorithm::COREUTILS`] for what `md5sum`, `sha1sum`, `sha256sum` and their like print.
pub fn parse(line: &[u8], untagged: &[Algorithm]) -> Option<CheckLine> {
    let line = trim_terminator(line);
    let line = line.trim_ascii_start();
    let (line, escaped) = match line.strip_prefix(b"\\") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (digest, name) = parse_tagged(line).or_else(|| parse_untagged(line, untagged))?;
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

fn parse_untagged<'a>(line: &'a [u8], algorithms: &[Algorithm]) -> Option<(Digest, &'a [u8])> {
    let (algorithms, line) = match line.strip_prefix(XXH3_MARK.as_bytes()) {
        Some(line) => (&[Algorithm::Xxh3][..], line),
        None => (algorithms, line),
    };
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    let digest = algorithms.iter().find_map(|algorithm| Digest::from_hex(*algorithm, digits))?;
    let name = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"\t"))?;
    // The second separator is missing in the reversed form.
    let marked = name.strip_prefix(b" ").or_else(|| name.strip_prefix(b"*"));
    Some((digest, marked.unwrap_or(name)))
}

fn parse_tagged(line: &[u8]) -> Option<(Digest, &[u8])> {
    let (tag, rest) = line.split_at(line.iter().position(|byte| *byte == b'(')?);
    let algorithm = of_tag(tag.strip_suffix(b" ").unwrap_or(tag))?;
    // The name may hold a parenthesis, the digest cannot.
    let end = rest.iter().rposition(|byte| *byte == b')')?;
    let (name, rest) = rest.split_at(end);
    let name = name.strip_prefix(b"(")?;
    let digits = rest.strip_prefix(b")")?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    Some((Digest::from_hex(algorithm, digits)?, name))
}

/// The algorithm that a tag names. OpenSSL writes SHA-2 as `SHA2-256`.
fn of_tag(tag: &[u8]) -> Option<Algorithm> {
    let named = |name: &[u8]| Algorithm::ALL.into_iter().find(|algorithm| algorithm.tag().as_bytes() == name);
    match tag.strip_prefix(b"SHA2-") {
        Some(bits) => named(&[b"SHA", bits].concat()),
        None => named(tag),
    }
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
        Digest::from_hex(Algorithm::Sha256, HEX.as_bytes()).unwrap()
    }

    fn name_in(line: &[u8]) -> Option<Vec<u8>> {
        let parsed = parse(line, &Algorithm::COREUTILS)?;
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
            (with_hex("SHA2-256(a)= ", ""), "a"),
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
            with_hex("SHA2-256 a = ", ""),
            with_hex("SHA2-SHA256 (a) = ", ""),
            with_hex("sha256 (a) = ", ""),
            with_hex("XXH3_", "  a"),
            b"XXH64 (a) = 44bc2cf5ad770999".to_vec(),
            b"XXH3_LE (a) = 50392f89945faf78".to_vec(),
            b"44bc2cf5ad770999  a".to_vec(),
            b"364b3fb7  a".to_vec(),
        ] {
            assert_eq!(parse(&line, &Algorithm::COREUTILS), None, "{}", line.escape_ascii());
        }
        assert!(is_blank(b"\r\n") && is_blank(b"# x\n") && !is_blank(b" x"));
    }

    /// Lines of a file that holds `abc`: coreutils 9.1 (`md5sum --tag`, `md5sum`, `sha1sum --tag`,
    /// `sha256sum --tag`), b3sum 1.8 (`--tag`), xxhsum 0.8.1 (`-H3`, `-H2 --tag`), xxhsum 0.8.3 (`-H3`),
    /// OpenSSL 3.0 (`dgst -md5`, `dgst -sha256`).
    const PRINTED: [(&str, Algorithm); 10] = [
        ("MD5 (a) = 900150983cd24fb0d6963f7d28e17f72", Algorithm::Md5),
        ("900150983cd24fb0d6963f7d28e17f72  a", Algorithm::Md5),
        ("SHA1 (a) = a9993e364706816aba3e25717850c26c9cd0d89d", Algorithm::Sha1),
        ("SHA256 (a) = ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Algorithm::Sha256),
        ("BLAKE3 (a) = 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85", Algorithm::Blake3),
        ("XXH3 (a) = 78af5f94892f3950", Algorithm::Xxh3),
        ("XXH128 (a) = 06b05ab6733a618578af5f94892f3950", Algorithm::Xxh128),
        ("XXH3_78af5f94892f3950  a", Algorithm::Xxh3),
        ("MD5(a)= 900150983cd24fb0d6963f7d28e17f72", Algorithm::Md5),
        ("SHA2-256(a)= ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Algorithm::Sha256),
    ];

    #[test]
    fn what_the_programs_print_is_read_as_what_it_is() {
        for (line, algorithm) in PRINTED {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"abc");
            let expected = CheckLine { digest: hasher.finish(), name: b"a".to_vec() };
            assert_eq!(parse(line.as_bytes(), &Algorithm::COREUTILS), Some(expected), "{line}");
        }
    }

    #[test]
    fn a_line_without_a_tag_is_of_the_first_algorithm_it_may_be_with_so_many_digits() {
        let of = |line: &[u8], untagged: &[Algorithm]| Some(parse(line, untagged)?.digest.algorithm());
        let line = with_hex("", "  a");
        assert_eq!(of(&line, &[Algorithm::Blake3]), Some(Algorithm::Blake3));
        assert_eq!(
            of(&line, &[Algorithm::Md5, Algorithm::Blake3, Algorithm::Sha256]),
            Some(Algorithm::Blake3)
        );
        assert_eq!(of(&line, &[Algorithm::Sha512]), None);
        assert_eq!(of(&line, &[]), None);
        assert_eq!(of(b"364b3fb7  a", &[Algorithm::Crc32c]), Some(Algorithm::Crc32c));
        assert_eq!(of(b"78af5f94892f3950  a", &[Algorithm::Xxh3]), Some(Algorithm::Xxh3));
        let tagged = with_hex("BLAKE3 (a) = ", "");
        assert_eq!(of(&tagged, &[Algorithm::Sha256]), Some(Algorithm::Blake3));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            name in prop::collection::vec(1_u8.., 1..40),
            content in prop::collection::vec(any::<u8>(), 0..8),
            algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
            terminator in prop::sample::select(vec!["", "\n", "\r\n"]),
        ) {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&content);
            let digest = hasher.finish();
            for form in [Form::Text, Form::Binary, Form::Tagged] {
                let mut line = format(&digest, &name, form);
                prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
                line.extend(terminator.bytes());
                let expected = CheckLine { digest, name: name.clone() };
                prop_assert_eq!(parse(&line, &[algorithm]), Some(expected));
            }
        }

        #[test]
        fn no_line_makes_the_parser_panic(line in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&line, &Algorithm::ALL);
        }

        #[test]
        fn no_line_that_looks_like_one_makes_the_parser_panic(tail in r"[ \\*()=\rnSHA256X_-]{0,40}") {
            let _ = parse(&with_hex("", &tail), &Algorithm::ALL);
            let _ = parse(&with_hex(&tail, ""), &Algorithm::ALL);
        }
    }
}
