//! How the right factor is given.

/// How the elements of the right factor lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixLayout {
    /// `[inner, columns]`, row by row.
    RowMajor,
    /// The transpose: `[columns, inner]`, row by row.
    Transposed,
}
