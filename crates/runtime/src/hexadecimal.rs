//! 32 bytes in texts. Which bytes they are changes no branch and no index, since they may be secret.

use base16ct::HexDisplay;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// A line of 64 hexadecimal digits.
pub(crate) fn line(bytes: &[u8; 32]) -> Zeroizing<String> {
    // With room for all of it: a text that grows leaves what it held behind.
    let mut line = Zeroizing::new(String::with_capacity(2 * bytes.len() + 1));
    // Writing to a text cannot fail.
    writeln!(line, "{:x}", HexDisplay(bytes)).ok();
    line
}

/// The bytes of 64 hexadecimal digits. None if the text is something else.
pub(crate) fn bytes(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    let length = base16ct::mixed::decode(text, bytes.as_mut_slice()).ok()?.len();
    (length == bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_digits_are_32_bytes() {
        let digits = "0123456789abcdefABCDEF".repeat(3);
        let expected: [u8; 32] =
            std::array::from_fn(|place| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap());
        assert_eq!(*bytes(&digits[..64]).unwrap(), expected);
        let line = line(&expected);
        assert_eq!((&line[..64], &line[64..]), (digits[..64].to_lowercase().as_str(), "\n"));
        assert_eq!(line.capacity(), 65, "it grew");
        let long = "0".repeat(1 << 20);
        for wrong in
            ["", &digits[..62], &digits[..63], &digits[..65], &digits[..66], &long, &"g".repeat(64), &"é".repeat(32)]
        {
            assert!(bytes(wrong).is_none(), "{} bytes", wrong.len());
        }
    }
}
