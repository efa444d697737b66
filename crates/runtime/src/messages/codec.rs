//! Strict decoding: fixed little-endian fields, checked lengths, and an error if bytes are left over.

/// Why a message did not decode. Holds field names and sizes only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message ended inside a field.
    #[error("field {field} needs {needed} bytes, only {left} are left")]
    Short {
        /// The field.
        field: &'static str,
        /// Its length.
        needed: usize,
        /// What is left of the message.
        left: usize,
    },
    /// Bytes follow the last field.
    #[error("{count} bytes follow the last field, expected none")]
    Leftover {
        /// How many.
        count: usize,
    },
    /// A length above the field's limit.
    #[error("field {field} announces {found} items, expected at most {limit}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The length announced.
        found: u64,
        /// The largest.
        limit: u64,
    },
    /// A value that the field cannot have.
    #[error("field {field} has the value {found}, which is not allowed")]
    BadValue {
        /// The field.
        field: &'static str,
        /// The value. Only control fields are reported, never data.
        found: u64,
    },
    /// Text that is not UTF-8.
    #[error("field {field} is not UTF-8 text")]
    BadText {
        /// The field.
        field: &'static str,
    },
}

/// Reads the fields of a message, first to last.
#[derive(Debug)]
pub(crate) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Decoder(bytes)
    }

    pub(crate) fn take(&mut self, field: &'static str, needed: usize) -> Result<&'a [u8], DecodeError> {
        let short = DecodeError::Short { field, needed, left: self.0.len() };
        let (head, tail) = self.0.split_at_checked(needed).ok_or(short)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(field, N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// Bytes that follow their length, a u32.
    pub(crate) fn bytes(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], DecodeError> {
        let found = self.u32(field)?;
        if found as usize > limit {
            return Err(DecodeError::TooLong { field, found: found.into(), limit: limit as u64 });
        }
        self.take(field, found as usize)
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::BadValue { field, found: other.into() }),
        }
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Leftover { count: self.0.len() }) }
    }
}

/// Appends the length as a u32, then the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A longer payload is refused by the frame's limit, so the clamped length is never sent.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}
