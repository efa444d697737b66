//! A matrix as the payload of a section.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | form: 0 f32, 1 steps with one scale per row, 2 steps with one scale per column |
//! | 1 | bits of an entry: 32 for f32, 2 to 16 for steps |
//! | 4, 4 | rows, columns |
//! | 4 each | steps only: the scales, f32 |
//! | bits each | the entries, row by row: f32, or q + 2^(bits − 1) − 1, the lowest bits first, zero bits to the last byte's end |
//!
//! The first ten bytes determine the length, which must be exactly that of the payload. Each matrix has only one
//! payload.

use super::{
    error::BundleError,
    matrix::{Axis, Matrix, Steps},
};

const PREFIX: usize = 10;

/// The payload of a matrix.
pub(super) fn encode(matrix: &Matrix) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX + 4 * matrix.data().len());
    let (form, bits) = match &matrix.steps {
        None => (0, 32),
        Some(Steps { axis: Axis::Rows, bits, .. }) => (1, *bits),
        Some(Steps { axis: Axis::Columns, bits, .. }) => (2, *bits),
    };
    bytes.extend_from_slice(&[form, bits]);
    bytes.extend_from_slice(&(matrix.rows() as u32).to_le_bytes());
    bytes.extend_from_slice(&(matrix.columns() as u32).to_le_bytes());
    match &matrix.steps {
        None => push_floats(&mut bytes, matrix.data()),
        Some(steps) => {
            push_floats(&mut bytes, &steps.scales);
            pack(&mut bytes, matrix.to_steps(steps).iter().map(|step| (step + steps.most()) as u64), bits);
        }
    }
    bytes
}

/// The matrix of a payload, which must have the given shape. Nothing is allocated before the length was checked.
pub(super) fn decode(payload: &[u8], name: &str, shape: (usize, usize)) -> Result<Matrix, BundleError> {
    let damaged = |problem: &'static str| BundleError::Tensor { name: name.to_owned(), problem };
    let (prefix, body) = payload.split_at_checked(PREFIX).ok_or_else(|| damaged("is shorter than its prefix"))?;
    let stated = (word(&prefix[2..6]), word(&prefix[6..10]));
    if stated != shape {
        return Err(BundleError::Shape { name: name.to_owned(), found: stated, expected: shape });
    }
    let (rows, columns) = shape;
    let (axis, lanes) = match (prefix[0], prefix[1]) {
        (0, 32) => (None, 0),
        (1, 2..=16) => (Some(Axis::Rows), rows),
        (2, 2..=16) => (Some(Axis::Columns), columns),
        _ => return Err(damaged("has an unknown number form")),
    };
    let bits = prefix[1];
    let entry_bits = rows.checked_mul(columns).and_then(|entries| entries.checked_mul(usize::from(bits)));
    let expected = entry_bits.and_then(|bits| bits.div_ceil(8).checked_add(4 * lanes));
    if expected != Some(body.len()) {
        return Err(damaged("does not have the length that its shape needs"));
    }
    let (scales, entries) = body.split_at(4 * lanes);
    let Some(axis) = axis else {
        let data = floats(entries);
        if data.iter().any(|value| !value.is_finite()) {
            return Err(damaged("holds a number that is not finite"));
        }
        return Matrix::new(rows, columns, data).ok_or_else(|| damaged("has an impossible shape"));
    };
    let steps = Steps { axis, bits, scales: floats(scales) };
    let most = steps.most();
    let wrong = |scale: &f32| scale.to_bits() != 0 && !(scale.is_normal() && *scale > 0.0);
    if steps.scales.iter().any(|scale| wrong(scale) || !(scale * most as f32).is_finite()) {
        return Err(damaged("holds a scale that is neither zero nor a positive normal number in range"));
    }
    let values = || unpack(entries, bits, rows * columns).map(|value| value as i32 - most);
    if values().any(|value| value > most) {
        return Err(damaged("holds a step out of its range"));
    }
    let used = (rows * columns * usize::from(bits)) % 8;
    if used != 0 && entries.last().is_some_and(|last| last >> used != 0) {
        return Err(damaged("has bits after its last entry"));
    }
    let matrix = Matrix::from_steps(rows, columns, values(), steps);
    // Under a zero scale all steps give zero. If they could be nonzero, two files could hold the same matrix.
    if matrix.data().iter().zip(values()).any(|(found, value)| *found == 0.0 && value != 0) {
        return Err(damaged("holds steps under a scale of zero"));
    }
    Ok(matrix)
}

/// Appends values of `bits` bits each, the lowest bits first.
fn pack(bytes: &mut Vec<u8>, values: impl Iterator<Item = u64>, bits: u8) {
    let (mut held, mut count) = (0u64, 0);
    for value in values {
        held |= value << count;
        count += u32::from(bits);
        while count >= 8 {
            bytes.push(held as u8);
            held >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        bytes.push(held as u8);
    }
}

/// The first `values` values of `bits` bits each.
fn unpack(bytes: &[u8], bits: u8, values: usize) -> impl Iterator<Item = u64> {
    let mut bytes = bytes.iter();
    let (mut held, mut count) = (0u64, 0);
    (0..values).map(move |_| {
        while count < u32::from(bits) {
            held |= u64::from(bytes.next().copied().unwrap_or(0)) << count;
            count += 8;
        }
        let value = held & ((1 << bits) - 1);
        held >>= bits;
        count -= u32::from(bits);
        value
    })
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

    fn sample(form: u8, bits: u8) -> Matrix {
        let matrix = Matrix::from_fn(2, 3, |row, column| (row as f32 - 0.5) * (column as f32 + 0.25));
        match form {
            0 => matrix,
            1 => matrix.quantised(Axis::Rows, bits),
            _ => matrix.quantised(Axis::Columns, bits),
        }
    }

    #[test]
    fn every_form_is_read_back() {
        for (form, bits) in (0..3).flat_map(|form| (2..=16).map(move |bits| (form, bits))) {
            let matrix = sample(form, bits);
            let bytes = encode(&matrix);
            let read = decode(&bytes, "m", (2, 3)).unwrap();
            assert_eq!(read, matrix);
            assert_eq!(encode(&read), bytes);
        }
    }

    /// The format itself. If this changes, the container's version must change too.
    #[test]
    fn frozen_bytes() {
        let matrix = Matrix::new(1, 3, vec![-1.5, 0.5, 1.0]).unwrap().quantised(Axis::Rows, 3);
        // Scale 0.5; steps -3, 1, 2 as 0, 4, 5: bits 000 001 101, lowest first.
        assert_eq!(encode(&matrix), [1, 3, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x3f, 0b0110_0000, 1]);
    }

    #[test]
    fn hostile_payloads_are_errors() {
        let problem = |bytes: &[u8]| decode(bytes, "m", (2, 3)).unwrap_err().to_string();
        assert!(problem(&[]).contains("shorter"));
        let mut bytes = encode(&sample(0, 8));
        bytes[2] = 7;
        assert!(problem(&bytes).contains("7 × 3"));
        bytes[2] = 2;
        for form in [[9, 32], [0, 8], [1, 1], [2, 17], [1, 32], [1, 0]] {
            bytes[..2].copy_from_slice(&form);
            assert!(problem(&bytes).contains("unknown number form"));
        }
        bytes[..2].copy_from_slice(&[0, 32]);
        bytes.push(0);
        assert!(problem(&bytes).contains("length"));
        bytes.pop();
        bytes[PREFIX..PREFIX + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(problem(&bytes).contains("not finite"));
        let mut bytes = encode(&sample(1, 8));
        *bytes.last_mut().unwrap() = 0xff;
        assert!(problem(&bytes).contains("out of its range"));
        let mut bytes = encode(&sample(1, 3));
        *bytes.last_mut().unwrap() |= 0x80;
        assert!(problem(&bytes).contains("after its last entry"));
        for scale in [-1.0, f32::INFINITY, f32::NAN, 1e-40, -0.0, f32::MAX] {
            let mut bytes = encode(&sample(1, 8));
            bytes[PREFIX..PREFIX + 4].copy_from_slice(&f32::to_le_bytes(scale));
            assert!(problem(&bytes).contains("neither zero"), "{scale}");
        }
        let mut bytes = encode(&sample(1, 8));
        bytes[PREFIX..PREFIX + 4].fill(0);
        assert!(problem(&bytes).contains("under a scale of zero"));
        let huge = [0, 32, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(decode(&huge, "m", (u32::MAX as usize, u32::MAX as usize)).is_err());
    }

    proptest! {
        #[test]
        fn any_payload_is_a_matrix_or_an_error(
            form in 0u8..4,
            bits in prop_oneof![0u8..20, Just(32)],
            bytes in prop::collection::vec(any::<u8>(), 0..32),
        ) {
            let payload = [&[form, bits, 1, 0, 0, 0, 3, 0, 0, 0], bytes.as_slice()].concat();
            if let Ok(matrix) = decode(&payload, "m", (1, 3)) {
                prop_assert_eq!(encode(&matrix), payload);
            }
            let _ = decode(&bytes, "m", (1, 3));
        }

        #[test]
        fn packed_values_are_read_back(bits in 1u8..=16, values in prop::collection::vec(any::<u16>(), 0..40)) {
            let values: Vec<u64> = values.iter().map(|value| u64::from(*value) & ((1 << bits) - 1)).collect();
            let mut bytes = Vec::new();
            pack(&mut bytes, values.iter().copied(), bits);
            prop_assert_eq!(bytes.len(), (values.len() * usize::from(bits)).div_ceil(8));
            prop_assert_eq!(unpack(&bytes, bits, values.len()).collect::<Vec<_>>(), values);
        }
    }
}
