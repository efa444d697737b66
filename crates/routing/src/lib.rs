//! blindroute routing: the programs that run under MPC, the file that holds a router, and the client's first steps.

pub mod bundle;
pub mod embedding;
pub mod program;
pub mod tokenizer;
