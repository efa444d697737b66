//! Published figures of other systems, for the tables beside ours.
//!
//! They are constants, and every table says so: they were measured on other machines, or once on one of ours.

use blindroute_routing::bundle::{Activation, Attention};
use blindroute_routing::program::SelectMethod;
use serde::Serialize;

/// The length that PPRoute's tables are of.
pub(crate) const PUBLISHED_TOKENS: usize = 256;

/// The encoder that CrypTen was measured with, and the papers' too: layers, hidden and feed-forward width of MiniLM.
pub(crate) const PUBLISHED_SHAPE: (usize, usize, usize) = (6, 384, 1536);

/// PPRoute (arXiv 2604.15728), seconds at 256 tokens: Tables 1 and 2, router, baseline, optimised.
pub(crate) const PPROUTE_ROUTES: [(&str, &str, &str); 2] =
    [("CSCR", "183-199", "9.1-9.4"), ("UniRoute", "186-190", "8.1-9.9")];

/// A variant of Table 3, and the figures of other systems for it.
pub(crate) struct Variant {
    pub(crate) attention: Attention,
    pub(crate) activation: Activation,
    /// PPRoute's Table 3, seconds at 256 tokens.
    pub(crate) pproute: f64,
    /// CrypTen 0.4.1 on two cores like ours, loopback, default provider, at 32, 128 and 256 tokens.
    crypten: [CrypTen; 3],
}

/// Seconds of a whole route (of which the selection is 0.5), rounds of the encoder, megabytes sent per party.
pub(crate) struct CrypTen(pub(crate) f64, pub(crate) u32, pub(crate) u32);

pub(crate) const VARIANTS: [Variant; 3] = [
    Variant {
        attention: Attention::Softmax,
        activation: Activation::Gelu,
        pproute: 189.3,
        crypten: [CrypTen(10.7, 1074, 286), CrypTen(38.7, 1140, 1528), CrypTen(93.5, 1200, 4492)],
    },
    Variant {
        attention: Attention::TwoRelu,
        activation: Activation::Gelu,
        pproute: 8.35,
        crypten: [CrypTen(8.0, 672, 249), CrypTen(28.4, 672, 937), CrypTen(58.6, 672, 2365)],
    },
    Variant {
        attention: Attention::TwoRelu,
        activation: Activation::Relu,
        pproute: 7.38,
        crypten: [CrypTen(5.6, 558, 190), CrypTen(21.3, 558, 701), CrypTen(46.5, 558, 1893)],
    },
];

impl Variant {
    /// CrypTen's figures for this length, if it is one of the three.
    pub(crate) fn crypten(&self, tokens: usize) -> Option<&CrypTen> {
        [32, 128, 256].iter().position(|known| *known == tokens).map(|index| &self.crypten[index])
    }
}

/// A row of PPRoute's Table 4 (arXiv 2604.15728): the top 4 of 112 on its authors' machine, with CrypTen.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PublishedSelection {
    pub(crate) rounds: u32,
    pub(crate) bytes: u64,
    pub(crate) communication_seconds: f64,
    pub(crate) computation_seconds: f64,
}

/// PPRoute's published figures of a selection.
pub(crate) fn published_selection(method: SelectMethod) -> Option<PublishedSelection> {
    let (rounds, bytes, communication_seconds, computation_seconds) = match method {
        SelectMethod::Maximum => (130, 24_962_400, 0.097, 0.504),
        SelectMethod::Hnsw => (78, 14_977_440, 0.062, 0.282),
        SelectMethod::Bitonic => (28_682, 1_234_832, 8.31, 35.2),
        SelectMethod::Kona => (6_976, 299_968, 2.01, 8.63),
        SelectMethod::BruteForce => (6_756, 290_464, 1.94, 8.09),
        SelectMethod::Unsorted => (52, 9_984_960, 0.047, 0.201),
        _ => return None,
    };
    Some(PublishedSelection { rounds, bytes, communication_seconds, computation_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_those_of_the_table() {
        assert!(VARIANTS.iter().all(|variant| variant.crypten(256).is_some() && variant.crypten(64).is_none()));
        let rounds: Vec<u32> =
            VARIANTS.iter().filter_map(|variant| variant.crypten(256)).map(|known| known.1).collect();
        assert_eq!(rounds, [1200, 672, 558]);
    }

    #[test]
    fn every_published_row_has_a_method() {
        assert_eq!(SelectMethod::ALL.into_iter().filter_map(published_selection).count(), 6);
        // In the published table the unsorted selection has the fewest rounds.
        let rounds = |method| published_selection(method).map(|row| row.rounds);
        assert!(SelectMethod::ALL.into_iter().filter_map(rounds).all(|others| others >= 52));
    }
}
