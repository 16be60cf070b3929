//! Sizes as people write and read them.

/// The letters of the units, each 1024 (or 1000) times the one before.
const LETTERS: &str = "KMGTPE";

/// What an option says that takes a size.
#[allow(dead_code, reason = "for the options that take sizes")]
pub(crate) const HELP: &str = "a number of bytes, or one with a unit: K, M, G, T, P, E or KiB, MiB, ... \
     (powers of 1024), KB, MB, ... (powers of 1000)";

/// The bytes of a size such as `512`, `64K`, `1MiB`, `10MB` or `1.5G`, as GNU tools understand it.
///
/// | written | bytes |
/// |---|---|
/// | `512`, `512B` | 512 |
/// | `64K`, `64k`, `64KiB` | 64 × 1024 |
/// | `64KB`, `64kB` | 64 × 1000 |
/// | `M`, `G`, `T`, `P`, `E`, likewise | powers of 1024, with `B` behind it of 1000 |
///
/// A number with a unit may have a fraction; what is then no whole byte is cut off.
///
/// # Errors
///
/// What is wrong, in words that fit behind the option's name.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err("a number is wanted, such as 512, 64K, 1MiB or 10MB".to_owned());
    }
    if fraction.contains('.') {
        return Err(format!("{number} is not a number"));
    }
    let unit = unit(suffix).ok_or_else(|| {
        format!("{suffix:?} is not a unit: use K, M, G, T, P or E, with iB behind it or nothing (1024), or B (1000)")
    })?;
    if unit == 1 && number.contains('.') {
        return Err("a fraction of a byte makes no sense".to_owned());
    }
    bytes(whole, fraction, unit).ok_or_else(|| "more than 16 EiB less one byte".to_owned())
}

/// The bytes of one unit.
fn unit(suffix: &str) -> Option<u64> {
    let mut letters = suffix.chars();
    let Some(letter) = letters.next() else { return Some(1) };
    let base: u64 = match letters.as_str() {
        "" if letter == 'B' => return Some(1),
        "" | "iB" => 1024,
        "B" => 1000,
        _ => return None,
    };
    let exponent = LETTERS.find(letter.to_ascii_uppercase())? + 1;
    base.checked_pow(u32::try_from(exponent).ok()?)
}

/// `whole.fraction` units, rounded down; `None` if they are too many.
fn bytes(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let digit = |letter: char| letter.to_digit(10).map(u128::from);
    let whole = whole.chars().try_fold(0_u64, |value, letter| {
        value.checked_mul(10)?.checked_add(u64::from(letter.to_digit(10)?))
    })?;
    // From the last digit to the first, this is exact but for what is below one byte and below the
    // 18th digit, which no unit turns into one.
    let mut below = 0_u128;
    for letter in fraction.chars().take(18).collect::<Vec<_>>().into_iter().rev() {
        below = (digit(letter)? * SCALE + below) / 10;
    }
    let below = u64::try_from(below * u128::from(unit) / SCALE).ok()?;
    whole.checked_mul(unit)?.checked_add(below)
}

/// One, in the fractions of `bytes`: every digit that is kept divides it.
const SCALE: u128 = 1_000_000_000_000_000_000;

/// A number of bytes for people: three or four digits and a unit of 1024.
#[allow(clippy::cast_precision_loss, reason = "a few digits are shown")]
pub(crate) fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut letters = LETTERS.chars();
    let mut letter = ' ';
    // What would be shown as 1024 belongs to the next unit.
    while value >= 1023.95 {
        let Some(next) = letters.next() else { break };
        letter = next;
        value /= 1024.0;
    }
    format!("{value:.1} {letter}iB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_mean_what_they_mean_to_gnu_tools() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64K", 65_536),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("64kB", 64_000),
            ("1MiB", 1_048_576),
            ("10M", 10_485_760),
            ("10MB", 10_000_000),
            ("1.5G", 1_610_612_736),
            (".5K", 512),
            ("2.K", 2048),
            ("0.1K", 102),
            ("0.3KB", 300),
            ("1T", 1 << 40),
            ("1P", 1 << 50),
            ("15E", 15 << 60),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "a number is wanted"),
            ("K", "a number is wanted"),
            (".", "a number is wanted"),
            ("-1", "a number is wanted"),
            ("1.2.3K", "1.2.3 is not a number"),
            ("1.5", "a fraction of a byte"),
            ("1.5B", "a fraction of a byte"),
            ("10Mb", "\"Mb\" is not a unit"),
            ("10 M", "\" M\" is not a unit"),
            ("10Ki", "\"Ki\" is not a unit"),
            ("10ü", "\"ü\" is not a unit"),
            ("16E", "more than 16 EiB"),
            ("18446744073709551616", "more than 16 EiB"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.starts_with(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn bytes_are_shown_with_a_unit_that_keeps_them_short() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human(bytes), shown);
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_multiplied_and_only_too_large_ones_refused(number: u64, letter in 0_u32..6, thousand: bool) {
            let (base, tail) = if thousand { (1000_u64, "B") } else { (1024, "iB") };
            let text = format!("{number}{}{tail}", LETTERS.chars().nth(letter as usize).unwrap());
            let expected = base.checked_pow(letter + 1).and_then(|unit| unit.checked_mul(number));
            prop_assert_eq!(parse(&text).ok(), expected);
        }

        #[test]
        fn fractions_are_exact(thousandths in 0_u64..1_000_000_000) {
            let text = format!("{}.{:03}MiB", thousandths / 1000, thousandths % 1000);
            prop_assert_eq!(parse(&text), Ok(thousandths * 1_048_576 / 1000));
        }

        #[test]
        fn nothing_makes_it_panic(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_shown_is_short_and_near(bytes: u64) {
            let shown = human(bytes);
            prop_assert!(shown.len() <= 10);
            let back = parse(&shown.replace(' ', "")).unwrap_or(u64::MAX);
            prop_assert!(back.abs_diff(bytes) <= bytes / 20);
        }
    }
}
