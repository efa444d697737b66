//! A client for chat endpoints that speak OpenAI's protocol.

use super::Step;
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// What can go wrong with an endpoint. No variant holds a probe or an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatEndpointError {
    /// The client cannot be built.
    #[error("{what} cannot be used: {hint}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The endpoint refused because it returns fewer of the most likely tokens than requested.
    #[error(
        "{url} allows fewer than {asked} top_logprobs; give a smaller --top-logprobs, and another --out if the file was measured with another number"
    )]
    TopLogprobs {
        /// The address.
        url: String,
        /// The number that was requested.
        asked: u64,
    },
    /// There was no answer.
    #[error("{url} does not answer ({problem}); check the address, and that the endpoint is running")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
    /// The endpoint refused the request.
    #[error(
        "{url} answered {status}{reason}; check the model's name and the key, and that the endpoint supports this request"
    )]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The reason that the endpoint gave.
        reason: String,
    },
    /// The answer has another form than expected.
    #[error("{url} answered {problem}; use an endpoint that speaks OpenAI's protocol and returns log-probabilities")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong.
        problem: String,
    },
}

/// A chat endpoint: an address and an API key. `Debug` does not show the key.
pub struct ChatEndpoint {
    base: String,
    client: Client,
    pause: Duration,
}

impl std::fmt::Debug for ChatEndpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ChatEndpoint({})", self.base)
    }
}

/// A model's answer and its probabilities.
#[derive(Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) steps: Vec<Step>,
}

/// How many times a request is tried: endpoints limit rates and restart.
const TRIES: u32 = 5;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(120);
/// The time limit of a connection. If a name has several addresses, the client divides it among them. Without this limit, the
/// first unreachable address would use up the whole time limit of the request.
const CONNECT: Duration = Duration::from_secs(20);
/// The maximum number of characters of a quoted reason.
const REASON: usize = 200;

impl ChatEndpoint {
    /// The endpoint at `base`, such as `https://api.example.com/v1`, with an API key if it needs one.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self, ChatEndpointError> {
        let wrong = |what, hint| ChatEndpointError::Setting { what, hint };
        if !(base.starts_with("https://") || base.starts_with("http://")) {
            return Err(wrong("the endpoint's address", "it must begin with https:// or http://, and include /v1"));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
            let mut value =
                value.map_err(|_| wrong("the API key", "it has characters that an HTTP header cannot hold"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder().default_headers(headers).timeout(TIMEOUT).connect_timeout(CONNECT).build();
        let client = client.map_err(|_| wrong("TLS", "the system's certificates could not be read"))?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client, pause: Duration::from_secs(1) })
    }

    /// The same endpoint with another pause after the first failure. The pause doubles with each further failure.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// A model's most likely answer to a prompt, of at most `tokens` tokens, with the `top` most likely tokens at each position.
    pub(super) fn answer(
        &self,
        model: &str,
        prompt: &str,
        tokens: usize,
        top: Option<u32>,
    ) -> Result<Answer, ChatEndpointError> {
        let mut body = json!({
            "model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens,
            "temperature": 0, "logprobs": true,
        });
        if let Some(top) = top {
            body["top_logprobs"] = top.into();
        }
        let answer: Answered<ChatChoice> = self.post("chat/completions", &body, prompt)?;
        let choice = answer.choices.into_iter().next().ok_or_else(|| self.wrong("chat/completions", "no choice"))?;
        let told = choice.logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
        let steps = told.into_iter().map(|token| Step {
            logprob: token.logprob,
            likeliest: token.top_logprobs.into_iter().map(|rival| (rival.token, rival.logprob)).collect(),
        });
        Ok(Answer { text: choice.message.content.unwrap_or_default(), steps: steps.collect() })
    }

    /// The log-probabilities that a model gives to the tokens of a text, except the first, which has none.
    pub(super) fn score(&self, model: &str, text: &str) -> Result<Vec<f64>, ChatEndpointError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let body = json!({"model": model, "prompt": text, "max_tokens": 0, "echo": true, "logprobs": 1});
        let answer: Answered<CompletionChoice> = self.post("completions", &body, text)?;
        let logprobs = answer.choices.into_iter().next().and_then(|choice| choice.logprobs);
        let logprobs = logprobs.ok_or_else(|| self.wrong("completions", "no log-probabilities of the text"))?;
        Ok(logprobs.token_logprobs.into_iter().flatten().collect())
    }

    fn wrong(&self, path: &str, problem: &str) -> ChatEndpointError {
        ChatEndpointError::Answer { url: self.url(path), problem: problem.to_owned() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Sends a request, and tries again while the endpoint is busy or unreachable. No error quotes `secret`.
    fn post<T: DeserializeOwned>(&self, path: &str, body: &Value, secret: &str) -> Result<T, ChatEndpointError> {
        let mut pause = self.pause;
        for _ in 1..TRIES {
            match self.try_post(path, body, secret) {
                Ok(answer) => return Ok(answer),
                Err(Failure { error, passing: None }) => return Err(error),
                Err(Failure { passing: Some(asked), .. }) => {
                    std::thread::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE));
                    pause *= 2;
                }
            }
        }
        self.try_post(path, body, secret).map_err(|failure| failure.error)
    }

    fn try_post<T: DeserializeOwned>(&self, path: &str, body: &Value, secret: &str) -> Result<T, Failure> {
        let url = self.url(path);
        let answer = self.client.post(&url).json(body).send().map_err(|error| {
            let problem = if error.is_timeout() { "it took too long" } else { "no connection" };
            let error = ChatEndpointError::Unreachable { url: url.clone(), problem: problem.to_owned() };
            Failure { error, passing: Some(None) }
        })?;
        let status = answer.status();
        if !status.is_success() {
            let passing = is_passing(status).then(|| retry_after(&answer));
            let asked = body["top_logprobs"].as_u64();
            return Err(Failure { error: refused(url, answer, secret, asked), passing });
        }
        answer.json().map_err(|_| Failure { error: self.wrong(path, "something else"), passing: None })
    }
}

/// Why a try failed. `passing` is set if another try may succeed, with the pause that the endpoint asked for.
struct Failure {
    error: ChatEndpointError,
    passing: Option<Option<Duration>>,
}

/// Whether another try may succeed.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn refused(url: String, answer: Response, secret: &str, top_logprobs: Option<u64>) -> ChatEndpointError {
    let status = answer.status().as_u16();
    let told = answer.text().unwrap_or_default();
    // Endpoints have different forms of refusals, so only the text is searched.
    if let (400 | 422, Some(asked), true) = (status, top_logprobs, told.contains("top_logprobs")) {
        return ChatEndpointError::TopLogprobs { url, asked };
    }
    let told: Option<Refusal> = serde_json::from_str(&told).ok();
    // An endpoint may quote the request.
    let told = told.map(|refusal| refusal.error.message).filter(|reason| !reason.contains(secret));
    let reason = told.map(|reason| {
        let short: String = reason.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
        format!(" ({short})")
    });
    ChatEndpointError::Refused { url, status, reason: reason.unwrap_or_default() }
}

/// The body of a successful answer.
#[derive(Deserialize)]
struct Answered<T> {
    choices: Vec<T>,
}

#[derive(Deserialize)]
struct ChatChoice {
    message: Message,
    logprobs: Option<ChatLogprobs>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct ChatLogprobs {
    content: Option<Vec<Token>>,
}

#[derive(Deserialize)]
struct Token {
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<Rival>,
}

#[derive(Deserialize)]
struct Rival {
    token: String,
    logprob: f64,
}

#[derive(Deserialize)]
struct CompletionChoice {
    logprobs: Option<CompletionLogprobs>,
}

#[derive(Deserialize)]
struct CompletionLogprobs {
    token_logprobs: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    message: String,
}
