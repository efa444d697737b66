//! Trying several ways to read prompts in a training: windows, and weights of lexical features.

use anyhow::{Context, bail};
use blindroute_lab::encoders::Embedded;
use blindroute_lab::routers::{Trained, with_window};
use blindroute_routing::bundle::{Bundle, Router};
use blindroute_routing::lexical::Lexical;
use blindroute_routing::tokenizer::Window;
use serde::Serialize;

use super::bundle_import::one_of;

/// How the router reads prompts: each combination is trained.
#[derive(clap::Args, Debug)]
pub(super) struct ReadingArgs {
    /// Which 256 tokens of a longer prompt the encoder reads: the first (head), the last (tail), or the first 128 and the
    /// last 128 (both). With several, the one with the best area in the cross-validation is stored in the bundle. A change
    /// drops the bundle's other routers [default: the bundle's own].
    #[arg(long, value_delimiter = ',', value_name = "W,...", value_parser = one_of::<Window>(&["head", "tail", "both"]))]
    window: Vec<Window>,
    /// Weights of lexical features (length, kinds of tokens, hashed tokens) beside the embedding, 0 for none. With several, the
    /// one with the best area in the cross-validation is kept [default: 0,0.7,1.4, for cscr 0,0.7, with --fine-tune those of
    /// the router that is named].
    #[arg(long, value_delimiter = ',', value_name = "W,...")]
    lexical: Vec<f32>,
}

/// The weights that are tried, unless some are given.
const WEIGHTS: [f32; 3] = [0.0, 0.7, 1.4];

/// The lexical features to try.
enum Features {
    /// With these weights.
    Weighing(Vec<f32>),
    /// The same as of another router.
    Same(Option<Lexical>),
}

/// A combination that was tried.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ReadingTrial {
    /// Which tokens of a long prompt are read.
    pub(super) window: Window,
    /// The lexical features.
    pub(super) lexical: Option<Lexical>,
    /// The router's area in the cross-validation.
    pub(super) area: f64,
}

/// Trains a router of these features into a bundle.
type Train<'a> = dyn Fn(Bundle, &Embedded, Option<Lexical>) -> anyhow::Result<Trained> + 'a;

/// The best in the cross-validation, and all that were tried.
pub(super) struct BestReading {
    pub(super) trained: Trained,
    pub(super) chosen: ReadingTrial,
    pub(super) tried: Vec<ReadingTrial>,
}

impl ReadingArgs {
    /// What to try of lexical features for a router of this kind, which may continue from another.
    fn features(&self, kind: &str, continued: Option<&Router>) -> anyhow::Result<Features> {
        if let Some(weight) = self.lexical.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            bail!("unsupported --lexical {weight}: expected weights of 0 or more");
        }
        match continued {
            Some(_) if !self.lexical.is_empty() => {
                bail!("--lexical does not fit --fine-tune: the router keeps the features of the one that is named")
            }
            Some(router) => Ok(Features::Same(router.lexical)),
            None if !self.lexical.is_empty() => Ok(Features::Weighing(self.lexical.clone())),
            // Training a projection takes longest.
            None if kind == "cscr" => Ok(Features::Weighing(WEIGHTS[..2].to_vec())),
            None => Ok(Features::Weighing(WEIGHTS.to_vec())),
        }
    }

    /// Trains once per combination and keeps the best in the cross-validation; on ties the first. `embed` embeds with a
    /// bundle's encoder. Warns of routers that were dropped because the window changed.
    pub(super) fn best(
        &self,
        bundle: Bundle,
        (kind, name): (&str, &str),
        continued: Option<&Router>,
        embed: &dyn Fn(&Bundle) -> anyhow::Result<Embedded>,
        train: &Train<'_>,
    ) -> anyhow::Result<BestReading> {
        let own = [bundle.parts().encoder.window];
        let windows = if self.window.is_empty() { &own } else { self.window.as_slice() };
        let features = self.features(kind, continued)?;
        let mut tried = Vec::new();
        let mut best: Option<(ReadingTrial, Trained, Vec<String>)> = None;
        for &window in windows {
            let (candidate, dropped) = with_window(bundle.clone(), window)?;
            let embedded = embed(&candidate)?;
            let all = match &features {
                Features::Weighing(weights) => weights.iter().map(|weight| embedded.lexical(*weight)).collect(),
                Features::Same(lexical) => vec![*lexical],
            };
            for lexical in all {
                let trained = train(candidate.clone(), &embedded, lexical)?;
                let trial = ReadingTrial { window, lexical, area: trained.cross_validation.area };
                tried.push(trial);
                if best.as_ref().is_none_or(|(best, ..)| trial.area > best.area) {
                    best = Some((trial, trained, dropped.clone()));
                }
            }
        }
        let (chosen, trained, dropped) = best.context("nothing was tried; please report this")?;
        for router in dropped.iter().filter(|router| *router != name) {
            tracing::warn!(
                "the router {router} was trained with another window than {} and is left out; train it again",
                chosen.window
            );
        }
        Ok(BestReading { trained, chosen, tried })
    }
}

/// Lines of the report: what the router reads, and what else was tried.
pub(super) fn describe(tried: &[ReadingTrial], chosen: ReadingTrial) -> Vec<String> {
    let features = |lexical: Option<Lexical>| match lexical {
        Some(lexical) => format!("{} lexical features of scale {:.2}", lexical.width(), lexical.scale),
        None => "no lexical features".to_owned(),
    };
    let reads = format!("window {}, {}", chosen.window, features(chosen.lexical));
    let of = |trial: &ReadingTrial| format!("window {}, {}: {:.4}", trial.window, features(trial.lexical), trial.area);
    let others = (tried.len() > 1).then(|| "areas in the cross-validation".to_owned());
    let trials = tried.iter().filter(|_| tried.len() > 1).map(|trial| format!("  {}", of(trial)));
    std::iter::once(reads).chain(others).chain(trials).collect()
}
