//! What calls cost: prices, budgets, what routing saves, and whether a switch of the model pays.

mod amount;
pub mod budget;
pub mod limits;
pub mod savings;
pub mod switching;

pub use amount::{Amount, Prices, Tokens};
