//! Importing published encoders of other depths and widths: they are imported completely or refused, and compute the
//! published function, in the clear and under MPC.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod choices;
mod reference;

use blindroute_protocol::{Clear, Party, Tensor};
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, ImportError, ImportOptions, ImportedEncoder, Pooling, Precision, ProgramChoices,
    PublicPart, PublishedFiles, ShareFile, SplitRandomness, split,
};
use blindroute_routing::program::{
    BundlePlan, Measurement, RangeError, RouteInputs, RouteProgram, check_ranges, weight_tensors,
};
use blindroute_testkit::{NumberType, PublishedEncoder, TestWorld};
use proptest::prelude::*;
use reference::reference;
use std::sync::Arc;

fn options(precision: Precision) -> ImportOptions {
    ImportOptions { precision, ..ImportOptions::default() }
}

fn import_with(
    weights: &[u8],
    config: &str,
    tokenizer: &str,
    options: &ImportOptions,
) -> Result<ImportedEncoder, ImportError> {
    let published = PublishedFiles {
        weights,
        config: config.as_bytes(),
        tokenizer: tokenizer.as_bytes(),
        pooling: None,
        modules: None,
    };
    Bundle::import(&published, options)
}

fn import(encoder: &PublishedEncoder, precision: Precision) -> Result<ImportedEncoder, ImportError> {
    let weights = encoder.safetensors(NumberType::F32);
    import_with(&weights, &encoder.config(), &PublishedEncoder::tokenizer(), &options(precision))
}

/// Three layers of no usual width.
fn sample() -> PublishedEncoder {
    PublishedEncoder::made_up(3, 60, 5, 88)
}

fn exact(encoder: &PublishedEncoder) -> Bundle {
    import(encoder, Precision::Exact).unwrap().bundle
}

#[track_caller]
fn refused(encoder: &PublishedEncoder, says: &[&str]) {
    for precision in [Precision::Exact, Precision::default()] {
        let error = import(encoder, precision).unwrap_err().to_string();
        for part in says {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }
}

#[track_caller]
fn refused_config(from: &str, to: &str, says: &[&str]) {
    let config = sample().config();
    assert!(config.contains(from));
    let weights = sample().safetensors(NumberType::F32);
    let result = import_with(&weights, &config.replace(from, to), &PublishedEncoder::tokenizer(), &Default::default());
    let error = result.unwrap_err().to_string();
    for part in says {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The embedding in the clear and by the parties.
fn embeddings(bundle: &Bundle, ids: &[u32]) -> [Vec<f64>; 2] {
    let plan = Arc::new(BundlePlan::of(bundle));
    let weights: Vec<Tensor<f32>> = weight_tensors(bundle, &plan).unwrap();
    let parts = bundle.parts();
    let inputs = RouteInputs::embed(&parts.embedding, &parts.encoder, ids, 32).unwrap().tensors;
    let program = RouteProgram::new(plan, Measurement::Embed { bucket: 32 }).unwrap();
    let clear = Clear::run(&program, &weights, inputs.clone()).unwrap().values.concat();
    let run = TestWorld::seeded(14).run(&program, &weights, &inputs).unwrap();
    assert_eq!(run.servers[0].openings, run.forecast.openings);
    [clear, run.output.values.concat()]
}

const IDS: [u32; 9] = [2, 5, 8, 7, 13, 14, 10, 6, 3];

#[test]
fn encoders_of_any_depth_and_width_give_the_published_embedding() {
    for (layers, hidden, heads, ffn) in [(3, 60, 5, 88), (1, 96, 12, 64), (8, 64, 1, 80)] {
        let encoder = PublishedEncoder::made_up(layers, hidden, heads, ffn);
        let bundle = exact(&encoder);
        let found = &bundle.parts().encoder;
        assert_eq!((found.layers, found.hidden, found.heads, found.ffn), (layers, hidden, heads, ffn));
        assert_eq!(
            (found.attention, found.activation, found.pooling),
            (Attention::Softmax, Activation::Gelu, Pooling::Mean)
        );
        let expected = reference(&encoder, &IDS);
        let [clear, private] = embeddings(&bundle, &IDS);
        let near = [cosine(&expected, &clear), cosine(&expected, &private)];
        assert!(near[0] > 0.9999 && near[1] > 0.999, "{layers} layers of {hidden}: {near:?}");
        // The stored form and the split are of the same sizes.
        let stored = Bundle::read(&bundle.write().unwrap()).unwrap().bundle;
        assert_eq!(stored.digest(), bundle.digest());
        let files = split(&stored, &SplitRandomness::new(&[7; SplitRandomness::BYTES])).unwrap();
        let public = PublicPart::read(&files.public).unwrap();
        let specs = public.plan.weights();
        for (share, party) in files.shares.iter().zip([Party::Zero, Party::One]) {
            ShareFile::read(share, &public.expected_share(party)).unwrap().weights(&specs).unwrap();
        }
    }
}

#[test]
fn a_deeper_file_is_not_its_first_layers() {
    // As a 12-layer model with a config.json of six.
    let mut six = PublishedEncoder::made_up(6, 60, 5, 88);
    six.layers = 3;
    refused(&six, &["6 layers", "num_hidden_layers = 3"]);
    six.layers = 7;
    refused(&six, &["6 layers", "num_hidden_layers = 7"]);
    six.layers = 6;
    assert_ne!(exact(&six).digest(), exact(&sample()).digest());
}

#[test]
fn a_tensor_that_is_not_used_is_refused_and_a_known_leftover_is_listed() {
    let mut encoder = sample();
    for name in ["pooler.dense.weight", "embeddings.position_ids", "cls.predictions.bias", "pooler.dense.bias"] {
        encoder.tensors.insert(name.to_owned(), (vec![1, 2], vec![0.0; 2]));
    }
    let imported = import(&encoder, Precision::Exact).unwrap();
    let expected = ["cls.predictions.bias", "embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"];
    assert_eq!(imported.leftovers, expected);
    assert_eq!(imported.bundle.digest(), exact(&sample()).digest());
    for name in
        ["encoder.layer.0.adapter.weight", "2.linear.weight", "encoder.layer.1.attention.self.query.weight_scale"]
    {
        let mut encoder = encoder.clone();
        encoder.tensors.insert(name.to_owned(), (vec![1], vec![0.0]));
        refused(&encoder, &["no use for", name]);
    }
    // Both names of one tensor: which is meant is not known.
    let mut twice = sample();
    twice.tensors.insert("embeddings.LayerNorm.gamma".to_owned(), (vec![60], vec![1.0; 60]));
    refused(&twice, &["no use for", "LayerNorm.gamma"]);
    let mut without = sample();
    without.tensors.remove("encoder.layer.2.output.dense.bias");
    refused(&without, &["no tensor \"encoder.layer.2.output.dense.bias\""]);
}

#[test]
fn prefixes_and_older_names_give_the_same_bundle() {
    let expected = exact(&sample()).digest();
    for prefix in ["model.", "bert.", "0.auto_model.", "module.bert."] {
        let mut encoder = sample().renamed(|name| format!("{prefix}{name}"));
        encoder.tensors.insert("cls.predictions.bias".to_owned(), (vec![1], vec![0.0]));
        encoder.tensors.insert(format!("{prefix}pooler.dense.bias"), (vec![1], vec![0.0]));
        let imported = import(&encoder, Precision::Exact).unwrap();
        assert_eq!((imported.bundle.digest(), imported.leftovers.len()), (expected, 2), "{prefix}");
    }
    let older =
        |name: &str| name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    assert_eq!(exact(&sample().renamed(older)).digest(), expected);
    let mut two = sample();
    two.tensors.extend(sample().renamed(|name| format!("teacher.{name}")).tensors);
    refused(&two, &["2 encoders", "teacher."]);
}

#[test]
fn halves_are_read() {
    for numbers in [NumberType::F16, NumberType::Bf16] {
        let rounded = sample().stored(numbers);
        let expected = exact(&rounded);
        assert_ne!(expected.digest(), exact(&sample()).digest());
        let tokenizer = PublishedEncoder::tokenizer();
        let weights = sample().safetensors(numbers);
        let found = import_with(&weights, &sample().config(), &tokenizer, &options(Precision::Exact)).unwrap();
        assert_eq!(found.bundle.digest(), expected.digest(), "{numbers:?}");
    }
    let text = String::from_utf8_lossy(&sample().safetensors(NumberType::F16)[..200]).into_owned();
    assert!(text.contains("F16"));
    let mut bytes = sample().safetensors(NumberType::F16);
    let header = bytes.iter().position(|byte| *byte == b'}').unwrap();
    let at = bytes[..header].windows(3).position(|word| word == b"F16").unwrap();
    bytes[at..at + 3].copy_from_slice(b"I16");
    let error = import_with(&bytes, &sample().config(), &PublishedEncoder::tokenizer(), &Default::default());
    assert!(error.unwrap_err().to_string().contains("stored as I16"));
}

#[test]
fn numbers_that_would_ruin_a_tensor_are_refused_by_its_name() {
    for name in [
        "encoder.layer.1.attention.self.value.weight",
        "embeddings.word_embeddings.weight",
        "encoder.layer.0.output.LayerNorm.bias",
    ] {
        for (number, says) in
            [(f32::NAN, "not finite"), (f32::NEG_INFINITY, "not finite"), (1e30, "magnitude 1024"), (-2e3, "1024")]
        {
            let mut encoder = sample();
            encoder.tensors.get_mut(name).unwrap().1[17] = number;
            refused(&encoder, &[name, says]);
        }
    }
    // Within the rings, but above what its row's other numbers survive.
    let mut encoder = sample();
    encoder.tensors.get_mut("encoder.layer.2.output.dense.weight").unwrap().1[2 * 88 + 1] = 1000.0;
    let error = import(&encoder, Precision::default()).unwrap_err().to_string();
    assert!(error.contains("\"encoder.layer.2.output.dense.weight\"") && error.contains("row 2 to 10 bits"), "{error}");
    assert!(error.contains("--exact"));
    import(&encoder, Precision::Exact).unwrap();
}

#[test]
fn files_that_are_damaged_or_something_else_are_named() {
    let whole = sample().safetensors(NumberType::F32);
    let error = |bytes: &[u8]| {
        let result = import_with(bytes, &sample().config(), &PublishedEncoder::tokenizer(), &Default::default());
        result.unwrap_err().to_string()
    };
    for end in [9, 500, whole.len() / 2, whole.len() - 1] {
        assert!(error(&whole[..end]).contains("truncated"), "{end}: {}", error(&whole[..end]));
    }
    assert!(error(&[&whole[..], b"\n"].concat()).contains("followed by other data"));
    assert!(error(b"nonsense").contains("model.safetensors"));
    assert!(error(b"version https://git-lfs.github.com/spec/v1\noid sha256:5\nsize 9\n").contains("git lfs pull"));
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:5\nsize 9\n";
    for (config, tokenizer) in
        [(pointer, PublishedEncoder::tokenizer().as_str()), (sample().config().as_str(), pointer)]
    {
        let error = import_with(&whole, config, tokenizer, &Default::default()).unwrap_err().to_string();
        assert!(error.contains("Git LFS pointer") && error.contains(".json"), "{error}");
    }
}

#[test]
fn what_the_program_cannot_do_is_refused() {
    for (other, class) in [
        ("roberta", "Roberta"),
        ("distilbert", "DistilBert"),
        ("mpnet", "MPNet"),
        ("modernbert", "ModernBert"),
        ("nomic_bert", "Nomic"),
    ] {
        refused_config(
            "\"model_type\": \"bert\"",
            &format!("\"model_type\": {other:?}"),
            &[&format!("a {other} encoder")],
        );
        refused_config("BertModel", &format!("{class}Model"), &[class]);
    }
    refused_config("absolute", "relative_key_query", &["position_embedding_type", "relative_key_query"]);
    refused_config("\"gelu\"", "\"silu\"", &["hidden_act = \"silu\"", "--ffn"]);
    refused_config("1e-12", "1e-3", &["layer_norm_eps = 0.001"]);
    refused_config(
        "\"vocab_size\": 15",
        "\"vocab_size\": 16",
        &["\"embeddings.word_embeddings.weight\" is [15, 60]", "[16, 60]"],
    );
    refused_config("\"hidden_size\": 60", "\"hidden_size\": 65", &["[15, 60]", "[15, 65]"]);
    refused_config("\"hidden_size\": 60", "\"hidden_size\": 64", &["multiple of encoder.heads = 5"]);
    refused_config(
        "\"intermediate_size\": 88",
        "\"intermediate_size\": 99",
        &["intermediate.dense.weight", "[99, 60]"],
    );
    refused_config("\"num_attention_heads\": 5, ", "", &["num_attention_heads = nothing"]);
    refused_config("\"max_position_embeddings\": 300", "\"max_position_embeddings\": 128", &["= 128", "256"]);
    refused_config("\"max_position_embeddings\": 300", "\"max_position_embeddings\": 512", &["[300, 60]", "[512, 60]"]);
    refused_config("{", "[", &["config.json cannot be read"]);
}

#[test]
fn modules_after_the_pooling_are_refused() {
    let weights = sample().safetensors(NumberType::F32);
    let (config, tokenizer) = (sample().config(), PublishedEncoder::tokenizer());
    let run = |modules: &str| {
        let published = PublishedFiles {
            weights: &weights,
            config: config.as_bytes(),
            tokenizer: tokenizer.as_bytes(),
            pooling: None,
            modules: Some(modules.as_bytes()),
        };
        Bundle::import(&published, &ImportOptions::default()).map(|_| ()).map_err(|error| error.to_string())
    };
    let module = |kind: &str| format!("{{\"idx\": 0, \"type\": \"sentence_transformers.models.{kind}\"}}");
    run(&format!("[{}, {}, {}]", module("Transformer"), module("Pooling"), module("Normalize"))).unwrap();
    let error = run(&format!("[{}, {}]", module("Transformer"), module("Dense"))).unwrap_err();
    assert!(error.contains("Dense"), "{error}");
}

#[test]
fn a_tokenizer_of_another_table_is_refused() {
    let weights = sample().safetensors(NumberType::F32);
    let run = |tokenizer: &str| import_with(&weights, &sample().config(), tokenizer, &options(Precision::Exact));
    let whole = PublishedEncoder::tokenizer();
    let added = "\"added_tokens\": [{\"id\": 15, \"content\": \"<<query>>\", \"special\": true, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false}]";
    let error = run(&whole.replace("\"added_tokens\": []", added)).unwrap_err().to_string();
    assert!(error.contains("\"<<query>>\" has id 15") && error.contains("15 rows"), "{error}");
    let error = run(&whole.replace("\"##p\": 14", "\"##p\": 40000")).unwrap_err().to_string();
    assert!(error.contains("\"##p\" has id 40000"), "{error}");
    // A padded table is no other model's, a far larger one is.
    let mut padded = sample();
    let rows = |encoder: &mut PublishedEncoder, rows: usize| {
        let (shape, numbers) = encoder.tensors.get_mut("embeddings.word_embeddings.weight").unwrap();
        shape[0] = rows;
        numbers.resize(rows * 60, 0.01);
    };
    rows(&mut padded, 64);
    let config = padded.config().replace("\"vocab_size\": 15", "\"vocab_size\": 64");
    let imported =
        import_with(&padded.safetensors(NumberType::F32), &config, &whole, &options(Precision::Exact)).unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("64 rows")), "{:?}", imported.notes);
    let config = config.replace("\"vocab_size\": 64", "\"vocab_size\": 30522");
    let error =
        import_with(&padded.safetensors(NumberType::F32), &config, &whole, &options(Precision::Exact)).unwrap_err();
    assert!(error.to_string().contains("15 tokens and the token table 30522 rows"), "{error}");
    // A file with a byte order mark, and sequences of one.
    let marked = run(&format!("\u{feff}{whole}")).unwrap();
    assert_eq!(marked.bundle.digest(), run(&whole).unwrap().bundle.digest());
}

#[test]
fn an_encoder_whose_values_exceed_its_rings_is_found() {
    check_ranges(&exact(&sample())).unwrap();
    // Pre-activations beyond the 2^7 that the program looks at.
    let mut large = sample();
    let (_, numbers) = large.tensors.get_mut("encoder.layer.1.intermediate.dense.bias").unwrap();
    numbers[3] = 300.0;
    let error = check_ranges(&exact(&large)).unwrap_err();
    assert!(matches!(error, RangeError::Overflow(_)), "{error}");
}

proptest! {
    #[test]
    fn a_changed_file_is_a_bundle_or_an_error(
        file in 0usize..3, at in 0usize..4000, byte in any::<u8>(), length_left in prop::option::of(0usize..4000),
    ) {
        let encoder = PublishedEncoder::made_up(1, 4, 2, 4);
        let tokenizer = PublishedEncoder::tokenizer().into_bytes();
        let mut files = [encoder.safetensors(NumberType::F32), encoder.config().into_bytes(), tokenizer];
        let length = files[file].len();
        files[file][at % length] = byte;
        if let Some(left) = length_left {
            files[file].truncate(left % length);
        }
        let [weights, config, tokenizer] = &files;
        let published = PublishedFiles { weights, config, tokenizer, pooling: None, modules: None };
        match Bundle::import(&published, &ImportOptions::default()) {
            Ok(imported) => prop_assert_eq!(imported.bundle.parts().layers.len(), 1),
            Err(error) => prop_assert!(error.to_string().len() > 20),
        }
    }
}
