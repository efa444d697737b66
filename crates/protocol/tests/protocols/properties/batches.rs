//! Several matrices at once: the structures that go between them, and searches of a row each.

use super::{cases, uniform};
use crate::common::{Gate, body, gate, integers, run};
use blindroute_protocol::gates::{self, Order};
use blindroute_protocol::{
    Clear, Comparison, Error, Fixed, Form, Meter, Output, Shape, Structure, Tensor, Tuning, WeightId, WeightKind,
    WeightSpec,
};
use blindroute_testkit::TestWorld;
use proptest::prelude::*;

body!(Structures { heads: usize, times: usize, picks: Vec<usize> }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let from = x.form().shape;
    let split = x.restructure(&Structure::SplitHeads(this.heads));
    machine.reveal(split.restructure(&Structure::MergeHeads(this.heads)), "a test")?;
    machine.reveal(x.restructure(&Structure::RepeatMatrices(this.times)), "a test")?;
    let picked = x.restructure(&Structure::gather_each(from, (1, this.picks.len()), &this.picks));
    machine.reveal(picked, "a test")?;
    // A masked value is rearranged together with its mask.
    let split = machine.open(split)?;
    let shares = machine.share_of(&split)?;
    machine.reveal(shares, "a test")?;
    // [Xᵀ, the sums of X's rows as a column].
    let sums = split.restructure(&Structure::SumRows).restructure(&Structure::Transpose);
    let joined = split.restructure(&Structure::Transpose).beside(&sums)?;
    let joined = machine.share_of(&joined)?;
    machine.reveal(joined, "a test")
});

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn matrices_split_merge_repeat_turn_and_join(
        seed: u64, batch in 1usize..5, rows in 1usize..4, heads in 1usize..5, width in 1usize..4, times in 1usize..4,
        picks in proptest::collection::vec(0usize..1000, 1..6),
    ) {
        let shape = Shape::new(batch, rows, heads * width);
        let step = rows * heads * width;
        let values = uniform(seed, shape.len(), 1 << 20);
        let picks: Vec<usize> =
            picks.iter().map(|pick| if pick % 7 == 0 { Structure::NOTHING } else { pick % step }).collect();
        let input = Tensor::new(shape, values.iter().map(|&x| x as f32).collect());
        let program = gate(Structures { heads, times, picks: picks.clone() }, vec![Form::new(shape, 40, 0)]);
        let found = integers(seed, &program, &[], &[input]);
        prop_assert_eq!(&found[0], &values, "splitting, then merging");
        let repeated: Vec<i128> = values.chunks(step).flat_map(|matrix| matrix.repeat(times)).collect();
        prop_assert_eq!(&found[1], &repeated);
        let pick = |matrix: &[i128], pick: usize| if pick == Structure::NOTHING { 0 } else { matrix[pick] };
        let picked: Vec<i128> =
            values.chunks(step).flat_map(|matrix| picks.iter().map(|&at| pick(matrix, at))).collect();
        prop_assert_eq!(&found[2], &picked);
        for (at, &x) in found[3].iter().enumerate() {
            let (matrix, row, column) = (at / (rows * width), at / width % rows, at % width);
            let (prompt, head) = (matrix / heads, matrix % heads);
            prop_assert_eq!(x, values[(prompt * rows + row) * heads * width + head * width + column]);
        }
        for (matrix, joined) in found[3].chunks(rows * width).zip(found[4].chunks(width * (rows + 1))) {
            for (column, row) in joined.chunks(rows + 1).enumerate() {
                let expected: Vec<i128> = (0..rows).map(|row| matrix[row * width + column]).collect();
                prop_assert_eq!(&row[..rows], &expected[..]);
                prop_assert_eq!(row[rows], expected.iter().sum::<i128>());
            }
        }
    }
}

#[test]
#[should_panic(expected = "an index beyond a matrix of [3, 1, 4]")]
fn no_gather_reaches_the_next_matrix() {
    let _ = Structure::gather_each(Shape::new(3, 1, 4), (1, 2), &[0, 4]);
}

body!(Argmax { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let x = machine.truncate_reduce(x, 3)?;
    let x = machine.open(x)?;
    let bits = gates::argmax(machine, &x, &Comparison::exact(5, 4))?;
    machine.reveal_bits(bits, "a test")
});

body!(TopK { k: usize, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let score = machine.input::<u64>(1)?;
    let score = machine.truncate_reduce(score, 3)?;
    let score = machine.defer(score)?;
    let x = machine.truncate_reduce(x, 3)?;
    let x = machine.open(x)?;
    let score = machine.take(score)?;
    let bits = gates::top_k_then_argmax(machine, &x, &score, this.k, &Comparison::exact(5, 4))?;
    machine.reveal_bits(bits, "a test")
});

body!(TableRow { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let x = machine.truncate_reduce(x, 3)?;
    let x = machine.open(x)?;
    let row = gates::one_hot_rows(machine, &x, &Comparison::exact(5, 4), 1, WeightId(0))?;
    machine.reveal(row, "a test")
});

/// On the grid of 2^3, twelve fraction bits.
fn on_grid(rows: &[Vec<i64>]) -> Tensor<f32> {
    let unit = 2f32.powi(3 - 12);
    let data = rows.iter().flatten().map(|&x| x as f32 * unit).collect();
    Tensor::new(Shape::new(rows.len(), 1, rows[0].len()), data)
}

/// Rows of which some have many ties and one has nothing else.
fn rows(seed: u64, batch: usize, n: usize) -> Vec<Vec<i64>> {
    (0..batch)
        .map(|row| {
            let bound = [3, 1, 50, 2][row % 4];
            uniform(seed * 100 + row as u64, n, bound).into_iter().map(|x| x as i64).collect()
        })
        .collect()
}

/// Best first, ties to the lower index.
fn order(values: &[i64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(values[i]), i));
    order
}

/// The one bit that is set in each row.
fn hot(output: &Output, n: usize) -> Vec<Option<usize>> {
    let one = |row: &[bool]| {
        let set: Vec<usize> = (0..n).filter(|&i| row[i]).collect();
        if set.len() == 1 { Some(set[0]) } else { None }
    };
    output.bits[0].chunks(n).map(one).collect()
}

#[test]
fn argmax_and_top_k_search_each_row_alone() {
    for (batch, n) in [(1, 5), (2, 2), (3, 7), (4, 20), (9, 13)] {
        for tuning in Tuning::ALL {
            let form = |batch| Form::new(Shape::new(batch, 1, n), 40, 12);
            let seed = (batch * 100 + n) as u64;
            let (x, score) = (rows(seed, batch, n), rows(seed + 7, batch, n));
            let inputs = [on_grid(&x), on_grid(&score)];
            let program = |batch| gate(Argmax { tuning }, vec![form(batch)]);
            let expected: Vec<_> = x.iter().map(|x| Some(order(x)[0])).collect();
            let found = run(seed, &program(batch), &[], &inputs[..1]);
            assert_eq!(hot(&found.output, n), expected, "the largest of {x:?}");
            assert_eq!(found.forecast.openings, Meter::cost(&program(1)).unwrap().openings);
            let clear = Clear::run(&program(batch), &[], inputs[..1].to_vec()).unwrap();
            assert_eq!(clear, found.output);
            for k in [1, n.div_ceil(2), n] {
                let program = |batch| gate(TopK { k, tuning }, vec![form(batch); 2]);
                let best = |(x, score): (&Vec<i64>, &Vec<i64>)| {
                    let alive = &order(x)[..k];
                    order(score).into_iter().find(|candidate| alive.contains(candidate))
                };
                let expected: Vec<_> = x.iter().zip(&score).map(best).collect();
                let found = run(seed, &program(batch), &[], &inputs);
                assert_eq!(hot(&found.output, n), expected, "top {k} of {x:?} by {score:?}");
                assert_eq!(found.forecast.openings, Meter::cost(&program(1)).unwrap().openings);
                let (fixed, _) = Fixed::run(&program(batch), &[], &inputs).unwrap();
                assert_eq!(fixed, found.output);
            }
        }
    }
}

#[test]
fn each_row_takes_its_row_of_a_secret_table() {
    let (batch, n, columns) = (5, 6, 3);
    let shape = Shape::new(batch, 1, n);
    let values = rows(11, batch, n);
    let table: Vec<f32> = (0..n * columns).map(|entry| entry as f32).collect();
    for tuning in Tuning::ALL {
        let program = Gate {
            weights: vec![WeightSpec::new("table", WeightKind::Matrix { inner: n, columns }, 0)],
            inputs: vec![Form::new(shape, 40, 12)],
            body: TableRow { tuning },
        };
        let weights = [Tensor::new(Shape::matrix(n, columns), table.clone())];
        let found = integers(3, &program, &weights, &[on_grid(&values)]);
        let expected: Vec<i128> = values
            .iter()
            .flat_map(|row| (0..columns).map(move |column| (order(row)[0] * columns + column) as i128))
            .collect();
        assert_eq!(found[0], expected);
        let inputs = vec![on_grid(&values)];
        let clear = Clear::run(&program, &weights, inputs.clone()).unwrap();
        let (fixed, _) = Fixed::run(&program, &weights, &inputs).unwrap();
        assert_eq!(clear.values, fixed.values);
        assert!(clear.values[0].iter().zip(&expected).all(|(&found, &expected)| found == expected as f64));
    }
}

body!(Orders {}, |this, machine| {
    let (x, y) = (machine.input::<u64>(0)?, machine.input::<u64>(1)?);
    let (x, y) = (machine.open(x)?, machine.open(y)?);
    let comparison = Comparison::exact(5, 4);
    let (x, _) = Order::two(machine, &x, &y, &comparison)?;
    let ranks = x.ranks(machine)?;
    machine.reveal(ranks, "a test")
});

#[test]
fn an_order_is_of_one_row_a_batch() {
    let refused = |x: Shape, y: Shape| {
        let program = gate(Orders {}, [x, y].map(|shape| Form::new(shape, 40, 12)).to_vec());
        TestWorld::seeded(1).run(&program, &[], &[Tensor::zeros(x), Tensor::zeros(y)]).map(|_| ()).unwrap_err()
    };
    let row = Shape::new(2, 1, 4);
    assert!(matches!(refused(row, Shape::new(3, 1, 4)), Error::Shape { .. }));
    assert!(matches!(refused(row, Shape::new(1, 1, 4)), Error::Shape { .. }));
    assert!(matches!(refused(Shape::new(1, 2, 4), Shape::new(1, 2, 4)), Error::Program(_)));
}
