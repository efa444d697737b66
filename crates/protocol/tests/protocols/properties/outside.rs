//! LayerNorm within a range of norms: rows outside are zero and counted, by digits and by keys.

use crate::common::{body, gate, run};
use blindroute_protocol::gates::{self, Target};
use blindroute_protocol::{Cost, Form, Meter, Shape, Structure, Tensor, Tuning};

const WIDTH: usize = 16;
const FORM: (u32, u32) = (32, 20);
const TARGET: Target = Target { bits: 32, fraction: 9 };

body!(Within { tuning: Tuning, range: (u32, u32) }, |this, machine| {
    machine.tune(this.tuning);
    let y = machine.input::<u32>(0)?;
    let normalised = gates::layer_norm_within::<I, u32, u64>(machine, y, TARGET, this.range)?;
    let rows = machine.truncate_to(normalised.rows, TARGET.fraction)?;
    machine.reveal(rows, "a test")?;
    // Of each row, and of all together.
    let sum = normalised.outside.restructure(&Structure::SumRows);
    for outside in [normalised.outside, sum] {
        let count = gates::outside_count(machine, outside)?;
        let count = machine.open(count)?;
        let any = gates::any_outside(machine, &count)?;
        machine.reveal(any, "a test")?;
    }
    Ok(())
});

/// A row of this squared norm.
fn row(norm: f64, seed: usize) -> Vec<f32> {
    let raw: Vec<f64> = (0..WIDTH).map(|column| ((column * 7 + seed * 3) % 13) as f64 - 6.0).collect();
    let scale = (norm / raw.iter().map(|x| x * x).sum::<f64>()).sqrt();
    raw.iter().map(|x| (x * scale) as f32).collect()
}

#[test]
fn rows_outside_the_range_are_zero_and_counted() {
    let range = (4, 14);
    // Norms, and whether they are outside. Beyond 2^19 the sum of squares leaves its ring: it becomes negative, and beyond 2^20
    // positive again.
    let inside = [(0.0, false), (16.6, false), (300.0, false), (16_000.0, false)];
    let outside =
        [(1.7, true), (15.3, true), (16_500.0, true), (200_000.0, true), (700_000.0, true), (1_100_000.0, true)];
    for tuning in [Tuning::Near, Tuning::Middle, Tuning::Far] {
        for norms in [[inside.as_slice(), &outside].concat(), inside.to_vec()] {
            let shape = Shape::matrix(norms.len(), WIDTH);
            let rows: Vec<Vec<f32>> = norms.iter().enumerate().map(|(index, (norm, _))| row(*norm, index)).collect();
            let program = gate(Within { tuning, range }, vec![Form::new(shape, FORM.0, FORM.1)]);
            let found = run(5, &program, &[], &[Tensor::new(shape, rows.concat())]).output;
            let any = norms.iter().any(|(_, outside)| *outside);
            assert_eq!(found.values[2], [f64::from(u8::from(any))], "{tuning:?}");
            for (index, (norm, outside)) in norms.iter().enumerate() {
                assert_eq!(found.values[1][index], f64::from(u8::from(*outside)), "{norm} {tuning:?}");
                let factor = if *outside || *norm == 0.0 { 0.0 } else { (WIDTH as f64 / norm).sqrt() };
                for (y, z) in rows[index].iter().zip(&found.values[0][index * WIDTH..]) {
                    let exact = f64::from(*y) * factor;
                    // The elements' squares are rounded too.
                    let bound = exact.abs() * 1e-2 + 3.0 / 512.0;
                    assert!((z - exact).abs() <= bound, "‖y‖² = {norm}: {y} gave {z}, expected {exact} ({tuning:?})");
                }
            }
        }
    }
}

body!(Counted { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let y = machine.input::<u32>(0)?;
    gates::layer_norm_within::<I, u32, u64>(machine, y, TARGET, (4, 17)).map(|_| ())
});
body!(Uncounted { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let y = machine.input::<u32>(0)?;
    gates::layer_norm::<I, u32, u64>(machine, y, TARGET).map(|_| ())
});
body!(Any {}, |_this, machine| {
    machine.tune(Tuning::Middle);
    let count = machine.input::<u128>(0)?;
    let count = machine.open(count)?;
    gates::any_outside(machine, &count).map(|_| ())
});

/// By keys, the count costs nothing beside the norm; whether it is zero costs one key.
#[test]
fn counting_is_free() {
    for rows in [1, 12] {
        let forms = vec![Form::new(Shape::matrix(rows, WIDTH), FORM.0, FORM.1)];
        let counted = Meter::cost(&gate(Counted { tuning: Tuning::Middle }, forms.clone())).unwrap();
        let without = Meter::cost(&gate(Uncounted { tuning: Tuning::Middle }, forms)).unwrap();
        let last = (rows * WIDTH * TARGET.bits as usize).div_ceil(8);
        assert_eq!(
            counted,
            Cost {
                openings: without.openings - 1,
                opening_bytes: without.opening_bytes - last,
                material_bytes: without.material_bytes
            }
        );
    }
    // The header of `spline_keys`: degree 3, a window of 17 bits, a ring of 2, in which 16 levels of seven powers share bytes.
    let any = Meter::cost(&gate(Any {}, vec![Form::new(Shape::row(1), 18, 8)])).unwrap();
    assert_eq!(any, Cost { openings: 1, opening_bytes: 3, material_bytes: 2 * (16 * 15 + 16 * 7 * 2 / 8) + 13 });
}
