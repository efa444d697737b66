//! What spans may say.

/// The semantic conventions whose names these are.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// A value of a span. Texts are names of the configuration or words of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    /// What is asked of a model.
    Operation(&'static str),
    Provider(String),
    RequestModel(String),
    ResponseModel(String),
    InputTokens(u64),
    OutputTokens(u64),
    /// A word for what went wrong.
    Error(&'static str),
    Status(u16),
    /// Why this model.
    Why(&'static str),
    Placement(&'static str),
    Router(String),
    /// Whether a model before it in the ranking could not answer.
    Fallback(bool),
}

/// A value as OTLP has it.
pub(super) enum Value<'a> {
    Text(&'a str),
    Whole(u64),
    Flag(bool),
}

impl Attribute {
    /// Its name and its value.
    pub(super) fn parts(&self) -> (&'static str, Value<'_>) {
        match self {
            Self::Operation(name) => ("gen_ai.operation.name", Value::Text(name)),
            Self::Provider(name) => ("gen_ai.provider.name", Value::Text(name)),
            Self::RequestModel(name) => ("gen_ai.request.model", Value::Text(name)),
            Self::ResponseModel(name) => ("gen_ai.response.model", Value::Text(name)),
            Self::InputTokens(count) => ("gen_ai.usage.input_tokens", Value::Whole(*count)),
            Self::OutputTokens(count) => ("gen_ai.usage.output_tokens", Value::Whole(*count)),
            Self::Error(word) => ("error.type", Value::Text(word)),
            Self::Status(status) => ("http.response.status_code", Value::Whole(u64::from(*status))),
            Self::Why(word) => ("blindroute.why", Value::Text(word)),
            Self::Placement(word) => ("blindroute.placement", Value::Text(word)),
            Self::Router(name) => ("blindroute.router", Value::Text(name)),
            Self::Fallback(flag) => ("blindroute.fallback", Value::Flag(*flag)),
        }
    }
}
