//! Many-input ANDs of masked bits: exclusive-or shares of polynomials over Z_2 in bits opened under masks.
//!
//! **Computes** for each output the sum modulo 2 of monomials, a monomial being the product of opened bits
//! b̂_i = b_i ⊕ α_i: Π b_i = Σ over subsets S of Π_{i∉S} b̂_i · Π_{i∈S} α_i. **Shapes** planes of n bits. **Cost** no
//! opening; material 8·⌈n/64⌉ bytes for each subset of at least two planes of a monomial. **Security** shares only.
//! Exact. **Source** one-time truth tables, Ishai et al., TCC'13. **Differs from the source** in that only the subsets
//! that the monomials need are dealt, once for all outputs.

use crate::bits::BitTensor;
use blindroute_ring::wipe;
use std::collections::BTreeSet;

/// A set of planes: bit i stands for plane i.
type Planes = u32;

/// A summand of a polynomial after expansion: the product of the opened bits of some planes and of one secret.
struct Term {
    public: Vec<usize>,
    secret: Secret,
}

/// The secret factor of a term.
enum Secret {
    /// None: the public part counts for one party only.
    None,
    /// The mask of a plane.
    Mask(usize),
    /// The product of masks with this index in the material.
    Product(usize),
}

/// Polynomials in the bits of up to 32 planes.
pub(super) struct Conjunctions {
    outputs: Vec<Vec<Term>>,
    /// The subsets of at least two planes whose products of masks are dealt, in the order of the material.
    products: Vec<Planes>,
}

fn members(set: Planes) -> impl Iterator<Item = usize> {
    (0..Planes::BITS as usize).filter(move |plane| set >> plane & 1 == 1)
}

/// Every subset of a set, itself and the empty one included.
fn subsets(set: Planes) -> impl Iterator<Item = Planes> {
    let mut next = Some(set);
    std::iter::from_fn(move || {
        let subset = next?;
        next = (subset > 0).then(|| (subset - 1) & set);
        Some(subset)
    })
}

impl Conjunctions {
    /// One polynomial per output, each a list of monomials, each a list of planes.
    pub(super) fn new(outputs: &[Vec<Vec<usize>>]) -> Self {
        let set = |monomial: &Vec<usize>| monomial.iter().fold(0, |set: Planes, plane| set | 1 << plane);
        let needed: BTreeSet<Planes> =
            outputs.iter().flatten().map(set).flat_map(subsets).filter(|subset| subset.count_ones() >= 2).collect();
        let products: Vec<Planes> = needed.into_iter().collect();
        let term = |whole: Planes, subset: Planes| Term {
            public: members(whole & !subset).collect(),
            secret: match subset.count_ones() {
                0 => Secret::None,
                1 => Secret::Mask(subset.trailing_zeros() as usize),
                _ => Secret::Product(products.binary_search(&subset).unwrap_or_default()),
            },
        };
        let expand = |monomials: &Vec<Vec<usize>>| {
            monomials
                .iter()
                .map(set)
                .flat_map(|whole| subsets(whole).map(move |subset| (whole, subset)))
                .map(|(whole, subset)| term(whole, subset))
                .collect()
        };
        let outputs = outputs.iter().map(expand).collect();
        Self { outputs, products }
    }

    /// Planes of material.
    pub(super) fn products(&self) -> usize {
        self.products.len()
    }

    /// The dealer's products of the mask planes from `first` on.
    pub(super) fn values(&self, masks: &BitTensor, first: usize) -> BitTensor {
        let mut out = BitTensor::zeros(self.products.len(), masks.len());
        for (index, &subset) in self.products.iter().enumerate() {
            let words = out.plane_mut(index);
            words.fill(u64::MAX);
            for plane in members(subset) {
                for (word, &mask) in words.iter_mut().zip(masks.plane(first + plane)) {
                    *word &= mask;
                }
            }
        }
        out
    }

    /// Adds shares of the outputs to `out`, one plane per output from `first_output` on, given the opened planes and the
    /// shares of their masks, both from plane `first` on. `party` is all ones for the party that counts public terms.
    pub(super) fn add_shares(
        &self,
        party: u64,
        (opened, masks, first): (&BitTensor, &BitTensor, usize),
        products: &BitTensor,
        (out, first_output): (&mut BitTensor, usize),
    ) {
        let stride = BitTensor::stride(opened.len());
        let mut product = vec![0u64; stride];
        for (index, terms) in self.outputs.iter().enumerate() {
            for term in terms {
                match term.secret {
                    Secret::None => product.fill(party),
                    Secret::Mask(plane) => product.copy_from_slice(masks.plane(first + plane)),
                    Secret::Product(at) => product.copy_from_slice(products.plane(at)),
                }
                for &plane in &term.public {
                    for (word, &bits) in product.iter_mut().zip(opened.plane(first + plane)) {
                        *word &= bits;
                    }
                }
                for (word, &bits) in out.plane_mut(first_output + index).iter_mut().zip(&product) {
                    *word ^= bits;
                }
            }
        }
        // Of the masks it was a product of shares.
        wipe(&mut product);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_the_polynomials() {
        let outputs = [vec![vec![0], vec![1, 2], vec![0, 1, 3]], vec![vec![2, 3], vec![2]]];
        let conjunctions = Conjunctions::new(&outputs);
        let len = 200;
        let plane = |planes: usize, salt: usize| {
            let mut bits = BitTensor::zeros(planes, len);
            for index in 0..planes {
                let words = BitTensor::from_fn(len, |i| (i * 7919 + index * 104_729 + salt).pow(2) % 23 < 11);
                bits.plane_mut(index).copy_from_slice(words.plane(0));
            }
            bits
        };
        let (values, masks, other) = (plane(4, 1), plane(4, 17), plane(4, 5));
        let mut opened = values.clone();
        opened.xor_assign(&masks).unwrap();
        let products = conjunctions.values(&masks, 0);
        let product_share = plane(conjunctions.products(), 99);
        let rest = |whole: &BitTensor, share: &BitTensor| {
            let mut rest = whole.clone();
            rest.xor_assign(share).unwrap();
            rest
        };
        let mut sum = BitTensor::zeros(2, len);
        conjunctions.add_shares(u64::MAX, (&opened, &other, 0), &product_share, (&mut sum, 0));
        let (masks, products) = (rest(&masks, &other), rest(&products, &product_share));
        conjunctions.add_shares(0, (&opened, &masks, 0), &products, (&mut sum, 0));
        for i in 0..len {
            for (output, monomials) in outputs.iter().enumerate() {
                let expected = monomials
                    .iter()
                    .map(|monomial| monomial.iter().map(|&plane| values.get(plane, i)).product::<u64>())
                    .fold(0, |sum, bit| sum ^ bit);
                assert_eq!(sum.get(output, i), expected);
            }
        }
    }
}
