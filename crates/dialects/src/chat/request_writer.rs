//! Writes a request of Chat Completions.

use crate::conversation::{Choice, Conversation, Format, Image, Item, Outcome, Part, Role, Target, Tool};
use crate::dialect::Dialect;
use crate::json::{FieldError, Json};

pub(crate) fn write_request(conversation: &Conversation, target: &Target<'_>) -> Outcome<Json<'static>> {
    let mut messages = Vec::new();
    // Whether calls can still be added to the last message.
    let mut open = Open::No;
    for item in &conversation.items {
        write_item(item, &mut messages, &mut open)?;
    }
    let mut request =
        Json::object([("model", Json::text(target.model.to_owned())), ("messages", Json::Array(messages))]);
    if !conversation.tools.is_empty() {
        request.set("tools", Json::Array(conversation.tools.iter().map(write_tool).collect()));
    }
    if let Some(choice) = &conversation.tool_choice {
        request.set("tool_choice", write_choice(choice));
    }
    // Calls are parallel if nothing is said, and some providers do not know the field.
    if conversation.parallel_calls == Some(false) && !conversation.tools.is_empty() {
        request.set("parallel_tool_calls", Json::Bool(false));
    }
    if let Some(most) = conversation.max_tokens {
        let name = if target.legacy_max_tokens { "max_tokens" } else { "max_completion_tokens" };
        request.set(name, Json::number(most));
    }
    if !conversation.stop.is_empty() {
        request.set("stop", Json::Array(conversation.stop.iter().cloned().map(Json::text).collect()));
    }
    if let Some(format) = &conversation.format {
        request.set("response_format", write_format(format));
    }
    if let Some(thinking) = &conversation.thinking {
        request.set("reasoning_effort", Json::text(thinking.effort().to_owned()));
    }
    if let Some(alternatives) = conversation.logprobs {
        request.set("logprobs", Json::Bool(true));
        request.set("top_logprobs", Json::number(alternatives));
    }
    if conversation.stream {
        request.set("stream", Json::Bool(true));
        request.set("stream_options", Json::object([("include_usage", Json::Bool(true))]));
    }
    conversation.settings.write(conversation.source, Dialect::Chat, &mut request)?;
    Ok(request)
}

/// What the last message is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    No,
    Assistant,
    Calls,
}

fn write_item(item: &Item, messages: &mut Vec<Json<'static>>, open: &mut Open) -> Outcome<()> {
    match item {
        Item::Thought { at, seal, .. } => Item::leave_out_thought(at, seal.as_ref())?,
        Item::Message { at, role: Role::Assistant, .. } if *open == Open::Calls => {
            let why =
                "a text after calls of tools in one turn has no place in the provider's dialect; put it before them";
            return Err(FieldError::Refused { path: at.clone(), why });
        }
        Item::Message { role, parts, name, .. } => {
            messages.push(write_message(*role, parts, name.as_deref()));
            *open = if *role == Role::Assistant { Open::Assistant } else { Open::No };
        }
        Item::Call { id, name, arguments, .. } => {
            if *open == Open::No {
                messages.push(Json::object([("role", Json::text("assistant")), ("content", Json::Null)]));
            }
            let function =
                Json::object([("name", Json::text(name.clone())), ("arguments", Json::text(arguments.clone()))]);
            let call = Json::object([
                ("id", Json::text(id.clone())),
                ("type", Json::text("function")),
                ("function", function),
            ]);
            if let Some(last) = messages.last_mut() {
                let mut calls = last.get("tool_calls").map(|calls| calls.elements().to_vec()).unwrap_or_default();
                calls.push(call);
                last.set("tool_calls", Json::Array(calls));
            }
            *open = Open::Calls;
        }
        Item::Result { at, id, parts } => {
            if let Some(index) = parts.iter().position(|part| !matches!(part, Part::Text(_))) {
                let why = "only text can be the result of a tool in the provider's dialect; give a text";
                return Err(FieldError::Refused { path: format!("{at}[{index}]"), why });
            }
            messages.push(Json::object([
                ("role", Json::text("tool")),
                ("tool_call_id", Json::text(id.clone())),
                ("content", write_content(parts)),
            ]));
            *open = Open::No;
        }
    }
    Ok(())
}

fn write_message(role: Role, parts: &[Part], name: Option<&str>) -> Json<'static> {
    let mut message = Json::object([("role", Json::text(role.name()))]);
    if let Some(name) = name {
        message.set("name", Json::text(name.to_owned()));
    }
    match parts {
        [Part::Refusal(refusal)] => {
            message.set("content", Json::Null);
            message.set("refusal", Json::text(refusal.clone()));
        }
        parts => message.set("content", write_content(parts)),
    }
    message
}

fn write_content(parts: &[Part]) -> Json<'static> {
    if let Some(text) = Part::only_text(parts) {
        return Json::text(text.to_owned());
    }
    Json::Array(parts.iter().map(write_part).collect())
}

fn write_part(part: &Part) -> Json<'static> {
    match part {
        Part::Text(text) => Json::object([("type", Json::text("text")), ("text", Json::text(text.clone()))]),
        Part::Refusal(text) => Json::object([("type", Json::text("refusal")), ("refusal", Json::text(text.clone()))]),
        Part::Image(Image { url, detail }) => {
            let image = [("url", Some(Json::text(url.clone()))), ("detail", detail.clone().map(Json::text))];
            Json::object([("type", Json::text("image_url")), ("image_url", Json::present(image))])
        }
    }
}

fn write_tool(tool: &Tool) -> Json<'static> {
    let function = Json::present([
        ("name", Some(Json::text(tool.name.clone()))),
        ("description", tool.description.clone().map(Json::text)),
        ("parameters", tool.parameters.clone()),
        // False is what Chat takes if nothing is said.
        ("strict", tool.strict.filter(|strict| *strict).map(Json::Bool)),
    ]);
    Json::object([("type", Json::text("function")), ("function", function)])
}

fn write_choice(choice: &Choice) -> Json<'static> {
    match choice {
        Choice::Named(name) => {
            let function = Json::object([("name", Json::text(name.clone()))]);
            Json::object([("type", Json::text("function")), ("function", function)])
        }
        other => other.word().map_or(Json::Null, Json::text),
    }
}

fn write_format(format: &Format) -> Json<'static> {
    match format {
        Format::Text => Json::object([("type", Json::text("text"))]),
        Format::JsonObject => Json::object([("type", Json::text("json_object"))]),
        Format::Schema { name, description, schema, strict } => {
            let inner = Json::present([
                ("name", Some(Json::text(name.clone().unwrap_or_else(|| "answer".to_owned())))),
                ("description", description.clone().map(Json::text)),
                ("schema", Some(schema.clone())),
                ("strict", strict.map(Json::Bool)),
            ]);
            Json::object([("type", Json::text("json_schema")), ("json_schema", inner)])
        }
    }
}
