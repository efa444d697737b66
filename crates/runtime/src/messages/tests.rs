use std::fmt::Debug;

use blindroute_protocol::{Form, Shape};
use proptest::prelude::*;

use super::*;
use crate::clients::ClientToken;
use crate::frame::PASSES_MAX;
use blindroute_passes::{ISSUED_MAX, KeyId, Pass};

const SESSION: SessionId = SessionId([1; 16]);
const DEPLOYMENT: Digest = Digest([2; 32]);
const EPOCH: EpochId = EpochId([3; 16]);
const REQUEST: Digest = Digest([4; 32]);
const STANDING: Standing = Standing { ledger: LedgerId([11; 16]), term: 12, nonce: TermNonce([14; 16]), claimed: 13 };

fn continues(places: Vec<u16>, ticket: Option<Ticket>) -> Option<Continues> {
    Some(Continues { places, ticket })
}

fn frozen<M: Message + Debug>(message: &M, expected: &str) {
    let bytes = message.encode();
    assert_eq!(base16ct::lower::encode_string(&bytes), expected);
    let again = M::decode(&bytes).unwrap();
    assert_eq!(format!("{again:?}"), format!("{message:?}"));
    // Hostile: every shorter form and one longer form is refused.
    for length in 0..bytes.len() {
        assert!(M::decode(&bytes[..length]).is_err(), "{length} of {} bytes decoded", bytes.len());
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(M::decode(&longer).unwrap_err(), DecodeError::Leftover { count: 1 });
}

#[test]
fn case_12_encodings_are_frozen_and_strict() {
    let (s, m, e, r) = ("01".repeat(16), "02".repeat(32), "03".repeat(16), "04".repeat(32));
    let z = "00".repeat(7);
    frozen(
        &ClientHello {
            version: VERSION,
            session: SESSION,
            deployment: DEPLOYMENT,
            request: b"abc".to_vec(),
            continues: None,
            token: None,
        },
        &format!("0a00{s}{m}030000006162630000"),
    );
    frozen(
        &ClientHello {
            version: VERSION,
            session: SESSION,
            deployment: DEPLOYMENT,
            request: vec![],
            continues: continues(vec![0, 3, 700], None),
            token: None,
        },
        &format!("0a00{s}{m}00000000010600000000000300bc0200"),
    );
    let ticket = || Ticket::new([6; 32]);
    let six = "06".repeat(32);
    frozen(
        &ClientHello {
            version: VERSION,
            session: SESSION,
            deployment: DEPLOYMENT,
            request: vec![],
            continues: continues(vec![2], Some(ticket())),
            token: Some(ClientToken::new([5; 32])),
        },
        &format!("0a00{s}{m}0000000002{six}02000000020001{}", "05".repeat(32)),
    );
    frozen(
        &HandOverRequest { session: SESSION, to: "big".to_owned(), ticket: ticket(), places: vec![1, 2] },
        &format!("{s}03000000626967{six}0400000001000200"),
    );
    let forms = vec![Form::new(Shape::new(2, 3, 4), 24, 12)];
    frozen(
        &HandOver { session: SESSION, request: b"r".to_vec(), ticket: ticket(), places: vec![1, 2], forms },
        &format!("{s}0100000072{six}04000000010002000100000002000000030000000400000018000000{}", "0c000000"),
    );
    frozen(&HandOverAnswer { session: SESSION, stored: true }, &format!("{s}01"));
    frozen(
        &SessionOpen {
            version: VERSION,
            session: SESSION,
            party: 1,
            lane: Lane::ToServer1,
            deployment: DEPLOYMENT,
            epoch: EPOCH,
            request: REQUEST,
            audit: 20_000,
            standing: STANDING,
        },
        &format!("0a00{s}0101{m}{e}{r}204e0000{}0c{z}{}0d{z}", "0b".repeat(16), "0e".repeat(16)),
    );
    frozen(
        &MaterialRequest { version: VERSION, session: SESSION, party: 0, deployment: DEPLOYMENT, request: vec![255] },
        &format!("0a00{s}00{m}01000000ff"),
    );
    frozen(
        &MaterialGrant { session: SESSION, epoch: EPOCH, seeds: vec![WireSeed::new([5; 32])] },
        &format!("{s}{e}01000000{}", "05".repeat(32)),
    );
    frozen(&Failure::new(FailureKind::Busy, "no"), "01020000006e6f");
}

#[test]
fn encodings_of_what_servers_say_of_a_session_are_frozen_and_strict() {
    let (s, e) = ("01".repeat(16), "03".repeat(16));
    frozen(
        &ServerReady {
            session: SESSION,
            epoch: EPOCH,
            offline_micros: 0x0102,
            waits_micros: 3,
            rests: true,
            development: false,
        },
        &format!("{s}{e}020100000000000003000000000000000100"),
    );
    frozen(
        &SessionReport {
            session: SESSION,
            online_micros: 7,
            exchange_micros: 6,
            openings: 9,
            bytes_sent: 10,
            bytes_received: 11,
            material_bytes: 5,
        },
        &format!("{s}07000000000000000600000000000000090000000a000000000000000b000000000000000500000000000000"),
    );
}

#[test]
fn encodings_of_audits_are_frozen_and_strict() {
    let s = "01".repeat(16);
    frozen(&AuditRequest { session: SESSION }, &s);
    let seeds = [5, 6].map(|byte| WireSeed::new([byte; 32]));
    frozen(&AuditSeeds { session: SESSION, seeds }, &format!("{s}{}{}", "05".repeat(32), "06".repeat(32)));
}

#[test]
fn encodings_of_passes_are_frozen_and_strict() {
    let (point, proof) = ("09".repeat(49), "08".repeat(96));
    frozen(&PassRequest { token: None, blinded: vec![] }, "000000");
    let token = Some(ClientToken::new([5; 32]));
    frozen(&PassRequest { token, blinded: vec![[9; 49]; 2] }, &format!("01{}0200{point}{point}", "05".repeat(32)));
    frozen(&PassAnswer { key: [7; 49], evaluated: vec![], proof: None }, &format!("{}000000", "07".repeat(49)));
    frozen(
        &PassAnswer { key: [7; 49], evaluated: vec![[9; 49]], proof: Some([8; 96]) },
        &format!("{}0100{point}01{proof}", "07".repeat(49)),
    );
    let shown = |count: usize| ShownPasses {
        key: KeyId([6; 32]),
        passes: (0..count).map(|_| Pass::from_bytes(&[4; Pass::BYTES])).collect(),
    };
    frozen(&shown(2), &format!("{}0200{}", "06".repeat(32), "04".repeat(160)));
    assert!(shown(PASSES_MAX).encode().len() <= FrameKind::Passes.limit());
    assert!(matches!(ShownPasses::decode(&shown(PASSES_MAX + 1).encode()), Err(DecodeError::TooLong { .. })));
    let request = |count: usize| PassRequest { token: Some(ClientToken::new([5; 32])), blinded: vec![[9; 49]; count] };
    let answer = |count: usize| PassAnswer { key: [7; 49], evaluated: vec![[9; 49]; count], proof: Some([8; 96]) };
    assert!(request(ISSUED_MAX).encode().len() <= FrameKind::PassRequest.limit());
    assert!(answer(ISSUED_MAX).encode().len() <= FrameKind::PassAnswer.limit());
    assert!(matches!(PassRequest::decode(&request(ISSUED_MAX + 1).encode()), Err(DecodeError::TooLong { .. })));
    assert!(matches!(PassAnswer::decode(&answer(ISSUED_MAX + 1).encode()), Err(DecodeError::TooLong { .. })));
}

#[test]
fn encodings_about_stored_material_are_frozen_and_strict() {
    let (s, m, t) = ("01".repeat(16), "02".repeat(32), "07".repeat(16));
    let stored = SessionId([7; 16]);
    frozen(&StoreCall::Propose(Proposal { session: SESSION, stored: None }), &format!("00{s}00"));
    frozen(&StoreCall::Propose(Proposal { session: SESSION, stored: Some(stored) }), &format!("00{s}01{t}"));
    let request = FillRequest { version: VERSION, session: SESSION, deployment: DEPLOYMENT, request: b"r".to_vec() };
    frozen(&StoreCall::Fill(request), &format!("010a00{s}{m}0100000072"));
    frozen(&StoreCall::Compare(vec![SESSION, stored]), &format!("0220000000{s}{t}"));
    let plain = [StoreAnswer::Yes, StoreAnswer::No, StoreAnswer::Lacks, StoreAnswer::NoStore, StoreAnswer::Full];
    plain.iter().enumerate().for_each(|(byte, answer)| frozen(answer, &format!("{byte:02x}")));
    frozen(&StoreAnswer::Compared(vec![stored]), &format!("0510000000{t}"));
    assert_eq!(StoreCall::decode(&[3]).unwrap_err(), DecodeError::BadValue { field: "call", found: 3 });
    assert_eq!(StoreAnswer::decode(&[6]).unwrap_err(), DecodeError::BadValue { field: "answer", found: 6 });
    let uneven = [&[5, 1, 0, 0, 0], [0].as_slice()].concat();
    assert_eq!(StoreAnswer::decode(&uneven).unwrap_err(), DecodeError::BadValue { field: "sessions", found: 1 });
    let longest = StoreCall::Compare(vec![SESSION; crate::store::MOST_STORED]).encode();
    assert!(longest.len() <= FrameKind::StoreCall.limit() && StoreCall::decode(&longest).is_ok());
    let longer = StoreCall::Compare(vec![SESSION; crate::store::MOST_STORED + 1]).encode();
    assert!(matches!(StoreCall::decode(&longer), Err(DecodeError::TooLong { field: "sessions", .. })));
}

#[test]
fn values_out_of_range_are_refused() {
    let open = SessionOpen {
        version: VERSION,
        session: SESSION,
        party: 1,
        lane: Lane::ToServer0,
        deployment: DEPLOYMENT,
        epoch: EPOCH,
        request: REQUEST,
        audit: 0,
        standing: STANDING,
    };
    let change = |at: usize, to: u8| {
        let mut bytes = open.encode();
        bytes[at] = to;
        SessionOpen::decode(&bytes).unwrap_err()
    };
    assert_eq!(change(18, 2), DecodeError::BadValue { field: "party", found: 2 });
    assert_eq!(change(19, 9), DecodeError::BadValue { field: "lane", found: 9 });

    let ready = ServerReady {
        session: SESSION,
        epoch: EPOCH,
        offline_micros: 1,
        waits_micros: 1,
        rests: false,
        development: true,
    };
    let mut ready = ready.encode();
    *ready.last_mut().unwrap() = 2;
    assert_eq!(ServerReady::decode(&ready).unwrap_err(), DecodeError::BadValue { field: "development", found: 2 });

    let mut hello = ClientHello {
        version: VERSION,
        session: SESSION,
        deployment: DEPLOYMENT,
        request: vec![],
        continues: None,
        token: None,
    }
    .encode();
    hello[50..54].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(ClientHello::decode(&hello), Err(DecodeError::TooLong { field: "request", .. })));
    let hello = ClientHello {
        version: VERSION,
        session: SESSION,
        deployment: DEPLOYMENT,
        request: vec![],
        continues: continues(vec![4], None),
        token: None,
    };
    let mut hello = hello.encode();
    hello[54] = 0;
    assert_eq!(ClientHello::decode(&hello).unwrap_err(), DecodeError::BadValue { field: "token", found: 2 });
    hello[54] = 3;
    assert_eq!(ClientHello::decode(&hello).unwrap_err(), DecodeError::BadValue { field: "continues", found: 3 });
    let mut grant = MaterialGrant { session: SESSION, epoch: EPOCH, seeds: vec![] }.encode();
    grant[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(MaterialGrant::decode(&grant), Err(DecodeError::TooLong { field: "seeds", .. })));
    assert!(Failure::decode(&[99, 0, 0, 0, 0]).is_err());
    assert_eq!(Failure::decode(&[1, 1, 0, 0, 0, 0xff]).unwrap_err(), DecodeError::BadText { field: "failure text" });
}

#[test]
fn a_hand_over_cannot_announce_more_than_can_be_counted_or_other_elements_than_its_places() {
    let with = |batch: usize, rows: usize, bits: u32| {
        let forms = vec![Form::new(Shape::new(batch, rows, 1 << 20), bits, 4)];
        let ticket = Ticket::new([6; 32]);
        HandOver::decode(&HandOver { session: SESSION, request: vec![], ticket, places: vec![1, 2], forms }.encode())
    };
    assert!(with(2, 1, 24).is_ok());
    assert!(matches!(with(2, 1 << 30, 24), Err(DecodeError::TooLong { field: "form", .. })));
    assert_eq!(with(3, 1, 24).unwrap_err(), DecodeError::BadValue { field: "batch", found: 3 });
    assert_eq!(with(2, 1, 65).unwrap_err(), DecodeError::BadValue { field: "bits", found: 65 });
    assert_eq!(with(2, 1, 3).unwrap_err(), DecodeError::BadValue { field: "fraction", found: 4 });
    let forms = vec![Form::new(Shape::new(0, 1, 1), 24, 4); 17];
    let many = HandOver { session: SESSION, request: vec![], ticket: Ticket::new([6; 32]), places: vec![], forms };
    assert!(matches!(HandOver::decode(&many.encode()), Err(DecodeError::TooLong { field: "forms", .. })));
}

#[test]
fn failures_cannot_write_to_a_terminal_and_stay_short() {
    let failure = Failure::new(FailureKind::Internal, &format!("\x1b[2J\n{}", "é".repeat(1000)));
    assert!(failure.text().len() <= 512 && !failure.text().contains(char::is_control));
    assert_eq!(Failure::decode(&failure.encode()).unwrap(), failure);
    assert!(failure.encode().len() <= FrameKind::Failure.limit());
}

#[test]
fn seeds_do_not_print() {
    assert_eq!(format!("{:?}", WireSeed::new([77; 32])), "WireSeed(..)");
    assert_eq!(format!("{:?}", Ticket::new([77; 32])), "Ticket(..)");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), versioned: bool) {
        let mut bytes = bytes;
        if versioned && bytes.len() > 2 {
            bytes[..2].copy_from_slice(&VERSION.to_le_bytes());
        }
        // What decodes must encode to the same bytes: one meaning, one form.
        macro_rules! check { ($($name:ident),*) => { $(
            if let Ok(message) = $name::decode(&bytes) { prop_assert_eq!(message.encode(), bytes.clone()); }
        )* } }
        check!(ClientHello, ServerReady, SessionReport, SessionOpen, MaterialRequest, MaterialGrant);
        check!(HandOverRequest, HandOver, HandOverAnswer, PassRequest, PassAnswer, ShownPasses, StoreCall, StoreAnswer);
        let _ = Failure::decode(&bytes);
    }
}
