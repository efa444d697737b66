use super::*;
use crate::comparison::ComparisonError;
use crate::data::synthetic::synthetic_pool;
use crate::evaluation::calibrate::{self, UserPrompts};
use crate::routers::{Method, NewRouter, direct, train_router};
use blindroute_routing::bundle::Matrix;

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

#[test]
fn a_bundle_is_calibrated_on_prompts_from_memory() {
    let (dataset, sides) = case(&[0]);
    let (bundle, models) = (&sides[0].bundle, dataset.models());
    let letters = ["a", "b", "c", "t"];
    let text = |place: usize| format!("{} {} {}", letters[place % 4], letters[place / 4 % 4], letters[place / 16 % 4]);
    let prompts: Vec<String> = (0..64).map(text).collect();
    let scores = Matrix::from_fn(64, models.len(), |row, model| if row % 3 == model { 1.0 } else { 0.5 });
    let user = UserPrompts::new(prompts.clone(), Some(scores.clone()), models).unwrap();
    let bootstrap = Bootstrap { resamples: 100, seed: 0 };
    let options = calibrate::Options { target: calibrate::Target::Cost(1.0), tolerance: 0.9, bootstrap };
    let mut told = 0;
    let mut on_event = |_| told += 1;
    let found = calibrate_bundle(bundle, None, &user, &options, &mut on_event, &Stop::never()).unwrap();
    assert_eq!((found.router.as_str(), found.prompts, told), ("direct", 64, 2));
    assert!(found.cost.value <= 1.0 && found.score.is_some());

    let mut no_event = |event| panic!("it began: {event:?}");
    let far = calibrate::Options { tolerance: 2.0, ..options };
    let error = calibrate_bundle(bundle, None, &user, &far, &mut no_event, &Stop::never()).unwrap_err().to_string();
    assert!(error.contains("the tolerance is 2, expected a number above 0 and below 1"), "{error}");
    let error = calibrate_bundle(bundle, Some("other"), &user, &options, &mut no_event, &Stop::never()).unwrap_err();
    assert!(matches!(error, ComparisonError::Bundle(_)), "{error}");

    let refused = |prompts: &[String], scores: Option<Matrix>| {
        let error = UserPrompts::new(prompts.to_vec(), scores, models).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        error
    };
    assert_eq!(refused(&[], None), "the list of prompts: it is empty; give some");
    let blank = ["secret".to_owned(), " ".to_owned()];
    assert_eq!(refused(&blank, None), "the list of prompts: prompt 1 (counted from 0) is blank; leave it out");
    assert!(refused(&prompts[1..], Some(scores)).contains("the table of scores: it has 64 rows and 3 columns"));
    let wrong = Matrix::from_fn(64, models.len(), |_, _| 2.0);
    assert!(
        refused(&prompts, Some(wrong)).contains("on prompt 0 (counted from 0) is 2, expected a number from 0 to 1")
    );
}
