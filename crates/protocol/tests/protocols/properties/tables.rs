//! Selections by bits, products of bits and truth tables.

use super::{cases, uniform};
use crate::common::{big, big_input, body, gate, integers, row, run};
use blindroute_protocol::{Comparison, Form, Shape};
use proptest::prelude::*;

body!(Select { word: u32 }, |this, machine| {
    let comparison = Comparison::of_many(vec![0], 0, 2);
    let chooser = machine.input::<u64>(0)?;
    let chooser = machine.open(chooser)?;
    let bits = machine.compare(&chooser, &comparison)?;
    match this.word {
        32 => {
            let x = big_input::<I, u32>(machine, 1)?;
            let x = machine.open(x)?;
            let y = machine.select(&bits, &x)?;
            machine.reveal(y, "a test")
        }
        64 => {
            let x = big_input::<I, u64>(machine, 1)?;
            let x = machine.open(x)?;
            let y = machine.select(&bits, &x)?;
            machine.reveal(y, "a test")
        }
        _ => {
            let x = big_input::<I, u128>(machine, 1)?;
            let x = machine.open(x)?;
            let y = machine.select(&bits, &x)?;
            machine.reveal(y, "a test")
        }
    }
});

body!(BitsProduct { ring: u32 }, |this, machine| {
    let comparison = Comparison::of_many(vec![0], 0, 1);
    let a = machine.input::<u64>(0)?;
    let a = machine.defer(a)?;
    let b = machine.input::<u64>(1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    let a = machine.compare(&a, &comparison)?;
    let b = machine.compare(&b, &comparison)?;
    let product = machine.bits_product::<u32>(&a, &b, this.ring)?;
    machine.reveal(product, "a test")?;
    let single = machine.bits_to_share::<u64>(&a, this.ring)?;
    machine.reveal(single, "a test")
});

body!(Lookup { table: Vec<i64>, bits: u32 }, |this, machine| {
    let x = machine.input::<u32>(0)?;
    let x = machine.open(x)?;
    let y = machine.lookup::<u32, u64>(&x, &this.table, this.bits)?;
    machine.reveal(y, "a test")?;
    let y = machine.lookup::<u32, u128>(&x, &this.table, 128)?;
    machine.reveal(y, "a test")?;
    let odd: Vec<bool> = this.table.iter().map(|entry| entry & 1 == 1).collect();
    let bits = machine.lookup_bits(&x, &odd)?;
    let opened = machine.open_bits(bits)?;
    let same = machine.bits_to_share::<u32>(&opened, 3)?;
    machine.reveal(same, "a test")?;
    let bits = machine.lookup_bits(&x, &odd)?;
    machine.reveal_bits(bits, "a test")
});

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn selection_keeps_or_clears(seed: u64, bits in 20u32..=64, count in 1usize..200) {
        let chooser: Vec<i64> = uniform(seed, count, 200).into_iter().map(|x| x as i64).collect();
        let values = uniform(seed ^ 1, count, 1i128 << (bits - 1));
        let (forms, mut inputs) = big(&values, Form::new(Shape::row(count), bits, 0));
        inputs.insert(0, row(&chooser));
        for word in [32, 64, 128] {
            if bits > word {
                continue;
            }
            let forms = std::iter::once(Form::new(Shape::row(count), 9, 0)).chain(forms.clone()).collect();
            let found = integers(seed, &gate(Select { word }, forms), &[], &inputs);
            for ((&c, &x), &y) in chooser.iter().zip(&values).zip(&found[0]) {
                prop_assert_eq!(y, if c >= 0 { x } else { 0 });
            }
        }
    }

    #[test]
    fn products_of_bits_are_conjunctions(seed: u64, ring in 2u32..=32, count in 1usize..150) {
        let draw = |seed| uniform(seed, count, 15).into_iter().map(|x| x as i64).collect::<Vec<_>>();
        let (a, b) = (draw(seed), draw(seed ^ 7));
        let program = gate(BitsProduct { ring }, vec![Form::new(Shape::row(count), 5, 0); 2]);
        let found = integers(seed, &program, &[], &[row(&a), row(&b)]);
        for i in 0..count {
            prop_assert_eq!(found[0][i], i128::from(a[i] >= 0 && b[i] >= 0));
            prop_assert_eq!(found[1][i], i128::from(a[i] >= 0));
        }
    }
}

#[test]
fn tables_give_every_entry() {
    for bits in 1..=10u32 {
        let entries = 1i64 << bits;
        for seed in 0..2 {
            let table: Vec<i64> = uniform(seed, entries as usize, 1 << 30).into_iter().map(|x| x as i64).collect();
            // Once as unsigned and once as signed elements of the ring.
            let elements: Vec<i64> = (0..entries).chain(-entries / 2..entries / 2).collect();
            let program =
                gate(Lookup { table: table.clone(), bits: 40 }, vec![Form::new(Shape::row(elements.len()), bits, 0)]);
            let run = run(seed, &program, &[], &[row(&elements)]);
            for (i, element) in elements.iter().enumerate() {
                let expected = table[element.rem_euclid(entries) as usize];
                assert_eq!(run.output.values[0][i], expected as f64);
                assert_eq!(run.output.values[1][i], expected as f64);
                assert_eq!(run.output.values[2][i], (expected & 1) as f64);
                assert_eq!(run.output.bits[0][i], expected & 1 == 1);
            }
        }
    }
}
