//! What tests share: the test world (dealer and servers in memory, seeded, with a timeout, and with faults at chosen
//! messages), a proxy that puts faults on TCP streams, a search of freed memory, a server alone whose time is measured, and the published files of a made-up
//! encoder.
//!
//! Only tests depend on this crate.

mod alone;
mod channel;
pub mod documents;
pub mod freed_memory;
mod pipe;
mod proxy;
mod published;
mod roles;
mod shared_data;
pub mod timing;
mod tokenizer;
mod world;

pub use alone::{Noise, ServerAlone, State};
pub use channel::{Fault, MemoryChannel, Record, memory_channels};
pub use proxy::{Direction, Proxy, StreamFault, StreamPlan};
pub use published::{NumberType, PublishedEncoder};
pub use shared_data::shared_data;
pub use tokenizer::{TOKENS, tokenizer_json};
pub use world::{Parties, Run, TestWorld, Transcript, generator};
