//! Choosing the best few rows of a batch by a secret matrix, and putting results back where they came from.

use super::argmax::ranks_of;
use super::ranking::beyond;
use crate::error::Error;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::protocols::comparison::Comparison;
use blindroute_ring::Shape;

/// Which of N candidates were chosen: a matrix `[1, C, N]` of zeros and ones, with one 1 in each row and at most one in each
/// column, secret. N and C are public.
pub struct Chosen<I: Interpreter> {
    matrix: Masked<I, u64>,
}

impl<I: Interpreter> std::fmt::Debug for Chosen<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chosen({:?})", self.matrix)
    }
}

impl<I: Interpreter> Chosen<I> {
    /// **Computes** the C candidates with the largest keys, the largest first. **Shapes** keys `[1, 1, N]`, masked
    /// ([`sort_keys`](super::sort_keys)); the matrix is in a ring of `ring` bits. **Cost** four openings (comparison 2, none if tuned to keys; ranks; matrix);
    /// N(N − 1)/2 comparisons and C·N look-ups. **Security** as [`argmax`](super::argmax). **Error** none: the ranks are a permutation, so every row names one
    /// candidate, and no candidate is named twice. **Source** PPRoute's unsorted top-k, section 4.3. **Differs from the source** in
    /// that the answer is a matrix, so that what follows runs on C candidates only.
    ///
    /// # Errors
    /// If C is not in 1..=N, the comparison leaves bits out, or its window does not lie in the ring of the keys.
    pub fn best(
        machine: &mut Machine<I>,
        keys: &Masked<I, u64>,
        count: usize,
        comparison: &Comparison,
        ring: u32,
    ) -> Result<Self, Error> {
        let Shape { columns: candidates, .. } = keys.form().shape;
        if keys.form().shape != Shape::row(candidates) || !(1..=candidates).contains(&count) || candidates < 2 {
            return Err(Error::Program(format!("the best {count} of {}", keys.form().shape)));
        }
        let ranks = ranks_of(machine, keys, comparison)?;
        let ranks = machine.open(ranks)?;
        // Row c asks which candidate has rank c.
        let ranks = beyond(machine, &ranks, count)?;
        let table: Vec<i64> = (0..1usize << ranks.form().bits).map(|beyond| i64::from(beyond == 0)).collect();
        let matrix = machine.lookup::<u32, u64>(&ranks, &table, ring)?;
        Ok(Self { matrix: machine.open(matrix)? })
    }

    /// **Computes** the chosen candidates' matrices. **Shapes** `[N, rows, columns]`, masked, to `[C, rows, columns]` in shares of the same ring. **Cost** no
    /// opening; material as a [matrix product](crate::protocols::product) of as many results. **Security** shares only. Exact. **Source** one-hot selection, standard.
    ///
    /// # Errors
    /// If there are not N matrices.
    pub fn gathered<W: RingWord>(&self, machine: &mut Machine<I>, all: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        let Shape { rows, columns, .. } = all.form().shape;
        let chosen = self.matrix.form().shape.rows;
        let matrix = self.in_ring::<W>(machine, all.form().bits)?;
        let flat = all.restructure(&Structure::Reshape(Shape::matrix(all.form().shape.batch, rows * columns)));
        let gathered = machine.matmul(&matrix, &flat)?;
        Ok(gathered.restructure(&Structure::Reshape(Shape::new(chosen, rows, columns))))
    }

    /// **Computes** for each candidate that was chosen its row of `deep`, for the others zero. **Shapes** `[C, 1, columns]`, masked, to `[N, 1, columns]` in shares.
    /// **Cost**, **Security**, **Error** as [`gathered`](Self::gathered).
    ///
    /// # Errors
    /// If there are not C rows.
    pub fn scattered(&self, machine: &mut Machine<I>, deep: &Masked<I, u64>) -> Result<Share<I, u64>, Error> {
        let Shape { batch, columns, .. } = deep.form().shape;
        let all = self.matrix.form().shape.columns;
        let matrix = self.in_ring::<u64>(machine, deep.form().bits)?.restructure(&Structure::Transpose);
        let flat = deep.restructure(&Structure::Reshape(Shape::matrix(batch, columns)));
        let scattered = machine.matmul(&matrix, &flat)?;
        Ok(scattered.restructure(&Structure::Reshape(Shape::new(all, 1, columns))))
    }

    /// **Computes** for each candidate its row of `shallow`, and zero for those that were chosen. **Shapes** `[N, 1, columns]`, masked, to as many shares. **Cost**
    /// no opening; material as a [product](crate::protocols::product) of as many results. **Security** shares only. Exact.
    ///
    /// # Errors
    /// If there are not N rows.
    pub fn without(&self, machine: &mut Machine<I>, shallow: &Masked<I, u64>) -> Result<Share<I, u64>, Error> {
        let matrix = self.in_ring::<u64>(machine, shallow.form().bits)?;
        let gone = matrix.restructure(&Structure::SumRows);
        let gone = gone.restructure(&Structure::Reshape(Shape::new(gone.form().shape.columns, 1, 1)));
        let one = machine.constants::<u64>(*gone.form(), &vec![1.0; gone.form().shape.len()])?;
        machine.product(shallow, &one.subtract(&gone)?)
    }

    fn in_ring<W: RingWord>(&self, machine: &mut Machine<I>, bits: u32) -> Result<Masked<I, W>, Error> {
        machine.to_word(&self.matrix.clone().narrowed(bits))
    }
}
