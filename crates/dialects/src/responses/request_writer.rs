//! Writes a request of Responses.

use super::items::sealed_thought;
use crate::conversation::Feature;
use crate::conversation::{
    Choice, Conversation, Format, Image, Item, Outcome, Part, Role, SealKind, Setting, Target, Tool, empty_schema,
};
use crate::dialect::Dialect;
use crate::json::{FieldError, Json};

pub(crate) fn write_request(conversation: &Conversation, target: &Target<'_>) -> Outcome<Json<'static>> {
    if !conversation.stop.is_empty() {
        let why = "the provider's dialect has no stop sequences; leave them out, or choose another model";
        return Err(conversation.refuse(Feature::Stop, why));
    }
    let mut input = Vec::new();
    for item in &conversation.items {
        input.extend(write_item(item)?);
    }
    let mut request = Json::object([("model", Json::text(target.model.to_owned())), ("input", Json::Array(input))]);
    if !conversation.tools.is_empty() {
        request.set("tools", Json::Array(conversation.tools.iter().map(write_tool).collect()));
    }
    if let Some(choice) = &conversation.tool_choice {
        request.set("tool_choice", write_choice(choice));
    }
    if let Some(parallel) = conversation.parallel_calls {
        request.set("parallel_tool_calls", Json::Bool(parallel));
    }
    if let Some(most) = conversation.max_tokens {
        request.set("max_output_tokens", Json::number(most));
    }
    let format = conversation.format.as_ref().map(write_format);
    let verbosity = conversation.settings.get(Setting::Verbosity).cloned();
    if format.is_some() || verbosity.is_some() {
        request.set("text", Json::present([("format", format), ("verbosity", verbosity)]));
    }
    if let Some(thinking) = &conversation.thinking {
        request.set("reasoning", Json::object([("effort", Json::text(thinking.effort().to_owned()))]));
    }
    let mut include = Vec::new();
    if let Some(alternatives) = conversation.logprobs {
        include.push(Json::text("message.output_text.logprobs"));
        request.set("top_logprobs", Json::number(alternatives));
    }
    if conversation.source == Dialect::Messages && conversation.thinking.is_some() {
        // So that the client can send the thoughts back, as clients of Messages do.
        include.push(Json::text("reasoning.encrypted_content"));
    }
    if !include.is_empty() {
        request.set("include", Json::Array(include));
    }
    if conversation.stream {
        request.set("stream", Json::Bool(true));
    }
    conversation.settings.write(conversation.source, Dialect::Responses, &mut request)?;
    if conversation.source == Dialect::Messages {
        // Messages stores nothing; Responses does if nothing is said.
        request.set("store", Json::Bool(false));
    }
    Ok(request)
}

fn write_item(item: &Item) -> Outcome<Option<Json<'static>>> {
    Ok(Some(match item {
        Item::Thought { text, seal: Some(seal), .. } if seal.kind == SealKind::Encrypted => {
            sealed_thought(text, seal, 0)
        }
        Item::Thought { at, seal, .. } => {
            Item::leave_out_thought(at, seal.as_ref())?;
            return Ok(None);
        }
        Item::Message { at, name: Some(_), .. } => {
            let why = "messages have no name in the provider's dialect; put the name into the text";
            return Err(FieldError::Refused { path: format!("{at}.name"), why });
        }
        Item::Message { role, parts, .. } => {
            let text = if *role == Role::Assistant { "output_text" } else { "input_text" };
            Json::object([("role", Json::text(role.name())), ("content", write_parts(parts, text))])
        }
        Item::Call { id, name, arguments, .. } => Json::object([
            ("type", Json::text("function_call")),
            ("call_id", Json::text(id.clone())),
            ("name", Json::text(name.clone())),
            ("arguments", Json::text(arguments.clone())),
        ]),
        Item::Result { id, parts, .. } => Json::object([
            ("type", Json::text("function_call_output")),
            ("call_id", Json::text(id.clone())),
            ("output", write_parts(parts, "input_text")),
        ]),
    }))
}

fn write_parts(parts: &[Part], text_type: &'static str) -> Json<'static> {
    if let Some(text) = Part::only_text(parts) {
        return Json::text(text.to_owned());
    }
    let write = |part: &Part| match part {
        Part::Text(text) => Json::object([("type", Json::text(text_type)), ("text", Json::text(text.clone()))]),
        Part::Refusal(text) => Json::object([("type", Json::text("refusal")), ("refusal", Json::text(text.clone()))]),
        Part::Image(Image { url, detail }) => Json::object([
            ("type", Json::text("input_image")),
            ("image_url", Json::text(url.clone())),
            ("detail", Json::text(detail.clone().unwrap_or_else(|| "auto".to_owned()))),
        ]),
    };
    Json::Array(parts.iter().map(write).collect())
}

fn write_tool(tool: &Tool) -> Json<'static> {
    Json::present([
        ("type", Some(Json::text("function"))),
        ("name", Some(Json::text(tool.name.clone()))),
        ("description", tool.description.clone().map(Json::text)),
        ("parameters", Some(tool.parameters.clone().unwrap_or_else(empty_schema))),
        // Responses would be strict if nothing is said; the other dialects are not.
        ("strict", Some(Json::Bool(tool.strict.unwrap_or(false)))),
    ])
}

fn write_choice(choice: &Choice) -> Json<'static> {
    match choice {
        Choice::Named(name) => Json::object([("type", Json::text("function")), ("name", Json::text(name.clone()))]),
        other => other.word().map_or(Json::Null, Json::text),
    }
}

fn write_format(format: &Format) -> Json<'static> {
    match format {
        Format::Text => Json::object([("type", Json::text("text"))]),
        Format::JsonObject => Json::object([("type", Json::text("json_object"))]),
        Format::Schema { name, description, schema, strict } => Json::present([
            ("type", Some(Json::text("json_schema"))),
            ("name", Some(Json::text(name.clone().unwrap_or_else(|| "answer".to_owned())))),
            ("description", description.clone().map(Json::text)),
            ("schema", Some(schema.clone())),
            ("strict", strict.map(Json::Bool)),
        ]),
    }
}
