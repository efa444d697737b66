//! Reads a request of Responses.

use crate::conversation::{
    Choice, Conversation, Format, Image, Item, Outcome, Part, Role, Seal, SealKind, Setting, Settings, Thinking, Tool,
};
use crate::dialect::Dialect;
use crate::json::{FieldError, Fields, Json};

/// What the provider stores is not there for another provider.
const STORED: &str = "it is stored by one provider and cannot be translated; send the whole conversation in input";

pub(crate) fn read_request(body: Json<'_>) -> Outcome<Conversation> {
    let mut fields = Fields::of(body, "")?;
    let mut conversation = Conversation::new(Dialect::Responses);
    fields.ignore(&["model"]);
    for stored in ["previous_response_id", "conversation", "prompt"] {
        fields.only(stored, &[], STORED)?;
    }
    if let Some(text) = fields.text("instructions")? {
        let (at, parts) = ("instructions".to_owned(), vec![Part::Text(text)]);
        conversation.items.push(Item::Message { at, role: Role::System, parts, name: None });
    }
    match fields.need("input")? {
        Json::String(text) => {
            let (at, parts) = ("input".to_owned(), vec![Part::Text(text.into_owned())]);
            conversation.items.push(Item::Message { at, role: Role::User, parts, name: None });
        }
        Json::Array(items) => {
            for (at, item) in items.into_iter().enumerate() {
                conversation.items.extend(read_item(Fields::of(item, &format!("input[{at}]"))?)?);
            }
        }
        other => return Err(fields.kind("input", &other, "a string or an array")),
    }
    for (at, tool) in fields.array("tools")?.into_iter().enumerate() {
        conversation.tools.push(read_tool(Fields::of(tool, &format!("tools[{at}]"))?)?);
    }
    conversation.tool_choice = fields.take("tool_choice").map(read_choice).transpose()?;
    conversation.parallel_calls = fields.flag("parallel_tool_calls")?;
    conversation.max_tokens = fields.count("max_output_tokens")?;
    conversation.stream = fields.flag("stream")?.unwrap_or(false);
    if let Some(mut reasoning) = fields.object("reasoning")? {
        conversation.thinking = reasoning.text("effort")?.map(Thinking::Effort);
        // How thoughts are shown; the other dialects show what they show.
        reasoning.ignore(&["summary", "generate_summary"]);
        reasoning.end()?;
    }
    conversation.settings = Settings::read(&mut fields, Dialect::Responses)?;
    if let Some(mut text) = fields.object("text")? {
        conversation.format = text.object("format")?.map(read_format).transpose()?;
        conversation.settings.add(Setting::Verbosity, text.text("verbosity")?.map(Json::text));
        text.end()?;
    }
    conversation.logprobs = read_include(&mut fields)?;
    if let Some(mut options) = fields.object("stream_options")? {
        options.ignore(&["include_obfuscation"]);
        options.end()?;
    }
    fields.only("background", &["false"], "only answers in the foreground can be translated")?;
    fields.only(
        "truncation",
        &["\"disabled\""],
        "the provider's dialect does not shorten the input; shorten it yourself",
    )?;
    fields.end()?;
    Ok(conversation)
}

/// Whether probabilities of tokens are wanted, and of how many alternatives.
fn read_include(fields: &mut Fields<'_>) -> Outcome<Option<u64>> {
    let alternatives = fields.count("top_logprobs")?;
    let mut logprobs = None;
    for (at, wanted) in fields.array("include")?.iter().enumerate() {
        match wanted.as_str() {
            Some("message.output_text.logprobs") => logprobs = Some(alternatives.unwrap_or(0)),
            // Thoughts come sealed where the provider seals them.
            Some("reasoning.encrypted_content") => {}
            _ => {
                let why = "only message.output_text.logprobs and reasoning.encrypted_content can be translated";
                return Err(FieldError::Refused { path: format!("include[{at}]"), why });
            }
        }
    }
    match alternatives {
        Some(wanted) if wanted > 0 && logprobs.is_none() => Ok(Some(wanted)),
        _ => Ok(logprobs),
    }
}

fn read_item(mut item: Fields<'_>) -> Outcome<Option<Item>> {
    let at = item.path().to_owned();
    let kind = item.text("type")?.unwrap_or_else(|| "message".to_owned());
    let id = item.text("id")?;
    // How far an item had come says nothing that the conversation does not say.
    item.ignore(&["status"]);
    let read = match kind.as_str() {
        "message" => {
            let role = match item.need_text("role")?.as_str() {
                "system" => Role::System,
                "developer" => Role::Developer,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                _ => return Err(item.refuse("role", "expected system, developer, user or assistant")),
            };
            let parts = read_parts(&mut item, "content")?;
            item.ignore(&["phase"]);
            Item::Message { at, role, parts, name: None }
        }
        "function_call" => Item::Call {
            at,
            id: item.need_text("call_id")?,
            name: item.need_text("name")?,
            arguments: item.need_text("arguments")?,
        },
        "function_call_output" => {
            let (at, id) = (item.at("output"), item.need_text("call_id")?);
            Item::Result { at, id, parts: read_parts(&mut item, "output")? }
        }
        "reasoning" => {
            let mut text = Vec::new();
            for name in ["summary", "content"] {
                let parts = item.array(name)?;
                text.extend(parts.iter().filter_map(|part| part.str_at("text")).map(str::to_owned));
            }
            let sealed = item.text("encrypted_content")?.and_then(|seal| Seal::read(SealKind::Encrypted, &seal));
            let seal = sealed.map(|seal| match seal.kind {
                SealKind::Encrypted => {
                    Seal { value: format!("{}:{}", id.clone().unwrap_or_default(), seal.value), ..seal }
                }
                SealKind::Signature | SealKind::Redacted => seal,
            });
            Item::Thought { at, text: text.join("\n\n"), seal }
        }
        "item_reference" => return Err(item.refuse("type", STORED)),
        _ => {
            return Err(
                item.refuse("type", "only messages, calls of functions, their outputs and reasoning can be translated")
            );
        }
    };
    item.end()?;
    Ok(Some(read))
}

fn read_parts(item: &mut Fields<'_>, name: &str) -> Outcome<Vec<Part>> {
    let at = item.at(name);
    match item.need(name)? {
        Json::String(text) => Ok(vec![Part::Text(text.into_owned())]),
        Json::Array(parts) => {
            parts.into_iter().enumerate().map(|(index, part)| read_part(part, &format!("{at}[{index}]"))).collect()
        }
        other => Err(item.kind(name, &other, "a string or an array")),
    }
}

fn read_part(part: Json<'_>, at: &str) -> Outcome<Part> {
    let mut part = Fields::of(part, at)?;
    let read = match part.need_text("type")?.as_str() {
        "input_text" | "output_text" | "text" => {
            // Sources and probabilities of an earlier answer: no model reads them.
            part.ignore(&["annotations", "logprobs"]);
            Part::Text(part.need_text("text")?)
        }
        "refusal" => Part::Refusal(part.need_text("refusal")?),
        "input_image" => {
            part.only("file_id", &[], STORED)?;
            let url = part.need_text("image_url")?;
            // What is said if nothing is said.
            Part::Image(Image { url, detail: part.text("detail")?.filter(|detail| detail != "auto") })
        }
        _ => return Err(part.refuse("type", "only text and images can be translated; leave this part out")),
    };
    part.end()?;
    Ok(read)
}

fn read_choice(choice: Json<'_>) -> Outcome<Choice> {
    if let Some(known) = Choice::of_word(&choice) {
        return Ok(known);
    }
    let mut choice = Fields::of(choice, "tool_choice")?;
    choice.only("type", &["\"function\""], "only auto, none, required or one function can be translated")?;
    let name = choice.need_text("name")?;
    choice.end()?;
    Ok(Choice::Named(name))
}

fn read_tool(mut tool: Fields<'_>) -> Outcome<Tool> {
    if tool.need_text("type")? != "function" {
        return Err(tool.refuse("type", "only functions can be translated; leave this tool out"));
    }
    Tool::read(tool)
}

fn read_format(mut format: Fields<'_>) -> Outcome<Format> {
    let read = match format.need_text("type")?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => Format::Schema {
            name: format.text("name")?,
            description: format.text("description")?,
            schema: format.need("schema")?.into_owned(),
            strict: format.flag("strict")?,
        },
        _ => return Err(format.refuse("type", "expected text, json_object or json_schema")),
    };
    format.end()?;
    Ok(read)
}
