//! A frozen run: what each party sends for one seed, so that a change of the wire or of the material is noticed. If a
//! change is meant, dealers and servers of both versions cannot work together: raise the protocol's version, then freeze
//! the new numbers.

use crate::common::{everything, everything_inputs, everything_weights};
use blindroute_testkit::{TestWorld, generator};

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
        parts(&sent.material),
        parts(&sent.messages[0]),
        parts(&sent.messages[1]),
        digest([sent.output_shares[0].as_slice()]),
        digest([sent.output_shares[1].as_slice()]),
    ];
    let cost = (run.forecast.openings, run.forecast.opening_bytes, run.forecast.material_bytes);
    assert_eq!((found, cost), (FROZEN, COST), "what is sent changed: {found:#018x?}, {cost:?}");
}

/// Digests of the material, of each server's messages to the other, and of each server's output share.
const FROZEN: [u64; 5] =
    [0x15a8_0bfd_a80b_a7e8, 0x3de7_f61e_ef2e_67b7, 0xc1e7_d427_184a_c0c1, 0x65bd_57a5_7ebe_b2f4, 0xb20a_cb02_406e_efdd];
/// Openings, bytes each way, material.
const COST: (usize, usize, usize) = (30, 1833, 6624);
