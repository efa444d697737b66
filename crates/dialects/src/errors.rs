//! Errors as each dialect writes them, and an upstream's errors in another dialect.

use crate::dialect::Dialect;
use crate::json::{Json, parse};
use crate::sse;
use std::fmt;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is wrong.
    InvalidRequest,
    /// No key, or a wrong one.
    Authentication,
    /// No money.
    Billing,
    /// The key may not do this.
    Permission,
    /// No such model or endpoint.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// Too many requests.
    RateLimit,
    /// It took too long.
    Timeout,
    /// The provider or the router has no capacity.
    Overloaded,
    /// Anything else that is the server's fault.
    Server,
}

impl ErrorKind {
    /// The kind that a status stands for.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Server,
        }
    }

    /// The status to answer with if nothing else is known.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Timeout => 504,
            Self::Overloaded => 503,
            Self::Server => 500,
        }
    }

    fn openai(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::NotFound | Self::TooLarge => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "insufficient_quota",
            Self::Permission => "permission_error",
            Self::RateLimit => "rate_limit_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded | Self::Server => "server_error",
        }
    }

    fn anthropic(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded => "overloaded_error",
            Self::Server => "api_error",
        }
    }

    /// The kind that a type or a code in an error stands for.
    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "invalid_request_error" | "invalid_prompt" => Self::InvalidRequest,
            "authentication_error" | "invalid_api_key" => Self::Authentication,
            "billing_error" | "insufficient_quota" => Self::Billing,
            "permission_error" => Self::Permission,
            "not_found_error" | "model_not_found" => Self::NotFound,
            "request_too_large" => Self::TooLarge,
            "rate_limit_error" | "rate_limit_exceeded" => Self::RateLimit,
            "timeout_error" => Self::Timeout,
            "overloaded_error" | "server_overloaded" => Self::Overloaded,
            "api_error" | "server_error" | "internal_error" => Self::Server,
            _ => return None,
        })
    }
}

/// An error on its way to a client. Its message may quote a prompt if a provider wrote it, so `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// What happened and what to do.
    pub message: String,
    /// The field of the request that is wrong.
    pub parameter: Option<String>,
    /// A name for programs, for instance `model_not_found`.
    pub code: Option<String>,
}

impl fmt::Debug for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an error of kind {:?} with status {}", self.kind, self.status)
    }
}

impl ApiError {
    /// An error of this kind, with the kind's status.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status: kind.status(), kind, message: message.into(), parameter: None, code: None }
    }

    /// With another status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With the name of the field that is wrong.
    #[must_use]
    pub fn with_parameter(self, parameter: impl Into<String>) -> Self {
        Self { parameter: Some(parameter.into()), ..self }
    }

    /// With a name for programs.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// What an upstream answered, in whatever dialect it is. A body that is no JSON is not repeated: it is mostly the page of
    /// a proxy.
    pub fn of_upstream(status: u16, body: &[u8]) -> Self {
        let plain = || Self::new(ErrorKind::of_status(status), format!("the provider answered with status {status}"));
        let Ok(body) = parse(body) else { return plain().with_status(status) };
        // An empty array of details precedes the error with some providers.
        let body = body.elements().first().unwrap_or(&body);
        Self::of_json(body)
            .map_or_else(plain, |found| Self { kind: found.refined(status), ..found })
            .with_status(status)
    }

    /// The error that a body or an event's data holds, if it holds one.
    pub fn of_json(body: &Json<'_>) -> Option<Self> {
        let failed = body.get("response").and_then(|response| response.get("error"));
        let bare = || (body.str_at("type") == Some("error")).then_some(body);
        let found = body.get("error").or(failed).or_else(bare)?;
        if let Some(message) = found.as_str() {
            return Some(Self::new(ErrorKind::Server, message));
        }
        let names = ["type", "code"].map(|name| found.str_at(name));
        let kind = names.iter().flatten().find_map(|name| ErrorKind::of_name(name)).unwrap_or(ErrorKind::Server);
        Some(Self {
            parameter: found.str_at("param").map(str::to_owned),
            code: found.str_at("code").map(str::to_owned),
            ..Self::new(kind, found.str_at("message").unwrap_or("the provider reported an error without a message"))
        })
    }

    /// The body of a response.
    pub fn body(&self, dialect: Dialect) -> String {
        let message = Json::text(self.message.as_str());
        let optional = |text: &'_ Option<String>| text.clone().map_or(Json::Null, Json::text);
        match dialect {
            Dialect::Chat | Dialect::Responses => {
                let error = Json::object([
                    ("message", message),
                    ("type", Json::text(self.kind.openai())),
                    ("param", optional(&self.parameter)),
                    ("code", optional(&self.code)),
                ]);
                Json::object([("error", error)]).to_string()
            }
            Dialect::Messages => {
                let error = Json::object([("type", Json::text(self.kind.anthropic())), ("message", message)]);
                Json::object([("type", Json::text("error")), ("error", error)]).to_string()
            }
        }
    }

    /// The event that ends a stream which has begun. `number` is the sequence number in a Responses stream.
    pub fn event(&self, dialect: Dialect, number: u64) -> String {
        match dialect {
            Dialect::Chat => sse::write("", &self.body(dialect)),
            Dialect::Messages => sse::write("error", &self.body(dialect)),
            Dialect::Responses => {
                let code = self.code.clone().unwrap_or_else(|| self.kind.openai().to_owned());
                let data = Json::object([
                    ("type", Json::text("error")),
                    ("code", Json::text(code)),
                    ("message", Json::text(self.message.as_str())),
                    ("param", self.parameter.clone().map_or(Json::Null, Json::text)),
                    ("sequence_number", Json::number(number)),
                ]);
                sse::write("error", &data.to_string())
            }
        }
    }

    /// The code that the error of a failed Responses response has.
    pub(crate) fn response_code(&self) -> &'static str {
        match self.kind {
            ErrorKind::RateLimit => "rate_limit_exceeded",
            ErrorKind::InvalidRequest => "invalid_prompt",
            _ => "server_error",
        }
    }

    /// A status says more than the type `invalid_request_error`, which OpenAI writes for most of its errors.
    fn refined(&self, status: u16) -> ErrorKind {
        let of_status = ErrorKind::of_status(status);
        let vague = matches!(self.kind, ErrorKind::InvalidRequest | ErrorKind::Server);
        if vague { of_status } else { self.kind }
    }
}

/// An upstream's error for a client of another dialect: the body; the status stays.
pub fn translate(status: u16, body: &[u8], to: Dialect) -> String {
    ApiError::of_upstream(status, body).body(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_form() {
        let error = ApiError::new(ErrorKind::NotFound, "no model \"x\"").with_parameter("model").with_code("gone");
        let openai =
            r#"{"error":{"message":"no model \"x\"","type":"invalid_request_error","param":"model","code":"gone"}}"#;
        assert_eq!([error.body(Dialect::Chat), error.body(Dialect::Responses)], [openai; 2]);
        let anthropic = r#"{"type":"error","error":{"type":"not_found_error","message":"no model \"x\""}}"#;
        assert_eq!(error.body(Dialect::Messages), anthropic);
        assert_eq!(error.event(Dialect::Chat, 0), format!("data: {openai}\n\n"));
        assert_eq!(error.event(Dialect::Messages, 0), format!("event: error\ndata: {anthropic}\n\n"));
        let event = r#"{"type":"error","code":"gone","message":"no model \"x\"","param":"model","sequence_number":3}"#;
        assert_eq!(error.event(Dialect::Responses, 3), format!("event: error\ndata: {event}\n\n"));
    }

    #[test]
    fn kinds_statuses_and_names_agree() {
        use ErrorKind::{
            Authentication, Billing, InvalidRequest, NotFound, Overloaded, Permission, RateLimit, Server, Timeout,
            TooLarge,
        };
        let all =
            [InvalidRequest, Authentication, Billing, Permission, NotFound, TooLarge, RateLimit, Timeout, Overloaded];
        for kind in all.into_iter().chain([Server]) {
            assert_eq!(ErrorKind::of_status(kind.status()), kind);
            let again =
                ApiError::of_upstream(kind.status(), ApiError::new(kind, "m").body(Dialect::Messages).as_bytes());
            assert_eq!((again.kind, again.message.as_str()), (kind, "m"));
            let again = ApiError::of_upstream(kind.status(), ApiError::new(kind, "m").body(Dialect::Chat).as_bytes());
            assert_eq!(again.kind, kind);
        }
        assert_eq!([418, 409, 422].map(ErrorKind::of_status), [InvalidRequest; 3]);
        assert_eq!((ErrorKind::of_status(529), ErrorKind::of_status(502)), (Overloaded, Server));
    }

    #[test]
    fn upstream_errors_are_translated() {
        let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"r"}"#;
        let expected = r#"{"error":{"message":"busy","type":"server_error","param":null,"code":null}}"#;
        assert_eq!(translate(529, body, Dialect::Chat), expected);
        let body = br#"{"error":{"message":"long","type":"invalid_request_error","param":"messages","code":"c"}}"#;
        let expected = r#"{"type":"error","error":{"type":"invalid_request_error","message":"long"}}"#;
        assert_eq!(translate(400, body, Dialect::Messages), expected);
        for body in [b"<html>canary</html>".as_slice(), b"", b"{}", b"[]"] {
            let error = ApiError::of_upstream(502, body);
            assert_eq!(
                (error.kind, error.message.as_str()),
                (ErrorKind::Server, "the provider answered with status 502")
            );
        }
        let listed = ApiError::of_upstream(400, br#"[{"error":{"message":"m"}}]"#);
        assert_eq!((listed.message.as_str(), listed.kind), ("m", ErrorKind::InvalidRequest));
        assert_eq!(ApiError::of_upstream(500, br#"{"error":"text"}"#).message, "text");
        assert!(!format!("{:?}", ApiError::new(ErrorKind::Server, "canary")).contains("canary"));
    }

    #[test]
    fn events_of_failure_are_recognised() {
        let failure = |text: &str| ApiError::of_json(&parse(text.as_bytes()).unwrap()).map(|error| error.kind);
        let failed = r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"m"}}}"#;
        assert_eq!(failure(failed), Some(ErrorKind::RateLimit));
        assert_eq!(failure(r#"{"type":"error","code":"server_error","message":"m"}"#), Some(ErrorKind::Server));
        assert_eq!(failure(r#"{"choices":[],"error":null}"#), None);
    }
}
