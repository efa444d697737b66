//! Sessions, pools of them, services, retries, and faults between servers.

mod faults;
mod hand_over;
mod held;
mod pool;
mod retry;
mod service;
mod sessions;
mod world;
