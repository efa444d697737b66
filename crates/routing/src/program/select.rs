//! Selection without a router, for measurements and comparisons.

use super::plan::RULE_PRODUCT;
use blindroute_protocol::gates::selection::{self, Graph, Window};
use blindroute_protocol::{Error, Form, Interpreter, Machine, Program, Shape, WeightSpec, gates};
use serde::{Deserialize, Serialize};

/// Fraction bits of similarities and scores. The client rounds to them, so that comparisons look at every bit.
const GRID: u32 = 16;
/// Digits of four bits that comparisons look at: |difference| < 2^4.
const WINDOW: Window = Window { digits: 5 };
/// Bits of the rings beyond what the comparisons look at: with them an opening has the bytes of a router's scores, of
/// [`RULE_PRODUCT`] fraction bits.
const SPARE: u32 = RULE_PRODUCT - GRID;
/// The most comparisons one after another, which bounds a session's time on any network.
const MOST_STEPS: usize = 4096;

/// How the best candidates are searched: our method, and those that PPRoute compares with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectMethod {
    /// Unsorted top-k, all pairs at once: what routers use.
    #[default]
    Unsorted,
    /// The maximum of all pairs, k times.
    Maximum,
    /// The maximum by a tournament, k times.
    MaximumTree,
    /// Approximate search in a layered graph, in the style of HNSW.
    Hnsw,
    /// A whole bitonic sort.
    Bitonic,
    /// The divide-and-conquer bubble of Kona.
    Kona,
    /// Compare-and-swap, one after another.
    BruteForce,
}

impl SelectMethod {
    /// All, in the order of PPRoute's table, ours last.
    pub const ALL: [Self; 7] =
        [Self::Maximum, Self::MaximumTree, Self::Hnsw, Self::Bitonic, Self::Kona, Self::BruteForce, Self::Unsorted];

    /// The method's name in commands and requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsorted => "unsorted",
            Self::Maximum => "maximum",
            Self::MaximumTree => "maximum-tree",
            Self::Hnsw => "hnsw",
            Self::Bitonic => "bitonic",
            Self::Kona => "kona",
            Self::BruteForce => "brute-force",
        }
    }

    /// Whether it may miss the best candidates.
    pub fn approximate(self) -> bool {
        self == Self::Hnsw
    }
}

impl std::fmt::Display for SelectMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for SelectMethod {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| format!("unsupported selection {name:?}: expected one of {}", known()))
    }
}

/// CSCR's rule on given numbers: the top k by a row of similarities, then the best of these by a row of scores.
#[derive(Clone, Copy, Debug)]
pub struct SelectProgram {
    /// How many candidates.
    pub candidates: usize,
    /// How many candidates the search keeps.
    pub keep: usize,
    /// How the search works. All methods but the approximate one choose the same.
    pub method: SelectMethod,
}

impl SelectProgram {
    /// Checks that the numbers are in range. The candidates are bounded because pairs grow with their square, and so are the
    /// steps that wait for each other.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let (keep, candidates) = (self.keep, self.candidates);
        if !(2..=512).contains(&candidates) || !(1..=candidates).contains(&keep) {
            return Err(Error::Program(format!(
                "unsupported selection of the top {keep} of {candidates}: expected 2 to 512 candidates, and k from 1 to their \
                 number"
            )));
        }
        if self.method != SelectMethod::Unsorted && keep * candidates > MOST_STEPS {
            return Err(Error::Program(format!(
                "unsupported selection of the top {keep} of {candidates} by {}: expected at most {MOST_STEPS} for k times the \
                 candidates",
                self.method
            )));
        }
        Ok(())
    }

    /// The rings of similarities and scores: as wide as the method's comparisons need, and [`SPARE`].
    fn rings(&self) -> [u32; 2] {
        let plain = WINDOW.comparison().window();
        let taken = WINDOW.with_taken().window();
        let ties = WINDOW.with_ties(self.candidates).window();
        let rings = match self.method {
            SelectMethod::Unsorted | SelectMethod::Hnsw => [plain, plain],
            SelectMethod::Maximum | SelectMethod::MaximumTree => [taken, ties],
            SelectMethod::Bitonic | SelectMethod::Kona => [ties, ties],
            SelectMethod::BruteForce => [plain, ties],
        };
        rings.map(|bits| bits + SPARE)
    }
}

impl Program for SelectProgram {
    fn weights(&self) -> Vec<WeightSpec> {
        Vec::new()
    }

    fn inputs(&self) -> Vec<Form> {
        // Cosines and prices: |difference| < 2^4.
        self.rings().map(|bits| Form::new(Shape::row(self.candidates), bits, GRID)).to_vec()
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let similarity = machine.input::<u64>(0)?;
        let score = machine.input::<u64>(1)?;
        let score = machine.defer(score)?;
        let similarity = machine.open(similarity)?;
        let score = machine.take(score)?;
        let (similarity, score, k) = (&similarity, &score, self.keep);
        let bits = match self.method {
            SelectMethod::Unsorted => gates::top_k_then_argmax(machine, similarity, score, k, &WINDOW.comparison())?,
            SelectMethod::Maximum => selection::repeated_maximum_pairwise(machine, similarity, score, k, WINDOW)?,
            SelectMethod::MaximumTree => selection::repeated_maximum_tree(machine, similarity, score, k, WINDOW)?,
            SelectMethod::Hnsw => {
                let graph = Graph::ring(self.candidates, k);
                selection::graph_search(machine, similarity, score, k, WINDOW, &graph)?
            }
            SelectMethod::Bitonic => selection::bitonic_sort(machine, similarity, score, k, WINDOW)?,
            SelectMethod::Kona => selection::divide_and_conquer_bubble(machine, similarity, score, k, WINDOW)?,
            SelectMethod::BruteForce => selection::brute_force(machine, similarity, score, k, WINDOW)?,
        };
        machine.reveal_bits(bits, "the client may know which candidate is chosen")
    }
}
