//! A secure program: a provider's secret scoring matrix, a client's secret wishes, and the best of three offers.
//!
//! It is written once. Here it runs in the clear, is priced without running, and runs under MPC with dealer and both
//! servers as threads. Run with `cargo run --example custom_program -p blindroute-protocol`.
#![allow(clippy::print_stdout)]

use blindroute_protocol::{
    Clear, Comparison, Error, Form, Interpreter, Machine, Meter, Program, Shape, Tensor, WeightId, WeightKind,
    WeightSpec, gates,
};
use blindroute_testkit::TestWorld;

/// Numbers have 12 fraction bits.
const FRACTION: u32 = 12;

struct BestOffer;

impl Program for BestOffer {
    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("scores", WeightKind::Matrix { inner: 4, columns: 3 }, FRACTION)]
    }

    fn inputs(&self) -> Vec<Form> {
        vec![Form::new(Shape::row(4), 64, FRACTION)]
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let wishes = machine.input::<u64>(0)?;
        let wishes = machine.open(wishes)?;
        let scores = machine.linear(&wishes, WeightId(0))?;
        let scores = machine.truncate_reduce(scores, FRACTION)?;
        let scores = machine.open(scores)?;
        // By all 20 bits of a difference: scores differ by less than 2^8.
        let best = gates::argmax(machine, &scores, &Comparison::exact(5, 4))?;
        machine.reveal_bits(best, "the client may know which offer suits it best")
    }
}

fn main() -> Result<(), Error> {
    let scores = Tensor::new(Shape::matrix(4, 3), vec![0.9, 0.1, 0.4, 0.2, 0.8, 0.3, 0.5, 0.5, 0.6, 0.1, 0.7, 0.2]);
    let wishes = Tensor::new(Shape::row(4), vec![0.3, 1.0, 0.2, 0.7]);

    let clear = Clear::run(&BestOffer, std::slice::from_ref(&scores), vec![wishes.clone()])?;
    let cost = Meter::cost(&BestOffer)?;
    // Seeded, for experiments. The crate blindroute-runtime runs programs across machines with fresh randomness.
    let private = TestWorld::seeded(1).run(&BestOffer, &[scores], &[wishes])?;
    println!("in the clear {:?}, under MPC {:?}", clear.bits[0], private.output.bits[0]);
    println!("{} openings, {} bytes to the other server", cost.openings, cost.opening_bytes);
    Ok(())
}
