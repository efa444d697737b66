//! Secure programs over masked values: two servers, one dealer, semi-honest, no collusion.
//!
//! A secret value `x` is a [`Masked`] pair: `m = x + δ` is public to both servers, and the mask `δ` is known to the
//! dealer and shared between the servers. A [`Share`] is an additive sharing of a value that has not been opened yet.
//! Linear maps of both are local; products of masked values give shares; an *opening* (one simultaneous exchange, both
//! servers send `share + fresh mask share`) turns shares into masked values. That one opening is at once Beaver mask,
//! input of an extension and of a comparison.
//!
//! A [`Program`] is written once against a [`Machine`], and an [`Interpreter`] gives it a meaning:
//! [`Clear`] (f32), [`Fixed`] (ring integers with overflow checks), [`Meter`] (cost), [`Dealer`] and [`Prepare`] (the
//! offline phase of dealer and servers, one body of code), and [`Online`] (a server with its peer).
//!
//! ```
//! use blindroute_protocol::{Clear, Error, Form, Inputs, Interpreter, Machine, Program, Shape, Tensor, WeightSpec};
//!
//! /// The square of each of four numbers, revealed to the client.
//! struct Square;
//! impl Program for Square {
//!     fn weights(&self) -> Vec<WeightSpec> {
//!         Vec::new()
//!     }
//!     fn inputs(&self) -> Vec<Form> {
//!         vec![Form::new(Shape::row(4), 64, 12)]
//!     }
//!     fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
//!         let x = machine.input::<u64>(0)?;
//!         let x = machine.open(x)?;
//!         let square = machine.product(&x, &x)?;
//!         machine.reveal(square, "the client asked for it")
//!     }
//! }
//! let output = Clear::run(&Square, &[], vec![Tensor::new(Shape::row(4), vec![1.0, 2.0, 3.0, -4.0])])?;
//! assert_eq!(output.values[0], [1.0, 4.0, 9.0, 16.0]);
//! # Ok::<(), Error>(())
//! ```
//!
//! The crate has no sockets, no clock and no async: a transport implements [`Channel`], a material stream is any
//! [`std::io::Read`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bits;
mod channel;
mod elementary;
mod error;
mod form;
pub mod gates;
mod interpreters;
mod kept;
mod linear;
mod machine;
mod material;
pub mod operation;
mod party;
mod program;
pub mod protocols;
mod secret;
mod spline;
mod tuning;
mod weight_spec;
mod weights;

pub use bits::BitTensor;
pub use blindroute_ring::fss::HashKey;
pub use blindroute_ring::{
    Seed, Shape, Tensor, WatchingAllocator, WipingAllocator, Word, marks, reserve_wiped, wipe, wipe_vec,
};
pub use channel::{Channel, ChannelError};
pub use error::Error;
pub use form::Form;
pub use interpreters::audit::{Audit, AuditSeeds};
pub use interpreters::clear::Clear;
pub use interpreters::dealer::{Dealer, DealerSeeds};
pub use interpreters::fixed::Fixed;
pub use interpreters::meter::Meter;
pub use interpreters::online::{Online, Ran};
pub use interpreters::prepare::{Prepare, PrepareSeeds};
pub use kept::Kept;
pub use linear::{Linear, Structure};
pub use machine::interpreter::Interpreter;
pub use machine::{Bits, Machine, Masked, MaskedBits, Pending, Share};
pub use material::queue::{MaterialQueue, QueueReader, QueueWriter};
pub use material::record::Keys;
pub use material::word::RingWord;
pub use operation::{Cost, Headroom};
pub use party::Party;
pub use program::{Inputs, Output, OutputShare, OutputSize, OutputSpec, Program};
pub use protocols::comparison::Comparison;
pub use protocols::reveal::ZeroSeed;
pub use secret::Secret;
pub use spline::{Function, Spline};
pub use tuning::Tuning;
pub use weight_spec::{WeightId, WeightKind, WeightSpec};
pub use weights::{ServerWeights, WeightMasks, WeightShares};
