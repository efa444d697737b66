//! Prices of models for sets that have none.

use crate::data::DataError;
use crate::data::table::{Table, describe};
use blindroute_routing::bundle::Model;
use std::collections::HashMap;
use std::path::Path;

const MAX_BYTES: u64 = 16 << 20;
const NEEDS: &str = "it needs model_name, cost and cost_unit";
/// The unit of sizes in names.
const BILLIONS: &str = "parameters, billions";

/// The models with prices from a file, or with the sizes in their names. `from` is the published set.
pub(super) fn price(models: Vec<String>, prices: Option<&Path>, from: &Path) -> Result<Vec<Model>, DataError> {
    match prices {
        Some(path) => listed(models, path),
        None => sizes(models, from),
    }
}

fn listed(models: Vec<String>, path: &Path) -> Result<Vec<Model>, DataError> {
    let mut table = Table::open(path, MAX_BYTES, "prices are a CSV file with model_name, cost and cost_unit")?;
    let [name, cost, unit] = ["model_name", "cost", "cost_unit"].map(|column| table.column(column, NEEDS));
    let (name, cost, unit) = (name?, cost?, unit?);
    let mut found: HashMap<String, f64> = HashMap::new();
    let mut common: Option<String> = None;
    while let Some(row) = table.next()? {
        let wrong = |problem: String| DataError::Line { path: path.to_owned(), line: row.line, problem };
        let (model, field, unit) = (row.field(name), row.field(cost), row.field(unit));
        let price = field.trim().parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
        let price = price.ok_or_else(|| {
            wrong(format!("the cost of {model:?} {}, expected a number of at least 0", describe(field)))
        })?;
        Model::check_unit(unit).map_err(|problem| wrong(format!("the cost_unit {problem}")))?;
        let first = common.get_or_insert_with(|| unit.to_owned());
        if first != unit {
            return Err(wrong(format!(
                "the cost_unit is {unit:?}, that of the rows before {first:?}; give all costs in one unit"
            )));
        }
        if found.insert(model.to_owned(), price).is_some() {
            return Err(wrong(format!("{model:?} has two rows; remove one")));
        }
    }
    let unit = common.unwrap_or_default();
    let lacking: Vec<&String> = models.iter().filter(|model| !found.contains_key(*model)).collect();
    if !lacking.is_empty() {
        return Err(table.wrong(format!("the price of {} is missing; add rows", names(&lacking))));
    }
    let model = |name: String| Model { price: found[&name], unit: unit.clone(), name };
    Ok(models.into_iter().map(model).collect())
}

fn sizes(models: Vec<String>, from: &Path) -> Result<Vec<Model>, DataError> {
    let lacking: Vec<&String> = models.iter().filter(|model| billions(model).is_none()).collect();
    if !lacking.is_empty() {
        let problem = format!(
            "it has no prices, and the names of {} do not have exactly one size; name a CSV file with --prices, with the columns \
             model_name, cost and cost_unit and a row for each of the {} models (papers take billions of parameters)",
            names(&lacking),
            models.len()
        );
        return Err(DataError::File { path: from.to_owned(), problem });
    }
    let model = |name: String| Model { price: billions(&name).unwrap_or_default(), unit: BILLIONS.to_owned(), name };
    Ok(models.into_iter().map(model).collect())
}

/// The number of models and the names of the first ones.
fn names(models: &[&String]) -> String {
    let first: Vec<String> = models.iter().take(10).map(|name| format!("{name:?}")).collect();
    let more = if models.len() > first.len() { ", …" } else { "" };
    format!("{} models ({}{more})", models.len(), first.join(", "))
}

/// The size in a model's name, such as 13 in `vicuna-13b-1.1` or 0.126 in `gpt-sw3-126m`. None if there is no size or more than
/// one, or if it is the size of a mixture's experts, such as `8x7B` or `7Bx2`: the whole model is smaller than their sum.
fn billions(name: &str) -> Option<f64> {
    let bytes = name.as_bytes();
    let mut sizes = Vec::new();
    let mut place = 0;
    while place < bytes.len() {
        if !bytes[place].is_ascii_digit() {
            place += 1;
            continue;
        }
        let start = place;
        while place < bytes.len()
            && (bytes[place].is_ascii_digit()
                || (bytes[place] == b'.' && bytes.get(place + 1).is_some_and(u8::is_ascii_digit)))
        {
            place += 1;
        }
        let scale = match bytes.get(place) {
            Some(b'b' | b'B') => 1.0,
            Some(b'm' | b'M') => 0.001,
            _ => continue,
        };
        let expert = start > 1 && matches!(bytes[start - 1], b'x' | b'X') && bytes[start - 2].is_ascii_digit();
        match bytes.get(place + 1) {
            _ if expert => return None,
            Some(b'x' | b'X') => return None,
            Some(next) if next.is_ascii_alphanumeric() => {}
            _ => sizes.extend(name[start..place].parse::<f64>().ok().map(|number| number * scale)),
        }
    }
    sizes.dedup();
    match sizes[..] {
        [size] if size > 0.0 => Some(size),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_names() {
        for (name, size) in [
            ("vicuna-13b-1.1", Some(13.0)),
            ("oasst-sft-4-pythia-12b-epoch-3.5", Some(12.0)),
            ("koala-7B-HF", Some(7.0)),
            ("llama-7b-hf-baize-lora-bf16", Some(7.0)),
            ("EleutherAI/llemma_7b", Some(7.0)),
            ("Qwen/Qwen1.5-0.5B-Chat", Some(0.5)),
            ("open-cabrita3b", Some(3.0)),
            ("gpt-sw3-126m", Some(0.126)),
            ("CausalLM/34b-beta", Some(34.0)),
            ("upstage/SOLAR-10.7B-Instruct-v1.0", Some(10.7)),
            ("7b-of-7b", Some(7.0)),
            ("7b-or-13b", None),
            ("mistralai/Mixtral-8x7B-Instruct-v0.1", None),
            ("zhengr/MixTAO-7Bx2-MoE-v8.1", None),
            ("cloudyu/Mixtral_11Bx2_MoE_19B", None),
            ("bigscience/bloom-7b1", None),
            ("model-4bit", None),
            ("alpaca-native", None),
            ("flan-t5-xxl", None),
            ("model-0b", None),
            ("", None),
            ("7.", None),
            ("模型-7b", Some(7.0)),
        ] {
            assert_eq!(billions(name), size, "{name}");
        }
    }

    #[test]
    fn sizes_in_real_names_are_about_right() {
        let Some(data) = blindroute_testkit::shared_data() else { return };
        let set = crate::data::Dataset::load(&data.join("routing/metabench")).unwrap();
        let sizes: Vec<_> = set.models().iter().filter_map(|model| Some((model, billions(&model.name)?))).collect();
        let wrong: Vec<_> = sizes.iter().filter(|(model, size)| (size / model.price).log2().abs() > 0.5).collect();
        assert!(sizes.len() > 60 && wrong.len() * 20 < sizes.len(), "{} of {}: {wrong:?}", wrong.len(), sizes.len());
    }
}
