//! Wiping of large secrets.

use zeroize::{DefaultIsZeroes, optimization_barrier};

/// Overwrites the elements with zeros. The compiler cannot leave that out.
///
/// [`Zeroize`](zeroize::Zeroize) writes each element with a volatile write of its own; here it is one `memset`, with a
/// barrier after it that counts as a reader.
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

/// Overwrites what the vector holds and its spare capacity, where earlier elements may be, and leaves it empty.
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

/// Makes room for `more` elements. Growth moves a vector to other memory; the memory that it leaves is wiped here.
///
/// ```
/// let mut secret = vec![1u8, 2, 3];
/// blindroute_ring::reserve_wiped(&mut secret, 1000);
/// assert!(secret == [1, 2, 3] && secret.capacity() >= 1003);
/// ```
pub fn reserve_wiped<T: DefaultIsZeroes>(elements: &mut Vec<T>, more: usize) {
    let needed = elements.len().saturating_add(more);
    if needed <= elements.capacity() {
        return;
    }
    // At least twice the room, as a vector grows by itself: what is appended is moved a bounded number of times.
    let mut larger = Vec::with_capacity(needed.max(2 * elements.capacity()));
    larger.extend_from_slice(elements);
    wipe_vec(elements);
    *elements = larger;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_the_elements_and_makes_room_in_few_steps() {
        let (mut secret, mut moves) = (Vec::new(), 0);
        for element in 0..10_000u32 {
            let place = secret.as_ptr();
            reserve_wiped(&mut secret, 1);
            moves += u32::from(place != secret.as_ptr());
            secret.push(element);
        }
        assert!(secret.iter().copied().eq(0..10_000) && moves < 20, "{moves} moves");
    }

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
