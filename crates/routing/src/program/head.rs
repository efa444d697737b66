//! The routers' rules on opened embeddings, one a prompt: one-hot choices of a model, in shared bits.
//!
//! λ comes from the client in shares, so the servers do not learn how the client weighs cost. λ·cost must stay below
//! 16, costs being divided by the largest.

use super::plan::{HEAD_FRACTION, HEAD_PRODUCT, HeadPlan, RouterPlan, find};
use blindroute_protocol::gates::{self, Scaling, Target, Wide};
use blindroute_protocol::{Bits, Error, Interpreter, Machine, Masked, Share, WeightId, WeightSpec};

/// Digits of a comparison of scores: 24 bits below the range.
const DIGITS: u32 = 6;

/// Lowest bit compared when |difference| < 2^range.
const fn low(range: u32) -> u32 {
    HEAD_PRODUCT + range - 4 * DIGITS
}

pub(super) struct Head<'a> {
    pub(super) router: &'a RouterPlan,
    pub(super) specs: &'a [WeightSpec],
}

impl Head<'_> {
    fn weight(&self, part: &str) -> Result<WeightId, Error> {
        find(self.specs, &self.router.weight(part))
    }

    /// The one-hot choices `[B, 1, M]` for embeddings `[B, 1, hidden]` and λs `[B, 1, 1]`, both of [`HEAD_FRACTION`] bits.
    pub(super) fn choose<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: &Masked<I, u64>,
    ) -> Result<Bits<I>, Error> {
        match self.router.head {
            HeadPlan::UniRoute { .. } => self.uniroute(machine, embedding, lambda),
            HeadPlan::Cscr { keep, .. } => self.cscr(machine, embedding, lambda, keep),
            HeadPlan::Direct => self.direct(machine, embedding, lambda),
        }
    }

    fn price<I: Interpreter>(&self, machine: &mut Machine<I>, lambda: &Masked<I, u64>) -> Result<Share<I, u64>, Error> {
        machine.linear(lambda, self.weight("cost")?)
    }

    /// Nearest centroid, then the least of that cluster's error + λ·cost. Nine openings.
    fn uniroute<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: &Masked<I, u64>,
    ) -> Result<Bits<I>, Error> {
        let products = machine.linear(embedding, self.weight("centroids")?)?;
        let products = machine.open(products)?;
        let errors = gates::one_hot_row(machine, &products, low(5), DIGITS, self.weight("errors")?)?;
        let burden = errors.add(&self.price(machine, lambda)?)?.scale(-1);
        let burden = machine.open(burden)?;
        gates::argmax(machine, &burden, low(5), DIGITS)
    }

    /// The most of predicted score − λ·cost. Four openings.
    fn direct<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: &Masked<I, u64>,
    ) -> Result<Bits<I>, Error> {
        let scores = machine.linear(embedding, self.weight("weight")?)?;
        let scores = scores.add(&machine.bias(self.weight("bias")?, HEAD_PRODUCT)?)?;
        let scores = scores.subtract(&self.price(machine, lambda)?)?;
        let scores = machine.open(scores)?;
        gates::argmax(machine, &scores, low(5), DIGITS)
    }

    /// Head, similarity to the descriptors, top-k, then the most of similarity − λ·cost. Fifteen openings.
    ///
    /// The search among unnormalised products is that among similarities; only the second score needs the norm.
    fn cscr<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        embedding: &Masked<I, u64>,
        lambda: &Masked<I, u64>,
        keep: usize,
    ) -> Result<Bits<I>, Error> {
        const RANGE: u32 = 8;
        let inner = machine.linear(embedding, self.weight("w1")?)?;
        let inner = machine.open(inner)?;
        // The ring is spent: a lifted copy goes with the comparison's first exchange.
        let copy = machine.extend::<u64, u64>(&inner, HEAD_FRACTION, 64)?;
        let copy = machine.defer(copy)?;
        let positive = machine.compare(&inner, &blindroute_protocol::Comparison::of_many(vec![0], low(7), DIGITS))?;
        let inner = machine.take(copy)?;
        let inner = machine.select(&positive, &inner)?;
        let inner = machine.open(inner)?;
        let query = machine.linear(&inner, self.weight("w2")?)?;
        let query = machine.cut(query, HEAD_FRACTION)?;
        let query = machine.open(query)?;
        let norm = machine.square_sum::<u64, u64>(&query, HEAD_FRACTION - 14, 48)?;
        let products = machine.linear(&query, self.weight("descriptors")?)?;
        let products = machine.defer(products)?;
        let price = self.price(machine, lambda)?;
        let price = machine.defer(price)?;
        let norm = machine.open(norm)?;
        let products = machine.take(products)?;
        let price = machine.take(price)?;
        let range = Wide { low: -6, high: 13, fraction: 14 };
        let factor = gates::inverse_root(machine, &norm, 1.0, &range)?;
        let target = Target { bits: 52, fraction: HEAD_PRODUCT };
        let scaling = Scaling { value: 20, factor: 24, target };
        let similarity = gates::scale_rows::<_, u64, u64>(machine, &products, factor, scaling)?;
        let score = similarity.subtract(&price)?;
        gates::top_k_then_argmax(machine, &products, &score, keep, low(RANGE), DIGITS)
    }
}
