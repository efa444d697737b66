//! The test world: dealer and servers in memory, seeded, with a timeout, and faults at named messages. And a made-up
//! encoder's published files.
//!
//! Only tests depend on this crate.

mod channel;
pub mod freed_memory;
mod published;
mod shared_data;
mod world;

pub use channel::{Fault, MemoryChannel, Record, memory_channels};
pub use published::{NumberType, PublishedEncoder, TOKENS};
pub use shared_data::shared_data;
pub use world::{Parties, Run, TestWorld, Transcript, generator};
