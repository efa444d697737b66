use super::distil::{batch_of, first_layers, quantise, states};
use super::loss::distance;
use super::neural_encoder::{Batch, Form, Limits, NeuralEncoder};
use super::*;
use crate::Stop;
use crate::data::synthetic::small_encoder;
use crate::data::vector::{dot, unit};
use crate::encoders::{ClearEmbedder, Embedder};
use crate::evaluation::rule::choose;
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, Cscr, Direct, EncoderConfig, Matrix, Model, Norms, Precision, Router, Rule, Widths,
};
use blindroute_routing::lexical::Lexical;
use candle_core::{DType, Device, Tensor};

const VARIANTS: [(Attention, Activation); 4] = [
    (Attention::Softmax, Activation::Gelu),
    (Attention::Softmax, Activation::Relu),
    (Attention::TwoRelu, Activation::Gelu),
    (Attention::TwoRelu, Activation::Relu),
];

/// Synthetic encoders of every kind.
fn encoders() -> Vec<Bundle> {
    let mut all: Vec<Bundle> = VARIANTS.iter().map(|(attention, ffn)| small_encoder(*attention, *ffn)).collect();
    let mut parts = small_encoder(Attention::TwoRelu, Activation::Relu).into_parts();
    parts.encoder.norms = Norms::Output;
    all.push(Bundle::new(parts).unwrap());
    all.push(small_encoder(Attention::TwoRelu, Activation::Square));
    all.push(polynomial(Widths { weights: 14, layer: 7, activated: 7, ..Widths::default() }));
    all
}

pub(super) fn polynomial(widths: Widths) -> Bundle {
    let mut parts = small_encoder(Attention::Linear, Activation::Square).into_parts();
    parts.encoder.norms = Norms::Output;
    parts.encoder.widths = widths;
    Bundle::new(parts).unwrap()
}

pub(super) fn texts() -> Vec<Vec<u32>> {
    (0..24u32).map(|text| (0..3 + text % 6).map(|place| (text * 7 + place * place * 3) % 24).collect()).collect()
}

pub(super) fn network(bundle: &Bundle, trained: bool, dtype: DType) -> NeuralEncoder {
    let parts = bundle.parts();
    NeuralEncoder::new(&parts.encoder, &parts.layers, &Form { trained, dtype, device: Device::Cpu, bits: None })
        .unwrap()
}

fn course<'a>(teacher: &'a Bundle, corpus: &'a Corpus) -> Course<'a> {
    Course { teacher, corpus, start: None, lessons: None }
}

fn options(encoder: EncoderConfig, steps: usize) -> Options {
    let precision = Precision::Exact;
    Options { steps, tokens: 64, texts: 8, rate: 3e-3, blend: 0.0, precision, ..Options::new(encoder) }
}

/// Training computes the same function as the secure program's clear interpreter.
#[test]
fn the_forward_pass_equals_the_program() {
    for bundle in encoders() {
        let texts = texts();
        let clear = ClearEmbedder::new(&bundle).unwrap().embed(&texts, &Stop::never()).unwrap();
        let views: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let batch = batch_of(&bundle, &views, &Device::Cpu).unwrap();
        let found = states(&network(&bundle, false, DType::F32), &batch, &[1], 0.0).unwrap().0.pooled;
        let found: Vec<Vec<f32>> = found.to_vec2().unwrap();
        let largest = clear.iter().flatten().fold(0.0f32, |largest, x| largest.max(x.abs()));
        for (found, clear) in found.iter().flatten().zip(clear.iter().flatten()) {
            assert!((found - clear).abs() < 2e-4 * largest, "{:?}: {found} and {clear}", bundle.parts().encoder);
        }
    }
}

/// Every parameter's gradient equals the slope of the loss, in f64.
#[test]
fn gradients_equal_slopes() {
    let double = |batch: Batch| Batch {
        input: batch.input.to_dtype(DType::F64).unwrap(),
        mask: batch.mask.to_dtype(DType::F64).unwrap(),
    };
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let texts = texts();
    let views: Vec<&[u32]> = texts.iter().take(4).map(Vec::as_slice).collect();
    let batch = double(batch_of(&teacher, &views, &Device::Cpu).unwrap());
    let target = states(&network(&teacher, false, DType::F64), &batch, &[0, 1], 0.0).unwrap().0;
    for bundle in encoders() {
        let student = network(&bundle, true, DType::F64);
        let parameters = student.parameters();
        // The student differs from its teacher everywhere.
        for (index, (_, variable)) in parameters.iter().enumerate() {
            let shifted = (variable.as_detached_tensor() * (1.0 + 0.01 * (index % 7) as f64)).unwrap();
            variable.set(&shifted).unwrap();
        }
        let loss =
            || distance(&states(&student, &batch, &[0, 1], 0.0).unwrap().0, &target, &batch).unwrap().total().unwrap();
        let gradients = loss().backward().unwrap();
        assert_eq!(parameters.len(), 2 * 16);
        for (name, variable) in &parameters {
            let gradient = gradients.get(variable.as_tensor()).unwrap_or_else(|| panic!("{name} has no gradient"));
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let before = variable.as_detached_tensor().copy().unwrap();
            let values = before.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            // Biases of keys shift all scores of a query by the same amount, which softmax ignores.
            for index in [0, values.len() / 3, values.len() - 1] {
                let at = |shift: f64| {
                    let mut values = values.clone();
                    values[index] += shift;
                    let moved = Tensor::from_vec(values, before.shape(), &Device::Cpu).unwrap();
                    variable.set(&moved).unwrap();
                    loss().to_scalar::<f64>().unwrap()
                };
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                variable.set(&before).unwrap();
                let error = (slope - gradient[index]).abs();
                assert!(
                    error < 1e-7 + 1e-5 * slope.abs(),
                    "{:?} {name}[{index}]: slope {slope}, gradient {}",
                    bundle.parts().encoder,
                    gradient[index]
                );
            }
        }
    }
}

/// Whatever its program, a student's first step is the encoder that it starts from, and without the former program's share it
/// is not.
#[test]
fn a_student_begins_as_what_it_starts_from() {
    let texts = texts();
    let views: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    for teacher in
        [small_encoder(Attention::Softmax, Activation::Gelu), small_encoder(Attention::TwoRelu, Activation::Relu)]
    {
        let encoder = EncoderConfig {
            attention: Attention::Linear,
            activation: Activation::Square,
            norms: Norms::Output,
            ..teacher.parts().encoder.clone()
        };
        let batch = batch_of(&teacher, &views, &Device::Cpu).unwrap();
        let form = Form { trained: false, dtype: DType::F32, device: Device::Cpu, bits: None };
        let (layers, former) = first_layers(&teacher, &encoder, &views).unwrap();
        let student = NeuralEncoder::new(&encoder, &layers, &form).unwrap().with_former(&former, &form).unwrap();
        let (theirs, _) = states(&network(&teacher, false, DType::F32), &batch, &[0, 1], 0.0).unwrap();
        let apart = |share: f64| {
            let (mine, _) = states(&student, &batch, &[0, 1], share).unwrap();
            distance(&mine, &theirs, &batch).unwrap().hidden.to_scalar::<f32>().unwrap()
        };
        assert!(apart(1.0) < 1e-6 && apart(0.0) > 1e-3, "{} and {}", apart(1.0), apart(0.0));
        assert!((1e-6..apart(0.0)).contains(&apart(0.5)), "{}", apart(0.5));
    }
}

/// Values beyond the limits are counted, and only those.
#[test]
fn values_beyond_limits_are_counted() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let encoder = EncoderConfig {
        attention: Attention::Linear,
        activation: Activation::Square,
        ..teacher.parts().encoder.clone()
    };
    let views: Vec<Vec<u32>> = texts();
    let views: Vec<&[u32]> = views.iter().map(Vec::as_slice).collect();
    let batch = batch_of(&teacher, &views, &Device::Cpu).unwrap();
    let limits = |limit| Limits { heads: limit, context: limit, residual: limit, inner: limit, ranges: None };
    let excess = |bundle: &Bundle, limit| {
        let network = network(bundle, false, DType::F32).within(limits(limit));
        network.pass(&batch, 0.0).unwrap().excess.unwrap().to_scalar::<f32>().unwrap()
    };
    let student = distil(&course(&teacher, &corpus), &options(encoder, 1), None, &mut |_| ()).unwrap();
    let largest = (0..).map(|power| 1.5f64.powi(power)).find(|limit| excess(&student, *limit) == 0.0).unwrap();
    assert!(excess(&student, largest / 1.5) > 0.0);
    assert!(excess(&student, largest / 4.0) > excess(&student, largest / 2.0));
}

#[test]
fn a_student_approaches_its_teacher_and_is_a_bundle() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let programs = [
        (Attention::TwoRelu, Activation::Relu, Norms::Both),
        (Attention::TwoRelu, Activation::Relu, Norms::Output),
        (Attention::Linear, Activation::Relu, Norms::Both),
        (Attention::Linear, Activation::Square, Norms::Output),
        (Attention::TwoRelu, Activation::Square, Norms::Both),
    ];
    for (attention, activation, norms) in programs {
        let encoder = EncoderConfig { attention, activation, norms, ..teacher.parts().encoder.clone() };
        let mut losses = Vec::new();
        let student =
            distil(&course(&teacher, &corpus), &options(encoder.clone(), 200), None, &mut |p| losses.push(p.embedding))
                .unwrap();
        assert_eq!(losses.len(), 200);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (before, after) = (mean(&losses[..10]), mean(&losses[190..]));
        assert!(after < 0.3 * before, "{attention} {activation} {norms}: {before} before, {after} after");
        assert_eq!(student.parts().encoder, encoder);
        assert!(student.parts().routers.is_empty());
        assert_eq!(student.parts().embedding, teacher.parts().embedding);
    }
}

/// A student of few bits: the stored weights are the trained ones, and are better than rounding after training.
#[test]
fn training_accounts_for_few_bits() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let encoder = EncoderConfig { attention: Attention::TwoRelu, ..teacher.parts().encoder.clone() };
    let few = Precision::Bits { table: 16, layers: 3 };
    let distance_of = |bundle: &Bundle| {
        let embed = |bundle: &Bundle| ClearEmbedder::new(bundle).unwrap().embed(&texts(), &Stop::never()).unwrap();
        let pairs = embed(bundle).into_iter().zip(embed(&teacher));
        pairs.map(|(a, b)| 1.0 - dot(&unit(&a), &unit(&b))).sum::<f32>()
    };
    let trained = |precision| {
        let mut last = 0.0;
        let options = Options { precision, ..options(encoder.clone(), 200) };
        let student = distil(&course(&teacher, &corpus), &options, None, &mut |p| last = p.embedding).unwrap();
        (distance_of(&student), student, last)
    };
    let (aware, student, _) = trained(few);
    let (_, exact, _) = trained(Precision::Exact);
    let layers = |bundle: &Bundle| bundle.parts().layers.clone();
    assert!(layers(&student).iter().all(|layer| layer.up.weight.is_quantised()));
    let mut parts = exact.into_parts();
    parts.layers.iter_mut().for_each(|layer| quantise(layer, 3));
    let rounded = distance_of(&Bundle::new(parts).unwrap());
    assert!(aware < 0.7 * rounded, "{aware} trained for it, {rounded} rounded afterwards");

    // The forward pass with rounding equals that of the stored weights without rounding.
    let parts = student.parts();
    let views: Vec<Vec<u32>> = texts();
    let views: Vec<&[u32]> = views.iter().map(Vec::as_slice).collect();
    let batch = batch_of(&student, &views, &Device::Cpu).unwrap();
    let pooled = |bits| {
        let form = Form { trained: true, dtype: DType::F32, device: Device::Cpu, bits };
        let network = NeuralEncoder::new(&parts.encoder, &parts.layers, &form).unwrap();
        states(&network, &batch, &[1], 0.0).unwrap().0.pooled.to_vec2::<f32>().unwrap().concat()
    };
    let worst = pooled(Some(3)).iter().zip(pooled(None)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn an_interrupted_training_ends_like_an_uninterrupted_one() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let mut options = options(teacher.parts().encoder.clone(), 120);
    options.encoder.attention = Attention::TwoRelu;
    let whole = distil(&course(&teacher, &corpus), &options, None, &mut |_| ()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    // Interrupted by a panic between two checkpoints: the steps since the last checkpoint are repeated.
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        distil(&course(&teacher, &corpus), &options, Some(&path), &mut |progress| assert!(progress.step < 73)).unwrap()
    }));
    assert!(interrupted.is_err());
    let mut steps = Vec::new();
    let resumed = distil(&course(&teacher, &corpus), &options, Some(&path), &mut |p| steps.push(p.step)).unwrap();
    assert_eq!((steps.first(), steps.last()), (Some(&51), Some(&120)));
    assert_eq!(resumed.digest(), whole.digest());

    let other = Options { seed: 1, ..options.clone() };
    let error = distil(&course(&teacher, &corpus), &other, Some(&path), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("belongs to a training with other options or texts"), "{error}");
    std::fs::write(&path, b"nonsense").unwrap();
    let error = distil(&course(&teacher, &corpus), &options, Some(&path), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("could not use the checkpoint"), "{error}");
}

/// A teacher with a router, and a table in which the first token of a prompt decides which of two models is right.
fn lessons(
    teacher: &Bundle,
    lexical: Option<Lexical>,
    tie: Tie,
) -> Result<(Bundle, Lessons), crate::routers::TrainError> {
    let texts = texts();
    let scores = Matrix::from_fn(texts.len(), 2, |row, model| f32::from(u8::from(texts[row][0] as usize % 2 == model)));
    let mut draws = (0u32..).map(|x| (x.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5);
    let mut matrix = |rows, columns| Matrix::new(rows, columns, draws.by_ref().take(rows * columns).collect()).unwrap();
    let rule = Rule::Cscr(Cscr {
        w1: matrix(8 + lexical.map_or(0, |lexical| lexical.width()), 8),
        w2: matrix(8, 2),
        descriptors: Matrix::new(2, 2, vec![1.0, 0.0, 0.0, 1.0]).unwrap(),
        cost: Matrix::new(1, 2, vec![0.5, 1.0]).unwrap(),
        keep: 2,
        score_lines: None,
    });
    let router = Router { name: "cscr".to_owned(), lambda: 0.1, lexical, rule };
    let mut parts = teacher.parts().clone();
    parts.models = (0..2)
        .map(|model| Model { name: format!("model {model}"), price: f64::from(model) + 1.0, unit: String::new() })
        .collect();
    parts.routers = vec![router.clone()];
    let lessons = Lessons::new(Corpus::new(texts).unwrap(), scores, &router, &teacher.tokenizer().unwrap(), tie)?;
    Ok((Bundle::new(parts).unwrap(), lessons))
}

#[test]
fn lessons_improve_routing_and_keep_close_to_the_teacher() {
    let plain = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let mut options = options(plain.parts().encoder.clone(), 150);
    (options.encoder.attention, options.encoder.activation) = (Attention::TwoRelu, Activation::Relu);
    let learn = |lexical, tie| {
        let (teacher, lessons) = lessons(&plain, lexical, tie).unwrap();
        let course = Course { lessons: Some(&lessons), ..course(&teacher, &corpus) };
        let mut steps = Vec::new();
        let student = distil(&course, &options, None, &mut |progress| steps.push(*progress)).unwrap();
        assert_eq!((student.parts().models.len(), student.parts().routers[0].kind()), (2, "cscr"));
        assert_ne!(student.parts().routers, teacher.parts().routers);
        (student, steps)
    };
    let mean = |steps: &[Progress], of: fn(&Progress) -> f64| steps.iter().map(of).sum::<f64>() / steps.len() as f64;
    let routing = |progress: &Progress| progress.routing.unwrap().0;
    let (student, steps) = learn(None, Tie::Weight(1.0));
    assert!(mean(&steps[130..], routing) < 0.5 * mean(&steps[..20], routing));
    assert!(mean(&steps[130..], |p| p.embedding) < mean(&steps[..20], |p| p.embedding));
    assert!(steps.iter().all(|progress| progress.routing.unwrap().1 == 1.0));
    let texts = texts();
    let embeddings = ClearEmbedder::new(&student).unwrap().embed(&texts, &Stop::never()).unwrap();
    let rule = &student.parts().routers[0].rule;
    let right = texts.iter().zip(&embeddings).filter(|(text, e)| choose(rule, e, 0.0) == text[0] as usize % 2);
    assert!(right.count() >= 21, "of 24");

    // Features of which each tells something of the prompt's first token.
    let lexical = Some(Lexical { hashed: 32, scale: 1.0 });
    let (student, steps) = learn(lexical, Tie::Weight(1.0));
    assert_eq!(student.parts().routers[0].lexical, lexical);
    assert!(mean(&steps[130..], routing) < 0.5 * mean(&steps[..20], routing));

    // A bound that always holds lets β shrink. A bound that can never hold makes it grow.
    let beta = |bound| learn(None, Tie::Trust(bound)).1.last().unwrap().routing.unwrap().1;
    let (loose, tight) = (beta(1e3), beta(1e-6));
    assert!(loose < 0.1 && tight > 10.0, "{loose}, {tight}");
}

#[test]
fn lessons_resume_and_start_from_a_student() {
    let plain = small_encoder(Attention::Softmax, Activation::Gelu);
    let (teacher, lessons) = lessons(&plain, None, Tie::Trust(0.5)).unwrap();
    let corpus = Corpus::new(texts()).unwrap();
    let mut options = options(plain.parts().encoder.clone(), 60);
    options.encoder.attention = Attention::TwoRelu;
    let first = distil(&course(&plain, &corpus), &options, None, &mut |_| ()).unwrap();
    let course = Course { start: Some(&first), lessons: Some(&lessons), ..course(&teacher, &corpus) };
    let mut start = f64::INFINITY;
    let whole = distil(&course, &options, None, &mut |p| start = start.min(p.embedding)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        distil(&course, &options, Some(&path), &mut |progress| assert!(progress.step < 55)).unwrap()
    }));
    assert!(interrupted.is_err());
    let resumed = distil(&course, &options, Some(&path), &mut |_| ()).unwrap();
    assert_eq!(resumed.digest(), whole.digest());
    let error = distil(&Course { lessons: None, ..course }, &options, Some(&path), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("other options or texts"), "{error}");
}

/// A student of another program is closer to the teacher when it starts from an earlier student than from the teacher.
#[test]
fn a_cheaper_student_starts_from_an_earlier_one() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let mut options = options(teacher.parts().encoder.clone(), 120);
    (options.encoder.attention, options.encoder.activation) = (Attention::TwoRelu, Activation::Relu);
    let earlier = distil(&course(&teacher, &corpus), &options, None, &mut |_| ()).unwrap();
    (options.steps, options.encoder.activation) = (20, Activation::Square);
    let hidden = |start| {
        let mut hidden = Vec::new();
        distil(&Course { start, ..course(&teacher, &corpus) }, &options, None, &mut |p| hidden.push(p.hidden)).unwrap();
        hidden.iter().sum::<f64>() / hidden.len() as f64
    };
    let (later, fresh) = (hidden(Some(&earlier)), hidden(None));
    assert!(later < 0.8 * fresh, "{later} from the earlier student, {fresh} from the teacher");
}

#[test]
fn impossible_lessons_are_refused() {
    let plain = small_encoder(Attention::Softmax, Activation::Gelu);
    let fault = |tie| lessons(&plain, None, tie).unwrap_err().to_string();
    assert!(fault(Tie::Weight(0.0)).contains("above 0"));
    assert!(fault(Tie::Trust(f64::NAN)).contains("above 0"));
    let (teacher, _) = lessons(&plain, None, Tie::Weight(1.0)).unwrap();
    let router = &teacher.parts().routers[0];
    let new = |rows, router: &Router| {
        let scores = Matrix::from_fn(rows, 2, |_, _| 1.0);
        let tokenizer = teacher.tokenizer().unwrap();
        let fault = Lessons::new(Corpus::new(texts()).unwrap(), scores, router, &tokenizer, Tie::Weight(1.0));
        fault.unwrap_err().to_string()
    };
    assert!(new(7, router).contains("the number of tokenised prompts is 24, expected 7"));
    let cost = Matrix::new(1, 2, vec![0.5, 1.0]).unwrap();
    let direct = Direct { weight: Matrix::from_fn(8, 2, |_, _| 0.0), bias: cost.clone(), cost };
    let direct = Router { name: "direct".to_owned(), lambda: 0.0, lexical: None, rule: Rule::Direct(direct) };
    assert!(new(24, &direct).contains("router without a projection"));
}

#[test]
fn a_smaller_student_starts_from_the_teachers_best_parts() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let encoder = EncoderConfig { layers: 1, ffn: 5, ..teacher.parts().encoder.clone() };
    let student = distil(&course(&teacher, &corpus), &options(encoder, 1), None, &mut |_| ()).unwrap();
    let layer = &student.parts().layers[0];
    assert_eq!((student.parts().layers.len(), layer.up.weight.shape(), layer.down.weight.shape()), (1, (8, 5), (5, 8)));
    // One step moves every weight by no more than the rate.
    let close = |a: f32, b: f32| (a - b).abs() < 0.01;
    let last = &teacher.parts().layers[1];
    assert!(close(layer.query.weight.data()[0], last.query.weight.data()[0]));
    let of = |unit: usize| last.down.weight.row(unit)[0];
    assert!((0..16).any(|unit| close(layer.down.weight.row(0)[0], of(unit))));

    let refused = |change: fn(&mut EncoderConfig)| {
        let mut encoder = teacher.parts().encoder.clone();
        change(&mut encoder);
        distil(&course(&teacher, &corpus), &options(encoder, 1), None, &mut |_| ()).unwrap_err().to_string()
    };
    assert!(refused(|encoder| encoder.layers = 3).contains("number of layers is 3, expected from 1 to 2"));
    assert!(refused(|encoder| encoder.ffn = 17).contains("feed-forward width is 17"));
    assert!(refused(|encoder| encoder.hidden = 16).contains("width is 16, expected 8, as in the teacher"));
}
