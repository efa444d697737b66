//! Batches in placement `local`: the order of the answers, and bad prompts among good ones.

use blindroute_placement::{Placement, PlacementError, PrivateRouter, RouteOptions};
use blindroute_routing::bundle::Bundle;
use std::path::Path;

fn router() -> PrivateRouter {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
    let mut parts = Bundle::open(&path).unwrap().bundle.into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    PrivateRouter::local(&Bundle::new(parts).unwrap()).unwrap()
}

#[test]
fn answers_are_in_the_order_of_the_prompts_and_only_bad_prompts_fail() {
    let router = router();
    let options = RouteOptions::default().with_placement(Placement::Local);
    let long = "Tell me everything about the rivers of Europe, one after the other. ".repeat(6);
    let huge = "x".repeat(5 << 20);
    let prompts = ["What is 2 + 2?", "", &long, " \n", "Sort a list in Rust.", &huge];
    let answers = router.route_batch(&prompts, &options).unwrap();
    assert_eq!(answers.len(), prompts.len());
    for (prompt, answer) in prompts.iter().zip(answers) {
        match (router.route(prompt, &options), answer) {
            (Ok(alone), Ok(found)) => {
                assert_eq!((&found.model, found.tokens, found.batch), (&alone.model, alone.tokens, 1));
            }
            (Err(alone), Err(found)) => assert_eq!(found.to_string(), alone.to_string()),
            (alone, found) => panic!("{alone:?} alone, {found:?} in a batch"),
        }
    }
    assert!(router.route_batch(&[], &options).unwrap().is_empty());
}

#[test]
fn options_that_name_what_is_not_there_fail_as_a_whole() {
    let router = router();
    let options = |placement| RouteOptions::default().with_placement(placement);
    let unknown = options(Placement::Local).with_router("oracle");
    assert!(matches!(router.route_batch(&["x"], &unknown), Err(PlacementError::UnknownRouter { .. })));
    let costly = options(Placement::Local).with_lambda(16.0);
    assert!(matches!(router.route_batch(&["x"], &costly), Err(PlacementError::Lambda(_))));
    // Without servers each prompt says why; those of one session say the same.
    let answers = router.route_batch(&["x", "y", ""], &options(Placement::Full)).unwrap();
    let said: Vec<String> = answers.into_iter().map(|answer| answer.unwrap_err().to_string()).collect();
    assert!(said[0] == said[1] && said[0].contains("needs servers") && said[2].contains("empty"), "{said:?}");
}
