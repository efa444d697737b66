//! The record of measurements: what is measured, on what, and how it changed.

pub(crate) mod change;
pub(crate) mod file;
pub(crate) mod hardware;
pub(crate) mod standard_set;
