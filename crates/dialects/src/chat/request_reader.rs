//! Reads a request of Chat Completions.

use crate::conversation::{
    Choice, Conversation, Format, Image, Item, Outcome, Part, Role, Setting, Settings, Thinking, Tool,
};
use crate::dialect::Dialect;
use crate::json::{FieldError, Fields, Json};

pub(crate) fn read_request(body: Json<'_>) -> Outcome<Conversation> {
    let mut fields = Fields::of(body, "")?;
    let mut conversation = Conversation::new(Dialect::Chat);
    fields.ignore(&["model"]);
    for (at, message) in fields.array("messages")?.into_iter().enumerate() {
        read_message(Fields::of(message, &format!("messages[{at}]"))?, &mut conversation.items)?;
    }
    for (at, tool) in fields.array("tools")?.into_iter().enumerate() {
        conversation.tools.push(read_tool(Fields::of(tool, &format!("tools[{at}]"))?)?);
    }
    conversation.tool_choice = fields.take("tool_choice").map(read_choice).transpose()?;
    conversation.parallel_calls = fields.flag("parallel_tool_calls")?;
    let older = fields.count("max_tokens")?;
    conversation.max_tokens = fields.count("max_completion_tokens")?.or(older);
    conversation.stop = read_stop(&mut fields)?;
    conversation.format = fields.object("response_format")?.map(read_format).transpose()?;
    conversation.thinking = fields.text("reasoning_effort")?.map(Thinking::Effort);
    if let Some(mut reasoning) = fields.object("reasoning")? {
        // Some providers of Chat take this form of Responses. How thoughts are shown has no counterpart elsewhere.
        let effort = reasoning.text("effort")?.map(Thinking::Effort);
        conversation.thinking = conversation.thinking.or(effort);
        reasoning.ignore(&["summary"]);
        reasoning.end()?;
    }
    let alternatives = fields.count("top_logprobs")?;
    conversation.logprobs = fields.flag("logprobs")?.filter(|wanted| *wanted).map(|_| alternatives.unwrap_or(0));
    conversation.stream = fields.flag("stream")?.unwrap_or(false);
    if let Some(mut options) = fields.object("stream_options")? {
        options.ignore(&["include_usage", "include_obfuscation"]);
        options.end()?;
    }
    conversation.settings = Settings::read(&mut fields, Dialect::Chat)?;
    if conversation.settings.get(Setting::Store).is_none() {
        // Chat stores nothing if it is not asked to; Responses does.
        conversation.settings.add(Setting::Store, Some(Json::Bool(false)));
    }
    fields.only("n", &["1"], "only one choice can be translated; ask for one")?;
    fields.only("modalities", &["[\"text\"]"], "only text can be translated; ask for text")?;
    fields.end()?;
    Ok(conversation)
}

fn read_message(mut message: Fields<'_>, items: &mut Vec<Item>) -> Outcome<()> {
    let at = message.path().to_owned();
    let role = match message.need_text("role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => {
            let id = message.need_text("tool_call_id")?;
            let parts = read_content(&mut message)?;
            message.ignore(&["name"]);
            items.push(Item::Result { at: message.at("content"), id, parts });
            return message.end();
        }
        _ => return Err(message.refuse("role", "expected system, developer, user, assistant or tool")),
    };
    let name = message.text("name")?;
    let mut parts = read_content(&mut message)?;
    parts.extend(message.text("refusal")?.map(Part::Refusal));
    let thought = message.text("reasoning_content")?;
    let calls = message.array("tool_calls")?;
    items.extend(thought.map(|text| Item::Thought { at: at.clone(), text, seal: None }));
    let empty = parts.iter().all(|part| matches!(part, Part::Text(text) if text.is_empty()));
    if !empty || calls.is_empty() {
        items.push(Item::Message { at: at.clone(), role, parts, name });
    }
    for (index, call) in calls.into_iter().enumerate() {
        let mut call = Fields::of(call, &format!("{at}.tool_calls[{index}]"))?;
        call.only("type", &["\"function\""], "only calls of functions can be translated; leave it out")?;
        call.ignore(&["index"]);
        let id = call.need_text("id")?;
        let mut function = Fields::of(call.need("function")?, &call.at("function"))?;
        let (name, arguments) = (function.need_text("name")?, function.text("arguments")?.unwrap_or_default());
        items.push(Item::Call { at: call.path().to_owned(), id, name, arguments });
        function.end()?;
        call.end()?;
    }
    message.ignore(&["annotations"]);
    message.end()
}

fn read_content(message: &mut Fields<'_>) -> Outcome<Vec<Part>> {
    match message.take("content") {
        None => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(vec![Part::Text(text.into_owned())]),
        Some(Json::Array(parts)) => {
            let at = message.at("content");
            parts.into_iter().enumerate().map(|(index, part)| read_part(part, &format!("{at}[{index}]"))).collect()
        }
        Some(other) => Err(message.kind("content", &other, "a string or an array")),
    }
}

fn read_part(part: Json<'_>, at: &str) -> Outcome<Part> {
    let mut part = Fields::of(part, at)?;
    // A mark for the provider's cache.
    part.ignore(&["cache_control"]);
    let read = match part.need_text("type")?.as_str() {
        "text" => Part::Text(part.need_text("text")?),
        "refusal" => Part::Refusal(part.need_text("refusal")?),
        "image_url" => {
            let mut image = Fields::of(part.need("image_url")?, &part.at("image_url"))?;
            let read = Image { url: image.need_text("url")?, detail: image.text("detail")? };
            image.end()?;
            Part::Image(read)
        }
        _ => return Err(part.refuse("type", "only text and images can be translated; leave this part out")),
    };
    part.end()?;
    Ok(read)
}

fn read_tool(mut tool: Fields<'_>) -> Outcome<Tool> {
    if tool.need_text("type")? != "function" {
        return Err(tool.refuse("type", "only functions can be translated; leave this tool out"));
    }
    tool.ignore(&["cache_control"]);
    let function = Fields::of(tool.need("function")?, &tool.at("function"))?;
    tool.end()?;
    Tool::read(function)
}

fn read_choice(choice: Json<'_>) -> Outcome<Choice> {
    if let Some(known) = Choice::of_word(&choice) {
        return Ok(known);
    }
    let mut choice = Fields::of(choice, "tool_choice")?;
    choice.only("type", &["\"function\""], "only auto, none, required or one function can be translated")?;
    let mut function = Fields::of(choice.need("function")?, "tool_choice.function")?;
    let name = function.need_text("name")?;
    function.end()?;
    choice.end()?;
    Ok(Choice::Named(name))
}

fn read_stop(fields: &mut Fields<'_>) -> Outcome<Vec<String>> {
    let one = |value: Json<'_>| match value {
        Json::String(text) => Ok(text.into_owned()),
        other => Err(FieldError::Kind { path: "stop".to_owned(), found: other.kind(), expected: "strings" }),
    };
    match fields.take("stop") {
        None => Ok(Vec::new()),
        Some(Json::Array(all)) => all.into_iter().map(one).collect(),
        Some(other) => Ok(vec![one(other)?]),
    }
}

fn read_format(mut format: Fields<'_>) -> Outcome<Format> {
    let read = match format.need_text("type")?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let mut schema = Fields::of(format.need("json_schema")?, "response_format.json_schema")?;
            let read = Format::Schema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                strict: schema.flag("strict")?,
                schema: schema.take("schema").map_or_else(|| Json::Object(Vec::new()), Json::into_owned),
            };
            schema.end()?;
            read
        }
        _ => return Err(format.refuse("type", "expected text, json_object or json_schema")),
    };
    format.end()?;
    Ok(read)
}
