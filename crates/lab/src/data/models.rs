//! Reading `models.json`: a list of models with their prices, or OpenRouter's list of models.

use super::DataError;
use super::format::{HINT, MAX_MODELS, Purpose};
use super::lines::MAX_FILE_BYTES;
use super::text::{Text, not_json};
use blindroute_routing::bundle::Model;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

/// The unit of OpenRouter's prices as used here: only prompt tokens, because the length of an answer is not known in advance.
const OPEN_ROUTER_UNIT: &str = "USD per 1M prompt tokens";
const SHAPE: &str = "it must be a list of objects with name, cost and cost_unit, or OpenRouter's {\"data\": […]} with id and \
                     pricing.prompt";

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(deserialize_with = "price")]
    cost: f64,
    #[serde(default)]
    cost_unit: String,
}

/// OpenRouter's list of models.
#[derive(Deserialize)]
struct ModelList {
    data: Vec<Offer>,
}

#[derive(Deserialize)]
struct Offer {
    id: String,
    pricing: Pricing,
}

#[derive(Deserialize)]
struct Pricing {
    /// USD per token.
    #[serde(deserialize_with = "price")]
    prompt: f64,
}

/// The models of `models.json`.
pub(super) struct Models {
    pub(super) models: Vec<Model>,
    /// Whether they are a provider's whole list. Then models without a column are not in the pool.
    pub(super) is_whole_list: bool,
}

impl Models {
    pub(super) fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = Text::read(path, MAX_FILE_BYTES, HINT)?;
        let wrong = |problem: String| DataError::File { path: path.to_owned(), problem };
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
            // A list is correct here, so its first bracket is not reported.
            let problem = not_json(bytes.trim_ascii_start().strip_prefix(b"[").unwrap_or(&bytes), "");
            wrong(if problem.is_empty() { format!("{error}; {SHAPE}") } else { format!("it {problem}") })
        })?;
        let shape = |error: serde_json::Error| wrong(format!("{error}; {SHAPE}"));
        if value.get("data").is_some() {
            let ModelList { data } = serde_json::from_value(value).map_err(shape)?;
            let model = |offer: Offer| Model {
                name: offer.id,
                // 0.0000025 USD per token is 2.5 USD per million, not 2.4999999999999996.
                price: (offer.pricing.prompt * 1e12).round() / 1e6,
                unit: OPEN_ROUTER_UNIT.to_owned(),
            };
            return Ok(Self { models: data.into_iter().map(model).collect(), is_whole_list: true });
        }
        let entries: Vec<Entry> = serde_json::from_value(value).map_err(shape)?;
        let model = |entry: Entry| Model { name: entry.name, price: entry.cost, unit: entry.cost_unit };
        Ok(Self { models: entries.into_iter().map(model).collect(), is_whole_list: false })
    }

    /// The pool. Of a provider's whole list, these are the models that the table has a column for.
    pub(super) fn pool(
        self,
        path: &Path,
        columns: &csv::StringRecord,
        purpose: Purpose,
    ) -> Result<Vec<Model>, DataError> {
        let Self { mut models, is_whole_list } = self;
        if is_whole_list {
            models.retain(|model| columns.iter().any(|column| column == model.name));
        }
        check(&models, purpose).map_err(|problem| DataError::File { path: path.to_owned(), problem })?;
        Ok(models)
    }
}

/// Checks a pool.
pub(super) fn check(models: &[Model], purpose: Purpose) -> Result<(), String> {
    if models.is_empty() || (models.len() < 2 && purpose == Purpose::Training) {
        return Err(format!("it has {} models, expected at least two; add models", models.len()));
    }
    if models.len() > MAX_MODELS {
        return Err(format!("it has {} models, expected at most {MAX_MODELS}; remove some", models.len()));
    }
    let mut seen = HashSet::new();
    for (index, Model { name, price, unit }) in models.iter().enumerate() {
        let number = index + 1;
        Model::check_name(name).map_err(|problem| format!("the name of model {number} {problem}"))?;
        Model::check_unit(unit).map_err(|problem| format!("the cost_unit of model {number} {problem}"))?;
        if !seen.insert(name) {
            return Err(format!("the model {name:?} appears twice; give each its own name"));
        }
        if !(price.is_finite() && *price >= 0.0) {
            return Err(format!("the cost of {name:?} is {price}, expected a number of at least 0"));
        }
    }
    Ok(())
}

/// A number, or text that is a number, as in some price lists.
fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Price {
        Number(f64),
        Text(String),
    }
    match Price::deserialize(deserializer) {
        Ok(Price::Number(number)) => Ok(number),
        Ok(Price::Text(text)) => {
            text.trim().parse().map_err(|_| D::Error::custom("invalid type: a price that is text but not a number"))
        }
        Err(_) => Err(D::Error::custom("invalid type: a price that is not a number")),
    }
}

/// A warning if the prices of a pool are in several units.
pub fn units_warning(models: &[Model]) -> Option<String> {
    let mut units: Vec<&str> = models.iter().map(|model| model.unit.as_str()).collect();
    units.sort_unstable();
    units.dedup();
    if units.len() < 2 {
        return None;
    }
    let shown: Vec<String> = units.iter().take(4).map(|unit| format!("{unit:?}")).collect();
    let more = if units.len() > shown.len() { ", …" } else { "" };
    Some(format!(
        "the models' prices are in {} units ({}{more}): their costs cannot be compared, and routers need that; convert all \
         to one unit",
        units.len(),
        shown.join(", ")
    ))
}
