//! Selection alone, for measurements and comparisons.

use super::plan::HEAD_PRODUCT;
use blindroute_protocol::{Error, Form, Interpreter, Machine, Program, Shape, WeightSpec, gates};

/// Top-k by one row of similarities, then the best of the k by a row of scores: CSCR's rule on given numbers.
#[derive(Clone, Copy, Debug)]
pub struct SelectProgram {
    /// How many candidates.
    pub candidates: usize,
    /// How many survive the search.
    pub keep: usize,
}

impl SelectProgram {
    /// Whether the numbers make sense: pairs grow with the square of the candidates, so these are bounded.
    ///
    /// # Errors
    /// Which is out of range.
    pub fn check(&self) -> Result<(), Error> {
        if !(2..=512).contains(&self.candidates) || !(1..=self.candidates).contains(&self.keep) {
            let (keep, candidates) = (self.keep, self.candidates);
            return Err(Error::Program(format!(
                "the top {keep} of {candidates}: 2 to 512 candidates, k from 1 to their number"
            )));
        }
        Ok(())
    }
}

impl Program for SelectProgram {
    fn weights(&self) -> Vec<WeightSpec> {
        Vec::new()
    }

    fn inputs(&self) -> Vec<Form> {
        // Cosines and prices: |difference| < 2^4.
        vec![Form::new(Shape::row(self.candidates), HEAD_PRODUCT + 5, HEAD_PRODUCT); 2]
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let similarity = machine.input::<u64>(0)?;
        let score = machine.input::<u64>(1)?;
        let score = machine.defer(score)?;
        let similarity = machine.open(similarity)?;
        let score = machine.take(score)?;
        let digits = 5;
        let low = HEAD_PRODUCT + 4 - 4 * digits;
        let bits = gates::top_k_then_argmax(machine, &similarity, &score, self.keep, low, digits)?;
        machine.reveal_bits(bits, "the client may know which candidate is chosen")
    }
}
