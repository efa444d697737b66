//! The online phase of a server: consumes prepared material, talks to its peer.

use super::server::ServerSide;
use crate::bits::BitTensor;
use crate::channel::Channel;
use crate::error::Error;
use crate::form::Form;
use crate::kept::Kept;
use crate::machine::Machine;
use crate::machine::interpreter::Interpreter;
use crate::material::queue::QueueReader;
use crate::material::word::RingWord;
use crate::operation::{Cost, Kind, Operation, Outgoing, Returned, Server, world};
use crate::program::{Inputs, OutputShare, Program};
use crate::protocols::reveal::{ZeroSeed, Zeros};
use crate::protocols::truncate_reduce;
use crate::secret::Secret;
use crate::weights::ServerWeights;
use blindroute_ring::{Shape, Tensor, Word, fixed, pack};
use std::sync::Arc;

/// A server's online run of a program.
pub struct Online<'a> {
    server: ServerSide<'a>,
    inputs: Inputs,
    /// What the answer is re-randomised with.
    zeros: Zeros,
    output: OutputShare,
    kept: Kept,
}

/// What a server's run of a program leaves.
#[derive(Debug)]
pub struct Ran {
    /// What goes to the client.
    pub output: OutputShare,
    /// What stays here for a program that continues this one.
    pub kept: Kept,
    /// The openings and bytes it took.
    pub cost: Cost,
}

impl std::fmt::Debug for Online<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Online({:?}, {} exchanges)", self.server.party(), self.server.cost().openings)
    }
}

impl<'a> Online<'a> {
    /// Runs a program. `zeros` is what the two servers agreed on for this run alone.
    ///
    /// # Errors
    /// If the peer, the material or the inputs fail.
    pub fn run<P: Program>(
        program: &P,
        weights: &'a ServerWeights,
        inputs: Inputs,
        queue: &'a QueueReader,
        zeros: ZeroSeed,
        channel: &'a mut dyn Channel,
    ) -> Result<Ran, Error> {
        let interpreter = Self {
            server: ServerSide::new(weights, queue, channel),
            inputs,
            zeros: Zeros::new(weights.party(), zeros),
            output: OutputShare::default(),
            kept: Kept::default(),
        };
        let (specs, forms) = (program.weights(), program.inputs());
        let mut machine = Machine::new(interpreter, &specs, &forms);
        program.run(&mut machine)?;
        let online = machine.into_interpreter();
        Ok(Ran { output: online.output, kept: online.kept, cost: online.server.cost() })
    }
}

impl Interpreter for Online<'_> {
    type World = world::Online;
    type Pending<W: RingWord> = Outgoing<Tensor<W>>;
    type PendingBits = Outgoing<BitTensor>;

    fn input<W: RingWord>(&mut self, index: usize, form: &Form) -> Result<Secret<W>, Error> {
        let share = self.inputs.tensors.get_mut(index).and_then(Option::take);
        let share = share.ok_or_else(|| Error::Program(format!("input {index} is used twice")))?;
        Ok(Secret::new(Tensor::new(form.shape, share.expose().data().iter().map(|&x| x.cast()).collect())))
    }
    fn reveal<W: RingWord>(&mut self, mut share: Secret<W>, form: &Form, _reason: &'static str) -> Result<(), Error> {
        self.zeros.add(&mut share);
        pack::pack(share.expose().data(), form.bits, &mut self.output.bytes);
        Ok(())
    }
    fn reveal_bits(&mut self, mut bits: BitTensor, _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        self.zeros.add_bits(&mut bits);
        bits.to_bytes(&mut self.output.bytes);
        Ok(())
    }
    fn keep<W: RingWord>(&mut self, mut share: Secret<W>, form: &Form) -> Result<(), Error> {
        self.zeros.add(&mut share);
        self.kept.put(form, &share);
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, share: &mut Secret<W>, form: &Form, value: &[f64]) {
        if self.server.leads() {
            for (word, &value) in share.expose_mut().data_mut().iter_mut().zip(value.iter().cycle()) {
                *word = word.plus(fixed::encode(value, form.fraction));
            }
        }
    }
    fn constants<W: RingWord>(&mut self, values: &[f64], form: &Form) -> Arc<Tensor<W>> {
        let words = values.iter().map(|&value| fixed::encode(value, form.fraction));
        Arc::new(Tensor::new(form.shape, words.collect()))
    }
    fn truncate_reduce<W: RingWord>(&mut self, share: Secret<W>, form: &Form, shift: u32) -> Result<Secret<W>, Error> {
        Ok(truncate_reduce::online(self.server.leads(), share, form, shift))
    }
    fn defer<W: RingWord>(&mut self, share: Secret<W>, form: &Form) -> Result<Outgoing<Tensor<W>>, Error> {
        self.server.defer(share, form)
    }
    fn defer_bits(&mut self, bits: BitTensor, _len: usize) -> Result<Outgoing<BitTensor>, Error> {
        self.server.defer_bits(bits)
    }
    fn exchange(&mut self) -> Result<(), Error> {
        self.server.exchange()
    }
    fn take<W: RingWord>(&mut self, pending: Outgoing<Tensor<W>>, form: &Form) -> Result<Arc<Tensor<W>>, Error> {
        self.server.take(pending, form)
    }
    fn take_bits(&mut self, pending: Outgoing<BitTensor>) -> Result<Arc<BitTensor>, Error> {
        self.server.take_bits(pending).map(Arc::new)
    }
    fn apply<A: Kind, R: Kind>(
        &mut self,
        operation: &impl Operation<A, R>,
        operands: A::In<world::Online>,
    ) -> Returned<R, world::Online> {
        operation.online(&mut self.server, operands)
    }
}
