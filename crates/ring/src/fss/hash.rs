//! The hash of the trees: fixed-key AES-128 in Matyas-Meyer-Oseas mode, h(s) = AES_K(s ⊕ tweak) ⊕ s, in batches.
//!
//! One key for the tree, whose tweak is the direction, and one for the conversion of a seed to values, whose tweak is
//! the block's number. **Source** Bellare et al., S&P'13; Guo et al., S&P'20, for what it takes.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use std::sync::LazyLock;
use zeroize::Zeroize;

/// Nothing up the sleeve: the fraction digits of π in hexadecimal, the first and the second 128 bits.
static TREE: LazyLock<Aes128> = LazyLock::new(|| keyed(0x243F_6A88_85A3_08D3_1319_8A2E_0370_7344));
static CONVERT: LazyLock<Aes128> = LazyLock::new(|| keyed(0xA409_3822_299F_31D0_082E_FA98_EC4E_6C89));

fn keyed(key: u128) -> Aes128 {
    Aes128::new(&key.to_be_bytes().into())
}

/// Hashes batches; the working memory is wiped on drop.
#[derive(Default)]
pub(super) struct Hash {
    blocks: Vec<Block>,
}

impl Drop for Hash {
    fn drop(&mut self) {
        for block in &mut self.blocks {
            block.as_mut_slice().zeroize();
        }
    }
}

impl Hash {
    /// The hashes of nodes' children: of a seed and a direction, 0 or 1.
    pub(super) fn children(&mut self, nodes: impl Iterator<Item = (u128, u128)> + Clone, out: &mut [u128]) {
        self.hash(&TREE, nodes, out);
    }

    /// Blocks of values: of a seed and a block's number below 8.
    pub(super) fn values(&mut self, nodes: impl Iterator<Item = (u128, u128)> + Clone, out: &mut [u128]) {
        self.hash(&CONVERT, nodes, out);
    }

    fn hash(&mut self, cipher: &Aes128, nodes: impl Iterator<Item = (u128, u128)> + Clone, out: &mut [u128]) {
        if self.blocks.len() < out.len() {
            // At once as large as any batch: growing would leave a copy behind.
            self.blocks.resize(out.len().max(super::BATCH), Block::default());
        }
        let blocks = &mut self.blocks[..out.len()];
        for (block, (seed, tweak)) in blocks.iter_mut().zip(nodes.clone()) {
            *block = (seed ^ tweak).to_le_bytes().into();
        }
        cipher.encrypt_blocks(blocks);
        for ((out, block), (seed, _)) in out.iter_mut().zip(blocks).zip(nodes) {
            *out = u128::from_le_bytes((*block).into()) ^ seed;
        }
    }
}
