//! The time of a text, and which shares it makes best.

use super::super::calibrate::{Candidates, Lists, chosen};
use super::super::features::Answers;
use super::super::seconds::Sessions;
use super::start;
use blindroute_protocol::{Meter, Tuning};
use blindroute_routing::bundle::{ClassifierTask, Matrix, PoolShape, TaskShape};
use blindroute_routing::program::{BundlePlan, NetworkEstimate, SessionRequest, Task};
use std::sync::Arc;
use std::time::Duration;

const WAN: NetworkEstimate = NetworkEstimate { delay: Duration::from_millis(20), megabits: 400.0 };

/// The plan of an encoder of ordinary size, for these exits.
fn plan(exits: &[usize]) -> BundlePlan {
    let mut plan = BundlePlan::of(&start());
    let encoder = &mut plan.encoder;
    (encoder.layers, encoder.hidden, encoder.heads, encoder.ffn) = (*exits.last().unwrap(), 384, 12, 1536);
    let task = ClassifierTask {
        name: "task".to_owned(),
        labels: ["a", "b"].map(str::to_owned).to_vec(),
        pair: false,
        capacities: vec![1.0; exits.len() - 1],
        thresholds: Vec::new(),
    };
    let tasks = vec![TaskShape { task, units: vec![16; exits.len() - 1] }];
    plan.pool = Some(PoolShape { exits: exits.to_vec(), tasks });
    plan
}

pub(super) fn sessions(exits: &[usize], network: Option<NetworkEstimate>) -> Sessions {
    Sessions::new(plan(exits), network, 0, [3, 20, 90].into_iter())
}

#[test]
fn the_time_of_a_text_is_that_of_the_meter() {
    let exits = [1, 2, 4];
    let request = |exit, capacities| SessionRequest::new(Task::classify(0, 32, exit, capacities)).with_batch(32);
    let plan = Arc::new(plan(&exits));
    let cost = |request: SessionRequest| Meter::cost(&request.program(&plan).unwrap()).unwrap();
    let found = sessions(&exits, None).with_shares(&[0.5, 0.25]).unwrap();
    let near = cost(request(2, [16, 8, 0]).with_tuning(Tuning::default()));
    let expected = near.openings as f64 * 2e-4 + near.opening_bytes as f64 * 2.5e-8;
    assert!((found * 32.0 / expected - 1.0).abs() < 1e-9, "{found} and {expected}");

    let found = sessions(&exits, Some(WAN)).with_shares(&[0.5, 0.25]).unwrap();
    let tuned = WAN.tune(&plan, request(2, [16, 8, 0])).unwrap();
    let far = cost(tuned);
    let work = far.openings as f64 * 2e-4 + far.opening_bytes as f64 * 2.5e-8;
    let expected = work + WAN.estimate(&far).as_secs_f64();
    assert!((found * 32.0 / expected - 1.0).abs() < 1e-9, "{found} and {expected}");

    let of_exits = sessions(&exits, None).of_exits().unwrap();
    assert!(of_exits[0] < of_exits[1] && of_exits[1] < of_exits[2] && of_exits[2] == 1.0, "{of_exits:?}");
    // Almost a quarter of the layers: the last exit has openings of its own.
    assert!((0.2..0.35).contains(&of_exits[0]), "{of_exits:?}");
    let long = Sessions::new(super::seconds::plan(&exits), None, 0, [300, 250, 200].into_iter());
    assert!(long.with_shares(&[1.0, 1.0]).unwrap() > 4.0 * sessions(&exits, None).with_shares(&[1.0, 1.0]).unwrap());
}

/// Two exits choose equally well, the second on fewer texts. Near, both choices pay; far away, the openings of one are worth more
/// than what it saves, and that list has an exit at which nothing is chosen.
#[test]
fn far_servers_choose_at_fewer_exits() {
    let exits = [1, 2, 4];
    let rows = 320;
    let hard = |row: usize| row.is_multiple_of(8);
    let answer = |right: &dyn Fn(usize) -> bool| {
        Matrix::from_fn(rows, 2, |row, label| if (label == 0) == right(row) { 0.9 } else { 0.1 })
    };
    let easy = |row: usize| !hard(row);
    let features = Matrix::from_fn(rows, 1, |_, _| 0.0);
    let probabilities = vec![answer(&easy), answer(&easy), answer(&|_| true)];
    let answers = Answers { features: vec![features; 3], probabilities, labels: vec![0; rows] };
    let gain: Vec<f32> = (0..rows).map(|row| if hard(row) { 1.0 } else { 0.0 }).collect();
    let candidates = Candidates::new(&answers, vec![gain.clone(), gain], &exits, 1);
    let shares = |network: Option<NetworkEstimate>| {
        let lists = Lists::new(3, &sessions(&exits, network)).unwrap();
        chosen(&candidates, &lists, 1.0)
    };
    let (near, far) = (shares(None), shares(Some(WAN)));
    assert!(near.shares[0] <= 0.5 && near.gain > 0.99, "{near:?}");
    let choices = |shares: &[f32]| {
        let before = [&[1.0], &shares[..shares.len() - 1]].concat();
        before.iter().zip(shares).filter(|(before, after)| after < before).count()
    };
    assert!(choices(&far.shares) == 1 && far.gain > 0.99, "{far:?}");
    assert!(far.seconds > 2.0 * near.seconds, "{near:?}, {far:?}");
}
