//! An operation: one step of a program with its five meanings.
//!
//! A file of [`protocols`](crate::protocols) holds everything about an operation: its documentation, the method of
//! [`Machine`](crate::Machine) that programs call, and an `impl` of [`Operation`], in which the clear, fixed, cost,
//! offline and online meanings stand side by side. An interpreter has one method for all operations,
//! [`Interpreter::apply`](crate::Interpreter::apply), which calls the meaning that it stands for.
//!
//! What operands and results are is said by a [`Kind`], for instance [`kind::Masked`]; which type that is in a meaning
//! is said by its [`World`], for instance [`world::Online`].

mod cost;
pub mod kind;
mod ranges;
mod sides;
pub mod world;

pub use cost::{Cost, CostMeter};
pub use kind::Kind;
pub use ranges::{Headroom, Ranges};
pub use sides::{OfflineRole, Outgoing, Server};
pub use world::World;

use crate::error::Error;
use blindroute_ring::Tensor;

/// What is returned for a result of kind `R` in world `T`.
pub type Returned<R, T> = Result<<R as Kind>::In<T>, Error>;

/// An operation from operands of kind `A` to a result of kind `R`. Its fields are what is public: forms, thresholds,
/// tables.
///
/// All five meanings must take and give the same number of elements, and [`cost`](Self::cost) must be what
/// [`offline`](Self::offline) and [`online`](Self::online) do: tests compare them.
pub trait Operation<A: Kind, R: Kind> {
    /// The result on real numbers, exact up to f32. `weights` are the program's, by their ids.
    ///
    /// # Errors
    /// If the operands do not fit.
    fn clear(&self, weights: &[Tensor<f32>], operands: A::In<world::Clear>) -> Returned<R, world::Clear>;

    /// The integers that the servers compute, rounding included. `ranges` checks that they fit the rings.
    ///
    /// # Errors
    /// If a value leaves its ring.
    fn fixed(&self, ranges: &mut Ranges, operands: A::In<world::Fixed>) -> Returned<R, world::Fixed>;

    /// Counts material, messages and exchanges.
    fn cost(&self, meter: &mut CostMeter);

    /// The offline phase, one body of code for the dealer, who knows the operands' masks, and for a server, which knows
    /// shares of them.
    ///
    /// # Errors
    /// If the other end of the stream of material fails.
    fn offline<P: OfflineRole>(&self, role: &mut P, operands: A::In<world::Offline>) -> Returned<R, world::Offline>;

    /// A server's online phase. It may exchange messages; what was deferred before leaves with the first of them.
    ///
    /// # Errors
    /// If the material or the other server fails.
    fn online<S: Server>(&self, server: &mut S, operands: A::In<world::Online>) -> Returned<R, world::Online>;
}
