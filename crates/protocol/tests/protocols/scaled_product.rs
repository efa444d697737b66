//! Products times a scalar per matrix: against plaintext in every meaning and word, and the cost formula of the header.

use crate::common::{body, gate, integers, run, wrapped};
use blindroute_protocol::{Clear, Cost, Error, Fixed, Form, Interpreter, Machine, RingWord, Shape, Tensor};
use blindroute_testkit::{TestWorld, generator};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Matmul,
    Transposed,
    Elements,
}

body!(Scaled { kind: Kind, word: u32 }, |this, machine| {
    match this.word {
        32 => scaled::<I, u32>(machine, this.kind),
        64 => scaled::<I, u64>(machine, this.kind),
        _ => scaled::<I, u128>(machine, this.kind),
    }
});

fn scaled<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, kind: Kind) -> Result<(), Error> {
    let (a, b) = (machine.input::<W>(0)?, machine.input::<W>(1)?);
    let (a, b) = (machine.defer(a)?, machine.defer(b)?);
    let scale = machine.input::<W>(2)?;
    let scale = machine.open(scale)?;
    let (a, b) = (machine.take(a)?, machine.take(b)?);
    let y = match kind {
        Kind::Matmul => machine.scaled_matmul(&a, &b, &scale)?,
        Kind::Transposed => machine.scaled_matmul_transposed(&a, &b, &scale)?,
        Kind::Elements => machine.scaled_product(&a, &b, &scale)?,
    };
    machine.reveal(y, "a test")
}

/// Shapes of both factors and of the result.
fn shapes(kind: Kind, [batch, rows, inner, columns]: [usize; 4]) -> [Shape; 3] {
    let a = Shape::new(batch, rows, inner);
    match kind {
        Kind::Matmul => [a, Shape::new(batch, inner, columns), Shape::new(batch, rows, columns)],
        Kind::Transposed => [a, Shape::new(batch, columns, inner), Shape::new(batch, rows, columns)],
        Kind::Elements => [a, a, a],
    }
}

fn plain(kind: Kind, [a, b, scale]: [&Tensor<f32>; 3], out: Shape) -> Vec<i128> {
    let at = |t: &Tensor<f32>, z: usize, r: usize, c: usize| {
        i128::from(t.data()[(z * t.shape().rows + r) * t.shape().columns + c] as i64)
    };
    let places = (0..out.len()).map(|n| (n / (out.rows * out.columns), n / out.columns % out.rows, n % out.columns));
    let product = |z, r, c| match kind {
        Kind::Elements => at(a, z, r, c) * at(b, z, r, c),
        Kind::Matmul => (0..a.shape().columns).map(|i| at(a, z, r, i) * at(b, z, i, c)).sum(),
        Kind::Transposed => (0..a.shape().columns).map(|i| at(a, z, r, i) * at(b, z, c, i)).sum(),
    };
    places.map(|(z, r, c)| product(z, r, c) * at(scale, z, 0, 0)).collect()
}

fn values(seed: u64, shape: Shape, bound: f64) -> Tensor<f32> {
    let mut next = generator(seed);
    Tensor::new(shape, (0..shape.len()).map(|_| (next() * bound) as i32 as f32).collect())
}

const KINDS: [Kind; 3] = [Kind::Matmul, Kind::Transposed, Kind::Elements];

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_meaning_agrees_with_plain_integers(
        seed: u64, batch in 1usize..4, rows in 1usize..7, inner in 1usize..18, columns in 1usize..7, which in 0usize..3,
    ) {
        let kind = KINDS[which];
        let [a, b, out] = shapes(kind, [batch, rows, inner, columns]);
        let scalars = Shape::new(batch, 1, 1);
        // f32 holds the result exactly, so that the clear meaning is exact too.
        let inputs = [values(seed, a, 90.0), values(seed ^ 1, b, 90.0), values(seed ^ 2, scalars, 90.0)];
        let expected = plain(kind, [&inputs[0], &inputs[1], &inputs[2]], out);
        for (word, bits) in [(32, 30), (64, 45), (128, 64)] {
            let program = gate(Scaled { kind, word }, [a, b, scalars].map(|shape| Form::new(shape, bits, 0)).to_vec());
            prop_assert_eq!(&integers(seed, &program, &[], &inputs)[0], &expected);
            let exact: Vec<f64> = expected.iter().map(|&x| x as f64).collect();
            prop_assert_eq!(&Clear::run(&program, &[], inputs.to_vec()).unwrap().values[0], &exact);
            prop_assert_eq!(&Fixed::run(&program, &[], &inputs).unwrap().0.values[0], &exact);
        }
    }
}

#[test]
fn results_wrap_in_their_ring() {
    let shape = Shape::matrix(2, 2);
    for kind in KINDS {
        // The factors' ends: −2^11 is in a ring of 12 bits.
        let ends = Tensor::new(shape, vec![-2048.0, 2047.0, -1.0, 1.0]);
        let scale = Tensor::new(Shape::new(1, 1, 1), vec![-2048.0]);
        let inputs = [ends.clone(), ends, scale];
        let forms = [shape, shape, Shape::new(1, 1, 1)].map(|shape| Form::new(shape, 12, 0)).to_vec();
        let expected: Vec<i128> = plain(kind, [&inputs[0], &inputs[1], &inputs[2]], shape);
        let expected: Vec<i128> = expected.into_iter().map(|x| wrapped(x, 12)).collect();
        assert_eq!(integers(1, &gate(Scaled { kind, word: 32 }, forms), &[], &inputs)[0], expected, "{kind:?}");
    }
}

#[test]
fn the_cost_is_that_of_the_header() {
    let words = |len: usize, bits: usize| (len * bits).div_ceil(8);
    for kind in KINDS {
        for (sizes, bits) in [([1, 1, 1, 1], 64), ([2, 3, 7, 5], 45), ([3, 2, 9, 4], 33)] {
            let [a, b, out] = shapes(kind, sizes);
            let scalars = Shape::new(sizes[0], 1, 1);
            let forms = [a, b, scalars].map(|shape| Form::new(shape, bits as u32, 3)).to_vec();
            let inputs: Vec<_> = forms.iter().map(|form| Tensor::zeros(form.shape)).collect();
            let found = run(1, &gate(Scaled { kind, word: 64 }, forms), &[], &inputs).forecast;
            let openings = [a, b, scalars].iter().map(|shape| words(shape.len(), bits)).sum();
            let material = words(a.len(), bits) + words(b.len(), bits) + 2 * words(out.len(), bits);
            let expected = Cost { openings: 1, opening_bytes: openings, material_bytes: material };
            assert_eq!(found, expected, "{kind:?} of {a} and {b}");
        }
    }
}

#[test]
fn the_dealer_sends_the_same_whatever_the_input() {
    let [a, b, _] = shapes(Kind::Matmul, [2, 3, 4, 5]);
    let scalars = Shape::new(2, 1, 1);
    let forms = [a, b, scalars].map(|shape| Form::new(shape, 40, 0)).to_vec();
    let program = gate(Scaled { kind: Kind::Matmul, word: 64 }, forms);
    let sent = |bound: f64| {
        let inputs = [values(1, a, bound), values(2, b, bound), values(3, scalars, bound)];
        TestWorld::seeded(7).recorded().run(&program, &[], &inputs).unwrap().transcript.material
    };
    assert_eq!(sent(1.0), sent(1000.0));
}

#[test]
fn factors_that_do_not_fit_are_refused() {
    let refused = |kind: Kind, shapes: [Shape; 3]| {
        let forms = shapes.map(|shape| Form::new(shape, 40, 0)).to_vec();
        let inputs = shapes.map(Tensor::zeros).to_vec();
        Clear::run(&gate(Scaled { kind, word: 64 }, forms), &[], inputs).unwrap_err().to_string()
    };
    let matrix = Shape::matrix(2, 3);
    assert!(refused(Kind::Elements, [matrix, Shape::row(3), Shape::row(1)]).contains("scaled product"));
    assert!(refused(Kind::Matmul, [matrix, matrix, Shape::row(1)]).contains("the product of"));
    assert!(refused(Kind::Transposed, [matrix, matrix, Shape::row(2)]).contains("scale of a product"));
}
