//! Prompts that share a session, by the router itself.

use crate::harness::{self, small_bundle};
use blindroute_placement::{ChildOptions, Placement, PlacementError, PrivateRouter, RouteOptions, SessionRequest};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{Measurement, Task};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

fn router(home: &std::path::Path) -> PrivateRouter {
    let bundle = Bundle::open(&small_bundle(home)).unwrap().bundle;
    PrivateRouter::with_children(&bundle, &ChildOptions::new(env!("CARGO_BIN_EXE_blindroute")), &|_| {}).unwrap()
}

fn options(placement: Placement) -> RouteOptions {
    RouteOptions::default().with_placement(placement)
}

#[test]
fn prompts_of_mixed_buckets_are_answered_as_if_alone_and_bad_ones_fail_alone() {
    let home = tempfile::tempdir().unwrap();
    let router = router(home.path());
    let long = "Tell me everything about the rivers of Europe, one after the other. ".repeat(4);
    let prompts =
        ["What is 2 + 2?", &long, "", "Prove that the square root of 2 is irrational.", " \n", "Sort a list in Rust."];
    let alone = router.route(prompts[0], &options(Placement::Full)).unwrap();
    for (placement, batches) in [(Placement::Full, [3, 1, 3, 3]), (Placement::Head, [4; 4])] {
        let answers = router.route_batch(&prompts, &options(placement)).unwrap();
        assert_eq!(answers.len(), prompts.len());
        let mut batches = batches.into_iter();
        for (prompt, answer) in prompts.iter().zip(answers) {
            if prompt.trim().is_empty() {
                assert!(matches!(answer, Err(PlacementError::Tokenizer(_))), "{answer:?}");
                continue;
            }
            let answer = answer.unwrap();
            let local = router.route(prompt, &options(Placement::Local)).unwrap();
            assert_eq!((&answer.model, answer.tokens), (&local.model, local.tokens));
            assert_eq!(Some(answer.batch), batches.next());
            let ms = answer.ms;
            assert!((ms.client + ms.wait + ms.online - ms.total).abs() < 0.01, "{ms:?}");
            if placement == Placement::Full && answer.batch > 1 {
                // Those of the whole session: a prompt's openings, and more than two prompts' bytes.
                assert_eq!(answer.openings, alone.openings);
                assert!(answer.bytes.server0_sent > 2 * alone.bytes.server0_sent, "{:?}", answer.bytes);
                assert!(answer.seen.contains("number of prompts"));
            }
        }
    }
    // Children refuse measurements unless they are told otherwise.
    let tokens = router.tokens(prompts[0]).unwrap();
    let inputs = router.encoder_inputs(&tokens.ids, 32).unwrap().tensors;
    let embed = SessionRequest::new(Measurement::Embed { bucket: 32 });
    let refusal = router.private(embed, &inputs).unwrap_err().to_string();
    assert!(refusal.contains("measurements = true"), "{refusal}");
    // More than a session takes are split.
    let answers = router.route_batch(&[prompts[0]; 66], &options(Placement::Head)).unwrap();
    let batches: Vec<usize> = answers.iter().map(|answer| answer.as_ref().unwrap().batch).collect();
    assert_eq!(batches, [[64; 64].as_slice(), &[2; 2]].concat());
}

#[test]
fn a_batch_takes_ready_sessions_of_its_size_and_fails_as_one() {
    let home = tempfile::tempdir().unwrap();
    let router = router(home.path());
    let task = Task::route(0, 32);
    let (one, pair) = (SessionRequest::new(task), SessionRequest::new(task).with_batch(2));
    router.keep_ready(pair, 1).unwrap();
    assert!(router.wait_ready(pair, LIMIT), "{:?}", router.ready(pair));
    router.pause_filling(true);
    let prompts = ["Tell me about the sea.", "Tell me about taxes."];
    for (prompts, taken) in [(&prompts[..1], 0), (&prompts[..], 1), (&prompts[..], 1)] {
        let answers = router.route_batch(prompts, &options(Placement::Full)).unwrap();
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.batch == prompts.len())));
        assert_eq!(router.ready(pair).taken, taken);
    }
    assert_eq!(router.ready(one).wanted, 0);
    assert!(router.keep_ready(SessionRequest::new(task).with_batch(65), 1).is_err());
    // A server that dies takes its session's prompts with it; what cannot be read says so all the same.
    harness::signal(router.processes().unwrap()[1], "KILL");
    let answers = router.route_batch(&[prompts[0], "", prompts[1]], &options(Placement::Full)).unwrap();
    let said: Vec<String> = answers.into_iter().map(|answer| answer.unwrap_err().to_string()).collect();
    assert!(said[0] == said[2] && said[0].contains("server1") && said[1].contains("empty"), "{said:?}");
}

#[cfg(unix)]
#[test]
fn children_of_a_program_that_another_executable_runs_get_its_arguments_first() {
    let home = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(&small_bundle(home.path())).unwrap().bundle;
    let children =
        ChildOptions::new("/usr/bin/env").with_leading_arguments(vec![env!("CARGO_BIN_EXE_blindroute").into()]);
    let router = PrivateRouter::with_children(&bundle, &children, &|_| {}).unwrap();
    assert_eq!(router.route("What is 2 + 2?", &options(Placement::Head)).unwrap().placement, Placement::Head);
}
