//! The routers' rules. From one embedding per prompt each rule makes a one-hot choice of a model, in shared bits, or a
//! ranking of the best few, one-hot each, in the openings of a choice.
//!
//! λ comes from the client in shares, so the servers do not learn how the client weighs cost. λ·cost must be less than
//! 16, where costs are divided by the largest one.

use super::inputs::EMBEDDING_RING;
use super::plan::{RULE_FRACTION, RULE_PRODUCT, RouterPlan, find};
use crate::bundle::{LARGEST_KEY, RuleShape};
use blindroute_protocol::gates::{self, Scaling, SignWindow, Target, Wide};
use blindroute_protocol::{
    Bits, Comparison, Error, Interpreter, Machine, Masked, Pending, Share, WeightId, WeightSpec,
};

/// Bits of a difference of sort keys: six digits of five bits, the most that keys of function secret sharing can have.
const KEY_BITS: u32 = 6 * 5;
/// The ring of sort keys. It has room for keys far from zero, because only their differences are small.
const KEY_RING: u32 = KEY_BITS + 6;
/// Differences of products with centroids, and of scores, are below 2^RANGE in magnitude.
const RANGE: u32 = 5;
/// The same bound for products of queries with descriptors.
const WIDE_RANGE: u32 = 8;
/// Fraction bits of similarities and prices after rounding for the choice among the models that were kept.
const SCORE_FRACTION: u32 = 20;

/// A comparison of all bits of a difference of sort keys.
fn comparison() -> Comparison {
    Comparison::exact(6, KEY_BITS / 6)
}

/// How many low bits are dropped when scores of [`RULE_PRODUCT`] fraction bits with |difference| < 2^range become sort
/// keys.
const fn lost(range: u32) -> u32 {
    RULE_PRODUCT + range - KEY_BITS
}

/// Turns scores of [`RULE_PRODUCT`] fraction bits into sort keys and opens them. One opening.
fn keys<I: Interpreter>(machine: &mut Machine<I>, scores: Share<I, u64>) -> Result<Masked<I, u64>, Error> {
    let keys = gates::sort_keys(machine, scores, lost(RANGE), KEY_RING)?;
    machine.open(keys)
}

/// ReLU of a hidden layer, with [`RULE_FRACTION`] bits. Three openings.
fn positive<I: Interpreter>(machine: &mut Machine<I>, inner: &Masked<I, u64>) -> Result<Masked<I, u64>, Error> {
    let target = Target { bits: EMBEDDING_RING, fraction: RULE_FRACTION };
    let positive = gates::relu::<I, u64, u64>(machine, inner, SignWindow { range: 7, digits: 6 }, target)?;
    machine.open(positive)
}

pub(super) struct RuleProgram<'a> {
    pub(super) router: &'a RouterPlan,
    pub(super) specs: &'a [WeightSpec],
}

impl RuleProgram<'_> {
    fn weight(&self, part: &str) -> Result<WeightId, Error> {
        find(self.specs, &self.router.weight(part))
    }

    /// The one-hot choices `[B, ranked, M]`, the best first, for embeddings `[B, 1, hidden]`, or these and lexical features beside them, and λs `[B, 1, 1]`, both of [`RULE_FRACTION`]
    /// bits. The λs are opened with the first opening at the latest; for `direct` they must have been opened before.
    pub(super) fn choose<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: Pending<I, u64>,
        ranked: usize,
    ) -> Result<Bits<I>, Error> {
        match self.router.rule {
            RuleShape::UniRoute { clusterings, .. } => self.uniroute(machine, embedding, lambda, (clusterings, ranked)),
            RuleShape::Cscr { keep, predicts_scores, .. } => {
                let search = (!predicts_scores).then_some(keep);
                self.cscr(machine, embedding, lambda, (search, ranked))
            }
            RuleShape::Direct => self.direct(machine, embedding, lambda, ranked),
            RuleShape::Mlp { second, .. } => {
                let layers = 1 + usize::from(second.is_some());
                self.mlp(machine, embedding, lambda, (layers, ranked))
            }
            RuleShape::Neighbours { keep, .. } => self.neighbours(machine, embedding, lambda, (keep, ranked)),
        }
    }

    fn price<I: Interpreter>(&self, machine: &mut Machine<I>, lambda: &Masked<I, u64>) -> Result<Share<I, u64>, Error> {
        machine.linear(lambda, self.weight("cost")?)
    }

    /// In each clustering the nearest centroid, all side by side, then the model with the least mean error in these clusters
    /// + λ·cost. Nine openings.
    fn uniroute<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: Pending<I, u64>,
        (clusterings, ranked): (usize, usize),
    ) -> Result<Bits<I>, Error> {
        let products = machine.linear(embedding, self.weight("centroids")?)?;
        let products = gates::rows_of_parts(&products, clusterings);
        let products = keys(machine, products)?;
        let lambda = machine.take(lambda)?;
        let errors = gates::one_hot_rows(machine, &products, &comparison(), clusterings, self.weight("errors")?)?;
        let burden = errors.add(&self.price(machine, &lambda)?)?.scale(-1);
        let burden = keys(machine, burden)?;
        gates::ranking(machine, &burden, ranked, &comparison())
    }

    /// The model with the largest predicted score − λ·cost. Four openings.
    fn direct<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: Pending<I, u64>,
        ranked: usize,
    ) -> Result<Bits<I>, Error> {
        let lambda = machine.take(lambda)?;
        self.best_predicted(machine, embedding, &lambda, ranked)
    }

    /// The models with the largest x·w + b − λ·cost. Four openings.
    fn best_predicted<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        values: &Masked<I, u64>,
        lambda: &Masked<I, u64>,
        ranked: usize,
    ) -> Result<Bits<I>, Error> {
        let scores = machine.linear(values, self.weight("weight")?)?;
        let scores = scores.add(&machine.bias(self.weight("bias")?, RULE_PRODUCT)?)?;
        self.best(machine, &scores, lambda, ranked)
    }

    /// The models with the largest score − λ·cost. Four openings.
    fn best<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        scores: &Share<I, u64>,
        lambda: &Masked<I, u64>,
        ranked: usize,
    ) -> Result<Bits<I>, Error> {
        let scores = scores.subtract(&self.price(machine, lambda)?)?;
        let scores = keys(machine, scores)?;
        gates::ranking(machine, &scores, ranked, &comparison())
    }

    /// The hidden layers, then the model with the largest score − λ·cost. Eight openings with one hidden layer, twelve with two.
    ///
    /// Hidden values are below 64 in magnitude before ReLU, and scores differ by less than 16. A hidden value off zero by less than
    /// 2^−17 may be taken for the other sign. The rounding of weights and values to 2^−17 moves x·w + b by at most 2^−17 times the sums of
    /// the magnitudes of x and w, and ReLU rounds by less than 2^−16.
    fn mlp<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: Pending<I, u64>,
        (layers, ranked): (usize, usize),
    ) -> Result<Bits<I>, Error> {
        let first = self.before_relu(machine, embedding, 1)?;
        let lambda = machine.take(lambda)?;
        let mut values = positive(machine, &first)?;
        for layer in 2..=layers {
            let inner = self.before_relu(machine, &values, layer)?;
            values = positive(machine, &inner)?;
        }
        self.best_predicted(machine, &values, &lambda, ranked)
    }

    /// A hidden layer of a network without ReLU. One opening.
    fn before_relu<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        values: &Masked<I, u64>,
        layer: usize,
    ) -> Result<Masked<I, u64>, Error> {
        let inner = machine.linear(values, self.weight(&format!("w{layer}"))?)?;
        let inner = inner.add(&machine.bias(self.weight(&format!("b{layer}"))?, RULE_PRODUCT)?)?;
        machine.open(inner.narrowed(EMBEDDING_RING))
    }

    /// The k nearest stored prompts, then the model with the largest mean outcome − λ·cost. Nine openings, and six more for each
    /// round in which the search divides the stored prompts into groups ([`gates::BestK`]).
    ///
    /// Products are below [`LARGEST_KEY`] in magnitude. Stored prompts whose products differ by less than N units of 2^−25, and by the rounding of
    /// the products, may change places; equal ones do not.
    fn neighbours<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: Pending<I, u64>,
        (keep, ranked): (usize, usize),
    ) -> Result<Bits<I>, Error> {
        let products = machine.linear(embedding, self.weight("stored")?)?;
        let products = products.add(&machine.bias(self.weight("offset")?, RULE_PRODUCT)?)?;
        let products = keys(machine, products)?;
        let lambda = machine.take(lambda)?;
        // Less than every product, and within the comparisons' range of each.
        let least = -f64::from(LARGEST_KEY) - 1.0;
        let kept = gates::best_k(machine, &products, keep, &comparison(), (least, EMBEDDING_RING))?;
        let kept = machine.open(kept)?;
        let scores = machine.linear(&kept, self.weight("outcomes")?)?;
        self.best(machine, &scores, &lambda, ranked)
    }

    /// The projection, the similarity to the descriptors, the top k if `search` says k, then the model with the largest
    /// similarity or predicted score − λ·cost. Fifteen openings with a search,
    /// thirteen without.
    ///
    /// The search compares unnormalised products, which have the same order as the similarities. Only the second score
    /// needs the norm. Its parts, similarity and price, are each rounded before they are opened, so their difference is
    /// exact. Equal similarities may differ by the last place, scaled by the factor of the norm.
    fn cscr<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: Pending<I, u64>,
        (search, ranked): (Option<usize>, usize),
    ) -> Result<Bits<I>, Error> {
        let inner = machine.linear(embedding, self.weight("w1")?)?;
        let inner = machine.open(inner)?;
        let lambda = machine.take(lambda)?;
        // The ring has no room left, so an extended copy is opened in the first exchange of the comparison.
        let copy = machine.extend::<u64, u64>(&inner, RULE_FRACTION, 64)?;
        let copy = machine.defer(copy)?;
        let positive = machine.compare(&inner, &Comparison::of_many(vec![0], RULE_PRODUCT + 7 - 24, 6))?;
        let inner = machine.take(copy)?;
        let inner = machine.select(&positive, &inner)?;
        let inner = machine.open(inner)?;
        let query = machine.linear(&inner, self.weight("w2")?)?;
        let query = machine.truncate_reduce(query, RULE_FRACTION)?;
        let query = machine.open(query)?;
        let norm = machine.square_sum::<u64, u64>(&query, RULE_FRACTION - 14, 48)?;
        let products = machine.linear(&query, self.weight("descriptors")?)?;
        let products = machine.defer(products)?;
        let mut price = self.price(machine, &lambda)?.scale(-1);
        if search.is_none() {
            price = price.add(&machine.bias(self.weight("offset")?, RULE_PRODUCT)?)?;
        }
        let price = gates::sort_keys(machine, price, RULE_PRODUCT - SCORE_FRACTION, KEY_RING)?;
        let price = machine.defer(price)?;
        let norm = machine.open(norm)?;
        let products = machine.take(products)?;
        let price = machine.take(price)?;
        // The sort keys of a search are opened in the next exchange.
        let keys = match search {
            Some(_) => {
                let keys = machine.share_of(&products)?;
                let keys = gates::sort_keys(machine, keys, lost(WIDE_RANGE), KEY_RING)?;
                Some(machine.defer(keys)?)
            }
            None => None,
        };
        let range = Wide { low: -6, high: 13, fraction: 14 };
        let factor = gates::inverse_root(machine, &norm, 1.0, &range)?;
        let target = Target { bits: 52 + SCORE_FRACTION - RULE_PRODUCT, fraction: SCORE_FRACTION };
        let scaling = Scaling { value: 20, factor: 24, target };
        let similarity = gates::scale_rows::<_, u64, u64>(machine, &products, factor, scaling)?;
        let score = similarity.add(&price)?.raise(RULE_PRODUCT - lost(WIDE_RANGE) - SCORE_FRACTION);
        match search.zip(keys) {
            Some((keep, keys)) => {
                let keys = machine.take(keys)?;
                gates::top_k_then_ranking(machine, &keys, &score, (keep, ranked), &comparison())
            }
            None => gates::ranking(machine, &score, ranked, &comparison()),
        }
    }
}
