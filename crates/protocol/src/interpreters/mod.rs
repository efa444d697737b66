//! The meanings of a program: each runs the primitives its own way, and of an operation the meaning it stands for.

pub(crate) mod audit;
pub(crate) mod clear;
pub(crate) mod dealer;
pub(crate) mod fixed;
pub(crate) mod meter;
mod offline;
pub(crate) mod online;
pub(crate) mod prepare;
#[cfg(test)]
mod reuse;
mod server;
