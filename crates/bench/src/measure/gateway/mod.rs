//! What a gateway adds to a call: a provider that is a mock, callers that keep their connections, and the gateway as a process.

pub(crate) mod calls;
pub(crate) mod connection;
pub(crate) mod message;
pub(crate) mod process;
pub(crate) mod provider;

pub(crate) use process::stop_children;

use serde::Serialize;

/// What the mock provider answers.
pub(crate) const TEXT: &str = "The capital of France is Paris.";

/// Whether an answer comes whole or as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    Whole,
    Stream,
}

impl Form {
    pub(crate) const ALL: [Self; 2] = [Self::Whole, Self::Stream];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Stream => "stream",
        }
    }
}
