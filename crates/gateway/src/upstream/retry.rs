//! Which failures are tried again or elsewhere, and when.
//!
//! | the provider | same model again | next model |
//! |---|---|---|
//! | 408, 409, 429, 5xx, transport errors, an answer that is cut off | yes | yes |
//! | 429 because the account is empty | no | yes |
//! | 401, 402, 403 | no | yes: the key is the gateway's, and another provider has another one |
//! | 404, 413, and 400 for an unknown model or too long a context | no | yes |
//! | other 4xx (400, 422) | no | no: the request is at fault, and the caller has to see why |
//! | a redirect, an error in place of an answer | by the error's kind | yes |
//! | no first token in time | no, it would take as long again | yes |
//!
//! A header `x-should-retry: false` of the provider is obeyed.

use axum::http::HeaderMap;
use blindroute_dialects::errors::ApiError;
use std::time::{Duration, SystemTime};

/// The first wait where the provider names none.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Parts of messages and codes by which providers say that a prompt is too long, or that they do not have the model.
const ELSEWHERE: [&str; 9] = [
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "exceed context limit",
    "model_not_found",
    "unsupported_model",
];

/// Whether the same model may be asked again after this status.
pub(super) fn again(status: u16, headers: &HeaderMap, error: &ApiError) -> bool {
    let refused = headers.get("x-should-retry").is_some_and(|value| value == "false");
    let empty = error.code.as_deref() == Some("insufficient_quota");
    (matches!(status, 408 | 409 | 429) || status >= 500) && !refused && !empty
}

/// Whether another model may be asked after this status.
pub(super) fn elsewhere(status: u16, error: &ApiError) -> bool {
    let says = || {
        let message = error.message.to_lowercase();
        let code = error.code.as_deref().unwrap_or_default();
        ELSEWHERE.iter().any(|part| message.contains(part) || code == *part)
    };
    matches!(status, 401..=404 | 408 | 409 | 413 | 429) || status >= 500 || says()
}

/// How long the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.
pub(super) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok();
    let milliseconds = text("retry-after-ms").and_then(number).map(|number| number / 1000.0);
    if let Some(seconds) = milliseconds.or_else(|| text("retry-after").and_then(number)) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// How long to wait after so many attempts: what the provider asks for, or twice as long each time, less a random part of at
/// most half, so that not all callers come at once. Nothing if it asks for longer than is allowed.
pub(super) fn wait(attempts: u32, asked: Option<Duration>, longest: Duration) -> Option<Duration> {
    if let Some(asked) = asked {
        return (asked <= longest).then_some(asked);
    }
    let full = FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(longest);
    // Without random bytes, the whole wait is as good.
    let random = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    Some(full.mul_f64(1.0 - random / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn what_a_provider_asks_for_is_read_in_each_form() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let date = httpdate::fmt_http_date(now + Duration::from_secs(7));
        for (name, value, expected) in [
            ("retry-after", "3", Some(3000)),
            ("retry-after", " 0.5 ", Some(500)),
            ("retry-after-ms", "1500", Some(1500)),
            ("retry-after", date.as_str(), Some(7000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
            ("retry-after", "NaN", None),
        ] {
            assert_eq!(asked(&headers(name, value), now), expected.map(Duration::from_millis), "{value}");
        }
        assert_eq!(asked(&HeaderMap::new(), now), None);
    }

    #[test]
    fn waits_double_and_stay_within_the_longest() {
        let longest = Duration::from_secs(2);
        for (attempts, full) in [(1, 250), (2, 500), (3, 1000), (4, 2000), (5, 2000), (40, 2000)] {
            for _ in 0..50 {
                let wait = wait(attempts, None, longest).unwrap().as_millis();
                assert!((full / 2..=full).contains(&wait), "{attempts}: {wait}");
            }
        }
        assert_eq!(wait(1, Some(longest), longest), Some(longest));
        assert_eq!(wait(1, Some(longest + Duration::from_millis(1)), longest), None);
    }

    #[test]
    fn statuses_are_told_apart() {
        let error = |status: u16, code: &str, message: &str| {
            let body = format!(r#"{{"error":{{"message":"{message}","type":"x","code":"{code}"}}}}"#);
            ApiError::of_upstream(status, body.as_bytes())
        };
        for (status, expected) in [
            (400, (false, false)),
            (401, (false, true)),
            (403, (false, true)),
            (404, (false, true)),
            (408, (true, true)),
            (409, (true, true)),
            (413, (false, true)),
            (422, (false, false)),
            (429, (true, true)),
            (500, (true, true)),
            (529, (true, true)),
        ] {
            let error = error(status, "", "m");
            assert_eq!((again(status, &HeaderMap::new(), &error), elsewhere(status, &error)), expected, "{status}");
        }
        let no = headers("x-should-retry", "false");
        assert!(!again(500, &no, &error(500, "", "m")));
        assert!(!again(429, &HeaderMap::new(), &error(429, "insufficient_quota", "m")));
        assert!(elsewhere(400, &error(400, "context_length_exceeded", "m")));
        assert!(elsewhere(400, &error(400, "", "Prompt is too long: 210000 tokens > 200000 maximum")));
    }
}
