//! The maximum of each row.

use crate::error::Error;
use crate::linear::Structure;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked};
use crate::material::word::RingWord;
use crate::protocols::comparison::Comparison;

/// **Computes** the maximum of each row of `[batch, rows, n]`. **Shapes** masked, to masked `[batch, rows, 1]`. **Cost**
/// 3·⌈log₂ n⌉ openings (a comparison and the selected value per level). **Security** see
/// [`comparison`](crate::protocols::comparison). **Error** where two values differ by less than 2^low the smaller may be
/// taken, so the result is low by less than ⌈log₂ n⌉·2^low. Needs |difference| ≤ 2^(low + 4·digits) − 2^low. **Source** the
/// tournament of CrypTen's `max`. **Differs from the source** in that operands are opened already, so a level has no
/// opening of its comparison's input.
///
/// # Errors
/// If the window does not lie in the ring.
pub fn row_maximum<I: Interpreter, W: RingWord>(
    machine: &mut Machine<I>,
    x: &Masked<I, W>,
    low: u32,
    digits: u32,
) -> Result<Masked<I, W>, Error> {
    let comparison = Comparison::of_many(vec![0], low, digits);
    let mut best = x.clone();
    while best.form().shape.columns > 1 {
        let columns = best.form().shape.columns;
        let half = columns / 2;
        let first = best.restructure(&Structure::Columns(0, half));
        let second = best.restructure(&Structure::Columns(half, half));
        let difference = first.subtract(&second)?;
        let greater = machine.compare(&difference, &comparison)?;
        let gain = machine.select(&greater, &difference)?;
        let winner = machine.share_of(&second)?.add(&gain)?;
        let winner = machine.open(winner)?;
        best = if columns.is_multiple_of(2) {
            winner
        } else {
            join_columns(&winner, &best.restructure(&Structure::Columns(columns - 1, 1)))?
        };
    }
    Ok(best)
}

/// `[.., a]` and `[.., b]` as `[.., a + b]`.
pub(crate) fn join_columns<I: Interpreter, W: RingWord>(
    left: &Masked<I, W>,
    right: &Masked<I, W>,
) -> Result<Masked<I, W>, Error> {
    let (a, b) = (left.form().shape, right.form().shape);
    let columns = a.columns + b.columns;
    let shape = blindroute_ring::Shape { columns, ..a };
    let place = |width: usize, offset: usize| {
        let pick = (0..shape.len()).map(|i| {
            let (row, column) = (i / columns, i % columns);
            if (offset..offset + width).contains(&column) { row * width + column - offset } else { Structure::NOTHING }
        });
        Structure::Gather(shape, pick.collect())
    };
    left.restructure(&place(a.columns, 0)).add(&right.restructure(&place(b.columns, a.columns)))
}
