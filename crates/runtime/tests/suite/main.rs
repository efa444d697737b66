//! Sessions, pools of them, services, retries, what is cancelled, and faults between servers.

mod audit;
mod cancel;
mod certificates;
mod choices;
mod clients;
mod faults;
mod hand_over;
mod held;
mod known;
mod ledgers;
mod passes;
mod pool;
mod retry;
mod service;
mod sessions;
mod stored;
mod upgrades;
mod versions;
mod world;
