//! Gates: what they cost follows from the operations that they are made of.

use super::{
    SIZES, check, comparison, cost, exponential, extended_product, extension_cost, opened, planes, select_extended,
    square_sum, words,
};
use crate::common::{Gate, body, gate};
use blindroute_protocol::gates::{self, Scaling, SignWindow, Target, Wide};
use blindroute_protocol::{Comparison, Form, Shape, WeightId, WeightKind, WeightSpec};

/// (D − 1) + J(D + 1) tensors.
fn piecewise(n: usize, bits: usize, degree: usize, knots: usize) -> usize {
    (degree - 1 + knots * (degree + 1)) * words(n, bits)
}

/// A result in each word that the gates leave it in.
const TARGETS: [Target; 3] =
    [Target { bits: 28, fraction: 4 }, Target { bits: 32, fraction: 9 }, Target { bits: 44, fraction: 10 }];

body!(Relu { window: SignWindow, target: Target }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    if this.target.bits <= 32 {
        gates::relu::<I, u64, u32>(machine, &x, this.window, this.target).map(|_| ())
    } else {
        gates::relu::<I, u64, u64>(machine, &x, this.window, this.target).map(|_| ())
    }
});
body!(Square { target: Target }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::square(machine, &x, this.target).map(|_| ())
});
body!(Gelu { target: Target }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    if this.target.bits <= 32 {
        gates::gelu::<I, u64, u32>(machine, &x, this.target).map(|_| ())
    } else {
        gates::gelu::<I, u64, u64>(machine, &x, this.target).map(|_| ())
    }
});
body!(Softmax { target: Target }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    if this.target.bits <= 32 {
        gates::softmax_numerators::<I, u64, u32>(machine, &x, this.target).map(|_| ())
    } else {
        gates::softmax_numerators::<I, u64, u64>(machine, &x, this.target).map(|_| ())
    }
});
body!(RowMaximum {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::row_maximum(machine, &x, 2, 5).map(|_| ())
});

/// Openings, bytes and material of the maximum of rows of `columns`.
fn maximum(rows: usize, columns: usize, bits: usize, digits: usize) -> (usize, usize, usize) {
    let (mut left, mut total) = (columns, (0, 0, 0));
    while left > 1 {
        let n = rows * (left / 2);
        let (sent, material) = comparison(n, 1, digits, 4);
        total = (total.0 + 3, total.1 + sent + words(n, bits), total.2 + material + 2 * words(n, bits));
        left = left.div_ceil(2);
    }
    total
}

#[test]
fn activations() {
    for n in SIZES {
        let shape = Shape::row(n);
        for target in TARGETS {
            let (ring, fraction) = (target.bits as usize, target.fraction as usize);
            for (bits, point, window) in [
                (28, 18, SignWindow { range: 8, digits: 3 }),
                (32, 21, SignWindow { range: 7, digits: 3 }),
                (52, 12, SignWindow { range: 8, digits: 5 }),
            ] {
                let (sent, material) = comparison(n, 1, window.digits as usize, 4);
                let program = gate(Relu { window, target }, vec![Form::new(shape, bits as u32, point as u32)]);
                let kept = select_extended(n, bits - (point - fraction), ring);
                check(&program, cost(3, words(n, bits) + sent, material + kept));
            }
            for (bits, point) in [(32, 21), (50, 10)] {
                let (sent, material) = comparison(n, 9, 4, 4);
                // The copy of eight fraction bits in 29, its parabolas' value truncated to the target's of 28, and that extended, as
                // is the positive part.
                let sent = words(n, bits) + sent + words(n, 29) + words(n, 29 - (28 - fraction));
                let copy = extension_cost(n, bits - (point - 8), 29);
                let positive = select_extended(n, bits - (point - fraction), ring);
                let value = piecewise(n, 29, 2, 9) + extension_cost(n, 29 - (28 - fraction), ring);
                let material = material + copy + value + positive;
                let program = gate(Gelu { target }, vec![Form::new(shape, bits as u32, point as u32)]);
                check(&program, cost(4, sent, material));
            }
        }
    }
}

#[test]
fn maximum_and_softmax() {
    for (rows, columns) in [(1, 1), (2, 2), (3, 13), (2, 64)] {
        let (n, levels) = (rows * columns, (columns as f64).log2().ceil() as usize);
        let (openings, sent, material) = maximum(rows, columns, 38, 5);
        assert_eq!(openings, 3 * levels);
        let form = Form::new(Shape::matrix(rows, columns), 38, 10);
        check(&gate(RowMaximum {}, vec![form]), cost(1 + openings, words(n, 38) + sent, material));
        for (bits, point) in [(28, 18), (40, 30)] {
            let form = Form::new(Shape::matrix(rows, columns), bits as u32, point);
            let (openings, compared, material) = maximum(rows, columns, bits, 3);
            let (sent, power) = exponential(n, bits as u32 - point - 4, 42);
            for target in TARGETS {
                // The power has forty fraction bits.
                let width = 42 - (40 - target.fraction as usize);
                let sent = words(n, bits) + compared + sent + words(n, width);
                let material = material + power + extension_cost(n, width, target.bits as usize);
                check(&gate(Softmax { target }, vec![form]), cost(1 + openings + 3, sent, material));
            }
        }
    }
}

body!(Wider { offset: Option<f64> }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let range = Wide { low: 4, high: 17, fraction: 8 };
    match this.offset {
        Some(offset) => gates::reciprocal(machine, &x, offset, &range).map(|_| ()),
        None => gates::inverse_root(machine, &x, 1.0, &range).map(|_| ()),
    }
});

/// Bytes each way and material of a wide function with so many knots, of n elements whose copy has `width` bits: the
/// copy, two digits' lookups and their comparison per knot, and the cubics.
fn wide(n: usize, width: usize, knots: usize) -> (usize, usize) {
    let digits = 2 * planes(1, n << 10) + planes(1, n) + knots * planes(1, n);
    (words(n, 104) + planes(4 * knots, n), extension_cost(n, width, 104) + digits + (2 + 4 * knots) * words(n, 104))
}

/// Bytes each way and material of scaling n elements truncated to `width` bits by `few` factors of `factor` bits, with `shift`
/// bits of the product dropped for a ring of `ring` bits.
fn scaling((n, width): (usize, usize), (few, factor): (usize, usize), shift: usize, ring: usize) -> (usize, usize) {
    (words(few, factor) + words(n, ring), extended_product((n, width), (few, factor), ring + shift))
}

body!(LayerNorm { target: Target, wide: bool }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    if this.wide {
        gates::layer_norm::<I, u64, u128>(machine, x, this.target).map(|_| ())
    } else {
        gates::layer_norm::<I, u64, u64>(machine, x, this.target).map(|_| ())
    }
});

/// Attention's way from a product with the values to the context.
#[derive(Clone, Copy, Debug)]
struct Attention {
    value: u32,
    factor: u32,
    target: Target,
}

body!(Context { of: Attention }, |this, machine| {
    let sums = machine.input::<u32>(1)?;
    let sums = machine.defer(sums)?;
    let x = machine.input::<u32>(0)?;
    let x = machine.open(x)?;
    let sums = machine.take(sums)?;
    let factor = gates::reciprocal(machine, &sums, 0.0, &Wide { low: -2, high: 8, fraction: 12 })?;
    let scaling = Scaling { value: this.of.value, factor: this.of.factor, target: this.of.target };
    gates::scale_rows::<I, u32, u64>(machine, &x, factor, scaling).map(|_| ())
});

#[test]
fn wide_functions() {
    for n in SIZES {
        let form = Form::new(Shape::matrix(n, 1), 37, 12);
        // Thirteen octaves; with an offset, three pieces before them.
        for (offset, knots) in [(None, 12), (Some(0.0), 12), (Some(1.0), 15)] {
            let (sent, material) = wide(n, 37 - (12 - 8), knots);
            check(&gate(Wider { offset }, vec![form]), cost(3, words(n, 37) + sent, material));
        }
    }
}

#[test]
fn squares() {
    for n in SIZES {
        let form = Form::new(Shape::matrix(1, n), 20, 9);
        for (bits, fraction) in [(28, 4), (32, 9), (23, 9), (24, 9)] {
            let target = Target { bits, fraction };
            let (ring, shift) = (bits as usize, 18 - fraction as usize);
            let material = square_sum(n, n, 20, ring + shift);
            check(&gate(Square { target }, vec![form]), cost(2, words(n, 20) + words(n, ring), material));
        }
    }
}

#[test]
fn normalising() {
    for (rows, columns, bits, point) in [(1, 16, 32, 21), (5, 33, 64, 24)] {
        let n = rows * columns;
        let form = Form::new(Shape::matrix(rows, columns), bits as u32, point as u32);
        for (target, is_wide) in [
            (Target { bits: 32, fraction: 9 }, false),
            (Target { bits: 44, fraction: 9 }, false),
            (Target { bits: 64, fraction: 12 }, true),
        ] {
            // Squares of eight fraction bits in a ring of 36, of whose sixteen the root's copy keeps eight.
            let width = bits - (point - 12);
            let squares = square_sum(n, rows, width - 4, 36);
            let (root_sent, root) = wide(rows, 36 - 8, 12);
            // Twelve fraction bits of the rows, seventeen of the factor's 94.
            let shift = 12 + 17 - target.fraction as usize;
            let (scaled_sent, scaled) = scaling((n, width), (rows, 104 - (94 - 17)), shift, target.bits as usize);
            let sent = words(n, width) + words(rows, 36) + root_sent + scaled_sent;
            check(&gate(LayerNorm { target, wide: is_wide }, vec![form]), cost(6, sent, squares + root + scaled));
        }
    }
    for (rows, columns) in [(1, 1), (12, 32)] {
        let n = rows * columns;
        let forms = vec![Form::new(Shape::matrix(rows, columns), 32, 20), Form::new(Shape::matrix(rows, 1), 32, 12)];
        let of = Attention { value: 13, factor: 20, target: Target { bits: 32, fraction: 9 } };
        // Ten octaves of the sums.
        let (sent, inverse) = wide(rows, 32, 9);
        let (scaled_sent, scaled) = scaling((n, 32 - (20 - 13)), (rows, 104 - (94 - 20)), 13 + 20 - 9, 32);
        let sent = words(n, 32) + words(rows, 32) + sent + scaled_sent;
        check(&gate(Context { of }, forms), cost(5, sent, inverse + scaled));
    }
}

body!(Argmax {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::argmax(machine, &x, &Comparison::exact(5, 4)).map(|_| ())
});
body!(OneHotRows { parts: usize }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::one_hot_rows(machine, &x, &Comparison::exact(5, 4), this.parts, WeightId(0)).map(|_| ())
});
body!(Ranking { count: usize }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::ranking(machine, &x, this.count, &Comparison::exact(5, 4)).map(|_| ())
});
body!(TopK { k: usize, count: usize }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let y = machine.input::<u64>(1)?;
    let y = machine.defer(y)?;
    let x = machine.open(x)?;
    let y = machine.take(y)?;
    gates::top_k_then_ranking(machine, &x, &y, (this.k, this.count), &Comparison::exact(5, 4)).map(|_| ())
});

#[test]
fn selections() {
    for n in [2usize, 3, 9, 16, 17, 112] {
        let (pairs, ranked) = (n * (n - 1) / 2, ((n - 1).ilog2() + 1) as usize);
        let form = Form::new(Shape::row(n), 40, 0);
        let (sent, digits) = comparison(pairs, 1, 5, 4);
        let (sent, ranks) = (words(n, 40) + sent + words(n, ranked), digits + words(pairs, ranked));
        check(&gate(Argmax {}, vec![form]), cost(4, sent, ranks + planes(1, n << ranked)));
        // What more than one costs: look-ups, which are material only.
        for count in 1..=4.min(n) {
            let lookups = planes(1, (count * n) << ranked);
            check(&gate(Ranking { count }, vec![form]), cost(4, sent, ranks + lookups));
        }
        for parts in [1, 3] {
            let program = Gate {
                weights: vec![WeightSpec::new("t", WeightKind::Matrix { inner: parts * n, columns: 3 }, 4)],
                inputs: vec![Form::new(Shape::new(parts, 1, n), 40, 0)],
                body: OneHotRows { parts },
            };
            let all = parts * n;
            let (sent, digits) = comparison(parts * pairs, 1, 5, 4);
            let sent = words(all, 40) + sent + words(all, ranked) + words(all, 64);
            let material = digits + words(parts * pairs, ranked) + words(all << ranked, 64) + words(3, 64);
            check(&program, cost(5, sent, material));
        }
        let (sent, digits) = comparison(2 * pairs, 1, 5, 4);
        let ring = ranked + 1;
        let sent = opened(n, &[40, 40, ranked, ring]) + sent + planes(1, n);
        let survivors = words(pairs, ranked) + planes(1, n << ranked);
        let among = 2 * 3 * words(pairs, ring) + words(n, ring);
        for (k, count) in [(1, 1), (2, 2), (4, 1), (4, 3), (n, 4)] {
            if count <= k && k <= n {
                let last = words(n, ring) + planes(1, (count * n) << ring);
                check(&gate(TopK { k, count }, vec![form; 2]), cost(6, sent, digits + survivors + among + last));
            }
        }
    }
}
