//! `/openapi.json`: the description of the gateway's endpoints for programs (OpenAPI 3.1).
//!
//! It lists what the gateway itself reads. Other fields belong to the provider, so every object may have more.

/// The description.
pub(super) const TEXT: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use super::TEXT;
    use crate::guard::Endpoint;
    use axum::http::Method;
    use serde_json::{Map, Value};

    fn map(value: &Value) -> &Map<String, Value> {
        value.as_object().unwrap()
    }

    /// All values of fields named `$ref`.
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn it_has_each_endpoint_with_the_methods_that_the_guard_lets_through() {
        let text: Value = serde_json::from_str(TEXT).unwrap();
        let paths = map(&text["paths"]);
        for (path, operations) in paths {
            let endpoint = Endpoint::of_path(&path.replace("{model}", "m")).unwrap_or_else(|| panic!("{path}"));
            for method in map(operations).keys() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                assert!(endpoint.takes(&method), "{method} {path}");
            }
        }
        // Pages are for people.
        for endpoint in Endpoint::ALL.into_iter().filter(|endpoint| !endpoint.is_page()) {
            assert!(paths.contains_key(endpoint.path()), "{} is not described", endpoint.path());
            let open = &paths[endpoint.path()]["get"]["security"];
            assert_eq!(open.as_array().is_some_and(Vec::is_empty), endpoint.is_open(), "{}", endpoint.path());
        }
    }

    #[test]
    fn what_it_refers_to_is_there_and_used() {
        let text: Value = serde_json::from_str(TEXT).unwrap();
        let mut found = Vec::new();
        references(&text, &mut found);
        for reference in &found {
            assert!(text.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        for (kind, parts) in map(&text["components"]).iter().filter(|(kind, _)| *kind != "securitySchemes") {
            for name in map(parts).keys() {
                assert!(found.contains(&format!("#/components/{kind}/{name}").as_str()), "{kind} {name} is not used");
            }
        }
    }
}
