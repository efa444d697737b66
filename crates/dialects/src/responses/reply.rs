//! Reads and writes a whole response of Responses.

use super::items::{item, item_id, prefix};
use crate::conversation::{Citation, Finish, Outcome, Output, Reply, Seal, SealKind, renamed};
use crate::dialect::Dialect;
use crate::json::{FieldError, Json};
use crate::usage::Usage;

pub(crate) fn read_reply(body: &Json<'_>) -> Outcome<Reply> {
    let mut outputs = Vec::new();
    for (at, item) in body.get("output").map(Json::elements).unwrap_or_default().iter().enumerate() {
        read_item(item, &format!("output[{at}]"), &mut outputs)?;
    }
    let calls = outputs.iter().any(|output| matches!(output, Output::Call { .. }));
    Ok(Reply {
        id: body.str_at("id").unwrap_or_default().to_owned(),
        model: body.str_at("model").unwrap_or_default().to_owned(),
        created: body.get("created_at").and_then(Json::as_f64).map(|seconds| seconds as u64),
        finish: finish(body, calls)?,
        outputs,
        usage: Usage::of_response(Dialect::Responses, body),
    })
}

/// Why the model stopped, of a response that did not fail.
pub(super) fn finish(response: &Json<'_>, calls: bool) -> Outcome<Finish> {
    let reason = response.get("incomplete_details").and_then(|details| details.str_at("reason"));
    match (response.str_at("status"), reason) {
        (Some("completed") | None, _) if calls => Ok(Finish::Calls),
        (Some("completed") | None, _) => Ok(Finish::Stop),
        (Some("incomplete"), Some("content_filter")) => Ok(Finish::Filter),
        (Some("incomplete"), _) => Ok(Finish::Length),
        _ => {
            let why = "the provider did not complete the response";
            Err(FieldError::Refused { path: "status".to_owned(), why })
        }
    }
}

fn read_item(item: &Json<'_>, at: &str, outputs: &mut Vec<Output>) -> Outcome<()> {
    let need = |name: &str| {
        let missing = || FieldError::Missing { path: format!("{at}.{name}") };
        item.str_at(name).map(str::to_owned).ok_or_else(missing)
    };
    match item.str_at("type") {
        Some("message") => {
            for (index, part) in item.get("content").map(Json::elements).unwrap_or_default().iter().enumerate() {
                match (part.str_at("text"), part.str_at("refusal")) {
                    (Some(text), _) => {
                        let logprobs = part.get("logprobs").filter(|all| !all.elements().is_empty());
                        let logprobs = logprobs.cloned().map(Json::into_owned);
                        let path = format!("{at}.content[{index}].annotations");
                        let citations = Citation::read_all(part.get("annotations"), &path)?;
                        outputs.push(Output::Text { text: text.to_owned(), logprobs, citations });
                    }
                    (None, Some(refusal)) => outputs.push(Output::Refusal(refusal.to_owned())),
                    (None, None) => {}
                }
            }
        }
        Some("function_call") => {
            let arguments = need("arguments")?;
            let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
            outputs.push(Output::Call { id: need("call_id")?, name: need("name")?, arguments });
        }
        Some("reasoning") => {
            let all = ["summary", "content"].into_iter().filter_map(|name| item.get(name)).flat_map(Json::elements);
            let texts: Vec<&str> = all.filter_map(|part| part.str_at("text")).collect();
            outputs.push(Output::Thought { text: texts.join("\n\n"), seal: seal(item) });
        }
        _ => {
            let why = "the provider answered with an item that has no counterpart in the client's dialect";
            return Err(FieldError::Refused { path: at.to_owned(), why });
        }
    }
    Ok(())
}

/// The seal of a thought, with the identifier of its item.
pub(super) fn seal(item: &Json<'_>) -> Option<Seal> {
    let content = item.str_at("encrypted_content").filter(|content| !content.is_empty())?;
    let id = item.str_at("id").unwrap_or_default();
    Some(Seal { kind: SealKind::Encrypted, value: format!("{id}:{content}") })
}

pub(crate) fn write_reply(reply: &Reply, echo: &Json<'static>, now: u64) -> Json<'static> {
    let id = renamed(&reply.id, "resp_");
    let outputs = reply.outputs.iter().enumerate();
    let items = outputs.map(|(at, output)| item(output, &item_id(prefix(output), &id, at), "completed")).collect();
    let head = Head { id: &id, model: &reply.model, created: reply.created.unwrap_or(now), echo };
    head.finished(&reply.finish, items, reply.usage, now)
}

/// What all forms of a response say.
pub(super) struct Head<'h> {
    pub(super) id: &'h str,
    pub(super) model: &'h str,
    pub(super) created: u64,
    pub(super) echo: &'h Json<'static>,
}

impl Head<'_> {
    /// The response while it is being made.
    pub(super) fn open(&self, status: &'static str) -> Json<'static> {
        let mut response = Json::object([
            ("id", Json::text(self.id.to_owned())),
            ("object", Json::text("response")),
            ("created_at", Json::number(self.created)),
            ("completed_at", Json::Null),
            ("status", Json::text(status)),
            ("error", Json::Null),
            ("incomplete_details", Json::Null),
            ("model", Json::text(self.model.to_owned())),
            ("output", Json::Array(Vec::new())),
        ]);
        if let (Json::Object(fields), Json::Object(echo)) = (&mut response, self.echo) {
            fields.extend(echo.iter().cloned());
        }
        response.set("usage", Json::Null);
        response
    }

    /// The response once the model has stopped.
    pub(super) fn finished(
        &self,
        finish: &Finish,
        items: Vec<Json<'static>>,
        usage: Option<Usage>,
        now: u64,
    ) -> Json<'static> {
        let reason = match finish {
            Finish::Stop | Finish::Sequence(_) | Finish::Calls => None,
            Finish::Length => Some("max_output_tokens"),
            Finish::Filter => Some("content_filter"),
        };
        let mut response = self.open(if reason.is_some() { "incomplete" } else { "completed" });
        match reason {
            Some(reason) => response.set("incomplete_details", Json::object([("reason", Json::text(reason))])),
            None => response.set("completed_at", Json::number(now.max(self.created))),
        }
        response.set("output", Json::Array(items));
        response.set("usage", usage.map_or(Json::Null, |usage| usage.to_json(Dialect::Responses)));
        response
    }
}
