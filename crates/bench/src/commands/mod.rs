//! The commands, one file each.

pub(crate) mod classify;
pub(crate) mod compare;
pub(crate) mod encoder;
pub(crate) mod gateway;
pub(crate) mod head;
pub(crate) mod matmul;
pub(crate) mod record;
pub(crate) mod route;
pub(crate) mod selection;
pub(crate) mod throughput;
