//! Training a router into a bundle.

use crate::Stop;
use crate::data::{Dataset, Samples, Split, TableError};
use crate::encoders::Embedded;
use crate::evaluation::{self, Report};
use crate::routers::{CrossValidated, Method, TrainError, Verdict, cscr, direct, uniroute};
use blindroute_routing::bundle::{Bundle, BundleError, Router, Rule};
use blindroute_routing::lexical::Lexical;
use serde::Serialize;

/// A router to train.
#[derive(Clone, Copy, Debug)]
pub struct NewRouter<'a> {
    /// Its name in the bundle.
    pub name: &'a str,
    /// What it is trained on and under which licence; it becomes a line of the bundle's origin.
    pub source: &'a str,
    /// Its kind, and how it is trained.
    pub method: &'a Method,
    /// The lexical features that it reads beside the embedding, see [`Embedded::lexical`].
    pub lexical: Option<Lexical>,
}

/// The settings that cross-validation chose.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Chosen {
    /// For UniRoute.
    UniRoute {
        /// The combination that won.
        #[serde(flatten)]
        best: uniroute::Trial,
        /// All combinations that were tried.
        tried: Vec<uniroute::Trial>,
    },
    /// For the direct router.
    Direct {
        /// The penalty that was chosen.
        #[serde(flatten)]
        best: direct::Trial,
        /// All penalties that were tried.
        tried: Vec<direct::Trial>,
    },
    /// For CSCR.
    Cscr {
        /// The combination that won.
        #[serde(flatten)]
        best: cscr::Trial,
        /// All combinations that were tried.
        tried: Vec<cscr::Trial>,
    },
}

/// A bundle with a new router, and the router's results.
#[derive(Debug)]
pub struct Trained {
    /// The bundle: the data set's models, the new router, and the other routers if they are for the same models.
    pub bundle: Bundle,
    /// Routers of the given bundle that were dropped because they are for other models.
    pub dropped: Vec<String>,
    /// The settings that cross-validation chose.
    pub chosen: Chosen,
    /// Whether cross-validation is sure that the router is better than the prompt-blind hull.
    pub validated: CrossValidated,
    /// The share of the router's own predictions in a mixture with the prompt-blind hull; 1 for the router as it is.
    pub share: f32,
    /// Whether the bundle's default router is this one.
    pub is_default: bool,
    /// Results on the train and valid splits, by routers that have not seen the prompt.
    pub cross_validation: Report,
    /// Results on the split that nothing was chosen on.
    pub test: Report,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainRouterError {
    /// The data set does not fit the embeddings.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The data or the options cannot be used.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The bundle cannot hold the result.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Trains a router on the train and valid splits and puts it into the bundle under its name, replacing a router of that name. A new
/// UniRoute router comes first and is the default, if cross-validation is sure that it is better than the prompt-blind hull;
/// other routers come last. If cross-validation is not sure of a default router that is replaced, it goes to the last place.
///
/// Calls `on_fold` after each fold of the cross-validation with the number of folds that are done and of all.
///
/// `embedded` are all prompts of the data set by the bundle's encoder ([`embed_dataset`](crate::encoders::embed_dataset)).
pub fn train_router(
    bundle: Bundle,
    dataset: &Dataset,
    embedded: &Embedded,
    new: NewRouter<'_>,
    on_fold: &mut dyn FnMut(usize, usize),
    stop: &Stop,
) -> Result<Trained, TrainRouterError> {
    let cost = dataset.relative_costs();
    let NewRouter { name, source, method, lexical } = new;
    let inputs = embedded.inputs(&bundle.tokenizer()?, lexical);
    let samples = dataset.tuning_samples(&inputs)?;
    let test = dataset.samples(Split::Test, &inputs)?;
    let (rule, verdict, chosen) = fitted(&samples, &cost, method, on_fold, stop)?;
    let Verdict { lambda, validated, share, utilities, .. } = verdict;
    let cross_validation = evaluation::report_of_utilities(&utilities, &cost, lambda, &samples, dataset.models());
    let test = evaluation::report(&rule, lambda, &test, dataset.models());

    let mut parts = bundle.into_parts();
    let mut dropped = Vec::new();
    if parts.models != dataset.models() {
        dropped = parts.routers.drain(..).map(|router| router.name).collect();
        parts.models = dataset.models().to_vec();
    }
    let place = parts.routers.iter().position(|router| router.name == name);
    dropped.retain(|other| other != name);
    let sure = validated.is_sure();
    let leads = matches!(rule, Rule::UniRoute(_)) && sure;
    let router = Router { name: name.to_owned(), lambda, lexical, rule };
    match place {
        Some(0) if !sure => {
            parts.routers.remove(0);
            parts.routers.push(router);
        }
        Some(place) => parts.routers[place] = router,
        None if leads => parts.routers.insert(0, router),
        None => parts.routers.push(router),
    }
    let is_default = parts.routers.first().is_some_and(|first| first.name == name);
    parts.origin = with_source(&parts.origin, &dropped, name, source);
    let bundle = Bundle::new(parts)?;
    Ok(Trained { bundle, dropped, chosen, validated, share, is_default, cross_validation, test })
}

/// The rule that a method gives, what cross-validation says of it, and its settings.
fn fitted(
    samples: &Samples,
    cost: &[f32],
    method: &Method,
    on_fold: &mut dyn FnMut(usize, usize),
    stop: &Stop,
) -> Result<(Rule, Verdict, Chosen), TrainError> {
    Ok(match method {
        Method::UniRoute(options) => {
            let fit = uniroute::train(samples, cost, options, on_fold, stop)?;
            (Rule::UniRoute(fit.router), fit.verdict, Chosen::UniRoute { best: fit.chosen, tried: fit.tried })
        }
        Method::Direct(options) => {
            let fit = direct::train(samples, cost, options, on_fold, stop)?;
            (Rule::Direct(fit.router), fit.verdict, Chosen::Direct { best: fit.chosen, tried: fit.tried })
        }
        Method::Cscr(options) => {
            let fit = cscr::train(samples, cost, options, on_fold, stop)?;
            (Rule::Cscr(fit.router), fit.verdict, Chosen::Cscr { best: fit.chosen, tried: fit.tried })
        }
    })
}

/// The origin with this router's line, in the place of its old line or at the end, and without the lines of dropped routers.
pub(crate) fn with_source(origin: &str, dropped: &[String], name: &str, source: &str) -> String {
    let prefix = format!("router {name}: ");
    let new = format!("{prefix}{}", source.split_whitespace().collect::<Vec<_>>().join(" "));
    let gone = |line: &str| dropped.iter().any(|router| line.starts_with(&format!("router {router}: ")));
    let mut lines: Vec<&str> = origin.lines().filter(|line| !gone(line)).collect();
    match lines.iter_mut().find(|line| line.starts_with(&prefix)) {
        Some(line) => *line = &new,
        None => lines.push(&new),
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Prompt;
    use crate::data::synthetic::without_text;
    use blindroute_routing::bundle::{Matrix, Model};

    #[test]
    fn the_origin_has_one_line_per_router() {
        let origin = with_source("encoder: public", &[], "uniroute", "set A,\nMIT");
        assert_eq!(origin, "encoder: public\nrouter uniroute: set A, MIT");
        let origin = with_source(&origin, &[], "direct", "set A");
        assert_eq!(
            with_source(&origin, &[], "uniroute", "set B"),
            "encoder: public\nrouter uniroute: set B\nrouter direct: set A"
        );
        assert_eq!(
            with_source(&origin, &["direct".to_owned()], "uniroute", "set B"),
            "encoder: public\nrouter uniroute: set B"
        );
    }

    /// The shipped encoder without routers, and a synthetic data set with its embeddings.
    fn case(models: usize) -> (Bundle, Dataset, Embedded) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
        let mut parts = Bundle::open(&path).unwrap().bundle.into_parts();
        (parts.models, parts.routers, parts.origin) = (Vec::new(), Vec::new(), "encoder: public".to_owned());
        let prompt = |index: usize| Prompt {
            id: index.to_string(),
            text: "a".to_owned(),
            source: String::new(),
            split: Split::ALL[index % 3],
        };
        let model = |index: usize| Model {
            name: format!("model {index}"),
            price: 1.0 + index as f64,
            unit: "USD per 1M tokens".to_owned(),
        };
        let dataset = Dataset {
            models: (0..models).map(model).collect(),
            prompts: (0..90).map(prompt).collect(),
            scores: Matrix::from_fn(90, models, |row, model| if row / 3 % models == model { 1.0 } else { 0.0 }),
            query_costs: None,
        };
        let noise = |row: usize, column: usize| ((row * 31 + column * 17) % 23) as f32 / 2300.0;
        let embeddings =
            Matrix::from_fn(90, 384, |row, column| if row / 3 % models == column { 1.0 } else { noise(row, column) });
        (Bundle::new(parts).unwrap(), dataset, without_text(embeddings))
    }

    fn names(bundle: &Bundle) -> Vec<&str> {
        bundle.parts().routers.iter().map(|router| router.name.as_str()).collect()
    }

    #[test]
    fn routers_join_the_bundle_and_other_pools_are_dropped() {
        let (bundle, dataset, embeddings) = case(3);
        let direct = Method::Direct(direct::Options::default());
        let uniroute = Method::UniRoute(uniroute::Options { clusters: vec![3], ..Default::default() });
        let cscr = Method::Cscr(cscr::Options { widths: vec![3], passes: 2, ..Default::default() });
        let train = |bundle, dataset, embedded, method, name| {
            let new = NewRouter { name, source: "made up", method, lexical: None };
            train_router(bundle, dataset, embedded, new, &mut |_, _| (), &Stop::never()).unwrap()
        };
        let trained = train(bundle, &dataset, &embeddings, &direct, "direct");
        assert!(trained.test.area > trained.test.prompt_free_area + 0.2, "{:?}", trained.test);
        let trained = train(trained.bundle, &dataset, &embeddings, &uniroute, "near");
        assert!(trained.test.area > trained.test.prompt_free_area + 0.2, "{:?}", trained.test);
        assert_eq!(names(&trained.bundle), ["near", "direct"]);
        let trained = train(trained.bundle, &dataset, &embeddings, &cscr, "direct");
        assert_eq!(names(&trained.bundle), ["near", "direct"]);
        assert_eq!(trained.bundle.parts().routers[1].kind(), "cscr");
        assert!(trained.dropped.is_empty());
        let (_, dataset, embeddings) = case(4);
        let trained = train(trained.bundle, &dataset, &embeddings, &direct, "direct");
        assert_eq!((names(&trained.bundle), trained.dropped), (vec!["direct"], vec!["near".to_owned()]));
        assert_eq!(trained.bundle.parts().origin, "encoder: public\nrouter direct: made up");
    }

    /// Embeddings that say nothing, and tokens that say all: only a router with lexical features learns from them.
    #[test]
    fn lexical_features_teach_what_embeddings_do_not() {
        let (bundle, dataset, _) = case(3);
        let noise = |row: usize, column: usize| ((row * 7919 + column * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        let tokenizer = bundle.tokenizer().unwrap();
        let tokens =
            ["a poem of the sea", "2 + 2 = 4", "def f(x): return x"].map(|text| tokenizer.encode(text).unwrap().ids);
        let places = (0..90).map(|row| row / 3 % 3).collect();
        let embedded = Embedded::new(Matrix::from_fn(90, 384, noise), tokens.into(), places);
        let options = uniroute::Options { clusters: vec![3], clusterings: vec![4], ..Default::default() };
        for method in [Method::UniRoute(options), Method::Direct(direct::Options::default())] {
            let of = |lexical| {
                let new = NewRouter { name: "one", source: "made up", method: &method, lexical };
                train_router(bundle.clone(), &dataset, &embedded, new, &mut |_, _| (), &Stop::never()).unwrap()
            };
            let (without, with) = (of(None), of(embedded.lexical(1.0)));
            assert!(!without.validated.is_sure() && with.validated.is_sure(), "{:?}", with.validated);
            assert!(with.test.area > without.test.area + 0.1, "{} and {}", with.test.area, without.test.area);
            assert_eq!(with.bundle.parts().routers[0].lexical, embedded.lexical(1.0));
        }
    }

    /// Embeddings that say nothing: the router joins the bundle, but not as its default.
    #[test]
    fn a_router_that_is_not_surely_better_is_not_the_default() {
        let (bundle, dataset, embeddings) = case(3);
        let options = uniroute::Options { clusters: vec![3], clusterings: vec![1], ..Default::default() };
        let uniroute = Method::UniRoute(options);
        let noise = |row: usize, column: usize| ((row * 7919 + column * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        let noise = without_text(Matrix::from_fn(90, 384, noise));
        let train = |bundle, embedded, name| {
            let new = NewRouter { name, source: "made up", method: &uniroute, lexical: None };
            train_router(bundle, &dataset, embedded, new, &mut |_, _| (), &Stop::never()).unwrap()
        };
        let good = train(bundle, &embeddings, "good");
        assert!(good.is_default && good.validated.is_sure());
        let blind = train(good.bundle, &noise, "blind");
        assert!(!blind.is_default && !blind.validated.is_sure(), "{:?}", blind.validated);
        assert_eq!(names(&blind.bundle), ["good", "blind"]);
        // A default router that is no longer sure gives way to another.
        let worse = train(blind.bundle, &noise, "good");
        assert_eq!((names(&worse.bundle), worse.is_default), (vec!["blind", "good"], false));
    }
}
