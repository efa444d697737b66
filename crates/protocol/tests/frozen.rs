//! A frozen run: what each party sends for one seed, so that a change of the wire or of the material is noticed. If a
//! change is meant, dealers and servers of both versions cannot work together: raise the protocol's version, then freeze
//! the new numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use blindroute_testkit::{TestWorld, generator};
use common::{everything, everything_inputs, everything_weights};

/// FNV-1a of length and bytes of each part.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    parts.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        (part.len() as u64).to_le_bytes().iter().chain(part).fold(hash, |hash, &byte| step(hash, byte))
    })
}

#[test]
fn a_program_of_every_operation_sends_what_it_sent() {
    let n = 9;
    let program = everything(n);
    let world = TestWorld::seeded(2026).recorded();
    let run = world.run(&program, &everything_weights(n), &everything_inputs(n, generator(5))).unwrap();
    let sent = &run.transcript;
    let parts = |parts: &[Vec<u8>]| digest(parts.iter().map(Vec::as_slice));
    let found = [
        ("material", parts(&sent.material)),
        ("server zero's messages", parts(&sent.messages[0])),
        ("server one's messages", parts(&sent.messages[1])),
        ("server zero's output", digest([sent.output_shares[0].as_slice()])),
        ("server one's output", digest([sent.output_shares[1].as_slice()])),
    ];
    for ((what, found), expected) in found.into_iter().zip(FROZEN) {
        assert_eq!(found, expected, "{what} changed: {found:#018x}");
    }
    assert_eq!((run.forecast.openings, run.forecast.opening_bytes, run.forecast.material_bytes), COST);
}

/// The digests, in the order of the test.
const FROZEN: [u64; 5] =
    [0xa980_ca9b_b8ff_6fec, 0x0fca_b1db_4454_535b, 0x7f2f_2730_d781_dbbc, 0xb377_1537_42f1_03f9, 0x1670_6dc5_230b_c7af];
/// Openings, bytes each way, material.
const COST: (usize, usize, usize) = (11, 1367, 10535);
