//! What the parties of a run do with a program, behind one table of functions.

use crate::channel::MemoryChannel;
use blindroute_protocol::{
    Cost, Dealer, DealerSeeds, Error, HashKey, Inputs, Meter, Online, OutputSpec, Prepare, PrepareSeeds, Program,
    QueueReader, QueueWriter, Ran, ServerWeights, WeightMasks, ZeroSeed,
};
use std::io::{Read, Write};

/// A program without its type. The test world works with this, so that its threads are compiled once and not for each of the
/// hundreds of programs that tests run: a fifth of what their compiler had to do.
pub(crate) trait Roles: Sync {
    /// The sizes of what it reveals to the client.
    fn outputs(&self) -> Result<Vec<OutputSpec>, Error>;
    /// What it costs, by the meter.
    fn cost(&self) -> Result<Cost, Error>;
    /// The dealer's part.
    fn deal(&self, masks: &WeightMasks, seeds: DealerSeeds, sinks: [&mut dyn Write; 2]) -> Result<(), Error>;
    /// A server's part before there is an input.
    fn prepare(
        &self,
        weights: &ServerWeights,
        seeds: (PrepareSeeds<'_>, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error>;
    /// A server's part with the input.
    fn online(
        &self,
        weights: &ServerWeights,
        inputs: Inputs,
        queue: &QueueReader,
        zeros: ZeroSeed,
        channel: &mut MemoryChannel,
    ) -> Result<Ran, Error>;
}

impl<P: Program> Roles for P {
    fn outputs(&self) -> Result<Vec<OutputSpec>, Error> {
        Meter::outputs(self)
    }

    fn cost(&self) -> Result<Cost, Error> {
        Meter::cost(self)
    }

    fn deal(&self, masks: &WeightMasks, seeds: DealerSeeds, sinks: [&mut dyn Write; 2]) -> Result<(), Error> {
        Dealer::run(self, masks, seeds, sinks)
    }

    fn prepare(
        &self,
        weights: &ServerWeights,
        seeds: (PrepareSeeds<'_>, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        Prepare::run(self, weights, seeds, source, queue)
    }

    fn online(
        &self,
        weights: &ServerWeights,
        inputs: Inputs,
        queue: &QueueReader,
        zeros: ZeroSeed,
        channel: &mut MemoryChannel,
    ) -> Result<Ran, Error> {
        Online::run(self, weights, inputs, queue, zeros, channel)
    }
}
