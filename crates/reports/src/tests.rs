//! Sums against plain counts, and what is refused.

use super::*;

const CONTEXT: &[u8] = b"a deployment";

/// Both servers' shares of a report that both find right, or why one of them does not.
fn verified(
    histogram: &Histogram,
    (context, name): (&[u8], &ReportName),
    report: &Report,
) -> Result<[CountedShare; 2], ReportError> {
    let halves = [KeyHalf::generate()?, KeyHalf::generate()?];
    let begin = |side: Side| {
        let key = VerifyKey::of(name, [&halves[0], &halves[1]]);
        histogram.begin(side, &key, (context, name), &report.public, &report.shares[side as usize])
    };
    let ((zero, from_zero), (one, from_one)) = (begin(Side::Zero)?, begin(Side::One)?);
    assert_eq!([from_zero.len(), from_one.len()], [histogram.lengths().verifier; 2]);
    match (zero.finish(&from_one), one.finish(&from_zero)) {
        (Ok(zero), Ok(one)) => Ok([zero, one]),
        (Err(zero), Err(one)) => {
            assert_eq!(zero, one, "both servers refuse a report for the same reason");
            Err(zero)
        }
        (zero, one) => panic!("one server alone refuses a report: {zero:?}, {one:?}"),
    }
}

/// A fresh name, and a number that follows from it.
fn fresh() -> (ReportName, usize) {
    let half = KeyHalf::generate().unwrap();
    let name = *half.expose().first_chunk().unwrap();
    (name, usize::from(half.expose()[20]) << 8 | usize::from(half.expose()[21]))
}

#[test]
fn sums_are_the_plain_counts_for_every_number_of_models() {
    for models in [2, 3, 9, 10, 100, 255, 256] {
        let histogram = Histogram::new(models).unwrap();
        let (mut sums, mut plain) = ([histogram.nothing(), histogram.nothing()], vec![0; models]);
        // The first and the last place, and others.
        let reports = 12;
        for round in 0..reports {
            let (name, number) = fresh();
            let chosen = [0, models - 1].get(round).copied().unwrap_or(number % models);
            let report = histogram.report(CONTEXT, &name, chosen).unwrap();
            let lengths = histogram.lengths();
            assert_eq!(report.public.len(), lengths.public);
            assert_eq!(report.shares.each_ref().map(|share| share.len()), lengths.shares, "{models} models");
            let shares = verified(&histogram, (CONTEXT, &name), &report).unwrap();
            for (sum, share) in sums.iter_mut().zip(&shares) {
                let stored = CountedShare::from_bytes(&histogram, &share.to_bytes()).unwrap();
                sum.add(&stored).unwrap();
                *sum = SumShare::from_bytes(&histogram, &sum.to_bytes()).unwrap();
            }
            plain[chosen] += 1;
        }
        assert_eq!(sums[0].to_bytes().len(), histogram.lengths().sum);
        assert_eq!(histogram.reveal(&sums[0], &sums[1], reports as u64).unwrap(), plain);
        let error = histogram.reveal(&sums[0], &sums[1], reports as u64 - 1).unwrap_err();
        assert_eq!(error, ReportError::Sum { expected: reports as u64 - 1 });
        // A report that one server lacks leaves a random sum.
        let (name, _) = fresh();
        let report = histogram.report(CONTEXT, &name, 0).unwrap();
        let [zero, _] = verified(&histogram, (CONTEXT, &name), &report).unwrap();
        sums[0].add(&zero).unwrap();
        assert!(histogram.reveal(&sums[0], &sums[1], reports as u64 + 1).is_err());
    }
}

#[test]
fn two_votes_half_a_vote_and_none_are_refused() {
    // What only a client that cheats makes: server 0's share of the vector is changed, which changes the vector.
    let histogram = Histogram::new(5).unwrap();
    let changed = |at: &[(usize, u8)], chosen| {
        let (name, _) = fresh();
        let mut report = histogram.report(CONTEXT, &name, chosen).unwrap();
        for (place, add) in at {
            let byte = &mut report.shares[0][16 * place];
            *byte = byte.wrapping_add(*add);
        }
        verified(&histogram, (CONTEXT, &name), &report)
    };
    assert!(changed(&[], 3).is_ok());
    for (what, at) in
        [("two votes", vec![(1, 1)]), ("a vote of 2 for one model", vec![(3, 1)]), ("no vote", vec![(3, 255)])]
    {
        assert_eq!(changed(&at, 3).unwrap_err(), ReportError::Refused, "{what}");
    }
    // Three places that add up to one, so that their number alone does not tell.
    assert_eq!(changed(&[(1, 1), (2, 255)], 3).unwrap_err(), ReportError::Refused);
}

#[test]
fn what_is_changed_anywhere_is_refused() {
    let histogram = Histogram::new(9).unwrap();
    let (name, _) = fresh();
    let honest = || histogram.report(CONTEXT, &name, 4).unwrap();
    let refused = |report: &Report| verified(&histogram, (CONTEXT, &name), report).is_err();
    assert!(!refused(&honest()));
    for side in [0, 1] {
        let length = honest().shares[side].len();
        for at in (0..length).step_by(length / 16) {
            let mut report = honest();
            report.shares[side][at] ^= 4;
            assert!(refused(&report), "a bit of share {side} at {at} of {length}");
        }
    }
    for at in [0, 31, 32, 63] {
        let mut report = honest();
        report.public[at] ^= 1;
        assert!(refused(&report), "a bit of the public part at {at}");
    }
    // Shares of two reports do not belong together.
    let mut mixed = honest();
    mixed.shares[1] = honest().shares[1].clone();
    assert!(refused(&mixed));
    // Under another name, for another deployment, or of another number of models.
    assert!(verified(&histogram, (CONTEXT, &fresh().0), &honest()).is_err());
    assert!(verified(&histogram, (b"another deployment", &name), &honest()).is_err());
    assert!(verified(&Histogram::new(10).unwrap(), (CONTEXT, &name), &honest()).is_err());
}

#[test]
fn servers_with_different_keys_refuse_and_a_changed_message_is_refused() {
    let histogram = Histogram::new(4).unwrap();
    let (name, _) = fresh();
    let report = histogram.report(CONTEXT, &name, 1).unwrap();
    let half = || KeyHalf::generate().unwrap();
    let (zero, one, other) = (half(), half(), half());
    let begin = |side: Side, key: [&KeyHalf; 2]| {
        let key = VerifyKey::of(&name, key);
        histogram.begin(side, &key, (CONTEXT, &name), &report.public, &report.shares[side as usize]).unwrap()
    };
    let (state, _) = begin(Side::Zero, [&zero, &one]);
    let (_, theirs) = begin(Side::One, [&zero, &other]);
    assert_eq!(state.finish(&theirs).unwrap_err(), ReportError::Refused);
    let (_, theirs) = begin(Side::One, [&zero, &one]);
    for at in 0..theirs.len() {
        let (state, _) = begin(Side::Zero, [&zero, &one]);
        let mut changed = theirs.clone();
        changed[at] ^= 1;
        assert!(state.finish(&changed).is_err(), "a message that is changed at {at}");
    }
    for length in [0, theirs.len() - 1] {
        let (state, _) = begin(Side::Zero, [&zero, &one]);
        let error = state.finish(&theirs[..length]).unwrap_err();
        assert!(matches!(error, ReportError::Malformed { found, .. } if found == length), "{error}");
    }
}

#[test]
fn lengths_depend_on_the_number_of_models_alone() {
    let histogram = Histogram::new(7).unwrap();
    let lengths: Vec<_> = (0..7)
        .map(|chosen| {
            let report = histogram.report(CONTEXT, &fresh().0, chosen).unwrap();
            (report.public.len(), report.shares.map(|share| share.len()))
        })
        .collect();
    assert!(lengths.iter().all(|found| *found == lengths[0]), "{lengths:?}");
    assert!(Histogram::new(256).unwrap().lengths().shares[0] < 8 << 10, "a report fits its frame");
}

#[test]
fn other_numbers_of_models_and_other_bytes_are_refused() {
    for found in [0, 1, 257, usize::MAX] {
        assert_eq!(Histogram::new(found).unwrap_err(), ReportError::Models { found });
    }
    let [small, large] = [2, 3].map(|models| Histogram::new(models).unwrap());
    assert_eq!(small.report(CONTEXT, &fresh().0, 2).unwrap_err(), ReportError::Place { models: 2 });
    assert_eq!(small.reveal(&small.nothing(), &large.nothing(), 0).unwrap_err(), ReportError::Shape);
    let (name, _) = fresh();
    let report = large.report(CONTEXT, &name, 2).unwrap();
    let [share, _] = verified(&large, (CONTEXT, &name), &report).unwrap();
    assert_eq!(small.nothing().add(&share).unwrap_err(), ReportError::Shape);
    let bytes = share.to_bytes();
    for wrong in [&bytes[..47], &[0xFF; 48], &[&bytes[..], &[0]].concat()] {
        assert!(CountedShare::from_bytes(&large, wrong).is_err() && SumShare::from_bytes(&large, wrong).is_err());
    }
}

#[test]
fn each_report_has_its_own_key_and_commitment() {
    let [zero, one] = [(); 2].map(|()| KeyHalf::generate().unwrap());
    let key = |name: ReportName, halves: [&KeyHalf; 2]| *VerifyKey::of(&name, halves).expose();
    let ours = key([1; 16], [&zero, &one]);
    assert!(ours != key([2; 16], [&zero, &one]) && ours != key([1; 16], [&one, &zero]));
    assert_eq!(ours, key([1; 16], [&KeyHalf::received(*zero.expose()), &one]));
    assert!(zero.commitment() != one.commitment() && zero.commitment() != *zero.expose());
}

#[test]
fn a_share_of_a_report_alone_is_uniform() {
    // Of the same choice, over and over: each byte of server 0's share of each place takes both halves of its values about as often,
    // also where the vector has its one.
    let histogram = Histogram::new(2).unwrap();
    let rounds = 400;
    let mut high = [0_u32; 32];
    for _ in 0..rounds {
        let (name, _) = fresh();
        let report = histogram.report(CONTEXT, &name, 1).unwrap();
        let shares = verified(&histogram, (CONTEXT, &name), &report).unwrap();
        for (count, byte) in high.iter_mut().zip(shares[0].to_bytes().iter()) {
            *count += u32::from(*byte >= 128);
        }
    }
    // Five standard deviations: a wrong alarm in a million runs for each of 32 bytes.
    assert!(high.iter().all(|count| count.abs_diff(rounds / 2) < 50), "{high:?}");
}

#[test]
fn nothing_secret_prints() {
    let histogram = Histogram::new(2).unwrap();
    let (name, _) = fresh();
    let report = histogram.report(CONTEXT, &name, 1).unwrap();
    let key = KeyHalf::generate().unwrap();
    let [share, _] = verified(&histogram, (CONTEXT, &name), &report).unwrap();
    let text =
        format!("{report:?} {key:?} {share:?} {:?} {:?}", histogram.nothing(), VerifyKey::of(&name, [&key, &key]));
    assert_eq!(text, "Report(..) KeyHalf(..) CountedShare(..) SumShare of 2 models VerifyKey(..)");
}
