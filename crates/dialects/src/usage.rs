//! The tokens that a call used, out of responses and out of events of streams.

use crate::dialect::Dialect;
use crate::json::Json;

/// Tokens of one call. `cached` and `cache_writes` are parts of `input`, `reasoning` is a part of `output`, in whatever
/// way the dialect counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All tokens of the input.
    pub input: u64,
    /// Those read from the provider's cache.
    pub cached: u64,
    /// Those written to the provider's cache.
    pub cache_writes: u64,
    /// All tokens of the output.
    pub output: u64,
    /// Those of the output that the model thought with.
    pub reasoning: u64,
}

impl Usage {
    /// What a whole response says it used.
    pub fn of_response(dialect: Dialect, response: &Json<'_>) -> Option<Self> {
        let mut meter = Meter::new(dialect);
        meter.read(response.get("usage")?);
        meter.usage()
    }

    /// The usage as the dialect writes it.
    pub fn to_json(self, dialect: Dialect) -> Json<'static> {
        let total = Json::number(self.input.saturating_add(self.output));
        match dialect {
            Dialect::Chat => Json::object([
                ("prompt_tokens", Json::number(self.input)),
                ("completion_tokens", Json::number(self.output)),
                ("total_tokens", total),
                ("prompt_tokens_details", self.input_details()),
                ("completion_tokens_details", Json::object([("reasoning_tokens", Json::number(self.reasoning))])),
            ]),
            Dialect::Responses => Json::object([
                ("input_tokens", Json::number(self.input)),
                ("input_tokens_details", self.input_details()),
                ("output_tokens", Json::number(self.output)),
                ("output_tokens_details", Json::object([("reasoning_tokens", Json::number(self.reasoning))])),
                ("total_tokens", total),
            ]),
            Dialect::Messages => {
                let mut usage = self.to_delta();
                // Of these, other dialects say nothing.
                for unknown in ["cache_creation", "inference_geo", "service_tier"] {
                    usage.set(unknown, Json::Null);
                }
                usage
            }
        }
    }

    /// The usage at the end of a stream of Messages, which says less than the usage of a whole answer.
    pub(crate) fn to_delta(self) -> Json<'static> {
        Json::object([
            ("input_tokens", Json::number(self.input.saturating_sub(self.cached).saturating_sub(self.cache_writes))),
            ("cache_creation_input_tokens", Json::number(self.cache_writes)),
            ("cache_read_input_tokens", Json::number(self.cached)),
            ("output_tokens", Json::number(self.output)),
            ("output_tokens_details", Json::object([("thinking_tokens", Json::number(self.reasoning))])),
            ("server_tool_use", Json::Null),
        ])
    }

    fn input_details(self) -> Json<'static> {
        let writes = (self.cache_writes > 0).then(|| Json::number(self.cache_writes));
        Json::present([("cached_tokens", Some(Json::number(self.cached))), ("cache_write_tokens", writes)])
    }
}

/// Gathers the usage of a stream. Counts are totals so far, so a later one replaces an earlier one.
#[derive(Debug, Clone)]
pub struct Meter {
    dialect: Dialect,
    usage: Option<Usage>,
    /// Of Messages: input tokens that were neither read from the cache nor written to it.
    fresh: u64,
}

impl Meter {
    /// A meter for streams of this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, usage: None, fresh: 0 }
    }

    /// Reads an event's data.
    pub fn event(&mut self, data: &Json<'_>) {
        let inner = match self.dialect {
            Dialect::Chat => None,
            Dialect::Responses => data.get("response"),
            Dialect::Messages => data.get("message"),
        };
        for usage in [inner.and_then(|inner| inner.get("usage")), data.get("usage")].into_iter().flatten() {
            self.read(usage);
        }
    }

    /// What was used so far; nothing if nothing was reported.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn read(&mut self, found: &Json<'_>) {
        // Some providers send an empty object, or only other fields, before they count.
        let count = |name: &str| found.get(name).and_then(Json::as_u64);
        let detail = |name: &str, inner: &str| found.get(name)?.get(inner)?.as_u64();
        let mut usage = self.usage.unwrap_or_default();
        let update = |old: &mut u64, new: Option<u64>| {
            *old = new.unwrap_or(*old);
            new.is_some()
        };
        let (input, output) = match self.dialect {
            Dialect::Chat => ("prompt_tokens", "completion_tokens"),
            Dialect::Responses | Dialect::Messages => ("input_tokens", "output_tokens"),
        };
        let mut any = update(&mut usage.output, count(output));
        if self.dialect == Dialect::Messages {
            any |= update(&mut self.fresh, count(input));
            update(&mut usage.cached, count("cache_read_input_tokens"));
            update(&mut usage.cache_writes, count("cache_creation_input_tokens"));
            update(&mut usage.reasoning, detail("output_tokens_details", "thinking_tokens"));
            usage.input = self.fresh.saturating_add(usage.cached).saturating_add(usage.cache_writes);
        } else {
            any |= update(&mut usage.input, count(input));
            let (of_input, of_output) = (format!("{input}_details"), format!("{output}_details"));
            // DeepSeek reports the hits of its cache under a name of its own.
            let cached = detail(&of_input, "cached_tokens").or_else(|| count("prompt_cache_hit_tokens"));
            update(&mut usage.cached, cached);
            update(&mut usage.cache_writes, detail(&of_input, "cache_write_tokens"));
            update(&mut usage.reasoning, detail(&of_output, "reasoning_tokens"));
        }
        if any {
            self.usage = Some(usage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    const FULL: Usage = Usage { input: 100, cached: 60, cache_writes: 10, output: 50, reasoning: 20 };

    #[test]
    fn each_dialect_says_what_it_used() {
        for dialect in Dialect::ALL {
            let written = FULL.to_json(dialect);
            let response = Json::object([("usage", written)]).to_string();
            let read = Usage::of_response(dialect, &parse(response.as_bytes()).unwrap());
            assert_eq!(read, Some(FULL), "{dialect}");
        }
        let none = parse(br#"{"usage":{"cost":1}}"#).unwrap();
        assert_eq!(Dialect::ALL.map(|dialect| Usage::of_response(dialect, &none)), [None; 3]);
    }

    #[test]
    fn messages_count_what_is_cached_apart() {
        let response = parse(
            br#"{"usage":{"input_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":7}}"#,
        );
        let usage = Usage::of_response(Dialect::Messages, &response.unwrap()).unwrap();
        assert_eq!(usage, Usage { input: 10, cached: 3, cache_writes: 2, output: 7, reasoning: 0 });
    }

    #[test]
    fn streams_are_counted_with_and_without_choices() {
        let chat = [
            r#"{"choices":[{"index":0,"delta":{}}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":4,"completion_tokens":1}}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":9,"prompt_cache_hit_tokens":2}}"#,
        ];
        let messages = [
            r#"{"type":"message_start","message":{"usage":{"input_tokens":4,"cache_read_input_tokens":2,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":9}}"#,
        ];
        let responses = [
            r#"{"type":"response.created","response":{"usage":null}}"#,
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":4,"output_tokens":9}}}"#,
        ];
        for (dialect, events, input, cached) in [
            (Dialect::Chat, chat.as_slice(), 4, 2),
            (Dialect::Messages, &messages, 6, 2),
            (Dialect::Responses, &responses, 4, 0),
        ] {
            let mut meter = Meter::new(dialect);
            events.iter().for_each(|event| meter.event(&parse(event.as_bytes()).unwrap()));
            assert_eq!(meter.usage(), Some(Usage { input, cached, output: 9, ..Usage::default() }), "{dialect}");
        }
    }
}
