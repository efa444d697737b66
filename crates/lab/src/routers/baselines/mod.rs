//! Routers that only evaluation needs: what ours are compared with.

pub mod knn;
pub mod mlp;
