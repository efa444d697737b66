//! A server's check of what it was dealt: both servers' seeds of a session's material are revealed to it, and it deals and
//! prepares the session again.
//!
//! **Computes** whether the material of one prepared session is what an honest dealer deals. The session is spent: its masks
//! are known. **Inputs** both servers' material seeds, this server's seed of the weights' mask, and the queue of its material.
//! **Security** of a correct dealing a server learns the material that an honest dealer would have dealt for a session that
//! nobody runs, and nothing of weights: see below. **Source** cut and choose, as in Lindell, Pinkas, EUROCRYPT'07: a random
//! share of what was prepared is opened, and the rest is used. **Differs from the source** in that shares of products with
//! weights are compared without being opened.
//!
//! # Products with weights
//!
//! For the product of a value's mask δ with a weight W, the dealer shares δB: z_0 to server 0 and z_1 = δB − z_0 to server 1. B
//! is the dealer's mask of W, of which server i has the summand B_i, and it is the same in all sessions. Server i keeps
//! r_i = z_i + δ_i·F, with F = W − B, which both servers know. Were z_0 revealed with the masks, server 1 would know δ and δB,
//! after a few audits B, and so W = F + B. So z_0 comes from a seed of its own, which is not revealed. Server i deals again with
//! its B_i in place of B, which gives it δ·B_i + δ_i·F. What it holds less that is
//!
//! d_i = r_i − (δ·B_i + δ_i·F) = z_i − δ·B_i,
//!
//! and the dealing was right exactly if d_0 + d_1 = 0. [`Audit::run`] writes d_0 at server 0 and −d_1 at server 1, in order and
//! modulo 2^bits. The servers send each other a hash of it. If the dealing was right, both hashes are the same, so neither says
//! anything that the other server could not compute by itself: server 1 sees no more than B_1, δ and z_1, of which z_1 is uniform
//! as long as z_0 is hidden, and server 0 no more than B_0, δ and z_0.
//!
//! All other records follow from the seeds and are compared exactly. The servers also have to compare the seeds that were
//! revealed to them, since a dealer may tell them different ones.

use super::dealer::{DealerRole, Products};
use super::prepare::{PrepareSeeds, Records, prepare};
use crate::error::Error;
use crate::material::queue::QueueReader;
use crate::material::record::Record;
use crate::material::stream::Stream;
use crate::material::word::RingWord;
use crate::party::Party;
use crate::program::Program;
use crate::secret::Secret;
use crate::weights::{ServerWeights, WeightMasks};
use blindroute_ring::fss::HashKey;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Prg, Seed, pack};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use zeroize::Zeroizing;

/// Bytes that go from the dealer's run to the preparing one at a time.
const CHUNK: usize = 64 << 10;
/// How many of these may wait.
const CHUNKS: usize = 16;

/// What an audit of one session is made from.
#[derive(Clone, Copy, Debug)]
pub struct AuditSeeds<'a> {
    /// Both servers' seeds of the session's material, as the dealer reveals them.
    pub material: &'a [Seed; 2],
    /// This server's seed of the mask of the weights.
    pub mask: &'a Seed,
    /// The session's hash key, from the dealer's grant.
    pub hash_key: &'a [u8; 16],
}

/// A server's check of the material of one session.
#[derive(Debug)]
pub struct Audit;

impl Audit {
    /// Compares the material in the queue, all of which is prepared, with what follows from the seeds. Returns whether it is the
    /// same as far as this server can tell alone. Writes to `differences` what must be the same at both servers.
    ///
    /// # Errors
    /// If the program or the sink fails, or the queue does not hold all of the program's material.
    pub fn run<P: Program>(
        program: &P,
        weights: &ServerWeights,
        seeds: AuditSeeds<'_>,
        queue: &QueueReader,
        differences: &mut dyn Write,
    ) -> Result<bool, Error> {
        Self::run_on::<Prg, P>(program, weights, seeds, queue, differences)
    }

    /// [`run`](Self::run), on streams of any kind.
    fn run_on<S: Stream, P: Program>(
        program: &P,
        weights: &ServerWeights,
        AuditSeeds { material, mask, hash_key }: AuditSeeds<'_>,
        queue: &QueueReader,
        differences: &mut dyn Write,
    ) -> Result<bool, Error> {
        let party = weights.party();
        let (mut sink, mut source) = pipe();
        let mut comparing = Comparing { queue, party, agrees: true, differences, buffer: Zeroizing::default() };
        std::thread::scope(|scope| {
            let deal = move || {
                let masks = WeightMasks::summand(&program.weights(), mask);
                let mut other = std::io::sink();
                let sinks: [&mut dyn Write; 2] = match party {
                    Party::Zero => [&mut sink, &mut other],
                    Party::One => [&mut other, &mut sink],
                };
                let (streams, products) = (material.each_ref().map(S::new), Products::Whole(party));
                let (hash_key, buffer) = (HashKey::new(hash_key), Zeroizing::default());
                DealerRole { masks: &masks, streams, products, hash_key, sinks, buffer }.deal(program)
            };
            let dealing = std::thread::Builder::new().name("audit".into()).spawn_scoped(scope, deal);
            let dealing = dealing.map_err(Error::Sink)?;
            let own = PrepareSeeds { material: &material[party.index()], products: None };
            let keys = HashKey::new(hash_key);
            let prepared = prepare::<S, P>(program, weights, (own, keys), &mut source, &mut comparing);
            // Ends a dealing that waits for its reader.
            drop(source);
            let dealt = dealing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // If one of them failed, the other one failed by that, at its end of the pipe.
            match (prepared, dealt) {
                (Err(Error::Material(_)), Err(error)) | (Err(error), _) | (Ok(()), Err(error)) => Err(error),
                (Ok(()), Ok(())) => Ok(()),
            }
        })?;
        Ok(comparing.agrees)
    }
}

/// Takes what is prepared again, and compares it with what was prepared.
struct Comparing<'a> {
    queue: &'a QueueReader,
    party: Party,
    agrees: bool,
    differences: &'a mut dyn Write,
    buffer: Zeroizing<Vec<u8>>,
}

impl Records for Comparing<'_> {
    fn put(&mut self, record: Record) -> Result<(), Error> {
        self.agrees &= self.queue.pop()?.agrees(&record);
        Ok(())
    }

    fn put_product<W: RingWord>(&mut self, share: Secret<W>, bits: u32) -> Result<(), Error> {
        let found = W::unrecord(self.queue.pop()?).filter(|found| found.shape() == share.shape());
        let found = found.ok_or(Error::MaterialMismatch { expected: "a product with a weight" })?;
        let (mut difference, leads) = (share, self.party == Party::Zero);
        let words = difference.expose_mut().data_mut();
        combine(
            words,
            [found.expose().data()],
            [],
            |again, [found], []: [W; 0]| {
                if leads { found.minus(again) } else { again.minus(found) }
            },
        );
        self.buffer.clear();
        pack::pack(difference.expose().data(), bits, &mut self.buffer);
        self.differences.write_all(&self.buffer).map_err(Error::Sink)
    }
}

/// The dealer's end of a pipe between threads.
struct PipeSink {
    sender: SyncSender<Zeroizing<Vec<u8>>>,
    chunk: Zeroizing<Vec<u8>>,
}

/// The preparing end.
struct PipeSource {
    receiver: Receiver<Zeroizing<Vec<u8>>>,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
}

fn pipe() -> (PipeSink, PipeSource) {
    let (sender, receiver) = sync_channel(CHUNKS);
    (PipeSink { sender, chunk: Zeroizing::default() }, PipeSource { receiver, chunk: Zeroizing::default(), at: 0 })
}

impl Write for PipeSink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.chunk.capacity() == 0 {
            self.chunk.reserve_exact(CHUNK);
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.sender.send(std::mem::take(&mut self.chunk)).map_err(gone)
    }
}

impl Read for PipeSource {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.at == self.chunk.len() {
            // No sender is the end of the stream.
            let Ok(chunk) = self.receiver.recv() else { return Ok(0) };
            (self.chunk, self.at) = (chunk, 0);
        }
        let count = out.len().min(self.chunk.len() - self.at);
        out[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::machine::interpreter::Interpreter;
    use crate::{
        Channel, ChannelError, Dealer, DealerSeeds, Form, MaterialQueue, Prepare, Shape, Tensor, WeightId, WeightKind,
        WeightShares, WeightSpec,
    };
    use std::sync::Arc;

    const BITS: u32 = 40;
    const ROW: Shape = Shape::row(3);

    /// A row times a row of weights.
    struct Scaled;

    impl Program for Scaled {
        fn weights(&self) -> Vec<WeightSpec> {
            vec![WeightSpec::new("scale", WeightKind::Scale(3), 0).in_ring(BITS)]
        }

        fn inputs(&self) -> Vec<Form> {
            vec![Form::new(ROW, BITS, 0)]
        }

        fn run<I: Interpreter>(&self, machine: &mut Machine<'_, I>) -> Result<(), Error> {
            let x = machine.input::<u64>(0)?;
            let x = machine.open(x)?;
            let scaled = machine.scale_columns(&x, WeightId(0))?;
            machine.reveal(scaled, "a test")
        }
    }

    /// The other server in the set-up: it answers so that F is these words, whatever this server's share and mask are.
    struct Opens([u64; 3]);

    impl Channel for Opens {
        fn exchange(&mut self, outgoing: Vec<u8>, _incoming: usize) -> Result<Vec<u8>, ChannelError> {
            let sent = pack::unpack::<u64>(&outgoing, 3, BITS);
            let answer: Vec<u64> = self.0.iter().zip(sent).map(|(f, sent)| f.wrapping_sub(sent)).collect();
            let mut bytes = Vec::new();
            pack::pack(&answer, BITS, &mut bytes);
            Ok(bytes)
        }
    }

    fn seed(byte: u8) -> Seed {
        Seed::new([byte; 16])
    }

    fn words(seed: &Seed) -> Vec<u64> {
        Prg::new(seed).words(3)
    }

    /// Server 0's weights with this mask B_0.
    fn server_zero(mask: &Seed, f: [u64; 3]) -> ServerWeights {
        let specs = Scaled.weights();
        ServerWeights::set_up(&specs, WeightShares::from_seed(&specs, &seed(3)), mask, &mut Opens(f)).unwrap()
    }

    fn differences(weights: &ServerWeights, material: &[Seed; 2], mask: &Seed, records: Vec<Record>) -> Vec<u8> {
        let (writer, reader) = MaterialQueue::bounded(usize::MAX);
        records.into_iter().for_each(|record| writer.push(record).unwrap());
        writer.finish(Ok(()));
        let mut out = Vec::new();
        let seeds = AuditSeeds { material, mask, hash_key: &[5; 16] };
        assert!(Audit::run(&Scaled, weights, seeds, &reader, &mut out).unwrap());
        out
    }

    fn records(weights: &ServerWeights, material: &Seed, products: &Seed) -> Vec<Record> {
        let (writer, reader) = MaterialQueue::bounded(usize::MAX);
        let seeds = PrepareSeeds { material, products: Some(products) };
        Prepare::run(&Scaled, weights, (seeds, HashKey::new(&[5; 16])), &mut std::io::empty(), &writer).unwrap();
        writer.finish(Ok(()));
        std::iter::from_fn(|| reader.pop().ok()).collect()
    }

    /// All that server 1 receives for an audit (its stream, both material seeds, F, and what server 0 hashes) is the same for
    /// two masks B_0 of server 0 with two weights: so it tells nothing of either.
    #[test]
    fn what_server_one_sees_is_the_same_for_two_masks_of_server_zero() {
        let (material, f) = ([seed(1), seed(2)], [77, 1 << 39, 12_345]);
        let (one_mask, products) = (seed(4), seed(9));
        let delta: Vec<u64> =
            words(&material[0]).iter().zip(words(&material[1])).map(|(a, b)| a.wrapping_add(b)).collect();
        let first_mask = seed(6);
        let mut stream = Vec::new();
        let masks = WeightMasks::new(&Scaled.weights(), &[first_mask.clone(), one_mask.clone()]);
        let dealer =
            DealerSeeds { material: material.clone(), products: products.clone(), hash_key: HashKey::new(&[5; 16]) };
        Dealer::run(&Scaled, &masks, dealer, [&mut std::io::sink(), &mut stream]).unwrap();

        let first = server_zero(&first_mask, f);
        let sent = differences(&first, &material, &first_mask, records(&first, &material[0], &products));
        for other in [seed(7), seed(8)] {
            let weights = server_zero(&other, f);
            // z_0 that leaves z_1 = δ(B_0 + B_1) − z_0 as it is.
            let mut records = records(&weights, &material[0], &products);
            let Some(Record::U64(product)) = records.pop() else { panic!("the last record is a product") };
            let moved =
                product.expose().data().iter().zip(&delta).zip(words(&first_mask).into_iter().zip(words(&other)));
            let moved = moved
                .map(|((word, delta), (before, now))| word.wrapping_add(delta.wrapping_mul(now.wrapping_sub(before))));
            records.push(Record::U64(Arc::new(Secret::new(Tensor::new(ROW, moved.collect())))));
            assert_eq!(differences(&weights, &material, &other, records), sent);
        }
        // Server 1 computes the same from what it has, so server 0's message tells it nothing new.
        let z_one = pack::unpack::<u64>(&stream, 3, BITS);
        let own = delta
            .iter()
            .zip(words(&one_mask))
            .zip(z_one)
            .map(|((delta, mask), z)| delta.wrapping_mul(mask).wrapping_sub(z));
        let mut bytes = Vec::new();
        pack::pack(&own.collect::<Vec<_>>(), BITS, &mut bytes);
        assert_eq!(bytes, sent);
    }
}
