//! Approximate search in a layered graph.

use super::records::{chosen, indices, one_hot};
use super::{Window, candidates};
use crate::error::Error;
use crate::gates::argmax::argmax;
use crate::gates::top_k::top_k_then_argmax;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Bits, Machine, Masked, MaskedBits, Share};
use crate::material::word::RingWord;
use blindroute_ring::Shape;

/// Two layers of a navigable graph over the candidates: public, the same for every query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The candidates of the upper layer.
    pub top: Vec<usize>,
    /// For each candidate those next to it in the lower layer, itself among them; as many for each.
    pub neighbours: Vec<Vec<usize>>,
}

impl Graph {
    /// Candidates on a ring, each next to `keep` on either side; the upper layer takes one of each neighbourhood. It leads
    /// to the best if similarity falls with the distance on the ring.
    pub fn ring(candidates: usize, keep: usize) -> Self {
        let degree = (2 * keep + 1).min(candidates);
        let back = candidates - degree.div_ceil(2) + 1;
        let stride = degree.min(candidates.saturating_sub(1)).max(1);
        let around = |place: usize| (0..degree).map(|step| (place + back + step) % candidates.max(1)).collect();
        Self { top: (0..candidates).step_by(stride).collect(), neighbours: (0..candidates).map(around).collect() }
    }

    /// Neighbours of each.
    pub fn degree(&self) -> usize {
        self.neighbours.first().map_or(0, Vec::len)
    }

    fn check(&self, candidates: usize, keep: usize) -> Result<(), Error> {
        let degree = self.degree();
        let known = |places: &Vec<usize>| places.iter().all(|&place| place < candidates);
        if self.neighbours.len() != candidates
            || self.neighbours.iter().any(|places| places.len() != degree || !known(places))
            || !known(&self.top)
            || self.top.len() < 2
            || degree < keep.max(2)
        {
            return Err(Error::Program(format!("a graph of {candidates} candidates that finds {keep}")));
        }
        Ok(())
    }
}

/// The candidates next to a secret one.
struct Near<I: Interpreter> {
    similarity: Masked<I, u64>,
    score: Masked<I, u64>,
    index: Masked<I, u32>,
}

/// **Computes** the best by `score` of the k largest by `similarity` among the candidates next to the one that the search
/// reaches. **Shapes** two rows `[1, 1, n]`, masked, to n shared bits. **Cost** 19 openings: the best of the upper
/// layer (4), its d neighbours (1), the best of them as a one-hot vector over n (6), that one's d neighbours (1), unsorted
/// top-k among them (5), the winner's index (2). Comparisons of all pairs of the upper layer, and thrice of the
/// d neighbours. **Security** no path is seen: a step multiplies all candidates' neighbours with a secret one-hot
/// vector, and every similarity is computed beforehand. The graph itself is public, and tells which candidates are
/// alike. **Error** approximate: right where the graph leads to the best. **Source** Malkov and Yashunin's HNSW, with two
/// layers and one step in the lower; PPRoute's "HNSW", whose bytes are those of three comparisons of all pairs, so it
/// too touches everything. **Differs from the source** in that it does not save what makes HNSW fast: the published
/// search reads only the nodes on its path, and whoever serves the reads sees the path, and so roughly where the query lies.
/// To read as little without showing the path, it would need oblivious memory (ORAM, or private retrieval of one node per step) for
/// descriptors and lists, and a number of steps that does not depend on the query.
///
/// # Errors
/// If k is not in 1..=n, the graph does not fit, or the window does not lie in the ring.
pub fn graph_search<I: Interpreter>(
    machine: &mut Machine<I>,
    similarity: &Masked<I, u64>,
    score: &Masked<I, u64>,
    k: usize,
    window: Window,
    graph: &Graph,
) -> Result<Bits<I>, Error> {
    let n = candidates(similarity, score, k)?;
    graph.check(n, k)?;
    let comparison = window.comparison();
    let all = Near {
        similarity: similarity.clone(),
        score: score.clone(),
        index: indices(machine, score.form().shape.columns)?,
    };

    let upper = Structure::Gather(Shape::row(graph.top.len()), graph.top.as_slice().into());
    let entry = argmax(machine, &all.similarity.restructure(&upper), &comparison)?;
    let entry = machine.open_bits(entry)?;
    let near = step(machine, &all, graph, &graph.top, &entry)?;

    let best = argmax(machine, &near.similarity, &comparison)?;
    let best = machine.open_bits(best)?;
    let index = chosen(machine, &best, &near.index)?;
    let index = machine.open(index)?;
    let best = one_hot(machine, &index, n)?;
    let best = machine.open_bits(best)?;
    let near = step(machine, &all, graph, &(0..n).collect::<Vec<_>>(), &best)?;

    let winner = top_k_then_argmax(machine, &near.similarity, &near.score, k, &comparison)?;
    let winner = machine.open_bits(winner)?;
    let index = chosen(machine, &winner, &near.index)?;
    let index = machine.open(index)?;
    one_hot(machine, &index, n)
}

/// The neighbours of the one of `places` that the one-hot vector points at: one opening.
fn step<I: Interpreter>(
    machine: &mut Machine<I>,
    all: &Near<I>,
    graph: &Graph,
    places: &[usize],
    here: &MaskedBits<I>,
) -> Result<Near<I>, Error> {
    // Row j: the j-th neighbour of each place.
    let shape = Shape::matrix(graph.degree(), places.len());
    let neighbours = (0..graph.degree()).flat_map(|j| places.iter().map(move |&place| graph.neighbours[place][j]));
    let neighbours = Structure::Gather(shape, neighbours.collect());
    let repeated = Structure::Gather(shape, (0..shape.len()).map(|at| at % places.len()).collect());
    let here = machine.restructure_bits(here, &repeated)?;
    let similarity = of_each_row(machine, &here, &all.similarity.restructure(&neighbours))?;
    let score = of_each_row(machine, &here, &all.score.restructure(&neighbours))?;
    let index = of_each_row(machine, &here, &all.index.restructure(&neighbours))?;
    let (similarity, score, index) = (machine.defer(similarity)?, machine.defer(score)?, machine.defer(index)?);
    machine.exchange()?;
    Ok(Near { similarity: machine.take(similarity)?, score: machine.take(score)?, index: machine.take(index)? })
}

/// Of each row the element that its bits point at, as a row.
fn of_each_row<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    bits: &MaskedBits<I>,
    x: &Masked<I, W>,
) -> Result<Share<I, W>, Error> {
    let rows = x.form().shape.rows;
    Ok(chosen(machine, bits, x)?.restructure(&Structure::Reshape(Shape::row(rows))))
}
