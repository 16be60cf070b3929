//! Pure: where the last lines of a file or of a stream begin.

use std::collections::VecDeque;

/// Counts lines backwards from the end, one block after the other.
#[derive(Debug)]
pub(super) struct FromEnd {
    terminator: u8,
    /// Lines still to be found.
    wanted: u64,
    /// Whether the block to come holds the very last byte, whose terminator begins no line.
    last: bool,
}

impl FromEnd {
    pub(super) fn new(terminator: u8, wanted: u64) -> Self {
        Self { terminator, wanted, last: true }
    }

    /// Where in `block` the wanted lines begin, if not before it. The block ends where the one in
    /// front of it, in the order of calls, begins.
    pub(super) fn block(&mut self, block: &[u8]) -> Option<usize> {
        if self.wanted == 0 {
            return Some(block.len());
        }
        for at in memchr::memrchr_iter(self.terminator, block) {
            if self.last && at + 1 == block.len() {
                continue;
            }
            self.wanted -= 1;
            if self.wanted == 0 {
                return Some(at + 1);
            }
        }
        self.last &= block.is_empty();
        None
    }
}

/// Counts lines forwards, to leave some out.
#[derive(Debug)]
pub(super) struct FromStart {
    terminator: u8,
    /// Lines still to be left out.
    left_out: u64,
}

impl FromStart {
    pub(super) fn new(terminator: u8, left_out: u64) -> Self {
        Self { terminator, left_out }
    }

    /// Where in `block` the wanted lines begin; its length, if behind it.
    pub(super) fn block(&mut self, block: &[u8]) -> usize {
        let mut ends = memchr::memchr_iter(self.terminator, block);
        while self.left_out > 0 {
            let Some(at) = ends.next() else { return block.len() };
            self.left_out -= 1;
            if self.left_out == 0 {
                return at + 1;
            }
        }
        0
    }
}

/// The last lines of a stream, of which only what they may lie in is held.
#[derive(Debug)]
pub(super) struct Ring {
    terminator: u8,
    wanted: u64,
    /// Oldest first; all but the last are of `BLOCK` bytes.
    blocks: VecDeque<Block>,
    /// Terminators in all blocks.
    terminators: u64,
}

#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    terminators: u64,
}

impl Ring {
    /// Bytes of a block; whole blocks are dropped.
    const BLOCK: usize = 64 * 1024;

    pub(super) fn new(terminator: u8, wanted: u64) -> Self {
        Self { terminator, wanted, blocks: VecDeque::new(), terminators: 0 }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.wanted > 0 {
            let room = self.blocks.back().map_or(0, |block| Self::BLOCK - block.bytes.len());
            if room == 0 {
                self.blocks.push_back(Block::default());
                continue;
            }
            let (fitting, rest) = bytes.split_at(bytes.len().min(room));
            let terminators = memchr::memchr_iter(self.terminator, fitting).count() as u64;
            if let Some(block) = self.blocks.back_mut() {
                block.bytes.extend_from_slice(fitting);
                block.terminators += terminators;
            }
            self.terminators += terminators;
            bytes = rest;
            self.drop_old();
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes.len()).sum()
    }

    /// The last lines, in pieces.
    pub(super) fn into_pieces(mut self) -> impl Iterator<Item = Vec<u8>> {
        let mut lines = FromEnd::new(self.terminator, self.wanted);
        let mut start = (0, 0);
        for (index, block) in self.blocks.iter().enumerate().rev() {
            if let Some(at) = lines.block(&block.bytes) {
                start = (index, at);
                break;
            }
        }
        self.blocks.drain(..start.0);
        if let Some(first) = self.blocks.front_mut() {
            first.bytes.drain(..start.1);
        }
        self.blocks.into_iter().map(|block| block.bytes)
    }

    /// Drops blocks that no wanted line can begin in. One more terminator than lines must stay: the
    /// last byte may be one, and then it begins no line.
    fn drop_old(&mut self) {
        while let Some(oldest) = self.blocks.front()
            && self.terminators - oldest.terminators > self.wanted
        {
            self.terminators -= oldest.terminators;
            self.blocks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The twin: all lines in memory.
    fn naive(input: &[u8], wanted: usize) -> Vec<u8> {
        let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
        lines[lines.len().saturating_sub(wanted)..].concat()
    }

    fn backwards(input: &[u8], wanted: u64, block_bytes: usize) -> Vec<u8> {
        let mut lines = FromEnd::new(b'\n', wanted);
        let mut end = input.len();
        while end > 0 {
            let start = end.saturating_sub(block_bytes);
            if let Some(at) = lines.block(&input[start..end]) {
                return input[start + at..].to_vec();
            }
            end = start;
        }
        input.to_vec()
    }

    fn forwards(input: &[u8], left_out: u64, block_bytes: usize) -> Vec<u8> {
        let mut lines = FromStart::new(b'\n', left_out);
        input.chunks(block_bytes).flat_map(|block| &block[lines.block(block)..]).copied().collect()
    }

    fn through_a_ring(input: &[u8], wanted: u64, block_bytes: usize) -> Vec<u8> {
        let mut ring = Ring::new(b'\n', wanted);
        for block in input.chunks(block_bytes) {
            ring.push(block);
        }
        ring.into_pieces().flatten().collect()
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'a')], 0..200)
    }

    proptest! {
        #[test]
        fn last_lines_are_those_of_the_naive_twin(input in text(), wanted in 0..30_usize, block in 1..40_usize) {
            let expected = naive(&input, wanted);
            prop_assert_eq!(&backwards(&input, wanted as u64, block), &expected);
            prop_assert_eq!(&through_a_ring(&input, wanted as u64, block), &expected);
        }

        #[test]
        fn left_out_lines_are_those_of_the_naive_twin(input in text(), left in 0..30_usize, block in 1..40_usize) {
            let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
            prop_assert_eq!(forwards(&input, left as u64, block), lines[left.min(lines.len())..].concat());
        }

        #[test]
        fn a_ring_of_many_blocks_keeps_the_last_lines_and_drops_the_rest(
            lens in prop::collection::vec(0..3 * Ring::BLOCK, 1..12),
            wanted in 1..6_usize,
        ) {
            let mut input = Vec::new();
            for len in &lens {
                input.extend(std::iter::repeat_n(b'x', *len));
                input.push(b'\n');
            }
            let expected = naive(&input, wanted);
            let mut ring = Ring::new(b'\n', wanted as u64);
            input.chunks(10_007).for_each(|chunk| ring.push(chunk));
            prop_assert!(ring.len() <= expected.len() + 2 * Ring::BLOCK + lens.iter().max().unwrap());
            prop_assert!(ring.into_pieces().flatten().eq(expected));
        }
    }
}
