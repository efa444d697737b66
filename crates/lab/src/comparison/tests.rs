use super::*;
use crate::comparison::ComparisonError;
use crate::data::synthetic::synthetic_pool;
use crate::routers::{Method, NewRouter, direct, train_router};

/// A set, and bundles with routers `direct` of these seeds, the last one as original.
fn case(seeds: &[u64]) -> (Dataset, Vec<Side>) {
    let (bundle, dataset, embedded) = synthetic_pool(8, 3);
    let side = |seed: &u64| {
        let method = Method::Direct(direct::Options { penalties: vec![1.0], seed: *seed, ..Default::default() });
        let new = NewRouter { name: "direct", source: "made up", method: &method, lexical: None };
        let trained = train_router(bundle.clone(), &dataset, &embedded, new, &mut |_, _| (), &Stop::never()).unwrap();
        Side { group: Group::Private, bundle: trained.bundle, embedded: embedded.clone() }
    };
    let mut sides: Vec<Side> = seeds.iter().map(side).collect();
    let mut original = sides[0].clone();
    original.group = Group::Original;
    sides.push(original);
    (dataset, sides)
}

#[test]
fn routers_of_all_sides_stand_beside_the_baselines() {
    let (dataset, sides) = case(&[0, 1]);
    let bootstrap = Bootstrap { resamples: 20, seed: 3 };
    let options = Options { bootstrap, data: "made up".to_owned(), ..Options::default() };
    let mut steps = Vec::new();
    let mut on_step = |done, all| steps.push((done, all));
    let found = measure(&dataset, &sides, &options, &mut on_step, &Stop::never()).unwrap();
    assert_eq!(steps, (0..=8).map(|done| (done, 8)).collect::<Vec<_>>());
    let names: Vec<(&str, Group, usize)> =
        found.rows.iter().map(|row| (row.name.split(' ').next().unwrap(), row.group, row.seeds)).collect();
    assert_eq!(names[..2], [("direct", Group::Original, 1), ("direct", Group::Private, 2)]);
    let others = ["oracle", "prompt-blind", "k-NN", "MLP", "boosting", "ridge", "source", "best", "cheapest", "random"];
    assert_eq!(names[2..].iter().map(|(name, ..)| *name).collect::<Vec<_>>(), others);
    // The private router is compared with the original, which is the same here, and both with the hull.
    assert_eq!((found.differences.len(), found.differences[0].same_choices), (3, Some(1.0)));
    assert_eq!((found.prompts, found.about.data.as_str()), (200, "made up"));
    assert!(found.about.notes.iter().any(|note| note.contains("read the original encoder's embeddings")));
    let again = measure(&dataset, &sides, &options, &mut |_, _| (), &Stop::never()).unwrap();
    assert_eq!(again, found);
}

#[test]
fn what_does_not_belong_together_is_refused_before_the_work() {
    let (dataset, sides) = case(&[0]);
    let refused = |dataset: &Dataset, sides: &[Side], options: &Options| {
        let mut no_step = |done, _| assert_eq!(done, 0, "it began");
        measure(dataset, sides, options, &mut no_step, &Stop::never()).unwrap_err().to_string()
    };
    let good = Options::default();
    assert!(refused(&dataset, &[], &good).contains("no bundle to measure"));
    let named = Options { routers: vec!["direct".to_owned(), "other".to_owned()], ..good.clone() };
    assert_eq!(refused(&dataset, &sides, &named), "there is no router \"other\"; there are direct");
    let fewer = dataset.without_model(0);
    let error = refused(&fewer, &sides, &good);
    assert!(
        error.contains("choose among 3 models (model 0, model 1, model 2, …), the data set has 2 models"),
        "{error}"
    );
    let mut empty = sides;
    let mut parts = empty[0].bundle.clone().into_parts();
    parts.routers.clear();
    empty[0].bundle = Bundle::new(parts).unwrap();
    assert!(matches!(
        measure(&dataset, &empty, &good, &mut |_, _| (), &Stop::never()),
        Err(ComparisonError::NoRouter { .. })
    ));
}
