//! A router that knows a prompt's source and nothing else: what a data set teaches without its prompts.
//!
//! For each source it has the models' mean scores, and takes the largest mean − λ·cost. A set whose prompts matter lets a
//! router do better than this one.

use super::{Curve, Group, Outcomes, Point, Run, hull_area, lambdas, oracle, points, run_of_utilities};
use crate::data::{Dataset, Split, TableError};
use serde::Serialize;
use std::collections::BTreeMap;

/// The results of the router that knows only the source, on a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceOnly {
    /// The split.
    pub split: String,
    /// The number of sources whose mean scores it knows.
    pub sources: usize,
    /// Score and cost when cost does not count (λ = 0).
    #[serde(flatten)]
    pub point: Point,
    /// [`hull_area`] over [`lambdas`].
    pub area: f64,
    /// [`hull_area`] of the single models: of choices that know nothing of the prompt.
    pub prompt_free_area: f64,
    /// [`hull_area`] of the choices that know all outcomes.
    pub oracle_area: f64,
}

impl SourceOnly {
    /// Measures on a split. The means are those of train, for results on test those of train and valid.
    pub fn of(dataset: &Dataset, split: Split) -> Result<Self, TableError> {
        let known = Known::of(dataset, split);
        known.measure(dataset, split.to_string(), &dataset.places(split), &known.run(dataset, split))
    }

    /// Measures on the train and valid splits together, where each prompt is left out of its source's means: what a router's
    /// cross-validation on the same prompts can be compared with.
    pub fn left_one_out(dataset: &Dataset) -> Result<Self, TableError> {
        let places = [dataset.places(Split::Train), dataset.places(Split::Valid)].concat();
        let known = Known::of(dataset, Split::Test);
        let utilities: Vec<Vec<f32>> = places.iter().map(|place| known.means_without(dataset, *place)).collect();
        let run = run_of_utilities(&utilities, &dataset.relative_costs(), &lambdas());
        known.measure(dataset, "train and valid".to_owned(), &places, &run)
    }

    /// The row of an evaluation.
    pub fn curve(dataset: &Dataset, split: Split) -> Curve {
        Curve {
            name: "source only".to_owned(),
            group: Group::Baseline,
            lambda: None,
            runs: vec![Known::of(dataset, split).run(dataset, split)],
        }
    }

    /// A sentence without its end.
    pub fn describe(&self) -> String {
        format!(
            "area on {}: {:.4} for a router that knows only a prompt's source, {:.4} for one that knows nothing of it, \
             {:.4} for the oracle",
            self.split, self.area, self.prompt_free_area, self.oracle_area
        )
    }
}

/// The scores that it has seen.
struct Known<'a> {
    overall: Sums,
    sources: BTreeMap<&'a str, Sums>,
}

impl<'a> Known<'a> {
    /// What may be known for choices on a split.
    fn of(dataset: &'a Dataset, split: Split) -> Self {
        let known = |of: Split| of == Split::Train || (split == Split::Test && of == Split::Valid);
        let models = dataset.models().len();
        let mut found = Self { overall: Sums::new(models), sources: BTreeMap::new() };
        for (prompt, scores) in dataset.prompts().iter().zip(dataset.scores().iter_rows()) {
            if known(prompt.split) {
                found.overall.add(scores);
                found.sources.entry(&prompt.source).or_insert_with(|| Sums::new(models)).add(scores);
            }
        }
        found
    }

    /// The results of a run on these prompts.
    fn measure(&self, dataset: &Dataset, split: String, places: &[usize], run: &Run) -> Result<SourceOnly, TableError> {
        let outcomes = Outcomes::of_dataset(dataset, places)?;
        let found = points(run, &outcomes);
        Ok(SourceOnly {
            split,
            sources: self.sources.len(),
            point: found[0],
            area: hull_area(&found),
            prompt_free_area: hull_area(&outcomes.singles(None)),
            oracle_area: hull_area(&points(&oracle(&outcomes, &lambdas()), &outcomes)),
        })
    }

    /// The mean scores of a prompt's source without this prompt; if it is the only one, the overall means without it.
    fn means_without(&self, dataset: &Dataset, place: usize) -> Vec<f32> {
        let own = dataset.scores().row(place);
        let source = self.sources.get(dataset.prompts()[place].source.as_str());
        source.filter(|source| source.prompts > 1).unwrap_or(&self.overall).without(own)
    }

    /// The choices on a split. Of a source that was never seen, the overall means are taken.
    fn run(&self, dataset: &Dataset, split: Split) -> Run {
        let means = |place: usize| {
            let source = dataset.prompts()[place].source.as_str();
            self.sources.get(source).unwrap_or(&self.overall).means()
        };
        let utilities: Vec<Vec<f32>> = dataset.places(split).into_iter().map(means).collect();
        run_of_utilities(&utilities, &dataset.relative_costs(), &lambdas())
    }
}

/// Sums of scores per model.
struct Sums {
    prompts: usize,
    scores: Vec<f64>,
}

impl Sums {
    fn new(models: usize) -> Self {
        Self { prompts: 0, scores: vec![0.0; models] }
    }

    fn add(&mut self, scores: &[f32]) {
        self.prompts += 1;
        self.scores.iter_mut().zip(scores).for_each(|(sum, score)| *sum += f64::from(*score));
    }

    fn without(&self, scores: &[f32]) -> Vec<f32> {
        let rest = self.scores.iter().zip(scores).map(|(sum, score)| sum - f64::from(*score));
        Self { prompts: self.prompts.saturating_sub(1), scores: rest.collect() }.means()
    }

    fn means(&self) -> Vec<f32> {
        self.scores.iter().map(|sum| (sum / self.prompts.max(1) as f64) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Prompt;
    use blindroute_routing::bundle::{Matrix, Model};

    /// Two models, of relative cost 0.5 and 1. Each row: split, source, scores.
    fn dataset(rows: &[(Split, &str, [f32; 2])]) -> Dataset {
        let model = |name: &str, price| Model { name: name.to_owned(), price, unit: String::new() };
        let prompt = |(place, (split, source, _)): (usize, &(Split, &str, [f32; 2]))| Prompt {
            id: place.to_string(),
            text: "a".to_owned(),
            source: (*source).to_owned(),
            split: *split,
        };
        Dataset {
            models: vec![model("small", 1.0), model("large", 2.0)],
            prompts: rows.iter().enumerate().map(prompt).collect(),
            scores: Matrix::from_fn(rows.len(), 2, |row, column| rows[row].2[column]),
            query_costs: None,
        }
    }

    fn choices(dataset: &Dataset, split: Split, lambda: f32) -> Vec<usize> {
        let Run::Choices(all) = Known::of(dataset, split).run(dataset, split) else { panic!("a run of choices") };
        let near = |at: f32| (at - lambda).abs() <= 1e-6;
        all.iter().find(|choices| near(choices.lambda)).unwrap().models.clone()
    }

    #[test]
    fn means_per_source_by_hand() {
        let rows = [
            (Split::Train, "law", [1.0, 0.0]),
            (Split::Train, "law", [1.0, 1.0]),
            (Split::Train, "art", [0.0, 1.0]),
            (Split::Valid, "law", [0.0, 1.0]),
            (Split::Valid, "law", [0.0, 1.0]),
            (Split::Valid, "art", [1.0, 1.0]),
            (Split::Valid, "sea", [0.0, 1.0]),
            (Split::Test, "law", [1.0, 0.0]),
            (Split::Test, "sea", [0.0, 1.0]),
        ];
        let set = dataset(&rows);
        // From train alone: law 1 and 0.5, art 0 and 1, and for the unseen source overall 2/3 and 2/3, where the cheaper wins.
        assert_eq!(choices(&set, Split::Valid, 0.0), [0, 0, 1, 0]);
        // The large model of art is worth 1 − λ, the small one −λ/2.
        assert_eq!(choices(&set, Split::Valid, 10.0), [0, 0, 0, 0]);
        let found = SourceOnly::of(&set, Split::Valid).unwrap();
        assert_eq!(found.point, Point { score: 0.25, cost: (3.0 * 0.5 + 1.0) / 4.0 });
        // The point at λ = 0 is (0.625, 0.25), and the small model for all is (0.5, 0.25): a line from the origin, then level.
        assert!((found.area - (0.5 * 0.25 / 2.0 + 0.5 * 0.25)).abs() < 1e-12, "{found:?}");
        // The small model alone is (0.5, 0.25), the large one (1, 1).
        assert!((found.prompt_free_area - 0.5).abs() < 1e-12, "{found:?}");
        // It can pay half and get 0.25, or 0.875 and get 1.
        let oracle = 0.875 * 1.0 / 2.0 + 0.125 * 1.0;
        assert!((found.oracle_area - oracle).abs() < 1e-12, "{found:?}");
        // From train and valid: law 0.5 and 0.75, sea 0 and 1.
        assert_eq!(choices(&set, Split::Test, 0.0), [1, 1]);
        assert_eq!(choices(&set, Split::Train, 0.0), [0, 0, 1]);
        // Each prompt is left out. Law has sums of 2 and 3: its prompts go to the large, the large, and twice, on a tie, to the
        // small model. Art's go to the small on a tie, and to the large; sea is alone and gets the overall sums of 3 and 5.
        let left = SourceOnly::left_one_out(&set).unwrap();
        assert_eq!((left.split.as_str(), left.sources), ("train and valid", 3));
        assert_eq!(left.point.score, (0.0 + 1.0 + 0.0 + 0.0 + 0.0 + 1.0 + 1.0) / 7.0, "{left:?}");
        // Costs of answers change what the choices cost: 2, 0, 4 (the large model) and 2, where the large model's mean is 4.
        let small = [0.0, 0.0, 0.0, 2.0, 0.0, 4.0, 2.0, 0.0, 0.0];
        let costs = Matrix::from_fn(rows.len(), 2, |row, model| if model == 1 { 4.0 } else { small[row] });
        let by_query = SourceOnly::of(&Dataset { query_costs: Some(costs), ..set.clone() }, Split::Valid).unwrap();
        assert_eq!(by_query.point, Point { score: 0.25, cost: 8.0 / 4.0 / 4.0 });
        let text = found.describe();
        let expected =
            "area on valid: 0.1875 for a router that knows only a prompt's source, 0.5000 for one that knows";
        assert!(text.starts_with(expected), "{text}");
    }
}
