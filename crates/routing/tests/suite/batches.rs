//! Several prompts in one program: what each gets is what it gets alone, in the openings of one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use crate::common::{HIDDEN, World, choose, cosine, one_hot, prompt, real_plan};
use blindroute_protocol::{Clear, Cost, Error, Fixed, Meter, Output, Program, Shape, Tensor, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Matrix, Pooling};
use blindroute_routing::program::{
    BundlePlan, Measurement, NetworkEstimate, RouteProgram, SelectMethod, SessionRequest, Task, Work, head_inputs,
    split_output, stack_inputs,
};
use blindroute_testkit::generator;
use std::sync::Arc;
use std::time::Duration;

const BUCKET: usize = 32;
/// Lengths and λs of a batch's prompts.
const PROMPTS: [(usize, f32); 3] = [(5, 4.0), (32, 0.0), (14, 0.5)];

type Inputs = Vec<Tensor<f32>>;

/// Every encoder, the default one first.
fn variants() -> Vec<World> {
    let mut variants = Vec::new();
    for attention in [Attention::TwoRelu, Attention::Softmax, Attention::Linear] {
        for activation in [Activation::Relu, Activation::Gelu] {
            for pooling in [Pooling::Mean, Pooling::Cls] {
                variants.push(World::new(attention, activation, pooling));
            }
        }
    }
    variants
}

/// Three prompts whose choices by a plain search do not hang on the encoder's rounding, the first two different.
fn prompts(world: &World, router: usize) -> Vec<(Inputs, usize)> {
    let rule = &world.bundle.parts().routers[router].rule;
    let mut found: Vec<(Inputs, usize)> = Vec::new();
    for (place, (length, lambda)) in PROMPTS.into_iter().enumerate() {
        let clear = (0..100).find_map(|seed| {
            let inputs = world.inputs(&prompt(length, seed), BUCKET);
            let embedding = world.clear(Measurement::Embed { bucket: BUCKET }, inputs.tensors.clone());
            let embedding: Vec<f32> = embedding.values[0].iter().map(|&x| x as f32).collect();
            let (choice, margin) = choose(rule, &embedding, lambda);
            let fits = margin > 2e-2 && (place != 1 || choice != found[0].1);
            fits.then(|| (inputs.with_lambda(lambda), choice))
        });
        found.push(clear.expect("a prompt has a margin"));
    }
    found
}

/// The choices of a batch.
fn choices(output: &Output, batch: usize) -> Vec<usize> {
    split_output(output, batch).unwrap().iter().map(|prompt| one_hot(prompt).expect("one choice")).collect()
}

#[test]
fn a_batch_of_routes_chooses_what_each_route_alone_chooses() {
    for (index, world) in variants().iter().enumerate() {
        for router in 0..3 {
            let (inputs, expected): (Vec<Inputs>, Vec<usize>) = prompts(world, router).into_iter().unzip();
            let single = world.program(Task::route(router, BUCKET));
            let batch = single.clone().with_batch(inputs.len()).unwrap();
            let stacked = stack_inputs(&inputs).unwrap();
            let name = format!("variant {index}, router {router}");
            for (one, &expected) in inputs.iter().zip(&expected) {
                let clear = Clear::run(&single, &world.weights, one.clone()).unwrap();
                let (fixed, _) = Fixed::run(&single, &world.weights, one).unwrap();
                assert_eq!([one_hot(&clear), one_hot(&fixed)], [Some(expected); 2], "{name}");
            }
            let clear = Clear::run(&batch, &world.weights, stacked.clone()).unwrap();
            let (fixed, _) = Fixed::run(&batch, &world.weights, &stacked).unwrap();
            assert_eq!(choices(&clear, inputs.len()), expected, "{name} in the clear");
            assert_eq!(choices(&fixed, inputs.len()), expected, "{name} in fixed point");
            for tuning in Tuning::ALL {
                // Every tuning with every router; all of them with the default encoder, beside the single runs.
                if index > 0 && tuning != Tuning::ALL[(index + router) % Tuning::ALL.len()] {
                    continue;
                }
                let found = world.run(7, &batch.clone().with_tuning(tuning), &stacked);
                assert_eq!(choices(&found, inputs.len()), expected, "{name}, {tuning:?}");
                for (one, &expected) in inputs.iter().zip(&expected).take(if index == 0 { 3 } else { 0 }) {
                    let alone = world.run(8, &single.clone().with_tuning(tuning), one);
                    assert_eq!(one_hot(&alone), Some(expected), "{name}, {tuning:?}, alone");
                }
            }
        }
    }
}

#[test]
fn a_batch_of_embeddings_has_one_per_prompt() {
    for (index, world) in variants().iter().enumerate() {
        let task = Measurement::Embed { bucket: BUCKET };
        let inputs: Vec<Inputs> =
            PROMPTS.iter().map(|&(length, _)| world.inputs(&prompt(length, 1), BUCKET).tensors).collect();
        let batch = world.program(task).with_batch(3).unwrap().with_tuning(Tuning::ALL[index % Tuning::ALL.len()]);
        let stacked = stack_inputs(&inputs).unwrap();
        let clear = split_output(&Clear::run(&batch, &world.weights, stacked.clone()).unwrap(), 3).unwrap();
        let fixed = split_output(&Fixed::run(&batch, &world.weights, &stacked).unwrap().0, 3).unwrap();
        let private = split_output(&world.run(3, &batch, &stacked), 3).unwrap();
        for (place, one) in inputs.into_iter().enumerate() {
            let alone = world.clear(task, one).values.remove(0);
            assert_eq!(alone.len(), HIDDEN);
            let together = &clear[place].values[0];
            assert!(alone.iter().zip(together).all(|(a, b)| (a - b).abs() < 1e-4), "variant {index} in the clear");
            for (name, found) in [("fixed", &fixed), ("private", &private)] {
                let cosine = cosine(&alone, &found[place].values[0]);
                assert!(cosine >= 0.999, "variant {index}, {name}, prompt {place}: cosine {cosine}");
            }
        }
    }
}

#[test]
fn a_batch_in_placement_head_chooses_what_each_prompt_alone_chooses() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    for (router, plan) in world.bundle.parts().routers.iter().enumerate() {
        let mut cases = Vec::new();
        for seed in 0.. {
            let mut next = generator(seed);
            let embedding = Matrix::new(1, HIDDEN, (0..HIDDEN).map(|_| next() as f32).collect()).unwrap();
            let lambda = [0.0, 0.5, 4.0, 15.0][seed as usize % 4];
            let (expected, margin) = choose(&plan.rule, embedding.data(), lambda);
            if margin > 1e-3 {
                cases.push((head_inputs(&embedding, lambda), expected));
            }
            if cases.len() == 11 {
                break;
            }
        }
        // The same prompt may be there twice.
        cases.push(cases[3].clone());
        let (inputs, expected): (Vec<Inputs>, Vec<usize>) = cases.into_iter().unzip();
        assert!(expected.iter().any(|choice| *choice != expected[0]), "the prompts differ");
        let batch = world.program(Task::head(router)).with_batch(inputs.len()).unwrap();
        let stacked = stack_inputs(&inputs).unwrap();
        for tuning in Tuning::ALL {
            let found = world.run(5, &batch.clone().with_tuning(tuning), &stacked);
            assert_eq!(choices(&found, inputs.len()), expected, "{}, {tuning:?}", plan.name);
        }
        let clear = Clear::run(&batch, &world.weights, stacked.clone()).unwrap();
        let (fixed, _) = Fixed::run(&batch, &world.weights, &stacked).unwrap();
        assert_eq!([choices(&clear, inputs.len()), choices(&fixed, inputs.len())], [expected.clone(), expected]);
    }
}

fn cost(plan: &Arc<BundlePlan>, task: Work, tuning: Tuning, batch: usize) -> Cost {
    Meter::cost(&SessionRequest::new(task).with_batch(batch).with_tuning(tuning).program(plan).unwrap()).unwrap()
}

#[test]
fn a_batch_takes_the_openings_of_one_and_its_prompts_bytes() {
    let plan = real_plan();
    let routers = 0..plan.routers.len();
    let mut tasks: Vec<Work> = routers.clone().map(|router| Task::head(router).into()).collect();
    tasks.extend(routers.flat_map(|router| [32, 64].map(|bucket| Work::from(Task::route(router, bucket)))));
    tasks.extend([32, 64].map(|bucket| Work::from(Measurement::Embed { bucket })));
    for task in tasks {
        for tuning in Tuning::ALL {
            let one = cost(&plan, task, tuning, 1);
            // Words are padded to bytes and bits to 64: 64 prompts fill them, so a 64th of theirs is one without
            // padding.
            let all = cost(&plan, task, tuning, 64);
            for batch in [2, 3, 4, 7, 64] {
                let several = cost(&plan, task, tuning, batch);
                assert_eq!(several.openings, one.openings, "{task:?} {tuning:?} of {batch}");
                let within = |found, all, one| (batch * all..=64 * batch * one).contains(&(64 * found));
                let bytes = within(several.opening_bytes, all.opening_bytes, one.opening_bytes);
                let material = within(several.material_bytes, all.material_bytes, one.material_bytes);
                assert!(bytes && material, "{task:?} {tuning:?}: {batch} take {several:?}, one {one:?}, 64 {all:?}");
                if task == Work::Measurement(Measurement::Embed { bucket: 64 }) {
                    assert_eq!(several.opening_bytes, batch * one.opening_bytes);
                    assert_eq!(several.material_bytes, batch * one.material_bytes);
                }
            }
            if !matches!(task, Work::Task(Task::Head { .. })) {
                let padding = 64 * one.opening_bytes - all.opening_bytes;
                assert!(padding * 1000 <= all.opening_bytes, "{task:?} {tuning:?}: more than a thousandth is padding");
            }
        }
    }
}

#[test]
fn a_batch_has_limits() {
    let plan = real_plan();
    let program = |task: Work, batch| RouteProgram::new(Arc::clone(&plan), task).unwrap().with_batch(batch);
    let route = |bucket| Work::from(Task::route(0, bucket));
    for (task, most) in [
        (Task::head(1).into(), 64),
        (route(32), 64),
        (route(64), 64),
        (route(128), 32),
        (route(256), 16),
        (Measurement::Embed { bucket: 256 }.into(), 16),
        (Measurement::Select { candidates: 9, keep: 2, method: SelectMethod::Unsorted }.into(), 1),
        (Measurement::Select { candidates: 9, keep: 2, method: SelectMethod::Kona }.into(), 1),
    ] {
        assert_eq!(task.most_prompts(), most);
        assert_eq!(program(task, most).unwrap().batch(), most);
        for wrong in [0, most + 1, usize::MAX] {
            let error = program(task, wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("batch of {wrong} prompts")), "{error}");
            let selects = matches!(task, Work::Measurement(Measurement::Select { .. }));
            assert_eq!(error.contains("selection without a router takes 1"), selects, "{error}");
        }
    }
    let shapes =
        |batch| -> Vec<Shape> { program(route(32), batch).unwrap().inputs().iter().map(|form| form.shape).collect() };
    assert_eq!(shapes(1)[0], Shape::matrix(32, 384));
    let expected = [(32, 384), (32, 1), (1, 32), (1, 32), (1, 4)];
    assert_eq!(shapes(5), expected.map(|(rows, columns)| Shape::new(5, rows, columns)));
}

#[test]
fn a_batch_is_named_on_the_wire() {
    let task = Task::route(1, 64);
    for batch in [1, 2, 64] {
        let request = SessionRequest::new(task).with_batch(batch);
        let form = serde_json::to_string(&request).unwrap();
        let expected = if batch == 1 { String::new() } else { format!(r#","batch":{batch}"#) };
        assert_eq!(form, format!(r#"{{"task":"route","router":1,"bucket":64{expected}}}"#));
        assert_eq!(serde_json::from_str::<SessionRequest>(&form).unwrap(), request);
    }
    let read = |batch: &str| {
        let form = format!(r#"{{"task":"route","router":1,"bucket":64,"tuning":"far","batch":{batch}}}"#);
        serde_json::from_str::<SessionRequest>(&form)
    };
    assert_eq!(read("3").unwrap(), SessionRequest { task: task.into(), tuning: Some(Tuning::Far), batch: 3 });
    for wrong in ["-1", "1.5", "\"3\"", "null", "18446744073709551616"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for wrong in ["0", "65", "18446744073709551615"] {
        assert!(read(wrong).unwrap().program(&real_plan()).is_err(), "{wrong}");
    }
}

#[test]
fn a_network_chooses_for_the_whole_batch() {
    let plan = real_plan();
    let (task, wan) =
        (Work::from(Task::route(0, 64)), NetworkEstimate { delay: Duration::from_millis(20), megabits: 400.0 });
    let tuned = |batch| wan.tune(&plan, SessionRequest::new(task).with_batch(batch));
    let tuning = |batch| tuned(batch).unwrap().tuning.unwrap();
    for batch in [1, 2, 4, 16, 64] {
        // Of those whose material can wait, none is estimated less.
        for other in Tuning::ALL {
            let found = cost(&plan, task, other, batch);
            let waits = other == Tuning::Near || found.material_bytes <= 1 << 30;
            assert!(
                !waits || wan.estimate(&found) >= wan.estimate(&cost(&plan, task, tuning(batch), batch)),
                "{batch}"
            );
        }
    }
    assert_ne!(tuning(1), Tuning::Near);
    assert_eq!(tuning(64), Tuning::Near, "the keys of 64 prompts cannot wait");
    assert!(tuned(65).is_err());
}

#[test]
fn prompts_are_stacked_and_split_only_if_they_fit() {
    let row = |values: &[f32]| Tensor::new(Shape::row(values.len()), values.to_vec());
    let two = [vec![row(&[1.0, 2.0]), row(&[3.0])], vec![row(&[4.0, 5.0]), row(&[6.0])]];
    let stacked = stack_inputs(&two).unwrap();
    assert_eq!(stacked[0], Tensor::new(Shape::new(2, 1, 2), vec![1.0, 2.0, 4.0, 5.0]));
    assert_eq!(stacked[1], Tensor::new(Shape::new(2, 1, 1), vec![3.0, 6.0]));
    assert_eq!(stack_inputs(&two[..1]).unwrap(), two[0], "a batch of one is the prompt");
    assert!(matches!(stack_inputs::<Vec<Tensor<f32>>>(&[]), Err(Error::Program(_))));
    assert!(matches!(stack_inputs(&[two[0].clone(), vec![row(&[4.0, 5.0])]]), Err(Error::Program(_))));
    let longer = vec![row(&[1.0, 2.0, 3.0]), row(&[3.0])];
    assert!(matches!(stack_inputs(&[two[0].clone(), longer.clone()]), Err(Error::Shape { .. })));
    assert!(matches!(stack_inputs(&[longer, two[0].clone()]), Err(Error::Shape { .. })));
    assert!(matches!(stack_inputs(&[stacked.clone(), stacked]), Err(Error::Shape { .. })), "batches do not stack");

    let output = Output { values: vec![vec![1.0, 2.0, 3.0, 4.0]], bits: vec![vec![true, false], vec![false, false]] };
    let parts = split_output(&output, 2).unwrap();
    assert_eq!(parts[0], Output { values: vec![vec![1.0, 2.0]], bits: vec![vec![true], vec![false]] });
    assert_eq!(parts[1], Output { values: vec![vec![3.0, 4.0]], bits: vec![vec![false], vec![false]] });
    assert_eq!(split_output(&output, 1).unwrap(), std::slice::from_ref(&output));
    for wrong in [0, 3, 4] {
        assert!(matches!(split_output(&output, wrong), Err(Error::Program(_))), "{wrong}");
    }
    assert!(split_output(&Output { values: vec![Vec::new()], bits: Vec::new() }, 2).is_err());
}

#[test]
fn a_batch_needs_its_own_inputs() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let program = world.program(Measurement::Embed { bucket: BUCKET }).with_batch(2).unwrap();
    let one = world.inputs(&prompt(4, 1), BUCKET).tensors;
    assert!(matches!(Clear::run(&program, &world.weights, one), Err(Error::Shape { .. })));
}
