//! The hash of the trees: AES-128 under a public key, in Matyas-Meyer-Oseas mode, h(s) = AES_K(s ⊕ tweak) ⊕ s, in
//! batches.
//!
//! Two keys per session, both from the session's [`HashKey`]: one for the tree, whose tweak is the direction, and one for
//! the conversion of a seed to values, whose tweak is the block's number.
//!
//! **Assumption** AES-128 behaves as an ideal cipher under each of these keys, or at least h is correlation robust.
//! **Keys** are not secret, but must not depend on the roots: the dealer draws a fresh key for each session, before the roots
//! and independently of them. With one key per session, whoever guesses seeds offline can compare them with the nodes of
//! one session at a time; with a fixed key they could compare with all nodes ever dealt.
//! **Source** Bellare et al., S&P'13; Guo et al., S&P'20, for what the hash needs; Guo et al., CRYPTO'20, for what is
//! lost with one key for all instances.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use zeroize::Zeroize;

/// The key of one session's hashes, with its key schedules: make it once per session. Public.
///
/// The schedules have one place on the heap, as a seed has, so that a search of freed memory finds no copies of them.
pub struct HashKey(Box<Ciphers>);

struct Ciphers {
    tree: Aes128,
    convert: Aes128,
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    /// From 128 bits that are drawn for one session, independent of its roots.
    pub fn new(session: &[u8; 16]) -> Self {
        // Different blocks under one key are different keys, and as good as independent.
        let cipher = Aes128::new(session.into());
        let [tree, convert] = [0u8, 1].map(|purpose| {
            let mut block = Block::from([purpose; 16]);
            cipher.encrypt_block(&mut block);
            Aes128::new(&block)
        });
        Self(Box::new(Ciphers { tree, convert }))
    }
}

/// Hashes batches; the working memory is wiped on drop.
pub(super) struct Hash<'a> {
    key: &'a HashKey,
    blocks: Vec<Block>,
}

impl Drop for Hash<'_> {
    fn drop(&mut self) {
        for block in &mut self.blocks {
            block.as_mut_slice().zeroize();
        }
    }
}

impl<'a> Hash<'a> {
    pub(super) fn new(key: &'a HashKey) -> Self {
        Self { key, blocks: Vec::new() }
    }

    /// The hashes of nodes' children: of a seed and a direction, 0 or 1.
    pub(super) fn children(&mut self, nodes: impl Iterator<Item = (u128, u128)> + Clone, out: &mut [u128]) {
        self.hash(&self.key.0.tree, nodes, out);
    }

    /// Blocks of values: of a seed and a block's number below 8.
    pub(super) fn values(&mut self, nodes: impl Iterator<Item = (u128, u128)> + Clone, out: &mut [u128]) {
        self.hash(&self.key.0.convert, nodes, out);
    }

    fn hash(&mut self, cipher: &'a Aes128, nodes: impl Iterator<Item = (u128, u128)> + Clone, out: &mut [u128]) {
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
