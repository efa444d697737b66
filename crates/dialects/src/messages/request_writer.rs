//! Writes a request of Messages.

use super::blocks;
use crate::conversation::{
    Choice, Conversation, Feature, Format, Image, Item, Outcome, Part, Role, SealKind, Setting, Target, Tool,
    empty_schema,
};
use crate::dialect::Dialect;
use crate::json::{FieldError, Json};

/// The smallest budget for thoughts that the dialect takes.
const LEAST_BUDGET: u64 = 1024;

pub(crate) fn write_request(conversation: &Conversation, target: &Target<'_>) -> Outcome<Json<'static>> {
    if conversation.logprobs.is_some() {
        let why = "the provider's dialect has no probabilities of tokens; leave it out, or choose another model";
        return Err(conversation.refuse(Feature::Logprobs, why));
    }
    let system = |item: &&Item| matches!(item, Item::Message { role: Role::System | Role::Developer, .. });
    let (mut instructions, mut messages) = (Vec::new(), Messages::default());
    for item in conversation.items.iter().take_while(system) {
        if let Item::Message { at, parts, name, .. } = item {
            unnamed(at, name.as_deref())?;
            instructions.extend(write_parts(at, parts)?);
        }
    }
    for item in conversation.items.iter().skip_while(system) {
        write_item(item, &mut messages)?;
    }
    let most = conversation.max_tokens.or(target.max_output_tokens).ok_or_else(|| {
        let why = "the provider's dialect needs the largest answer; give it";
        conversation.refuse(Feature::MaxTokens, why)
    })?;
    let mut request =
        Json::object([("model", Json::text(target.model.to_owned())), ("max_tokens", Json::number(most))]);
    if !instructions.is_empty() {
        request.set("system", single_text(instructions));
    }
    request.set("messages", Json::Array(messages.end()));
    write_tools(conversation, &mut request)?;
    if !conversation.stop.is_empty() {
        request.set("stop_sequences", Json::Array(conversation.stop.iter().cloned().map(Json::text).collect()));
    }
    write_format(conversation, &mut request)?;
    write_thinking(conversation, most, &mut request)?;
    if conversation.stream {
        request.set("stream", Json::Bool(true));
    }
    conversation.settings.write(conversation.source, Dialect::Messages, &mut request)?;
    if let Some(user) = conversation.settings.get(Setting::User) {
        request.set("metadata", Json::object([("user_id", user.clone())]));
    }
    let hot = request.get("temperature").and_then(Json::as_f64).is_some_and(|temperature| temperature > 1.0);
    if hot {
        let why = "the provider's dialect takes temperatures from 0 to 1; give a lower one";
        return Err(FieldError::Refused { path: "temperature".to_owned(), why });
    }
    Ok(request)
}

/// Messages whose blocks are being gathered: blocks of one role that follow each other are one message.
#[derive(Default)]
struct Messages {
    done: Vec<Json<'static>>,
    role: &'static str,
    blocks: Vec<Json<'static>>,
}

impl Messages {
    fn add(&mut self, role: &'static str, blocks: impl IntoIterator<Item = Json<'static>>) {
        if role != self.role {
            self.flush();
            self.role = role;
        }
        self.blocks.extend(blocks);
    }

    fn flush(&mut self) {
        if !self.blocks.is_empty() {
            let content = single_text(std::mem::take(&mut self.blocks));
            self.done.push(Json::object([("role", Json::text(self.role)), ("content", content)]));
        }
    }

    fn end(mut self) -> Vec<Json<'static>> {
        self.flush();
        self.done
    }
}

/// A single block of text as a string.
fn single_text(blocks: Vec<Json<'static>>) -> Json<'static> {
    match blocks.as_slice() {
        [block] if block.str_at("type") == Some("text") => {
            Json::text(block.str_at("text").unwrap_or_default().to_owned())
        }
        _ => Json::Array(blocks),
    }
}

fn write_item(item: &Item, messages: &mut Messages) -> Outcome<()> {
    match item {
        Item::Message { at, role: Role::System | Role::Developer, .. } => {
            let why = "the provider's dialect has system messages at the beginning only; put it there";
            return Err(FieldError::Refused { path: at.clone(), why });
        }
        Item::Message { at, role, parts, name } => {
            unnamed(at, name.as_deref())?;
            messages.add(if *role == Role::Assistant { "assistant" } else { "user" }, write_parts(at, parts)?);
        }
        Item::Call { at, id, name, arguments } => {
            messages.add("assistant", [blocks::call(id, name, arguments, at)?]);
        }
        Item::Result { at, id, parts } => {
            let mut result =
                Json::object([("type", Json::text("tool_result")), ("tool_use_id", Json::text(id.clone()))]);
            let content = write_parts(at, parts)?;
            if !content.is_empty() {
                result.set("content", single_text(content));
            }
            messages.add("user", [result]);
        }
        Item::Thought { text, seal: Some(seal), .. } if seal.kind != SealKind::Encrypted => {
            messages.add("assistant", [blocks::thought(text, Some(seal))]);
        }
        Item::Thought { at, seal, .. } => Item::leave_out_thought(at, seal.as_ref())?,
    }
    Ok(())
}

fn unnamed(at: &str, name: Option<&str>) -> Outcome<()> {
    let why = "messages have no name in the provider's dialect; put the name into the text";
    match name {
        Some(_) => Err(FieldError::Refused { path: format!("{at}.name"), why }),
        None => Ok(()),
    }
}

/// The blocks of a content. Empty texts are left out, since the dialect refuses them.
fn write_parts(at: &str, parts: &[Part]) -> Outcome<Vec<Json<'static>>> {
    let mut written = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) if text.is_empty() => {}
            Part::Text(text) | Part::Refusal(text) => written.push(blocks::text(text)),
            Part::Image(image) => written.push(write_image(at, image)?),
        }
    }
    Ok(written)
}

fn write_image(at: &str, image: &Image) -> Outcome<Json<'static>> {
    let source = match image.data() {
        Some((media_type, data)) => Json::object([
            ("type", Json::text("base64")),
            ("media_type", Json::text(media_type.to_owned())),
            ("data", Json::text(data.to_owned())),
        ]),
        None if image.url.starts_with("http") => {
            Json::object([("type", Json::text("url")), ("url", Json::text(image.url.clone()))])
        }
        None => {
            let why = "an image has to have a web address, or be in its address as base64";
            return Err(FieldError::Refused { path: at.to_owned(), why });
        }
    };
    // How finely the image is seen has no counterpart; the provider sees it as finely as it can.
    Ok(Json::object([("type", Json::text("image")), ("source", source)]))
}

fn write_tools(conversation: &Conversation, request: &mut Json<'static>) -> Outcome<()> {
    if conversation.tools.is_empty() {
        return match conversation.tool_choice {
            Some(Choice::Required | Choice::Named(_)) => {
                Err(conversation.refuse(Feature::ToolChoice, "there is no tool to choose; give tools"))
            }
            _ => Ok(()),
        };
    }
    let write = |tool: &Tool| {
        Json::present([
            ("name", Some(Json::text(tool.name.clone()))),
            ("description", tool.description.clone().map(Json::text)),
            ("input_schema", Some(tool.parameters.clone().unwrap_or_else(empty_schema))),
            ("strict", tool.strict.filter(|strict| *strict).map(Json::Bool)),
        ])
    };
    request.set("tools", Json::Array(conversation.tools.iter().map(write).collect()));
    let one_at_a_time = conversation.parallel_calls == Some(false);
    let mut choice = match &conversation.tool_choice {
        None if one_at_a_time => Json::object([("type", Json::text("auto"))]),
        None => return Ok(()),
        Some(Choice::Auto) => Json::object([("type", Json::text("auto"))]),
        Some(Choice::None) => Json::object([("type", Json::text("none"))]),
        Some(Choice::Required) => Json::object([("type", Json::text("any"))]),
        Some(Choice::Named(name)) => Json::object([("type", Json::text("tool")), ("name", Json::text(name.clone()))]),
    };
    if one_at_a_time && !matches!(conversation.tool_choice, Some(Choice::None)) {
        choice.set("disable_parallel_tool_use", Json::Bool(true));
    }
    request.set("tool_choice", choice);
    Ok(())
}

fn write_format(conversation: &Conversation, request: &mut Json<'static>) -> Outcome<()> {
    match &conversation.format {
        None | Some(Format::Text) => Ok(()),
        Some(Format::JsonObject) => {
            let why = "the provider's dialect answers in JSON by a schema only; give a json_schema";
            Err(conversation.refuse(Feature::Format, why))
        }
        Some(Format::Schema { description: Some(_), .. }) => {
            let why = "a schema has no description beside it in the provider's dialect; put it into the schema";
            Err(conversation.refuse(Feature::Format, why))
        }
        // The schema's name is a label. What need not be kept strictly is kept strictly.
        Some(Format::Schema { schema, .. }) => {
            let format = Json::object([("type", Json::text("json_schema")), ("schema", schema.clone())]);
            request.set("output_config", Json::object([("format", format)]));
            Ok(())
        }
    }
}

fn write_thinking(conversation: &Conversation, most: u64, request: &mut Json<'static>) -> Outcome<()> {
    let Some(thinking) = &conversation.thinking else { return Ok(()) };
    let written = match thinking.budget() {
        Some(budget) => {
            let budget = budget.min(most.saturating_sub(1));
            if budget < LEAST_BUDGET {
                let why =
                    "the provider thinks with at least 1024 tokens, which count for the largest answer; allow more";
                return Err(conversation.refuse(Feature::Thinking, why));
            }
            Json::object([("type", Json::text("enabled")), ("budget_tokens", Json::number(budget))])
        }
        None if thinking.effort() == "none" => Json::object([("type", Json::text("disabled"))]),
        None => {
            let why = "expected none, minimal, low, medium, high, xhigh or max";
            return Err(conversation.refuse(Feature::Thinking, why));
        }
    };
    request.set("thinking", written);
    Ok(())
}
