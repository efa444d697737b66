//! Who may call the gateway: programs of this machine and of the configured hosts, and no page of the web.
//!
//! A browser lets any page send requests to `127.0.0.1`, and a page whose name is made to resolve to `127.0.0.1` (DNS rebinding) can
//! read the answers too. So a request must name the gateway by a configured host, must not come from the page of another
//! site, and must have the local token if one is configured. There is no CORS but for configured origins.
//!
//! [`check`] is the middleware. Its rules are functions of their own: [`host`], [`origin`], [`token`].

mod check;
mod endpoint;
mod forms;
pub mod host;
pub mod origin;
mod preflight;
mod refusal;
#[cfg(test)]
mod tests;
pub mod token;

pub use check::{Guard, Rules, check, read_body};
pub use endpoint::{Endpoint, dialect};
pub(crate) use forms::FIELD as FORM_FIELD;
pub use forms::Forms;
pub use refusal::Refusal;
pub use token::Token;
