//! BLAKE3's tree over blocks of one size that are hashed each by itself. Pure.
//!
//! BLAKE3 hashes pieces of 1 KiB and merges two neighbours into one value, and these again. A block of
//! [`BLOCK_BYTES`], a power of two, is a whole branch of that tree, so its value can be computed without
//! the others; what is left is to merge the values in order, as the algorithm's own specification does
//! with pieces (section 5.1.2).

use crate::limits::CHUNK_BYTES;
use blake3::{
    Hash, Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

/// Bytes of every block but the last, which may have fewer.
pub(super) const BLOCK_BYTES: usize = CHUNK_BYTES;

const _: () = assert!(BLOCK_BYTES.is_power_of_two() && BLOCK_BYTES >= blake3::CHUNK_LEN);

/// What one block comes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaf {
    /// Of the first block: there may be no other, and then this is the hash.
    First { value: Option<ChainingValue>, alone: Hash },
    /// Of any other.
    Next(ChainingValue),
}

/// Hashes the block with this number, counted from 0; `None` for one without bytes behind another.
pub(super) fn leaf(number: u64, bytes: &[u8]) -> Option<Leaf> {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(number * BLOCK_BYTES as u64);
    hasher.update(bytes);
    let value = (!bytes.is_empty()).then(|| hasher.finalize_non_root());
    if number == 0 {
        return Some(Leaf::First { value, alone: hasher.finalize() });
    }
    value.map(Leaf::Next)
}

/// The values of the blocks so far, merged as far as they can be.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Of branches that are complete and have a neighbour to come, each of fewer blocks than the one in
    /// front of it: one for each bit that is set in `merged`.
    branches: Vec<ChainingValue>,
    /// Blocks in `branches`.
    merged: u64,
    /// Of the last block, which is merged when it turns out not to be the last: the top of the tree is
    /// merged in another way.
    last: Option<ChainingValue>,
    /// The hash if there is no block but the first.
    alone: Option<Hash>,
}

impl Tree {
    /// Takes the next block.
    pub(super) fn push(&mut self, leaf: Leaf) {
        let value = match leaf {
            Leaf::First { value, alone } => {
                self.alone = Some(alone);
                value
            }
            Leaf::Next(value) => Some(value),
        };
        if let Some(last) = self.last.take() {
            self.merge(last);
        }
        self.last = value;
    }

    fn merge(&mut self, block: ChainingValue) {
        let mut value = block;
        // As with the carry when one is added to the count: each one bit at its end is a branch of as many
        // blocks as the one that grows here.
        for _ in 0..self.merged.trailing_ones() {
            if let Some(left) = self.branches.pop() {
                value = merge_subtrees_non_root(&left, &value, Mode::Hash);
            }
        }
        self.branches.push(value);
        self.merged += 1;
    }

    /// The hash of all blocks taken.
    pub(super) fn finish(mut self) -> Hash {
        if let Some(mut right) = self.last {
            while let Some(left) = self.branches.pop() {
                if self.branches.is_empty() {
                    return merge_subtrees_root(&left, &right, Mode::Hash);
                }
                right = merge_subtrees_non_root(&left, &right, Mode::Hash);
            }
        }
        self.alone.unwrap_or_else(|| blake3::hash(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|index| u8::try_from(index % 253).unwrap()).collect()
    }

    fn hash(content: &[u8]) -> Hash {
        let mut tree = Tree::default();
        for (number, block) in (0..).zip(content.chunks(BLOCK_BYTES)) {
            tree.push(leaf(number, block).unwrap());
        }
        tree.finish()
    }

    #[test]
    fn any_count_of_blocks_comes_to_the_hash_of_the_bytes() {
        let content = content(18 * BLOCK_BYTES);
        for blocks in 0..=17 {
            for more in [0, 1, 1023, 1024, 1025, BLOCK_BYTES - 1] {
                let content = &content[..blocks * BLOCK_BYTES + more];
                assert_eq!(hash(content), blake3::hash(content), "{blocks} blocks and {more} bytes");
            }
        }
    }

    #[test]
    fn a_block_without_bytes_counts_only_where_it_is_the_first() {
        assert!(leaf(1, &[]).is_none());
        let mut tree = Tree::default();
        tree.push(leaf(0, &[]).unwrap());
        assert_eq!(tree.finish(), blake3::hash(&[]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn content_of_any_length_comes_to_its_hash(len in 0..12 * BLOCK_BYTES) {
            let content = content(len);
            prop_assert_eq!(hash(&content), blake3::hash(&content));
        }
    }
}
