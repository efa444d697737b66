//! The functions on random bytes, on files that are right, and on files that are damaged in many places.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_fuzzing::ALL;
use blindroute_protocol::{BitTensor, Form, Shape};
use blindroute_ring::CountingAllocator;
use blindroute_routing::bundle::{Bundle, ImportOptions, PublishedFiles, SplitRandomness, split};
use blindroute_runtime::clients::{ClientSecret, Register, Registration};
use blindroute_runtime::messages::{Digest, MaterialRequest, SessionId};
use blindroute_runtime::{CertificateFolder, Endpoint, FileLedger, Ledger, Link, Message, Role, Timeouts};
use blindroute_testkit::{NumberType, PublishedEncoder, generator};
use proptest::prelude::*;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What a decoder may hold beside ten times its input: working memory that does not depend on it.
const WORKING_MEMORY: usize = 4 << 20;

/// Runs a function, whose memory is bounded by the length of its input.
fn bounded(name: &str, bytes: &[u8]) {
    let (_, body) = ALL.iter().find(|(found, _)| *found == name).unwrap();
    let most = CountingAllocator::most(|| body(bytes));
    let limit = 10 * bytes.len() + WORKING_MEMORY;
    assert!(most <= limit, "{name} took {most} bytes for an input of {} bytes", bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_end_in_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        ALL.iter().for_each(|(name, _)| bounded(name, &bytes));
    }
}

const CHAT_REQUEST: &[u8] = br#"{"model":"auto","messages":[{"role":"system","content":"s"},{"role":"user","content":
    [{"type":"text","text":"u"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"assistant",
    "content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"c","content":"r"}],"stop":["x"],"temperature":0.10,"stream":true}"#;

const CHAT_STREAM: &[u8] = b"data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\
    \"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\r\n\r\ndata: [DONE]\n\n";

/// Right inputs, by the name of the function that reads them.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let encoder = PublishedEncoder::made_up(1, 8, 2, 16);
    let (weights, config) = (encoder.safetensors(NumberType::F16), encoder.config());
    let tokenizer = PublishedEncoder::tokenizer();
    let files = PublishedFiles {
        weights: &weights,
        config: config.as_bytes(),
        tokenizer: tokenizer.as_bytes(),
        pooling: None,
        modules: None,
    };
    let bundle = Bundle::import(&files, &ImportOptions::default()).unwrap().bundle;
    let public = split(&bundle, &SplitRandomness::new(&[7; SplitRandomness::BYTES])).unwrap().public;
    let bundle = bundle.write().unwrap();
    let request = MaterialRequest {
        version: blindroute_runtime::messages::VERSION,
        session: SessionId([7; 16]),
        party: 1,
        deployment: Digest([3; 32]),
        request: b"{}".to_vec(),
    };
    // A shape of 3 by 5 in rings of 9 bits, and what a peer would send of it.
    let shaped = |length: usize| [&[3, 5, 8][..], &vec![0xA5; length]].concat();
    let planes = BitTensor::zeros(3, 5 * 9);
    let mut bits = vec![3, 5, 8];
    planes.to_bytes(&mut bits);
    let form = Form::new(Shape::matrix(3, 5), 9, 8);
    let words = (form.shape.len() * 9).div_ceil(8);
    let mut seeds = vec![
        ("bundle", bundle.clone()),
        ("container", bundle),
        ("published", weights),
        ("published", config.into_bytes()),
        ("tokenizer", tokenizer.into_bytes()),
        ("messages", request.encode()),
        ("inputs", shaped(words + 3)),
        ("output", shaped(2 * (words + 8))),
        ("weight_shares", shaped(words + 15)),
        ("bit_tensor", bits),
        ("packing", shaped(64)),
        ("dialects", [b"\x03".as_slice(), CHAT_REQUEST].concat()),
        ("dialects", [b"\x00".as_slice(), CHAT_STREAM].concat()),
        ("public_part", public),
        ("kept", shaped(words + 3)),
        ("session", (0..4000_u32).map(|at| (at.wrapping_mul(0x9E37_79B1) >> 24) as u8).collect()),
        ("handshake", first_message()),
    ];
    seeds.extend(files_of_a_deployment());
    seeds
}

/// The files that parties keep.
fn files_of_a_deployment() -> Vec<(&'static str, Vec<u8>)> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/samples");
    let sample = |name: &str| ("configuration", std::fs::read(samples.join(name)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let certificates = CertificateFolder::generate(&folder.path().join("certificates")).unwrap();
    let certificate = std::fs::read(certificates.identity(Role::Dealer).certificate).unwrap();
    let state = folder.path().join("state");
    FileLedger::open(&state).unwrap().claim(SessionId([3; 16]), None).unwrap();
    let register = folder.path().join("clients.toml");
    let secret = ClientSecret::generate().unwrap();
    Register::add(&register, Registration::of_secret("a", &secret, (5, 5, 5)).entry(Role::Server0)).unwrap();
    vec![
        sample("client.toml"),
        sample("server1.toml"),
        sample("dealer.toml"),
        ("certificate", certificate),
        ("ledger", std::fs::read(state.join("sessions.ledger")).unwrap()),
        ("clients", std::fs::read(register).unwrap()),
        ("choices", report_of_a_choice()),
        ("clients", secret.to_line().as_bytes().to_vec()),
    ]
}

/// Server 0's share of a report about three models.
fn report_of_a_choice() -> Vec<u8> {
    let report = blindroute_reports::Histogram::new(3).unwrap().report(b"", &[3; 16], 1).unwrap();
    [&[1], &report.public[..], &report.shares[0]].concat()
}

/// The first bytes of a client that calls.
fn first_message() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let certificates = CertificateFolder::generate(folder.path()).unwrap();
    let client = Endpoint::load(Role::Client, &certificates.identity(Role::Client)).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::scope(|scope| {
        scope.spawn(|| Link::connect(&address, &client, Role::Server0, &Timeouts::default()).err());
        let mut first = vec![0; 4096];
        let count = listener.accept().unwrap().0.read(&mut first).unwrap();
        first.truncate(count);
        first
    })
}

#[test]
fn case_13_damaged_inputs_end_in_a_value_or_an_error_in_bounded_memory() {
    let mut next = generator(31);
    for (name, seed) in seeds() {
        bounded(name, &seed);
        let mut place = |length: usize| ((next() + 1.0) / 2.0 * length as f64) as usize;
        for _ in 0..100 {
            let at = place(seed.len());
            let mut flipped = seed.clone();
            flipped[at] ^= 1 << place(8);
            bounded(name, &flipped);
            bounded(name, &seed[..at]);
            bounded(name, &[&seed[..at], &seed[at / 2..]].concat());
        }
    }
}

#[test]
fn case_11_huge_and_zero_lengths_anywhere_take_no_memory() {
    for (name, seed) in seeds() {
        // Wherever a length may be: at each of the first bytes, and now and then after them.
        let places = (0..seed.len().min(64)).chain((64..seed.len()).step_by(seed.len() / 32 + 1));
        for at in places {
            for length in [[0xFF; 8].as_slice(), &[0xFF; 4], &[0; 4], b"4294967295"] {
                let mut changed = seed.clone();
                changed.splice(at..(at + length.len()).min(seed.len()), length.iter().copied());
                bounded(name, &changed);
            }
        }
    }
}

#[test]
fn a_decoder_that_allocates_what_a_length_says_is_noticed() {
    let believes = |bytes: &[u8]| drop(std::hint::black_box(vec![1_u8; bytes[0] as usize * (1 << 20)]));
    assert!(CountingAllocator::most(|| believes(&[255])) > WORKING_MEMORY);
    assert!(CountingAllocator::most(|| believes(&[0])) < WORKING_MEMORY);
}

#[test]
fn every_function_has_a_target_and_a_right_input() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let seeds = seeds();
    for (name, _) in ALL {
        let target = std::fs::read_to_string(folder.join("fuzz_targets").join(format!("{name}.rs"))).expect(name);
        assert!(target.contains(&format!("blindroute_fuzzing::{name}(bytes)")), "{target}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in the manifest");
        assert!(seeds.iter().any(|(found, _)| *found == name), "{name} has no right input");
    }
    assert_eq!(std::fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), ALL.len());
}
