#![allow(clippy::unwrap_used)]

use super::*;
use crate::pass::token_input;
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    base16ct::lower::decode_vec(hex).unwrap()
}

/// Of the test vectors for type 1 in RFC 9578: the key, its public part, the challenge, the token; each starts with a nonce of 32 bytes
/// after its type.
const VECTORS: [[&str; 4]; 2] = [
    [
        "39b0d04d3732459288fc5edb89bb02c2aa42e06709f201d6c518871d518114910bee3c919bed1bbffe3fc1b87d53240a",
        "02d45bf522425cdd2227d3f27d245d9d563008829252172d34e48469290c21da1a46d42ca38f7beabdf05c074aee1455bf",
        "0001000e6973737565722e6578616d706c65205de58a52fcdaef25ca3f65448d04e040fb1924e8264acfccfc6c5ad451d582b3000e6f726967696e2e6578616d706c65",
        "00016aa422c41b59d3e44a136dd439df2454e3587ee5f3697798cdc05fafe73073b8501370b494089dc462802af545e63809581ee6ef57890a12105c28368169514bf260d0792bf7f46c9866a6d37c3032d8714415f87f5f6903d7fb071e253be2f4e0a835d76528b8444f73789ee7dc90715b01c17902fd87375c00a7a9d3d92540437f470773be20f71e721da3af40edeb",
    ],
    [
        "39efed331527cc4ddff9722ab5cd35aeafe7c27520b0cfa2eedbdc298dc3b12bc8298afcc46558af1e2eeacc5307d865",
        "038017e005904c6146b37109d6c2a72b95a183aaa9ed951b8d8fb1ed9033f68033284d175e7df89849475cd67a86bfbf4e",
        "0001000e6973737565722e6578616d706c6500000e6f726967696e2e6578616d706c65",
        "00017617bc802cfdb5d74722ef7418bdbb4f2c88403820e55fe7ec07d3190c29d665c994f7d5cdc2fb970b13d4e8eb6e6d8f9dcdaa65851fb091025dfe134bd5a62a116477bc9e1a205cca95d0c92335ca7a3e71063b2ac020bdd231c66097f12333ef438d00801bca5ace0fab8eb483dc04cd62578b95b5652921cd2698c45ea74f6c8827b4e19f01140fa5bd039866f562",
    ],
];

#[test]
fn tokens_are_those_of_the_rfc() {
    for [secret, public, challenge, token] in VECTORS {
        let key = IssuerKey::from_secret(bytes(secret).as_slice().try_into().unwrap()).unwrap();
        assert_eq!(key.public().as_slice(), bytes(public));
        let (challenge, token) = (Challenge::digest(&bytes(challenge)), bytes(token));
        let nonce: [u8; 32] = token[2..34].try_into().unwrap();
        // The token up to its authenticator is what was evaluated.
        assert_eq!(token_input(&nonce, &challenge, &key.id()), token[..98]);
        let pass = Pass::new(nonce, &token[98..]).unwrap();
        assert!(key.accepts(&challenge, &pass));
        let mut sent = *pass.to_bytes();
        assert!(key.accepts(&challenge, &Pass::from_bytes(&sent)));
        for at in [0, 31, 32, 79] {
            sent[at] ^= 1;
            assert!(!key.accepts(&challenge, &Pass::from_bytes(&sent)), "bit of byte {at}");
            sent[at] ^= 1;
        }
    }
}

#[test]
fn the_challenge_is_encoded_as_the_rfc_says() {
    // As the second vector's, whose issuer and origin have other names.
    let encoded = bytes("000100077365727665723000000773657276657230");
    assert_eq!(Challenge::of("server0"), Challenge::digest(&encoded));
}

#[test]
fn passes_are_accepted_by_their_issuer_for_their_challenge_alone() {
    let (issuer, other) = (IssuerKey::generate().unwrap(), IssuerKey::generate().unwrap());
    let challenge = Challenge::of("server0");
    let wanted = Wanted::new(&issuer.public(), &challenge, 5).unwrap();
    let (evaluated, proof) = issuer.issue(wanted.blinded()).unwrap();
    let passes = wanted.finish(&evaluated, &proof).unwrap();
    assert_eq!(passes.len(), 5);
    assert!(passes.iter().all(|pass| issuer.accepts(&challenge, pass)));
    assert!(
        passes.iter().all(|pass| !issuer.accepts(&Challenge::of("server1"), pass) && !other.accepts(&challenge, pass))
    );
    let names: std::collections::HashSet<_> = passes.iter().map(Pass::name).collect();
    assert_eq!(names.len(), 5);
    // The key that was kept is the same.
    let kept = IssuerKey::from_secret(&issuer.secret().unwrap()).unwrap();
    assert_eq!((kept.id(), kept.public()), (issuer.id(), issuer.public()));
    assert!(kept.accepts(&challenge, &passes[0]));
}

#[test]
fn what_the_issuer_saw_is_not_in_the_passes() {
    let (issuer, challenge) = (IssuerKey::generate().unwrap(), Challenge::of("server0"));
    let wanted = Wanted::new(&issuer.public(), &challenge, 1).unwrap();
    let blinded = wanted.blinded()[0];
    let (evaluated, proof) = issuer.issue(wanted.blinded()).unwrap();
    let sent = *wanted.finish(&evaluated, &proof).unwrap()[0].to_bytes();
    for seen in [&blinded[1..], &evaluated[0][1..]] {
        assert!(seen.windows(8).all(|piece| !sent.windows(8).any(|other| other == piece)));
    }
}

#[test]
fn answers_of_another_key_or_number_are_refused() {
    let (issuer, other) = (IssuerKey::generate().unwrap(), IssuerKey::generate().unwrap());
    let challenge = Challenge::of("server0");
    let wanted = || Wanted::new(&issuer.public(), &challenge, 2).unwrap();
    // An issuer that gives one client a key of its own is found out by the proof.
    let asked = wanted();
    let (evaluated, proof) = other.issue(asked.blinded()).unwrap();
    assert_eq!(asked.finish(&evaluated, &proof).unwrap_err(), PassError::Proof);
    let asked = wanted();
    let (mut evaluated, proof) = issuer.issue(asked.blinded()).unwrap();
    evaluated.swap(0, 1);
    assert_eq!(asked.finish(&evaluated, &proof).unwrap_err(), PassError::Proof);
    let asked = wanted();
    let (evaluated, mut proof) = issuer.issue(asked.blinded()).unwrap();
    proof[95] ^= 1;
    assert_eq!(asked.finish(&evaluated, &proof).unwrap_err(), PassError::Proof);
    let asked = wanted();
    let (evaluated, proof) = issuer.issue(asked.blinded()).unwrap();
    assert_eq!(asked.finish(&evaluated[..1], &proof).unwrap_err(), PassError::Count { expected: 2, found: 1 });
}

#[test]
fn counts_and_keys_that_are_none_are_refused() {
    let (issuer, challenge) = (IssuerKey::generate().unwrap(), Challenge::of("server0"));
    for count in [0, ISSUED_MAX + 1] {
        assert!(matches!(Wanted::new(&issuer.public(), &challenge, count), Err(PassError::Count { .. })));
        assert!(matches!(issuer.issue(&vec![[2; POINT]; count]), Err(PassError::Count { .. })));
    }
    assert_eq!(Wanted::new(&[0; POINT], &challenge, 1).unwrap_err(), PassError::Key);
    assert_eq!(issuer.issue(&[[255; POINT]]).unwrap_err(), PassError::Point);
    assert_eq!(IssuerKey::from_secret(&[0; SECRET]).unwrap_err(), PassError::Key);
    assert_eq!(IssuerKey::from_secret(&[255; SECRET]).unwrap_err(), PassError::Key);
}

#[test]
fn nothing_secret_prints() {
    let (issuer, challenge) = (IssuerKey::generate().unwrap(), Challenge::of("server0"));
    let wanted = Wanted::new(&issuer.public(), &challenge, 1).unwrap();
    let (evaluated, proof) = issuer.issue(wanted.blinded()).unwrap();
    let secret = u64::from_be_bytes(*issuer.secret().unwrap().first_chunk().unwrap());
    let said = format!("{issuer:?} {wanted:?}");
    let said = format!("{said} {:?}", wanted.finish(&evaluated, &proof).unwrap());
    assert!(said.ends_with("[Pass(..)]") && !said.contains(&secret.to_string()), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn arbitrary_bytes_are_no_passes_and_no_panic(sent in proptest::collection::vec(any::<u8>(), Pass::BYTES), point in any::<[u8; 32]>()) {
        let issuer = IssuerKey::from_secret(bytes(VECTORS[0][0]).as_slice().try_into().unwrap()).unwrap();
        let pass = Pass::from_bytes(sent.as_slice().try_into().unwrap());
        prop_assert!(!issuer.accepts(&Challenge::of("server0"), &pass));
        let mut blinded = [2; POINT];
        blinded[1..33].copy_from_slice(&point);
        let _ = issuer.issue(&[blinded]);
    }
}
