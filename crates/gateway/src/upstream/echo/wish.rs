//! What a request asks the model for, in the words of its dialect.

use blindroute_dialects::Dialect;
use blindroute_dialects::json::Json;
use blindroute_dialects::raw::Object;

/// What the built-in model keeps to.
pub(super) struct Wish<'r> {
    pub(super) tools: Vec<Tool<'r>>,
    pub(super) choice: Choice<'r>,
    pub(super) format: Format<'r>,
    /// The texts before which it stops.
    pub(super) stop: Vec<&'r str>,
    pub(super) thinks: bool,
}

/// A tool that the caller runs.
pub(super) struct Tool<'r> {
    pub(super) name: &'r str,
    pub(super) schema: Option<&'r Json<'r>>,
}

/// Whether a tool is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice<'r> {
    Allowed,
    Forbidden,
    Required,
    Named(&'r str),
}

/// The form of the answer.
pub(super) enum Format<'r> {
    Text,
    /// Any JSON object.
    Object,
    Schema(&'r Json<'r>),
}

impl<'r> Wish<'r> {
    /// Reads a request. What is not in the form of the dialect asks for nothing.
    pub(super) fn of(dialect: Dialect, request: &'r Object<'r>) -> Self {
        let format = match dialect {
            Dialect::Chat => request.get("response_format"),
            Dialect::Responses => request.get("text").and_then(|text| text.get("format")),
            Dialect::Messages => request.get("output_config").and_then(|config| config.get("format")),
        };
        let stop = match dialect {
            Dialect::Chat => request.get("stop"),
            Dialect::Responses => None,
            Dialect::Messages => request.get("stop_sequences"),
        };
        let sequences = stop.map(|stop| stop.as_str().into_iter().chain(texts(stop))).into_iter().flatten();
        let choice = request.get("tool_choice");
        let mut tools = tools(request.get("tools"));
        if let Some(allowed) = choice.and_then(allowed_tools) {
            tools.retain(|tool| allowed.contains(&tool.name));
        }
        Self {
            tools,
            choice: choice.map_or(Choice::Allowed, read_choice),
            format: format.map_or(Format::Text, read_format),
            stop: sequences.filter(|sequence| !sequence.is_empty()).collect(),
            thinks: thinks(dialect, request),
        }
    }
}

fn texts<'r>(all: &'r Json<'r>) -> impl Iterator<Item = &'r str> {
    all.elements().iter().filter_map(Json::as_str)
}

/// The tools of the caller; those that a provider would run are left out.
fn tools<'r>(all: Option<&'r Json<'r>>) -> Vec<Tool<'r>> {
    let read = |tool: &'r Json<'r>| {
        let described = match tool.str_at("type") {
            Some("function") => tool.get("function").unwrap_or(tool),
            None | Some("custom") if tool.get("input_schema").is_some() => tool,
            _ => return None,
        };
        let schema = described.get("parameters").or_else(|| described.get("input_schema"));
        Some(Tool { name: described.str_at("name")?, schema })
    };
    all.map(Json::elements).unwrap_or_default().iter().filter_map(read).collect()
}

/// What `allowed_tools` holds, which Chat puts one level deeper than Responses.
fn allowance<'r>(choice: &'r Json<'r>) -> Option<&'r Json<'r>> {
    let is_allowance = choice.str_at("type") == Some("allowed_tools");
    is_allowance.then(|| choice.get("allowed_tools").unwrap_or(choice))
}

fn allowed_tools<'r>(choice: &'r Json<'r>) -> Option<Vec<&'r str>> {
    let tools = allowance(choice)?.get("tools")?.elements().iter();
    let named = |tool: &'r Json<'r>| tool.get("function").unwrap_or(tool).str_at("name");
    Some(tools.filter_map(named).collect())
}

fn read_choice<'r>(choice: &'r Json<'r>) -> Choice<'r> {
    let kind = choice.as_str().or_else(|| choice.str_at("type")).unwrap_or_default();
    let name = choice.str_at("name").or_else(|| choice.get("function")?.str_at("name"));
    match (kind, name) {
        ("none", _) => Choice::Forbidden,
        ("required" | "any", _) => Choice::Required,
        ("function" | "tool", Some(name)) => Choice::Named(name),
        ("allowed_tools", _) if allowance(choice).is_some_and(|all| all.str_at("mode") == Some("required")) => {
            Choice::Required
        }
        _ => Choice::Allowed,
    }
}

fn read_format<'r>(format: &'r Json<'r>) -> Format<'r> {
    match format.str_at("type") {
        Some("json_object") => Format::Object,
        Some("json_schema") => {
            let described = format.get("json_schema").unwrap_or(format);
            described.get("schema").map_or(Format::Object, Format::Schema)
        }
        _ => Format::Text,
    }
}

fn thinks(dialect: Dialect, request: &Object<'_>) -> bool {
    let reasoning = || request.get("reasoning").and_then(|reasoning| reasoning.str_at("effort"));
    let effort = match dialect {
        Dialect::Chat => request.get("reasoning_effort").and_then(Json::as_str).or_else(reasoning),
        Dialect::Responses => reasoning(),
        Dialect::Messages => {
            return request.get("thinking").is_some_and(|thinking| thinking.str_at("type") == Some("enabled"));
        }
    };
    effort.is_some_and(|effort| effort != "none")
}
