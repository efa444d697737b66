//! A program's weights as servers and dealer hold them: shares, the dealer's masks, and the masked weights.
//!
//! B is the dealer's mask of a weight W, fresh each time servers and dealer set the weights up, and F = W − B is opened
//! between the servers. Each weight lives in the word that its ring needs.

use crate::channel::Channel;
use crate::error::Error;
use crate::material::factor::AnyFactor;
use crate::party::Party;
use crate::secret::Secret;
use crate::weight_spec::{WeightId, WeightSpec, check_weights};
use blindroute_ring::{Prg, Seed, Shape, Tensor, Word, fixed, marks, pack};
use std::sync::Arc;

/// One server's additive shares of a program's weights.
#[derive(Debug)]
pub struct WeightShares {
    party: Party,
    tensors: Vec<Secret<u64>>,
}

impl WeightShares {
    /// Party zero's shares: nothing but a seed.
    pub fn from_seed(specs: &[WeightSpec], seed: &Seed) -> Self {
        let mut prg = Prg::new(seed);
        let tensors = specs.iter().map(|spec| Secret::new(random(&mut prg, spec.shape()))).collect();
        Self { party: Party::Zero, tensors }
    }

    /// Party one's shares of `weights`: the fixed-point weights less party zero's.
    ///
    /// # Errors
    /// If the weights do not fit the specifications.
    pub fn complement(specs: &[WeightSpec], weights: &[Tensor<f32>], seed: &Seed) -> Result<Self, Error> {
        check_weights(specs, weights)?;
        let mut prg = Prg::new(seed);
        let tensors = specs
            .iter()
            .zip(weights)
            .map(|(spec, weight)| {
                let encoded = Secret::new(weight.map(|value| fixed::encode::<u64>(f64::from(value), spec.fraction)));
                let other = Secret::new(random::<u64>(&mut prg, spec.shape()));
                Secret::new(encoded.expose().zip(other.expose(), u64::wrapping_sub))
            })
            .collect();
        Ok(Self { party: Party::One, tensors })
    }

    /// Party one's shares as bytes for its share file, each weight in as many bits as its ring has.
    pub fn to_bytes(&self, specs: &[WeightSpec]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(specs.iter().map(packed_len).sum());
        for (spec, tensor) in specs.iter().zip(&self.tensors) {
            pack::pack(tensor.expose().data(), spec.bits, &mut bytes);
        }
        bytes
    }

    /// Party one's shares from its share file.
    ///
    /// # Errors
    /// If the length is not that of the program's weights.
    pub fn from_bytes(specs: &[WeightSpec], bytes: &[u8]) -> Result<Self, Error> {
        let expected: usize = specs.iter().map(packed_len).sum();
        if bytes.len() != expected {
            let problem = format!("expected {expected} bytes of shares, found {}", bytes.len());
            return Err(Error::Weight { name: "(all)".into(), problem });
        }
        let mut rest = bytes;
        let tensors = specs
            .iter()
            .map(|spec| {
                let (now, later) = rest.split_at(packed_len(spec));
                rest = later;
                Secret::new(Tensor::new(spec.shape(), pack::unpack(now, spec.shape().len(), spec.bits)))
            })
            .collect();
        Ok(Self { party: Party::One, tensors })
    }

    /// Whose shares these are.
    pub fn party(&self) -> Party {
        self.party
    }
}

fn packed_len(spec: &WeightSpec) -> usize {
    pack::packed_len(spec.shape().len(), spec.bits)
}

fn random<W: Word>(prg: &mut Prg, shape: Shape) -> Tensor<W> {
    Tensor::new(shape, prg.words(shape.len()))
}

/// Weights by their ids; none where a weight has no factor of that kind.
type Factors = Vec<Option<Arc<AnyFactor>>>;

fn factor(factors: &Factors, id: WeightId) -> Result<Arc<AnyFactor>, Error> {
    let factor = factors.get(id.0).and_then(Option::as_ref);
    factor.cloned().ok_or_else(|| Error::Program(format!("weight {} multiplies nothing", id.0)))
}

/// A server's weights: its shares, and the masked weights F that both servers know.
pub struct ServerWeights {
    party: Party,
    shares: Factors,
    masked: Factors,
}

impl std::fmt::Debug for ServerWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerWeights({:?}, {} weights)", self.party, self.shares.len())
    }
}

impl ServerWeights {
    /// Opens F = W − B with the other server: one exchange, once per set of weights and dealer.
    ///
    /// # Errors
    /// If the exchange fails.
    pub fn set_up(
        specs: &[WeightSpec],
        shares: WeightShares,
        mask_seed: &Seed,
        channel: &mut dyn Channel,
    ) -> Result<Self, Error> {
        let mut prg = Prg::new(mask_seed);
        let mut outgoing = Vec::with_capacity(specs.iter().map(packed_len).sum());
        let masked_share = |share: &Secret<u64>, mask: Tensor<u64>| {
            let mask = Secret::new(mask);
            let masked = share.expose().zip(mask.expose(), u64::wrapping_sub);
            marks::public(masked.data());
            Secret::new(masked)
        };
        for (spec, share) in specs.iter().zip(&shares.tensors).filter(|(spec, _)| spec.multiplies()) {
            let own = masked_share(share, random(&mut prg, spec.shape()));
            pack::pack(own.expose().data(), spec.bits, &mut outgoing);
        }
        let incoming = outgoing.len();
        let theirs = channel.exchange(outgoing, incoming)?;
        if theirs.len() != incoming {
            return Err(Error::Program("the channel returned a message of another length".into()));
        }
        // The masks are made again rather than kept, so that one weight at a time takes memory.
        let mut prg = Prg::new(mask_seed);
        let mut rest = theirs.as_slice();
        let mut weights = Self { party: shares.party, shares: Vec::new(), masked: Vec::new() };
        for (spec, share) in specs.iter().zip(shares.tensors) {
            weights.masked.push(if spec.multiplies() {
                let mut opened = masked_share(&share, random(&mut prg, spec.shape()));
                let (now, later) = rest.split_at(packed_len(spec));
                rest = later;
                pack::unpack_add(now, spec.bits, opened.expose_mut().data_mut());
                Some(Arc::new(AnyFactor::new(spec, opened.into_inner())))
            } else {
                None
            });
            weights.shares.push(Some(Arc::new(AnyFactor::new(spec, share.into_inner()))));
        }
        Ok(weights)
    }

    /// Which position this server has.
    pub fn party(&self) -> Party {
        self.party
    }

    /// This server's share of W.
    pub(crate) fn share(&self, id: WeightId) -> Result<Arc<AnyFactor>, Error> {
        factor(&self.shares, id)
    }

    /// F.
    pub(crate) fn masked(&self, id: WeightId) -> Result<Arc<AnyFactor>, Error> {
        factor(&self.masked, id)
    }
}

/// The dealer's masks of a program's weights: B, which the servers subtract from the weights once.
pub struct WeightMasks {
    masks: Factors,
}

impl std::fmt::Debug for WeightMasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WeightMasks({} weights, redacted)", self.masks.len())
    }
}

impl WeightMasks {
    /// The masks that the two servers' seeds make.
    pub fn new(specs: &[WeightSpec], seeds: &[Seed; 2]) -> Self {
        let [mut zero, mut one] = [Prg::new(&seeds[0]), Prg::new(&seeds[1])];
        let mut mask = |spec: &WeightSpec| {
            let mut mask = Tensor::zeros(spec.shape());
            zero.fill_sum(&mut one, mask.data_mut());
            Arc::new(AnyFactor::new(spec, mask))
        };
        Self { masks: specs.iter().map(|spec| spec.multiplies().then(|| mask(spec))).collect() }
    }

    /// The summand of the masks that one server's seed makes, in place of the masks: for an audit by that server.
    pub(crate) fn summand(specs: &[WeightSpec], seed: &Seed) -> Self {
        let mut prg = Prg::new(seed);
        let mut mask = |spec: &WeightSpec| Arc::new(AnyFactor::new(spec, random(&mut prg, spec.shape())));
        Self { masks: specs.iter().map(|spec| spec.multiplies().then(|| mask(spec))).collect() }
    }

    /// B.
    pub(crate) fn mask(&self, id: WeightId) -> Result<Arc<AnyFactor>, Error> {
        factor(&self.masks, id)
    }
}
