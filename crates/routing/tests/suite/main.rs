//! Programs, batches of prompts, imported encoders, and the real MiniLM. One binary, because each would compile the secure
//! programs for all interpreters anew.

mod batches;
mod classify;
mod common;
mod foreign;
mod import;
mod lexical;
mod minilm;
mod open;
mod programs;
mod ranking;
mod traces;
mod tunings;
