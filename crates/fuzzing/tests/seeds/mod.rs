//! Right inputs of the decoders: what tests damage, and what fuzzers begin with.
#![allow(unreachable_pub, clippy::unwrap_used)]

#[allow(dead_code)]
pub mod kept;

use blindroute_protocol::{BitTensor, Form, Shape};
use blindroute_routing::bundle::{Bundle, ImportOptions, PublishedFiles, SplitRandomness, split};
use blindroute_runtime::clients::{ClientSecret, Register, Registration};
use blindroute_runtime::messages::{Digest, MaterialRequest, SessionId};
use blindroute_runtime::{CertificateFolder, Endpoint, FileLedger, Ledger, Link, Message, Role, Timeouts};
use blindroute_testkit::{NumberType, PublishedEncoder};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

const CHAT_REQUEST: &[u8] = br#"{"model":"auto","messages":[{"role":"system","content":"s"},{"role":"user","content":
    [{"type":"text","text":"u"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"assistant",
    "content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"c","content":"r"}],"stop":["x"],"temperature":0.10,"stream":true}"#;

const CHAT_STREAM: &[u8] = b"data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\
    \"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\r\n\r\ndata: [DONE]\n\n";

/// Right inputs, by the name of the function that reads them.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
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
