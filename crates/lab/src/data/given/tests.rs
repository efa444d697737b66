use super::*;
use blindroute_testkit::shared_data;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::fs;

fn model(name: &str, price: f64) -> Model {
    Model { name: name.to_owned(), price, unit: "USD per 1M tokens".to_owned() }
}

fn prompt(id: &str, text: &str, split: Split) -> Prompt {
    Prompt { id: id.to_owned(), text: text.to_owned(), source: "made up".to_owned(), split }
}

/// A small set that is accepted.
fn parts() -> (Vec<Model>, Vec<Prompt>, Matrix) {
    let prompts = Split::ALL.map(|split| prompt(&split.to_string(), "secret", split));
    let scores = Matrix::from_fn(3, 2, |row, model| if row == 0 && model == 0 { 0.25 } else { 1.0 });
    (vec![model("a", 1.0), model("b", 2.5)], prompts.to_vec(), scores)
}

/// A change of the models, prompts, scores and costs.
type Change<'a> = dyn Fn(&mut Vec<Model>, &mut Vec<Prompt>, &mut Matrix, &mut Matrix) + 'a;

#[test]
fn what_a_folder_may_not_hold_is_refused_here_too() {
    let (models, prompts, scores) = parts();
    let costs = Matrix::from_fn(3, 2, |_, _| 0.5);
    assert!(Dataset::new(models.clone(), prompts.clone(), scores.clone(), Some(costs.clone())).is_ok());
    let with = |change: &Change<'_>| {
        let (mut models, mut prompts, mut scores, mut costs) =
            (models.clone(), prompts.clone(), scores.clone(), costs.clone());
        change(&mut models, &mut prompts, &mut scores, &mut costs);
        let error = Dataset::new(models, prompts, scores, Some(costs)).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        error
    };
    let with_cell = |row: usize, value: f32| {
        let score = move |at: usize, model: usize| if at == row && model == 1 { value } else { 0.5 };
        Matrix::from_fn(3, 2, score)
    };
    let cases = [
        (with(&|models, _, _, _| models.truncate(1)), "the list of models: it has 1 models, expected at least two"),
        (with(&|models, _, _, _| models[0].price = -1.0), "the cost of \"a\" is -1"),
        (with(&|models, _, _, _| models[0].name = "b".to_owned()), "\"b\" appears twice"),
        (
            with(&|_, prompts, _, _| prompts[1].text = " \n".to_owned()),
            "the list of prompts: prompt 1 (counted from 0) is blank",
        ),
        (
            with(&|_, prompts, _, _| prompts[2].id = "train".to_owned()),
            "prompts 0 and 2 (counted from 0) have the same id \"train\"",
        ),
        (with(&|_, prompts, _, _| prompts[2].split = Split::Valid), "the split test has no prompt"),
        (with(&|_, prompts, _, _| prompts.truncate(2)), "the split test has no prompt"),
        (
            with(&|_, _, scores, _| *scores = Matrix::from_fn(2, 2, |_, _| 1.0)),
            "the table of scores: it has 2 rows and 2 columns, expected one row for each of 3 prompts",
        ),
        (
            with(&|_, _, scores, _| *scores = with_cell(2, 1.5)),
            "the score of \"b\" on prompt 2 (counted from 0) is 1.5, expected a number from 0 to 1",
        ),
        (
            with(&|_, _, scores, _| *scores = with_cell(0, f32::NAN)),
            "the score of \"b\" on prompt 0 (counted from 0) is NaN",
        ),
        (
            with(&|_, _, scores, _| *scores = Matrix::from_fn(3, 2, |_, _| 1.0)),
            "every model scores the same on every prompt of the split train",
        ),
        (with(&|_, _, _, costs| *costs = with_cell(1, -0.5)), "the table of costs: the cost of \"b\" on prompt 1"),
        (with(&|_, _, _, costs| *costs = with_cell(1, f32::INFINITY)), "is inf, expected a number of at least 0"),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found}\nexpected: {expected}");
    }
}

/// A set with hostile texts and numbers of all sizes.
fn random(seed: u64) -> Dataset {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let mut below = move |most: u32| draws.next_u32() % most;
    let pieces =
        ["a", "\"", ",", "\n", "\r\n", "\\", "é", "\u{1f980}", "\u{feff}", "'", ";", "\t", "word ", "{\"x\": 1}", "\0"];
    let count = 3 + below(40) as usize;
    let prompts: Vec<Prompt> = (0..count)
        .map(|place| {
            let mut text = |least: u32| (0..least + below(6)).map(|_| pieces[below(15) as usize]).collect::<String>();
            Prompt {
                id: format!("{}{place}", text(0)),
                text: format!("p{}", text(1)),
                source: text(0),
                split: Split::ALL[place % 3],
            }
        })
        .collect();
    let models: Vec<Model> = (0..2 + below(4))
        .map(|place| {
            // All prices of 53 bits and several sizes.
            let price = f64::from(below(u32::MAX)) * f64::from(below(u32::MAX)) / f64::from(1 + below(1 << 20)) / 1e9;
            Model { name: format!("model, \"{place}\""), price, unit: ["", "USD"][place as usize % 2].to_owned() }
        })
        .collect();
    let mut cell = |most: u32| match below(4) {
        0 => 0.0,
        1 => 1.0,
        _ => below(most) as f32 / 16_777_216.0,
    };
    let mut scores: Vec<f32> = (0..count * models.len()).map(|_| cell(1 << 24)).collect();
    // The first prompt is in train.
    (scores[0], scores[1]) = (0.0, 1.0);
    let costs: Vec<f32> = (0..count * models.len()).map(|_| cell(u32::MAX)).collect();
    let matrix = |cells| Matrix::new(count, models.len(), cells).unwrap();
    let (scores, costs) = (matrix(scores), seed.is_multiple_of(2).then(|| matrix(costs)));
    Dataset::new(models, prompts, scores, costs).unwrap()
}

fn assert_same(found: &Dataset, expected: &Dataset) {
    assert_eq!(found.models(), expected.models());
    assert!(found.prompts() == expected.prompts());
    assert_eq!(found.scores(), expected.scores());
    assert_eq!(found.query_costs(), expected.query_costs());
}

#[test]
fn what_is_saved_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..200 {
        let path = folder.path().join(seed.to_string());
        let set = random(seed);
        set.save(&path).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_same(&Dataset::load(&path).unwrap(), &set);
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set");
    let set = random(0);
    set.save(&path).unwrap();
    let before = fs::read(path.join("outcomes.csv")).unwrap();
    let error = random(1).save(&path).unwrap_err().to_string();
    assert!(error.contains("already exists and is not empty"), "{error}");
    assert_eq!(fs::read(path.join("outcomes.csv")).unwrap(), before);
    let (mut models, prompts, scores) = parts();
    models[0].name = "id".to_owned();
    let error = Dataset::new(models, prompts, scores, None).unwrap().save(&folder.path().join("other")).unwrap_err();
    assert!(error.to_string().contains("two columns \"id\""), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_check_in_memory_says_what_a_check_of_the_folder_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set");
    let set = random(4);
    set.save(&path).unwrap();
    assert_eq!(set.check(&[]), super::super::check(&path, &[]).unwrap());
}

#[test]
fn real_data_are_saved_unchanged() {
    let Some(data) = shared_data() else { return };
    let sets = fs::read_dir(data.join("routing")).unwrap().map(|entry| entry.unwrap().path());
    let mut saved = 0;
    for path in sets.filter(|path| path.join("models.json").is_file()) {
        let folder = tempfile::tempdir().unwrap();
        let set = Dataset::load(&path).unwrap();
        set.save(&folder.path().join("set")).unwrap();
        assert_same(&Dataset::load(&folder.path().join("set")).unwrap(), &set);
        saved += 1;
    }
    assert!(saved > 0);
}
