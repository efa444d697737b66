//! The quadratic form of a gain, while it is trained.

use candle_core::{Result, Tensor};

/// The units of a gain.
pub(super) const UNITS: usize = 16;
/// Beyond this, a unit's size is penalised. The training's scale has targets of deviation 1.
const FREE: f64 = 4.0;

/// The gains `[rows, 1]` of units `[rows, units]`: the squares of the first half less those of the others.
pub(super) fn quadratic_form(units: &Tensor) -> Result<Tensor> {
    let columns = units.dim(1)?;
    let signs: Vec<f32> = (0..columns).map(|unit| if unit < columns / 2 { 1.0 } else { -1.0 }).collect();
    let signs = Tensor::from_vec(signs, (columns, 1), units.device())?.to_dtype(units.dtype())?;
    units.sqr()?.matmul(&signs)
}

/// The penalty of large units.
pub(super) fn excess(units: &Tensor) -> Result<Tensor> {
    ((units.abs()? / FREE)? - 1.0)?.relu()?.sqr()?.mean_all()
}
