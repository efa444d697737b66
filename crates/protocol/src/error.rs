//! What can go wrong, told apart by who is at fault.

use crate::channel::ChannelError;
use blindroute_ring::Shape;

/// An error of a secure program's run. It never holds a value, a share or a seed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The link to the other server failed or the other server broke the protocol.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The dealer's stream ended or failed.
    #[error("the dealer's material could not be read: {0}; start a new session: this one's material is consumed")]
    Material(#[source] std::io::Error),
    /// The dealer could not write its stream.
    #[error("the dealer could not send material: {0}; the server has gone away, start a new session")]
    Sink(#[source] std::io::Error),
    /// The preparation of the material stopped before the program's end.
    #[error("the material ran out before the program ended; the session is consumed, start a new one")]
    MaterialEnded,
    /// Material and program do not fit: a broken or foreign dealer.
    #[error(
        "the material does not fit the program at this step (expected {expected}); check that dealer and servers run the same version and bundle"
    )]
    MaterialMismatch {
        /// What the program needed.
        expected: &'static str,
    },
    /// A tensor has another shape than the program needs.
    #[error("{what}: expected shape {expected}, found {found}")]
    Shape {
        /// Which operand.
        what: &'static str,
        /// The shape needed.
        expected: Shape,
        /// The shape given.
        found: Shape,
    },
    /// The program's ring widths, fractions or order of openings are wrong: a fault of the program, not of its input.
    #[error("the program is wrong: {0}; please report this")]
    Program(String),
    /// A value left the range its ring or window allows (fixed-point interpreter only: servers cannot see values).
    #[error(
        "{step}: a value of {bits_used} bits does not fit the {bits_allowed} bits allowed; widen the ring or the window"
    )]
    Overflow {
        /// The step that checked.
        step: String,
        /// Bits that the value takes, sign included.
        bits_used: u32,
        /// Bits that the step allows.
        bits_allowed: u32,
    },
    /// The client's input does not fit the program.
    #[error(
        "the client sent {found} bytes of input shares, expected {expected}; check that client and servers use the same bundle"
    )]
    Input {
        /// Bytes the program's inputs take.
        expected: usize,
        /// Bytes received.
        found: usize,
    },
    /// An input's value has no place in its ring. Told before anything is shared.
    #[error(
        "input {input} of the program holds a value that is no number or does not fit {bits} bits with {fraction} \
         fraction bits; nothing was sent. Check what made it: a model's damaged weights, or numbers of another scale"
    )]
    InputRange {
        /// Which input, from 0.
        input: usize,
        /// The ring's bits.
        bits: u32,
        /// Its fraction bits.
        fraction: u32,
    },
    /// Weights are missing or of the wrong size.
    #[error("weight {name}: {problem}; split the bundle again")]
    Weight {
        /// The weight's name in the program.
        name: String,
        /// What is wrong.
        problem: String,
    },
}
