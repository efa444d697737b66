//! Measures what an audit of the dealer costs: the dealing of a full route with the default bundle, the servers' preparing, and
//! the audit, per bucket, in milliseconds (medians). Run with `cargo run --release -p blindroute-routing --example audit`.
#![allow(clippy::print_stdout)]

use blindroute_protocol::{
    Audit, AuditSeeds, Dealer, DealerSeeds, Error, HashKey, MaterialQueue, Party, Prepare, PrepareSeeds, Program,
    QueueReader, Seed, ServerWeights, Tensor, WeightMasks, WeightShares,
};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{BundlePlan, SessionRequest, Task};
use blindroute_testkit::memory_channels;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RUNS: usize = 9;
const HASH_KEY: [u8; 16] = [9; 16];

fn seed(byte: u8) -> Seed {
    Seed::new([byte; 16])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bundles/default.blindroute");
    let plan = Arc::new(BundlePlan::of(&Bundle::open(Path::new(path))?.bundle));
    let weights = models(&plan.weights())?;
    let masks = WeightMasks::new(&plan.weights(), &[seed(3), seed(4)]);
    for bucket in [32, 128, 256] {
        let program = SessionRequest::new(Task::route(0, bucket)).program(&plan)?;
        // Dealing, preparing (both servers, one after the other), an audit by each server, and by both at once.
        let mut times = [const { Vec::new() }; 5];
        let mut material = 0;
        for _ in 0..RUNS {
            let (streams, dealing) = timed(|| dealt(&program, &masks))?;
            let (readers, preparing) = timed(|| prepared(&program, &weights, &streams))?;
            let ((), zero) = timed(|| audited(&program, &weights[0], &readers[0]))?;
            let ((), one) = timed(|| audited(&program, &weights[1], &readers[1]))?;
            let readers = prepared(&program, &weights, &streams)?;
            let ((), both) = timed(|| {
                std::thread::scope(|scope| {
                    let pairs = weights.iter().zip(&readers);
                    let all = pairs.map(|(weights, reader)| scope.spawn(|| audited(&program, weights, reader)));
                    let all: Vec<_> = all.collect();
                    all.into_iter()
                        .try_for_each(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                })
            })?;
            times.iter_mut().zip([dealing, preparing, zero, one, both]).for_each(|(all, time)| all.push(time));
            material = streams.iter().map(Vec::len).sum();
        }
        let [dealing, preparing, zero, one, both] = times.map(median);
        println!(
            "{bucket} tokens, {material} bytes: dealing {dealing:.1}, preparing {preparing:.1}, audit of server 0 {zero:.1}, of \
             server 1 {one:.1}, of both at once {both:.1}"
        );
    }
    Ok(())
}

fn models(specs: &[blindroute_protocol::WeightSpec]) -> Result<[ServerWeights; 2], Error> {
    let zeros: Vec<_> = specs.iter().map(|spec| Tensor::zeros(spec.shape())).collect();
    let (mut zero, mut one) = memory_channels(Duration::from_secs(60));
    let (own, other) = (WeightShares::from_seed(specs, &seed(1)), WeightShares::complement(specs, &zeros, &seed(1))?);
    std::thread::scope(|scope| {
        let first = scope.spawn(move || ServerWeights::set_up(specs, own, &seed(3), &mut zero));
        let second = ServerWeights::set_up(specs, other, &seed(4), &mut one)?;
        Ok([first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?, second])
    })
}

fn dealt<P: Program>(program: &P, masks: &WeightMasks) -> Result<[Vec<u8>; 2], Error> {
    let (mut zero, mut one) = (Vec::new(), Vec::new());
    let material = [seed(5), seed(6)];
    let seeds = DealerSeeds { material, products: seed(7), hash_key: HashKey::new(&HASH_KEY) };
    Dealer::run(program, masks, seeds, [&mut zero, &mut one])?;
    Ok([zero, one])
}

fn prepared<P: Program>(
    program: &P,
    weights: &[ServerWeights; 2],
    streams: &[Vec<u8>; 2],
) -> Result<[QueueReader; 2], Error> {
    let prepare = |party: usize| -> Result<QueueReader, Error> {
        let (writer, reader) = MaterialQueue::bounded(usize::MAX);
        let (material, products) = (seed(5 + party as u8), seed(7));
        let products = (weights[party].party() == Party::Zero).then_some(&products);
        let seeds = (PrepareSeeds { material: &material, products }, HashKey::new(&HASH_KEY));
        Prepare::run(program, &weights[party], seeds, &mut streams[party].as_slice(), &writer)?;
        writer.finish(Ok(()));
        Ok(reader)
    };
    Ok([prepare(0)?, prepare(1)?])
}

fn audited<P: Program>(program: &P, weights: &ServerWeights, reader: &QueueReader) -> Result<(), Error> {
    let (material, mask) = ([seed(5), seed(6)], seed(3 + weights.party().index() as u8));
    let seeds = AuditSeeds { material: &material, mask: &mask, hash_key: &HASH_KEY };
    if !Audit::run(program, weights, seeds, reader, &mut std::io::sink())? {
        return Err(Error::Program("an honest dealing is not found to be one".into()));
    }
    Ok(())
}

fn timed<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<(T, f64), Error> {
    let started = Instant::now();
    let found = run()?;
    Ok((found, started.elapsed().as_secs_f64() * 1e3))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
