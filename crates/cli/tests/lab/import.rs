//! `bundle import` of a made-up published encoder.

use crate::harness::{self, Ran, run, write};
use blindroute_routing::bundle::{Activation, Attention, Bundle, Pooling};
use blindroute_testkit::{NumberType, PublishedEncoder};
use std::path::{Path, PathBuf};

/// The files as somebody downloads them, and a bundle's path.
struct Download {
    folder: tempfile::TempDir,
    out: PathBuf,
}

impl Download {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut encoder = PublishedEncoder::made_up(3, 60, 5, 88);
        encoder.tensors.insert("pooler.dense.bias".to_owned(), (vec![60], vec![0.0; 60]));
        std::fs::write(folder.path().join("model.safetensors"), encoder.safetensors(NumberType::F32)).unwrap();
        write(folder.path(), "config.json", &encoder.config());
        write(folder.path(), "tokenizer.json", &PublishedEncoder::tokenizer());
        std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        write(&folder.path().join("1_Pooling"), "config.json", "{\"pooling_mode_cls_token\": true}");
        let out = folder.path().join("out.blindroute");
        Self { folder, out }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn import(&self, options: &[&str]) -> Ran {
        let (weights, tokenizer) = (self.path("model.safetensors"), self.path("tokenizer.json"));
        let files = ["bundle", "import", "--weights", &weights, "--tokenizer", &tokenizer];
        run(&[files.as_slice(), &["--out", self.out.to_str().unwrap()], options].concat())
    }
}

fn bundle(path: &Path) -> Bundle {
    Bundle::open(path).unwrap().bundle
}

#[test]
fn without_options_the_program_is_the_published_one() {
    let download = Download::new();
    let ran = download.import(&["--json"]);
    assert_eq!(ran.stderr, "");
    let answer = ran.json();
    assert_eq!(answer["left_out"], serde_json::json!(["pooler.dense.bias"]));
    assert_eq!((&answer["encoder"]["layers"], &answer["encoder"]["hidden"]), (&3.into(), &60.into()));
    let bundle = bundle(&download.out);
    assert_eq!(answer["digest"], bundle.digest().to_string());
    let encoder = &bundle.parts().encoder;
    let program = (encoder.attention, encoder.activation, encoder.pooling);
    assert_eq!(program, (Attention::Softmax, Activation::Gelu, Pooling::Cls));
    let said = download.import(&[]).stdout;
    assert!(
        said.contains("3 layers of width 60, 5 heads, feed-forward width 88, 15 tokens, softmax, gelu, cls"),
        "{said}"
    );
    assert!(said.contains("left out") && said.contains("pooler.dense.bias"), "{said}");
}

#[test]
fn a_cheaper_program_is_taken_with_a_warning() {
    let download = Download::new();
    let ran = download.import(&["--attention", "2relu", "--ffn", "relu"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("trained with softmax") && ran.stderr.contains("trained with gelu"), "{}", ran.stderr);
    assert!(ran.stderr.contains("blindroute distil"), "{}", ran.stderr);
    assert_eq!(bundle(&download.out).parts().encoder.attention, Attention::TwoRelu);
}

#[test]
fn the_configuration_is_found_beside_the_weights_or_named() {
    let download = Download::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("bert.json");
    std::fs::rename(download.path("config.json"), &moved).unwrap();
    let missing = download.import(&[]);
    assert!(missing.error().contains("config.json") && missing.error().contains("--config"), "{}", missing.stderr);
    let ran = download.import(&["--config", moved.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // No 1_Pooling lies beside it there.
    assert!(ran.stderr.contains("--pooling cls"), "{}", ran.stderr);
    assert_eq!(bundle(&download.out).parts().encoder.pooling, Pooling::Mean);
}

#[test]
fn a_pointer_to_weights_says_how_to_get_them_and_writes_nothing() {
    let download = Download::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:53aa51172d142c89\nsize 90868376\n";
    write(download.folder.path(), "model.safetensors", pointer);
    let ran = download.import(&[]);
    assert!(ran.error().contains("Git LFS pointer") && ran.error().contains("git lfs pull"), "{}", ran.stderr);
    assert!(!download.out.exists());
}

#[test]
fn an_encoder_beyond_the_rings_is_warned_of() {
    let download = Download::new();
    let mut encoder = PublishedEncoder::made_up(3, 60, 5, 88);
    encoder.tensors.get_mut("encoder.layer.1.intermediate.dense.bias").unwrap().1[3] = 300.0;
    std::fs::write(download.path("model.safetensors"), encoder.safetensors(NumberType::F32)).unwrap();
    let ran = download.import(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("leaves its ring") && ran.stderr.contains("placement"), "{}", ran.stderr);
}

#[test]
fn a_student_of_an_imported_encoder_is_taught_and_split() {
    let download = Download::new();
    assert_eq!(download.import(&["--exact", "--pooling", "mean"]).code, Some(0));
    let texts: Vec<String> =
        (1..40).map(|n| format!("{{\"text\": \"{} ab! {}\"}}", "a ".repeat(n % 7), "ba ".repeat(n))).collect();
    let (texts, student) = (write(download.folder.path(), "texts.jsonl", &texts.join("\n")), download.path("student"));
    let teacher = download.out.to_str().unwrap();
    let taught = run(&[
        "distil",
        "--teacher",
        teacher,
        "--text",
        &texts,
        "--steps",
        "3",
        "--tokens",
        "128",
        "--longest",
        "32",
        "--layers",
        "2",
        "--ffn-width",
        "40",
        "--out",
        &student,
        "--json",
    ]);
    assert_eq!(taught.json()["steps"], 3);
    let encoder = bundle(Path::new(&student)).parts().encoder.clone();
    assert_eq!((encoder.layers, encoder.hidden, encoder.heads, encoder.ffn), (2, 60, 5, 40));
    let parts = download.path("parts");
    let ran = run(&["bundle", "split", "--bundle", &student, "--out", &parts]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let files = harness::entries(Path::new(&parts));
    assert!(
        ["public.bin", "share0.bin", "share1.bin"].iter().all(|name| files.iter().any(|file| file.ends_with(name))),
        "{files:?}"
    );
}
