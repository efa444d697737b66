//! A request.

use super::{Outcome, Seal, Settings};
use crate::dialect::Dialect;
use crate::json::{FieldError, Fields, Json};

/// A request in no dialect.
pub(crate) struct Conversation {
    /// The dialect that it was read from: errors name its fields.
    pub(crate) source: Dialect,
    pub(crate) items: Vec<Item>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: Option<Choice>,
    pub(crate) parallel_calls: Option<bool>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) format: Option<Format>,
    pub(crate) thinking: Option<Thinking>,
    /// How many alternatives are wanted for each token.
    pub(crate) logprobs: Option<u64>,
    pub(crate) stream: bool,
    pub(crate) settings: Settings,
}

impl Conversation {
    /// An empty conversation.
    pub(crate) fn new(source: Dialect) -> Self {
        Self {
            source,
            items: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_calls: None,
            max_tokens: None,
            stop: Vec::new(),
            format: None,
            thinking: None,
            logprobs: None,
            stream: false,
            settings: Settings::default(),
        }
    }

    /// The error that the target has nothing like this.
    pub(crate) fn refuse(&self, feature: Feature, why: &'static str) -> FieldError {
        FieldError::Refused { path: feature.field(self.source).to_owned(), why }
    }
}

/// One step of a conversation. `at` is the path in the request.
pub(crate) enum Item {
    Message {
        at: String,
        role: Role,
        parts: Vec<Part>,
        name: Option<String>,
    },
    Call {
        at: String,
        id: String,
        name: String,
        arguments: String,
    },
    /// `at` is the path of the parts.
    Result {
        at: String,
        id: String,
        parts: Vec<Part>,
    },
    Thought {
        at: String,
        text: String,
        seal: Option<Seal>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    Developer,
    User,
    Assistant,
}

impl Role {
    /// The name that Chat and Responses have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

pub(crate) enum Part {
    Text(String),
    Refusal(String),
    Image(Image),
}

impl Part {
    /// The text of a content that is a single text.
    pub(crate) fn only_text(parts: &[Self]) -> Option<&str> {
        match parts {
            [] => Some(""),
            [Self::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// An image: its address, which can be a `data:` address, and how finely it is to be seen.
pub(crate) struct Image {
    pub(crate) url: String,
    pub(crate) detail: Option<String>,
}

impl Image {
    /// Media type and data, if the image is in its address.
    pub(crate) fn data(&self) -> Option<(&str, &str)> {
        self.url.strip_prefix("data:")?.split_once(";base64,")
    }
}

pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) parameters: Option<Json<'static>>,
    pub(crate) strict: Option<bool>,
}

impl Tool {
    /// Reads a function, as Chat and Responses describe it.
    pub(crate) fn read(mut function: Fields<'_>) -> Outcome<Self> {
        let read = Self {
            name: function.need_text("name")?,
            description: function.text("description")?,
            parameters: function.take("parameters").map(Json::into_owned),
            strict: function.flag("strict")?,
        };
        function.end()?;
        Ok(read)
    }
}

/// The schema of a tool without arguments.
pub(crate) fn empty_schema() -> Json<'static> {
    Json::object([("type", Json::text("object")), ("properties", Json::Object(Vec::new()))])
}

pub(crate) enum Choice {
    Auto,
    None,
    Required,
    Named(String),
}

impl Choice {
    /// A choice that is one word in Chat and Responses.
    pub(crate) fn of_word(choice: &Json<'_>) -> Option<Self> {
        match choice.as_str()? {
            "auto" => Some(Self::Auto),
            "none" => Some(Self::None),
            "required" => Some(Self::Required),
            _ => None,
        }
    }

    /// The word that Chat and Responses have for it.
    pub(crate) fn word(&self) -> Option<&'static str> {
        match self {
            Self::Auto => Some("auto"),
            Self::None => Some("none"),
            Self::Required => Some("required"),
            Self::Named(_) => None,
        }
    }
}

pub(crate) enum Format {
    Text,
    JsonObject,
    Schema { name: Option<String>, description: Option<String>, schema: Json<'static>, strict: Option<bool> },
}

/// How much the model is to think.
pub(crate) enum Thinking {
    Effort(String),
    Budget(u64),
}

/// Efforts of Chat and Responses as budgets of Messages, in tokens. A budget is read as the first effort that covers it.
const BUDGETS: [(&str, u64); 6] =
    [("minimal", 1024), ("low", 4096), ("medium", 16_384), ("high", 32_768), ("xhigh", 49_152), ("max", 65_536)];

impl Thinking {
    pub(crate) fn effort(&self) -> &str {
        match self {
            Self::Effort(effort) => effort,
            Self::Budget(budget) => BUDGETS.iter().find(|(_, most)| budget <= most).map_or("max", |(name, _)| name),
        }
    }

    /// The budget; nothing for an effort of `none`.
    pub(crate) fn budget(&self) -> Option<u64> {
        match self {
            Self::Effort(effort) => BUDGETS.iter().find(|(name, _)| name == effort).map(|(_, most)| *most),
            Self::Budget(budget) => Some(*budget),
        }
    }
}

/// What a writer may have to refuse.
#[derive(Clone, Copy)]
pub(crate) enum Feature {
    MaxTokens,
    Stop,
    Format,
    Thinking,
    Logprobs,
    ToolChoice,
}

impl Feature {
    fn field(self, dialect: Dialect) -> &'static str {
        let [chat, responses, messages] = match self {
            Self::MaxTokens => ["max_completion_tokens", "max_output_tokens", "max_tokens"],
            Self::Stop => ["stop", "stop", "stop_sequences"],
            Self::Format => ["response_format", "text.format", "output_config.format"],
            Self::Thinking => ["reasoning_effort", "reasoning.effort", "thinking"],
            Self::Logprobs => ["logprobs", "include", "logprobs"],
            Self::ToolChoice => ["tool_choice"; 3],
        };
        match dialect {
            Dialect::Chat => chat,
            Dialect::Responses => responses,
            Dialect::Messages => messages,
        }
    }
}

impl Item {
    /// What is done with a thought that this dialect has no place for. One without a seal is left out, since models take no
    /// thoughts of others; one with a seal belongs to its provider, and is an error.
    pub(crate) fn leave_out_thought(at: &str, seal: Option<&Seal>) -> Outcome<()> {
        let why = "it is sealed by another provider; go on with the model that wrote it, or leave it out";
        match seal {
            Some(_) => Err(FieldError::Refused { path: at.to_owned(), why }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_survive_as_budgets() {
        for (effort, budget) in BUDGETS {
            let there = Thinking::Effort(effort.to_owned()).budget();
            assert_eq!(there, Some(budget));
            assert_eq!(Thinking::Budget(budget).effort(), effort);
        }
        assert_eq!(Thinking::Effort("none".to_owned()).budget(), None);
        assert_eq!(Thinking::Budget(1_000_000).effort(), "max");
        assert_eq!(Thinking::Budget(2000).effort(), "low");
    }
}
