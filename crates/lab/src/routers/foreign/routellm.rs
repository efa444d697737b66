//! RouteLLM's router by matrix factorisation.

use super::ForeignRule;
use super::error::ForeignError;
use super::linear::from_linear;
use super::table::{Table, check_list, dot};

/// The least length that a model's embedding is divided by, that of the library which trains it.
const LEAST_LENGTH: f64 = 1e-12;

/// The tables of RouteLLM's matrix factorisation (`routellm/routers/matrix_factorization/model.py`), by the names of its state.
#[derive(Clone, Debug)]
pub struct Factorisation {
    /// `P.weight`, `[models, dim]`.
    pub models: Table,
    /// `text_proj.0.weight`, `[dim, inputs]`; none if it was trained without a projection, and then dim = inputs.
    pub projection: Option<Table>,
    /// `classifier.0.weight`, dim numbers.
    pub classifier: Vec<f64>,
}

/// The score of a model m is `classifier · (P_m / |P_m| ∘ projection·e)`, which is linear in e and so a direct rule: exact but for
/// rounding. `places` are the rows of P of the bundle's models, in the bundle's order.
///
/// RouteLLM answers with the strong one of two models if sigmoid(strong − weak) is at least a threshold. `threshold` of (place
/// of the strong model in the bundle, threshold) lowers that model's score by the threshold's logit, so that λ = 0 decides as RouteLLM does with it.
/// Without it, λ·(cost of strong − cost of weak) takes the place of the logit.
///
/// The embedding is taken as it is. Published weights are for another encoder's embeddings (OpenAI's, of width 1536) and do not fit a
/// bundle: train the factorisation on the bundle's embeddings.
///
/// # Errors
/// If the tables do not fit each other, a place is out of range, or the threshold is not between 0 and 1.
pub fn from_routellm_mf(
    tables: &Factorisation,
    places: &[usize],
    threshold: Option<(usize, f64)>,
) -> Result<ForeignRule, ForeignError> {
    let Factorisation { models, projection, classifier } = tables;
    let width = models.columns();
    check_list("classifier", classifier, width)?;
    if let Some(projection) = projection
        && projection.rows() != width
    {
        let expected = format!("{width} rows, the width of the models' embeddings");
        return Err(ForeignError::Shape { what: "projection", found: projection.shape(), expected });
    }
    let rows: Vec<&[f64]> = models.iter_rows().collect();
    let inputs = projection.as_ref().map_or(width, Table::columns);
    let mut weights = Vec::with_capacity(places.len() * inputs);
    for &place in places {
        let row = rows.get(place).ok_or_else(|| ForeignError::Setting {
            what: "place of a model",
            found: place,
            expected: format!("below {}, the rows of P.weight", rows.len()),
        })?;
        let length = dot(row, row).sqrt().max(LEAST_LENGTH);
        let factors: Vec<f64> = row.iter().zip(classifier).map(|(x, weight)| x / length * weight).collect();
        match projection {
            None => weights.extend(factors),
            Some(projection) => {
                let mut sums = vec![0.0; inputs];
                for (factor, row) in factors.iter().zip(projection.iter_rows()) {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += factor * x);
                }
                weights.extend(sums);
            }
        }
    }
    let mut bias = vec![0.0; places.len()];
    if let Some((strong, threshold)) = threshold {
        if !(threshold > 0.0 && threshold < 1.0) {
            return Err(ForeignError::Number {
                what: "threshold",
                found: threshold,
                expected: "a number between 0 and 1",
            });
        }
        let models = places.len();
        let bias = bias.get_mut(strong).ok_or_else(|| ForeignError::Setting {
            what: "place of the strong model",
            found: strong,
            expected: format!("below {models}, the models that the rule scores"),
        })?;
        *bias -= (threshold / (1.0 - threshold)).ln();
    }
    from_linear(Table::new("matrix factorisation", (places.len(), inputs), weights)?, bias, None)
}
