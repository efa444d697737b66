//! Three-dimensional row-major tensors: `[batch, rows, columns]`.
//!
//! Three dimensions are all that encoders, rules and rankings need (attention heads, tokens, width), and a fixed number keeps every
//! loop over contiguous rows plain enough for the compiler to vectorise.

use crate::wipe_vec;
use zeroize::{DefaultIsZeroes, Zeroize};

/// A number that tensors are made of: ring words, and the numbers of the clear and fixed-point interpreters.
pub trait Scalar: Copy + Send + Sync + 'static {
    /// Zero.
    const ZERO: Self;
    /// Sum; wraps for ring words.
    fn plus(self, other: Self) -> Self;
    /// Difference; wraps for ring words.
    fn minus(self, other: Self) -> Self;
    /// Product; wraps for ring words.
    fn times(self, other: Self) -> Self;
    /// The integer, modulo the ring for words.
    fn from_i64(value: i64) -> Self;
    /// Moves the binary point: `self · 2^shift` for integers, unchanged for real numbers.
    fn raise(self, shift: u32) -> Self;
    /// Divides the value meant by 2^shift where the binary point moves up by as much: integers stay.
    fn divide(self, _shift: u32) -> Self {
        self
    }
}

impl Scalar for f32 {
    const ZERO: Self = 0.0;
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn minus(self, other: Self) -> Self {
        self - other
    }
    fn times(self, other: Self) -> Self {
        self * other
    }
    fn from_i64(value: i64) -> Self {
        value as f32
    }
    fn raise(self, _shift: u32) -> Self {
        self
    }
    fn divide(self, shift: u32) -> Self {
        self * 2f32.powi(-(shift as i32))
    }
}

impl Scalar for i128 {
    const ZERO: Self = 0;
    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }
    fn minus(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
    fn times(self, other: Self) -> Self {
        self.saturating_mul(other)
    }
    fn from_i64(value: i64) -> Self {
        i128::from(value)
    }
    fn raise(self, shift: u32) -> Self {
        self.saturating_mul(1 << shift)
    }
}

/// The shape of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Independent matrices.
    pub batch: usize,
    /// Rows of each.
    pub rows: usize,
    /// Columns of each.
    pub columns: usize,
}

impl Shape {
    /// A batch of matrices.
    pub const fn new(batch: usize, rows: usize, columns: usize) -> Self {
        Self { batch, rows, columns }
    }

    /// One matrix.
    pub const fn matrix(rows: usize, columns: usize) -> Self {
        Self::new(1, rows, columns)
    }

    /// One row.
    pub const fn row(columns: usize) -> Self {
        Self::new(1, 1, columns)
    }

    /// Elements in all.
    pub const fn len(&self) -> usize {
        self.batch * self.rows * self.columns
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `other` equals this shape or has 1 where it differs.
    pub fn admits(&self, other: &Shape) -> bool {
        let fits = |mine: usize, theirs: usize| theirs == mine || theirs == 1;
        fits(self.batch, other.batch) && fits(self.rows, other.rows) && fits(self.columns, other.columns)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}, {}]", self.batch, self.rows, self.columns)
    }
}

/// A dense row-major tensor. Its `Debug` prints the shape only.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor<T> {
    shape: Shape,
    data: Vec<T>,
}

impl<T> std::fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor{}", self.shape)
    }
}

impl<T: DefaultIsZeroes> Zeroize for Tensor<T> {
    /// Wipes the elements; what is left is the empty tensor.
    fn zeroize(&mut self) {
        wipe_vec(&mut self.data);
        self.shape = Shape::new(0, 0, 0);
    }
}

impl<T> Tensor<T> {
    /// A tensor of `data` in row-major order.
    ///
    /// # Panics
    /// If the number of elements is not the shape's.
    pub fn new(shape: Shape, data: Vec<T>) -> Self {
        assert_eq!(shape.len(), data.len(), "a tensor of shape {shape} needs {} elements", shape.len());
        Self { shape, data }
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its elements in row-major order.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// Its elements in row-major order, mutable.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Its elements, taken out.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }

    /// The same elements under another shape of the same length.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn reshaped(self, shape: Shape) -> Self {
        Self::new(shape, self.data)
    }
}

impl<T: Scalar> Tensor<T> {
    /// All zero.
    pub fn zeros(shape: Shape) -> Self {
        Self { shape, data: vec![T::ZERO; shape.len()] }
    }

    /// Element by element.
    pub fn map<U>(&self, f: impl FnMut(T) -> U) -> Tensor<U> {
        Tensor { shape: self.shape, data: self.data.iter().copied().map(f).collect() }
    }

    /// Element by element with `other`, whose dimensions of size 1 are repeated.
    ///
    /// # Panics
    /// If this shape does not admit the other.
    pub fn zip<U: Scalar, V>(&self, other: &Tensor<U>, mut f: impl FnMut(T, U) -> V) -> Tensor<V> {
        let (a, b) = (self.shape, other.shape);
        assert!(a.admits(&b), "{a} does not admit {b}");
        if a == b {
            return Tensor { shape: a, data: self.data.iter().zip(&other.data).map(|(&x, &y)| f(x, y)).collect() };
        }
        let mut data = Vec::with_capacity(a.len());
        for batch in 0..a.batch {
            for row in 0..a.rows {
                let start = (batch * a.rows + row) * a.columns;
                let left = &self.data[start..start + a.columns];
                let other_row = (if b.batch == 1 { 0 } else { batch }) * b.rows + if b.rows == 1 { 0 } else { row };
                let right = &other.data[other_row * b.columns..(other_row + 1) * b.columns];
                if b.columns == 1 {
                    data.extend(left.iter().map(|&x| f(x, right[0])));
                } else {
                    data.extend(left.iter().zip(right).map(|(&x, &y)| f(x, y)));
                }
            }
        }
        Tensor { shape: a, data }
    }

    /// Sums over the columns: `[batch, rows, 1]`.
    pub fn sum_columns(&self) -> Self {
        let shape = Shape { columns: 1, ..self.shape };
        if self.shape.columns == 0 {
            return Self::zeros(shape);
        }
        let sum = |row: &[T]| row.iter().fold(T::ZERO, |sum, &x| sum.plus(x));
        Tensor { shape, data: self.data.chunks_exact(self.shape.columns).map(sum).collect() }
    }

    /// Sums over the rows: `[batch, 1, columns]`.
    pub fn sum_rows(&self) -> Self {
        let Shape { batch, rows, columns } = self.shape;
        let mut sums = Self::zeros(Shape::new(batch, 1, columns));
        if !sums.shape.is_empty() {
            for (index, row) in self.data.chunks_exact(columns).enumerate() {
                let start = index / rows * columns;
                for (sum, &x) in sums.data[start..start + columns].iter_mut().zip(row) {
                    *sum = sum.plus(x);
                }
            }
        }
        sums
    }

    /// Each matrix transposed: `[batch, columns, rows]`.
    pub fn transposed(&self) -> Self {
        let Shape { batch, rows, columns } = self.shape;
        let mut data = Vec::with_capacity(self.data.len());
        for matrix in self.data.chunks_exact((rows * columns).max(1)) {
            for column in 0..columns {
                data.extend((0..rows).map(|row| matrix[row * columns + column]));
            }
        }
        Tensor { shape: Shape::new(batch, columns, rows), data }
    }

    /// The columns of both, row by row.
    ///
    /// # Panics
    /// If they do not have the same rows.
    pub fn beside(&self, other: &Self) -> Self {
        let (left, right) = (self.shape, other.shape);
        assert!((left.batch, left.rows) == (right.batch, right.rows), "{left} beside {right}");
        let shape = Shape { columns: left.columns + right.columns, ..left };
        let mut data = Vec::with_capacity(shape.len());
        for row in 0..left.batch * left.rows {
            data.extend_from_slice(&self.data[row * left.columns..(row + 1) * left.columns]);
            data.extend_from_slice(&other.data[row * right.columns..(row + 1) * right.columns]);
        }
        Tensor { shape, data }
    }

    /// The elements at `indices` (of the row-major data), as a tensor of `shape`.
    ///
    /// # Panics
    /// If an index is out of range, or there are not as many as the shape has elements.
    pub fn gather(&self, shape: Shape, indices: impl Iterator<Item = usize>) -> Self {
        Self::new(shape, indices.map(|index| self.data[index]).collect())
    }

    /// Rows `[start, start + rows)` of each matrix.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn rows(&self, start: usize, rows: usize) -> Self {
        let Shape { batch, rows: all, columns } = self.shape;
        assert!(start + rows <= all, "rows {start} to {} of {all}", start + rows);
        let mut data = Vec::with_capacity(batch * rows * columns);
        for index in 0..batch {
            let from = (index * all + start) * columns;
            data.extend_from_slice(&self.data[from..from + rows * columns]);
        }
        Tensor { shape: Shape::new(batch, rows, columns), data }
    }

    /// Columns `[start, start + columns)` of each row.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn columns(&self, start: usize, columns: usize) -> Self {
        let shape = Shape { columns, ..self.shape };
        let mut data = Vec::with_capacity(shape.len());
        for row in self.data.chunks_exact(self.shape.columns.max(1)) {
            data.extend_from_slice(&row[start..start + columns]);
        }
        Tensor { shape, data }
    }

    /// `[batch, rows, heads · d]` as `[batch · heads, rows, d]`: the attention heads of a matrix follow each other.
    ///
    /// # Panics
    /// If the columns are not a multiple of `heads`.
    pub fn split_heads(&self, heads: usize) -> Self {
        let Shape { batch, rows, columns } = self.shape;
        assert!(heads > 0 && columns.is_multiple_of(heads), "{} has no {heads} heads", self.shape);
        let width = columns / heads;
        let mut data = Vec::with_capacity(self.data.len());
        for matrix in 0..batch {
            for head in 0..heads {
                for row in 0..rows {
                    let from = (matrix * rows + row) * columns + head * width;
                    data.extend_from_slice(&self.data[from..from + width]);
                }
            }
        }
        Tensor::new(Shape::new(batch * heads, rows, width), data)
    }

    /// `[batch · heads, rows, d]` as `[batch, rows, heads · d]`: undoes [`split_heads`](Self::split_heads).
    ///
    /// # Panics
    /// If the matrices are not a multiple of `heads`.
    pub fn merge_heads(&self, heads: usize) -> Self {
        let Shape { batch: matrices, rows, columns: width } = self.shape;
        assert!(heads > 0 && matrices.is_multiple_of(heads), "{} is not of {heads} heads", self.shape);
        let batch = matrices / heads;
        let mut data = Vec::with_capacity(self.data.len());
        for matrix in 0..batch {
            for row in 0..rows {
                for head in 0..heads {
                    let from = ((matrix * heads + head) * rows + row) * width;
                    data.extend_from_slice(&self.data[from..from + width]);
                }
            }
        }
        Tensor::new(Shape::new(batch, rows, heads * width), data)
    }

    /// `[batch, rows, columns]` as `[batch · times, rows, columns]`: each matrix `times` times, one copy after the other.
    pub fn repeat_matrices(&self, times: usize) -> Self {
        let Shape { batch, rows, columns } = self.shape;
        let mut data = Vec::with_capacity(self.data.len() * times);
        for matrix in self.data.chunks_exact((rows * columns).max(1)) {
            for _ in 0..times {
                data.extend_from_slice(matrix);
            }
        }
        Tensor::new(Shape::new(batch * times, rows, columns), data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: Shape) -> Tensor<u64> {
        Tensor::new(shape, (0..shape.len() as u64).collect())
    }

    #[test]
    fn zip_repeats_dimensions_of_size_one() {
        let a = counting(Shape::new(2, 2, 3));
        let per_row = Tensor::new(Shape::new(2, 2, 1), vec![100, 200, 300, 400]);
        assert_eq!(a.zip(&per_row, u64::plus).data(), [100, 101, 102, 203, 204, 205, 306, 307, 308, 409, 410, 411]);
        let per_column = Tensor::new(Shape::row(3), vec![10, 20, 30]);
        assert_eq!(a.zip(&per_column, u64::plus).data(), [10, 21, 32, 13, 24, 35, 16, 27, 38, 19, 30, 41]);
    }

    #[test]
    fn heads_split_and_merge() {
        let a = counting(Shape::new(2, 3, 8));
        let heads = a.split_heads(2);
        assert_eq!(heads.shape(), Shape::new(4, 3, 4));
        assert_eq!(&heads.data()[12..16], [4, 5, 6, 7]);
        assert_eq!(&heads.data()[24..28], [24, 25, 26, 27], "the second matrix's first head");
        assert_eq!(heads.merge_heads(2), a);
    }

    #[test]
    fn matrices_repeat_beside_their_copies() {
        let a = counting(Shape::new(2, 1, 2));
        assert_eq!(a.repeat_matrices(2).data(), [0, 1, 0, 1, 2, 3, 2, 3]);
        assert_eq!(a.repeat_matrices(1), a);
    }

    #[test]
    #[should_panic(expected = "[2, 3, 8] has no 3 heads")]
    fn heads_are_whole() {
        counting(Shape::new(2, 3, 8)).split_heads(3);
    }

    #[test]
    #[should_panic(expected = "[4, 3, 8] is not of 3 heads")]
    fn merged_matrices_are_whole() {
        counting(Shape::new(4, 3, 8)).merge_heads(3);
    }

    #[test]
    fn slices_and_sums() {
        let a = counting(Shape::new(2, 2, 3));
        assert_eq!(a.rows(1, 1).data(), [3, 4, 5, 9, 10, 11]);
        assert_eq!(a.columns(1, 2).data(), [1, 2, 4, 5, 7, 8, 10, 11]);
        assert_eq!(a.sum_columns().data(), [3, 12, 21, 30]);
        assert_eq!(a.sum_rows(), Tensor::new(Shape::new(2, 1, 3), vec![3, 5, 7, 15, 17, 19]));
    }

    #[test]
    fn matrices_are_transposed_and_stand_beside_each_other() {
        let a = counting(Shape::new(2, 2, 3));
        assert_eq!(a.transposed().data(), [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
        assert_eq!(a.transposed().transposed(), a);
        assert_eq!(a.columns(0, 2).beside(&a.columns(2, 1)), a);
    }

    #[test]
    fn tensors_without_columns_are_served() {
        let empty = counting(Shape::new(2, 2, 0));
        assert_eq!(empty.sum_columns(), Tensor::zeros(Shape::new(2, 2, 1)));
        assert_eq!(empty.columns(0, 0), empty);
        assert_eq!(empty.sum_rows(), Tensor::zeros(Shape::new(2, 1, 0)));
        assert_eq!(empty.beside(&counting(Shape::new(2, 2, 3))), counting(Shape::new(2, 2, 3)));
        assert_eq!(empty.transposed().shape(), Shape::new(2, 0, 2));
    }

    #[test]
    #[should_panic(expected = "rows 1 to 3 of 2")]
    fn rows_past_a_matrix_are_not_those_of_the_next() {
        counting(Shape::new(2, 2, 3)).rows(1, 2);
    }

    #[test]
    fn a_tensor_does_not_print_and_can_be_wiped() {
        let mut a = counting(Shape::matrix(3, 8));
        assert_eq!(format!("{a:?}"), "Tensor[1, 3, 8]");
        a.zeroize();
        assert_eq!((a.shape().len(), a.data().len()), (0, 0));
    }
}
