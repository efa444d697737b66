//! Linear maps: the same on values, masks, masked values and shares, so every interpreter gets them for free.

use crate::secret::Secret;
use blindroute_ring::{Scalar, Shape, Tensor, Word};
use std::sync::Arc;

/// A rearrangement or sum of elements that depends on nothing but public indices.
#[derive(Clone, Debug)]
pub enum Structure {
    /// Rows from `start`, as many as the second number, of each matrix.
    Rows(usize, usize),
    /// Columns from `start`, as many as the second number.
    Columns(usize, usize),
    /// `[batch, rows, heads · d]` to `[batch · heads, rows, d]`.
    SplitHeads(usize),
    /// `[batch · heads, rows, d]` to `[batch, rows, heads · d]`.
    MergeHeads(usize),
    /// `[batch, rows, columns]` to `[batch · times, rows, columns]`: each matrix once for each of its attention heads.
    RepeatMatrices(usize),
    /// The same elements under another shape.
    Reshape(Shape),
    /// Sums of the columns: `[batch, rows, 1]`.
    SumColumns,
    /// Sums of the rows: `[batch, 1, columns]`.
    SumRows,
    /// Each matrix transposed: `[batch, columns, rows]`.
    Transpose,
    /// The elements at these indices, [`Structure::NOTHING`] standing for zero.
    Gather(Shape, Arc<[usize]>),
}

impl Structure {
    /// The index that stands for a zero element.
    pub const NOTHING: usize = usize::MAX;

    /// The same [`Gather`](Self::Gather) in each matrix of `from`: `indices` are those within a matrix, and each result
    /// has so many `rows` and `columns`.
    ///
    /// # Panics
    /// If an index is beyond a matrix: it would be another prompt's.
    pub fn gather_each(from: Shape, (rows, columns): (usize, usize), indices: &[usize]) -> Self {
        let step = from.rows * from.columns;
        let inside = |&index: &usize| index < step || index == Self::NOTHING;
        assert!(indices.iter().all(inside), "an index beyond a matrix of {from}");
        let place = |start: usize, index: usize| if index == Self::NOTHING { index } else { start + index };
        let all = (0..from.batch).flat_map(|matrix| indices.iter().map(move |&index| place(matrix * step, index)));
        Self::Gather(Shape::new(from.batch, rows, columns), all.collect())
    }

    /// The shape that results from `shape`.
    pub fn shape(&self, shape: Shape) -> Shape {
        match *self {
            Self::Rows(_, rows) => Shape { rows, ..shape },
            Self::Columns(_, columns) => Shape { columns, ..shape },
            Self::SplitHeads(heads) => Shape::new(shape.batch * heads, shape.rows, shape.columns / heads),
            Self::MergeHeads(heads) => Shape::new(shape.batch / heads, shape.rows, shape.columns * heads),
            Self::RepeatMatrices(times) => Shape { batch: shape.batch * times, ..shape },
            Self::Reshape(shape) | Self::Gather(shape, _) => shape,
            Self::SumColumns => Shape { columns: 1, ..shape },
            Self::SumRows => Shape { rows: 1, ..shape },
            Self::Transpose => Shape::new(shape.batch, shape.columns, shape.rows),
        }
    }

    fn apply<T: Scalar>(&self, tensor: &Tensor<T>) -> Tensor<T> {
        match self {
            Self::Rows(start, rows) => tensor.rows(*start, *rows),
            Self::Columns(start, columns) => tensor.columns(*start, *columns),
            Self::SplitHeads(heads) => tensor.split_heads(*heads),
            Self::MergeHeads(heads) => tensor.merge_heads(*heads),
            Self::RepeatMatrices(times) => tensor.repeat_matrices(*times),
            Self::Reshape(shape) => tensor.clone().reshaped(*shape),
            Self::SumColumns => tensor.sum_columns(),
            Self::SumRows => tensor.sum_rows(),
            Self::Transpose => tensor.transposed(),
            Self::Gather(shape, indices) => Tensor::new(
                *shape,
                indices
                    .iter()
                    .map(|&index| if index == Self::NOTHING { T::ZERO } else { tensor.data()[index] })
                    .collect(),
            ),
        }
    }
}

/// Something that linear maps with public coefficients apply to.
pub trait Linear: Sized {
    /// The sum; `other` repeats along its dimensions of size 1.
    fn add(&self, other: &Self) -> Self;
    /// The difference; `other` repeats along its dimensions of size 1.
    fn subtract(&self, other: &Self) -> Self;
    /// The product with a public integer.
    fn scale(&self, factor: i64) -> Self;
    /// Moves the binary point up: integers grow by 2^shift, the value that they stand for stays.
    fn raise(&self, shift: u32) -> Self;
    /// Divides the value meant by 2^shift, the binary point moving up by as much: integers stay.
    fn divide(&self, shift: u32) -> Self;
    /// The columns of both, row by row.
    fn beside(&self, other: &Self) -> Self;
    /// Rearranged.
    fn restructure(&self, structure: &Structure) -> Self;
}

impl<T: Scalar> Linear for Tensor<T> {
    fn add(&self, other: &Self) -> Self {
        self.zip(other, T::plus)
    }
    fn subtract(&self, other: &Self) -> Self {
        self.zip(other, T::minus)
    }
    fn scale(&self, factor: i64) -> Self {
        let factor = T::from_i64(factor);
        self.map(|x| x.times(factor))
    }
    fn raise(&self, shift: u32) -> Self {
        self.map(|x| x.raise(shift))
    }
    fn divide(&self, shift: u32) -> Self {
        self.map(|x| x.divide(shift))
    }
    fn beside(&self, other: &Self) -> Self {
        Tensor::beside(self, other)
    }
    fn restructure(&self, structure: &Structure) -> Self {
        structure.apply(self)
    }
}

impl<W: Word> Linear for Secret<W> {
    fn add(&self, other: &Self) -> Self {
        Secret::new(self.expose().add(other.expose()))
    }
    fn subtract(&self, other: &Self) -> Self {
        Secret::new(self.expose().subtract(other.expose()))
    }
    fn scale(&self, factor: i64) -> Self {
        Secret::new(self.expose().scale(factor))
    }
    fn raise(&self, shift: u32) -> Self {
        Secret::new(self.expose().raise(shift))
    }
    fn divide(&self, shift: u32) -> Self {
        Secret::new(self.expose().divide(shift))
    }
    fn beside(&self, other: &Self) -> Self {
        Secret::new(self.expose().beside(other.expose()))
    }
    fn restructure(&self, structure: &Structure) -> Self {
        Secret::new(self.expose().restructure(structure))
    }
}

impl<L: Linear> Linear for Arc<L> {
    fn add(&self, other: &Self) -> Self {
        Arc::new((**self).add(other))
    }
    fn subtract(&self, other: &Self) -> Self {
        Arc::new((**self).subtract(other))
    }
    fn scale(&self, factor: i64) -> Self {
        Arc::new((**self).scale(factor))
    }
    fn raise(&self, shift: u32) -> Self {
        Arc::new((**self).raise(shift))
    }
    fn divide(&self, shift: u32) -> Self {
        Arc::new((**self).divide(shift))
    }
    fn beside(&self, other: &Self) -> Self {
        Arc::new((**self).beside(other))
    }
    fn restructure(&self, structure: &Structure) -> Self {
        Arc::new((**self).restructure(structure))
    }
}

impl Linear for () {
    fn add(&self, _other: &Self) -> Self {}
    fn subtract(&self, _other: &Self) -> Self {}
    fn scale(&self, _factor: i64) -> Self {}
    fn raise(&self, _shift: u32) -> Self {}
    fn divide(&self, _shift: u32) -> Self {}
    fn beside(&self, _other: &Self) -> Self {}
    fn restructure(&self, _structure: &Structure) -> Self {}
}
