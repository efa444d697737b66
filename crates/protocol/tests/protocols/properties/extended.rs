//! Products, sums of squares and selections of values that are extended on the way.

use super::{Operand, cases, extended_values, truncations};
use crate::common::{body, gate, integers, row, wrapped};
use blindroute_protocol::{Comparison, Error, Form, Interpreter, Machine, RingWord, Shape};
use proptest::prelude::*;

fn multiply<I: Interpreter, A: RingWord, B: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    a: Operand,
    b: Operand,
    ring: u32,
) -> Result<(), Error> {
    let many = a.open::<I, A>(machine, 0)?;
    let few = b.open::<I, B>(machine, a.inputs())?;
    let y = machine.product_extended::<A, B, V>((&many, a.shift), (&few, b.shift), ring)?;
    machine.reveal(y, "a test")
}

body!(ProductExtended { a: Operand, b: Operand, out: (u32, u32) }, |this, machine| {
    let (a, b, (word, ring)) = (this.a, this.b, this.out);
    match (a.word, b.word, word) {
        (32, 32, 32) => multiply::<I, u32, u32, u32>(machine, a, b, ring),
        (32, 32, 64) => multiply::<I, u32, u32, u64>(machine, a, b, ring),
        (32, 64, 64) => multiply::<I, u32, u64, u64>(machine, a, b, ring),
        (32, 128, 64) => multiply::<I, u32, u128, u64>(machine, a, b, ring),
        (32, 128, 128) => multiply::<I, u32, u128, u128>(machine, a, b, ring),
        (64, 32, 64) => multiply::<I, u64, u32, u64>(machine, a, b, ring),
        (64, 64, 32) => multiply::<I, u64, u64, u32>(machine, a, b, ring),
        (64, 64, 64) => multiply::<I, u64, u64, u64>(machine, a, b, ring),
        (64, 64, 128) => multiply::<I, u64, u64, u128>(machine, a, b, ring),
        (64, 128, 64) => multiply::<I, u64, u128, u64>(machine, a, b, ring),
        (128, 128, 128) => multiply::<I, u128, u128, u128>(machine, a, b, ring),
        words => Err(Error::Program(format!("no test of words {words:?}"))),
    }
});

/// Words of both factors and of the product.
const WORDS: [(u32, u32, u32); 11] = [
    (32, 32, 32),
    (32, 32, 64),
    (32, 64, 64),
    (32, 128, 64),
    (32, 128, 128),
    (64, 32, 64),
    (64, 64, 32),
    (64, 64, 64),
    (64, 64, 128),
    (64, 128, 64),
    (128, 128, 128),
];

/// The widest ring that a test has in a word.
fn widest(word: u32) -> u32 {
    word.min(104)
}

fn check_product(seed: u64, a: Operand, b: Operand, out: (u32, u32)) {
    let (batch, rows, columns) = (2, 9, 3);
    let many = extended_values(seed, a.bits, batch * rows * columns);
    // Every end of the one meets every end of the other in some row.
    let mut few = extended_values(seed ^ 5, b.bits, batch * rows);
    few.rotate_left(seed as usize % 7);
    let (mut forms, mut inputs) = a.share(&many, Shape::new(batch, rows, columns));
    let (more, other) = b.share(&few, Shape::new(batch, rows, 1));
    forms.extend(more);
    inputs.extend(other);
    let found = integers(seed, &gate(ProductExtended { a, b, out }, forms), &[], &inputs);
    for (row, &factor) in few.iter().enumerate() {
        let places = row * columns..(row + 1) * columns;
        // The row's factor was rounded once.
        let fits = |factor: i128| {
            places.clone().all(|i| {
                truncations(many[i], a.shift).iter().any(|x| wrapped(x.wrapping_mul(factor), out.1) == found[0][i])
            })
        };
        assert!(
            truncations(factor, b.shift).into_iter().any(fits),
            "{:?} times {} gave {:?} with {a:?}, {b:?}, {out:?}",
            &many[places.clone()],
            factor,
            &found[0][places.clone()]
        );
    }
}

#[test]
fn extended_products_at_the_ends_of_their_range() {
    for (index, &(a, b, out)) in WORDS.iter().enumerate() {
        for bits_a in [5, 20, widest(a) - 4, widest(a)] {
            for bits_b in [5, 21, widest(b) - 4, widest(b)] {
                for (share_a, share_b) in [(0, 0), (0, 2), (2, 0), (1, 1), (3, 3)] {
                    // Nothing is dropped, about a third, two thirds, or all but the least that must be left.
                    let of_share = |bits: u32, share: u32| (bits - 3) * share / 3;
                    let a = Operand { word: a, bits: bits_a, shift: of_share(bits_a, share_a) };
                    let b = Operand { word: b, bits: bits_b, shift: of_share(bits_b, share_b) };
                    for ring in [out - 4, out] {
                        check_product((index * 1000) as u64 + u64::from(bits_a + bits_b), a, b, (out, ring));
                    }
                }
            }
        }
    }
}

fn squares<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, x: Operand, out: (u32, u32)) -> Result<(), Error> {
    let masked = x.open::<I, W>(machine, 0)?;
    match out.0 {
        32 => {
            let y = machine.square_sum::<W, u32>(&masked, x.shift, out.1)?;
            machine.reveal(y, "a test")
        }
        64 => {
            let y = machine.square_sum::<W, u64>(&masked, x.shift, out.1)?;
            machine.reveal(y, "a test")
        }
        _ => {
            let y = machine.square_sum::<W, u128>(&masked, x.shift, out.1)?;
            machine.reveal(y, "a test")
        }
    }
}

body!(SquareSum { x: Operand, out: (u32, u32) }, |this, machine| {
    match this.x.word {
        32 => squares::<I, u32>(machine, this.x, this.out),
        64 => squares::<I, u64>(machine, this.x, this.out),
        _ => squares::<I, u128>(machine, this.x, this.out),
    }
});

/// Every sum of squares that rounding allows.
fn sums(values: &[i128], shift: u32) -> Vec<i128> {
    values.iter().fold(vec![0i128], |sums, &x| {
        let squares: Vec<i128> = truncations(x, shift).into_iter().map(|x| x.wrapping_mul(x)).collect();
        sums.iter().flat_map(|sum| squares.iter().map(|square| sum.wrapping_add(*square))).collect()
    })
}

fn check_squares(seed: u64, x: Operand, out: (u32, u32), columns: usize) {
    let rows = 8;
    let mut values = extended_values(seed, x.bits, rows * columns);
    if columns > 4 {
        // Too many roundings to list: multiples of the unit of the truncation, which are exact.
        values.iter_mut().for_each(|value| *value = *value >> x.shift << x.shift);
    }
    let (forms, inputs) = x.share(&values, Shape::new(2, rows / 2, columns));
    let found = integers(seed, &gate(SquareSum { x, out }, forms), &[], &inputs);
    for (values, &y) in values.chunks(columns).zip(&found[0]) {
        let fits = sums(values, x.shift).into_iter().any(|sum| wrapped(sum, out.1) == y);
        assert!(fits, "the squares of {values:?} gave {y} with {x:?} in {out:?}");
    }
}

#[test]
fn extended_sums_of_squares_at_the_ends_of_their_range() {
    for word in [32, 64, 128] {
        for bits in [5, 20, widest(word) - 4, widest(word)] {
            for share in 0..=3 {
                let x = Operand { word, bits, shift: (bits - 3) * share / 3 };
                for out in [32, 64, 128] {
                    for ring in [out - 5, out] {
                        for columns in [1, 4, 33] {
                            check_squares(u64::from(bits * 100 + ring), x, (out, ring), columns);
                        }
                    }
                }
            }
        }
    }
}

fn keep<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, x: Operand) -> Result<(), Error> {
    let chooser = machine.input::<u64>(0)?;
    let chooser = machine.open(chooser)?;
    let bits = machine.compare(&chooser, &Comparison::of_many(vec![0], 0, 2))?;
    let masked = x.open::<I, W>(machine, 1)?;
    for ring in KEPT[0] {
        let y = machine.select_extended::<W, u32>(&bits, &masked, x.shift, ring)?;
        machine.reveal(y, "a test")?;
    }
    for ring in KEPT[1] {
        let y = machine.select_extended::<W, u64>(&bits, &masked, x.shift, ring)?;
        machine.reveal(y, "a test")?;
    }
    for ring in KEPT[2] {
        let y = machine.select_extended::<W, u128>(&bits, &masked, x.shift, ring)?;
        machine.reveal(y, "a test")?;
    }
    Ok(())
}

/// The rings that selections extend to in each word.
const KEPT: [[u32; 2]; 3] = [[17, 32], [35, 64], [90, 128]];

body!(SelectExtended { x: Operand }, |this, machine| {
    match this.x.word {
        32 => keep::<I, u32>(machine, this.x),
        64 => keep::<I, u64>(machine, this.x),
        _ => keep::<I, u128>(machine, this.x),
    }
});

fn check_selection(seed: u64, x: Operand, count: usize) {
    let values = extended_values(seed, x.bits, count);
    // Both bits at both ends of the range.
    let chooser: Vec<i64> = (0..count).map(|i| if (i as u64 + seed).is_multiple_of(2) { 1 } else { -1 }).collect();
    let (mut forms, mut inputs) = x.share(&values, Shape::row(count));
    forms.insert(0, Form::new(Shape::row(count), 9, 0));
    inputs.insert(0, row(&chooser));
    let found = integers(seed, &gate(SelectExtended { x }, forms), &[], &inputs);
    for (ring, found) in KEPT.concat().into_iter().zip(&found) {
        for (i, &y) in found.iter().enumerate() {
            let allowed = if chooser[i] > 0 { truncations(values[i], x.shift) } else { vec![0] };
            assert!(
                allowed.iter().any(|&x| wrapped(x, ring) == y),
                "{} where {} gave {y} in {ring} bits: {x:?}",
                values[i],
                chooser[i]
            );
        }
    }
}

#[test]
fn extended_selections_at_the_ends_of_their_range() {
    for word in [32, 64, 128] {
        for bits in [5, 6, 20, 28, widest(word) - 1, widest(word)] {
            for share in 0..=3 {
                let x = Operand { word, bits, shift: (bits - 3) * share / 3 };
                for seed in 0..2 {
                    check_selection(seed + u64::from(bits) * 2, x, 65);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn extending_works_at_any_width(
        seed: u64, words in 0..WORDS.len(), widths in (0.0..1.0, 0.0..1.0, 0.0..1.0), shifts in (0.0..1.0, 0.0..1.0),
    ) {
        let between = |from: u32, to: u32, share: f64| from + (f64::from(to - from + 1) * share) as u32;
        let (a, b, out) = WORDS[words];
        let operand = |word: u32, width: f64, shift: f64| {
            let bits = between(5, widest(word), width);
            Operand { word, bits, shift: between(0, bits - 3, shift) }
        };
        let (a, b) = (operand(a, widths.0, shifts.0), operand(b, widths.1, shifts.1));
        let ring = between(2, out, widths.2);
        check_product(seed, a, b, (out, ring));
        check_squares(seed, a, (out, ring), 3);
        check_selection(seed, b, 20);
    }
}
