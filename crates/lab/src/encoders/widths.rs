//! The widths of a polynomial encoder: the fewest bits with which it still gives its embeddings.
//!
//! The program runs in the fixed-point interpreter, which rounds as the servers do and fails where a value leaves its ring, on
//! texts of all lengths. First each range shrinks until a value leaves it, and gets a margin. Then fraction bits go, one at a
//! time, always where most bytes are saved for what the embeddings lose, up to a bound.

use blindroute_protocol::{Clear, Error, Fixed, Meter, Tensor};
use blindroute_routing::bundle::{Bundle, BundleError, Widths};
use blindroute_routing::embedding::{EmbeddingError, cosine};
use blindroute_routing::program::{
    BundlePlan, Measurement, RouteInputs, RouteProgram, embedding, outside_range, weight_tensors,
};
use blindroute_routing::tokenizer;
use rayon::prelude::*;
use std::sync::Arc;

/// How widths are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct WidthOptions {
    /// Widths that are given, by name, instead of chosen.
    pub given: Vec<(String, u32)>,
    /// The largest mean of 1 − cosine between the embeddings in fixed point and in the clear.
    pub loss: f64,
    /// How many bits larger than what the texts need each range is.
    pub margin: u32,
    /// The bucket in which bytes are counted.
    pub bucket: usize,
}

/// What a choice of widths gives and costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The widths.
    pub widths: Widths,
    /// The mean of 1 − cosine over the texts.
    pub loss: f64,
    /// The largest.
    pub worst: f64,
    /// Bytes that each server sends online for one embedding of the bucket.
    pub opening_bytes: usize,
    /// Bytes of its material.
    pub material_bytes: usize,
}

/// Why widths cannot be chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WidthError {
    /// The encoder has no widths.
    #[error("the encoder's attention is {0}, expected linear: only its rings can be chosen")]
    Attention(blindroute_routing::bundle::Attention),
    /// There are no texts.
    #[error("no text to measure the encoder on; give a file with at least one")]
    NoTexts,
    /// There is no such width.
    #[error("there is no width {name}, expected one of {expected}")]
    Name {
        /// The given name.
        name: String,
        /// The names of all widths.
        expected: String,
    },
    /// The texts need wider rings than there are.
    #[error("the texts need wider rings than the program has ({0}); train with a larger --penalty")]
    Ranges(Error),
    /// A text cannot be embedded.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// The program cannot run.
    #[error(transparent)]
    Program(#[from] Error),
    /// The widths do not make a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Texts that people do not write, on which values are largest: one token many times, rare scripts, digits, signs.
pub fn unusual_texts() -> Vec<String> {
    let many = |text: &str, times: usize| vec![text; times].join(" ");
    vec![
        "a".to_owned(),
        many("the", 254),
        many("THE", 100),
        many("[", 254),
        many("!", 200),
        many("zyzzyva", 60),
        many("0", 254),
        "3.141592653589793 ".repeat(16),
        "\u{1f600}\u{1f680} ".repeat(80),
        "\u{6f22}\u{5b57}\u{4eee}\u{540d} ".repeat(60),
        "\u{5d0}\u{5d1}\u{5d2} \u{627}\u{644}\u{639} \u{939}\u{93f} ".repeat(40),
        // Characters that the vocabulary does not have.
        many("\u{13000}", 254),
        "{}();<>=+-*/&|^~#@$%\\ ".repeat(12),
    ]
}

/// A field of [`Widths`], and its name.
pub(super) type Field = (&'static str, fn(&mut Widths) -> &mut u32);

pub(super) const RANGES: [Field; 5] = [
    // Before sum_range, which may not be much smaller.
    ("norm_high", |widths| &mut widths.norm_high),
    ("mean_range", |widths| &mut widths.mean_range),
    ("context_range", |widths| &mut widths.context_range),
    ("sum_range", |widths| &mut widths.sum_range),
    ("inner_range", |widths| &mut widths.inner_range),
];
/// The one range that grows from below.
pub(super) const LOW: Field = ("norm_low", |widths| &mut widths.norm_low);
pub(super) const FRACTIONS: [Field; 6] = [
    ("weights", |widths| &mut widths.weights),
    ("layer", |widths| &mut widths.layer),
    ("heads", |widths| &mut widths.heads),
    ("means", |widths| &mut widths.means),
    ("inner", |widths| &mut widths.inner),
    ("activated", |widths| &mut widths.activated),
];

fn fewer(mut widths: Widths, (_, field): Field) -> Option<Widths> {
    let value = field(&mut widths);
    *value = value.checked_sub(1)?;
    widths.check().is_ok().then_some(widths)
}

fn more(mut widths: Widths, (_, field): Field) -> Option<Widths> {
    *field(&mut widths) += 1;
    widths.check().is_ok().then_some(widths)
}

/// The texts, with what the clear program makes of them.
struct Trial<'a> {
    bundle: &'a Bundle,
    weights: Vec<Tensor<f32>>,
    prompts: Vec<(usize, Vec<Tensor<f32>>, Vec<f64>)>,
    bucket: usize,
}

impl Trial<'_> {
    fn plan(&self, widths: Widths) -> Arc<BundlePlan> {
        let mut plan = BundlePlan::of(self.bundle);
        plan.encoder.widths = widths;
        Arc::new(plan)
    }

    /// The fit, or nothing if a value leaves its ring.
    fn fit(&self, widths: Widths) -> Result<Option<Fit>, Error> {
        let plan = self.plan(widths);
        let losses = self.prompts.par_iter().map(|(bucket, inputs, clear)| {
            let program = RouteProgram::new(Arc::clone(&plan), Measurement::Embed { bucket: *bucket })?;
            match Fixed::run(&program, &self.weights, inputs) {
                Ok((output, _)) if outside_range(&output) => Ok(None),
                Ok((output, _)) => Ok(Some(1.0 - cosine(embedding(&output), clear))),
                Err(Error::Overflow { .. }) => Ok(None),
                Err(other) => Err(other),
            }
        });
        let losses: Vec<Option<f64>> = losses.collect::<Result<_, Error>>()?;
        let Some(losses) = losses.into_iter().collect::<Option<Vec<f64>>>() else { return Ok(None) };
        let program = RouteProgram::new(plan, Measurement::Embed { bucket: self.bucket })?;
        let cost = Meter::cost(&program)?;
        Ok(Some(Fit {
            widths,
            loss: losses.iter().sum::<f64>() / losses.len() as f64,
            worst: losses.iter().copied().fold(0.0, f64::max),
            opening_bytes: cost.opening_bytes,
            material_bytes: cost.material_bytes,
        }))
    }
}

/// Chooses widths for the bundle's encoder on these token ids, and calls `on_step` with each accepted choice, the first of
/// which is that of the bundle.
pub fn fit_widths(
    bundle: &Bundle,
    texts: &[Vec<u32>],
    options: &WidthOptions,
    on_step: &mut dyn FnMut(&Fit),
) -> Result<Fit, WidthError> {
    let trial = trial(bundle, texts, options.bucket)?;
    let start = with_widths(bundle.parts().encoder.widths, &options.given)?;
    let open = |field: &Field| !options.given.iter().any(|(name, _)| name == field.0);
    let mut best = match trial.fit(start)? {
        Some(fit) => fit,
        None => return Err(WidthError::Ranges(overflow(&trial, start)?)),
    };
    on_step(&best);
    // Ranges first: they cost no precision, so their order does not matter.
    let mut widths = start;
    for field in RANGES.into_iter().filter(open) {
        let mut least = widths;
        while let Some(candidate) = fewer(least, field) {
            if trial.fit(candidate)?.is_none() {
                break;
            }
            least = candidate;
        }
        let with_margin = *field.1(&mut least) + options.margin;
        let first = *field.1(&mut widths);
        *field.1(&mut widths) = with_margin.min(first);
    }
    if open(&LOW) {
        let mut most = widths;
        while let Some(candidate) = more(most, LOW) {
            if trial.fit(candidate)?.is_none() {
                break;
            }
            most = candidate;
        }
        widths.norm_low = most.norm_low.saturating_sub(options.margin).max(widths.norm_low);
    }
    best = trial.fit(widths)?.unwrap_or(best);
    on_step(&best);
    loop {
        let mut next: Option<(f64, Fit)> = None;
        for field in FRACTIONS.into_iter().filter(open) {
            let Some(candidate) = fewer(best.widths, field) else { continue };
            let Some(fit) = trial.fit(candidate)? else { continue };
            let saved = best.opening_bytes.saturating_sub(fit.opening_bytes) as f64;
            if fit.loss > options.loss || saved <= 0.0 {
                continue;
            }
            let worth = saved / (fit.loss - best.loss).max(1e-9);
            if next.is_none_or(|(most, _)| worth > most) {
                next = Some((worth, fit));
            }
        }
        let Some((_, fit)) = next else { return Ok(best) };
        best = fit;
        on_step(&best);
    }
}

/// These widths with the given ones, by name, in their places.
///
/// # Errors
/// If a name is unknown, or the program has no rings for the widths.
pub fn with_widths(mut widths: Widths, given: &[(String, u32)]) -> Result<Widths, WidthError> {
    for (name, bits) in given {
        let all = || RANGES.into_iter().chain([LOW]).chain(FRACTIONS);
        let Some((_, field)) = all().find(|(known, _)| known == name) else {
            let expected = all().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            return Err(WidthError::Name { name: name.clone(), expected });
        };
        *field(&mut widths) = *bits;
    }
    widths.check()?;
    Ok(widths)
}

fn trial<'a>(bundle: &'a Bundle, texts: &[Vec<u32>], bucket: usize) -> Result<Trial<'a>, WidthError> {
    let parts = bundle.parts();
    if parts.encoder.attention != blindroute_routing::bundle::Attention::Linear {
        return Err(WidthError::Attention(parts.encoder.attention));
    }
    if texts.is_empty() {
        return Err(WidthError::NoTexts);
    }
    let plan = Arc::new(BundlePlan::of(bundle));
    let weights = weight_tensors(bundle, &plan)?;
    let prompts = texts.par_iter().map(|ids| -> Result<_, WidthError> {
        let bucket = tokenizer::bucket(ids.len()).unwrap_or(usize::MAX);
        let inputs = RouteInputs::embed(&parts.embedding, &parts.encoder, ids, bucket)?.tensors;
        let program = RouteProgram::new(Arc::clone(&plan), Measurement::Embed { bucket })?;
        let clear = embedding(&Clear::run(&program, &weights, inputs.clone())?).to_vec();
        Ok((bucket, inputs, clear))
    });
    let prompts = prompts.collect::<Result<_, _>>()?;
    Ok(Trial { bundle, weights, prompts, bucket })
}

/// The first value that leaves its ring.
fn overflow(trial: &Trial<'_>, widths: Widths) -> Result<Error, WidthError> {
    let plan = trial.plan(widths);
    for (bucket, inputs, _) in &trial.prompts {
        let program = RouteProgram::new(Arc::clone(&plan), Measurement::Embed { bucket: *bucket })?;
        match Fixed::run(&program, &trial.weights, inputs) {
            Err(error) => return Ok(error),
            Ok((output, _)) if outside_range(&output) => {
                let Widths { norm_low, norm_high, .. } = widths;
                let problem = format!("the squared norm of a row is not from 2^{norm_low} to 2^{norm_high}");
                return Ok(Error::Program(problem));
            }
            Ok(_) => {}
        }
    }
    Ok(Error::Program("the texts stay in the rings".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::{small_encoder, small_encoder_of};
    use blindroute_routing::bundle::{Activation, Attention, Matrix, Norms};

    fn polynomial() -> Bundle {
        let mut parts = small_encoder_of(32, Attention::Linear, Activation::Square).into_parts();
        parts.encoder.norms = Norms::Output;
        parts.encoder.widths.norm_low = 1;
        // Squares of what the layers give would leave the widest ring.
        for layer in &mut parts.layers {
            for matrix in [&mut layer.up.weight, &mut layer.value.weight] {
                *matrix =
                    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| matrix.row(row)[column] / 16.0);
            }
        }
        Bundle::new(parts).unwrap()
    }

    fn texts() -> Vec<Vec<u32>> {
        (0..12u32).map(|text| (0..2 + text % 6).map(|place| (text * 7 + place * place * 3) % 24).collect()).collect()
    }

    #[test]
    fn fewer_bits_cost_less_within_the_loss_and_the_margin() {
        let bundle = polynomial();
        let options = WidthOptions { given: Vec::new(), loss: 1e-3, margin: 1, bucket: 32 };
        let mut steps = Vec::new();
        let fit = fit_widths(&bundle, &texts(), &options, &mut |fit| steps.push(*fit)).unwrap();
        assert_eq!((steps[0].widths, steps.last()), (bundle.parts().encoder.widths, Some(&fit)));
        assert!(steps.windows(2).all(|pair| pair[1].opening_bytes < pair[0].opening_bytes), "{steps:?}");
        assert!(fit.loss <= 1e-3 && fit.worst >= fit.loss, "{fit:?}");
        // Each range that shrank has one bit more than the texts need.
        let trial = trial(&bundle, &texts(), 32).unwrap();
        for (index, field) in RANGES.into_iter().enumerate() {
            let mut widths = fit.widths;
            let start = *field.1(&mut Widths::default());
            if *field.1(&mut widths) < start {
                *field.1(&mut widths) -= 1;
                assert!(trial.fit(widths).unwrap().is_some(), "range {index} of {:?}", fit.widths);
            }
        }
        // Any fraction bit fewer loses too much, or saves nothing.
        for field in FRACTIONS {
            let Some(widths) = fewer(fit.widths, field) else { continue };
            let less = trial.fit(widths).unwrap();
            assert!(less.is_none_or(|less| less.loss > 1e-3 || less.opening_bytes >= fit.opening_bytes), "{less:?}");
        }
    }

    #[test]
    fn given_widths_are_kept() {
        let pins = [("weights", 10), ("norm_high", 16), ("sum_range", 9), ("inner", 8)]
            .map(|(name, bits)| (name.to_owned(), bits));
        let options = WidthOptions { given: pins.into(), loss: 1e-2, margin: 1, bucket: 32 };
        let fit = fit_widths(&polynomial(), &texts(), &options, &mut |_| ()).unwrap();
        assert_eq!((fit.widths.weights, fit.widths.sum_range, fit.widths.inner), (10, 9, 8));
        assert!(
            fit.widths.layer < Widths::default().layer && fit.widths.context_range < Widths::default().context_range
        );
        let refused = |name: &str, bits| {
            let options = WidthOptions { given: vec![(name.to_owned(), bits)], ..options.clone() };
            fit_widths(&polynomial(), &texts(), &options, &mut |_| ()).unwrap_err().to_string()
        };
        assert!(
            refused("weight", 10).contains("no width weight, expected one of norm_high"),
            "{}",
            refused("weight", 10)
        );
        assert!(refused("weights", 20).contains("encoder.widths.weights"), "{}", refused("weights", 20));
    }

    #[test]
    fn what_has_no_widths_is_refused() {
        let options = WidthOptions { given: Vec::new(), loss: 1e-3, margin: 1, bucket: 32 };
        let problem = |bundle: &Bundle, texts: &[Vec<u32>]| {
            fit_widths(bundle, texts, &options, &mut |_| ()).unwrap_err().to_string()
        };
        let other = small_encoder(Attention::TwoRelu, Activation::Relu);
        assert!(problem(&other, &texts()).contains("attention is 2relu, expected linear"));
        assert!(problem(&polynomial(), &[]).contains("no text to measure"));
        // A range that the texts exceed.
        let mut parts = polynomial().into_parts();
        parts.encoder.widths.inner_range = 1;
        parts.layers.iter_mut().for_each(|layer| {
            layer.up.bias = Matrix::from_fn(1, layer.up.bias.columns(), |_, _| 6.0);
        });
        assert!(problem(&Bundle::new(parts).unwrap(), &texts()).contains("the texts need wider rings"));
    }
}
