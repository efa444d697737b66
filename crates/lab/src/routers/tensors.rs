//! Conversion between a bundle's matrices and the tensors of a training.

use blindroute_routing::bundle::Matrix;
use candle_core::{D, DType, Device, Error, Result, Tensor};

/// A matrix as a tensor `[rows, columns]` of f32.
pub(crate) fn tensor(matrix: &Matrix, device: &Device) -> Result<Tensor> {
    Tensor::from_slice(matrix.data(), matrix.shape(), device)
}

/// A tensor of two dimensions as a matrix.
pub(crate) fn matrix(tensor: &Tensor) -> Result<Matrix> {
    let (rows, columns) = tensor.dims2()?;
    let data = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    Matrix::new(rows, columns, data).ok_or_else(|| Error::Msg("a tensor lost its shape".to_owned()))
}

/// Every row at unit length.
pub(crate) fn unit_rows(rows: &Tensor) -> Result<Tensor> {
    // A row of zeros has no direction. The small number keeps its gradient finite.
    rows.broadcast_div(&(rows.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?)
}
