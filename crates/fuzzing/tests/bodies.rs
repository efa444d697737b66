//! The functions on random bytes, on files that are right, and on files that are damaged in many places.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_fuzzing::ALL;
use blindroute_protocol::{BitTensor, Form, Shape};
use blindroute_routing::bundle::{Bundle, ImportOptions, PublishedFiles};
use blindroute_runtime::Message;
use blindroute_runtime::messages::{Digest, MaterialRequest, SessionId};
use blindroute_testkit::{NumberType, PublishedEncoder, generator};
use proptest::prelude::*;
use std::path::Path;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_end_in_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        ALL.iter().for_each(|(_, body)| body(&bytes));
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
    let bundle = Bundle::import(&files, &ImportOptions::default()).unwrap().bundle.write().unwrap();
    let request =
        MaterialRequest { session: SessionId([7; 16]), party: 1, deployment: Digest([3; 32]), request: b"{}".to_vec() };
    // A shape of 3 by 5 in rings of 9 bits, and what a peer would send of it.
    let shaped = |length: usize| [&[3, 5, 8][..], &vec![0xA5; length]].concat();
    let planes = BitTensor::zeros(3, 5 * 9);
    let mut bits = vec![3, 5, 8];
    planes.to_bytes(&mut bits);
    let form = Form::new(Shape::matrix(3, 5), 9, 8);
    let words = (form.shape.len() * 9).div_ceil(8);
    vec![
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
    ]
}

#[test]
fn damaged_inputs_end_in_a_value_or_an_error() {
    let mut next = generator(31);
    for (name, seed) in seeds() {
        let (_, body) = ALL.iter().find(|(found, _)| *found == name).unwrap();
        body(&seed);
        let mut place = |length: usize| ((next() + 1.0) / 2.0 * length as f64) as usize;
        for _ in 0..100 {
            let at = place(seed.len());
            let mut flipped = seed.clone();
            flipped[at] ^= 1 << place(8);
            body(&flipped);
            body(&seed[..at]);
            body(&[&seed[..at], &seed[at / 2..]].concat());
        }
    }
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
