//! Fields of requests that hold one value, and what happens to them where a dialect does not have them.

use super::Outcome;
use crate::dialect::Dialect;
use crate::json::{FieldError, Fields, Json};

/// A field with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Temperature,
    TopP,
    TopK,
    Seed,
    FrequencyPenalty,
    PresencePenalty,
    LogitBias,
    Metadata,
    User,
    SafetyIdentifier,
    Store,
    ServiceTier,
    CacheKey,
    CacheRetention,
    Verbosity,
}

/// What a setting is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Flag,
    Object,
}

/// What is done where the target does not have a setting.
enum Otherwise {
    /// It means nothing for the answer: the whole value may be ignored.
    Ignore,
    /// Only these values may be ignored, since they ask for what the target does anyway; others are refused.
    RefuseBut(&'static [&'static str]),
}

struct Row {
    setting: Setting,
    kind: Kind,
    /// Chat, Responses, Messages.
    names: [Option<&'static str>; 3],
    otherwise: Otherwise,
}

const fn row(setting: Setting, kind: Kind, names: [Option<&'static str>; 3], otherwise: Otherwise) -> Row {
    Row { setting, kind, names, otherwise }
}

const REFUSE: Otherwise = Otherwise::RefuseBut(&[]);
const ZERO: Otherwise = Otherwise::RefuseBut(&["0", "0.0"]);

/// All settings. The list in the documentation of [`crate::translate`] says the same in words.
const TABLE: [Row; 15] = [
    row(Setting::Temperature, Kind::Number, [Some("temperature"); 3], REFUSE),
    row(Setting::TopP, Kind::Number, [Some("top_p"); 3], REFUSE),
    row(Setting::TopK, Kind::Number, [None, None, Some("top_k")], REFUSE),
    row(Setting::Seed, Kind::Number, [Some("seed"), None, None], REFUSE),
    row(Setting::FrequencyPenalty, Kind::Number, [Some("frequency_penalty"), None, None], ZERO),
    row(Setting::PresencePenalty, Kind::Number, [Some("presence_penalty"), None, None], ZERO),
    row(Setting::LogitBias, Kind::Object, [Some("logit_bias"), None, None], Otherwise::RefuseBut(&["{}"])),
    row(Setting::Metadata, Kind::Object, [Some("metadata"), Some("metadata"), None], Otherwise::Ignore),
    row(Setting::User, Kind::Text, [Some("user"), Some("user"), Some("metadata.user_id")], REFUSE),
    row(
        Setting::SafetyIdentifier,
        Kind::Text,
        [Some("safety_identifier"), Some("safety_identifier"), None],
        Otherwise::Ignore,
    ),
    row(Setting::Store, Kind::Flag, [Some("store"), Some("store"), None], Otherwise::RefuseBut(&["false"])),
    row(
        Setting::ServiceTier,
        Kind::Text,
        [Some("service_tier"), Some("service_tier"), None],
        Otherwise::RefuseBut(&["\"auto\"", "\"default\""]),
    ),
    row(Setting::CacheKey, Kind::Text, [Some("prompt_cache_key"), Some("prompt_cache_key"), None], Otherwise::Ignore),
    row(
        Setting::CacheRetention,
        Kind::Text,
        [Some("prompt_cache_retention"), Some("prompt_cache_retention"), None],
        Otherwise::Ignore,
    ),
    row(
        Setting::Verbosity,
        Kind::Text,
        [Some("verbosity"), Some("text.verbosity"), None],
        Otherwise::RefuseBut(&["\"medium\""]),
    ),
];

impl Row {
    fn name(&self, dialect: Dialect) -> Option<&'static str> {
        let [chat, responses, messages] = self.names;
        match dialect {
            Dialect::Chat => chat,
            Dialect::Responses => responses,
            Dialect::Messages => messages,
        }
    }
}

/// The settings of a request.
#[derive(Default)]
pub(crate) struct Settings {
    found: Vec<(Setting, Json<'static>)>,
}

impl Settings {
    /// Takes the settings out of a request. Names with a dot are left to the dialect's reader.
    pub(crate) fn read(fields: &mut Fields<'_>, dialect: Dialect) -> Outcome<Self> {
        let mut settings = Self::default();
        for row in &TABLE {
            let Some(name) = row.name(dialect).filter(|name| !name.contains('.')) else { continue };
            let value = match row.kind {
                Kind::Number => fields.number(name)?,
                Kind::Text => fields.text(name)?.map(Json::text),
                Kind::Flag => fields.flag(name)?.map(Json::Bool),
                Kind::Object => match fields.take(name) {
                    Some(value @ Json::Object(_)) => Some(value.into_owned()),
                    Some(other) => return Err(fields.kind(name, &other, "an object")),
                    None => None,
                },
            };
            settings.found.extend(value.map(|value| (row.setting, value)));
        }
        Ok(settings)
    }

    pub(crate) fn get(&self, setting: Setting) -> Option<&Json<'static>> {
        self.found.iter().find(|(found, _)| *found == setting).map(|(_, value)| value)
    }

    pub(crate) fn add(&mut self, setting: Setting, value: Option<Json<'static>>) {
        self.found.extend(value.map(|value| (setting, value)));
    }

    /// Writes the settings into a request. Names with a dot are left to the dialect's writer.
    pub(crate) fn write(&self, source: Dialect, target: Dialect, request: &mut Json<'static>) -> Outcome<()> {
        for (setting, value) in &self.found {
            let Some(row) = TABLE.iter().find(|row| row.setting == *setting) else { continue };
            // Chat stores nothing if nothing is said, and some of its providers do not know the field.
            let said_anyway = target == Dialect::Chat && (*setting, value) == (Setting::Store, &Json::Bool(false));
            match (row.name(target), &row.otherwise) {
                (Some(name), _) if name.contains('.') || said_anyway => {}
                (Some(name), _) => request.set(name, value.clone()),
                (None, Otherwise::Ignore) => {}
                (None, Otherwise::RefuseBut(harmless)) => {
                    if !harmless.contains(&value.to_string().as_str()) {
                        let path = row.name(source).unwrap_or("a setting").to_owned();
                        let why = "the provider's dialect has no such setting; leave it out, or choose another model";
                        return Err(FieldError::Refused { path, why });
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_setting_with_a_name_somewhere() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.setting as usize, at, "in the order of the enum");
            assert!(row.names.iter().any(Option::is_some));
        }
    }
}
