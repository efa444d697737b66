use super::*;
use crate::{Prg, Seed, Word};
use proptest::prelude::*;

fn key() -> HashKey {
    HashKey::new(&[0x5A; 16])
}

/// Roots of `len` keys for both parties.
fn roots(seed: u8, len: usize) -> [Vec<u128>; 2] {
    [seed, seed ^ 0x80].map(|byte| Prg::new(&Seed::new([byte; 16])).words(len))
}

fn points(seed: u8, len: usize, depth: u32) -> Vec<u32> {
    Prg::new(&Seed::new([seed ^ 0x40; 16])).words::<u32>(len).into_iter().map(|word| word.low_bits(depth)).collect()
}

/// All bits set for c < r, both at the ends and where they meet.
fn meets(secret: &[u32], depth: u32) -> Vec<Vec<u32>> {
    let last = (1 << depth) - 1;
    let near = |by: i64| secret.iter().map(|&r| (i64::from(r) + by).clamp(0, last) as u32).collect();
    vec![near(0), near(-1), near(1), vec![0; secret.len()], vec![last as u32; secret.len()]]
}

fn check_bits(seed: u8, depth: u32, secret: &[u32], public: &[u32]) {
    let len = secret.len();
    let [zero, one] = roots(seed, len);
    let keys = BitKeys::deal(&key(), [&zero, &one], secret, depth);
    let mut bytes = Vec::new();
    keys.to_bytes(&mut bytes);
    assert_eq!(bytes.len(), BitKeys::byte_len(len, depth));
    assert!(BitKeys::from_bytes(&bytes[1..], len, depth).is_none());
    let keys = BitKeys::from_bytes(&bytes, len, depth).unwrap();
    let shares = [keys.evaluate(&key(), 0, &zero, public), keys.evaluate(&key(), 1, &one, public)];
    for (index, (&r, &c)) in secret.iter().zip(public).enumerate() {
        let bit = (shares[0][index / 64] ^ shares[1][index / 64]) >> (index % 64) & 1;
        assert_eq!(bit == 1, c < r, "depth {depth}, {c} < {r}");
    }
}

fn check_payload<V: Word + std::fmt::Debug>(
    seed: u8,
    shape: &PayloadShape,
    secret: &[u32],
    public: &[u32],
    cases: [&[usize]; 2],
) {
    let len = secret.len();
    let [zero, one] = roots(seed, len);
    let mut prg = Prg::new(&Seed::new([seed ^ 0x20; 16]));
    let payload: Vec<Vec<V>> = shape.rings.iter().map(|_| prg.words(len)).collect();
    let slices: Vec<&[V]> = payload.iter().map(Vec::as_slice).collect();
    let keys = PayloadKeys::deal(&key(), shape.clone(), [&zero, &one], secret, &slices);
    let mut bytes = Vec::new();
    keys.to_bytes(&mut bytes);
    assert_eq!(bytes.len(), shape.byte_len(len));
    assert!(PayloadKeys::<V>::from_bytes(&bytes[1..], len, shape.clone()).is_none());
    let keys = PayloadKeys::<V>::from_bytes(&bytes, len, shape.clone()).unwrap();
    let case = |index: usize| index % 2;
    let wanted = PayloadCases { words: cases, of: case };
    // One key serves every list of points: those given, and the same in another order.
    let lists = [public.to_vec(), public.iter().rev().copied().collect()];
    let shares = [keys.evaluate(&key(), 0, &zero, &lists, &wanted), keys.evaluate(&key(), 1, &one, &lists, &wanted)];
    for (list, public) in lists.iter().enumerate() {
        for (index, (&r, &c)) in secret.iter().zip(public).enumerate() {
            for (word, &component) in cases[case(index)].iter().enumerate() {
                let sum = shares[0][list][word][index].plus(shares[1][list][word][index]);
                let expected = if c < r { payload[component][index] } else { V::ZERO };
                let bits = shape.rings[component];
                assert_eq!(sum.low_bits(bits), expected.low_bits(bits), "{c} < {r}, word {component}, list {list}");
            }
        }
    }
}

#[test]
fn bits_at_every_point_of_small_trees() {
    for depth in 1..=9 {
        let size = 1u32 << depth;
        let pairs: Vec<(u32, u32)> = (0..size).flat_map(|r| (0..size).map(move |c| (r, c))).step_by(7).collect();
        let (secret, public): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        check_bits(depth as u8, depth, &secret, &public);
    }
}

#[test]
fn payloads_at_every_point_of_small_trees() {
    for depth in 1..=5 {
        let size = 1u32 << depth;
        let pairs: Vec<(u32, u32)> = (0..size).flat_map(|r| (0..size).map(move |c| (r, c))).collect();
        let (secret, public): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let three = PayloadShape { depth, rings: vec![28, 28, 14] };
        check_payload::<u32>(depth as u8, &three, &secret, &public, [&[0, 1, 2], &[0, 1, 2]]);
        let seven = PayloadShape { depth, rings: vec![104; 7] };
        check_payload::<u128>(depth as u8, &seven, &secret, &public, [&[0, 1, 2, 3], &[0, 4, 5, 6]]);
        // Words of one block, and of two.
        let narrow = PayloadShape { depth, rings: vec![5; 7] };
        check_payload::<u32>(depth as u8, &narrow, &secret, &public, [&[0, 1, 2, 3], &[0, 4, 5, 6]]);
        let five = PayloadShape { depth, rings: vec![64, 40, 64, 1, 33] };
        check_payload::<u64>(depth as u8, &five, &secret, &public, [&[0, 1, 4], &[2, 3, 4]]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn bits_of_any_depth_and_number(seed in 0u8..32, depth in 1u32..=24, len in 1usize..700) {
        let secret = points(seed, len, depth);
        check_bits(seed, depth, &secret, &points(seed ^ 1, len, depth));
        for public in meets(&secret, depth) {
            check_bits(seed, depth, &secret, &public);
        }
    }

    #[test]
    fn payloads_of_any_depth_and_number(seed in 0u8..32, depth in 1u32..=24, len in 1usize..600) {
        let secret = points(seed, len, depth);
        let shape = PayloadShape { depth, rings: vec![32, 20, 32] };
        check_payload::<u32>(seed, &shape, &secret, &points(seed ^ 1, len, depth), [&[0, 1, 2], &[0, 1, 2]]);
        for public in meets(&secret, depth) {
            check_payload::<u32>(seed, &shape, &secret, &public, [&[0, 1, 2], &[0, 1, 2]]);
        }
    }
}

/// One key is noise whatever the secret: the corrections' bits and the shares are balanced. (What a server sees in a run
/// is tested in the protocol.)
#[test]
fn corrections_look_the_same_for_every_secret() {
    let (len, depth) = (4096, 12);
    let [zero, one] = roots(9, len);
    for point in [0, 1, 2047, 4095] {
        let secret = vec![point; len];
        let mut bytes = Vec::new();
        BitKeys::deal(&key(), [&zero, &one], &secret, depth).to_bytes(&mut bytes);
        let beta = vec![point; len];
        let shape = PayloadShape { depth, rings: vec![32] };
        PayloadKeys::deal(&key(), shape, [&zero, &one], &secret, &[&beta]).to_bytes(&mut bytes);
        let mut counts = [0.0f64; 256];
        bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1.0);
        // Seeds of payload keys have one zero bit of 128: those bytes are left out by allowing for them.
        let expected = bytes.len() as f64 / 256.0;
        let worst = counts.iter().map(|count| (count / expected - 1.0).abs()).fold(0.0, f64::max);
        assert!(worst < 0.08, "point {point}: a byte is off by {worst}");
    }
}

/// What is dealt under one session's key means nothing under another's, and roots that come again give other corrections.
#[test]
fn every_session_hashes_under_its_own_key() {
    let (len, depth) = (512, 12);
    let [zero, one] = roots(3, len);
    let secret = points(3, len, depth);
    let sessions = [HashKey::new(&[1; 16]), HashKey::new(&[2; 16])];
    let dealt = sessions.each_ref().map(|key| {
        let mut bytes = Vec::new();
        BitKeys::deal(key, [&zero, &one], &secret, depth).to_bytes(&mut bytes);
        let shape = PayloadShape { depth, rings: vec![32] };
        PayloadKeys::deal(key, shape, [&zero, &one], &secret, &[&secret]).to_bytes(&mut bytes);
        bytes
    });
    let equal = dealt[0].iter().zip(&dealt[1]).filter(|(a, b)| a == b).count();
    // One of 256 bytes agrees by chance, and those of a level's control bits twice as often.
    assert!(equal < dealt[0].len() / 64, "{equal} of {} bytes are the same in both sessions", dealt[0].len());
    let keys = BitKeys::deal(&sessions[0], [&zero, &one], &secret, depth);
    let shares = [keys.evaluate(&sessions[1], 0, &zero, &secret), keys.evaluate(&sessions[1], 1, &one, &secret)];
    let wrong: u32 = shares[0].iter().zip(&shares[1]).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert!(wrong > 100, "another session's key evaluates these keys");
}

#[test]
fn keys_do_not_print() {
    let keys = BitKeys::deal(&key(), [&[1], &[2]], &[3], 8);
    assert_eq!(format!("{keys:?}"), "BitKeys(1 of depth 8, redacted)");
}
