//! Openings, weights, products, comparisons, selections and tables.

use super::{SIZES, check, comparison, cost, planes, words};
use crate::common::{Gate, body, gate};
use blindroute_protocol::{
    Comparison, Error, Form, Interpreter, Machine, Meter, RingWord, Shape, Structure, WeightId, WeightKind, WeightSpec,
};

body!(Open {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    machine.open(x).map(|_| ())
});
body!(OpenBits {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = machine.lookup_bits(&x, &[false, true])?;
    machine.open_bits(bits).map(|_| ())
});

#[test]
fn opening() {
    for n in SIZES {
        for bits in [1, 20, 33, 64] {
            let form = Form::new(Shape::row(n), bits as u32, 0);
            check(&gate(Open {}, vec![form]), cost(1, words(n, bits), 0));
        }
        let form = Form::new(Shape::row(n), 1, 0);
        check(&gate(OpenBits {}, vec![form]), cost(2, words(n, 1) + planes(1, n), planes(1, 2 * n)));
    }
}

body!(Linear { scale: bool, word: u32 }, |this, machine| {
    match this.word {
        32 => linear_in::<I, u32>(machine, this.scale),
        _ => linear_in::<I, u64>(machine, this.scale),
    }
});

fn linear_in<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, scale: bool) -> Result<(), Error> {
    let x = machine.input::<W>(0)?;
    let x = machine.open(x)?;
    if scale {
        machine.scale_columns(&x, WeightId(1)).map(|_| ())
    } else {
        machine.linear(&x, WeightId(0))?.add(&machine.bias(WeightId(2), 6)?).map(|_| ())
    }
}

#[test]
fn linear() {
    for (rows, inner, columns, bits, ring) in [
        (1, 1, 1, 64, 64),
        (3, 7, 5, 52, 64),
        (9, 4, 13, 33, 40),
        (9, 4, 13, 40, 33),
        (3, 7, 5, 28, 32),
        (3, 7, 5, 21, 17),
    ] {
        let spec = |name, kind, fraction| WeightSpec::new(name, kind, fraction).in_ring(ring as u32);
        let weights = vec![
            spec("w", WeightKind::Matrix { inner, columns }, 3),
            spec("s", WeightKind::Scale(inner), 3),
            spec("b", WeightKind::Bias(columns), 6),
        ];
        let inputs = vec![Form::new(Shape::matrix(rows, inner), bits as u32, 3)];
        for (scale, results) in [(false, rows * columns), (true, rows * inner)] {
            let body = Linear { scale, word: if ring <= 32 { 32 } else { 64 } };
            let program = Gate { weights: weights.clone(), inputs: inputs.clone(), body };
            check(&program, cost(1, words(rows * inner, bits), words(results, bits.min(ring))));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Matmul,
    Transposed,
    Elements,
}

body!(Product { kind: Kind }, |this, machine| {
    let a = machine.input::<u64>(0)?;
    let a = machine.defer(a)?;
    let b = machine.input::<u64>(1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    match this.kind {
        Kind::Matmul => machine.matmul(&a, &b)?,
        Kind::Transposed => machine.matmul_transposed(&a, &b)?,
        Kind::Elements => machine.product(&a, &b)?,
    };
    Ok(())
});

#[test]
fn product() {
    for (batch, rows, inner, columns, bits) in [(1, 1, 1, 1, 64), (2, 3, 7, 5, 45), (1, 8, 9, 10, 33)] {
        let a = Shape::new(batch, rows, inner);
        let cases = [
            (Kind::Matmul, Shape::new(batch, inner, columns), batch * rows * columns),
            (Kind::Transposed, Shape::new(batch, columns, inner), batch * rows * columns),
            (Kind::Elements, Shape::new(1, rows, 1), a.len()),
        ];
        for (kind, b, results) in cases {
            let forms = vec![Form::new(a, bits as u32, 3), Form::new(b, bits as u32, 3)];
            let sent = words(a.len(), bits) + words(b.len(), bits);
            check(&gate(Product { kind }, forms), cost(1, sent, words(results, bits)));
        }
    }
}

body!(Compare { comparison: Comparison }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    machine.compare(&x, &this.comparison).map(|_| ())
});

#[test]
fn comparisons() {
    for n in SIZES {
        for digits in 1..=6 {
            for thresholds in [1, 2, 9] {
                for digit_bits in [1, 4, 7, 10] {
                    if digits * digit_bits as usize > 40 {
                        continue;
                    }
                    let comparison_of =
                        Comparison { thresholds: (0..thresholds).collect(), low: 2, digits: digits as u32, digit_bits };
                    let (sent, material) = comparison(n, thresholds as usize, digits, digit_bits);
                    let program = gate(Compare { comparison: comparison_of }, vec![Form::new(Shape::row(n), 50, 0)]);
                    check(&program, cost(3, words(n, 50) + sent, material));
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Use {
    Select,
    Share,
    Product,
}

body!(Selection { kind: Use }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = machine.compare(&x, &Comparison::of_many(vec![0], 0, 1))?;
    match this.kind {
        Use::Select => machine.select(&bits, &x).map(|_| ()),
        Use::Share => machine.bits_to_share::<u32>(&bits, 21).map(|_| ()),
        Use::Product => machine.bits_product::<u32>(&bits, &bits, 21).map(|_| ()),
    }
});

#[test]
fn selection() {
    for n in SIZES {
        let (sent, digits) = comparison(n, 1, 1, 4);
        for (kind, material) in
            [(Use::Select, 2 * words(n, 37)), (Use::Share, words(n, 21)), (Use::Product, 3 * words(n, 21))]
        {
            let program = gate(Selection { kind }, vec![Form::new(Shape::row(n), 37, 0)]);
            check(&program, cost(3, words(n, 37) + sent, digits + material));
        }
    }
}

body!(Table { bits: Option<u32> }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let entries = 1usize << x.form().bits;
    match this.bits {
        Some(bits) => machine.lookup::<u64, u64>(&x, &vec![1; entries], bits).map(|_| ()),
        None => machine.lookup_bits(&x, &vec![true; entries]).map(|_| ()),
    }
});

#[test]
fn table() {
    for n in SIZES {
        for bits in [1, 5, 10] {
            let form = Form::new(Shape::row(n), bits as u32, 0);
            let program = gate(Table { bits: Some(43) }, vec![form]);
            check(&program, cost(1, words(n, bits), words(n << bits, 43)));
            check(&gate(Table { bits: None }, vec![form]), cost(1, words(n, bits), planes(1, n << bits)));
        }
    }
}

body!(Free {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.add_constant(x.scale(-3), 2.0)?;
    let x = machine.open(x)?;
    let x = x.restructure(&Structure::Reshape(Shape::matrix(2, 2))).restructure(&Structure::SumColumns);
    let share = machine.share_of(&x)?;
    machine.reveal(share, "a test")
});

#[test]
fn linear_maps_are_free() {
    check(&gate(Free {}, vec![Form::new(Shape::row(4), 20, 4)]), cost(1, words(4, 20), 0));
    assert_eq!(Meter::outputs(&gate(Free {}, vec![Form::new(Shape::row(4), 20, 4)])).unwrap().len(), 1);
}
