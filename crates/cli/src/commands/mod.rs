//! The commands, one module each.

pub(crate) mod bench;
pub(crate) mod bundle;
pub(crate) mod certificates;
pub(crate) mod route;
pub(crate) mod serve;
