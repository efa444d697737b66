use proptest::prelude::*;

use super::{
    container::{ContainerError, Section},
    *,
};
use crate::lexical::Lexical;
use crate::tokenizer::{Window, tests::sample_json};

fn matrix(rows: usize, columns: usize) -> Matrix {
    Matrix::from_fn(rows, columns, |row, column| ((row * columns + column) as f32 * 0.37).sin())
}

fn parts() -> BundleParts {
    let encoder = EncoderConfig {
        layers: 1,
        hidden: 4,
        heads: 2,
        ffn: 6,
        vocabulary: 15,
        segments: 2,
        max_tokens: 8,
        attention: Attention::TwoRelu,
        ..EncoderConfig::minilm()
    };
    let linear = |inputs, outputs| LinearLayer {
        weight: matrix(inputs, outputs).quantised(Axis::Columns, 10),
        bias: matrix(1, outputs),
    };
    let norm = || LayerNorm { gain: matrix(1, 4), bias: matrix(1, 4) };
    let cost = || Matrix::new(1, 3, vec![0.25, 1.0, 0.0]).unwrap();
    let router = |name: &str, rule| Router { name: name.to_owned(), lambda: 0.1, lexical: None, rule };
    let model = |name: &str, price| Model { name: name.to_owned(), price, unit: "USD per 1M tokens".to_owned() };
    BundleParts {
        embedding: EmbeddingTables {
            token: matrix(15, 4).quantised(Axis::Rows, 7),
            position: matrix(8, 4),
            segment: matrix(2, 4),
            norm: norm(),
        },
        layers: vec![Layer {
            query: linear(4, 4),
            key: linear(4, 4),
            value: linear(4, 4),
            output: linear(4, 4),
            attention_norm: norm(),
            up: linear(4, 6),
            down: linear(6, 4),
            output_norm: norm(),
        }],
        encoder,
        tokenizer: sample_json(),
        models: vec![model("small", 0.2), model("large", 0.8), model("free", 0.0)],
        routers: vec![
            router(
                "near",
                Rule::UniRoute(UniRoute {
                    clusterings: 1,
                    centroids: matrix(5, 4),
                    errors: matrix(5, 3),
                    cost: cost(),
                }),
            ),
            router(
                "search",
                Rule::Cscr(Cscr {
                    w1: matrix(4, 4),
                    w2: matrix(4, 2),
                    descriptors: matrix(3, 2),
                    cost: cost(),
                    keep: 2,
                    score_lines: None,
                }),
            ),
            router("direct", Rule::Direct(Direct { weight: matrix(4, 3), bias: matrix(1, 3), cost: cost() })),
            network(cost()),
            stored(cost()),
        ],
        pool: None,
        origin: "made up for a test".to_owned(),
    }
}

/// A router with two hidden layers.
fn network(cost: Matrix) -> Router {
    let layer = |inputs, width| HiddenLayer { weight: matrix(inputs, width), bias: matrix(1, width) };
    let rule = Mlp { hidden: vec![layer(4, 6), layer(6, 5)], weight: matrix(5, 3), bias: matrix(1, 3), cost };
    Router { name: "network".to_owned(), lambda: 0.1, lexical: None, rule: Rule::Mlp(rule) }
}

/// A router by the two nearest of six stored prompts.
fn stored(cost: Matrix) -> Router {
    let (stored, offset, outcomes) = (matrix(6, 4), matrix(1, 6), matrix(6, 3));
    let rule = Rule::Neighbours(Neighbours { stored, offset, outcomes, cost, keep: 2 });
    Router { name: "stored".to_owned(), lambda: 0.1, lexical: None, rule }
}

/// A small bundle with every kind of router.
pub(super) fn small_bundle() -> Bundle {
    Bundle::new(parts()).unwrap()
}

fn bytes() -> Vec<u8> {
    Bundle::new(parts()).unwrap().write().unwrap()
}

/// The file of `parts()` with its header changed by hand, under right digests.
fn with_header(change: impl FnOnce(&mut serde_json::Value), extra: &[Section<'_>]) -> Vec<u8> {
    let bytes = bytes();
    let container = container::read(&bytes, "router-bundle").unwrap();
    let mut header = serde_json::from_slice(container.header()).unwrap();
    change(&mut header);
    let sections = [container.sections(), extra].concat();
    container::write("router-bundle", header.to_string().as_bytes(), &sections).unwrap()
}

#[test]
fn a_bundle_is_written_again_byte_for_byte() {
    let bundle = Bundle::new(parts()).unwrap();
    let read = Bundle::read(&bundle.write().unwrap()).unwrap();
    assert!(read.unknown.is_empty());
    assert_eq!(read.bundle.parts(), &parts());
    assert_eq!(read.bundle.digest(), bundle.digest());
    assert_eq!(read.bundle.write().unwrap(), bytes());
    assert_eq!(bundle.digest().to_string().len(), 64);
}

#[test]
fn the_digest_is_of_program_and_weights() {
    let original = Bundle::new(parts()).unwrap().digest();
    let changed = |change: fn(&mut BundleParts)| {
        let mut parts = parts();
        change(&mut parts);
        Bundle::new(parts).unwrap().digest()
    };
    assert_ne!(original, changed(|parts| parts.encoder.pooling = Pooling::Cls));
    assert_ne!(original, changed(|parts| parts.models[0].price = 0.3));
    assert_ne!(
        original,
        changed(|parts| parts.layers[0].key.bias = matrix(1, 4).transposed().transposed().quantised(Axis::Rows, 7))
    );
    assert_ne!(original, changed(|parts| parts.routers[1].lambda = 0.2));
    assert_eq!(original, changed(|_| {}));
}

#[test]
fn the_window_is_kept_and_the_default_one_leaves_the_file_as_it_was() {
    let of = |window: Window| {
        let mut parts = parts();
        parts.encoder.window = window;
        Bundle::new(parts).unwrap()
    };
    let stated = |bundle: &Bundle| {
        let bytes = bundle.write().unwrap();
        let header = container::read(&bytes, "router-bundle").unwrap().header().to_vec();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        header["encoder"].get("window").cloned()
    };
    assert_eq!(Window::ALL.map(|window| stated(&of(window))), [None, Some("tail".into()), Some("both".into())]);
    for window in Window::ALL {
        let bundle = of(window);
        let read = Bundle::read(&bundle.write().unwrap()).unwrap();
        assert!(read.unknown.is_empty());
        assert_eq!((read.bundle.parts().encoder.window, read.bundle.digest()), (window, bundle.digest()));
        // Every client reads it from the public part.
        let files = split(&bundle, &SplitRandomness::new(&[7; SplitRandomness::BYTES])).unwrap();
        assert_eq!(PublicPart::read(&files.public).unwrap().encoder.window, window);
        assert_eq!(PublicPart::unsplit(&bundle).encoder.window, window);
        assert_eq!(window.to_string().parse::<Window>().unwrap(), window);
    }
    assert_ne!(of(Window::Tail).digest(), of(Window::Head).digest());
    let other = Bundle::read(&with_header(|header| header["encoder"]["window"] = "middle".into(), &[]));
    assert!(other.unwrap_err().to_string().contains("middle"));
}

#[test]
fn lexical_features_are_kept_and_widen_what_the_rule_reads() {
    let mut parts = parts();
    let lexical = Lexical { hashed: 4, scale: 2.5 };
    parts.routers[2].lexical = Some(lexical);
    let fault = Bundle::new(parts.clone()).unwrap_err().to_string();
    assert!(fault.contains("router.direct.weight") && fault.contains("21"), "{fault}");
    let Rule::Direct(rule) = &mut parts.routers[2].rule else { panic!("the third router is another") };
    rule.weight = matrix(4 + lexical.width(), 3);
    let bundle = Bundle::new(parts.clone()).unwrap();
    let read = Bundle::read(&bundle.write().unwrap()).unwrap();
    assert!(read.unknown.is_empty());
    assert_eq!(read.bundle.parts(), &parts);
    parts.routers[2].lexical = Some(Lexical { hashed: 3, scale: 2.5 });
    let fault = Bundle::new(parts.clone()).unwrap_err().to_string();
    assert!(fault.contains("hashed features of router \"direct\" is 3, expected a power of two"), "{fault}");
}

#[test]
fn public_and_secret_are_told_apart() {
    let bundle = Bundle::new(parts()).unwrap();
    assert!(bundle.public_tensors().iter().all(|(name, _)| name.starts_with("embedding.")));
    let secret = bundle.secret_tensors();
    assert!(secret.iter().all(|(name, _)| name.starts_with("layer.") || name.starts_with("router.")));
    assert_eq!((bundle.public_tensors().len(), secret.len()), (5, 16 + 3 + 4 + 3 + 7 + 4));
    assert!(!format!("{bundle:?}").contains("0.36"), "a secret matrix is printed");
}

#[test]
fn routers_are_found_by_name() {
    let bundle = Bundle::new(parts()).unwrap();
    assert_eq!(bundle.router(None).unwrap().kind(), "uniroute");
    assert_eq!(bundle.router(Some("search")).unwrap().kind(), "cscr");
    let error = bundle.router(Some("nowhere")).unwrap_err();
    assert!(error.to_string().contains("near, search, direct"), "{error}");
}

#[test]
fn unknown_fields_and_sections_are_named_and_their_values_not_shown() {
    let extra = [Section { name: "colour", payload: b"blue" }];
    let change = |header: &mut serde_json::Value| {
        header["flavour"] = "sweet".into();
        header["encoder"]["spice"] = 3.into();
        header["routers"][1]["depth"] = 3.into();
    };
    let read = Bundle::read(&with_header(change, &extra)).unwrap();
    assert_eq!(read.unknown, ["header.encoder.spice", "header.flavour", "header.routers[1].depth", "section colour"]);
    assert_eq!(read.bundle.parts(), &parts());
    assert_ne!(read.bundle.digest(), Bundle::new(parts()).unwrap().digest());
}

#[test]
fn hostile_headers_are_clear_errors() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, &str); 25] = [
        (|h| *h = 3.into(), "header cannot be read"),
        (|h| h["encoder"]["hidden"] = 0.into(), "encoder.hidden is 0"),
        (|h| h["encoder"]["hidden"] = u64::MAX.into(), "encoder.hidden is 18446744073709551615"),
        (|h| h["encoder"]["hidden"] = 8.into(), "15 × 4, expected 15 × 8 by the bundle's configuration"),
        (|h| h["encoder"]["heads"] = 3.into(), "a multiple of encoder.heads = 3"),
        (|h| h["encoder"]["layers"] = 2.into(), "\"layer.1.query.weight\" is missing"),
        (|h| h["encoder"]["attention"] = "cubic".into(), "unknown variant `cubic`"),
        (
            |h| h["encoder"]["widths"] = serde_json::json!({"layer": 99}),
            "encoder.widths.layer is 99, expected from 4 to 12",
        ),
        (
            |h| h["encoder"]["widths"] = serde_json::json!({"sum_range": 11}),
            "ring of encoder.widths for sum, in bits is 33, expected at most 32",
        ),
        (|h| h["encoder"]["layer_norm_epsilon"] = (-1.0).into(), "layer_norm_epsilon is -1"),
        (|h| h["models"][1]["name"] = "small".into(), "\"small\" twice"),
        (|h| h["models"][1]["name"] = " ".into(), "in which the name \" \" is empty"),
        (|h| h["models"][1]["name"] = "a\nb".into(), "the name \"a\\nb\" holds the control character U+000A"),
        (
            |h| h["models"][1]["name"] = "\u{1b}[2J".into(),
            "holds the control character U+001B, expected one with printable names",
        ),
        (|h| h["models"][1]["name"] = "x".repeat(300).into(), "has 300 bytes, at most 256 are allowed"),
        (|h| h["models"][1]["unit"] = "\u{9b}2J".into(), "the unit \"\\u{9b}2J\" holds the control character U+009B"),
        (|h| h["models"][0]["price"] = (-1).into(), "price of \"small\" is -1"),
        (|h| h["routers"][0]["name"] = "../x".into(), "router name is \"../x\""),
        (|h| h["routers"][0]["lambda"] = (-0.5).into(), "lambda of router \"near\" is -0.5"),
        (|h| h["routers"][1]["keep"] = 4.into(), "keep of router \"search\" is 4, expected from 1 to 3"),
        (|h| h["routers"][0]["clusters"] = u32::MAX.into(), "clusters of router \"near\""),
        (
            |h| h["routers"][3]["second"] = 5000.into(),
            "second width of router \"network\" is 5000, expected from 1 to 2048",
        ),
        (|h| h["routers"][4]["keep"] = 7.into(), "keep of router \"stored\" is 7, expected from 1 to 6"),
        (|h| h["routers"][4]["stored"] = u32::MAX.into(), "number of stored prompts of router \"stored\""),
        (|h| h["routers"][4]["kind"] = "forest".into(), "unknown variant `forest`"),
    ];
    for (change, expected) in cases {
        let error = Bundle::read(&with_header(change, &[])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let problem = |change: fn(&mut BundleParts)| {
        let mut parts = parts();
        change(&mut parts);
        Bundle::new(parts).unwrap_err().to_string()
    };
    assert!(problem(|parts| parts.layers.clear()).contains("number of layers is 0"));
    assert!(
        problem(|parts| parts.layers[0].up = parts.layers[0].down.clone()).contains("\"layer.0.up.weight\" is 6 × 4")
    );
    assert!(problem(|parts| parts.models.truncate(2)).contains("\"router.near.errors\" is 5 × 3"));
    assert!(problem(|parts| parts.embedding.segment = Matrix::from_fn(2, 4, |_, _| f32::NAN)).contains("not finite"));
    assert!(
        problem(|parts| {
            let Rule::Direct(rule) = &mut parts.routers[2].rule else { unreachable!() };
            rule.cost = Matrix::from_fn(1, 3, |_, _| 2.0);
        })
        .contains("cost of router \"direct\" is 2")
    );
    assert!(problem(|parts| parts.routers[1].name = "near".to_owned()).contains("\"near\" twice"));
}

#[test]
fn settings_have_names() {
    assert_eq!("2relu".parse::<Attention>().unwrap(), Attention::TwoRelu);
    assert_eq!(Activation::Gelu.to_string(), "gelu");
    let error = "max".parse::<Pooling>().unwrap_err().to_string();
    assert!(error.contains("expected mean or cls"), "{error}");
}

#[test]
fn a_file_of_another_kind_is_named() {
    let other = container::write("router-share", b"{}", &[]).unwrap();
    let error = Bundle::read(&other).unwrap_err();
    assert!(matches!(error, BundleError::Container(ContainerError::Kind { .. })));
    assert!(error.to_string().contains("\"router-share\""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_altered_byte_is_an_error(at in 0..bytes().len(), by in 1..=255u8, truncate: bool) {
        let mut bytes = bytes();
        if truncate {
            bytes.truncate(at);
        } else {
            bytes[at] ^= by;
        }
        prop_assert!(Bundle::read(&bytes).is_err());
    }
}
