//! Reads a request of Messages.

use crate::conversation::{
    Choice, Conversation, Format, Image, Item, Outcome, Part, Role, Seal, SealKind, Setting, Settings, Thinking, Tool,
};
use crate::dialect::Dialect;
use crate::json::{FieldError, Fields, Json};

pub(crate) fn read_request(body: Json<'_>) -> Outcome<Conversation> {
    let mut fields = Fields::of(body, "")?;
    let mut conversation = Conversation::new(Dialect::Messages);
    // `cache_control` marks what to keep in the provider's cache.
    fields.ignore(&["model", "cache_control"]);
    let system = read_texts(&mut fields, "system")?;
    if !system.is_empty() {
        let at = "system".to_owned();
        conversation.items.push(Item::Message { at, role: Role::System, parts: system, name: None });
    }
    for (at, message) in fields.array("messages")?.into_iter().enumerate() {
        read_message(Fields::of(message, &format!("messages[{at}]"))?, &mut conversation.items)?;
    }
    if let Some(Item::Message { at, role: Role::Assistant, .. }) = conversation.items.last() {
        let why = "the other dialects do not continue an answer that has begun; end with a user message";
        return Err(FieldError::Refused { path: at.clone(), why });
    }
    for (at, tool) in fields.array("tools")?.into_iter().enumerate() {
        conversation.tools.push(read_tool(Fields::of(tool, &format!("tools[{at}]"))?)?);
    }
    if let Some(choice) = fields.object("tool_choice")? {
        read_choice(choice, &mut conversation)?;
    }
    conversation.max_tokens = fields.count("max_tokens")?;
    for (at, stop) in fields.array("stop_sequences")?.into_iter().enumerate() {
        let Json::String(stop) = stop else {
            let path = format!("stop_sequences[{at}]");
            return Err(FieldError::Kind { path, found: stop.kind(), expected: "a string" });
        };
        conversation.stop.push(stop.into_owned());
    }
    conversation.stream = fields.flag("stream")?.unwrap_or(false);
    read_thinking(&mut fields, &mut conversation)?;
    conversation.settings = Settings::read(&mut fields, Dialect::Messages)?;
    if let Some(mut metadata) = fields.object("metadata")? {
        conversation.settings.add(Setting::User, metadata.text("user_id")?.map(Json::text));
        metadata.end()?;
    }
    read_context_management(&mut fields)?;
    let tiers = ["\"auto\"", "\"standard_only\""];
    fields.only("service_tier", &tiers, "only auto and standard_only can be translated")?;
    fields.only("speed", &["\"standard\""], "only the standard speed can be translated")?;
    fields.end()?;
    Ok(conversation)
}

fn read_message(mut message: Fields<'_>, items: &mut Vec<Item>) -> Outcome<()> {
    let at = message.path().to_owned();
    let role = match message.need_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(message.refuse("role", "expected user, assistant or system")),
    };
    let content = message.need("content")?;
    let path = message.at("content");
    message.end()?;
    let blocks = match content {
        Json::String(text) => {
            let parts = vec![Part::Text(text.into_owned())];
            items.push(Item::Message { at, role, parts, name: None });
            return Ok(());
        }
        Json::Array(blocks) => blocks,
        other => return Err(FieldError::Kind { path, found: other.kind(), expected: "a string or an array" }),
    };
    // Texts and images that follow each other are one message.
    let mut parts = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        let block = Fields::of(block, &format!("{path}[{index}]"))?;
        match read_block(block)? {
            Read::Part(part) => parts.push(part),
            Read::Item(item) => {
                end_message(&mut parts, (&at, role), items);
                items.push(item);
            }
        }
    }
    end_message(&mut parts, (&at, role), items);
    Ok(())
}

fn end_message(parts: &mut Vec<Part>, (at, role): (&str, Role), items: &mut Vec<Item>) {
    if !parts.is_empty() {
        items.push(Item::Message { at: at.to_owned(), role, parts: std::mem::take(parts), name: None });
    }
}

enum Read {
    Part(Part),
    Item(Item),
}

fn read_block(mut block: Fields<'_>) -> Outcome<Read> {
    let at = block.path().to_owned();
    block.ignore(&["cache_control"]);
    let read = match block.need_text("type")?.as_str() {
        "text" => {
            // Sources of an earlier answer: no model reads them.
            block.ignore(&["citations"]);
            Read::Part(Part::Text(block.need_text("text")?))
        }
        "image" => Read::Part(Part::Image(read_image(&mut block)?)),
        "tool_use" => {
            block.only("caller", &["{\"type\":\"direct\"}"], "only direct calls can be translated")?;
            let (id, name) = (block.need_text("id")?, block.need_text("name")?);
            Read::Item(Item::Call { at, id, name, arguments: block.need("input")?.to_string() })
        }
        "tool_result" => {
            // The result's text says that the tool failed; the other dialects have no mark for it.
            block.ignore(&["is_error"]);
            let (at, id) = (block.at("content"), block.need_text("tool_use_id")?);
            Read::Item(Item::Result { at, id, parts: read_result(&mut block)? })
        }
        "thinking" => {
            let text = block.text("thinking")?.unwrap_or_default();
            let seal = block.text("signature")?.and_then(|seal| Seal::read(SealKind::Signature, &seal));
            Read::Item(Item::Thought { at, text, seal })
        }
        "redacted_thinking" => {
            let seal = Seal { kind: SealKind::Redacted, value: block.need_text("data")? };
            Read::Item(Item::Thought { at, text: String::new(), seal: Some(seal) })
        }
        _ => {
            let why = "only texts, images, thoughts, and calls of tools with their results can be translated";
            return Err(block.refuse("type", why));
        }
    };
    block.end()?;
    Ok(read)
}

fn read_result(block: &mut Fields<'_>) -> Outcome<Vec<Part>> {
    let path = block.at("content");
    match block.take("content") {
        None => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(vec![Part::Text(text.into_owned())]),
        Some(Json::Array(blocks)) => {
            let read = |(index, inner)| {
                let inner = Fields::of(inner, &format!("{path}[{index}]"))?;
                let refused = inner.refuse("type", "only texts and images can be translated as the result of a tool");
                match read_block(inner)? {
                    Read::Part(part) => Ok(part),
                    Read::Item(_) => Err(refused),
                }
            };
            blocks.into_iter().enumerate().map(read).collect()
        }
        Some(other) => Err(block.kind("content", &other, "a string or an array")),
    }
}

fn read_image(block: &mut Fields<'_>) -> Outcome<Image> {
    let mut source = Fields::of(block.need("source")?, &block.at("source"))?;
    let url = match source.need_text("type")?.as_str() {
        "url" => source.need_text("url")?,
        "base64" => format!("data:{};base64,{}", source.need_text("media_type")?, source.need_text("data")?),
        _ => return Err(source.refuse("type", "only url and base64 can be translated; send the image itself")),
    };
    source.end()?;
    Ok(Image { url, detail: None })
}

/// A text, or blocks of text.
fn read_texts(fields: &mut Fields<'_>, name: &str) -> Outcome<Vec<Part>> {
    let path = fields.at(name);
    match fields.take(name) {
        None => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(vec![Part::Text(text.into_owned())]),
        Some(Json::Array(blocks)) => {
            let read = |(index, block)| match read_block(Fields::of(block, &format!("{path}[{index}]"))?)? {
                Read::Part(part @ Part::Text(_)) => Ok(part),
                Read::Part(_) | Read::Item(_) => {
                    let why = "only texts can stand here";
                    Err(FieldError::Refused { path: format!("{path}[{index}]"), why })
                }
            };
            blocks.into_iter().enumerate().map(read).collect()
        }
        Some(other) => Err(fields.kind(name, &other, "a string or an array")),
    }
}

fn read_tool(mut tool: Fields<'_>) -> Outcome<Tool> {
    let custom = "only tools of the client can be translated, not those of the provider; leave this tool out";
    tool.only("type", &["\"custom\""], custom)?;
    // Marks for the cache, and how arguments are streamed.
    tool.ignore(&["cache_control", "eager_input_streaming"]);
    let read = Tool {
        name: tool.need_text("name")?,
        description: tool.text("description")?,
        parameters: Some(tool.need("input_schema")?.into_owned()),
        strict: tool.flag("strict")?,
    };
    tool.end()?;
    Ok(read)
}

fn read_choice(mut choice: Fields<'_>, conversation: &mut Conversation) -> Outcome<()> {
    conversation.tool_choice = Some(match choice.need_text("type")?.as_str() {
        "auto" => Choice::Auto,
        "none" => Choice::None,
        "any" => Choice::Required,
        "tool" => Choice::Named(choice.need_text("name")?),
        _ => return Err(choice.refuse("type", "expected auto, any, none or tool")),
    });
    conversation.parallel_calls = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    choice.end()
}

/// Thoughts are left out in a translation, so to clear them asks for nothing more.
fn read_context_management(fields: &mut Fields<'_>) -> Outcome<()> {
    let Some(mut management) = fields.object("context_management")? else { return Ok(()) };
    let clears = |edit: &Json<'_>| edit.str_at("type").is_some_and(|kind| kind.starts_with("clear_thinking"));
    if let Some(at) = management.array("edits")?.iter().position(|edit| !clears(edit)) {
        let path = format!("context_management.edits[{at}]");
        return Err(FieldError::Refused { path, why: "the provider's dialect does not shorten the conversation" });
    }
    management.end()
}

fn read_thinking(fields: &mut Fields<'_>, conversation: &mut Conversation) -> Outcome<()> {
    if let Some(mut thinking) = fields.object("thinking")? {
        // How thoughts are shown; the other dialects show what they show.
        thinking.ignore(&["display"]);
        match thinking.need_text("type")?.as_str() {
            "enabled" => {
                let path = thinking.at("budget_tokens");
                let budget = thinking.count("budget_tokens")?.ok_or(FieldError::Missing { path })?;
                conversation.thinking = Some(Thinking::Budget(budget));
            }
            // The model decides, as those of the other dialects do; or it does not think, as most of them if not asked.
            "adaptive" | "disabled" => {}
            _ => return Err(thinking.refuse("type", "expected enabled, adaptive or disabled")),
        }
        thinking.end()?;
    }
    let Some(mut config) = fields.object("output_config")? else { return Ok(()) };
    if let Some(effort) = config.text("effort")? {
        conversation.thinking = Some(Thinking::Effort(effort));
    }
    if let Some(mut format) = config.object("format")? {
        format.only("type", &["\"json_schema\""], "only json_schema can be translated")?;
        let schema = format.need("schema")?.into_owned();
        conversation.format = Some(Format::Schema { name: None, description: None, schema, strict: Some(true) });
        format.end()?;
    }
    config.end()
}
