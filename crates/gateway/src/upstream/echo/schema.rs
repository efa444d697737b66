//! The smallest instance of a JSON schema.
//!
//! A constant, else the first of an enumeration, else the smallest value of the first type: objects with their required properties
//! only, arrays of the fewest items, the text `echo` at the length or in the format that is asked for, the number nearest to 0
//! within its bounds, `false`, null. Of alternatives the first is taken that does not contain itself. Patterns, and what depends on
//! other fields (`if`, `not`, `dependentRequired`), are not looked at.

use blindroute_dialects::json::Json;
use std::borrow::Cow;

/// What a text says that may say anything.
const WORD: &str = "echo";

/// The most values of an instance, and how deep they are nested: schemas can ask for more than anybody wants to read.
const MOST: usize = 4096;
const DEEPEST: usize = 64;

/// The smallest instance; null if the schema has none that is small enough.
pub(super) fn instance(schema: &Json<'_>) -> Json<'static> {
    Search { root: schema, open: Vec::new(), left: MOST, depth: 0 }.any(schema).unwrap_or(Json::Null)
}

/// The smallest arguments of a tool, which are an object.
pub(super) fn arguments(schema: Option<&Json<'_>>) -> Json<'static> {
    match schema.map(instance) {
        Some(object @ Json::Object(_)) => object,
        _ => Json::Object(Vec::new()),
    }
}

struct Search<'s> {
    root: &'s Json<'s>,
    /// The references that are being followed.
    open: Vec<String>,
    left: usize,
    depth: usize,
}

impl<'s> Search<'s> {
    /// An instance; nothing if it would contain itself, or be too large.
    fn any(&mut self, schema: &Json<'_>) -> Option<Json<'static>> {
        self.left = self.left.checked_sub(1)?;
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let found = self.of(schema);
        self.depth -= 1;
        found
    }

    fn of(&mut self, schema: &Json<'_>) -> Option<Json<'static>> {
        if let Json::Object(fields) = schema
            && let Some((_, value)) = fields.iter().find(|(name, _)| name == "const")
        {
            return Some(value.clone().into_owned());
        }
        if let Some(first) = schema.get("enum").and_then(|all| all.elements().first()) {
            return Some(first.clone().into_owned());
        }
        if let Some(reference) = schema.str_at("$ref") {
            return self.follow(reference);
        }
        if let Some(all) = schema.get("allOf") {
            let parts: Vec<&Json<'_>> = all
                .elements()
                .iter()
                .map(|part| part.str_at("$ref").and_then(|reference| self.found(reference)).unwrap_or(part))
                .collect();
            return self.any(&merged(schema, &parts));
        }
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            return branches.elements().iter().find_map(|branch| self.any(branch));
        }
        self.of_kind(schema)
    }

    fn of_kind(&mut self, schema: &Json<'_>) -> Option<Json<'static>> {
        let has = |name: &str| schema.get(name).is_some();
        let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.elements().first()?.as_str()));
        match kind {
            Some("object") => self.object(schema),
            Some("array") => self.array(schema),
            Some("integer") => Some(number(schema, true)),
            Some("number") => Some(number(schema, false)),
            Some("boolean") => Some(Json::Bool(false)),
            Some("null") => Some(Json::Null),
            None if has("properties") || has("required") => self.object(schema),
            None if has("items") || has("prefixItems") => self.array(schema),
            None if has("minimum") || has("maximum") => Some(number(schema, false)),
            _ => Some(Json::text(text(schema))),
        }
    }

    fn follow(&mut self, reference: &str) -> Option<Json<'static>> {
        if self.open.iter().any(|open| open == reference) {
            return None;
        }
        let found = self.found(reference)?;
        self.open.push(reference.to_owned());
        let instance = self.any(found);
        self.open.pop();
        instance
    }

    /// The schema that a reference within this schema means.
    fn found(&self, reference: &str) -> Option<&'s Json<'s>> {
        let mut found = self.root;
        for step in reference.strip_prefix('#')?.split('/').skip(1) {
            let name = step.replace("~1", "/").replace("~0", "~");
            found = found.get(&name).or_else(|| found.elements().get(name.parse::<usize>().ok()?))?;
        }
        Some(found)
    }

    fn object(&mut self, schema: &Json<'_>) -> Option<Json<'static>> {
        let mut fields: Vec<(Cow<'static, str>, Json<'static>)> = Vec::new();
        let free = Json::Object(Vec::new());
        for name in schema.get("required").map(Json::elements).unwrap_or_default().iter().filter_map(Json::as_str) {
            if fields.iter().any(|(known, _)| known == name) {
                continue;
            }
            let own = schema.get("properties").and_then(|properties| properties.get(name));
            let other = || schema.get("additionalProperties").unwrap_or(&free);
            fields.push((Cow::Owned(name.to_owned()), self.any(own.unwrap_or_else(other))?));
        }
        Some(Json::Object(fields))
    }

    fn array(&mut self, schema: &Json<'_>) -> Option<Json<'static>> {
        let fewest = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        let first = schema.get("prefixItems").map(Json::elements).unwrap_or_default();
        let free = Json::Object(Vec::new());
        let rest = schema.get("items").unwrap_or(&free);
        let mut items = Vec::new();
        for at in 0..usize::try_from(fewest).ok()? {
            items.push(self.any(first.get(at).unwrap_or(rest))?);
        }
        Some(Json::Array(items))
    }
}

/// A schema with the fields of those that hold too. Properties and what is required are gathered, of other fields the last counts.
fn merged(schema: &Json<'_>, others: &[&Json<'_>]) -> Json<'static> {
    let mut all: Vec<(Cow<'static, str>, Json<'static>)> = Vec::new();
    let own = match schema {
        Json::Object(fields) => Json::Object(fields.iter().filter(|(name, _)| name != "allOf").cloned().collect()),
        other => other.clone(),
    };
    for part in others.iter().copied().chain([&own]) {
        let Json::Object(fields) = part.clone().into_owned() else { continue };
        for (name, value) in fields {
            match (all.iter_mut().find(|(known, _)| *known == name), value) {
                (None, value) => all.push((name, value)),
                (Some((_, Json::Object(old))), Json::Object(new)) if name == "properties" => old.extend(new),
                (Some((_, Json::Array(old))), Json::Array(new)) if name == "required" => old.extend(new),
                (Some((_, old)), value) => *old = value,
            }
        }
    }
    Json::Object(all)
}

fn text(schema: &Json<'_>) -> String {
    let formatted = match schema.str_at("format") {
        Some("date-time") => "2000-01-01T00:00:00Z",
        Some("date") => "2000-01-01",
        Some("time") => "00:00:00Z",
        Some("duration") => "PT0S",
        Some("email") => "echo@example.com",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("uri") => "https://example.com/",
        Some("uuid") => "00000000-0000-0000-0000-000000000000",
        _ => WORD,
    };
    let bound = |name: &str| schema.get(name).and_then(Json::as_u64).and_then(|most| usize::try_from(most).ok());
    let most = bound("maxLength").unwrap_or(usize::MAX);
    let fewest = bound("minLength").unwrap_or(0).min(MOST);
    // A format is not cut: it would be none.
    let kept: String = if formatted == WORD { WORD.chars().take(most).collect() } else { formatted.to_owned() };
    let missing = fewest.saturating_sub(kept.chars().count());
    kept.chars().chain(WORD.chars().cycle().take(missing)).collect()
}

/// The number nearest to 0 within the bounds.
fn number(schema: &Json<'_>, whole: bool) -> Json<'static> {
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(if whole { 1.0 } else { 0.0 });
    let (least, most) = (bound("minimum"), bound("maximum"));
    let (above, below) = (bound("exclusiveMinimum"), bound("exclusiveMaximum"));
    let fits = |number: f64| {
        least.is_none_or(|least| number >= least)
            && most.is_none_or(|most| number <= most)
            && above.is_none_or(|above| number > above)
            && below.is_none_or(|below| number < below)
    };
    let round = |number: f64, up: bool| match (step > 0.0, up) {
        (true, true) => (number / step).ceil() * step,
        (true, false) => (number / step).floor() * step,
        (false, _) => number,
    };
    let beside = if step > 0.0 { step } else { 1.0 };
    let low = least.into_iter().chain(above).fold(f64::NEG_INFINITY, f64::max);
    let high = most.into_iter().chain(below).fold(f64::INFINITY, f64::min);
    let candidates = [
        0.0,
        round(low, true),
        round(low, true) + beside,
        round(high, false),
        round(high, false) - beside,
        (low + high) / 2.0,
    ];
    let found = candidates.into_iter().find(|number| number.is_finite() && fits(*number)).unwrap_or(0.0);
    Json::Number(format!("{found}").into())
}
