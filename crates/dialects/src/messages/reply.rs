//! Reads and writes a whole response of Messages.

use super::blocks;
use crate::conversation::{Citation, Finish, Outcome, Output, Reply, Seal, SealKind, characters, renamed};
use crate::dialect::Dialect;
use crate::json::{FieldError, Json};
use crate::usage::Usage;

pub(crate) fn read_reply(body: &Json<'_>) -> Outcome<Reply> {
    let mut outputs = Vec::new();
    for (at, block) in body.get("content").map(Json::elements).unwrap_or_default().iter().enumerate() {
        outputs.push(read_block(block, &format!("content[{at}]"))?);
    }
    let reason = body.str_at("stop_reason").ok_or_else(|| FieldError::Missing { path: "stop_reason".to_owned() })?;
    Ok(Reply {
        id: body.str_at("id").unwrap_or_default().to_owned(),
        model: body.str_at("model").unwrap_or_default().to_owned(),
        created: None,
        outputs,
        finish: finish(reason, body.str_at("stop_sequence"))?,
        usage: Usage::of_response(Dialect::Messages, body),
    })
}

/// Why the model stopped.
pub(super) fn finish(reason: &str, sequence: Option<&str>) -> Outcome<Finish> {
    match reason {
        "end_turn" => Ok(Finish::Stop),
        "stop_sequence" => Ok(Finish::Sequence(sequence.map(str::to_owned))),
        "max_tokens" | "model_context_window_exceeded" => Ok(Finish::Length),
        "tool_use" => Ok(Finish::Calls),
        "refusal" => Ok(Finish::Filter),
        _ => {
            let why = "the model stopped for a reason that has no counterpart in the client's dialect";
            Err(FieldError::Refused { path: "stop_reason".to_owned(), why })
        }
    }
}

fn read_block(block: &Json<'_>, at: &str) -> Outcome<Output> {
    let need = |name: &str| {
        let missing = || FieldError::Missing { path: format!("{at}.{name}") };
        block.str_at(name).map(str::to_owned).ok_or_else(missing)
    };
    match block.str_at("type") {
        Some("text") => {
            let (text, sources) = (need("text")?, block.get("citations").map(Json::elements).unwrap_or_default());
            let read =
                |(index, source)| Citation::read_result(source, characters(&text), &format!("{at}.citations[{index}]"));
            let citations = sources.iter().enumerate().map(read).collect::<Outcome<_>>()?;
            Ok(Output::Text { text, logprobs: None, citations })
        }
        Some("thinking") => {
            let seal = block.str_at("signature").and_then(|seal| Seal::read(SealKind::Signature, seal));
            Ok(Output::Thought { text: need("thinking")?, seal })
        }
        Some("redacted_thinking") => {
            let seal = Some(Seal { kind: SealKind::Redacted, value: need("data")? });
            Ok(Output::Thought { text: String::new(), seal })
        }
        Some("tool_use") => {
            let arguments = block.get("input").map_or_else(|| "{}".to_owned(), Json::to_string);
            Ok(Output::Call { id: need("id")?, name: need("name")?, arguments })
        }
        _ => {
            let why = "the provider answered with a block that has no counterpart in the client's dialect";
            Err(FieldError::Refused { path: at.to_owned(), why })
        }
    }
}

pub(crate) fn write_reply(reply: &Reply) -> Outcome<Json<'static>> {
    let (mut content, mut refused) = (Vec::new(), false);
    for (at, output) in reply.outputs.iter().enumerate() {
        match output {
            Output::Text { text, citations, .. } => content.extend(blocks::cited(text, citations)),
            Output::Refusal(text) => {
                refused = true;
                content.push(blocks::said(text, &[]));
            }
            Output::Thought { text, seal } => content.push(blocks::thought(text, seal.as_ref())),
            Output::Call { id, name, arguments } => {
                let mut call = blocks::call(id, name, arguments, &format!("call {at}"))?;
                call.set("caller", blocks::direct());
                content.push(call);
            }
        }
    }
    let finish = if refused { Finish::Filter } else { reply.finish.clone() };
    let (reason, sequence) = finish.messages();
    Ok(Json::object([
        ("id", Json::text(renamed(&reply.id, "msg_"))),
        ("type", Json::text("message")),
        ("role", Json::text("assistant")),
        ("model", Json::text(reply.model.clone())),
        ("content", Json::Array(content)),
        ("stop_reason", Json::text(reason)),
        ("stop_sequence", sequence),
        ("stop_details", Json::Null),
        ("container", Json::Null),
        // The dialect always says what was used.
        ("usage", reply.usage.unwrap_or_default().to_json(Dialect::Messages)),
    ]))
}
