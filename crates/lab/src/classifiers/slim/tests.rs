use super::change::Change;
use super::objective::leaving;
use super::prune::{Pruner, Spread, prune};
use super::variant::Variant;
use super::*;
use crate::classifiers::{Labelled, train_pool};
use crate::data::synthetic::small_encoder;
use crate::encoders::student::{Form, NeuralEncoder, batch_of};
use blindroute_routing::bundle::{Activation, Attention, Layer, LinearLayer, Matrix, Norms};
use candle_core::{DType, Device};

/// Texts of a few tokens. Those with token 4 are of one label, those with token 5 of the other.
fn texts(count: usize, shift: usize) -> Labelled {
    let text = |text: usize| {
        let other = |place: usize| 6 + ((text * 7 + place * place * 3 + shift) % 17) as u32;
        let mut ids: Vec<u32> = (0..2 + text % 5).map(other).collect();
        ids.insert(text % ids.len(), 4 + (text % 2) as u32);
        ids
    };
    Labelled { texts: (0..count).map(text).collect(), labels: (0..count).map(|text| text % 2).collect() }
}

fn task() -> LabelledTexts {
    LabelledTexts {
        name: "words".to_owned(),
        labels: ["4", "5"].map(str::to_owned).to_vec(),
        pair: false,
        train: texts(160, 0),
        dev: texts(40, 1),
        test: Some(texts(40, 2)),
        rounded: 0,
    }
}

fn encoder() -> Bundle {
    let mut parts = small_encoder(Attention::Linear, Activation::Square).into_parts();
    parts.encoder.norms = Norms::Output;
    Bundle::new(parts).unwrap()
}

/// A pool with two exits.
fn pool() -> Bundle {
    let options = PoolOptions { steps: 60, tokens: 64, texts: 8, rate: 3e-3, ..PoolOptions::new(vec![1, 2]) };
    train_pool(&encoder(), &[task()], &options, None, &mut |_| ()).unwrap().bundle
}

fn options() -> SlimOptions {
    SlimOptions { rounds: 2, changes: 2, steps: 60, tokens: 64, rate: 1e-3, units: 4, dev: 32, ..Default::default() }
}

fn slim(
    start: &Bundle,
    options: &SlimOptions,
    checkpoint: Option<&Path>,
    on_progress: &mut dyn FnMut(SlimProgress),
) -> Result<Slimmed, ClassifierError> {
    slim_pool(start, &[task()], options, checkpoint, on_progress)
}

/// Widths that are fewer bits cost less, so do fewer units, and bits of stored weights nothing. The objective falls with each accepted
/// change, and not more changes are accepted than allowed.
#[test]
fn accepted_changes_save_time_and_lower_the_objective() {
    let start = pool();
    let found = slim(&start, &options(), None, &mut |_| ()).unwrap();
    let SlimReport { start: first, alone, accepted, rounds, end, saved, .. } = &found.report;
    assert!((first.objective - first.loss - first.excess - 0.5).abs() < 1e-9, "{first:?}");
    let row = |what: &str| alone.iter().find(|row| row.change.starts_with(what)).unwrap();
    for what in ["weights 12 -> 11", "layer 9 -> 8, activated 9 -> 8", "heads", "inner_range", "ffn 16 -> 12"] {
        let saved = row(what).saved;
        assert!(saved.seconds > 0.0 && saved.bytes > 0.0 && saved.openings == 0.0, "{:?}", row(what));
    }
    assert!(row("weights").saved.material > 0.0, "{:?}", row("weights"));
    assert_eq!((row("stored with 8 bits").saved, row("stored with 6 bits").saved), Default::default());
    assert!(row("stored with 6 bits").score.loss != first.loss);
    assert!(row("no exit after 1 layers").score.cost != first.cost);

    assert!(
        !accepted.is_empty()
            && accepted.len() <= 4
            && accepted.len() == rounds.iter().map(|of| of.changes).sum::<usize>()
    );
    let mut before = *first;
    for (place, row) in accepted.iter().enumerate() {
        if place > 0 && accepted[place - 1].round < row.round {
            before = rounds[row.round - 2].routed;
        }
        assert!(row.score.objective < before.objective, "{row:?} after {before:?}");
        assert!(row.saved.seconds > 0.0 && row.score.cost.seconds < before.cost.seconds, "{row:?}");
        before = row.score;
    }
    for round in rounds {
        assert_eq!(round.kept, round.trained.objective <= round.changed.objective, "{round:?}");
    }
    assert_eq!(rounds.last().unwrap().routed, *end);
    assert!(saved.bytes > 0.0 && (1.0 - end.cost.bytes / first.cost.bytes - saved.bytes).abs() < 1e-9);
    // The first change is the one that alone lowers the objective most.
    let best = alone.iter().filter(|row| row.saved.seconds > 0.0);
    let best = best.min_by(|a, b| a.score.objective.total_cmp(&b.score.objective)).unwrap();
    assert_eq!((&accepted[0].change, accepted[0].score), (&best.change, best.score));

    let parts = found.bundle.parts();
    assert!(parts.encoder.widths.check().is_ok() && parts.pool.as_ref().unwrap().tasks.len() == 1);
    assert!(parts.layers.iter().all(|layer| layer.up.weight.is_quantised()));
    let [before, after] = [&found.report.before[0], &found.report.after[0]];
    assert!(after.cost.bytes < before.cost.bytes && after.test.as_ref().unwrap().texts == 40);
    // Published activations cost more.
    assert!(found.report.published.bytes > found.report.embedding.bytes);
    assert!(found.report.published.openings > found.report.embedding.openings);
}

#[test]
fn where_time_is_worth_nothing_no_change_that_loses_is_accepted() {
    let start = pool();
    let found = slim(&start, &SlimOptions { beta: 1e-12, rounds: 1, ..options() }, None, &mut |_| ()).unwrap();
    let first = found.report.start;
    assert!(
        found.report.accepted.iter().all(|row| row.score.loss + row.score.excess < first.loss + first.excess + 1e-9)
    );
}

#[test]
fn an_interrupted_search_ends_like_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let start = pool();
    let whole = slim(&start, &options(), None, &mut |_| ()).unwrap();
    assert_eq!(whole.report.rounds.len(), 2);
    // In the second round's training, after its first checkpoint.
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut rounds = 0;
        slim(&start, &options(), Some(&path), &mut |progress| match progress {
            SlimProgress::Round(_) => rounds += 1,
            SlimProgress::Training(of) => assert!(rounds == 0 || of.step < 55),
            _ => {}
        })
        .unwrap()
    }));
    assert!(interrupted.is_err());
    let (mut steps, mut alone) = (Vec::new(), 0);
    let resumed = slim(&start, &options(), Some(&path), &mut |progress| match progress {
        SlimProgress::Training(of) => steps.push(of.step),
        SlimProgress::Alone(_) => alone += 1,
        _ => {}
    })
    .unwrap();
    assert_eq!((steps.first(), steps.last(), alone), (Some(&51), Some(&60), 0));
    assert!(resumed.bundle.write().unwrap() == whole.bundle.write().unwrap());
    assert_eq!((resumed.report.end, &resumed.report.after), (whole.report.end, &whole.report.after));
    // Nothing is left of the rounds' trainings.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = slim(&start, &SlimOptions { beta: 0.4, ..options() }, Some(&path), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("belongs to a training with other options or texts"), "{error}");
}

/// A layer's feed-forward network with this activation.
fn output(layer: &Layer, x: &[f32]) -> Vec<f32> {
    let affine = |linear: &LinearLayer, x: &[f32]| -> Vec<f32> {
        let sum = |column: usize| (0..x.len()).map(|row| x[row] * linear.weight.row(row)[column]).sum::<f32>();
        (0..linear.weight.columns()).map(|column| sum(column) + linear.bias.data()[column]).collect()
    };
    let inner: Vec<f32> = affine(&layer.up, x).iter().map(|x| x * x).collect();
    affine(&layer.down, &inner)
}

#[test]
fn units_without_effect_go_first_and_leave_the_output_as_it_is() {
    let mut layer = encoder().parts().layers[0].clone();
    let zero_column = |of: &Matrix, unit: usize| {
        Matrix::from_fn(of.rows(), of.columns(), |row, column| if column == unit { 0.0 } else { of.row(row)[column] })
    };
    // Unit 3 has no weight at all; unit 7 is the same number for all inputs.
    for unit in [3, 7] {
        layer.up.weight = zero_column(&layer.up.weight, unit);
    }
    layer.up.bias = zero_column(&layer.up.bias, 3);
    layer.down.weight = zero_column(&layer.down.weight.transposed(), 3).transposed();
    let constant = f64::from(layer.up.bias.data()[7]).powi(2);
    let spread = |unit: usize| match unit {
        3 => Spread::default(),
        7 => Spread { mean: constant, variance: 0.0 },
        _ => Spread { mean: 1.0, variance: 1.0 },
    };
    let spreads: Vec<Spread> = (0..16).map(spread).collect();
    let x: Vec<f32> = (0..8).map(|place| (place as f32 * 1.7).sin()).collect();
    let pruned = |ffn: usize| {
        let mut pruned = layer.clone();
        prune(&mut pruned, &spreads, ffn);
        assert_eq!((pruned.up.weight.columns(), pruned.down.weight.rows()), (ffn, ffn));
        output(&pruned, &x)
    };
    let (whole, two) = (output(&layer, &x), pruned(14));
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(close(&whole, &two) < 1e-5 * 16.0, "{whole:?}, {two:?}");
    assert!(close(&whole, &pruned(12)) > 1e-2);

    // Without the constant unit, exactly.
    let mut other = layer.clone();
    other.up.weight = layer.up.weight.clone();
    let mut spreads = spreads.clone();
    spreads[7] = Spread { mean: 1.0, variance: 1.0 };
    prune(&mut other, &spreads, 15);
    assert_eq!(output(&other, &x), whole);
}

/// Units are observed on texts as the encoder computes them, so a unit of zero weights goes first.
#[test]
fn pruning_finds_the_unit_of_zero_weights_in_each_layer() {
    let mut parts = pool().into_parts();
    for (layer, unit) in parts.layers.iter_mut().zip([2, 9]) {
        let keep = |of: &Matrix, columns: bool| {
            let of = of.clone();
            Matrix::from_fn(of.rows(), of.columns(), |row, column| {
                if (if columns { column } else { row }) == unit { 0.0 } else { of.row(row)[column] }
            })
        };
        layer.up = LinearLayer { weight: keep(&layer.up.weight, true), bias: keep(&layer.up.bias, true) };
        layer.down.weight = keep(&layer.down.weight, false);
    }
    let (bundle, tasks) = (Bundle::new(parts).unwrap(), [task()]);
    let variant = Variant::of(&bundle, &tasks).unwrap();
    let pruned = Pruner::new(&bundle, &tasks, 1).pruned(&variant).unwrap().unwrap();
    assert_eq!(pruned.encoder.ffn, 15);
    let form = Form { trained: false, dtype: DType::F32, device: Device::Cpu, bits: None };
    let batch = batch_of(&bundle, &[&[4, 9, 11], &[5, 20, 7]], &Device::Cpu).unwrap();
    let states = |of: &Variant| {
        let network = NeuralEncoder::new(&of.encoder, &of.layers, &form).unwrap();
        let pass = network.pass(&batch, 0.0).unwrap();
        pass.hidden.iter().map(|hidden| hidden.to_vec2::<f32>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(states(&pruned), states(&variant));
    assert!(Pruner::new(&bundle, &tasks, 16).pruned(&variant).unwrap().is_none());
}

#[test]
fn the_shares_that_leave_sum_to_one_and_an_exit_can_go() {
    assert_eq!(leaving(&[]), [1.0]);
    assert_eq!(leaving(&[0.5, 0.125]), [0.5, 0.375, 0.125]);
    let (bundle, tasks) = (pool(), [task()]);
    let variant = Variant::of(&bundle, &tasks).unwrap();
    let pruner = Pruner::new(&bundle, &tasks, 4);
    let (after, what) = Change::Exit(0).of(&variant, &pruner).unwrap().unwrap();
    assert_eq!((what.as_str(), after.pool.exits.as_slice()), ("no exit after 1 layers", [2].as_slice()));
    assert!(after.bundle(&bundle).unwrap().parts().pool.as_ref().unwrap().tasks[0].gains.is_empty());
    assert!(Change::Exit(1).of(&variant, &pruner).unwrap().is_none(), "the last exit stays");
}

/// A range that values leave counts, also where nothing else is limited by it.
#[test]
fn values_that_leave_their_ranges_count() {
    let (bundle, tasks, options) = (pool(), [task()], options());
    let variant = Variant::of(&bundle, &tasks).unwrap();
    let objective = Objective::new(&bundle, &tasks, (&variant, &options)).unwrap();
    let excess = |set: &dyn Fn(&mut blindroute_routing::bundle::Widths)| {
        let mut variant = variant.clone();
        set(&mut variant.encoder.widths);
        objective.score(&variant).unwrap().excess
    };
    let start = excess(&|_| ());
    for (name, found) in [
        ("norm_high", excess(&|widths| widths.norm_high = 4)),
        ("norm_low", excess(&|widths| widths.norm_low = 12)),
        ("mean_range", excess(&|widths| widths.mean_range = 1)),
        ("inner_range", excess(&|widths| widths.inner_range = 1)),
    ] {
        assert!(found > start + 1e-3, "{name}: {found} and {start}");
    }
}

#[test]
fn what_cannot_be_made_cheaper_is_refused() {
    let start = pool();
    let problem = |start: &Bundle, task: LabelledTexts, options: &SlimOptions| {
        slim_pool(start, &[task], options, None, &mut |_| ()).unwrap_err().to_string()
    };
    for beta in [0.0, -1.0, f64::NAN] {
        let found = problem(&start, task(), &SlimOptions { beta, ..options() });
        assert!(found.contains("the weight of the cost is") && found.contains("above 0"), "{found}");
    }
    let found = problem(&encoder(), task(), &options());
    assert!(found.contains("no pool of classifiers") && found.contains("train pool"), "{found}");
    let none = LabelledTexts { dev: Labelled { texts: Vec::new(), labels: Vec::new() }, ..task() };
    let found = problem(&start, none, &options());
    assert!(found.contains("0 development texts, expected at least 8"), "{found}");
    let found = problem(&start, LabelledTexts { name: "other".to_owned(), ..task() }, &options());
    assert!(found.contains("no task \"other\", expected one of words"), "{found}");
    let found = slim_pool(&start, &[task(), task()], &options(), None, &mut |_| ()).unwrap_err().to_string();
    assert!(found.contains("the task \"words\" twice"), "{found}");
}
