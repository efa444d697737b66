use super::*;

const BELONGS: Belongs = Belongs { role: Role::Server0, digest: [7; 32] };

#[test]
fn a_sealed_file_opens_with_its_key_role_and_digest_and_with_no_other() {
    let (key, other) = (SealingKey::generate(), SealingKey::generate());
    for content in [&b""[..], b"x", &[5; 100_000]] {
        let sealed = seal(&key.public(), &BELONGS, content).unwrap();
        assert!(open(&key, &BELONGS, &sealed).unwrap().as_slice() == content);
        assert!(is_sealed(&sealed) && belongs(&sealed).unwrap() == BELONGS);
        assert_ne!(sealed, seal(&key.public(), &BELONGS, content).unwrap(), "two sealings are alike");
        let opened = |key, belongs| open(key, &belongs, &sealed).unwrap_err();
        let error = opened(&key, Belongs { role: Role::Server1, ..BELONGS });
        assert!(matches!(error, SealingError::OtherRole { .. }), "{error}");
        assert!(error.to_string().contains("sealed for server0, and this is server1"), "{error}");
        assert!(matches!(opened(&key, Belongs { digest: [8; 32], ..BELONGS }), SealingError::OtherDigest { .. }));
        assert!(matches!(opened(&other, BELONGS), SealingError::OtherKey { .. }));
    }
}

#[test]
fn every_altered_byte_and_every_missing_one_is_noticed() {
    let key = SealingKey::generate();
    let sealed = seal(&key.public(), &BELONGS, b"content").unwrap();
    for place in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[place] ^= 1;
        assert!(open(&key, &BELONGS, &altered).is_err(), "{place}");
        assert!(open(&key, &BELONGS, &sealed[..place]).is_err(), "{place}");
    }
    // A header that was written for another role, around the same content.
    let mut moved = sealed.clone();
    moved[MAGIC.len()] = number(Role::Server1);
    let error = open(&key, &Belongs { role: Role::Server1, ..BELONGS }, &moved).unwrap_err();
    assert!(matches!(error, SealingError::Altered), "{error}");
}

#[test]
fn keys_are_read_from_their_files_and_never_printed() {
    let home = tempfile::tempdir().unwrap();
    let (key, path) = (SealingKey::generate(), home.path().join("sealing.key"));
    std::fs::write(&path, key.text().as_bytes()).unwrap();
    let read = SealingKey::open(&path).unwrap();
    assert_eq!(read.public(), key.public());
    assert_eq!(SealingPublicKey::parse(&key.public().to_string()).unwrap(), key.public());
    assert!(!format!("{key:?}").contains(&key.text()[..8]));
    for wrong in ["", "zz", &"0".repeat(63), &"g".repeat(64)] {
        std::fs::write(&path, wrong).unwrap();
        assert!(matches!(SealingKey::open(&path), Err(SealingError::Key(_))), "{wrong}");
    }
    assert!(matches!(SealingKey::open(&home.path().join("nowhere")), Err(SealingError::Read { .. })));
}
