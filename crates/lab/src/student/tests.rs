use blindroute_routing::bundle::{Activation, Attention, Axis, Bundle, EncoderConfig, Norms, Precision};
use candle_core::{DType, Device, Tensor};

use super::{
    distil::{batch_of, states},
    loss::distance,
    network::{Batch, Form, Network},
    *,
};
use crate::{
    ClearEmbedder,
    embedder::Embedder,
    synthetic::small_encoder,
    vector::{dot, unit},
};

const VARIANTS: [(Attention, Activation); 4] = [
    (Attention::Softmax, Activation::Gelu),
    (Attention::Softmax, Activation::Relu),
    (Attention::TwoRelu, Activation::Gelu),
    (Attention::TwoRelu, Activation::Relu),
];

/// Made-up encoders of every kind.
fn encoders() -> Vec<Bundle> {
    let mut all: Vec<Bundle> = VARIANTS.iter().map(|(attention, ffn)| small_encoder(*attention, *ffn)).collect();
    let mut parts = small_encoder(Attention::TwoRelu, Activation::Relu).into_parts();
    parts.encoder.norms = Norms::Output;
    all.push(Bundle::new(parts).unwrap());
    all.push(small_encoder(Attention::Relu, Activation::Square));
    all
}

fn texts() -> Vec<Vec<u32>> {
    (0..24u32).map(|text| (0..3 + text % 6).map(|place| (text * 7 + place * place * 3) % 24).collect()).collect()
}

fn network(bundle: &Bundle, trained: bool, dtype: DType) -> Network {
    let parts = bundle.parts();
    Network::new(&parts.encoder, &parts.layers, &Form { trained, dtype, device: Device::Cpu, bits: None }).unwrap()
}

fn options(encoder: EncoderConfig, steps: usize) -> Options {
    Options { steps, tokens: 64, texts: 8, rate: 3e-3, precision: Precision::Exact, ..Options::new(encoder) }
}

/// What training computes is what the secure program's clear interpreter computes.
#[test]
fn the_forward_pass_is_the_programs() {
    for bundle in encoders() {
        let texts = texts();
        let clear = ClearEmbedder::new(&bundle).unwrap().embed(&texts).unwrap();
        let views: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let batch = batch_of(&bundle, &views, &Device::Cpu).unwrap();
        let found = states(&network(&bundle, false, DType::F32), &batch, &[1]).unwrap().pooled;
        let found: Vec<Vec<f32>> = found.to_vec2().unwrap();
        let largest = clear.iter().flatten().fold(0.0f32, |largest, x| largest.max(x.abs()));
        for (found, clear) in found.iter().flatten().zip(clear.iter().flatten()) {
            assert!((found - clear).abs() < 2e-4 * largest, "{:?}: {found} and {clear}", bundle.parts().encoder);
        }
    }
}

/// Every parameter's gradient, against the loss's own slope, in f64.
#[test]
fn gradients_are_the_slopes() {
    let double = |batch: Batch| Batch {
        input: batch.input.to_dtype(DType::F64).unwrap(),
        mask: batch.mask.to_dtype(DType::F64).unwrap(),
    };
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let texts = texts();
    let views: Vec<&[u32]> = texts.iter().take(4).map(Vec::as_slice).collect();
    let batch = double(batch_of(&teacher, &views, &Device::Cpu).unwrap());
    let target = states(&network(&teacher, false, DType::F64), &batch, &[0, 1]).unwrap();
    for bundle in encoders() {
        let student = network(&bundle, true, DType::F64);
        let parameters = student.parameters();
        // The student differs from its teacher everywhere.
        for (index, (_, variable)) in parameters.iter().enumerate() {
            let shifted = (variable.as_detached_tensor() * (1.0 + 0.01 * (index % 7) as f64)).unwrap();
            variable.set(&shifted).unwrap();
        }
        let loss = || distance(&states(&student, &batch, &[0, 1]).unwrap(), &target, &batch).unwrap().total().unwrap();
        let gradients = loss().backward().unwrap();
        assert_eq!(parameters.len(), 2 * 16);
        for (name, variable) in &parameters {
            let gradient = gradients.get(variable.as_tensor()).unwrap_or_else(|| panic!("{name} has no gradient"));
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let before = variable.as_detached_tensor().copy().unwrap();
            let values = before.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            // Keys' biases shift all scores of a query alike: softmax does not see them.
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

#[test]
fn a_student_comes_near_its_teacher_and_is_a_bundle() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let programs = [
        (Attention::TwoRelu, Activation::Relu, Norms::Both),
        (Attention::TwoRelu, Activation::Relu, Norms::Output),
        (Attention::Relu, Activation::Relu, Norms::Both),
        (Attention::TwoRelu, Activation::Square, Norms::Both),
    ];
    for (attention, activation, norms) in programs {
        let encoder = EncoderConfig { attention, activation, norms, ..teacher.parts().encoder.clone() };
        let mut losses = Vec::new();
        let student =
            distil(&teacher, &corpus, &options(encoder.clone(), 200), None, &mut |p| losses.push(p.embedding)).unwrap();
        assert_eq!(losses.len(), 200);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (before, after) = (mean(&losses[..10]), mean(&losses[190..]));
        assert!(after < 0.3 * before, "{attention} {activation} {norms}: {before} before, {after} after");
        assert_eq!(student.parts().encoder, encoder);
        assert!(student.parts().routers.is_empty());
        assert_eq!(student.parts().embedding, teacher.parts().embedding);
    }
}

/// A student of few bits: what is stored is what was trained, and better than rounding a student that knew nothing of it.
#[test]
fn few_bits_are_trained_for() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let encoder = EncoderConfig { attention: Attention::TwoRelu, ..teacher.parts().encoder.clone() };
    let few = Precision::Bits { table: 16, layers: 3 };
    let distance_of = |bundle: &Bundle| {
        let embed = |bundle: &Bundle| ClearEmbedder::new(bundle).unwrap().embed(&texts()).unwrap();
        let pairs = embed(bundle).into_iter().zip(embed(&teacher));
        pairs.map(|(a, b)| 1.0 - dot(&unit(&a), &unit(&b))).sum::<f32>()
    };
    let trained = |precision| {
        let mut last = 0.0;
        let options = Options { precision, ..options(encoder.clone(), 200) };
        let student = distil(&teacher, &corpus, &options, None, &mut |p| last = p.embedding).unwrap();
        (distance_of(&student), student, last)
    };
    let (aware, student, _) = trained(few);
    let (_, exact, _) = trained(Precision::Exact);
    let layers = |bundle: &Bundle| bundle.parts().layers.clone();
    assert!(layers(&student).iter().all(|layer| layer.up.weight.is_quantised()));
    let mut parts = exact.into_parts();
    for layer in &mut parts.layers {
        for linear in
            [&mut layer.query, &mut layer.key, &mut layer.value, &mut layer.output, &mut layer.up, &mut layer.down]
        {
            linear.weight = linear.weight.quantised(Axis::Columns, 3);
        }
    }
    let rounded = distance_of(&Bundle::new(parts).unwrap());
    assert!(aware < 0.7 * rounded, "{aware} trained for it, {rounded} rounded afterwards");

    // The network's forward pass with rounding is that of the stored weights without.
    let parts = student.parts();
    let views: Vec<Vec<u32>> = texts();
    let views: Vec<&[u32]> = views.iter().map(Vec::as_slice).collect();
    let batch = batch_of(&student, &views, &Device::Cpu).unwrap();
    let pooled = |bits| {
        let form = Form { trained: true, dtype: DType::F32, device: Device::Cpu, bits };
        let network = Network::new(&parts.encoder, &parts.layers, &form).unwrap();
        states(&network, &batch, &[1]).unwrap().pooled.to_vec2::<f32>().unwrap().concat()
    };
    let worst = pooled(Some(3)).iter().zip(pooled(None)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn a_cut_training_ends_as_an_uninterrupted_one() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let mut options = options(teacher.parts().encoder.clone(), 120);
    options.encoder.attention = Attention::TwoRelu;
    let whole = distil(&teacher, &corpus, &options, None, &mut |_| ()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    // Cut by a panic between two checkpoints: the steps since the last one are done again.
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        distil(&teacher, &corpus, &options, Some(&path), &mut |progress| assert!(progress.step < 73)).unwrap()
    }));
    assert!(cut.is_err());
    let mut steps = Vec::new();
    let resumed = distil(&teacher, &corpus, &options, Some(&path), &mut |p| steps.push(p.step)).unwrap();
    assert_eq!((steps.first(), steps.last()), (Some(&51), Some(&120)));
    assert_eq!(resumed.digest(), whole.digest());

    let other = Options { seed: 1, ..options.clone() };
    let error = distil(&teacher, &corpus, &other, Some(&path), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("of a training with other options or texts"), "{error}");
    std::fs::write(&path, b"nonsense").unwrap();
    let error = distil(&teacher, &corpus, &options, Some(&path), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("could not use the checkpoint"), "{error}");
}

#[test]
fn a_smaller_student_starts_from_the_teachers_best_parts() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let corpus = Corpus::new(texts()).unwrap();
    let encoder = EncoderConfig { layers: 1, ffn: 5, ..teacher.parts().encoder.clone() };
    let student = distil(&teacher, &corpus, &options(encoder, 1), None, &mut |_| ()).unwrap();
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
        distil(&teacher, &corpus, &options(encoder, 1), None, &mut |_| ()).unwrap_err().to_string()
    };
    assert!(refused(|encoder| encoder.layers = 3).contains("number of layers is 3, it must be from 1 to 2"));
    assert!(refused(|encoder| encoder.ffn = 17).contains("feed-forward width is 17"));
    assert!(refused(|encoder| encoder.hidden = 16).contains("width is 16, it must be the teacher's, 8"));
}
