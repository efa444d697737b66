//! Each constructor against what it stands for, written out in f64.

use super::table::dot;
use super::*;
use crate::data::synthetic::synthetic_pool;
use crate::evaluation::rule::{choose, utilities};
use blindroute_routing::bundle::{Bundle, Matrix};
use rand_chacha::ChaCha8Rng as Draws;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

fn draws(seed: u64) -> Draws {
    Draws::seed_from_u64(seed)
}

/// From 0 to 1.
fn uniform(draws: &mut Draws) -> f64 {
    f64::from(draws.next_u32()) / f64::from(u32::MAX)
}

fn list(draws: &mut Draws, count: usize, size: f64) -> Vec<f64> {
    (0..count).map(|_| size * (2.0 * uniform(draws) - 1.0)).collect()
}

fn table(draws: &mut Draws, (rows, columns): (usize, usize), size: f64) -> Table {
    Table::new("table", (rows, columns), list(draws, rows * columns, size)).unwrap()
}

fn standard(draws: &mut Draws, width: usize) -> (Standard, impl Fn(&[f64]) -> Vec<f64> + use<>) {
    let (mean, scale) = (list(draws, width, 0.3), (0..width).map(|_| 0.2 + uniform(draws)).collect::<Vec<_>>());
    let made = Standard::new(mean.clone(), scale.clone()).unwrap();
    (made, move |x: &[f64]| x.iter().zip(&mean).zip(&scale).map(|((x, mean), scale)| (x - mean) / scale).collect())
}

fn single(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

fn near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let close = found.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-4);
    assert!(close, "{found:?}, not {expected:?}");
}

#[test]
fn linear_scores_with_and_without_standardised_inputs() {
    let mut draws = draws(1);
    let (weight, bias) = (table(&mut draws, (3, 8), 1.0), list(&mut draws, 3, 1.0));
    let (standard, standardised) = standard(&mut draws, 8);
    let plain = from_linear(weight.clone(), bias.clone(), None).unwrap();
    let folded = from_linear(weight.clone(), bias.clone(), Some(&standard)).unwrap();
    for _ in 0..20 {
        let x = list(&mut draws, 8, 1.0);
        let scores =
            |x: &[f64]| -> Vec<f64> { weight.iter_rows().zip(&bias).map(|(row, bias)| dot(row, x) + bias).collect() };
        near(&utilities(&plain.rule, &single(&x)), &scores(&x));
        near(&utilities(&folded.rule, &single(&x)), &scores(&standardised(&x)));
    }
}

#[test]
fn networks_with_one_and_two_hidden_layers() {
    let mut draws = draws(2);
    for widths in [vec![8, 6, 3], vec![8, 6, 5, 3]] {
        let layers: Vec<Layer> = widths
            .windows(2)
            .map(|pair| (table(&mut draws, (pair[0], pair[1]), 1.0), list(&mut draws, pair[1], 0.5)))
            .collect();
        let (standard, standardised) = standard(&mut draws, 8);
        let rule = from_mlp(layers.clone(), Some(&standard)).unwrap();
        assert_eq!((rule.kind(), rule.inputs(), rule.models()), ("mlp", 8, 3));
        for _ in 0..20 {
            let x = list(&mut draws, 8, 1.0);
            let mut values = standardised(&x);
            for (place, (weight, bias)) in layers.iter().enumerate() {
                let last = place + 1 == layers.len();
                let columns = weight.transposed();
                let sums = columns.iter_rows().zip(bias).map(|(column, bias)| dot(column, &values) + bias);
                values = sums.map(|sum| if last { sum } else { sum.max(0.0) }).collect();
            }
            near(&utilities(&rule.rule, &single(&x)), &values);
        }
    }
    for layers in [vec![], vec![(table(&mut draws, (8, 3), 1.0), vec![0.0; 3])]] {
        let why = from_mlp(layers, None).unwrap_err().to_string();
        assert!(why.contains("unsupported number of hidden layers 0: expected 1 or 2"), "{why}");
    }
}

/// The mean outcomes of the k nearest by their distances, and by how much the k-th is nearer than the next.
fn plain_neighbours(stored: &Table, outcomes: &Table, keep: usize, metric: Metric, x: &[f64]) -> (Vec<f64>, f64) {
    let distance = |row: &[f64]| match metric {
        Metric::Euclidean => row.iter().zip(x).map(|(a, b)| (a - b).powi(2)).sum::<f64>(),
        Metric::Cosine => 1.0 - dot(row, x) / (dot(row, row) * dot(x, x)).sqrt(),
    };
    let distances: Vec<f64> = stored.iter_rows().map(distance).collect();
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    let margin = order.get(keep).map_or(1.0, |&next| distances[next] - distances[order[keep - 1]]);
    let rows: Vec<&[f64]> = outcomes.iter_rows().collect();
    let mean = |model: usize| order[..keep].iter().map(|&at| rows[at][model]).sum::<f64>() / keep as f64;
    ((0..outcomes.columns()).map(mean).collect(), margin)
}

#[test]
fn neighbours_by_distance_and_by_cosine() {
    let mut draws = draws(3);
    let mut checked = 0;
    for (count, keep) in [(2, 1), (30, 5), (30, 30), (200, 10)] {
        for metric in [Metric::Euclidean, Metric::Cosine] {
            for standardise in [false, true] {
                let (stored, outcomes) = (table(&mut draws, (count, 8), 2.0), table(&mut draws, (count, 3), 1.0));
                let (standard, standardised) = standard(&mut draws, 8);
                let standard = standardise.then_some(&standard);
                let rule = from_neighbours(stored.clone(), &outcomes, keep, metric, standard).unwrap();
                for _ in 0..10 {
                    let x = list(&mut draws, 8, 1.0);
                    let seen = if standardise { standardised(&x) } else { x.clone() };
                    let (expected, margin) = plain_neighbours(&stored, &outcomes, keep, metric, &seen);
                    if margin > 1e-5 {
                        checked += 1;
                        near(&utilities(&rule.rule, &single(&x)), &expected);
                    }
                    ranges::check(&rule.rule, &Matrix::new(1, 8, single(&x)).unwrap()).unwrap();
                }
            }
        }
    }
    assert!(checked > 150, "only {checked} cases have a margin");
}

#[test]
fn the_nearest_centroid_of_any_length() {
    let mut draws = draws(4);
    let (centroids, outcomes) = (table(&mut draws, (6, 8), 3.0), table(&mut draws, (6, 3), 1.0));
    let rule = from_kmeans(centroids.clone(), &outcomes, None).unwrap();
    for _ in 0..50 {
        let x = list(&mut draws, 8, 3.0);
        let (expected, margin) = plain_neighbours(&centroids, &outcomes, 1, Metric::Euclidean, &x);
        if margin > 1e-4 {
            near(&utilities(&rule.rule, &single(&x)), &expected);
        }
    }
}

#[test]
fn a_matrix_factorisation_decides_by_its_threshold() {
    let mut draws = draws(5);
    for projects in [true, false] {
        let (width, inputs) = if projects { (5, 8) } else { (8, 8) };
        let tables = Factorisation {
            models: table(&mut draws, (4, width), 2.0),
            projection: projects.then(|| table(&mut draws, (width, inputs), 1.0)),
            classifier: list(&mut draws, width, 1.0),
        };
        // The bundle's models are rows 3 and 1; the second is the strong one.
        let (places, threshold) = ([3, 1], 0.4);
        let rule = from_routellm_mf(&tables, &places, Some((1, threshold))).unwrap();
        let (mut strong, mut weak) = (0, 0);
        for _ in 0..100 {
            let x = list(&mut draws, inputs, 1.0);
            let prompt: Vec<f64> = match &tables.projection {
                Some(projection) => projection.iter_rows().map(|row| dot(row, &x)).collect(),
                None => x.clone(),
            };
            let rows: Vec<&[f64]> = tables.models.iter_rows().collect();
            let logit = |place: usize| -> f64 {
                let row = rows[place];
                let length = dot(row, row).sqrt();
                let product: Vec<f64> = row.iter().zip(&prompt).map(|(a, b)| a / length * b).collect();
                dot(&product, &tables.classifier)
            };
            let win_rate = 1.0 / (1.0 + (logit(3) - logit(1)).exp());
            if (win_rate - threshold).abs() > 1e-4 {
                let is_strong = win_rate >= threshold;
                assert_eq!(choose(&rule.rule, &single(&x), 0.0), usize::from(is_strong), "win rate {win_rate}");
                *(if is_strong { &mut strong } else { &mut weak }) += 1;
            }
        }
        assert!(strong > 3 && weak > 3, "{strong} and {weak}");
        let why = from_routellm_mf(&tables, &[0, 4], None).unwrap_err().to_string();
        assert!(why.contains("unsupported place of a model 4: expected below 4"), "{why}");
        let why = from_routellm_mf(&tables, &[0, 1], Some((1, 1.0))).unwrap_err().to_string();
        assert!(why.contains("threshold holds 1"), "{why}");
    }
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let mut draws = draws(6);
    let why = |result: Result<ForeignRule, ForeignError>| result.unwrap_err().to_string();
    let mut of = |rows, columns| table(&mut draws, (rows, columns), 1.0);
    assert!(why(from_linear(of(3, 8), vec![0.0; 2], None)).contains("the intercept has 2 numbers, expected 3"));
    assert!(why(from_linear(of(1, 8), vec![0.0], None)).contains("number of models 1: expected at least 2"));
    let layers = vec![(of(8, 4), vec![0.0; 4]), (of(5, 3), vec![0.0; 3])];
    assert!(why(from_mlp(layers, None)).contains("the layer is 5 × 3, expected 4 rows"));
    assert!(why(from_kmeans(of(4, 8), &of(5, 3), None)).contains("outcomes is 5 × 3, expected 4 rows"));
    let neighbours = from_neighbours(of(4, 8), &of(4, 3), 5, Metric::Cosine, None);
    assert!(why(neighbours).contains("number of neighbours 5: expected from 1 to 4"));
    let many = from_neighbours(of(5000, 2), &of(5000, 2), 5, Metric::Cosine, None);
    assert!(why(many).contains("number of stored prompts 5000: expected from 2 to 4096"));
    let infinite = Table::new("weight", (1, 2), vec![0.0, f64::INFINITY]);
    assert!(infinite.unwrap_err().to_string().contains("the weight holds inf, expected finite numbers"));
    assert!(Table::new("weight", (usize::MAX, 2), vec![]).is_err());
    assert!(Standard::new(vec![0.0], vec![0.0]).unwrap_err().to_string().contains("scale holds 0"));
    let standard = Standard::new(vec![0.0; 3], vec![1.0; 3]).unwrap();
    assert!(why(from_linear(of(3, 8), vec![0.0; 3], Some(&standard))).contains("expected 3 columns"));
}

#[test]
fn a_rule_is_added_with_the_costs_of_the_bundle() {
    let (bundle, dataset, _) = synthetic_pool(8, 6);
    let mut parts = bundle.into_parts();
    parts.models = dataset.models().to_vec();
    let bundle = Bundle::new(parts).unwrap();
    let hidden = bundle.parts().encoder.hidden;
    let mut draws = draws(7);
    let mut linear =
        |models, inputs, size| from_linear(table(&mut draws, (models, inputs), size), vec![0.0; models], None).unwrap();
    let new =
        |name, rule, is_default| NewForeign { name, source: "made up", rule, lambda: 0.25, lexical: None, is_default };
    let first = add(bundle.clone(), new("first", linear(6, hidden, 0.1), false), None).unwrap();
    let second = add(first.clone(), new("second", linear(6, hidden, 0.1), true), None).unwrap();
    let again = add(second.clone(), new("first", linear(6, hidden, 0.1), false), None).unwrap();
    let names =
        |bundle: &Bundle| -> Vec<String> { bundle.parts().routers.iter().map(|router| router.name.clone()).collect() };
    assert_eq!(
        [names(&first), names(&second), names(&again)],
        [vec!["first"], vec!["second", "first"], vec!["second", "first"]]
    );
    let router = second.router(Some("first")).unwrap();
    assert_eq!((router.lambda, router.kind()), (0.25, "direct"));
    let largest = second.parts().models.iter().map(|model| model.price).fold(0.0, f64::max);
    let expected: Vec<f32> = second.parts().models.iter().map(|model| (model.price / largest) as f32).collect();
    assert_eq!(router.cost().data(), expected);
    assert!(second.parts().origin.contains("router first: made up"), "{}", second.parts().origin);

    let why =
        |rule, samples: Option<&Matrix>| add(first.clone(), new("x", rule, false), samples).unwrap_err().to_string();
    assert!(why(linear(5, hidden, 0.1), None).contains("scores 5 models, the bundle has 6"));
    assert!(why(linear(6, 1536, 0.1), None).contains("embeddings of width 1536, those of the bundle have"));
    assert!(why(linear(6, hidden, 900.0), None).contains("difference between the scores of two models of the rule is"));
    let large = Matrix::from_fn(1, hidden, |_, column| if column == 0 { 1e6 } else { 0.0 });
    assert!(why(linear(6, hidden, 0.1), Some(&large)).contains("expected a magnitude below 16"));
}
