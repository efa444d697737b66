use super::*;
use crate::bundle::tests::small_bundle;
use crate::bundle::{Matrix, Router};

fn randomness(byte: u8) -> SplitRandomness {
    SplitRandomness::new(&std::array::from_fn(|place| byte.wrapping_mul(31).wrapping_add(place as u8)))
}

#[test]
fn the_three_parts_read_back_and_fit_together() {
    let bundle = small_bundle();
    let split = split(&bundle, &randomness(3)).unwrap();
    let public = PublicPart::read(&split.public).unwrap();
    assert_eq!(public.plan, BundlePlan::of(&bundle));
    assert_eq!(public.embedding, bundle.parts().embedding);
    let specs = public.plan.weights();
    for (party, bytes) in [Party::Zero, Party::One].into_iter().zip(&split.shares) {
        let share = ShareFile::read(bytes, &public.expected_share(party)).unwrap();
        assert_eq!(share.party(), party);
        assert_eq!(share.weights(&specs).unwrap().party(), party);
        assert!(format!("{share:?} {:?}", randomness(3)).matches("redacted").count() == 2);
    }
}

#[test]
fn a_flipped_or_missing_byte_is_an_error() {
    let split = split(&small_bundle(), &randomness(3)).unwrap();
    let public = PublicPart::read(&split.public).unwrap();
    let shares = [Party::Zero, Party::One].map(|party| public.expected_share(party));
    let refused = |bytes: &[u8]| {
        PublicPart::read(bytes).is_err() && shares.iter().all(|share| ShareFile::read(bytes, share).is_err())
    };
    for file in [&split.public, &*split.shares[0], &*split.shares[1]] {
        for at in (0..file.len()).step_by(file.len() / 61 + 1) {
            let mut flipped = file.clone();
            flipped[at] ^= 0x10;
            assert!(refused(&flipped) && refused(&file[..at]));
        }
    }
}

/// A share file as somebody could write it by hand.
fn forged(header: &ShareHeader, salt: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = ShareHeader { party: header.party, digest: header.digest };
    let sections = [Section { name: SALT, payload: salt }, Section { name: SHARE, payload }];
    container::write(SHARE_KIND, &json(header).unwrap(), &sections).unwrap()
}

#[test]
fn case_43_a_share_of_other_weights_is_refused_for_any_header() {
    let bundle = small_bundle();
    let [ours, theirs] = [1, 2].map(|byte| split(&bundle, &randomness(byte)).unwrap());
    let public = PublicPart::read(&ours.public).unwrap();
    assert_ne!(public.digest, PublicPart::read(&theirs.public).unwrap().digest);
    for party in [Party::Zero, Party::One] {
        let expected = public.expected_share(party);
        let (own, other) = (&ours.shares[party.index()], &theirs.shares[party.index()]);
        ShareFile::read(own, &expected).unwrap();
        let error = ShareFile::read(&ours.shares[1 - party.index()], &expected).unwrap_err();
        assert!(matches!(error, BundleError::OtherParty { .. }), "{error}");
        let error = ShareFile::read(other, &expected).unwrap_err();
        assert!(matches!(error, BundleError::OtherSplit { .. }), "{error}");
        assert!(error.to_string().contains(&public.digest.to_string()), "{error}");
        // The digest of our split over the bytes of another's: only the commitment tells.
        let header = ShareHeader { party: party.index(), digest: *public.digest.as_bytes() };
        let container = container::read(other, SHARE_KIND).unwrap();
        let [salt, payload] = [SALT, SHARE].map(|name| container.section(name).unwrap());
        let error = ShareFile::read(&forged(&header, salt, payload), &expected).unwrap_err();
        let BundleError::OtherShare { found, expected: stated } = &error else { panic!("{error}") };
        assert!(found != stated && error.to_string().contains(&found.to_string()), "{error}");
        // Our salt does not help, and neither does a commitment that moves bytes between salt and share.
        let own = container::read(own, SHARE_KIND).unwrap();
        let salt = own.section(SALT).unwrap();
        assert!(ShareFile::read(&forged(&header, salt, payload), &expected).is_err());
        let moved = [salt, own.section(SHARE).unwrap()].concat();
        assert!(ShareFile::read(&forged(&header, &moved[..31], &moved[31..]), &expected).is_err());
    }
}

/// Every bundle that differs from `bundle` in one model's cost, among 101 candidates.
fn guesses(bundle: &Bundle) -> Vec<Bundle> {
    let guess = |step: u8| {
        let mut parts = bundle.parts().clone();
        parts.routers.iter_mut().for_each(|router| set_cost(router, f32::from(step) / 100.0));
        Bundle::new(parts).unwrap()
    };
    (0..=100).map(guess).collect()
}

fn set_cost(router: &mut Router, cost: f32) {
    let old = router.cost().clone();
    let new =
        Matrix::from_fn(
            old.rows(),
            old.columns(),
            |row, column| {
                if (row, column) == (0, 0) { cost } else { old.row(row)[column] }
            },
        );
    router.rule = router.rule.clone().with_cost(new);
}

/// The other party's share under a guess of all weights, from one's own share.
fn other_share(guess: &Bundle, party: Party, payload: &[u8]) -> Option<Vec<u8>> {
    let plan = BundlePlan::of(guess);
    let specs = plan.weights();
    // Server 1 would have to find the seed that makes its words' complement: it cannot, so it tests with its own words.
    if party == Party::One {
        return Some(payload.to_vec());
    }
    let seed: [u8; SEED_BYTES] = payload.try_into().ok()?;
    let weights = weight_tensors(guess, &plan).ok()?;
    Some(WeightShares::complement(&specs, &weights, &Seed::new(seed)).ok()?.to_bytes(&specs))
}

#[test]
fn case_46_no_digest_that_a_party_holds_tests_a_guess_of_the_costs() {
    let truth = guesses(&small_bundle()).remove(37);
    let split = split(&truth, &randomness(9)).unwrap();
    let public = container::read(&split.public, PUBLIC_KIND).unwrap();
    let stated: PublicHeader = header(public.header()).unwrap();
    for party in [Party::Zero, Party::One] {
        let file = container::read(&split.shares[party.index()], SHARE_KIND).unwrap();
        let [salt, payload] = [SALT, SHARE].map(|name| file.section(name).unwrap());
        // All digests this party sees, of any kind: of the public part, in it, and in its share's file.
        let mut held: Vec<[u8; 32]> = stated.shares.to_vec();
        held.extend([*public.digest().as_bytes(), *file.digest().as_bytes()]);
        held.extend(file.sections().iter().map(|section| container::sha256(section.payload)));
        held.extend(public.sections().iter().map(|section| container::sha256(section.payload)));
        for guess in guesses(&truth) {
            let words = other_share(&guess, party, payload).unwrap();
            let other = if party == Party::Zero { Party::One } else { Party::Zero };
            let mut tests = vec![
                *guess.digest().as_bytes(),
                container::sha256(&guess.write().unwrap()),
                // What format 1 published.
                container::sha256(&[guess.digest().as_bytes().as_slice(), &words].concat()),
                // The other's commitment with every salt that this party knows.
                *commitment(other, salt, &words).as_bytes(),
                *commitment(other, &[0; SALT_BYTES], &words).as_bytes(),
                *commitment(other, &[], &words).as_bytes(),
            ];
            if party == Party::Zero {
                tests.push(container::sha256(&words));
            }
            assert!(tests.iter().all(|test| !held.contains(test)), "{party:?} can test a guess");
        }
    }
    // The same weights split with other randomness share no digest: each is salted.
    let again = super::split(&truth, &randomness(10)).unwrap();
    let again: PublicHeader = header(container::read(&again.public, PUBLIC_KIND).unwrap().header()).unwrap();
    assert!(again.shares.iter().all(|commitment| !stated.shares.contains(commitment)));
    // And nothing but the salt makes the difference: party 1's share is the same, its commitment is not.
    let mut bytes: [u8; SplitRandomness::BYTES] = std::array::from_fn(|place| place as u8);
    let first = super::split(&truth, &SplitRandomness::new(&bytes)).unwrap();
    bytes[SEED_BYTES + SALT_BYTES] ^= 1;
    let second = super::split(&truth, &SplitRandomness::new(&bytes)).unwrap();
    let digest = |split: &SplitFiles| PublicPart::read(&split.public).unwrap().digest;
    assert_ne!(digest(&first), digest(&second));
}

#[test]
fn files_of_an_earlier_format_are_refused_with_what_to_do() {
    let split = split(&small_bundle(), &randomness(3)).unwrap();
    let public = PublicPart::read(&split.public).unwrap();
    let old_public = container::write(PUBLIC_KIND, br#"{"plan":{},"digest":[0]}"#, &[]).unwrap();
    let old_share = container::write(SHARE_KIND, br#"{"party":0,"digest":[0]}"#, &[]).unwrap();
    let newer = container::write(SHARE_KIND, br#"{"format":3,"party":0}"#, &[]).unwrap();
    let share = |bytes: &[u8]| ShareFile::read(bytes, &public.expected_share(Party::Zero)).unwrap_err();
    for (error, found) in [(PublicPart::read(&old_public).unwrap_err(), 1), (share(&old_share), 1), (share(&newer), 3)]
    {
        let text = error.to_string();
        assert!(text.contains(&format!("format {found}")) && text.contains("split` again"), "{text}");
    }
}
