//! One matrix as the payload of one section.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | form: 0 f32, 1 int8 with one scale per row, 2 int8 with one scale per column |
//! | 4, 4 | rows, columns |
//! | 4 each | int8 only: the scales, f32 |
//! | 4 or 1 each | the entries, row by row: f32, or steps from −127 to 127 |
//!
//! Every length follows from the first nine bytes and must be the payload's, exactly.

use super::{
    error::BundleError,
    matrix::{Axis, Matrix, Scales},
};

const PREFIX: usize = 9;

/// The payload of a matrix.
pub(super) fn encode(matrix: &Matrix) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX + 4 * matrix.data().len());
    bytes.push(match &matrix.scales {
        None => 0,
        Some(Scales::Rows(_)) => 1,
        Some(Scales::Columns(_)) => 2,
    });
    bytes.extend_from_slice(&(matrix.rows() as u32).to_le_bytes());
    bytes.extend_from_slice(&(matrix.columns() as u32).to_le_bytes());
    match &matrix.scales {
        None => push_floats(&mut bytes, matrix.data()),
        Some(scales) => {
            push_floats(&mut bytes, scales.parts().1);
            bytes.extend(matrix.steps(scales).iter().map(|step| *step as u8));
        }
    }
    bytes
}

/// The matrix of a payload, which must have the given shape: nothing is allocated before the length was found right.
pub(super) fn decode(payload: &[u8], name: &str, shape: (usize, usize)) -> Result<Matrix, BundleError> {
    let damaged = |problem: &'static str| BundleError::Tensor { name: name.to_owned(), problem };
    let (prefix, body) = payload.split_at_checked(PREFIX).ok_or_else(|| damaged("is shorter than its own prefix"))?;
    let stated = (word(&prefix[1..5]), word(&prefix[5..9]));
    if stated != shape {
        return Err(BundleError::Shape { name: name.to_owned(), found: stated, expected: shape });
    }
    let (rows, columns) = shape;
    let entries = rows.checked_mul(columns).ok_or_else(|| damaged("has an impossible shape"))?;
    let (scales, entry_bytes) = match prefix[0] {
        0 => (0, 4),
        1 => (rows, 1),
        2 => (columns, 1),
        _ => return Err(damaged("has an unknown number form")),
    };
    let expected = entries.checked_mul(entry_bytes).and_then(|bytes| bytes.checked_add(4 * scales));
    if expected != Some(body.len()) {
        return Err(damaged("does not have the length that its shape needs"));
    }
    let (scale_bytes, entry_bytes) = body.split_at(4 * scales);
    if prefix[0] == 0 {
        let data = floats(entry_bytes);
        if data.iter().any(|value| !value.is_finite()) {
            return Err(damaged("holds a number that is not finite"));
        }
        return Matrix::new(rows, columns, data).ok_or_else(|| damaged("has an impossible shape"));
    }
    let scales = floats(scale_bytes);
    if scales.iter().any(|scale| scale.to_bits() != 0 && !(scale.is_normal() && *scale > 0.0)) {
        return Err(damaged("holds a scale that is neither zero nor a positive normal number"));
    }
    if scales.iter().any(|scale| !(scale * 127.0).is_finite()) {
        return Err(damaged("holds a number that is not finite"));
    }
    if entry_bytes.contains(&(i8::MIN as u8)) {
        return Err(damaged("holds the step -128, which is not used"));
    }
    let axis = if prefix[0] == 1 { Axis::Rows } else { Axis::Columns };
    let scales = match axis {
        Axis::Rows => Scales::Rows(scales),
        Axis::Columns => Scales::Columns(scales),
    };
    let matrix = Matrix::from_steps(rows, columns, scales, entry_bytes);
    // A zero scale hides its steps: were they not zero, two files could hold one matrix.
    if matrix.data().iter().zip(entry_bytes).any(|(value, step)| *value == 0.0 && *step != 0) {
        return Err(damaged("holds steps under a scale of zero"));
    }
    Ok(matrix)
}

fn word(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | usize::from(*byte))
}

fn push_floats(bytes: &mut Vec<u8>, floats: &[f32]) {
    bytes.extend(floats.iter().flat_map(|value| value.to_le_bytes()));
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(form: u8) -> Matrix {
        let matrix = Matrix::from_fn(2, 3, |row, column| (row as f32 - 0.5) * (column as f32 + 0.25));
        match form {
            0 => matrix,
            1 => matrix.quantised(Axis::Rows),
            _ => matrix.quantised(Axis::Columns),
        }
    }

    #[test]
    fn every_form_comes_back_as_it_was() {
        for form in 0..3 {
            let matrix = sample(form);
            let bytes = encode(&matrix);
            let read = decode(&bytes, "m", (2, 3)).unwrap();
            assert_eq!(read, matrix);
            assert_eq!(encode(&read), bytes);
        }
    }

    #[test]
    fn hostile_payloads_are_errors() {
        let problem = |bytes: &[u8]| decode(bytes, "m", (2, 3)).unwrap_err().to_string();
        assert!(problem(&[]).contains("shorter"));
        let mut bytes = encode(&sample(0));
        bytes[1] = 7;
        assert!(problem(&bytes).contains("7 × 3"));
        bytes[1] = 2;
        bytes[0] = 9;
        assert!(problem(&bytes).contains("unknown number form"));
        bytes[0] = 0;
        bytes.push(0);
        assert!(problem(&bytes).contains("length"));
        bytes.pop();
        bytes[PREFIX..PREFIX + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(problem(&bytes).contains("not finite"));
        let mut bytes = encode(&sample(1));
        *bytes.last_mut().unwrap() = 0x80;
        assert!(problem(&bytes).contains("-128"));
        for scale in [-1.0, f32::INFINITY, f32::NAN, 1e-40, -0.0, f32::MAX] {
            let mut bytes = encode(&sample(1));
            bytes[PREFIX..PREFIX + 4].copy_from_slice(&f32::to_le_bytes(scale));
            assert!(decode(&bytes, "m", (2, 3)).is_err(), "{scale}");
        }
        let huge = [0, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(decode(&huge, "m", (u32::MAX as usize, u32::MAX as usize)).is_err());
    }

    proptest! {
        #[test]
        fn any_payload_is_a_matrix_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(matrix) = decode(&bytes, "m", (1, 2)) {
                prop_assert_eq!(encode(&matrix), bytes);
            }
        }
    }
}
