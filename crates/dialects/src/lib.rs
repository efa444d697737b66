//! The three dialects in which LLMs are called over HTTP: OpenAI Chat Completions, OpenAI Responses and Anthropic
//! Messages. Pure: no input or output, no clock, no async code.
//!
//! A gateway passes a request on byte for byte but for the model's name, and knows what the request says:
//!
//! ```
//! use blindroute_dialects::json::Json;
//! use blindroute_dialects::raw::{Edit, Object};
//! use blindroute_dialects::{Dialect, reading};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let body = br#"{"model":"auto", "temperature":0.10, "messages":[{"role":"user","content":"Hi"}]}"#;
//! let request = Object::read(body)?;
//!
//! let reading = reading::read(Dialect::Chat, &request)?;
//! assert_eq!(reading.turn, reading::Turn::NewUser);
//! assert_eq!(reading.last_user.as_ref().map(|text| text.as_str()), Some("Hi"));
//!
//! let sent = request.edited(&[Edit::set("model", &Json::text("gpt-5"))]);
//! assert_eq!(sent, r#"{"model":"gpt-5", "temperature":0.10, "messages":[{"role":"user","content":"Hi"}]}"#);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here prints a text of a user: errors hold paths and positions, and `Debug` prints kinds and sizes.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod chat;
mod conversation;
mod dialect;
pub mod errors;
pub mod json;
mod messages;
pub mod raw;
pub mod reading;
mod responses;
pub mod sse;
pub mod stream;
pub mod translate;
pub mod usage;

pub use dialect::Dialect;
