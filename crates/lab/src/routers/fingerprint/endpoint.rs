//! A client for endpoints that speak OpenAI's protocol.

use super::Step;
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// What can be wrong with an endpoint. No variant holds a probe or an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The client cannot be made.
    #[error("{what} cannot be used: {hint}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// No answer came.
    #[error("{url} does not answer ({problem}); check the address, and that the endpoint runs")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        problem: String,
    },
    /// It refused.
    #[error("{url} answered {status}{reason}; check the model's name, the key, and that it supports this request")]
    Refused {
        /// Where.
        url: String,
        /// HTTP's.
        status: u16,
        /// What the endpoint says.
        reason: String,
    },
    /// It refused because it tells of fewer likely tokens than were asked for.
    #[error(
        "{url} allows fewer than {asked} top_logprobs; give --top-logprobs N, with another --out where the file has others"
    )]
    TopLogprobs {
        /// Where.
        url: String,
        /// How many were asked for.
        asked: u64,
    },
    /// It answered something else.
    #[error("{url} answered {problem}; use an endpoint that speaks OpenAI's protocol and tells log-probabilities")]
    Answer {
        /// Where.
        url: String,
        /// What is wrong.
        problem: String,
    },
}

/// An address and how to be let in. `Debug` does not show the key.
pub struct Endpoint {
    base: String,
    client: Client,
    pause: Duration,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Endpoint({})", self.base)
    }
}

/// What a model said, and with which probabilities.
#[derive(Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) steps: Vec<Step>,
}

/// How often one request is tried: endpoints limit rates and restart.
const TRIES: u32 = 5;
/// The longest rest between two tries.
const LONGEST_REST: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(120);
/// For a connection. The client races the families of a name with several addresses, and divides this among those of one
/// family; without it the first of them that leads nowhere would take the whole answer's time.
const CONNECT: Duration = Duration::from_secs(20);
/// The longest reason that is quoted.
const REASON: usize = 200;

impl Endpoint {
    /// An endpoint at `base`, as `https://api.example.com/v1`, with an API key where it wants one.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self, EndpointError> {
        let wrong = |what, hint| EndpointError::Setting { what, hint };
        if !(base.starts_with("https://") || base.starts_with("http://")) {
            return Err(wrong("the endpoint's address", "give one that begins with https:// or http://, with its /v1"));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
            let mut value = value.map_err(|_| wrong("the API key", "it has characters that no header can hold"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder().default_headers(headers).timeout(TIMEOUT).connect_timeout(CONNECT).build();
        let client = client.map_err(|_| wrong("TLS", "the system's certificates could not be read"))?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client, pause: Duration::from_secs(1) })
    }

    /// The same, but with another rest after a first failure (it doubles with each).
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// A model's answer to a prompt of at most so many tokens, as likely as can be, with so many of the likeliest tokens at
    /// each place if they are wanted.
    pub(super) fn answer(
        &self,
        model: &str,
        prompt: &str,
        tokens: usize,
        top: Option<u32>,
    ) -> Result<Answer, EndpointError> {
        let mut body = json!({
            "model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens,
            "temperature": 0, "logprobs": true,
        });
        if let Some(top) = top {
            body["top_logprobs"] = top.into();
        }
        let answer: Chat = self.post("chat/completions", &body, prompt)?;
        let choice = answer.choices.into_iter().next().ok_or_else(|| self.wrong("chat/completions", "no choice"))?;
        let told = choice.logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
        let steps = told.into_iter().map(|token| Step {
            logprob: token.logprob,
            likeliest: token.top_logprobs.into_iter().map(|rival| (rival.token, rival.logprob)).collect(),
        });
        Ok(Answer { text: choice.message.content.unwrap_or_default(), steps: steps.collect() })
    }

    /// The log-probabilities that a model gives to a text's tokens, but the first, which has none.
    pub(super) fn score(&self, model: &str, text: &str) -> Result<Vec<f64>, EndpointError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let body = json!({"model": model, "prompt": text, "max_tokens": 0, "echo": true, "logprobs": 1});
        let answer: Completion = self.post("completions", &body, text)?;
        let logprobs = answer.choices.into_iter().next().and_then(|choice| choice.logprobs);
        let logprobs = logprobs.ok_or_else(|| self.wrong("completions", "no log-probabilities of the text"))?;
        Ok(logprobs.token_logprobs.into_iter().flatten().collect())
    }

    fn wrong(&self, path: &str, problem: &str) -> EndpointError {
        EndpointError::Answer { url: self.url(path), problem: problem.to_owned() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// One request, tried again while the endpoint is busy or away. `secret` is what no error may quote.
    fn post<T: DeserializeOwned>(&self, path: &str, body: &Value, secret: &str) -> Result<T, EndpointError> {
        let mut rest = self.pause;
        for _ in 1..TRIES {
            match self.try_post(path, body, secret) {
                Ok(answer) => return Ok(answer),
                Err(Failure { error, passing: None }) => return Err(error),
                Err(Failure { passing: Some(asked), .. }) => {
                    std::thread::sleep(asked.unwrap_or(rest).min(LONGEST_REST));
                    rest *= 2;
                }
            }
        }
        self.try_post(path, body, secret).map_err(|failure| failure.error)
    }

    fn try_post<T: DeserializeOwned>(&self, path: &str, body: &Value, secret: &str) -> Result<T, Failure> {
        let url = self.url(path);
        let answer = self.client.post(&url).json(body).send().map_err(|error| {
            let problem = if error.is_timeout() { "it took too long" } else { "no connection" };
            let error = EndpointError::Unreachable { url: url.clone(), problem: problem.to_owned() };
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

/// Why a try failed, and whether another may fare better: then perhaps with the rest that the endpoint asks for.
struct Failure {
    error: EndpointError,
    passing: Option<Option<Duration>>,
}

/// Whether it may be gone soon.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn refused(url: String, answer: Response, secret: &str, top_logprobs: Option<u64>) -> EndpointError {
    let status = answer.status().as_u16();
    let told = answer.text().unwrap_or_default();
    // Whatever the refusal's form: some endpoints have their own.
    if let (400 | 422, Some(asked), true) = (status, top_logprobs, told.contains("top_logprobs")) {
        return EndpointError::TopLogprobs { url, asked };
    }
    let told: Option<Refusal> = serde_json::from_str(&told).ok();
    // An endpoint may quote what it was asked.
    let told = told.map(|refusal| refusal.error.message).filter(|reason| !reason.contains(secret));
    let reason = told.map(|reason| {
        let short: String = reason.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
        format!(" ({short})")
    });
    EndpointError::Refused { url, status, reason: reason.unwrap_or_default() }
}

#[derive(Deserialize)]
struct Chat {
    choices: Vec<ChatChoice>,
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
struct Completion {
    choices: Vec<CompletionChoice>,
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
