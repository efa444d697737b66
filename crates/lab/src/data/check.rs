//! Checking a data set before training: missing scores, repeated prompts, and models that no router needs.
//!
//! Counts, missing scores and repetitions are of the whole set. Statements about the models' scores are of the train split only, so
//! that nobody chooses a pool with the split for the report.

use super::format::Purpose;
use super::models::units_warning;
use super::read::Contents;
use super::text_digest::text_digest;
use super::{DataError, Dataset, Reading, Split};
use blindroute_routing::tokenizer::Tokenizer;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

#[cfg(test)]
mod tests;

/// The maximum number of listed groups of repeated prompts, and of listed models in a warning.
const LISTED: usize = 10;

/// The result of [`check`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The number of prompts.
    pub prompts: usize,
    /// The number of prompts per split.
    pub splits: PerSplit,
    /// The number of prompts per source and split.
    pub sources: BTreeMap<String, PerSplit>,
    /// The models, in the order of `models.json`.
    pub models: Vec<ModelCheck>,
    /// If there are costs per query, the number of missing ones.
    pub query_costs: Option<Missing>,
    /// The number of prompts without text.
    pub blank: usize,
    /// Prompts whose text occurs more than once, whatever their splits.
    pub repeated: Repeated,
    /// Those of them whose text occurs in more than one split, which makes results too good.
    pub across_splits: Repeated,
    /// Train prompts on which all models have the same score, from which a router learns nothing.
    pub undecided: Undecided,
    /// How encoders read the prompts, in the order in which their tokenizers were given.
    pub readings: Vec<Reading>,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
}

/// A count for each split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PerSplit {
    /// In train.
    pub train: usize,
    /// In valid.
    pub valid: usize,
    /// In test.
    pub test: usize,
}

impl PerSplit {
    pub(super) fn of(&mut self, split: Split) -> &mut usize {
        match split {
            Split::Train => &mut self.train,
            Split::Valid => &mut self.valid,
            Split::Test => &mut self.test,
        }
    }
}

/// Missing cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The number of missing cells.
    pub missing: usize,
}

/// The check of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelCheck {
    /// Its name.
    pub name: String,
    /// Its price.
    pub cost: f64,
    /// The unit of the price.
    pub cost_unit: String,
    /// The number of its missing scores, in all splits.
    pub missing: usize,
    /// Its mean score on train; none if it has no score there.
    pub mean_score: Option<f64>,
    /// The number of train prompts on which it is the cheapest of the best-scoring models. On ties all of them count.
    pub wins: usize,
    /// Whether all its scores on train are equal.
    pub constant: bool,
    /// A model that costs no more, has at least the same mean score, and is better in one of the two.
    pub dominated_by: Option<String>,
}

/// Prompts whose text occurs more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// The number of texts.
    pub texts: usize,
    /// The number of prompts with one of these texts.
    pub prompts: usize,
    /// The prompts of the first groups.
    pub groups: Vec<Vec<PromptRef>>,
}

/// A prompt by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptRef {
    /// Its id.
    pub id: String,
    /// Its split.
    pub split: String,
}

/// Prompts on which all models have the same score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Undecided {
    /// The number of such prompts.
    pub prompts: usize,
    /// Their share of the prompts without missing scores.
    pub share: f64,
}

/// Reads and checks a data set in the native format. Scores may be missing and splits may be empty. Files that cannot be read are an
/// error. Prompts are counted as each of the tokenizers reads them; the first is the one that warnings are about.
pub fn check(folder: &Path, tokenizers: &[Tokenizer]) -> Result<Check, DataError> {
    Ok(check_contents(&Contents::read(folder, Purpose::Check)?, tokenizers))
}

impl Dataset {
    /// What [`check()`] says of a folder, for a set in memory.
    pub fn check(&self, tokenizers: &[Tokenizer]) -> Check {
        let contents = Contents {
            models: self.models.clone(),
            prompts: self.prompts.clone(),
            scores: self.scores.data().to_vec(),
            query_costs: self.query_costs.as_ref().map(|costs| costs.data().to_vec()),
        };
        check_contents(&contents, tokenizers)
    }
}

fn check_contents(contents: &Contents, tokenizers: &[Tokenizer]) -> Check {
    let mut splits = PerSplit::default();
    let mut sources: BTreeMap<String, PerSplit> = BTreeMap::new();
    for prompt in &contents.prompts {
        *splits.of(prompt.split) += 1;
        *sources.entry(prompt.source.clone()).or_default().of(prompt.split) += 1;
    }
    let gaps = |cells: &Vec<f32>| Missing { missing: cells.iter().filter(|cell| cell.is_nan()).count() };
    let (models, undecided) = models(contents);
    let (repeated, across_splits) = repetitions(contents);
    let texts: Vec<&str> = contents.prompts.iter().map(|prompt| prompt.text.as_str()).collect();
    let mut check = Check {
        prompts: contents.prompts.len(),
        splits,
        sources,
        models,
        query_costs: contents.query_costs.as_ref().map(gaps),
        blank: contents.prompts.iter().filter(|prompt| prompt.text.trim().is_empty()).count(),
        repeated,
        across_splits,
        undecided,
        readings: tokenizers.iter().map(|tokenizer| Reading::of(tokenizer, &texts)).collect(),
        warnings: Vec::new(),
    };
    check.warnings = warnings(&check, units_warning(&contents.models));
    check
}

/// The check of each model, and the undecided prompts of train.
fn models(contents: &Contents) -> (Vec<ModelCheck>, Undecided) {
    let count = contents.models.len();
    let rows = || contents.scores.chunks_exact(count).zip(&contents.prompts);
    let train: Vec<&[f32]> = rows().filter(|(_, prompt)| prompt.split == Split::Train).map(|(row, _)| row).collect();
    // Rows with missing scores are left out: the missing score might be the best one.
    let complete: Vec<&[f32]> = train.iter().filter(|row| row.iter().all(|score| !score.is_nan())).copied().collect();
    let mut models: Vec<ModelCheck> = (contents.models.iter().enumerate())
        .map(|(index, model)| {
            let scores = || train.iter().map(|row| row[index]).filter(|score| !score.is_nan());
            let known = scores().count();
            ModelCheck {
                name: model.name.clone(),
                cost: model.price,
                cost_unit: model.unit.clone(),
                missing: rows().filter(|(row, _)| row[index].is_nan()).count(),
                mean_score: (known > 0).then(|| scores().map(f64::from).sum::<f64>() / known as f64),
                wins: 0,
                constant: known > 1 && scores().all(|score| Some(score) == scores().next()),
                dominated_by: None,
            }
        })
        .collect();
    for row in &complete {
        let best = row.iter().copied().fold(0.0, f32::max);
        let prices = || (0..count).filter(|model| row[*model] == best).map(|model| contents.models[model].price);
        let cheapest = prices().fold(f64::INFINITY, f64::min);
        for model in 0..count {
            if row[model] == best && contents.models[model].price == cheapest {
                models[model].wins += 1;
            }
        }
    }
    for model in 0..count {
        models[model].dominated_by = dominating(&models, &models[model]).map(|other| other.name.clone());
    }
    let same = complete.iter().filter(|row| row.iter().all(|score| score == &row[0])).count();
    let share = if complete.is_empty() { 0.0 } else { same as f64 / complete.len() as f64 };
    (models, Undecided { prompts: same, share })
}

/// The best-scoring model that dominates this one, on ties the cheapest.
fn dominating<'a>(models: &'a [ModelCheck], model: &ModelCheck) -> Option<&'a ModelCheck> {
    let mean = model.mean_score?;
    let better = models.iter().filter(|other| {
        other.mean_score.is_some_and(|theirs| {
            other.cost <= model.cost && theirs >= mean && (other.cost < model.cost || theirs > mean)
        })
    });
    better.max_by(|left, right| {
        let by_score = left.mean_score.partial_cmp(&right.mean_score).unwrap_or(std::cmp::Ordering::Equal);
        by_score.then(right.cost.total_cmp(&left.cost))
    })
}

/// Texts that occur more than once, and those of them that occur in several splits, in file order.
fn repetitions(contents: &Contents) -> (Repeated, Repeated) {
    let mut places: HashMap<[u8; 32], usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, prompt) in contents.prompts.iter().enumerate() {
        let group = *places.entry(text_digest(&prompt.text, 0)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    let (mut all, mut across) = (Repeated::default(), Repeated::default());
    for group in groups.iter().filter(|group| group.len() > 1) {
        all.add(group, contents);
        let split = contents.prompts[group[0]].split;
        if group.iter().any(|place| contents.prompts[*place].split != split) {
            across.add(group, contents);
        }
    }
    (all, across)
}

impl Repeated {
    fn add(&mut self, group: &[usize], contents: &Contents) {
        self.texts += 1;
        self.prompts += group.len();
        if self.groups.len() < LISTED {
            let reference = |place: &usize| {
                let prompt = &contents.prompts[*place];
                PromptRef { id: prompt.id.clone(), split: prompt.split.to_string() }
            };
            self.groups.push(group.iter().map(reference).collect());
        }
    }
}

fn warnings(check: &Check, units: Option<String>) -> Vec<String> {
    let mut warnings = Vec::new();
    let counts =
        [(Split::Train, check.splits.train), (Split::Valid, check.splits.valid), (Split::Test, check.splits.test)];
    for (split, _) in counts.iter().filter(|(_, count)| *count == 0) {
        warnings.push(format!("the split {split} has no prompt: training rejects the set; assign some to it"));
    }
    if check.models.len() < 2 {
        warnings.push("there are fewer than two models: training rejects the set".to_owned());
    }
    let missing: usize = check.models.iter().map(|model| model.missing).sum();
    if missing > 0 {
        warnings.push(format!(
            "{missing} scores are missing: training rejects the set; add them, or remove their prompts or models"
        ));
    }
    if let Some(Missing { missing: missing @ 1.. }) = check.query_costs {
        warnings.push(format!(
            "{missing} costs per query are missing: training rejects the set; add them or remove costs.csv"
        ));
    }
    if check.blank > 0 {
        warnings.push(format!("{} prompts have no text; remove them", check.blank));
    }
    if check.across_splits.texts > 0 {
        warnings.push(format!(
            "{} texts occur in more than one split ({} prompts): results on them are too good; move all copies to one split",
            check.across_splits.texts, check.across_splits.prompts
        ));
    }
    warnings.extend(check.readings.first().into_iter().flat_map(Reading::warnings));
    warnings.extend(units);
    let name = |models: &[&ModelCheck]| {
        let names: Vec<&str> = models.iter().take(LISTED).map(|model| model.name.as_str()).collect();
        names.join(", ") + if models.len() > LISTED { ", …" } else { "" }
    };
    let those = |which: &dyn Fn(&&ModelCheck) -> bool| check.models.iter().filter(which).collect::<Vec<_>>();
    let groups = [
        ("score the same on every train prompt", those(&|model| model.constant)),
        (
            "are dominated on train (another model costs no more and scores at least as much); keep them, because they may be \
             the best for some prompts",
            those(&|model| model.dominated_by.is_some()),
        ),
        (
            "are never the cheapest of the best-scoring models on train",
            those(&|model| model.mean_score.is_some() && model.wins == 0),
        ),
        (
            "are the cheapest of the best-scoring models on every train prompt, so there is nothing to choose",
            those(&|model| check.splits.train > 0 && model.wins == check.splits.train),
        ),
    ];
    for (what, models) in groups {
        if !models.is_empty() {
            warnings.push(format!("{} of {} models {what}: {}", models.len(), check.models.len(), name(&models)));
        }
    }
    warnings
}
