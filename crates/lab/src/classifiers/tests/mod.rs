mod cascade;
mod gate;
mod open;
mod router;
mod seconds;

use super::features::Answers;
use super::gains::{Fitting, Joint, Pieces, Scale};
use super::heads::{Heads, loss};
use super::*;
use crate::data::synthetic::small_encoder;
use blindroute_routing::bundle::{Activation, Attention, Bundle, LinearLayer, Matrix, Norms};
use candle_core::{DType, Device, Tensor, Var};
use std::path::Path;

fn start() -> Bundle {
    let mut parts = small_encoder(Attention::Linear, Activation::Square).into_parts();
    parts.encoder.norms = Norms::Output;
    Bundle::new(parts).unwrap()
}

/// Texts of letters. Those with an `a` are of one label, those with a `b` of the other.
fn lines(count: usize, pair: bool) -> String {
    let letters = |text: usize, word: &str| {
        let other = |place: usize| char::from(b'c' + ((text * 7 + place * place * 3) % 17) as u8).to_string();
        let mut words: Vec<String> = (0..2 + text % 5).map(other).collect();
        words.insert(text % words.len(), word.to_owned());
        words.join(" ")
    };
    let line = |text: usize| {
        let word = ["a", "b"][text % 2];
        let mut line = serde_json::json!({"text": letters(text, word), "label": text % 2 + 9, "more": "ignored"});
        if pair {
            line["text2"] = "c d".into();
        }
        format!("{line}\n")
    };
    (0..count).map(line).collect()
}

fn read(folder: &Path, name: &str, train: &str, dev: Option<&str>) -> Result<LabelledTexts, ClassifierError> {
    let write = |file: &str, content: &str| {
        let path = folder.join(file);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (train, dev) = (write("train", train), dev.map(|dev| write("dev", dev)));
    let files = LabelledFiles { test: dev.clone(), train, dev };
    LabelledTexts::read(name, &files, TaskReading { tokenizer: &start().tokenizer().unwrap(), longest: 16, seed: 3 })
}

fn options(steps: usize) -> PoolOptions {
    PoolOptions { steps, tokens: 64, texts: 8, rate: 3e-3, ..PoolOptions::new(vec![1, 2]) }
}

#[test]
fn a_pool_learns_two_words_and_is_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let task = read(folder.path(), "words", &lines(200, false), Some(&lines(60, false))).unwrap();
    assert_eq!((task.labels.as_slice(), task.pair), (["9".to_owned(), "10".to_owned()].as_slice(), false));
    let pairs = read(folder.path(), "pairs", &lines(80, true), None).unwrap();
    assert_eq!((pairs.train.texts.len(), pairs.dev.texts.len(), pairs.pair), (72, 8, true));
    let mut steps = Vec::new();
    let trained = train_pool(&start(), &[task, pairs], &options(200), None, &mut |progress| {
        steps.push((progress.task, progress.entropies[0]));
    });
    let trained = trained.unwrap();
    // Steps are in proportion to the square roots of 200 and 72.
    assert_eq!(steps.iter().filter(|(task, _)| *task == 0).count(), 125);
    let report = &trained.reports[0];
    let test = report.test.as_ref().unwrap();
    assert!(test.exits.iter().all(|share| *share > 0.9), "{test:?}");
    assert!(report.dev.chosen.gain + 0.005 >= report.dev.exits[1], "{report:?}");
    assert_eq!(report.dev.routes.len(), 8);
    let pool = trained.bundle.parts().pool.as_ref().unwrap();
    assert_eq!((pool.exits.as_slice(), pool.tasks.len()), ([1, 2].as_slice(), 2));
    assert!(pool.tasks[1].task.pair && pool.tasks[0].task.capacities == report.dev.chosen.shares);
    assert!(trained.bundle.parts().layers.iter().all(|layer| layer.up.weight.is_quantised()));
    let again = Bundle::read(&trained.bundle.write().unwrap()).unwrap().bundle;
    assert_eq!(again.digest(), trained.bundle.digest());
}

#[test]
fn an_interrupted_training_ends_like_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = [
        read(folder.path(), "words", &lines(100, false), None).unwrap(),
        read(folder.path(), "more", &lines(300, false), None).unwrap(),
    ];
    let path = folder.path().join("state");
    let train = |options: &PoolOptions, path: Option<&Path>, on_step: &mut dyn FnMut(&PoolProgress)| {
        train_pool(&start(), &tasks, options, path, on_step)
    };
    let whole = train(&options(120), None, &mut |_| ()).unwrap();
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        train(&options(120), Some(&path), &mut |progress| assert!(progress.step < 73)).unwrap()
    }));
    assert!(interrupted.is_err());
    let mut steps = Vec::new();
    let resumed = train(&options(120), Some(&path), &mut |progress| steps.push(progress.step)).unwrap();
    assert_eq!((steps.first(), steps.last()), (Some(&51), Some(&120)));
    assert_eq!((resumed.bundle.digest(), &resumed.reports), (whole.bundle.digest(), &whole.reports));
    let other = PoolOptions { seed: 1, ..options(120) };
    let error = train(&other, Some(&path), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("belongs to a training with other options or texts"), "{error}");
}

/// The gradients of these variables equal the slopes of a function of them, in f64.
fn check_gradients(variables: &[(String, Var)], of: &dyn Fn() -> Tensor) {
    let gradients = of().backward().unwrap();
    for (name, variable) in variables {
        let gradient = gradients.get(variable.as_tensor()).unwrap_or_else(|| panic!("{name} has no gradient"));
        let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let before = variable.as_detached_tensor().copy().unwrap();
        let values = before.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for index in 0..values.len() {
            let at = |shift: f64| {
                let mut values = values.clone();
                values[index] += shift;
                variable.set(&Tensor::from_vec(values, before.shape(), &Device::Cpu).unwrap()).unwrap();
                of().to_scalar::<f64>().unwrap()
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            variable.set(&before).unwrap();
            let error = (slope - gradient[index]).abs();
            assert!(error < 1e-7 + 1e-6 * slope.abs(), "{name}[{index}]: slope {slope}, gradient {}", gradient[index]);
        }
    }
}

fn numbers(rows: usize, columns: usize, size: f64) -> Tensor {
    let data = (0..rows * columns).map(|x| size * ((x * 7919 + 13) % 101) as f64 / 101.0 - size / 2.0);
    Tensor::from_vec(data.collect::<Vec<f64>>(), (rows, columns), &Device::Cpu).unwrap()
}

#[test]
fn gradients_of_heads_and_gains_equal_slopes() {
    let folder = tempfile::tempdir().unwrap();
    let task = read(folder.path(), "words", &lines(40, false), None).unwrap();
    let zeros = |rows| Matrix::from_fn(rows, task.labels.len(), |_, _| 0.0);
    let start = [5, 5].map(|hidden| LinearLayer { weight: zeros(hidden), bias: zeros(1) });
    let heads = Heads::new(&task.name, &start, DType::F64).unwrap();
    let parameters = heads.parameters();
    for (index, (_, variable)) in parameters.iter().enumerate() {
        let (rows, columns) = variable.dims2().unwrap();
        variable.set(&numbers(rows, columns, 0.1 + 0.05 * index as f64)).unwrap();
    }
    let features = [numbers(6, 5, 2.0), numbers(6, 5, 3.0)];
    let logs = |features: &[Tensor]| heads.log_probabilities(features).unwrap();
    // Distillation does not change the last exit, so it is checked without it, and the first exit alone with it.
    let labels = [0, 1, 1, 0, 1, 0];
    check_gradients(&parameters, &|| loss(&logs(&features), &labels, 0.0).unwrap().1);
    check_gradients(&parameters[..2], &|| loss(&logs(&features), &labels, 0.7).unwrap().1);

    let [weight, bias] = [numbers(5, 4, 9.0), numbers(1, 4, 1.0)].map(|start| Var::from_tensor(&start).unwrap());
    let named = [("weight".to_owned(), weight.clone()), ("bias".to_owned(), bias.clone())];
    let target = numbers(6, 1, 1.0);
    let loss = || gains::loss(&features[0], &target, weight.as_tensor(), bias.as_tensor()).unwrap();
    check_gradients(&named, &loss);
}

/// A text gains where its second feature is large: a gain finds these texts, and only the order counts.
#[test]
fn a_gain_finds_the_texts_that_gain() {
    let noise = |row: usize, column: usize| ((row * 7919 + column * 104_729) % 1009) as f32 / 1009.0 - 0.5;
    let features = Matrix::from_fn(300, 4, noise);
    let probabilities = |low: &dyn Fn(usize) -> bool| {
        Matrix::from_fn(300, 2, |row, column| if (column == 0) == low(row) { 0.2 } else { 0.8 })
    };
    let hard = |row: usize| features.row(row)[1] > 0.25;
    let probabilities = vec![probabilities(&hard), probabilities(&|_| false)];
    let answers = Answers { features: vec![features.clone(), features.clone()], probabilities, labels: vec![0; 300] };
    // Scores of this head are close together where the second feature is large, and those of the other one nowhere.
    let head = |slope: f32, level: f32| LinearLayer {
        weight: Matrix::from_fn(4, 2, |row, label| if (row, label) == (1, 0) { -slope } else { 0.0 }),
        bias: Matrix::from_fn(1, 2, |_, label| if label == 0 { level } else { 0.0 }),
    };
    let aims = gate::aims(&[0.5, 0.5], &[0.3, 1.0]);
    let fit_from = |heads: &[LinearLayer], joint: Option<&Joint>| {
        let fitting = Fitting { task: "task", answers: &answers, heads, aims: &aims, joint, seed: 1 };
        let (mut names, mut on_piece) = (Vec::new(), |_: &_| ());
        let fitted = gains::fit(&fitting, &mut Pieces::new(None, 10, &mut on_piece).unwrap()).unwrap();
        let mut on_piece = |progress: &GainProgress| names.push(progress.piece.clone());
        let again = gains::fit(&fitting, &mut Pieces::new(None, 10, &mut on_piece).unwrap()).unwrap();
        assert_eq!((&again[0].gain, &again[0].held_out), (&fitted[0].gain, &fitted[0].held_out));
        assert_eq!((names.len(), names[0].as_str(), names[9].as_str()), (10, "task.gated.fold0", "task.learned.0.all"));
        fitted
    };
    let fit = |heads: &[LinearLayer]| fit_from(heads, None);
    let kind = |head: &LinearLayer| {
        let fitted = fit(&[head.clone(), head.clone()]).swap_remove(0);
        let report = &fitted.report;
        assert!(report.learned > 0.9 && report.gated > 0.9 && report.spread > 0.5, "{report:?}");
        (fitted.report.kind, gains::gains_of(&fitted.gain, head, &features))
    };
    let (spread, of_spread) = kind(&head(1.0, 0.6));
    assert!(spread == "spread" && of_spread.iter().all(|gain| (-64.0..=0.0).contains(gain)));
    let fitted = fit(&[head(0.0, 1.0), head(0.0, 1.0)]);
    let best = if fitted[0].report.gated > fitted[0].report.learned { "gated" } else { "learned" };
    assert_eq!((fitted.len(), fitted[0].report.kind), (1, best));
    let found = gains::gains_of(&fitted[0].gain, &head(0.0, 1.0), &features);
    for gains in [found, fitted[0].held_out.clone()] {
        let mut order: Vec<usize> = (0..300).collect();
        order.sort_by(|a, b| gains[*b].total_cmp(&gains[*a]));
        let most = (0..300).filter(|row| hard(*row)).count();
        let right = order[..most].iter().filter(|row| hard(**row)).count();
        assert!(right * 10 > most * 8, "{right} of {most}");
    }
    // A gate that was trained with the layers is where the gains start: this one knows the texts already.
    let first = |row: usize, unit: usize| if (row, unit) == (1, 0) { 4.0 } else { 0.0 };
    let bias = Matrix::from_fn(1, 16, |_, unit| if unit == 0 { 3.0 } else { 0.0 });
    let layer = LinearLayer { weight: Matrix::from_fn(4, 16, first), bias };
    let joint = Joint { stages: vec![(layer.clone(), -16.0)] };
    let started = fit_from(&[head(0.0, 1.0), head(0.0, 1.0)], Some(&joint)).swap_remove(0);
    assert!(started.report.gated > 0.97 && started.report.gated != fitted[0].report.gated, "{:?}", started.report);
    let scale = Scale::of(&features);
    let again = scale.folded(&scale.unfolded(&layer));
    let error = |a: &Matrix, b: &Matrix| a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error(&again.weight, &layer.weight) + error(&again.bias, &layer.bias) < 1e-5);
    assert!(error(&scale.unfolded(&layer).weight, &layer.weight) > 0.1);

    let candidates = calibrate::Candidates::new(&answers, vec![fitted[0].held_out.clone()], &[1, 3], 1);
    let lists = calibrate::Lists::new(2, &seconds::sessions(&[1, 3], None)).unwrap();
    let all = calibrate::chosen(&candidates, &lists, 1.0);
    assert!(all.shares[0] < 0.7 && all.gain > all.random + 0.05, "{all:?}");
    assert!((all.layers - (1.0 + 2.0 * f64::from(all.shares[0]))).abs() < 0.1, "{all:?}");
    // Where time counts nothing, the most accurate list wins, and where it counts more than all accuracy, still no list that is much worse.
    let free = calibrate::chosen(&candidates, &lists, 0.0);
    assert!(free.gain >= all.gain && free.seconds >= all.seconds, "{free:?}");
    assert!(calibrate::chosen(&candidates, &lists, 100.0).gain + 0.005 >= free.gain);
}

/// Labels such as those of STS-B become whole numbers, which the report counts.
#[test]
fn labels_with_fractions_are_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let line = |label: &str| format!("{{\"text\": \"a c\", \"text2\": \"b d\", \"label\": {label}}}\n");
    let train: String = ["5.0", "2.5", "-0.3", "3.8", "1.2", "2", "4.4999"].iter().map(|label| line(label)).collect();
    let task = read(folder.path(), "similar", &train, Some(&(line("4.6") + &line("0")))).unwrap();
    assert_eq!(task.labels, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!((&task.train.labels, &task.dev.labels), (&vec![5, 3, 0, 4, 1, 2, 4], &vec![5, 0]));
    // Five in the training file, and 4.6 in the development texts, which are the test texts too.
    assert_eq!((task.rounded, task.pair), (7, true));
    let error = read(folder.path(), "similar", &(train + &line("1e300")), None).unwrap_err().to_string();
    assert!(error.contains("line 8: its label is a number that is too large"), "{error}");
}

#[test]
fn files_and_exits_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = lines(60, false);
    let refused = |train: &str, dev: Option<&str>, expected: &str| {
        let error = read(folder.path(), "words", train, dev).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    };
    let more = |line: &str| format!("{good}{line}\n");
    refused(&more("secret"), None, "train, line 61: it is not a JSON object");
    refused(&more("{\"text\": \"secret\"}"), None, "line 61: it has no field label");
    refused(&more("{\"label\": 1, \"words\": \"secret\"}"), None, "line 61: it has no field text");
    refused(&more("{\"text\": \"secret\", \"label\": true}"), None, "line 61: its label is neither text nor");
    refused(&more("{\"text\": \"secret\", \"text2\": \"b\", \"label\": 9}"), None, "line 61: it has field text2");
    refused(&format!("{}{good}", lines(1, true)), None, "line 2: it has no field text2");
    refused(&more("{\"text\": \" \", \"label\": 9}"), None, "line 61: a text is empty or blank");
    refused("{\"text\": \"secret\", \"label\": 9}\n", None, "has 1 labels, expected 2 or more");
    refused("", None, "it has no lines");
    refused(&good, Some("{\"text\": \"secret\", \"label\": 11}\n"), "dev, line 1: its label does not occur");
    refused(&good, Some(&lines(1, true)), "dev, line 1: the task's training file does not have the field text2");

    let task = read(folder.path(), "words", &good, Some(&good)).unwrap();
    let train = |start: &Bundle, tasks: &[LabelledTexts], exits: Vec<usize>| {
        let options = PoolOptions { exits, ..options(1) };
        train_pool(start, tasks, &options, None, &mut |_| ()).unwrap_err().to_string()
    };
    let one = std::slice::from_ref(&task);
    for exits in [vec![1], vec![2, 1], vec![1, 3], vec![0, 2], vec![]] {
        let error = train(&start(), one, exits);
        assert!(error.contains("list of the pool's exits"), "{error}");
    }
    let error = train(&small_encoder(Attention::TwoRelu, Activation::Relu), one, vec![1, 2]);
    assert!(error.contains("encoder.attention"), "{error}");
    let error = train(&start(), &[task.clone(), task.clone()], vec![1, 2]);
    assert!(error.contains("twice"), "{error}");
    let few = read(folder.path(), "words", &lines(30, false), None).unwrap();
    let error = train(&start(), &[few], vec![1, 2]);
    assert!(error.contains("3 development texts, expected at least 8"), "{error}");
    let few = read(folder.path(), "words", &lines(8, false), Some(&good)).unwrap();
    let error = train(&start(), &[few], vec![1, 2]);
    assert!(error.contains("8 different texts to learn from"), "{error}");
}
