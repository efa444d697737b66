//! The rules of the routers on plain numbers, for training and evaluation.
//!
//! Each rule gives every model a utility. All rules choose in the same way: the largest utility − λ·cost, on ties the lowest
//! index. So one pass over a split is enough for every λ.

use crate::data::vector::{argmax, dot, unit};
use blindroute_routing::bundle::{Cscr, Direct, Rule, UniRoute};

/// The utility of each model for this embedding, without cost. A model that the rule excludes has −∞.
///
/// # Panics
/// If the width of the embedding is not that of the rule.
pub fn utilities(rule: &Rule, embedding: &[f32]) -> Vec<f32> {
    match rule {
        Rule::UniRoute(rule) => uniroute(rule, embedding),
        Rule::Cscr(rule) => cscr(rule, embedding),
        Rule::Direct(rule) => direct(rule, embedding),
    }
}

/// Each model's relative cost in the rule.
pub fn costs(rule: &Rule) -> &[f32] {
    match rule {
        Rule::UniRoute(rule) => rule.cost.data(),
        Rule::Cscr(rule) => rule.cost.data(),
        Rule::Direct(rule) => rule.cost.data(),
    }
}

/// The model with the largest utility − λ·cost.
pub fn best(utilities: &[f32], cost: &[f32], lambda: f32) -> usize {
    argmax(utilities.iter().zip(cost).map(|(utility, cost)| utility - lambda * cost))
}

/// The model that a rule chooses for this embedding.
pub fn choose(rule: &Rule, embedding: &[f32], lambda: f32) -> usize {
    best(&utilities(rule, embedding), costs(rule), lambda)
}

/// The margin of the decision against another model: 0 at the decision boundary, in the unit of the compared quantity.
///
/// For UniRoute it is the cosine with the nearest centroid minus the cosine with the nearest centroid whose cluster chooses the
/// other model. For the others it is the difference in utility − λ·cost. If CSCR's search excludes the other model, it is at least
/// the difference in similarity to the last model that the search keeps, because the other model would have to be kept too.
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
            // For a model that the search keeps, the second difference is 0 or less.
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
        // At equal distance the cluster with the lower index wins.
        assert_eq!(utilities(&rule, &[1.0, 1.0]), [-0.1, -0.2]);
    }

    #[test]
    fn margins_by_hand() {
        let uniroute = Rule::UniRoute(UniRoute {
            centroids: matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, 0.6, 0.8]),
            errors: matrix(3, 2, &[0.1, 0.2, 0.9, 0.3, 0.5, 0.6]),
            cost: matrix(1, 2, &[0.2, 1.0]),
        });
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        // Clusters 0 and 2 choose model 0, so the boundary to model 1 is that to cluster 1.
        near(lead(&uniroute, &[8.0, 6.0], 0.0, 1), 0.96 - 0.6);
        near(lead(&uniroute, &[8.0, 6.0], 0.0, 0), 0.0);
        // No cluster chooses model 1 with this weight of cost.
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
        // The search excludes model 1: 0.6 against 0.8 of the last one kept, and even further below the best.
        near(lead(&cscr(2), &[4.0, 3.0], 0.0, 1), 0.96 - 0.6);
        // Model 2 would be the best if the search kept it.
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
        // A query of length zero is equally similar to all: the search keeps the lowest indices.
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
