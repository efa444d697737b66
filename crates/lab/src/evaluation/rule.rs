//! The rules of the routers on plain numbers, for training and evaluation.
//!
//! Each rule gives every model a utility. All rules choose in the same way: the largest utility − λ·cost, on ties the lowest
//! index. So one pass over a split is enough for every λ.

use crate::data::vector::{argmax, dot, unit};
use blindroute_routing::bundle::{Cscr, Direct, Mlp, Neighbours, Rule, UniRoute};

/// The utility of each model for this embedding, without cost. A model that the rule excludes has −∞.
///
/// # Panics
/// If the width of the embedding is not that of the rule.
pub fn utilities(rule: &Rule, embedding: &[f32]) -> Vec<f32> {
    match rule {
        Rule::UniRoute(rule) => uniroute(rule, embedding),
        Rule::Cscr(rule) => cscr(rule, embedding),
        Rule::Direct(rule) => direct(rule, embedding),
        Rule::Mlp(rule) => mlp(rule, embedding),
        Rule::Neighbours(rule) => neighbours(rule, embedding),
    }
}

/// Each model's relative cost in the rule.
pub fn costs(rule: &Rule) -> &[f32] {
    rule.cost().data()
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
/// For UniRoute it is the least change of a cosine with which the embedding would be in another cluster of one clustering, so that the
/// other model is chosen; infinite if no such change of a single clustering is enough. For the others it is the difference in utility − λ·cost. If CSCR's search excludes the other model, it is at least
/// the difference in similarity to the last model that the search keeps, because the other model would have to be kept too.
pub fn lead(rule: &Rule, embedding: &[f32], lambda: f32, other: usize) -> f32 {
    let worth = |utilities: &[f32], model: usize| utilities[model] - lambda * costs(rule)[model];
    let utilities = utilities(rule, embedding);
    match rule {
        Rule::UniRoute(of) => uniroute_lead(of, embedding, lambda, other),
        Rule::Cscr(of) => {
            let chosen = worth(&utilities, best(&utilities, costs(rule), lambda));
            let all = cscr(&Cscr { keep: usize::MAX, ..of.clone() }, embedding);
            let last = utilities.iter().copied().filter(|kept| kept.is_finite()).fold(f32::INFINITY, f32::min);
            // For a model that the search keeps, the second difference is 0 or less.
            (chosen - worth(&all, other)).max(last - all[other])
        }
        Rule::Neighbours(of) => neighbours_lead(of, embedding, lambda, other),
        Rule::Direct(_) | Rule::Mlp(_) => {
            worth(&utilities, best(&utilities, costs(rule), lambda)) - worth(&utilities, other)
        }
    }
}

fn uniroute(rule: &UniRoute, embedding: &[f32]) -> Vec<f32> {
    assert_eq!(embedding.len(), rule.centroids.columns());
    let products: Vec<f32> = rule.centroids.iter_rows().map(|centroid| dot(centroid, embedding)).collect();
    mean_success(rule, &nearest_clusters(rule, &products))
}

/// The row of the nearest centroid of each clustering, from the products with all centroids.
fn nearest_clusters(rule: &UniRoute, products: &[f32]) -> Vec<usize> {
    let parts = products.chunks(rule.clusters().max(1)).enumerate();
    parts.map(|(clustering, products)| clustering * rule.clusters() + argmax(products.iter().copied())).collect()
}

/// The negative mean error of each model in these clusters.
fn mean_success(rule: &UniRoute, clusters: &[usize]) -> Vec<f32> {
    let mut sums = vec![0.0; rule.errors.columns()];
    for cluster in clusters {
        sums.iter_mut().zip(rule.errors.row(*cluster)).for_each(|(sum, error)| *sum -= error);
    }
    sums.iter().map(|sum| sum / clusters.len() as f32).collect()
}

/// The margin to the other model of a UniRoute router.
fn uniroute_lead(rule: &UniRoute, embedding: &[f32], lambda: f32, other: usize) -> f32 {
    let direction = unit(embedding);
    let products: Vec<f32> = rule.centroids.iter_rows().map(|centroid| dot(centroid, &direction)).collect();
    let nearest = nearest_clusters(rule, &products);
    let chooses = |clusters: &[usize]| best(&mean_success(rule, clusters), rule.cost.data(), lambda);
    if chooses(&nearest) == other {
        return 0.0;
    }
    let mut least = f32::INFINITY;
    for (clustering, now) in nearest.iter().enumerate() {
        let start = clustering * rule.clusters();
        for cluster in start..start + rule.clusters() {
            let mut changed = nearest.clone();
            changed[clustering] = cluster;
            let margin = products[*now] - products[cluster];
            if margin < least && chooses(&changed) == other {
                least = margin;
            }
        }
    }
    least
}

fn cscr(rule: &Cscr, embedding: &[f32]) -> Vec<f32> {
    let hidden = times(embedding, &rule.w1);
    let hidden: Vec<f32> = hidden.iter().map(|x| x.max(0.0)).collect();
    let query = unit(&times(&hidden, &rule.w2));
    let similarity: Vec<f32> = rule.descriptors.iter_rows().map(|descriptor| dot(descriptor, &query)).collect();
    if let Some(score_lines) = &rule.score_lines {
        let mean = similarity.iter().sum::<f32>() / similarity.len() as f32;
        let lines = score_lines.slope.data().iter().zip(score_lines.offset.data());
        return lines.zip(&similarity).map(|((slope, offset), x)| offset + slope * (x - mean)).collect();
    }
    let mut order: Vec<usize> = (0..similarity.len()).collect();
    order.sort_by(|a, b| similarity[*b].total_cmp(&similarity[*a]).then(a.cmp(b)));
    let mut kept = vec![f32::NEG_INFINITY; similarity.len()];
    order.iter().take(rule.keep).for_each(|model| kept[*model] = similarity[*model]);
    kept
}

fn direct(rule: &Direct, embedding: &[f32]) -> Vec<f32> {
    times(embedding, &rule.weight).iter().zip(rule.bias.data()).map(|(score, bias)| score + bias).collect()
}

fn mlp(rule: &Mlp, embedding: &[f32]) -> Vec<f32> {
    let hidden = rule.hidden.iter().fold(embedding.to_vec(), |values, layer| {
        let sums = times(&values, &layer.weight);
        sums.iter().zip(layer.bias.data()).map(|(sum, bias)| (sum + bias).max(0.0)).collect()
    });
    times(&hidden, &rule.weight).iter().zip(rule.bias.data()).map(|(score, bias)| score + bias).collect()
}

/// The stored prompts, the nearest first, of equal ones the lowest index first, with what they are compared by.
fn nearest(rule: &Neighbours, embedding: &[f32]) -> Vec<(usize, f32)> {
    assert_eq!(embedding.len(), rule.stored.columns());
    let products = rule.stored.iter_rows().zip(rule.offset.data()).map(|(row, offset)| dot(row, embedding) + offset);
    let mut order: Vec<(usize, f32)> = products.enumerate().collect();
    order.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
    order
}

fn neighbours(rule: &Neighbours, embedding: &[f32]) -> Vec<f32> {
    mean_outcomes(rule, nearest(rule, embedding).iter().take(rule.keep).map(|(stored, _)| *stored))
}

fn mean_outcomes(rule: &Neighbours, kept: impl Iterator<Item = usize>) -> Vec<f32> {
    let mut sums = vec![0.0; rule.outcomes.columns()];
    for stored in kept {
        sums.iter_mut().zip(rule.outcomes.row(stored)).for_each(|(sum, outcome)| *sum += outcome);
    }
    sums.iter().map(|sum| sum / rule.keep as f32).collect()
}

/// The margin to the other model of a router by stored prompts: the difference in utility − λ·cost, or what an exchange of the last
/// neighbour for one of the next takes in the compared product, if the other model is chosen then. The less of the two.
fn neighbours_lead(rule: &Neighbours, embedding: &[f32], lambda: f32, other: usize) -> f32 {
    let order = nearest(rule, embedding);
    let worth = |utilities: &[f32], model: usize| utilities[model] - lambda * rule.cost.data()[model];
    let kept: Vec<usize> = order.iter().take(rule.keep).map(|(stored, _)| *stored).collect();
    let utilities = mean_outcomes(rule, kept.iter().copied());
    let mut least = worth(&utilities, best(&utilities, rule.cost.data(), lambda)) - worth(&utilities, other);
    for (place, (_, inside)) in order.iter().take(rule.keep).enumerate() {
        for (next, outside) in &order[rule.keep..] {
            let margin = inside - outside;
            // The next ones are further away.
            if margin >= least {
                break;
            }
            let changed = kept.iter().enumerate().map(|(at, stored)| if at == place { *next } else { *stored });
            if best(&mean_outcomes(rule, changed), rule.cost.data(), lambda) == other {
                least = margin;
            }
        }
    }
    least
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
    use blindroute_routing::bundle::{HiddenLayer, Matrix, ScoreLines};

    fn matrix(rows: usize, columns: usize, data: &[f32]) -> Matrix {
        Matrix::new(rows, columns, data.to_vec()).unwrap()
    }

    #[test]
    fn uniroute_by_hand() {
        let rule = Rule::UniRoute(UniRoute {
            clusterings: 1,
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
            clusterings: 1,
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
                score_lines: None,
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
                score_lines: None,
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
    fn several_clusterings_by_hand() {
        let rule = Rule::UniRoute(UniRoute {
            clusterings: 2,
            centroids: matrix(4, 2, &[1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 0.8, -0.6]),
            errors: matrix(4, 2, &[0.1, 0.9, 0.9, 0.1, 0.3, 0.7, 0.2, 0.6]),
            cost: matrix(1, 2, &[0.0, 1.0]),
        });
        // Cluster 0 of the first clustering, and cluster 1 (row 3) of the second.
        let near = |found: &[f32], expected: [f32; 2]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, not {expected:?}");
        };
        near(&utilities(&rule, &[2.0, 0.0]), [-0.15, -0.75]);
        near(&utilities(&rule, &[0.0, 2.0]), [-0.6, -0.4]);
        // From row 1 to row 0 of the first clustering the cosines differ by 1.
        assert!((lead(&rule, &[0.0, 2.0], 0.0, 0) - 1.0).abs() < 1e-6);
        assert_eq!(lead(&rule, &[0.0, 2.0], 0.0, 1), 0.0);
        // With this weight of cost no change of one clustering leads to model 1.
        assert_eq!(lead(&rule, &[2.0, 0.0], 1.0, 1), f32::INFINITY);
    }

    #[test]
    fn score_lines_predict_scores() {
        let rule = Rule::Cscr(Cscr {
            w1: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
            w2: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
            descriptors: matrix(2, 2, &[1.0, 0.0, 0.6, 0.8]),
            cost: matrix(1, 2, &[0.0, 1.0]),
            keep: 2,
            score_lines: Some(Box::new(ScoreLines {
                slope: matrix(1, 2, &[0.5, 0.25]),
                offset: matrix(1, 2, &[0.1, 0.5]),
            })),
        });
        // Similarities of 1 and 0.6, so leads of ±0.2.
        let found = utilities(&rule, &[3.0, -1.0]);
        assert!((found[0] - 0.2).abs() < 1e-6 && (found[1] - 0.45).abs() < 1e-6, "{found:?}");
        assert_eq!(choose(&rule, &[3.0, -1.0], 0.2), 1);
        assert_eq!(choose(&rule, &[3.0, -1.0], 0.3), 0);
    }

    #[test]
    fn a_network_by_hand() {
        let layer =
            |rows, data: &[f32]| HiddenLayer { weight: matrix(rows, 2, data), bias: matrix(1, 2, &[0.0, -1.0]) };
        let rule = |hidden| {
            let (weight, bias) = (matrix(2, 2, &[1.0, 0.0, 0.0, 2.0]), matrix(1, 2, &[0.5, 0.0]));
            Rule::Mlp(Mlp { hidden, weight, bias, cost: matrix(1, 2, &[0.0, 1.0]) })
        };
        let one = rule(vec![layer(2, &[1.0, 0.0, 0.0, 1.0])]);
        // ReLU removes the first of (−1, 3 − 1).
        assert_eq!(utilities(&one, &[-1.0, 3.0]), [0.5, 4.0]);
        assert_eq!([choose(&one, &[-1.0, 3.0], 3.4), choose(&one, &[-1.0, 3.0], 3.6)], [1, 0]);
        let two = rule(vec![layer(2, &[1.0, 0.0, 0.0, 1.0]), layer(2, &[0.0, 1.0, 2.0, -1.0])]);
        // (0, 2) becomes (4, 0 − 2 − 1).
        assert_eq!(utilities(&two, &[-1.0, 3.0]), [4.5, 0.0]);
        assert_eq!(lead(&two, &[-1.0, 3.0], 0.0, 1), 4.5);
    }

    #[test]
    fn nearest_prompts_by_hand() {
        let rule = Rule::Neighbours(Neighbours {
            stored: matrix(4, 2, &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, -1.0]),
            offset: matrix(1, 4, &[0.0, 0.25, 0.0, 0.0]),
            outcomes: matrix(4, 2, &[1.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.0, 0.0]),
            cost: matrix(1, 2, &[1.0, 0.0]),
            keep: 2,
        });
        // Products of 2, 0.25, 2 and 0: the first and the third.
        assert_eq!(utilities(&rule, &[2.0, 0.0]), [0.75, 0.25]);
        // Products of 1, 1.25, 1 and −1: of the equal ones the first.
        assert_eq!(utilities(&rule, &[1.0, 1.0]), [0.5, 0.5]);
        assert_eq!(choose(&rule, &[1.0, 1.0], 0.0), 0);
        // 0.75 against 0.25 chooses the first. With the second prompt for the first one it would be 0.25 against 0.75: products
        // of 2 and 0.25 are further apart than the scores.
        assert_eq!(lead(&rule, &[2.0, 0.0], 0.0, 1), 0.5);
        // Products of 0.5 and 0.5 against 0.375 of the second prompt: the exchange takes 0.125.
        assert_eq!(lead(&rule, &[0.5, 0.125], 0.0, 1), 0.125);
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
