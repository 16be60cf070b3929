//! Blocks of zeros, which need not be stored. Pure.

use crate::limits::BLOCK_ALIGN;

/// A run of bytes that are all to be stored, or all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) len: usize,
    pub(crate) is_zero: bool,
}

/// The runs of `bytes`, which stand at `offset` of a file. Zeros count as such where they fill a block of the
/// file ([`BLOCK_ALIGN`]), or all of it that is here: the rest of it may be zero as well.
pub(crate) fn runs(bytes: &[u8], offset: u64) -> impl Iterator<Item = Run> {
    let mut blocks = blocks(bytes, offset).peekable();
    std::iter::from_fn(move || {
        let mut run = blocks.next()?;
        while let Some(more) = blocks.next_if(|next| next.is_zero == run.is_zero) {
            run.len += more.len;
        }
        Some(run)
    })
}

fn blocks(bytes: &[u8], offset: u64) -> impl Iterator<Item = Run> {
    let mut rest = bytes;
    let into = usize::try_from(offset % BLOCK_ALIGN as u64).unwrap_or(0);
    let mut room = BLOCK_ALIGN - into;
    std::iter::from_fn(move || {
        let (block, behind) = rest.split_at(room.min(rest.len()));
        rest = behind;
        room = BLOCK_ALIGN;
        let is_zero = is_zero(block);
        (!block.is_empty()).then_some(Run { len: block.len(), is_zero })
    })
}

/// Whether every byte is zero, eight at a time.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| u64::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zeros_count_where_all_that_is_here_of_a_block_of_the_file_is_zero() {
        let mut bytes = vec![0; 3 * BLOCK_ALIGN];
        bytes[BLOCK_ALIGN] = 1;
        let of = |offset| runs(&bytes, offset).map(|run| (run.len, run.is_zero)).collect::<Vec<_>>();
        assert_eq!(of(0), [(BLOCK_ALIGN, true), (BLOCK_ALIGN, false), (BLOCK_ALIGN, true)]);
        // The one is the second byte of a block.
        assert_eq!(of(1), [(BLOCK_ALIGN - 1, true), (BLOCK_ALIGN, false), (BLOCK_ALIGN + 1, true)]);
        assert_eq!(runs(&[0; 10], 5).map(|run| (run.len, run.is_zero)).collect::<Vec<_>>(), [(10, true)]);
        assert_eq!(runs(&[], 0).count(), 0);
    }

    proptest! {
        #[test]
        fn runs_cover_all_bytes_and_zero_runs_hold_nothing_else(
            blocks in prop::collection::vec(prop_oneof![Just(None), (0..BLOCK_ALIGN).prop_map(Some)], 0..8),
            tail in 0..BLOCK_ALIGN,
            offset in prop_oneof![Just(0_u64), 0..10_000_u64],
        ) {
            let mut bytes = vec![0; blocks.len() * BLOCK_ALIGN + tail];
            for (number, place) in blocks.iter().enumerate() {
                if let Some(place) = place {
                    bytes[number * BLOCK_ALIGN + place] = 1;
                }
            }
            let mut at = 0;
            for run in runs(&bytes, offset) {
                if run.is_zero {
                    prop_assert!(bytes[at..at + run.len].iter().all(|byte| *byte == 0));
                    prop_assert!(at == 0 || (offset + at as u64).is_multiple_of(BLOCK_ALIGN as u64));
                }
                prop_assert!(run.len > 0);
                at += run.len;
            }
            prop_assert_eq!(at, bytes.len());
        }
    }
}
