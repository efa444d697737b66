//! Containers with digests that fit: nobody guesses a SHA-256, so a fuzzer that changes a file would never get beyond its digests.

use sha2::{Digest as _, Sha256};

/// Magic and version.
const BEGINNING: usize = 12;
/// The digest of a section, and of all that is above the payloads.
const DIGEST: usize = 32;

/// Reads a container as it is, and with digests that fit.
pub(crate) fn as_it_is_and_with_digests(bytes: &[u8], read: impl Fn(&[u8])) {
    read(bytes);
    if let Some(bytes) = with_digests_that_fit(bytes) {
        read(&bytes);
    }
}

/// The same container with digests that fit, and the lengths of its sections as far as its bytes go. Nothing if there is no table of
/// sections.
fn with_digests_that_fit(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut at = BEGINNING;
    at += 1 + usize::from(*bytes.get(at)?);
    at += 4 + usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()?;
    let sections = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    at += 4;
    // Where the length of each is, with its digest after it.
    let mut table = Vec::new();
    for _ in 0..sections {
        at += 1 + usize::from(*bytes.get(at)?);
        table.push(at);
        at += 8 + DIGEST;
    }
    let mut out = bytes.to_vec();
    let (digest, mut payload) = (at, at + DIGEST);
    let mut left = bytes.len().checked_sub(payload)?;
    for (place, &entry) in table.iter().enumerate() {
        let stated = usize::try_from(u64::from_le_bytes(*bytes[entry..].first_chunk()?)).unwrap_or(usize::MAX);
        // The last one has the rest.
        let length = if place + 1 == table.len() { left } else { stated.min(left) };
        let hash = Sha256::digest(&bytes[payload..payload + length]);
        out[entry..entry + 8].copy_from_slice(&(length as u64).to_le_bytes());
        out[entry + 8..entry + 8 + DIGEST].copy_from_slice(&hash);
        (payload, left) = (payload + length, left - length);
    }
    let hash = Sha256::digest(&out[..digest]);
    out[digest..digest + DIGEST].copy_from_slice(&hash);
    out.truncate(payload);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::container::{Section, read, write};
    use std::cell::RefCell;

    #[test]
    fn a_container_that_was_changed_is_read_as_it_is_now() {
        let sections = [Section { name: "one", payload: b"first" }, Section { name: "two", payload: b"second" }];
        let right = write("example", b"{}", &sections).unwrap();
        assert_eq!(with_digests_that_fit(&right).unwrap(), right);
        let mut changed = right.clone();
        let end = changed.len() - 1;
        changed[end] ^= 1;
        changed.extend_from_slice(b"more");
        // The first length is more than there is.
        let entry = right.windows(3).position(|window| window == b"one").unwrap() + 3;
        assert!(read(&changed, "example").is_err());
        let again = with_digests_that_fit(&changed).unwrap();
        assert_eq!(read(&again, "example").unwrap().section("two").unwrap(), b"seconemore");
        let readings = RefCell::new(Vec::new());
        as_it_is_and_with_digests(&changed, |bytes| readings.borrow_mut().push(read(bytes, "example").is_ok()));
        assert_eq!(readings.into_inner(), [false, true]);
        changed[entry + 7] = 0xFF;
        let again = with_digests_that_fit(&changed).unwrap();
        let container = read(&again, "example").unwrap();
        assert_eq!(container.section("one").unwrap(), b"firstseconemore");
        assert_eq!(container.section("two").unwrap(), b"");
        for short in 0..right.len() - "firstsecond".len() {
            assert!(with_digests_that_fit(&right[..short]).is_none(), "{short}");
        }
    }
}
