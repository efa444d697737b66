//! Linear rules and networks.

use super::ForeignRule;
use super::error::ForeignError;
use super::standard::Standard;
use super::table::{Table, check_list, row};
use blindroute_routing::bundle::{Direct, HiddenLayer, Matrix, Mlp, Rule};

/// Linear scores: `weight` is `[M, inputs]`, one row for each model (scikit-learn's `coef_`), and `bias` has M numbers
/// (`intercept_`).
///
/// # Errors
/// If the tables do not fit each other.
pub fn from_linear(
    mut weight: Table,
    mut bias: Vec<f64>,
    standard: Option<&Standard>,
) -> Result<ForeignRule, ForeignError> {
    check_list("intercept", &bias, weight.rows())?;
    if let Some(standard) = standard {
        standard.fold(&mut weight, &mut bias)?;
    }
    ForeignRule::new(Rule::Direct(Direct {
        weight: weight.transposed().matrix(),
        bias: row(&bias),
        cost: no_cost(bias.len()),
    }))
}

/// A layer of a network: `[inputs, outputs]` (scikit-learn's `coefs_`), and as many biases as outputs (`intercepts_`).
pub type Layer = (Table, Vec<f64>);

/// A network with ReLU after each layer but the last, whose outputs are the scores: one or two hidden layers.
///
/// # Errors
/// If the tables do not fit each other, or there are not one or two hidden layers.
pub fn from_mlp(layers: Vec<Layer>, standard: Option<&Standard>) -> Result<ForeignRule, ForeignError> {
    if !(2..=3).contains(&layers.len()) {
        let expected = "1 or 2: a linear model has none (`from_linear`)".to_owned();
        return Err(ForeignError::Setting {
            what: "number of hidden layers",
            found: layers.len().saturating_sub(1),
            expected,
        });
    }
    let mut rules = Vec::with_capacity(layers.len());
    let mut before = None;
    for (place, (weight, mut bias)) in layers.into_iter().enumerate() {
        check_list("bias of a layer", &bias, weight.columns())?;
        if let Some(before) = before
            && weight.rows() != before
        {
            let expected = format!("{before} rows, the outputs of the layer before");
            return Err(ForeignError::Shape { what: "layer", found: weight.shape(), expected });
        }
        before = Some(weight.columns());
        let mut rows = weight.transposed();
        if place == 0
            && let Some(standard) = standard
        {
            standard.fold(&mut rows, &mut bias)?;
        }
        rules.push(HiddenLayer { weight: rows.transposed().matrix(), bias: row(&bias) });
    }
    // There are two or three.
    let HiddenLayer { weight, bias } = rules.remove(rules.len() - 1);
    let cost = no_cost(bias.columns());
    ForeignRule::new(Rule::Mlp(Mlp { hidden: rules, weight, bias, cost }))
}

/// The costs, before the rule has a bundle.
fn no_cost(models: usize) -> Matrix {
    Matrix::from_fn(1, models, |_, _| 0.0)
}
