//! Training a router into a bundle.

use crate::data::{Dataset, Split, TableError};
use crate::evaluation::{self, Report};
use crate::routers::{TrainError, cscr, direct, uniroute};
use blindroute_routing::bundle::{Bundle, BundleError, Matrix, Router, Rule};
use serde::Serialize;

/// The kind of router to train, and its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Clusters and errors ([`uniroute`]).
    UniRoute(uniroute::Options),
    /// Predicted scores ([`direct`]).
    Direct(direct::Options),
    /// A projection and descriptors ([`cscr`]).
    Cscr(cscr::Options),
}

/// The settings that were chosen on the validation split.
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
        /// The penalty that won.
        penalty: f64,
        /// The area on the validation split.
        area: f64,
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
    /// The settings that were chosen on the validation split.
    pub chosen: Chosen,
    /// Results on the split that settings were chosen on.
    pub valid: Report,
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

/// Trains a router on the train split, chooses its settings on the valid split, and puts it into the bundle under `name`,
/// replacing a router of that name. A new UniRoute router comes first and is the default; others come last.
///
/// `embeddings` are those of all prompts of the data set by the bundle's encoder
/// ([`embed_dataset`](crate::encoders::embed_dataset)). `source` describes what the router was trained on and under which
/// licence; it becomes a line of the bundle's origin.
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
        Method::Cscr(options) => {
            let fitted = cscr::train(&train, &valid, &cost, options, &mut |_| ())?;
            let chosen = Chosen::Cscr { best: fitted.chosen, tried: fitted.tried };
            (Rule::Cscr(fitted.router), fitted.lambda, chosen)
        }
    };
    let report = |samples| evaluation::report(&rule, lambda, samples, dataset.models());
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

/// The origin with this router's line, in the place of its old line or at the end, and without the lines of dropped routers.
fn with_source(origin: &str, dropped: &[String], name: &str, source: &str) -> String {
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
    use blindroute_routing::bundle::Model;

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
    fn case(models: usize) -> (Bundle, Dataset, Matrix) {
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
        let embeddings = Matrix::from_fn(90, 384, |row, column| if row / 3 % models == column { 1.0 } else { 0.01 });
        (Bundle::new(parts).unwrap(), dataset, embeddings)
    }

    fn names(bundle: &Bundle) -> Vec<&str> {
        bundle.parts().routers.iter().map(|router| router.name.as_str()).collect()
    }

    #[test]
    fn routers_join_the_bundle_and_other_pools_are_dropped() {
        let (bundle, dataset, embeddings) = case(3);
        let direct = Method::Direct(direct::Options::default());
        let uniroute = Method::UniRoute(uniroute::Options { clusters: vec![3], ..Default::default() });
        let spectra = vec![cscr::Spectrum::default()];
        let cscr = Method::Cscr(cscr::Options { spectra, widths: vec![3], passes: 2, ..Default::default() });
        let trained = train_router(bundle, &dataset, &embeddings, &direct, "direct", "made up").unwrap();
        assert!(trained.test.area > trained.test.prompt_free_area + 0.2, "{:?}", trained.test);
        let trained = train_router(trained.bundle, &dataset, &embeddings, &uniroute, "near", "made up").unwrap();
        assert!(trained.test.area > trained.test.prompt_free_area + 0.2, "{:?}", trained.test);
        assert_eq!(names(&trained.bundle), ["near", "direct"]);
        let trained = train_router(trained.bundle, &dataset, &embeddings, &cscr, "direct", "made up").unwrap();
        assert_eq!(names(&trained.bundle), ["near", "direct"]);
        assert_eq!(trained.bundle.parts().routers[1].kind(), "cscr");
        assert!(trained.dropped.is_empty());
        let (_, dataset, embeddings) = case(4);
        let trained = train_router(trained.bundle, &dataset, &embeddings, &direct, "direct", "made up").unwrap();
        assert_eq!((names(&trained.bundle), trained.dropped), (vec!["direct"], vec!["near".to_owned()]));
        assert_eq!(trained.bundle.parts().origin, "encoder: public\nrouter direct: made up");
    }
}
