//! A whole response.

use super::Citation;
use crate::json::Json;
use crate::usage::Usage;

/// A response in no dialect.
pub(crate) struct Reply {
    pub(crate) id: String,
    pub(crate) model: String,
    /// Seconds since 1970, where the dialect says so.
    pub(crate) created: Option<u64>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) finish: Finish,
    pub(crate) usage: Option<Usage>,
}

#[derive(Clone)]
pub(crate) enum Output {
    Text { text: String, logprobs: Option<Json<'static>>, citations: Vec<Citation> },
    Refusal(String),
    Thought { text: String, seal: Option<Seal> },
    Call { id: String, name: String, arguments: String },
}

/// Why the model stopped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Sequence(Option<String>),
    Length,
    Calls,
    Filter,
}

impl Finish {
    /// The reason as Chat writes it.
    pub(crate) fn chat(&self) -> &'static str {
        match self {
            Self::Stop | Self::Sequence(_) => "stop",
            Self::Length => "length",
            Self::Calls => "tool_calls",
            Self::Filter => "content_filter",
        }
    }

    /// The reason and the stop sequence as Messages writes them.
    pub(crate) fn messages(&self) -> (&'static str, Json<'static>) {
        match self {
            Self::Stop => ("end_turn", Json::Null),
            Self::Sequence(sequence) => ("stop_sequence", sequence.clone().map_or(Json::Null, Json::text)),
            Self::Length => ("max_tokens", Json::Null),
            Self::Calls => ("tool_use", Json::Null),
            Self::Filter => ("refusal", Json::Null),
        }
    }
}

/// What a provider sealed a thought with, so that it takes the thought back.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) kind: SealKind,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SealKind {
    /// The signature of a thought (Messages).
    Signature,
    /// A thought that is not shown (Messages).
    Redacted,
    /// Encrypted reasoning (Responses). The value is the item's identifier, a colon, and the content.
    Encrypted,
}

const KINDS: [(SealKind, &str); 3] = [
    (SealKind::Signature, "blindroute-signature:"),
    (SealKind::Redacted, "blindroute-redacted:"),
    (SealKind::Encrypted, "blindroute-encrypted:"),
];

impl Seal {
    /// The seal as a text of the other dialect, which its client keeps and sends back.
    pub(crate) fn carried(&self) -> String {
        let prefix = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, prefix)| prefix);
        format!("{prefix}{}", self.value)
    }

    /// What a client sent: a carried seal, or one of its own dialect's.
    pub(crate) fn read(own: SealKind, text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let carried = KINDS.iter().find_map(|(kind, prefix)| Some((*kind, text.strip_prefix(prefix)?)));
        let (kind, value) = carried.unwrap_or((own, text));
        Some(Self { kind, value: value.to_owned() })
    }
}

/// An identifier with another prefix: `chatcmpl-7` as `resp_7`.
pub(crate) fn renamed(id: &str, prefix: &str) -> String {
    let known = ["chatcmpl-", "resp_", "msg_"];
    let core = known.iter().find_map(|known| id.strip_prefix(known)).unwrap_or(id);
    format!("{prefix}{core}")
}
