//! Training a router with several ways to read prompts, and keeping the best: what `blindroute train` does.

use crate::Stop;
use crate::data::Dataset;
use crate::encoders::{DatasetEmbedError, EmbedEvent, Embedded, embed_dataset};
use crate::routers::{Method, NewRouter, TrainError, TrainRouterError, Trained, train_router, with_window};
use blindroute_routing::bundle::{Bundle, BundleError, Router};
use blindroute_routing::lexical::Lexical;
use blindroute_routing::tokenizer::Window;
use serde::Serialize;
use std::path::Path;

mod report;
mod set;

pub use report::TrainReport;
pub use set::SetReport;

/// The weights of lexical features that are tried, unless some are given.
const WEIGHTS: [f32; 3] = [0.0, 0.7, 1.4];

/// A router to train, and how it may read prompts.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// Its name in the bundle; none for that of the method.
    pub name: Option<&'a str>,
    /// What it is trained on and under which licence; it becomes a line of the bundle's origin.
    pub source: &'a str,
    /// Its kind, and how it is trained.
    pub method: &'a Method,
    /// A router of the same kind to start from, whose lexical features it keeps.
    pub start: Option<StartFrom<'a>>,
    /// Which tokens of long prompts to try to read; none for the bundle's own.
    pub windows: &'a [Window],
    /// Weights of lexical features beside the embedding to try, 0 for none; no weights for the method's own.
    pub lexical: &'a [f32],
    /// A file that keeps embeddings, see [`embed_dataset`].
    pub embeddings: Option<&'a Path>,
}

/// A router to start from.
#[derive(Clone, Copy, Debug)]
pub struct StartFrom<'a> {
    /// Its name.
    pub router: &'a str,
    /// The bundle that holds it; none for the bundle that gets the new router.
    pub bundle: Option<&'a Bundle>,
}

/// What happens in a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainEvent {
    /// Prompts are embedded.
    Embedding(EmbedEvent),
    /// A router was trained on all folds but one, or training begins.
    Folds {
        /// The folds that are done, of all ways to read.
        done: usize,
        /// All folds; 0 while they are not counted yet.
        all: usize,
    },
}

/// A way to read prompts that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReadingTrial {
    /// Which tokens of a long prompt are read.
    pub window: Window,
    /// The lexical features.
    pub lexical: Option<Lexical>,
    /// The router's area in the cross-validation.
    pub area: f64,
}

/// The best router in the cross-validation, and all ways to read that were tried.
#[derive(Debug)]
pub struct BestReading {
    /// The bundle with the router, and its results.
    pub trained: Trained,
    /// The router's name.
    pub name: String,
    /// How it reads prompts.
    pub chosen: ReadingTrial,
    /// All that were tried, in their order.
    pub tried: Vec<ReadingTrial>,
    /// Other routers that were dropped, because they were trained with another window than the chosen one.
    pub other_window: Vec<String>,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainBestError {
    /// The data set cannot be embedded, or its file of embeddings cannot be used.
    #[error(transparent)]
    Embed(#[from] DatasetEmbedError),
    /// A router cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainRouterError),
    /// The bundle cannot be used, or has no such router.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A router was trained on other data.
    #[error("the router {router:?} is for other models than the data set's: give the data set that it was trained on")]
    OtherModels {
        /// Which router.
        router: String,
    },
    /// The router to start from is of another kind.
    #[error("the router {router:?} is of kind {kind}: name a router of the kind that is trained")]
    OtherKind {
        /// Which router.
        router: String,
        /// Its kind.
        kind: &'static str,
    },
    /// Both a router to start from and weights of lexical features.
    #[error(
        "weights of lexical features do not fit a router that continues from another: it keeps the features of that one; leave \
         them out"
    )]
    Features,
}

/// The router of this name, for the data set's models.
///
/// # Errors
/// If there is no such router, or it is for other models.
pub fn router_for<'a>(bundle: &'a Bundle, dataset: &Dataset, name: &str) -> Result<&'a Router, TrainBestError> {
    let router = bundle.router(Some(name))?;
    if bundle.parts().models != dataset.models() {
        return Err(TrainBestError::OtherModels { router: name.to_owned() });
    }
    Ok(router)
}

/// Embeds the data set and trains one router for each window and each weight of lexical features, and keeps the best in the
/// cross-validation; on ties the first.
///
/// # Errors
/// Options are checked before prompts are embedded.
pub fn train_best(
    bundle: Bundle,
    dataset: &Dataset,
    training: &Training<'_>,
    on_event: &mut dyn FnMut(TrainEvent),
    stop: &Stop,
) -> Result<BestReading, TrainBestError> {
    let mut method = training.method.clone();
    method.check().map_err(TrainRouterError::Train)?;
    let name = training.name.unwrap_or(method.kind());
    Router::check_name(name)?;
    let features = features(&mut method, training, &bundle, dataset)?;
    let own = [bundle.parts().encoder.window];
    let windows = if training.windows.is_empty() { &own } else { training.windows };
    let (mut tried, all) = (Vec::new(), windows.len() * features.count());
    let mut best: Option<(ReadingTrial, Trained, Vec<String>)> = None;
    for &window in windows {
        let (candidate, dropped) = with_window(bundle.clone(), window)?;
        let embedded = embed_dataset(
            &candidate,
            dataset,
            training.embeddings,
            &mut |at| on_event(TrainEvent::Embedding(at)),
            stop,
        )?;
        for lexical in features.of(&embedded) {
            on_event(TrainEvent::Folds { done: 0, all: 0 });
            let before = tried.len();
            let mut on_fold =
                |done, folds| on_event(TrainEvent::Folds { done: before * folds + done, all: all * folds });
            let new = NewRouter { name, source: training.source, method: &method, lexical };
            let trained = train_router(candidate.clone(), dataset, &embedded, new, &mut on_fold, stop)?;
            let trial = ReadingTrial { window, lexical, area: trained.cross_validation.area };
            tried.push(trial);
            if best.as_ref().is_none_or(|(best, ..)| trial.area > best.area) {
                best = Some((trial, trained, dropped.clone()));
            }
        }
    }
    let hint = "give at least one window and one weight of lexical features";
    let nothing = TrainRouterError::Train(TrainError::Options { what: "way to read prompts", hint });
    let (chosen, trained, mut other_window) = best.ok_or(nothing)?;
    other_window.retain(|router| router != name);
    Ok(BestReading { trained, name: name.to_owned(), chosen, tried, other_window })
}

/// The lexical features to try.
enum Features {
    /// With these weights.
    Weighing(Vec<f32>),
    /// The same as of another router.
    Same(Option<Lexical>),
}

impl Features {
    fn count(&self) -> usize {
        match self {
            Self::Weighing(weights) => weights.len(),
            Self::Same(_) => 1,
        }
    }

    fn of(&self, embedded: &Embedded) -> Vec<Option<Lexical>> {
        match self {
            Self::Weighing(weights) => weights.iter().map(|weight| embedded.lexical(*weight)).collect(),
            Self::Same(lexical) => vec![*lexical],
        }
    }
}

/// What to try of lexical features. If the training continues from another router, the method gets its start.
fn features(
    method: &mut Method,
    training: &Training<'_>,
    bundle: &Bundle,
    dataset: &Dataset,
) -> Result<Features, TrainBestError> {
    if let Some(weight) = training.lexical.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        let (what, expected) = ("a weight of lexical features", "numbers of 0 or more");
        let wrong = TrainError::Number { what, found: f64::from(*weight), expected };
        return Err(TrainRouterError::Train(wrong).into());
    }
    let Some(StartFrom { router, bundle: other }) = training.start else {
        let given = training.lexical.to_vec();
        return Ok(Features::Weighing(if !given.is_empty() {
            given
        } else if let Method::Cscr(_) = method {
            // Training a projection takes longest.
            WEIGHTS[..2].to_vec()
        } else {
            WEIGHTS.to_vec()
        }));
    };
    if !training.lexical.is_empty() {
        return Err(TrainBestError::Features);
    }
    let router = router_for(other.unwrap_or(bundle), dataset, router)?;
    if !method.start_from(&router.rule) {
        return Err(TrainBestError::OtherKind { router: router.name.clone(), kind: router.kind() });
    }
    Ok(Features::Same(router.lexical))
}

#[cfg(test)]
mod tests;
