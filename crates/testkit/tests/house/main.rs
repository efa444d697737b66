//! Checks of how the sources are built: what crates may not name, lines that stand twice, files that
//! use each other, where randomness comes from, and the table of cases.
#![allow(clippy::unwrap_used)]

mod cases;
mod circles;
mod copies;
mod documents;
mod layers;
mod randomness;
mod sources;
