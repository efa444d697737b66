//! Tunings: what they change, what the client sees of them, and how a network chooses one.

#![allow(clippy::unwrap_used)]

use crate::common::{World, cosine, prompt, real_plan};
use blindroute_protocol::{Meter, Program, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Pooling};
use blindroute_routing::program::{
    Measurement, NetworkEstimate, RouteProgram, SelectMethod, SessionRequest, Task, Work,
};
use blindroute_testkit::TestWorld;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_tuning_changes_openings_and_material_but_no_embedding() {
    for (attention, activation) in [(Attention::TwoRelu, Activation::Relu), (Attention::Softmax, Activation::Gelu)] {
        let world = World::new(attention, activation, Pooling::Mean);
        let task = Measurement::Embed { bucket: 32 };
        let inputs = world.inputs(&prompt(9, 4), 32).tensors;
        let clear = world.clear(task, inputs.clone());
        let mut costs = Vec::new();
        for tuning in Tuning::ALL {
            let program = RouteProgram::new(Arc::clone(&world.plan), task).unwrap().with_tuning(tuning);
            let run = TestWorld::seeded(2).run(&program, &world.weights, &inputs).unwrap();
            let cosine = cosine(&run.output.values[0], &clear.values[0]);
            assert!(cosine >= 0.999, "{attention} {activation} {tuning:?}: cosine {cosine}");
            assert_eq!((run.servers[0].openings, run.material_bytes), {
                (run.forecast.openings, run.forecast.material_bytes)
            });
            costs.push(run.forecast);
        }
        assert!(costs.windows(2).all(|pair| pair[0].openings >= pair[1].openings), "{costs:?}");
        assert!(costs.windows(2).all(|pair| pair[0].material_bytes <= pair[1].material_bytes), "{costs:?}");
    }
}

/// The servers choose the tuning, and the client does not learn which.
#[test]
fn what_a_client_sends_and_gets_is_the_same_under_each_tuning() {
    let world = |attention, activation| World::new(attention, activation, Pooling::Mean).plan;
    let plans = [
        real_plan(),
        world(Attention::TwoRelu, Activation::Relu),
        world(Attention::Softmax, Activation::Gelu),
        World::with_fewer_norms(Attention::Linear, Activation::Square).plan,
    ];
    for plan in plans {
        let select = |method| Measurement::Select { candidates: 16, keep: 4, method }.into();
        let mut works: Vec<Work> = SelectMethod::ALL.map(select).to_vec();
        works.push(Measurement::Embed { bucket: 32 }.into());
        let tasks = |router| [Task::route(router, 32), Task::head(router)].map(Work::from);
        works.extend((0..plan.routers.len()).flat_map(tasks));
        for work in works {
            let seen = |request: SessionRequest| {
                let program = request.program(&plan).unwrap();
                (program.inputs(), format!("{:?}", Meter::outputs(&program).unwrap()))
            };
            let asked = SessionRequest::new(work);
            for tuning in Tuning::ALL {
                assert_eq!(seen(asked), seen(asked.with_tuning(tuning)), "{work:?} {tuning:?}");
            }
        }
    }
}

#[test]
fn a_network_chooses_the_tuning() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let task = Task::route(0, 32);
    let choice = |micros: u64, megabits: f64| {
        let network = NetworkEstimate { delay: Duration::from_micros(micros), megabits };
        network.tune(&world.plan, SessionRequest::new(task)).unwrap().tuning.unwrap()
    };
    assert_eq!(choice(0, 100_000.0), Tuning::Near);
    assert_ne!(choice(20_000, 400.0), Tuning::Near);
    assert_eq!(choice(10_000_000, 400.0), Tuning::Far);
}
