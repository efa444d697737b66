//! Wiping of large secrets.

use zeroize::{DefaultIsZeroes, optimization_barrier};

/// Overwrites the elements with zeros, and the compiler may not leave that out.
///
/// [`Zeroize`](zeroize::Zeroize) writes every element by itself, volatile; here it is one `memset`, and a barrier after
/// it that counts as a reader.
///
/// ```
/// let mut secret = [1u32, 2, 3];
/// blindroute_ring::wipe(&mut secret);
/// assert_eq!(secret, [0; 3]);
/// ```
pub fn wipe<T: DefaultIsZeroes>(elements: &mut [T]) {
    elements.fill(T::default());
    optimization_barrier(elements);
}

/// Overwrites what the vector holds and has held at this place, its spare capacity too, and leaves it empty.
///
/// ```
/// let mut secret = vec![1u8, 2, 3];
/// blindroute_ring::wipe_vec(&mut secret);
/// assert!(secret.is_empty());
/// ```
pub fn wipe_vec<T: DefaultIsZeroes>(elements: &mut Vec<T>) {
    elements.clear();
    // Never more than there is room for, so nothing moves.
    elements.resize(elements.capacity(), T::default());
    optimization_barrier(&elements[..]);
    elements.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_vector_keeps_its_place_and_is_empty() {
        let mut secret = vec![7u64; 1000];
        secret.truncate(10);
        let (place, capacity) = (secret.as_ptr(), secret.capacity());
        wipe_vec(&mut secret);
        assert_eq!((secret.as_ptr(), secret.capacity(), secret.len()), (place, capacity, 0));
        secret.resize(1000, 1);
        wipe(&mut secret[1..]);
        assert_eq!((secret[0], &secret[1..]), (1, &[0; 999][..]));
    }
}
