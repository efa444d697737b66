//! The gateway's paths, and the dialect in which their errors are written.

use axum::http::{HeaderMap, Method};
use blindroute_dialects::Dialect;

/// A path that the gateway answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/responses`.
    Responses,
    /// `/v1/responses/compact`.
    Compact,
    /// `/v1/messages`.
    Messages,
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/models` and `/v1/models/` with a name.
    Models,
    /// `/v1/embeddings`.
    Embeddings,
    /// `/v1/route`.
    Route,
    /// `/`, the page for people.
    Page,
    /// `/forget`, its second page.
    Forget,
    /// `/livez`.
    Alive,
    /// `/readyz`.
    Ready,
    /// `/metrics`.
    Metrics,
    /// `/openapi.json`, the description of all that.
    Description,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Chat,
        Self::Responses,
        Self::Compact,
        Self::Messages,
        Self::CountTokens,
        Self::Models,
        Self::Embeddings,
        Self::Route,
        Self::Page,
        Self::Forget,
        Self::Alive,
        Self::Ready,
        Self::Metrics,
        Self::Description,
    ];

    /// The endpoint of a path without its query.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let one_model = path.strip_prefix("/v1/models/").is_some_and(|name| !name.is_empty());
        let exact = || Self::ALL.into_iter().find(|endpoint| endpoint.path() == path);
        if one_model { Some(Self::Models) } else { exact() }
    }

    /// Its path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        self.about().0
    }

    /// Its name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.about().1
    }

    /// The methods that it takes, as in the header `Allow`.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        self.about().2
    }

    const fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Chat => ("/v1/chat/completions", "chat", "POST"),
            Self::Responses => ("/v1/responses", "responses", "POST"),
            Self::Compact => ("/v1/responses/compact", "compact", "POST"),
            Self::Messages => ("/v1/messages", "messages", "POST"),
            Self::CountTokens => ("/v1/messages/count_tokens", "count_tokens", "POST"),
            Self::Models => ("/v1/models", "models", "GET, HEAD"),
            Self::Embeddings => ("/v1/embeddings", "embeddings", "POST"),
            Self::Route => ("/v1/route", "route", "POST"),
            Self::Page => ("/", "page", "GET, HEAD"),
            Self::Forget => ("/forget", "forget", "GET, HEAD, POST"),
            Self::Alive => ("/livez", "livez", "GET, HEAD"),
            Self::Ready => ("/readyz", "readyz", "GET, HEAD"),
            Self::Metrics => ("/metrics", "metrics", "GET, HEAD"),
            Self::Description => ("/openapi.json", "openapi", "GET, HEAD"),
        }
    }

    /// Whether it takes a method.
    #[must_use]
    pub fn takes(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Whether it is a page for people.
    #[must_use]
    pub const fn is_page(self) -> bool {
        matches!(self, Self::Page | Self::Forget)
    }

    /// Whether it answers without the local token: what probes ask, which says nothing about calls.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Alive | Self::Ready)
    }
}

/// The dialect of the caller, as far as the path or the header `anthropic-version` tell it; else Chat.
#[must_use]
pub fn dialect(path: &str, headers: &HeaderMap) -> Dialect {
    let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below(Dialect::Messages.path()) {
        Dialect::Messages
    } else if below(Dialect::Responses.path()) {
        Dialect::Responses
    } else if !below(Dialect::Chat.path()) && headers.contains_key("anthropic-version") {
        Dialect::Messages
    } else {
        Dialect::Chat
    }
}
