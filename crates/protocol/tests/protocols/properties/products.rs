//! Products of secret values, and with secret weights.

use super::{cases, extended_values, integer_tensor, uniform};
use crate::common::{Gate, big, big_input, body, gate, integers, wrapped};
use blindroute_protocol::{
    Error, Form, Interpreter, Machine, RingWord, Shape, Structure, Tensor, WeightId, WeightKind, WeightSpec,
};
use blindroute_testkit::TestWorld;
use proptest::prelude::*;

body!(Products { word: u32, transposed: bool }, |this, machine| {
    match this.word {
        32 => products::<I, u32>(machine, this.transposed),
        64 => products::<I, u64>(machine, this.transposed),
        _ => products::<I, u128>(machine, this.transposed),
    }
});

fn products<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, transposed: bool) -> Result<(), Error> {
    let a = machine.input::<W>(0)?;
    let a = machine.defer(a)?;
    let b = machine.input::<W>(1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    let y = if transposed { machine.matmul_transposed(&a, &b)? } else { machine.matmul(&a, &b)? };
    machine.reveal(y, "a test")?;
    let squares = machine.square_sum::<W, W>(&a, 0, a.form().bits)?;
    machine.reveal(squares, "a test")?;
    let elements = machine.product(&a, &a.restructure(&Structure::Columns(0, 1)))?;
    machine.reveal(elements, "a test")
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn matrix_products_of_odd_shapes(
        seed: u64, batch in 1usize..4, rows in 1usize..9, inner in 1usize..19, columns in 1usize..9, transposed: bool,
    ) {
        let left = Shape::new(batch, rows, inner);
        let right = if transposed { Shape::new(batch, columns, inner) } else { Shape::new(batch, inner, columns) };
        let (a, b) = (integer_tensor(seed, left, 1000), integer_tensor(seed ^ 1, right, 1000));
        for word in [32, 64, 128] {
            let bits = if word == 32 { 31 } else { 45 };
            let program = gate(Products { word, transposed }, vec![Form::new(left, bits, 0), Form::new(right, bits, 0)]);
            let found = integers(seed, &program, &[], &[a.clone(), b.clone()]);
            prop_assert_eq!((found[0].len(), found[1].len()), (batch * rows * columns, batch * rows));
            let at = |t: &Tensor<f32>, b: usize, r: usize, c: usize| {
                t.data()[(b * t.shape().rows + r) * t.shape().columns + c] as i128
            };
            for (n, &product) in found[0].iter().enumerate() {
                let (z, r, c) = (n / (rows * columns), n / columns % rows, n % columns);
                let other = |i| if transposed { at(&b, z, c, i) } else { at(&b, z, i, c) };
                prop_assert_eq!(product, (0..inner).map(|i| at(&a, z, r, i) * other(i)).sum::<i128>());
            }
            for (n, &square) in found[1].iter().enumerate() {
                let (z, r) = (n / rows, n % rows);
                prop_assert_eq!(square, (0..inner).map(|i| at(&a, z, r, i).pow(2)).sum::<i128>());
                for i in 0..inner {
                    prop_assert_eq!(found[2][n * inner + i], at(&a, z, r, i) * at(&a, z, r, 0));
                }
            }
        }
    }
}

body!(Weights { word: u32, fraction: u32 }, |this, machine| {
    if this.word == 32 { weigh::<I, u32>(machine, this.fraction) } else { weigh::<I, u64>(machine, this.fraction) }
});

fn weigh<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, fraction: u32) -> Result<(), Error> {
    let x = big_input::<I, W>(machine, 0)?;
    let x = machine.open(x)?;
    let y = machine.linear(&x, WeightId(0))?.add(&machine.bias(WeightId(2), fraction)?)?;
    machine.reveal(y, "a test")?;
    let y = machine.scale_columns(&x, WeightId(1))?;
    machine.reveal(y, "a test")
}

/// Weights of these integers and three fraction bits.
fn weight(shape: Shape, values: &[i128]) -> Tensor<f32> {
    Tensor::new(shape, values.iter().map(|&x| x as f32 / 8.0).collect())
}

/// A linear layer, its bias and a scaling of a factor of this shape, modulo the narrower ring of value and weight.
fn check_weights(seed: u64, word: u32, bits: u32, rings: [u32; 3], (factor, columns): (Shape, usize)) {
    let (rows, inner) = (factor.batch * factor.rows, factor.columns);
    let spec = |name, kind, fraction, ring| WeightSpec::new(name, kind, fraction).in_ring(ring);
    let weights = vec![
        spec("matrix", WeightKind::Matrix { inner, columns }, 3, rings[0]),
        spec("scale", WeightKind::Scale(inner), 3, rings[1]),
        spec("bias", WeightKind::Bias(columns), 5, rings[2]),
    ];
    // The whole ring, both ends included, and weights of as many bits as f32 holds.
    let end = 1i128 << (bits - 1);
    let mut x = vec![end - 1, -end, 0, -1];
    x.extend(extended_values(seed, bits + 1, rows * inner));
    x.truncate(rows * inner);
    let w = uniform(seed ^ 2, inner * columns, 1 << 24);
    let scale = uniform(seed ^ 3, inner, 1 << 24);
    let bias = uniform(seed ^ 4, columns, 1 << 24);
    let (forms, inputs) = big(&x, Form::new(factor, bits, 2));
    let program = Gate { weights, inputs: forms, body: Weights { word, fraction: 5 } };
    let tensors = [
        weight(Shape::matrix(inner, columns), &w),
        weight(Shape::row(inner), &scale),
        weight(Shape::row(columns), &bias).map(|x| x / 4.0),
    ];
    let found = integers(seed, &program, &tensors, &inputs);
    let ring = bits.min(rings[0]).min(rings[2]);
    for (at, &y) in found[0].iter().enumerate() {
        let (r, c) = (at / columns, at % columns);
        let sum = (0..inner).map(|i| x[r * inner + i] * w[i * columns + c]).sum::<i128>() + bias[c];
        assert_eq!(y, wrapped(sum, ring), "a layer of {bits} bits with weights of {rings:?}");
    }
    for (at, &y) in found[1].iter().enumerate() {
        let product = x[at] * scale[at % inner];
        assert_eq!(y, wrapped(product, bits.min(rings[1])), "a scaling of {bits} bits with weights of {rings:?}");
    }
}

#[test]
fn weights_multiply_in_every_ring() {
    for bits in 2..=32u32 {
        check_weights(u64::from(bits), 32, bits, [bits; 3], (Shape::matrix(3, 7), 5));
        check_weights(u64::from(bits), 32, bits, [32, 31.max(bits), 32], (Shape::matrix(2, 5), 4));
    }
    for bits in (2..=64u32).step_by(3).chain([33, 63]) {
        check_weights(u64::from(bits), 64, bits, [bits.max(33); 3], (Shape::new(2, 3, 7), 5));
        check_weights(u64::from(bits), 64, bits, [64, 33, 40], (Shape::row(1), 1));
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn weights_multiply_whatever_the_shape(
        seed: u64, batch in 1usize..4, rows in 1usize..9, inner in 1usize..40, columns in 1usize..20, narrow: bool,
        bits in 2u32..=64, rings in [1u32..=32, 1u32..=32, 1u32..=32],
    ) {
        let shape = (Shape::new(batch, rows, inner), columns);
        if narrow {
            check_weights(seed, 32, bits.min(32), rings, shape);
        } else {
            check_weights(seed, 64, bits, rings.map(|ring| ring + 32), shape);
        }
    }
}

#[test]
fn a_weight_is_refused_in_another_word() {
    for (word, ring) in [(32, 33), (64, 32), (64, 1)] {
        let spec = |name, kind, fraction| WeightSpec::new(name, kind, fraction).in_ring(ring);
        let weights = vec![
            spec("matrix", WeightKind::Matrix { inner: 2, columns: 2 }, 3),
            spec("scale", WeightKind::Scale(2), 3),
            spec("bias", WeightKind::Bias(2), 5),
        ];
        let (forms, inputs) = big(&[1, 2], Form::new(Shape::row(2), 20, 2));
        let program = Gate { weights, inputs: forms, body: Weights { word, fraction: 5 } };
        let tensors = [Tensor::zeros(Shape::matrix(2, 2)), Tensor::zeros(Shape::row(2)), Tensor::zeros(Shape::row(2))];
        let found = TestWorld::seeded(1).run(&program, &tensors, &inputs);
        assert!(matches!(found, Err(Error::Program(_))), "{word} {ring}: {found:?}");
    }
}
