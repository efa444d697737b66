//! Rounding as the secure program rounds.

use super::NeuralEncoder;
use crate::Stop;
use crate::data::synthetic::small_encoder;
use crate::encoders::student::distil::{batch_of, states};
use crate::encoders::student::loss::distance;
use crate::encoders::student::tests::{network, polynomial, texts};
use crate::encoders::{ClearEmbedder, Embedder};
use blindroute_routing::bundle::{Activation, Attention, Bundle, Layer, Matrix, Widths};
use candle_core::{DType, Device};

/// Training for widths rounds weights as the split does: with the gain before them, and centred.
#[test]
fn weights_are_rounded_as_in_the_program() {
    let coarse = Widths { weights: 6, ..Widths::default() };
    let mut parts = polynomial(coarse).into_parts();
    // Training does not round biases and gains.
    for layer in &mut parts.layers {
        let Layer { query, key, value, output, up, down, attention_norm, output_norm } = layer;
        let linear = [query, key, value, output, up, down].map(|linear| &mut linear.bias);
        for bias in linear.into_iter().chain([&mut attention_norm.bias, &mut output_norm.bias]) {
            *bias = Matrix::from_fn(1, bias.columns(), |_, _| 0.0);
        }
        for gain in [&mut attention_norm.gain, &mut output_norm.gain] {
            *gain = Matrix::from_fn(1, gain.columns(), |_, column| [0.75, 1.0, 1.25][column % 3]);
        }
    }
    let bundle = Bundle::new(parts).unwrap();
    let texts = texts();
    let clear: Vec<f32> =
        ClearEmbedder::new(&bundle).unwrap().embed(&texts, &Stop::never()).unwrap().into_iter().flatten().collect();
    let views: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let batch = batch_of(&bundle, &views, &Device::Cpu).unwrap();
    let difference = |network: NeuralEncoder| {
        let found = states(&network, &batch, &[1], 0.0).unwrap().0.pooled.flatten_all().unwrap();
        let found = found.to_vec1::<f32>().unwrap();
        found.iter().zip(&clear).map(|(found, clear)| f64::from(found - clear).powi(2)).sum::<f64>().sqrt()
    };
    // So many fraction bits of values round nothing.
    let fine = Widths { layer: 30, heads: 30, means: 30, inner: 30, activated: 30, ..coarse };
    let exact = difference(network(&bundle, false, DType::F32));
    let rounded = difference(network(&bundle, false, DType::F32).rounding(fine));
    assert!(rounded < 1e-3 * exact, "{rounded} and {exact}");
}

/// Rounded values are on their grids, and gradients pass as if they were not rounded.
#[test]
fn values_are_rounded_and_gradients_pass() {
    let teacher = small_encoder(Attention::Softmax, Activation::Gelu);
    let bundle = polynomial(Widths { layer: 4, heads: 4, means: 4, inner: 4, activated: 4, ..Widths::default() });
    let texts = texts();
    let views: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let batch = batch_of(&bundle, &views, &Device::Cpu).unwrap();
    let target = states(&network(&teacher, false, DType::F32), &batch, &[0, 1], 0.0).unwrap().0;
    let student = network(&bundle, true, DType::F32).rounding(bundle.parts().encoder.widths);
    let pooled = |network: &NeuralEncoder| states(network, &batch, &[0, 1], 0.0).unwrap().0;
    let (rounded, exact) = (pooled(&student), pooled(&network(&bundle, false, DType::F32)));
    let apart = (rounded.pooled.sub(&exact.pooled).unwrap().abs().unwrap()).max_all().unwrap();
    let apart = apart.to_scalar::<f32>().unwrap();
    assert!(apart > 1e-3 && apart < 0.5, "{apart}");
    // The first layer's state is a norm's result: gain·x + bias, of which x is on the grid.
    let norm = &bundle.parts().layers[0].output_norm;
    for row in rounded.hidden[0].to_vec2::<f32>().unwrap() {
        for ((x, gain), bias) in row.iter().zip(norm.gain.data()).zip(norm.bias.data()) {
            let steps = (x - bias) / gain * 16.0;
            assert!((steps - steps.round()).abs() < 1e-3, "{steps}");
        }
    }
    let gradients = distance(&rounded, &target, &batch).unwrap().total().unwrap().backward().unwrap();
    for (name, variable) in student.parameters() {
        let gradient = gradients.get(variable.as_tensor()).unwrap_or_else(|| panic!("{name} has no gradient"));
        assert!(gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() > 0.0, "{name}");
    }
}
