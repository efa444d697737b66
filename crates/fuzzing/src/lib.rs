//! One function per decoder: arbitrary bytes must end in a value or an error, never in a panic or a large allocation.
//!
//! The targets in `fuzz/fuzz_targets` hand them libFuzzer's bytes, which needs a nightly compiler. The tests of this crate
//! hand them random bytes and damaged files, on stable.
//!
//! ```
//! blindroute_fuzzing::messages(b"no message");
//! ```
#![allow(clippy::expect_used, reason = "a panic is what these functions look for")]
#![deny(missing_docs)]

mod digests;
mod files;
mod peers;

pub use files::{certificate, choices, clients, configuration, ledger, public_part};
pub use peers::{handshake, kept, session};

use blindroute_dialects::raw::Object;
use blindroute_dialects::sse::Parser;
use blindroute_dialects::translate::{Provider, request};
use blindroute_dialects::{Dialect, reading, stream};
use blindroute_protocol::{
    BitTensor, Form, Inputs, Output, OutputSize, OutputSpec, Shape, WeightKind, WeightShares, WeightSpec,
};
use blindroute_ring::pack;
use blindroute_routing::bundle::{Bundle, ImportOptions, PublishedFiles, container};
use blindroute_routing::tokenizer::{Tokenizer, Window};
use blindroute_runtime::Message;
use blindroute_runtime::messages::{
    AuditRequest, AuditSeeds, ChoiceReport, ChoiceReportTaken, ChoicesAnswer, ChoicesCall, ClientHello, Failure,
    HandOver, HandOverAnswer, HandOverRequest, MaterialGrant, MaterialRequest, PassAnswer, PassRequest, ServerReady,
    SessionOpen, SessionReport, ShownPasses, StoreAnswer, StoreCall,
};
use blindroute_testkit::tokenizer_json;
use digests::as_it_is_and_with_digests;
use std::sync::OnceLock;

/// The bundle's reader, also for digests that fit.
pub fn bundle(bytes: &[u8]) {
    as_it_is_and_with_digests(bytes, |bytes| drop(Bundle::read(bytes)));
}

/// The import of a published encoder: arbitrary weights, and an arbitrary configuration.
pub fn published(bytes: &[u8]) {
    let config = br#"{"model_type":"bert","architectures":["BertModel"],"hidden_size":8,"num_hidden_layers":1,
        "num_attention_heads":2,"intermediate_size":16,"vocab_size":7,"max_position_embeddings":256,
        "type_vocab_size":2,"layer_norm_eps":1e-12,"hidden_act":"gelu"}"#;
    let tokenizer = tokenizer_json(TOKENS);
    for (weights, config) in [(bytes, config.as_slice()), (b"".as_slice(), bytes)] {
        let files = PublishedFiles { weights, config, tokenizer: tokenizer.as_bytes(), pooling: None, modules: None };
        // Damaged weights can still be an encoder.
        let _ = Bundle::import(&files, &ImportOptions::default());
    }
}

/// The container's reader, for its two kinds of file, also for digests that fit.
pub fn container(bytes: &[u8]) {
    as_it_is_and_with_digests(bytes, |bytes| {
        for kind in ["router-bundle", "router-share"] {
            if let Ok(container) = container::read(bytes, kind) {
                let again = container::write(kind, container.header(), container.sections());
                assert!(again.is_ok_and(|again| again == bytes), "a content has one form");
            }
        }
    });
}

/// A small tokenizer of the published kind.
const TOKENS: [&str; 7] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", "!"];

fn sample() -> &'static Tokenizer {
    static SAMPLE: OnceLock<Tokenizer> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        Tokenizer::from_json(tokenizer_json(TOKENS).as_bytes(), Window::Both).expect("the sample is a tokenizer")
    })
}

/// The tokenizer on arbitrary text, and its reader on arbitrary JSON.
pub fn tokenizer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(tokens) = sample().encode(&text) {
        assert!((3..=256).contains(&tokens.ids.len()));
    }
    let _ = Tokenizer::from_json(bytes, Window::Head);
}

/// Every message of a session.
pub fn messages(bytes: &[u8]) {
    fn check<M: Message>(bytes: &[u8]) {
        if let Ok(message) = M::decode(bytes) {
            assert!(message.encode() == bytes, "a message has one form");
        }
    }
    check::<ClientHello>(bytes);
    check::<ServerReady>(bytes);
    check::<SessionReport>(bytes);
    check::<SessionOpen>(bytes);
    check::<MaterialRequest>(bytes);
    check::<MaterialGrant>(bytes);
    check::<AuditRequest>(bytes);
    check::<AuditSeeds>(bytes);
    check::<HandOverRequest>(bytes);
    check::<HandOver>(bytes);
    check::<HandOverAnswer>(bytes);
    check::<PassRequest>(bytes);
    check::<PassAnswer>(bytes);
    check::<ShownPasses>(bytes);
    check::<StoreCall>(bytes);
    check::<StoreAnswer>(bytes);
    check::<ChoiceReport>(bytes);
    check::<ChoiceReportTaken>(bytes);
    check::<ChoicesCall>(bytes);
    check::<ChoicesAnswer>(bytes);
    let _ = Failure::decode(bytes);
}

/// The first three bytes choose a small public shape; the rest is what a peer sent.
fn shaped(bytes: &[u8]) -> Option<(Form, &[u8])> {
    let (&[rows, columns, bits], rest) = bytes.split_first_chunk::<3>()?;
    let shape = Shape::matrix(usize::from(rows % 17), usize::from(columns % 17));
    Some((Form::new(shape, 1 + u32::from(bits % 64), u32::from(bits % 13)), rest))
}

/// A server's shares of the client's input.
pub fn inputs(bytes: &[u8]) {
    let Some((form, rest)) = shaped(bytes) else { return };
    let forms = [form, Form::new(Shape::row(3), 7, 0)];
    assert_eq!(Inputs::from_bytes(&forms, rest).is_ok(), rest.len() == Inputs::byte_len(&forms));
}

/// The servers' two messages to the client.
pub fn output(bytes: &[u8]) {
    let Some((form, rest)) = shaped(bytes) else { return };
    let spec = |size| OutputSpec { size, reason: "a fuzz target" };
    let specs = [spec(OutputSize::Words(form)), spec(OutputSize::Bits(form.shape.len()))];
    let (zero, one) = rest.split_at(rest.len() / 2);
    let expected = Output::byte_len(&specs);
    assert_eq!(Output::combine(&specs, zero, one).is_ok(), zero.len() == expected && one.len() == expected);
}

/// A server's share file.
pub fn weight_shares(bytes: &[u8]) {
    let Some((form, rest)) = shaped(bytes) else { return };
    let kind = WeightKind::Matrix { inner: form.shape.rows, columns: form.shape.columns };
    let specs = [
        WeightSpec::new("w", kind, 12).in_ring(form.bits),
        WeightSpec::new("b", WeightKind::Bias(form.shape.columns), 24),
    ];
    if let Ok(shares) = WeightShares::from_bytes(&specs, rest) {
        // The spare bits of a weight's last byte say nothing, and are written as zeros.
        let again = shares.to_bytes(&specs);
        assert!(again.len() == rest.len());
        assert!(WeightShares::from_bytes(&specs, &again).is_ok_and(|shares| shares.to_bytes(&specs) == again));
    }
}

/// Planes of bits.
pub fn bit_tensor(bytes: &[u8]) {
    let Some((form, rest)) = shaped(bytes) else { return };
    let (planes, len) = (form.shape.rows, form.shape.columns * form.bits as usize);
    if let Ok(bits) = BitTensor::from_bytes(planes, len, rest) {
        let mut again = Vec::new();
        bits.to_bytes(&mut again);
        assert!(again == rest);
    }
}

/// Packed words of any width, there and back.
pub fn packing(bytes: &[u8]) {
    let Some((&width, rest)) = bytes.split_first() else { return };
    let bits = 1 + u32::from(width) % 128;
    let count = rest.len() * 8 / bits as usize;
    let words: Vec<u128> = pack::unpack(&rest[..pack::packed_len(count, bits)], count, bits);
    let mut packed = Vec::new();
    pack::pack(&words, bits, &mut packed);
    assert_eq!(pack::unpack::<u128>(&packed, count, bits), words);
}

/// The dialects of LLM calls: the first byte says between which, the rest is a request, a response and a stream.
pub fn dialects(bytes: &[u8]) {
    let Some((&which, rest)) = bytes.split_first() else { return };
    let dialect = |number: u8| Dialect::ALL[usize::from(number) % Dialect::ALL.len()];
    let (from, to) = (dialect(which), dialect(which / 3));
    if let Ok(object) = Object::read(rest) {
        assert!(object.edited(&[]).as_bytes() == rest, "an edit of nothing changes nothing");
        let _ = reading::read(from, &object);
    }
    let provider = Provider { max_output_tokens: Some(9), ..Provider::new(to, "m") };
    if let Ok(translation) = request(from, rest, &provider) {
        assert!(Object::read(translation.body.as_bytes()).is_ok(), "what is sent on is an object");
    }
    let translation =
        request(Dialect::Messages, br#"{"messages":[],"max_tokens":9}"#, &provider).expect("it is a request");
    let _ = translation.response(rest, 0);
    let (mut watch, mut translated) = (stream::Watch::new(to, true), translation.stream(0));
    let (mut parser, mut events) = (Parser::new(1 << 20), Vec::new());
    if parser.push(rest, &mut events).is_ok() {
        events.extend(parser.finish().ok().flatten());
        for event in &events {
            let _ = (watch.look(event), translated.event(event));
        }
    }
    let _ = (watch.end(), translated.end());
}

/// A function of this crate.
pub type Body = fn(&[u8]);

/// All functions of this crate with the names of their targets.
pub const ALL: [(&str, Body); 20] = [
    ("bundle", bundle),
    ("published", published),
    ("container", container),
    ("tokenizer", tokenizer),
    ("messages", messages),
    ("inputs", inputs),
    ("output", output),
    ("weight_shares", weight_shares),
    ("bit_tensor", bit_tensor),
    ("packing", packing),
    ("dialects", dialects),
    ("configuration", configuration),
    ("certificate", certificate),
    ("ledger", ledger),
    ("clients", clients),
    ("choices", choices),
    ("public_part", public_part),
    ("session", session),
    ("kept", kept),
    ("handshake", handshake),
];
