//! A gateway's side of a call, with a provider that is a mock.

use crate::mock::{Mock, Step};
use axum::http::HeaderMap;
use blindroute_dialects::Dialect;
use blindroute_dialects::raw::Object;
use blindroute_dialects::reading::{self, Reading};
use blindroute_dialects::usage::Usage;
use blindroute_gateway::config::{Config, Credential, Model, ModelPrices, Provider, Secret, Source};
use blindroute_gateway::upstream::{Answer, AnswerBody, Call, End, Failure, Manner, Upstream};
use futures_util::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

pub(crate) const KEY: &str = "sk-secret-key-0123456789";

/// How calls ended.
pub(crate) type Ends = Arc<Mutex<Vec<(Option<Usage>, End)>>>;

pub(crate) struct Bench {
    pub(crate) mock: Mock,
    pub(crate) upstream: Upstream,
    pub(crate) manner: Manner,
    pub(crate) model: Model,
    pub(crate) provider: Provider,
    pub(crate) headers: HeaderMap,
    pub(crate) ends: Ends,
}

pub(crate) fn reading(dialect: Dialect, body: &str) -> Reading {
    reading::read(dialect, &Object::read(body.as_bytes()).unwrap()).unwrap()
}

impl Bench {
    /// A provider that speaks one dialect.
    pub(crate) async fn new(dialect: Dialect, scripts: Vec<Vec<Step>>) -> Self {
        blindroute_runtime::choose_cryptography();
        let mock = Mock::start(scripts).await;
        let mut manner = Manner::of(&Config::default());
        manner.retries.attempts = 1;
        let model = Model {
            name: "large".to_owned(),
            provider: "mock".to_owned(),
            upstream: "large-2026".to_owned(),
            pool: Vec::new(),
            prices: ModelPrices::default(),
            context: None,
            max_output: Some(100),
            tools: true,
            images: true,
            json_schema: true,
            reasoning: false,
            allowed: true,
        };
        let key = Credential { source: Source::Environment("KEY".to_owned()), secret: Secret::new(KEY.to_owned()) };
        let provider = Provider {
            name: "mock".to_owned(),
            dialects: vec![dialect],
            base_url: mock.base_url.clone(),
            allow_http: false,
            key: Some(key),
            headers: BTreeMap::new(),
        };
        // Reading the system's certificates takes longer than a test.
        static UPSTREAM: LazyLock<Upstream> = LazyLock::new(|| Upstream::new(Duration::from_secs(20)).unwrap());
        let upstream = UPSTREAM.clone();
        Self { mock, upstream, manner, model, provider, headers: HeaderMap::new(), ends: Ends::default() }
    }

    pub(crate) async fn send(&self, dialect: Dialect, body: &str) -> Result<Answer, Failure> {
        let (reading, ends) = (reading(dialect, body), self.ends.clone());
        let call = Call {
            dialect,
            body: body.as_bytes(),
            reading: &reading,
            headers: &self.headers,
            model: &self.model,
            provider: &self.provider,
            manner: &self.manner,
        };
        let settle = Box::new(move |usage, end| ends.lock().unwrap().push((usage, end)));
        self.upstream.send(&call, settle).await
    }

    /// The whole body of an answer.
    pub(crate) async fn text(&self, dialect: Dialect, body: &str) -> String {
        text(self.send(dialect, body).await.unwrap()).await
    }

    /// How the only call ended.
    pub(crate) fn end(&self) -> (Option<Usage>, End) {
        let ends = self.ends.lock().unwrap();
        assert_eq!(ends.len(), 1, "settled {} times", ends.len());
        ends[0]
    }
}

pub(crate) async fn text(answer: Answer) -> String {
    items(answer).await.concat()
}

/// The parts of an answer, as they come.
pub(crate) async fn items(answer: Answer) -> Vec<String> {
    let part = |bytes: axum::body::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    match answer.body {
        AnswerBody::Whole(bytes) => vec![part(bytes)],
        AnswerBody::Stream(stream) => stream.map(|item| part(item.unwrap())).collect().await,
    }
}

pub(crate) fn usage(input: u64, output: u64) -> Option<Usage> {
    Some(Usage { input, output, ..Usage::default() })
}

/// A request of each dialect.
pub(crate) fn request(dialect: Dialect, stream: bool) -> String {
    let stream = if stream { r#","stream":true"# } else { "" };
    match dialect {
        Dialect::Chat => format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"canary"}}]{stream}}}"#),
        Dialect::Responses => format!(r#"{{"model":"auto","input":"canary","store":false{stream}}}"#),
        Dialect::Messages => {
            format!(r#"{{"model":"auto","max_tokens":9,"messages":[{{"role":"user","content":"canary"}}]{stream}}}"#)
        }
    }
}

/// A whole answer of each dialect: "Hello", 3 tokens in and 2 out.
pub(crate) fn answer(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => {
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"large-2026","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#
        }
        Dialect::Responses => {
            r#"{"id":"resp_1","object":"response","created_at":7,"status":"completed","error":null,"incomplete_details":null,"model":"large-2026","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}"#
        }
        Dialect::Messages => {
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"large-2026","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}"#
        }
    }
}

/// The events of a stream of each dialect up to its first token, and the rest: "Hello", 3 tokens in and 2 out.
pub(crate) fn events(dialect: Dialect) -> (String, String) {
    let named = |data: &str| {
        let kind = data.split('"').nth(3).unwrap();
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let named_all = |all: &[&str]| all.iter().map(|data| named(data)).collect::<String>();
    match dialect {
        Dialect::Chat => {
            let chunk = |rest: &str| {
                format!(
                    "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"large-2026\",{rest}}}\n\n"
                )
            };
            let first =
                chunk(r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]"#)
                    + &chunk(r#""choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]"#);
            let rest =
                chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#) + USAGE + "data: [DONE]\n\n";
            (first, rest)
        }
        Dialect::Responses => (
            named_all(&[
                r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":7,"status":"in_progress","error":null,"model":"large-2026","output":[],"usage":null}}"#,
                r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
            ]),
            named_all(&[
                r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
                r#"{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hello"}"#,
                r#"{"type":"response.output_text.done","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"text":"Hello"}"#,
                r#"{"type":"response.content_part.done","sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hello","annotations":[]}}"#,
                r#"{"type":"response.output_item.done","sequence_number":6,"output_index":0,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}}"#,
                r#"{"type":"response.completed","sequence_number":7,"response":{"id":"resp_1","object":"response","created_at":7,"status":"completed","error":null,"model":"large-2026","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}"#,
            ]),
        ),
        Dialect::Messages => (
            named_all(&[
                r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"large-2026","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ]),
            named_all(&[
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
                r#"{"type":"message_stop"}"#,
            ]),
        ),
    }
}

/// The event with the usage, which Chat sends if it is asked to.
pub(crate) const USAGE: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"large-2026\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
