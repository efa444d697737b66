//! Truncation, extension, and the operations that extend their operands: bits that an extension does not need are not dealt.

use super::{
    SIZES, check, comparison, cost, exponential, extended_product, extension_cost, opened, select_extended, square_sum,
    words,
};
use crate::common::{body, gate};
use blindroute_protocol::{Comparison, Error, Form, Interpreter, Machine, RingWord, Shape};

/// Ring and dropped bits of an operand: the narrowest that can be extended, one in 32 bits and two in 64.
const OPERANDS: [(usize, u32); 5] = [(5, 2), (28, 0), (32, 9), (33, 7), (64, 24)];
/// Word and ring of a result, narrower ones than an operand's among them.
const RESULTS: [(u32, usize); 6] = [(32, 17), (32, 32), (64, 40), (64, 64), (128, 101), (128, 128)];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Extend,
    SquareSum,
    Select,
}

body!(Extend { kind: Kind, shift: u32, out: (u32, usize) }, |this, machine| {
    match this.out.0 {
        32 => apply::<I, u32>(machine, this),
        64 => apply::<I, u64>(machine, this),
        _ => apply::<I, u128>(machine, this),
    }
});

fn apply<I: Interpreter, V: RingWord>(machine: &mut Machine<I>, of: &Extend) -> Result<(), Error> {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let ring = of.out.1 as u32;
    match of.kind {
        Kind::Extend => machine.extend::<u64, V>(&x, of.shift, ring).map(|_| ()),
        Kind::SquareSum => machine.square_sum::<u64, V>(&x, of.shift, ring).map(|_| ()),
        Kind::Select => {
            let bits = machine.compare(&x, &Comparison::of_many(vec![0], 0, 1))?;
            machine.select_extended::<u64, V>(&bits, &x, of.shift, ring).map(|_| ())
        }
    }
}

body!(Truncate { shift: u32 }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.truncate_reduce(x, this.shift)?;
    machine.open(x).map(|_| ())
});

#[test]
fn cutting_extension_squares_and_selection() {
    for n in SIZES {
        for (bits, shift) in OPERANDS {
            let width = bits - shift as usize;
            // Rows of one element, and all in one row.
            for shape in [Shape::row(n), Shape::matrix(n, 1)] {
                let form = Form::new(shape, bits as u32, shift);
                for out in RESULTS {
                    let of = |kind| gate(Extend { kind, shift, out }, vec![form]);
                    let sent = words(n, bits);
                    check(&gate(Truncate { shift }, vec![form]), cost(1, words(n, width), 0));
                    check(&of(Kind::Extend), cost(1, sent, extension_cost(n, width, out.1)));
                    let squares = square_sum(n, shape.rows, width, out.1);
                    check(&of(Kind::SquareSum), cost(1, sent, squares));
                    let (compared, digits) = comparison(n, 1, 1, 4);
                    let selected = digits + select_extended(n, width, out.1);
                    check(&of(Kind::Select), cost(3, sent + compared, selected));
                }
            }
        }
    }
}

body!(Product { shifts: (u32, u32), out: (u32, usize) }, |this, machine| {
    let a = machine.input::<u64>(0)?;
    let a = machine.defer(a)?;
    let b = machine.input::<u64>(1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    let (a, b, ring) = ((&a, this.shifts.0), (&b, this.shifts.1), this.out.1 as u32);
    match this.out.0 {
        32 => machine.product_extended::<u64, u64, u32>(a, b, ring).map(|_| ()),
        64 => machine.product_extended::<u64, u64, u64>(a, b, ring).map(|_| ()),
        _ => machine.product_extended::<u64, u64, u128>(a, b, ring).map(|_| ()),
    }
});

#[test]
fn extended_products() {
    for (batch, rows, columns) in [(1, 1, 1), (2, 3, 7), (1, 65, 3)] {
        let (shape, narrow) = (Shape::new(batch, rows, columns), Shape::new(batch, rows, 1));
        for (bits_a, shift_a) in OPERANDS {
            for (bits_b, shift_b) in OPERANDS {
                let forms = vec![Form::new(shape, bits_a as u32, shift_a), Form::new(narrow, bits_b as u32, shift_b)];
                let sent = words(shape.len(), bits_a) + words(narrow.len(), bits_b);
                for out in RESULTS {
                    let many = (shape.len(), bits_a - shift_a as usize);
                    let few = (narrow.len(), bits_b - shift_b as usize);
                    let program = gate(Product { shifts: (shift_a, shift_b), out }, forms.clone());
                    check(&program, cost(1, sent, extended_product(many, few, out.1)));
                }
            }
        }
    }
}

body!(Power { out: (u32, usize) }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    match this.out.0 {
        64 => machine.exponential::<u64, u64>(&x, this.out.1 as u32).map(|_| ()),
        _ => machine.exponential::<u64, u128>(&x, this.out.1 as u32).map(|_| ()),
    }
});

#[test]
fn powers() {
    for n in SIZES {
        for fraction in [8, 18, 30] {
            for top in 1..=6 {
                let bits = fraction - 8 + 12 + top;
                let form = Form::new(Shape::row(n), bits, fraction);
                for out in [(64, 42), (64, 64), (128, 77)] {
                    let (sent, material) = exponential(n, top, out.1);
                    let sent = opened(n, &[bits as usize]) + sent;
                    check(&gate(Power { out }, vec![form]), cost(3, sent, material));
                }
            }
        }
    }
}
