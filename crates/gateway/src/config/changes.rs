//! What differs between two configurations.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Config, Secret};

/// The fields that a reload changed, by their paths. Values are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// What holds from now on.
    pub applied: Vec<String>,
    /// What holds once the gateway is started again; until then, the values from before do.
    pub needs_restart: Vec<String>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.needs_restart.is_empty()
    }
}

/// Gives `new` the values of `old` in the fields that need a restart, and says what changed.
pub(super) fn take_over(old: &Config, new: &mut Config) -> Changes {
    let needs_restart = keep(old, new);
    Changes { applied: differences(old, new), needs_restart }
}

/// Keeps the fields that cannot change while the gateway runs, and names those that would have.
fn keep(old: &Config, new: &mut Config) -> Vec<String> {
    let mut kept = Vec::new();
    let mut put_back = |name: &str, differs: bool, put: &mut dyn FnMut()| {
        if differs {
            kept.push(name.to_owned());
            put();
        }
    };
    put_back("listen", old.listen != new.listen, &mut || new.listen = old.listen);
    put_back("data", old.data != new.data, &mut || new.data.clone_from(&old.data));
    put_back("telemetry", old.telemetry != new.telemetry, &mut || new.telemetry.clone_from(&old.telemetry));
    let (before, route) = (&old.route, &mut new.route);
    put_back("route.servers", before.servers != route.servers, &mut || route.servers.clone_from(&before.servers));
    put_back("route.bundle", before.bundle != route.bundle, &mut || route.bundle.clone_from(&before.bundle));
    kept
}

fn differences(old: &Config, new: &Config) -> Vec<String> {
    let [before, after] = [old, new].map(flattened);
    let values = before.values.keys().chain(after.values.keys());
    let changed = values.filter(|field| before.values.get(*field) != after.values.get(*field));
    let [old_secrets, new_secrets] = [old, new].map(secrets);
    // Secrets that came or went are other values already.
    let replaced = old_secrets.iter().filter(|(field, old)| new_secrets.get(*field).is_some_and(|new| new != *old));
    let moved: Vec<&String> = before.entries.symmetric_difference(&after.entries).collect();
    // A provider or a model that came or went is named once.
    let named = |field: &String| {
        let inside = |entry: &&&String| field.strip_prefix(entry.as_str()).is_some_and(|rest| rest.starts_with('.'));
        moved.iter().find(inside).map_or_else(|| field.clone(), |entry| (*entry).clone())
    };
    changed.chain(replaced.map(|(field, _)| field)).map(named).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The secrets by the paths of their fields.
fn secrets(config: &Config) -> BTreeMap<String, &Secret> {
    let mut secrets: BTreeMap<String, &Secret> = BTreeMap::new();
    secrets.extend(config.access.token.iter().map(|token| ("access.token".to_owned(), &token.secret)));
    for provider in &config.providers {
        let path = format!("provider.{}", provider.name);
        secrets.extend(provider.key.iter().map(|key| (format!("{path}.key"), &key.secret)));
        secrets.extend(provider.headers.iter().map(|(name, value)| (format!("{path}.headers.{name}"), value)));
    }
    secrets
}

/// A configuration by the paths of its fields.
#[derive(Default)]
struct Flattened {
    /// Secrets all look the same.
    values: BTreeMap<String, Value>,
    /// The providers and models.
    entries: BTreeSet<String>,
}

fn flattened(config: &Config) -> Flattened {
    let mut flattened = Flattened::default();
    // A configuration is texts, numbers and lists of them: it always has a JSON form.
    flattened.add("", serde_json::to_value(config).unwrap_or_default());
    flattened
}

impl Flattened {
    fn add(&mut self, path: &str, value: Value) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(fields) if !fields.contains_key("secret") => {
                fields.into_iter().for_each(|(name, value)| self.add(&below(&name), value));
            }
            Value::Array(entries) if entries.iter().all(Value::is_object) => {
                for entry in entries {
                    let path = below(entry["name"].as_str().unwrap_or_default());
                    self.entries.insert(path.clone());
                    self.add(&path, entry);
                }
            }
            Value::Null => {}
            value => {
                self.values.insert(path.to_owned(), value);
            }
        }
    }
}
