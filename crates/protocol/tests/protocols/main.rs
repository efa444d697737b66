//! The tests of this crate as one program, so that the interpreters are compiled for its test programs once. The search of
//! freed memory is a program of its own, because it installs an allocator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod audit;
mod best_k;
mod common;
mod costs;
mod faults;
mod frozen;
mod gates;
mod keys;
mod pools;
mod privacy;
mod properties;
mod ranges;
mod revealed;
mod scaled_product;
mod selections;
