//! The routers' rules in plain numbers: what training and evaluation use.
//!
//! Each rule gives every model a utility, and all choose alike: the largest utility − λ·cost, the lowest index among
//! equals. So one pass over a split serves every λ.

use crate::data::vector::{argmax, dot, unit};
use blindroute_routing::bundle::{Cscr, Direct, Rule, UniRoute};

/// What a rule gives each model for this embedding, before cost. A model that the rule excludes has −∞.
///
/// # Panics
/// If the embedding is not as long as the rule's.
pub fn utilities(rule: &Rule, embedding: &[f32]) -> Vec<f32> {
    match rule {
        Rule::UniRoute(rule) => uniroute(rule, embedding),
        Rule::Cscr(rule) => cscr(rule, embedding),
        Rule::Direct(rule) => direct(rule, embedding),
    }
}

/// Each model's relative cost, as the rule holds it.
pub fn costs(rule: &Rule) -> &[f32] {
    match rule {
        Rule::UniRoute(rule) => rule.cost.data(),
        Rule::Cscr(rule) => rule.cost.data(),
        Rule::Direct(rule) => rule.cost.data(),
    }
}

/// The model of largest utility − λ·cost.
pub fn best(utilities: &[f32], cost: &[f32], lambda: f32) -> usize {
    argmax(utilities.iter().zip(cost).map(|(utility, cost)| utility - lambda * cost))
}

/// The model that a rule chooses for this embedding.
pub fn choose(rule: &Rule, embedding: &[f32], lambda: f32) -> usize {
    best(&utilities(rule, embedding), costs(rule), lambda)
}

/// By how much this embedding is decided against another model: 0 at the border, in the units of what is compared there. For
/// UniRoute that is an embedding's cosine with the nearest centroid less that with the nearest one whose cluster chooses the
/// other model; else utility − λ·cost, and where CSCR's search leaves the other model out, the search's lead in similarity if
/// that is larger, for the model would have to be found as well as to be best.
pub fn lead(rule: &Rule, embedding: &[f32], lambda: f32, other: usize) -> f32 {
    let worth = |utilities: &[f32], model: usize| utilities[model] - lambda * costs(rule)[model];
    let utilities = utilities(rule, embedding);
    match rule {
        Rule::UniRoute(of) => {
            let chooses = |errors: &[f32]| {
                let utilities: Vec<f32> = errors.iter().map(|error| -error).collect();
                best(&utilities, of.cost.data(), lambda)
            };
            let direction = unit(embedding);
            let products = of.centroids.iter_rows().map(|centroid| dot(centroid, &direction));
            let all: Vec<(f32, usize)> = products.zip(of.errors.iter_rows().map(chooses)).collect();
            let nearest = |kept: &dyn Fn(usize) -> bool| {
                all.iter()
                    .filter(|(_, model)| kept(*model))
                    .map(|(product, _)| *product)
                    .fold(f32::NEG_INFINITY, f32::max)
            };
            nearest(&|_| true) - nearest(&|model| model == other)
        }
        Rule::Cscr(of) => {
            let chosen = worth(&utilities, best(&utilities, costs(rule), lambda));
            let all = cscr(&Cscr { keep: usize::MAX, ..of.clone() }, embedding);
            let last = utilities.iter().copied().filter(|kept| kept.is_finite()).fold(f32::INFINITY, f32::min);
            // Of a model that is found the second is 0 or less.
            (chosen - worth(&all, other)).max(last - all[other])
        }
        Rule::Direct(_) => worth(&utilities, best(&utilities, costs(rule), lambda)) - worth(&utilities, other),
    }
}

fn uniroute(rule: &UniRoute, embedding: &[f32]) -> Vec<f32> {
    assert_eq!(embedding.len(), rule.centroids.columns());
    let nearest = argmax(rule.centroids.iter_rows().map(|centroid| dot(centroid, embedding)));
    rule.errors.row(nearest).iter().map(|error| -error).collect()
}

fn cscr(rule: &Cscr, embedding: &[f32]) -> Vec<f32> {
    let hidden = times(embedding, &rule.w1);
    let hidden: Vec<f32> = hidden.iter().map(|x| x.max(0.0)).collect();
    let query = unit(&times(&hidden, &rule.w2));
    let similarity: Vec<f32> = rule.descriptors.iter_rows().map(|descriptor| dot(descriptor, &query)).collect();
    let mut order: Vec<usize> = (0..similarity.len()).collect();
    order.sort_by(|a, b| similarity[*b].total_cmp(&similarity[*a]).then(a.cmp(b)));
    let mut kept = vec![f32::NEG_INFINITY; similarity.len()];
    order.iter().take(rule.keep).for_each(|model| kept[*model] = similarity[*model]);
    kept
}

fn direct(rule: &Direct, embedding: &[f32]) -> Vec<f32> {
    times(embedding, &rule.weight).iter().zip(rule.bias.data()).map(|(score, bias)| score + bias).collect()
}

/// x·W.
fn times(x: &[f32], weight: &blindroute_routing::bundle::Matrix) -> Vec<f32> {
    assert_eq!(x.len(), weight.rows());
    let mut sums = vec![0.0; weight.columns()];
    for (x, row) in x.iter().zip(weight.iter_rows()) {
        sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += x * weight);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Matrix;

    fn matrix(rows: usize, columns: usize, data: &[f32]) -> Matrix {
        Matrix::new(rows, columns, data.to_vec()).unwrap()
    }

    #[test]
    fn uniroute_by_hand() {
        let rule = Rule::UniRoute(UniRoute {
            centroids: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
            errors: matrix(2, 2, &[0.1, 0.2, 0.9, 0.3]),
            cost: matrix(1, 2, &[0.2, 1.0]),
        });
        assert_eq!(choose(&rule, &[5.0, 1.0], 0.0), 0);
        assert_eq!(choose(&rule, &[1.0, 5.0], 0.0), 1);
        // 0.9 + 0.2 λ against 0.3 + λ: equal at λ = 0.75.
        assert_eq!(choose(&rule, &[1.0, 5.0], 0.74), 1);
        assert_eq!(choose(&rule, &[1.0, 5.0], 0.76), 0);
        // Equally near: the lower cluster.
        assert_eq!(utilities(&rule, &[1.0, 1.0]), [-0.1, -0.2]);
    }

    #[test]
    fn leads_by_hand() {
        let uniroute = Rule::UniRoute(UniRoute {
            centroids: matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, 0.6, 0.8]),
            errors: matrix(3, 2, &[0.1, 0.2, 0.9, 0.3, 0.5, 0.6]),
            cost: matrix(1, 2, &[0.2, 1.0]),
        });
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        // Clusters 0 and 2 choose model 0: the border to model 1 is that to cluster 1.
        near(lead(&uniroute, &[8.0, 6.0], 0.0, 1), 0.96 - 0.6);
        near(lead(&uniroute, &[8.0, 6.0], 0.0, 0), 0.0);
        // No cluster chooses model 1 with such a weight of cost.
        assert_eq!(lead(&uniroute, &[8.0, 6.0], 9.0, 1), f32::INFINITY);
        let cscr = |keep| {
            Rule::Cscr(Cscr {
                w1: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
                w2: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
                descriptors: matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, 0.6, 0.8]),
                keep,
                cost: matrix(1, 3, &[1.0, 0.5, 0.0]),
            })
        };
        near(lead(&cscr(2), &[4.0, 3.0], 0.0, 0), 0.96 - 0.8);
        // Model 1 is left out: 0.6 against the last that is kept, 0.8, and further below the best.
        near(lead(&cscr(2), &[4.0, 3.0], 0.0, 1), 0.96 - 0.6);
        // Model 2 would be the best if the search found it.
        near(lead(&cscr(1), &[1.0, 0.0], 1.0, 2), 1.0 - 0.6);
        let direct = Rule::Direct(Direct {
            weight: matrix(1, 2, &[1.0, 2.0]),
            bias: matrix(1, 2, &[0.5, 0.0]),
            cost: matrix(1, 2, &[0.2, 1.0]),
        });
        near(lead(&direct, &[1.0], 0.5, 0), 0.1);
    }

    #[test]
    fn cscr_by_hand() {
        let rule = |keep| {
            Rule::Cscr(Cscr {
                w1: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
                w2: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
                descriptors: matrix(3, 2, &[1.0, 0.0, 0.8, 0.6, 0.0, 1.0]),
                cost: matrix(1, 3, &[1.0, 0.5, 0.0]),
                keep,
            })
        };
        // ReLU removes the negative part: the query is (1, 0).
        assert_eq!(utilities(&rule(2), &[2.0, -9.0]), [1.0, 0.8, f32::NEG_INFINITY]);
        assert_eq!(choose(&rule(2), &[2.0, -9.0], 0.0), 0);
        assert_eq!(choose(&rule(2), &[2.0, -9.0], 100.0), 1);
        assert_eq!(choose(&rule(3), &[2.0, -9.0], 100.0), 2);
        // A query of length zero ties all: the lowest indices survive.
        assert_eq!(utilities(&rule(2), &[-1.0, -1.0]), [0.0, 0.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn direct_by_hand() {
        let rule = Rule::Direct(Direct {
            weight: matrix(2, 2, &[1.0, 0.0, 0.0, 2.0]),
            bias: matrix(1, 2, &[0.5, 0.0]),
            cost: matrix(1, 2, &[0.0, 1.0]),
        });
        assert_eq!(utilities(&rule, &[1.0, 1.0]), [1.5, 2.0]);
        assert_eq!(choose(&rule, &[1.0, 1.0], 0.0), 1);
        assert_eq!(choose(&rule, &[1.0, 1.0], 0.5), 0);
    }
}
