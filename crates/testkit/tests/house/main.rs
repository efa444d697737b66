//! Checks of how the sources are built: what crates may not name, lines that stand twice, files that use each other.
#![allow(clippy::unwrap_used)]

mod circles;
mod copies;
mod documents;
mod layers;
mod sources;
