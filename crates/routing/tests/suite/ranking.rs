//! Answers that name the best few models instead of the best one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::common::{HIDDEN, MODELS, World, one_hot, prompt, rank};
use blindroute_protocol::{Clear, Error, Fixed, Meter, Tensor, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Matrix, Pooling};
use blindroute_routing::program::{
    MOST_RANKED, Measurement, RouteProgram, Task, head_inputs, ranking, split_output, stack_inputs,
};
use blindroute_testkit::generator;
use std::sync::Arc;

fn world() -> World {
    World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean)
}

#[test]
fn placement_head_ranks_as_a_plain_sort_and_the_clear_interpreter_do() {
    let world = world();
    let mut checked = 0;
    for (index, router) in world.bundle.parts().routers.iter().enumerate() {
        for seed in 0..10 {
            let (lambda, tuning) = ([0.0, 0.5, 4.0][seed as usize % 3], Tuning::ALL[seed as usize % Tuning::ALL.len()]);
            let ranked = 1 + seed as usize % world.plan.routers[index].most_ranked(MODELS);
            let mut next = generator(seed);
            let embedding = Matrix::new(1, HIDDEN, (0..HIDDEN).map(|_| next() as f32).collect()).unwrap();
            let (expected, margin) = rank(&router.rule, embedding.data(), lambda, ranked);
            let inputs = head_inputs(&embedding, lambda);
            let program = world.program(Task::head(index).with_ranked(ranked)).with_tuning(tuning);
            let found = world.run(seed, &program, &inputs);
            let name = format!("{} ranked {ranked}, seed {seed}, λ = {lambda}, {tuning:?}", router.name);
            // Whatever the margins, each row names one model, and no model is named twice.
            assert_eq!(ranking(&found, MODELS).map(|ranking| ranking.len()), Some(ranked), "{name}");
            if margin > 1e-3 {
                checked += 1;
                let clear = Clear::run(&program, &world.weights, inputs.clone()).unwrap();
                let (fixed, _) = Fixed::run(&program, &world.weights, &inputs).unwrap();
                for output in [&found, &clear, &fixed] {
                    assert_eq!(ranking(output, MODELS).as_ref(), Some(&expected), "{name}");
                }
                let alone = world.private(seed, Task::head(index), &inputs);
                assert_eq!(one_hot(&alone), Some(expected[0]), "{name}");
            }
        }
    }
    assert!(checked > 30, "only {checked} cases have a margin");
}

#[test]
fn whole_routes_rank_in_batches_as_the_clear_interpreter_does() {
    let (world, ranked) = (world(), 2);
    for (index, router) in world.bundle.parts().routers.iter().take(3).enumerate() {
        let clear = (0..200).filter_map(|seed| {
            let inputs = world.inputs(&prompt(4 + seed as usize % 20, seed), 32);
            let embedding = world.clear(Measurement::Embed { bucket: 32 }, inputs.tensors.clone());
            let embedding: Vec<f32> = embedding.values[0].iter().map(|&x| x as f32).collect();
            let (expected, margin) = rank(&router.rule, &embedding, 0.5, ranked);
            // The encoder's own rounding moves scores by some thousandths.
            (margin > 2e-2).then(|| (inputs.with_lambda(0.5), expected))
        });
        let (inputs, expected): (Vec<Vec<Tensor<f32>>>, Vec<_>) = clear.take(2).unzip();
        assert_eq!(inputs.len(), 2, "two prompts have margins with {}", router.name);
        let program = world.program(Task::route(index, 32).with_ranked(ranked)).with_batch(2).unwrap();
        let stacked = stack_inputs(&inputs).unwrap();
        for output in [world.run(3, &program, &stacked), Clear::run(&program, &world.weights, stacked).unwrap()] {
            let found = split_output(&output, 2).unwrap();
            let found: Vec<_> = found.iter().map(|output| ranking(output, MODELS).unwrap()).collect();
            assert_eq!(found, expected, "{}", router.name);
        }
    }
}

#[test]
fn a_ranking_costs_look_ups_and_no_opening() {
    let world = world();
    for index in 0..world.plan.routers.len() {
        for task in [Task::head(index), Task::route(index, 32)] {
            let cost = |ranked| Meter::cost(&world.program(task.with_ranked(ranked))).unwrap();
            let (one, most) = (cost(1), world.plan.routers[index].most_ranked(MODELS));
            for ranked in 2..=most {
                let several = cost(ranked);
                assert_eq!((several.openings, several.opening_bytes), (one.openings, one.opening_bytes), "{task:?}");
                // Each further row has a bit for each rank of each model, and one more of each where a search left some out, for
                // both servers together, in words of 64.
                let more = several.material_bytes - one.material_bytes;
                assert!(more > 0 && more <= 8 * (ranked - 1) * (MODELS << 4).div_ceil(64), "{task:?}: {more} bytes");
            }
        }
    }
}

#[test]
fn a_ranking_of_too_many_models_is_refused() {
    let world = world();
    let refused = |plan: &Arc<_>, task| match RouteProgram::new(Arc::clone(plan), task) {
        Err(Error::Program(why)) => why,
        other => panic!("{task:?}: {other:?}"),
    };
    for ranked in [0, MOST_RANKED + 1, usize::MAX] {
        for task in [Task::head(0).with_ranked(ranked), Task::route(2, 64).with_ranked(ranked)] {
            let why = refused(&world.plan, task);
            assert!(why.contains(&format!("ranking of {ranked} models: expected 1 to 4")), "{why}");
        }
    }
    // CSCR's search keeps three; without one it ranks all.
    let why = refused(&world.plan, Task::head(1).with_ranked(4));
    assert!(why.contains("expected 1 to 3"), "{why}");
    assert!(RouteProgram::new(Arc::clone(&world.plan), Task::head(4).with_ranked(4)).is_ok());
    let mut plan = (*world.plan).clone();
    plan.models = 2;
    let why = refused(&Arc::new(plan), Task::route(2, 32).with_ranked(3));
    assert!(why.contains("expected 1 to 2"), "{why}");
}
