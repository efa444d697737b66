//! What a response repeats of its request.

use crate::json::Json;

/// The fields of a response that repeat the request's, each with what it says if the request says nothing.
pub(crate) fn echo(request: &Json<'_>) -> Json<'static> {
    let empty = || Json::Object(Vec::new());
    let number = |text: &'static str| Json::Number(text.into());
    let text = || Json::object([("format", Json::object([("type", Json::text("text"))]))]);
    let reasoning = || Json::object([("effort", Json::Null), ("summary", Json::Null)]);
    let said = |name: &str, otherwise: Json<'static>| request.get(name).cloned().map_or(otherwise, Json::into_owned);
    let mut echo = Json::object([
        ("background", said("background", Json::Bool(false))),
        ("instructions", said("instructions", Json::Null)),
        ("max_output_tokens", said("max_output_tokens", Json::Null)),
        ("max_tool_calls", said("max_tool_calls", Json::Null)),
        ("metadata", said("metadata", empty())),
        ("parallel_tool_calls", said("parallel_tool_calls", Json::Bool(true))),
        ("previous_response_id", Json::Null),
        ("prompt_cache_key", said("prompt_cache_key", Json::Null)),
        ("reasoning", said("reasoning", reasoning())),
        ("safety_identifier", said("safety_identifier", Json::Null)),
        ("service_tier", said("service_tier", Json::text("default"))),
        // The provider of a translated request stores nothing that a client of this dialect could ask for.
        ("store", Json::Bool(false)),
        ("temperature", said("temperature", number("1.0"))),
        ("text", said("text", text())),
        ("tool_choice", said("tool_choice", Json::text("auto"))),
        ("tools", Json::Array(request.get("tools").map(Json::elements).unwrap_or_default().iter().map(tool).collect())),
        ("top_logprobs", said("top_logprobs", Json::number(0))),
        ("top_p", said("top_p", number("1.0"))),
        ("truncation", said("truncation", Json::text("disabled"))),
        ("user", said("user", Json::Null)),
    ]);
    for penalty in ["presence_penalty", "frequency_penalty"] {
        echo.set(penalty, number("0.0"));
    }
    // A field of `text` or `reasoning` that the request leaves out has its usual value.
    complete(&mut echo, "text", text());
    complete(&mut echo, "reasoning", reasoning());
    echo
}

/// A tool with all that the dialect says of a function, whether the request says it or not.
fn tool(tool: &Json<'_>) -> Json<'static> {
    let mut tool = tool.clone().into_owned();
    if tool.str_at("type") == Some("function") {
        // A translated function need not be kept to strictly if the request does not say so.
        for (name, usual) in [("description", Json::Null), ("parameters", Json::Null), ("strict", Json::Bool(false))] {
            if tool.get(name).is_none() {
                tool.set(name, usual);
            }
        }
    }
    tool
}

fn complete(echo: &mut Json<'static>, name: &'static str, usual: Json<'static>) {
    let (Some(Json::Object(said)), Json::Object(mut all)) = (echo.get(name).cloned(), usual) else { return };
    for (field, value) in said {
        match all.iter_mut().find(|(known, _)| *known == field) {
            Some((_, old)) => *old = value,
            None => all.push((field, value)),
        }
    }
    echo.set(name, Json::Object(all));
}
