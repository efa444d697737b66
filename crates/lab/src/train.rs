//! Training a router into a bundle.

use blindroute_routing::bundle::{Bundle, BundleError, Matrix, Router, Rule};
use serde::Serialize;

use crate::{
    LambdaRule, TrainError, choose_lambda, cscr,
    data::{Dataset, Split},
    direct,
    report::{self, Report},
    uniroute,
};

/// Which router to train, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Clusters and errors ([`uniroute`]).
    UniRoute(uniroute::Options),
    /// Predicted scores ([`direct`]).
    Direct(direct::Options),
    /// The stand-in of CSCR's form ([`cscr`]).
    Cscr {
        /// How it is made.
        options: cscr::Options,
        /// How the default weight of cost is chosen.
        lambda: LambdaRule,
    },
}

/// What the validation split decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Chosen {
    /// For UniRoute.
    UniRoute {
        /// The combination that won.
        #[serde(flatten)]
        best: uniroute::Trial,
        /// All that were tried.
        tried: Vec<uniroute::Trial>,
    },
    /// For the direct router.
    Direct {
        /// The penalty that won.
        penalty: f64,
        /// Its area on the validation split.
        area: f64,
    },
    /// For CSCR's form: λ only.
    Cscr {
        /// How many models survive the search.
        keep: usize,
    },
}

/// A bundle with a new router, and what the router is worth.
#[derive(Debug)]
pub struct Trained {
    /// The bundle: the data set's models, the new router, and the other routers where they are for the same models.
    pub bundle: Bundle,
    /// Routers of the given bundle that are for other models and so are gone.
    pub dropped: Vec<String>,
    /// What the validation split decided.
    pub chosen: Chosen,
    /// On the split by which settings were chosen.
    pub valid: Report,
    /// On the split that nothing was chosen by.
    pub test: Report,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainRouterError {
    /// The data or the options cannot be used.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The bundle cannot hold the result.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Trains a router on the train split, chooses on the valid split, and puts it into the bundle under `name`; a router of
/// that name is replaced. A new UniRoute router comes first and so is the default; others come last.
///
/// `embeddings` are of all prompts of the data set, by the bundle's encoder ([`crate::embed_dataset`]). `source` says
/// for people what the router was trained on, under which licence; it becomes a line of the bundle's origin.
pub fn train_router(
    bundle: Bundle,
    dataset: &Dataset,
    embeddings: &Matrix,
    method: &Method,
    name: &str,
    source: &str,
) -> Result<Trained, TrainRouterError> {
    let cost = dataset.relative_costs();
    let train = dataset.samples(Split::Train, embeddings)?;
    let valid = dataset.samples(Split::Valid, embeddings)?;
    let test = dataset.samples(Split::Test, embeddings)?;
    let (rule, lambda, chosen) = match method {
        Method::UniRoute(options) => {
            let fitted = uniroute::train(&train, &valid, &cost, options, &mut |_| ())?;
            let chosen = Chosen::UniRoute { best: fitted.chosen, tried: fitted.tried };
            (Rule::UniRoute(fitted.router), fitted.lambda, chosen)
        }
        Method::Direct(options) => {
            let fitted = direct::train(&train, &valid, &cost, options)?;
            let chosen = Chosen::Direct { penalty: fitted.penalty, area: fitted.area };
            (Rule::Direct(fitted.router), fitted.lambda, chosen)
        }
        Method::Cscr { options, lambda } => {
            let router = cscr::from_outcomes(&train, &cost, options)?;
            let keep = router.keep;
            let rule = Rule::Cscr(router);
            let (lambda, _) = choose_lambda(&rule, &valid, *lambda);
            (rule, lambda, Chosen::Cscr { keep })
        }
    };
    let report = |samples| report::evaluate(&rule, lambda, samples, dataset.models());
    let (valid, test) = (report(&valid), report(&test));

    let mut parts = bundle.into_parts();
    let mut dropped = Vec::new();
    if parts.models != dataset.models() {
        dropped = parts.routers.drain(..).map(|router| router.name).collect();
        parts.models = dataset.models().to_vec();
    }
    let place = parts.routers.iter().position(|router| router.name == name);
    dropped.retain(|other| other != name);
    let is_default = matches!(rule, Rule::UniRoute(_));
    let router = Router { name: name.to_owned(), lambda, rule };
    match place {
        Some(place) => parts.routers[place] = router,
        None if is_default => parts.routers.insert(0, router),
        None => parts.routers.push(router),
    }
    parts.origin = with_source(&parts.origin, &dropped, name, source);
    Ok(Trained { bundle: Bundle::new(parts)?, dropped, chosen, valid, test })
}

/// The origin with this router's line, and without those of routers that are gone.
fn with_source(origin: &str, dropped: &[String], name: &str, source: &str) -> String {
    let of = |router: &str| format!("router {router}: ");
    let gone = |line: &str| dropped.iter().map(String::as_str).chain([name]).any(|gone| line.starts_with(&of(gone)));
    let mut lines: Vec<String> = origin.lines().filter(|line| !gone(line)).map(str::to_owned).collect();
    lines.push(format!("{}{}", of(name), source.split_whitespace().collect::<Vec<_>>().join(" ")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_router_has_one_line_of_origin() {
        let origin = with_source("encoder: public", &[], "uniroute", "set A,\nMIT");
        assert_eq!(origin, "encoder: public\nrouter uniroute: set A, MIT");
        let origin = with_source(&origin, &[], "direct", "set A");
        assert_eq!(
            with_source(&origin, &["direct".to_owned()], "uniroute", "set B"),
            "encoder: public\nrouter uniroute: set B"
        );
    }
}
