//! A server's side of the online phase: its material, and its messages to and from the other server.

use crate::bits::BitTensor;
use crate::channel::Channel;
use crate::error::Error;
use crate::form::Form;
use crate::material::factor::AnyFactor;
use crate::material::mask::{Covered, Mask, MaskBits};
use crate::material::queue::QueueReader;
use crate::material::record::{AnyMask, Keys, Record};
use crate::material::word::RingWord;
use crate::operation::{Cost, Outgoing, Server};
use crate::party::Party;
use crate::secret::Secret;
use crate::weight_spec::WeightId;
use crate::weights::ServerWeights;
use blindroute_ring::{Shape, Tensor, pack};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Exchanges whose messages are kept for shares not taken yet: as many as a LayerNorm has.
const KEPT_EXCHANGES: usize = 6;

/// A server in one run.
pub(super) struct ServerSide<'a> {
    weights: &'a ServerWeights,
    queue: &'a QueueReader,
    channel: &'a mut dyn Channel,
    outgoing: Vec<u8>,
    exchanges: usize,
    /// The last exchanges' messages, newest last.
    incoming: VecDeque<Vec<u8>>,
    sent: usize,
}

impl<'a> ServerSide<'a> {
    pub(super) fn new(weights: &'a ServerWeights, queue: &'a QueueReader, channel: &'a mut dyn Channel) -> Self {
        Self { weights, queue, channel, outgoing: Vec::new(), exchanges: 0, incoming: VecDeque::new(), sent: 0 }
    }

    pub(super) fn party(&self) -> Party {
        self.weights.party()
    }

    /// What was exchanged so far.
    pub(super) fn cost(&self) -> Cost {
        Cost { openings: self.exchanges, opening_bytes: self.sent, material_bytes: 0 }
    }

    fn queue_message<T>(&mut self, own: T, start: usize) -> Outgoing<T> {
        Outgoing { own, exchange: self.exchanges, range: start..self.outgoing.len() }
    }

    fn message(&self, exchange: usize, range: &Range<usize>) -> Result<&[u8], Error> {
        // Exchange numbers count up to, not including, `exchanges`.
        let age = self.exchanges.checked_sub(exchange + 1);
        let message = age.and_then(|age| self.incoming.len().checked_sub(age + 1)).and_then(|at| self.incoming.get(at));
        let bytes = message.and_then(|message| message.get(range.clone()));
        bytes.ok_or_else(|| Error::Program("a deferred share was taken before its exchange or long after".into()))
    }
}

impl Server for ServerSide<'_> {
    fn leads(&self) -> bool {
        self.party() == Party::Zero
    }

    fn weight(&self, weight: WeightId) -> Result<Arc<AnyFactor>, Error> {
        self.weights.share(weight)
    }

    fn pop_mask<W: RingWord>(&mut self, shape: Shape) -> Result<Mask<W>, Error> {
        match W::unrecord_mask(self.queue.pop()?) {
            Some(mask) if mask.shape().len() == shape.len() => Ok(mask),
            _ => Err(Error::MaterialMismatch { expected: "the mask of an opening" }),
        }
    }

    fn pop_mask_bits(&mut self, planes: usize, len: usize) -> Result<MaskBits, Error> {
        match self.queue.pop()? {
            Record::Mask(AnyMask::Bits(mask)) if mask.planes() == planes && mask.len() == len => Ok(mask),
            _ => Err(Error::MaterialMismatch { expected: "the mask of an opening of bits" }),
        }
    }

    fn pop<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error> {
        match W::unrecord(self.queue.pop()?) {
            Some(words) if words.shape().len() == shape.len() => Ok(words),
            _ => Err(Error::MaterialMismatch { expected: "words" }),
        }
    }

    fn pop_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error> {
        match self.queue.pop()? {
            Record::Bits(bits) if bits.planes() == planes && bits.len() == len => Ok(bits),
            _ => Err(Error::MaterialMismatch { expected: "bits" }),
        }
    }

    fn pop_keys(&mut self, len: usize) -> Result<Keys, Error> {
        match self.queue.pop()? {
            Record::Keys(keys) if keys.roots.len() == len => Ok(keys),
            _ => Err(Error::MaterialMismatch { expected: "keys" }),
        }
    }

    fn defer<W: RingWord>(&mut self, share: Secret<W>, form: &Form) -> Result<Outgoing<Tensor<W>>, Error> {
        let mask = self.pop_mask::<W>(form.shape)?;
        let start = self.outgoing.len();
        let own = mask.cover(share, form, &mut self.outgoing);
        Ok(self.queue_message(own, start))
    }

    fn defer_covered(&mut self, bits: Covered) -> Outgoing<BitTensor> {
        let bits = bits.into_inner();
        let start = self.outgoing.len();
        bits.to_bytes(&mut self.outgoing);
        self.queue_message(bits, start)
    }

    fn exchange(&mut self) -> Result<(), Error> {
        let outgoing = std::mem::take(&mut self.outgoing);
        let len = outgoing.len();
        let message = self.channel.exchange(outgoing, len)?;
        if message.len() != len {
            return Err(Error::Program("the channel returned a message of another length".into()));
        }
        self.incoming.push_back(message);
        if self.incoming.len() > KEPT_EXCHANGES {
            self.incoming.pop_front();
        }
        self.sent += len;
        self.exchanges += 1;
        Ok(())
    }

    fn take<W: RingWord>(&mut self, pending: Outgoing<Tensor<W>>, form: &Form) -> Result<Arc<Tensor<W>>, Error> {
        let message = self.message(pending.exchange, &pending.range)?;
        let mut words = pending.own;
        pack::unpack_add(message, form.bits, words.data_mut());
        Ok(Arc::new(words))
    }

    fn take_bits(&mut self, pending: Outgoing<BitTensor>) -> Result<BitTensor, Error> {
        let mut bits = pending.own;
        let message = self.message(pending.exchange, &pending.range)?;
        bits.xor_assign(&BitTensor::from_bytes(bits.planes(), bits.len(), message)?)?;
        Ok(bits)
    }
}
