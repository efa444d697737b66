//! MixInstruct's files.

use super::*;
use mixinstruct::Scale;

/// An example with the scores of three models.
fn line(id: &str, input: &str, scores: [&str; 3]) -> String {
    let names = ["vicuna-13b-1.1", "koala-7B-HF", if id.contains("odd") { "mpt-7b" } else { "mpt-7b-instruct" }];
    let candidate = |(name, score): (&str, &str)| {
        format!(
            r#"{{"decoding_method": "top_p_sampling", "model": "{name}", "text": "An answer.",
            "scores": {{"logprobs": -0.5, "bertscore": 0.7, "bartscore": {score}}}}}"#
        )
        .replace('\n', " ")
    };
    let candidates: Vec<_> = names.into_iter().zip(scores).map(candidate).collect();
    format!(
        r#"{{"id": "{id}", "instruction": " a secret question", "input": "{input}", "output": "-", "candidates": [{}]}}"#,
        candidates.join(",")
    ) + "\n"
}

fn case(train: &str) -> Case {
    let valid = line("dolly/odd", "", ["-5", "-3", "-1"]);
    let test = line("sharegpt/1", "", ["-2", "\"-4\"", "-3"]);
    Case::new(&[
        ("train_data_prepared.jsonl", train),
        ("val_data_prepared.jsonl", &valid),
        ("test_data_prepared.jsonl", &test),
    ])
}

fn train() -> String {
    line("itwgpt4/1", "with input", ["-4", "-3", "-2"]) + "\n" + &line("itwgpt4/2", "", ["-3.5", "-3", "-2"])
}

#[test]
fn a_good_set_is_imported() {
    let files = case(&train());
    let imported = mixinstruct::import(&files.job(), "bartscore", Scale::MinMax).unwrap();
    assert_eq!((imported.models, imported.splits), (3, PerSplit { train: 2, valid: 1, test: 1 }));
    let set = files.set();
    // −4 to −2 on train; −5 and −1 in other splits are clamped.
    let expected = [0.0, 0.5, 1.0, 0.25, 0.5, 1.0, 0.0, 0.5, 1.0, 1.0, 0.0, 0.5];
    assert_eq!(set.scores().data(), expected);
    let first = &set.prompts()[0];
    assert_eq!((&first.id[..], &first.source[..]), ("itwgpt4/1", "itwgpt4"));
    assert_eq!(first.text, "a secret question\n\nwith input");
    assert_eq!(set.prompts()[1].text, "a secret question");
    let prices: Vec<_> = set.models().iter().map(|model| model.price).collect();
    assert_eq!((prices, set.models()[2].name.as_str()), (vec![13.0, 7.0, 7.0], "mpt-7b-instruct"));
}

#[test]
fn a_likelihood_can_be_the_score() {
    let files = case(&train());
    mixinstruct::import(&files.job(), "bartscore", Scale::Exp).unwrap();
    let expected = (-4f64).exp() as f32;
    assert_eq!(files.set().scores().data()[0], expected);
    let files = case(&train());
    let answer = mixinstruct::import(&files.job(), "bertscore", Scale::Exp);
    files.refused(answer, "a bertscore is 0.7, not the logarithm of a likelihood");
    for scale in Scale::ALL {
        assert_eq!(scale.to_string().parse(), Ok(scale));
    }
    assert_eq!("log".parse::<Scale>(), Err(()));
}

#[test]
fn each_fault_names_its_file_line_and_remedy() {
    let refused = |files: Case, says: &str| {
        files.refused(mixinstruct::import(&files.job(), "bartscore", Scale::MinMax), says);
    };
    let with = |from: &str, to: &str, says: &str| refused(case(&edit(&train(), from, to)), says);
    with("{", "[", "train_data_prepared.jsonl, line 1: the line is a list; write one object per line");
    with("\"id\"", "\"name\"", "line 1: the line does not have id and candidates with model and scores");
    with(
        "\"scores\": {",
        "\"scores\": {\"x\": NaN, ",
        "line 1: the line holds NaN or Infinity, which JSON does not have",
    );
    with("-3.5", "\"NaN\"", "line 3: the bartscore of \"vicuna-13b-1.1\" is not finite; correct it");
    with("-3.5", "\"a secret question\"", "the bartscore of \"vicuna-13b-1.1\" is not a number");
    with("-3.5", "[1]", "the bartscore of \"vicuna-13b-1.1\" is not a number");
    with("-3.5", "1e400", "line 3: the line is not valid JSON");
    with("itwgpt4/2", "itwgpt4/1", "line 3: the id \"itwgpt4/1\" is repeated");
    with("itwgpt4/2", "itwgpt4\\u002f1", "line 3: the id \"itwgpt4/1\" is repeated");
    with("-3.5", "null", "1 of 4 prompts lack the score of a model, most often of \"vicuna-13b-1.1\"");
    with("koala-7B-HF", "koala", "4 of 4 prompts lack the score of a model");
    refused(case(""), "the split train has no prompt");
    refused(case(&train().replace("a secret question", "")), "line 3: instruction and input are empty");
    let same = line("a/1", "", ["-2", "-2", "-2"]);
    refused(case(&same), "every bartscore on train is -2; choose another metric");
    refused(Case::new(&[]), "MixInstruct is a folder with train_data_prepared.jsonl");
    let files = case(&train());
    let answer = mixinstruct::import(&files.job(), "bleurt", Scale::MinMax);
    files.refused(answer, "no candidate has the metric \"bleurt\"; name one of: bartscore, bertscore, logprobs");
}

#[test]
fn names_without_a_size_need_prices() {
    let renamed = |text: &str| text.replace("vicuna-13b-1.1", "alpaca-native");
    let files = case(&renamed(&train()));
    for name in ["val", "test"] {
        let path = files.path(&format!("from/{name}_data_prepared.jsonl"));
        fs::write(&path, renamed(&fs::read_to_string(&path).unwrap())).unwrap();
    }
    let answer = mixinstruct::import(&files.job(), "bartscore", Scale::MinMax);
    files.refused(answer, "the names of 1 models (\"alpaca-native\") do not have exactly one size");
}
