//! Folding a bundle's published weights into the weights that the secure program uses.
//!
//! - A LayerNorm's gain g and bias b are folded into the linear layer after it: (x∘g + b)·W = x·(diag(g)·W) + b·W.
//! - 1/√d is folded into queries and keys, its square root into each, so that rounding affects both equally. For softmax,
//!   whose powers are of two, log₂e is folded in the same way.
//! - The number of clusterings, and of stored prompts that are kept, is folded into their errors or outcomes, and the slopes of score lines into the
//!   descriptors less their mean.
//! - The row mean is removed from every layer before a LayerNorm, by centring the layer's columns.
//! - With linear attention the results are rounded to the precision that the bundle's widths give weights, so that the clear
//!   interpreter computes with the servers' weights.

use super::plan::{BundlePlan, EncoderPlan, RouterPlan};
use crate::bundle::{Attention, Bundle, ClassifierPool, Gain, Layer, LayerNorm, LinearLayer, Matrix, Rule, RuleShape};
use blindroute_protocol::{Error, Shape, Tensor, WeightSpec};
use std::collections::HashMap;

/// The program's weights in the order of [`BundlePlan::weights`].
///
/// # Errors
/// If bundle and plan do not belong together.
pub fn weight_tensors(bundle: &Bundle, plan: &BundlePlan) -> Result<Vec<Tensor<f32>>, Error> {
    let mut named = HashMap::new();
    let parts = bundle.parts();
    let mut before: Option<&LayerNorm> = None;
    for (index, layer) in parts.layers.iter().enumerate() {
        fold_layer(&mut named, index, layer, before, &plan.encoder);
        before = Some(&layer.output_norm);
    }
    if let Some(norm) = before {
        named.insert("embedding.gain".to_owned(), row(&norm.gain));
        named.insert("embedding.bias".to_owned(), row(&norm.bias));
    }
    for (router, shape) in parts.routers.iter().zip(&plan.routers) {
        fold_router(&mut named, shape, &router.rule);
    }
    if let Some(pool) = &parts.pool {
        fold_pool(&mut named, pool, &parts.layers);
    }
    let precise = !plan.encoder.carries_biases();
    plan.weights()
        .iter()
        .map(|spec| {
            let weight = take(&mut named, spec)?;
            // The program of an encoder with widths has its weights in their precision, also in the clear.
            let exact = precise || !spec.name.starts_with("layer.");
            Ok(if exact { weight } else { weight.map(|x| rounded(x, spec.fraction)) })
        })
        .collect()
}

/// To nearest, to a number of fraction bits.
fn rounded(x: f32, fraction: u32) -> f32 {
    let unit = f64::from(fraction).exp2();
    ((f64::from(x) * unit).round() / unit) as f32
}

fn take(named: &mut HashMap<String, Tensor<f32>>, spec: &WeightSpec) -> Result<Tensor<f32>, Error> {
    named
        .remove(&spec.name)
        .ok_or_else(|| Error::Weight { name: spec.name.clone(), problem: "is missing in the bundle".to_owned() })
}

fn row(matrix: &Matrix) -> Tensor<f32> {
    Tensor::new(Shape::row(matrix.data().len()), matrix.data().to_vec())
}

fn tensor(matrix: &Matrix) -> Tensor<f32> {
    Tensor::new(Shape::matrix(matrix.rows(), matrix.columns()), matrix.data().to_vec())
}

/// A linear layer in f64, to be folded.
#[derive(Clone)]
struct Folded {
    inner: usize,
    columns: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Folded {
    fn of(layer: &LinearLayer) -> Self {
        let wide = |matrix: &Matrix| matrix.data().iter().map(|&x| f64::from(x)).collect();
        let (inner, columns) = layer.weight.shape();
        Self { inner, columns, weight: wide(&layer.weight), bias: wide(&layer.bias) }
    }

    /// Includes the affine part of the LayerNorm before this layer.
    fn after(mut self, norm: Option<&LayerNorm>) -> Self {
        let Some(norm) = norm else { return self };
        let affine = norm.gain.data().iter().zip(norm.bias.data());
        for (weights, (&gain, &bias)) in self.weight.chunks_exact_mut(self.columns).zip(affine) {
            for (sum, weight) in self.bias.iter_mut().zip(weights) {
                *sum += f64::from(bias) * *weight;
                *weight *= f64::from(gain);
            }
        }
        self
    }

    fn scaled(mut self, factor: f64) -> Self {
        self.weight.iter_mut().chain(&mut self.bias).for_each(|x| *x *= factor);
        self
    }

    /// Adds the residual's bias to the layer's bias.
    fn with_residual(mut self, norm: Option<&LayerNorm>) -> Self {
        if let Some(norm) = norm {
            self.bias.iter_mut().zip(norm.bias.data()).for_each(|(sum, &bias)| *sum += f64::from(bias));
        }
        self
    }

    /// Removes the mean from every output row.
    fn centred(mut self) -> Self {
        let columns = self.columns;
        for row in self.weight.chunks_exact_mut(columns).chain(std::iter::once(self.bias.as_mut_slice())) {
            let mean = row.iter().sum::<f64>() / columns as f64;
            row.iter_mut().for_each(|x| *x -= mean);
        }
        self
    }

    /// Under these names; if the bias is `carried`, as the last row of the matrix.
    fn insert(mut self, named: &mut HashMap<String, Tensor<f32>>, name: String, carried: bool) {
        let narrow = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect();
        if carried {
            self.weight.append(&mut self.bias);
            let shape = Shape::matrix(self.inner + 1, self.columns);
            named.insert(name, Tensor::new(shape, narrow(self.weight)));
            return;
        }
        named.insert(format!("{name}.bias"), Tensor::new(Shape::row(self.columns), narrow(self.bias)));
        named.insert(name, Tensor::new(Shape::matrix(self.inner, self.columns), narrow(self.weight)));
    }
}

/// Three layers of the same input, joined into one layer.
fn beside(parts: [Folded; 3]) -> Folded {
    let inner = parts[0].inner;
    let weight = (0..inner)
        .flat_map(|row| {
            parts.iter().flat_map(move |part| part.weight[row * part.columns..(row + 1) * part.columns].to_vec())
        })
        .collect();
    let columns = parts.iter().map(|part| part.columns).sum();
    Folded { inner, columns, weight, bias: parts.iter().flat_map(|part| part.bias.clone()).collect() }
}

fn fold_layer(
    named: &mut HashMap<String, Tensor<f32>>,
    index: usize,
    layer: &Layer,
    before: Option<&LayerNorm>,
    encoder: &EncoderPlan,
) {
    let name = |part: &str| format!("layer.{index}.{part}");
    let width = layer.query.weight.columns() / encoder.heads;
    let carried = encoder.carries_biases();
    // The factor of the scores.
    let base = match encoder.attention {
        Attention::TwoRelu | Attention::Linear => 1.0,
        Attention::Softmax => std::f64::consts::LOG2_E,
    };
    let scale = (base / (width as f64).sqrt()).sqrt();
    let queries = Folded::of(&layer.query).after(before).scaled(scale);
    let keys = Folded::of(&layer.key).after(before).scaled(scale);
    let values = Folded::of(&layer.value).after(before);
    let qkv = beside([queries, keys, values]);
    if !carried {
        qkv.clone().insert(named, name("qkv.narrow"), false);
    }
    qkv.insert(named, name("qkv"), carried);
    Folded::of(&layer.output).with_residual(before).centred().insert(named, name("out"), carried);
    let inner = Some(&layer.attention_norm);
    Folded::of(&layer.up).after(inner).insert(named, name("up"), carried);
    Folded::of(&layer.down).with_residual(inner).centred().insert(named, name("down"), carried);
    for (part, norm) in [("attention", before), ("ffn", inner)] {
        if let Some(norm) = norm {
            let gain = row(&norm.gain);
            let hidden = norm.gain.columns();
            let mean = gain.data().iter().map(|x| x / hidden as f32).collect();
            named.insert(name(&format!("{part}_mean")), Tensor::new(Shape::matrix(hidden, 1), mean));
            named.insert(name(&format!("{part}_gain")), gain);
        }
    }
}

/// The heads and gains of each exit read rows that the last norm before it only divided.
fn fold_pool(named: &mut HashMap<String, Tensor<f32>>, pool: &ClassifierPool, layers: &[Layer]) {
    for classifier in &pool.tasks {
        let name = &classifier.task.name;
        let gains = classifier.gains.iter().map(|gain| match gain {
            Gain::Quadratic(units) => Some(units),
            Gain::Lead => None,
        });
        for (part, linear) in
            [("head", classifier.heads.iter().map(Some).collect::<Vec<_>>()), ("gain", gains.collect())]
        {
            for ((exit, linear), after) in linear.into_iter().enumerate().zip(&pool.exits) {
                let Some(linear) = linear else { continue };
                let norm = after.checked_sub(1).and_then(|last| layers.get(last)).map(|layer| &layer.output_norm);
                let folded = Folded::of(linear).after(norm);
                folded.insert(named, format!("task.{name}.{part}.{exit}"), false);
            }
        }
    }
}

/// In each row, what an entry is above the row's mean, times the factor of its column.
fn leads(matrix: &Matrix, factors: &[f32]) -> Tensor<f32> {
    let lead = |row: &[f32]| {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
        row.iter().zip(factors).map(move |(&x, &factor)| ((f64::from(x) - mean) * f64::from(factor)) as f32).collect()
    };
    let data: Vec<f32> = matrix.iter_rows().flat_map(|row| -> Vec<f32> { lead(row) }).collect();
    Tensor::new(Shape::matrix(matrix.rows(), matrix.columns()), data)
}

fn fold_router(named: &mut HashMap<String, Tensor<f32>>, shape: &RouterPlan, rule: &Rule) {
    let mut insert = |part: &str, value| named.insert(shape.weight(part), value);
    match (rule, shape.rule) {
        (Rule::UniRoute(rule), RuleShape::UniRoute { .. }) => {
            let share = 1.0 / rule.clusterings as f32;
            insert("centroids", tensor(&rule.centroids.transposed()));
            insert("errors", tensor(&rule.errors).map(|error| error * share));
            insert("cost", tensor(&rule.cost));
        }
        (Rule::Cscr(rule), RuleShape::Cscr { .. }) => {
            insert("w1", tensor(&rule.w1));
            insert("w2", tensor(&rule.w2));
            let descriptors = rule.descriptors.transposed();
            insert(
                "descriptors",
                match &rule.score_lines {
                    Some(score_lines) => leads(&descriptors, score_lines.slope.data()),
                    None => tensor(&descriptors),
                },
            );
            if let Some(score_lines) = &rule.score_lines {
                insert("offset", row(&score_lines.offset));
            }
            insert("cost", tensor(&rule.cost));
        }
        (Rule::Direct(rule), RuleShape::Direct) => {
            insert("weight", tensor(&rule.weight));
            insert("bias", row(&rule.bias));
            insert("cost", tensor(&rule.cost));
        }
        (Rule::Mlp(rule), RuleShape::Mlp { .. }) => {
            for (layer, hidden) in (1..).zip(&rule.hidden) {
                insert(&format!("w{layer}"), tensor(&hidden.weight));
                insert(&format!("b{layer}"), row(&hidden.bias));
            }
            insert("weight", tensor(&rule.weight));
            insert("bias", row(&rule.bias));
            insert("cost", tensor(&rule.cost));
        }
        (Rule::Neighbours(rule), RuleShape::Neighbours { keep, .. }) => {
            insert("stored", tensor(&rule.stored.transposed()));
            insert("offset", row(&rule.offset));
            let share = 1.0 / keep as f32;
            insert("outcomes", tensor(&rule.outcomes).map(|outcome| outcome * share));
            insert("cost", tensor(&rule.cost));
        }
        // The plan is of another bundle. The missing weights are reported by name.
        _ => {}
    }
}
