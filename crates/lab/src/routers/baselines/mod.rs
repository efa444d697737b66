//! Routers that are compared with the others in an evaluation, and that no bundle holds.

pub mod knn;
pub mod mlp;
