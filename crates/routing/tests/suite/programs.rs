//! The programs on a small made-up bundle: what the parties compute is what the clear interpreter and a plain search
//! compute, and what it costs is what the meter says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use crate::common::{HIDDEN, World, choose, cosine, one_hot, prompt, real_plan};
use blindroute_protocol::{Clear, Error, Inputs, Meter, Program, Shape, Tensor, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Bundle, BundleParts, Matrix, Norms, Pooling, Rule, Widths};
use blindroute_routing::program::{
    BundlePlan, Measurement, RouteProgram, SelectMethod, SelectProgram, Task, Work, head_inputs, outside_range,
};
use blindroute_testkit::{TestWorld, generator};
use std::sync::Arc;

#[test]
fn every_variant_gives_the_clear_embedding() {
    for attention in [Attention::Softmax, Attention::TwoRelu, Attention::Linear] {
        for activation in [Activation::Gelu, Activation::Relu, Activation::Square] {
            for pooling in [Pooling::Mean, Pooling::Cls] {
                let world = World::new(attention, activation, pooling);
                for length in [1, 5, 32] {
                    let task = Measurement::Embed { bucket: 32 };
                    let inputs = world.inputs(&prompt(length, 1), 32).tensors;
                    let private = world.private(length as u64, task, &inputs);
                    let clear = world.clear(task, inputs);
                    let cosine = cosine(&private.values[0], &clear.values[0]);
                    assert!(cosine >= 0.999, "{attention} {activation} {pooling} of {length} tokens: cosine {cosine}");
                }
            }
        }
    }
}

#[test]
fn padding_and_bucket_make_no_difference() {
    for attention in [Attention::Softmax, Attention::TwoRelu, Attention::Linear] {
        let world = World::new(attention, Activation::Relu, Pooling::Mean);
        let ids = prompt(7, 3);
        let task = Measurement::Embed { bucket: 32 };
        let inputs = world.inputs(&ids, 32).tensors;
        let plain = world.private(1, task, &inputs);
        // Rows of padding hold another prompt's tokens; with linear attention they are zero, by the program's definition.
        let mut other = world.inputs(&prompt(32, 9), 32).tensors;
        for (tensor, original) in other.iter_mut().zip(&inputs).take(2) {
            let width = original.shape().columns;
            tensor.data_mut()[..7 * width].copy_from_slice(&original.data()[..7 * width]);
        }
        other[2..].clone_from_slice(&inputs[2..]);
        let private = world.private(2, task, if attention == Attention::Linear { &inputs } else { &other });
        let cosine_padding = cosine(&plain.values[0], &private.values[0]);
        let larger = world.private(3, Measurement::Embed { bucket: 64 }, &world.inputs(&ids, 64).tensors);
        let cosine_bucket = cosine(&plain.values[0], &larger.values[0]);
        assert!(cosine_padding > 0.9999 && cosine_bucket > 0.9999, "{attention}: {cosine_padding} {cosine_bucket}");
    }
}

#[test]
fn placement_head_chooses_what_a_plain_search_chooses() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let mut checked = 0;
    for (index, router) in world.bundle.parts().routers.iter().enumerate() {
        for seed in 0..12 {
            for lambda in [0.0, 0.5, 4.0] {
                let mut next = generator(seed);
                let embedding = Matrix::from_fn(1, HIDDEN, |_, column| ((column as f32 + 1.0) * 0.7).sin());
                let data = embedding.data().iter().map(|x| 0.3 * x + (next() * 1.5) as f32).collect();
                let embedding = Matrix::new(1, HIDDEN, data).unwrap();
                let (expected, margin) = choose(&router.rule, embedding.data(), lambda);
                let inputs = head_inputs(&embedding, lambda);
                let task = Task::head(index);
                let found = world.private(seed, task, &inputs);
                if margin > 1e-3 {
                    checked += 1;
                    assert_eq!(one_hot(&found), Some(expected), "{} seed {seed}, λ = {lambda}", router.name);
                    assert_eq!(one_hot(&world.clear(task, inputs)), Some(expected));
                }
            }
        }
    }
    assert!(checked > 90, "only {checked} cases have a margin");
}

#[test]
fn case_48_centroids_within_the_resolution_give_a_model() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let mut parts = world.bundle.clone().into_parts();
    let Rule::UniRoute(rule) = &mut parts.routers[0].rule else { panic!("the first router is another") };
    // Rising by a weight's last bit, times an entry of the embedding's last bits: products that differ far less than
    // comparisons resolve, the larger ones at the higher indices.
    let (centroids, unit) = (rule.centroids.clone(), 2f32.powi(-16));
    rule.centroids = Matrix::from_fn(centroids.rows(), HIDDEN, |row, column| {
        centroids.row(0)[column] + if column == 0 { row as f32 * unit } else { 0.0 }
    });
    let world = World::of(Bundle::new(parts).unwrap());
    for seed in 0..300 {
        let mut next = generator(seed);
        let mut data: Vec<f32> = (0..HIDDEN).map(|_| next() as f32).collect();
        data[0] = 8.0 * unit;
        let embedding = Matrix::new(1, HIDDEN, data).unwrap();
        let found = world.private(seed, Task::head(0), &head_inputs(&embedding, 0.5));
        assert!(one_hot(&found).is_some(), "seed {seed}: no model");
    }
}

#[test]
fn whatever_is_shared_as_lambda_is_one_from_0_to_16() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let mut checked = 0;
    for (index, router) in world.bundle.parts().routers.iter().enumerate() {
        let task = Task::head(index);
        let form = world.program(task).inputs()[1];
        assert_eq!((form.shape.len(), form.bits, form.fraction), (4, 5, 0), "twenty bits, all of which are a λ");
        for seed in 0..8 {
            let mut next = generator(40 + seed);
            let embedding = Matrix::new(1, HIDDEN, (0..HIDDEN).map(|_| next() as f32).collect()).unwrap();
            let mut inputs = head_inputs(&embedding, 0.0);
            let digits: Vec<u32> = (0..4).map(|_| ((next() + 1.0) * 16.0) as u32 % 32).collect();
            inputs[1] = Tensor::new(Shape::row(4), digits.iter().map(|&digit| digit as f32).collect());
            let lambda = digits.iter().rev().fold(0, |units, digit| units << 5 | digit) as f32 / 65536.0;
            assert_eq!(head_inputs(&embedding, lambda)[1].data(), inputs[1].data(), "λ = {lambda}");
            let (expected, margin) = choose(&router.rule, embedding.data(), lambda);
            if margin > 1e-2 {
                checked += 1;
                assert_eq!(
                    one_hot(&world.private(seed, task, &inputs)),
                    Some(expected),
                    "{}, λ = {lambda}",
                    router.name
                );
                assert_eq!(one_hot(&world.clear(task, inputs)), Some(expected), "{}, λ = {lambda}", router.name);
            }
        }
    }
    assert!(checked >= 8, "only {checked} cases have a margin");
    let embedding = Matrix::from_fn(1, HIDDEN, |_, _| 0.0);
    for (outside, nearest) in [(-1.0, [0.0; 4]), (f32::NAN, [0.0; 4]), (16.0, [31.0; 4]), (f32::INFINITY, [31.0; 4])] {
        assert_eq!(head_inputs(&embedding, outside)[1].data(), nearest, "{outside}");
    }
}

#[test]
fn whatever_is_shared_as_pooling_weights_is_small() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let task = Measurement::Embed { bucket: 32 };
    let form = world.program(task).inputs()[3];
    assert_eq!((form.bits, form.fraction), (19, 16), "from -4 to 4: no power of two to read other bits by");
    let mut inputs = world.inputs(&prompt(9, 4), 32).tensors;
    // Beyond what an honest client gives, and still what the program says.
    inputs[3] = Tensor::new(form.shape, (0..32).map(|token| if token % 2 == 0 { 1.75 } else { -1.0 }).collect());
    let [private, clear] = [world.private(3, task, &inputs), world.clear(task, inputs.clone())];
    // One weight that wraps is eight off, among weights that sum to twelve.
    let near = cosine(&private.values[0], &clear.values[0]);
    assert!(near > 0.999, "{near}");
    inputs[3] = Tensor::new(form.shape, vec![65536.0; 32]);
    let refused = Inputs::check(&world.program(task).inputs(), &inputs);
    assert!(matches!(refused, Err(Error::InputRange { input: 3, .. })), "{refused:?}");
}

#[test]
fn an_embedding_is_revealed_without_the_fraction_bits_of_its_products() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let task = Measurement::Embed { bucket: 32 };
    let output = world.private(3, task, &world.inputs(&prompt(9, 4), 32).tensors);
    assert!(output.values[0].iter().all(|value| (value * 65536.0).fract() == 0.0));
    let outputs = Meter::outputs(&world.program(task)).unwrap();
    assert!(matches!(outputs.as_slice(), [one] if format!("{one:?}").contains("bits: 40")), "{outputs:?}");
}

#[test]
fn rules_take_as_many_openings_as_their_documentation_says() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    // The embedding's opening; in `direct` one for λ too, which the others open with theirs.
    let expected = [1 + 9, 1 + 15, 2 + 4, 1 + 9, 1 + 13, 1 + 8, 1 + 12, 1 + 9, 1 + 15];
    assert_eq!(expected.len(), world.plan.routers.len());
    for (router, openings) in expected.into_iter().enumerate() {
        assert_eq!(Meter::cost(&world.program(Task::head(router))).unwrap().openings, openings, "router {router}");
    }
}

#[test]
fn whole_routes_choose_what_a_plain_search_chooses() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let mut checked = 0;
    for (index, router) in world.bundle.parts().routers.iter().enumerate() {
        for (seed, lambda) in [(1, 0.0f32), (2, 0.5), (3, 4.0)] {
            let inputs = world.inputs(&prompt(4 + 9 * seed as usize, seed), 32);
            let embedding = world.clear(Measurement::Embed { bucket: 32 }, inputs.tensors.clone());
            let embedding: Vec<f32> = embedding.values[0].iter().map(|&x| x as f32).collect();
            let (expected, margin) = choose(&router.rule, &embedding, lambda);
            let task = Task::route(index, 32);
            let found = world.private(seed, task, &inputs.with_lambda(lambda));
            assert!(one_hot(&found).is_some());
            // The encoder's own rounding moves scores by some thousandths.
            if margin > 2e-2 {
                checked += 1;
                assert_eq!(one_hot(&found), Some(expected), "{} seed {seed}, λ = {lambda}", router.name);
            }
        }
    }
    assert!(checked >= 4, "only {checked} cases have a margin");
}

#[test]
fn a_route_through_the_real_encoder_takes_few_openings() {
    let plan = real_plan();
    for (router, most) in [(0, 170), (1, 175), (2, 167)] {
        for bucket in [32, 64, 128, 256] {
            let task = Task::route(router, bucket);
            let cost = Meter::cost(&RouteProgram::new(Arc::clone(&plan), task).unwrap()).unwrap();
            assert!(cost.openings <= most, "{} openings of router {router}", cost.openings);
        }
    }
}

/// What each simpler part saves of two layers' openings: near servers, and far ones, whose comparisons take none.
#[test]
fn simpler_parts_save_their_openings() {
    let paper = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let (two_relu, relu) = (Attention::TwoRelu, Activation::Relu);
    let worlds = [
        ("no norm after attention", World::with_fewer_norms(two_relu, relu), 4, 2),
        ("squares", World::new(two_relu, Activation::Square, Pooling::Mean), 2, 0),
        ("both", World::with_fewer_norms(two_relu, Activation::Square), 6, 2),
    ];
    let task = Measurement::Embed { bucket: 32 };
    for (name, world, near, far) in &worlds {
        let inputs = world.inputs(&prompt(9, 4), 32).tensors;
        let clear = world.clear(task, inputs.clone());
        for tuning in Tuning::ALL {
            let cost = |world: &World| {
                Meter::cost(&RouteProgram::new(Arc::clone(&world.plan), task).unwrap().with_tuning(tuning)).unwrap()
            };
            let (before, after) = (cost(&paper), cost(world));
            let saved = before.openings - after.openings;
            match tuning {
                Tuning::Near => assert_eq!(saved, 2 * near, "{name}"),
                Tuning::Far => assert_eq!(saved, 2 * far, "{name}"),
                _ => assert!((2 * far..=2 * near).contains(&saved), "{name}, {tuning:?}: {saved}"),
            }
            assert!(after.material_bytes < before.material_bytes, "{name}, {tuning:?}: {before:?}, {after:?}");
            let program = RouteProgram::new(Arc::clone(&world.plan), task).unwrap().with_tuning(tuning);
            let run = TestWorld::seeded(2).run(&program, &world.weights, &inputs).unwrap();
            let cosine = cosine(&run.output.values[0], &clear.values[0]);
            assert!(cosine >= 0.999, "{name}, {tuning:?}: cosine {cosine}");
            assert_eq!(run.servers[0].openings, run.forecast.openings);
        }
    }
}

/// A polynomial encoder takes as many openings near as far, and bytes and material that grow with the tokens.
#[test]
fn a_polynomial_encoder_costs_what_its_tokens_cost() {
    let mut plan = BundlePlan::clone(&real_plan());
    let encoder = &mut plan.encoder;
    (encoder.layers, encoder.attention, encoder.activation) = (4, Attention::Linear, Activation::Square);
    encoder.norms = Norms::Output;
    let plan = Arc::new(plan);
    for router in 0..3 {
        let cost = |bucket, tuning| {
            let program = RouteProgram::new(Arc::clone(&plan), Task::route(router, bucket)).unwrap();
            Meter::cost(&program.with_tuning(tuning)).unwrap()
        };
        for tuning in Tuning::ALL {
            let costs = [32, 64, 128, 256].map(|bucket| cost(bucket, tuning));
            for cost in &costs {
                println!("{router} {tuning:?} {cost:?}");
                assert!(cost.openings <= 56 + if router == 1 { 8 } else { 0 }, "{cost:?}");
            }
            for pair in costs.windows(2) {
                assert!(pair[1].opening_bytes < 2 * pair[0].opening_bytes, "{costs:?}");
                assert!(pair[1].material_bytes < 2 * pair[0].material_bytes, "{costs:?}");
            }
        }
    }
}

/// Fewer bits cost less, and the embedding less than they take.
#[test]
fn widths_decide_cost_and_precision() {
    let plain = World::with_fewer_norms(Attention::Linear, Activation::Square);
    let mut parts = plain.bundle.parts().clone();
    parts.encoder.widths = Widths {
        weights: 11,
        layer: 8,
        heads: 8,
        means: 7,
        inner: 7,
        activated: 6,
        mean_range: 3,
        context_range: 4,
        sum_range: 7,
        inner_range: 4,
        norm_low: 3,
        norm_high: 12,
    };
    let narrow = World::of(Bundle::new(parts).unwrap());
    let task = Measurement::Embed { bucket: 32 };
    let found = [&plain, &narrow].map(|world| {
        let inputs = world.inputs(&prompt(9, 4), 32).tensors;
        let clear = world.clear(task, inputs.clone());
        let near = cosine(&world.private(1, task, &inputs).values[0], &clear.values[0]);
        (1.0 - near, Meter::cost(&world.program(task)).unwrap())
    });
    let [(exact, dear), (rough, cheap)] = found;
    assert!(exact < 5e-5 && rough < 1e-3 && exact < rough, "{exact} {rough}");
    assert_eq!(dear.openings, cheap.openings);
    assert!(cheap.opening_bytes * 10 < dear.opening_bytes * 9, "{dear:?} {cheap:?}");
    assert!(cheap.material_bytes < dear.material_bytes, "{dear:?} {cheap:?}");
}

/// What the client learns beside the answer: whether a row's norm was outside the range, as when a value leaves its ring.
#[test]
fn values_outside_their_ranges_are_noticed() {
    let plain = World::with_fewer_norms(Attention::Linear, Activation::Square);
    let found = |world: &World, tuning| {
        let tasks: [Work; 2] = [Measurement::Embed { bucket: 32 }.into(), Task::route(0, 32).into()];
        tasks.map(|task| {
            let inputs = world.inputs(&prompt(9, 4), 32);
            let inputs = if matches!(task, Work::Task(_)) { inputs.with_lambda(0.01) } else { inputs.tensors };
            let program = RouteProgram::new(Arc::clone(&world.plan), task).unwrap().with_tuning(tuning);
            let run = TestWorld::seeded(1).run(&program, &world.weights, &inputs).unwrap();
            let clear = Clear::run(&program, &world.weights, inputs).unwrap();
            assert_eq!(outside_range(&run.output), outside_range(&clear));
            outside_range(&run.output)
        })
    };
    let with = |change: &dyn Fn(&mut BundleParts)| {
        let mut parts = plain.bundle.parts().clone();
        change(&mut parts);
        World::of(Bundle::new(parts).unwrap())
    };
    for tuning in Tuning::ALL {
        assert_eq!(found(&plain, tuning), [false; 2]);
    }
    // The range is too small for the rows that there are, from above and from below.
    let high = with(&|parts| (parts.encoder.widths.norm_low, parts.encoder.widths.norm_high) = (1, 2));
    let low = with(&|parts| parts.encoder.widths.norm_low = 12);
    for tuning in Tuning::ALL {
        assert_eq!((found(&high, tuning), found(&low, tuning)), ([true; 2], [true; 2]), "{tuning:?}");
    }
}

/// Values that leave their rings leave rows of other norms.
#[test]
fn an_overflow_is_noticed() {
    let plain = World::with_fewer_norms(Attention::Linear, Activation::Square);
    let mut parts = plain.bundle.parts().clone();
    // Activations of 2^9 and more, of which the ring has no room for the squares.
    for layer in &mut parts.layers {
        layer.up.bias = Matrix::from_fn(1, layer.up.bias.columns(), |_, column| 600.0 + column as f32);
    }
    let world = World::of(Bundle::new(parts).unwrap());
    let task = Measurement::Embed { bucket: 32 };
    let inputs = world.inputs(&prompt(9, 4), 32).tensors;
    assert!(outside_range(&world.private(1, task, &inputs)));
}

#[test]
fn selection_is_within_the_budget() {
    let program = SelectProgram { candidates: 112, keep: 4, method: SelectMethod::default() };
    let cost = Meter::cost(&program).unwrap();
    assert!(cost.openings <= 12 && cost.opening_bytes <= 64 * 1024, "{cost:?}");
    let mut next = generator(3);
    let mut row = || Tensor::new(Shape::row(112), (0..112).map(|_| next() as f32).collect());
    let (similarity, score) = (row(), row());
    let mut order: Vec<usize> = (0..112).collect();
    order.sort_by(|&a, &b| similarity.data()[b].total_cmp(&similarity.data()[a]));
    let best = order[..4].iter().copied().max_by(|&a, &b| score.data()[a].total_cmp(&score.data()[b]));
    let run = TestWorld::seeded(1).run(&program, &[], &[similarity, score]).unwrap();
    assert_eq!(one_hot(&run.output), best);
    assert_eq!((run.servers[0].openings, run.servers[0].opening_bytes), (cost.openings, cost.opening_bytes));
    assert!(program.weights().is_empty());
}

#[test]
fn every_method_selects_the_same() {
    let (candidates, keep) = (112, 4);
    let mut next = generator(8);
    // Similarity falls with the distance from a place on the ring, so that the approximate search finds it too.
    let way = |i: usize| ((i + candidates - 74) % candidates) as f64;
    let falling: Vec<f32> = (0..candidates)
        .map(|i| (1.0 - way(i).min(1.1 * (candidates as f64 - way(i))) / candidates as f64) as f32)
        .collect();
    let score: Vec<f32> = (0..candidates).map(|_| next() as f32).collect();
    let tied = vec![0.5f32; candidates];
    for (similarity, score) in [(&falling, &score), (&falling, &tied), (&tied, &score), (&tied, &tied)] {
        let inputs = [similarity, score].map(|row| Tensor::new(Shape::row(candidates), row.clone()));
        let ours = SelectProgram { candidates, keep, method: SelectMethod::Unsorted };
        let ours = Clear::run(&ours, &[], inputs.to_vec()).unwrap();
        for method in SelectMethod::ALL {
            let program = SelectProgram { candidates, keep, method };
            program.check().unwrap();
            let clear = Clear::run(&program, &[], inputs.to_vec()).unwrap();
            let run = TestWorld::seeded(2).run(&program, &[], &inputs).unwrap();
            assert_eq!(one_hot(&run.output), one_hot(&clear), "{method}");
            // Where all are equal the graph leads nowhere.
            if similarity == &falling || !method.approximate() {
                assert_eq!(one_hot(&clear), one_hot(&ours), "{method}");
            }
        }
    }
    assert!(SelectProgram { candidates: 512, keep: 9, method: SelectMethod::BruteForce }.check().is_err());
    assert!("magic".parse::<SelectMethod>().is_err());
}
