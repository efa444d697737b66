//! EmbedLLM's files.

use super::*;

/// The columns in the authors' order as far as it is known, with one unknown column.
const HEADER: &str = "prompt_id,model_id,category_id,label,prompt,model_name,category,more\n";
const TRAIN: &str = "7,0,3,1,\"a secret question,\nof two lines\",tiny-1.1b,mmlu_law,x\n\
    7,1,3,0,\"a secret question,\nof two lines\",org/big-13B,mmlu_law,x\n\
    8,0,1,0,Why?,tiny-1.1b,piqa,x\n8,1,1,1,Why?,org/big-13B,piqa,x\n\
    8,0,2,1,Why?,tiny-1.1b,piqa_other,x\n";
const VALID: &str = "9,1,1,1,Who?,org/big-13B,piqa,x\n9,0,1,1,Who?,tiny-1.1b,piqa,x\n";
const TEST: &str = "7,0,3,1.0,\"a secret question,\nof two lines\",tiny-1.1b,mmlu_law,x\n\
    7,1,3,0.0,\"a secret question,\nof two lines\",org/big-13B,mmlu_law,x\n";

fn case(train: &str, valid: &str, test: &str) -> Case {
    let [train, valid, test] = [train, valid, test].map(|rows| HEADER.to_owned() + rows);
    Case::new(&[("train.csv", &train), ("val.csv", &valid), ("test.csv", &test)])
}

#[test]
fn a_good_set_is_imported() {
    let case = case(TRAIN, VALID, TEST);
    let imported = embedllm::import(&case.job()).unwrap();
    let splits = PerSplit { train: 2, valid: 1, test: 1 };
    let expected = Imported {
        out: case.path("out"),
        models: 2,
        cost_unit: "parameters, billions".to_owned(),
        query_costs: false,
        splits,
        dropped: 0,
        averaged: 1,
    };
    assert_eq!(imported, expected);
    let set = case.set();
    let models: Vec<_> = set.models().iter().map(|model| (model.name.as_str(), model.price)).collect();
    assert_eq!(models, [("tiny-1.1b", 1.1), ("org/big-13B", 13.0)]);
    // Prompt 8 is in two task variants, with different labels.
    assert_eq!(set.scores().data(), [1.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.0]);
    let prompts: Vec<_> = set.prompts().iter().map(|prompt| (&prompt.id[..], &prompt.source[..])).collect();
    let expected = [("train-7", "mmlu_law"), ("train-8", "piqa"), ("valid-9", "piqa"), ("test-7", "mmlu_law")];
    assert_eq!(prompts, expected);
    assert_eq!(set.prompts()[0].text, "a secret question,\nof two lines");
    // The publisher put it there, and the check reports it.
    assert_eq!(check(&case.path("out"), &[]).unwrap().across_splits.texts, 1);
    // A second import does not change existing files.
    let error = embedllm::import(&case.job()).unwrap_err().to_string();
    assert!(error.contains("already exists and is not empty; name a new folder"), "{error}");
}

#[test]
fn prices_may_come_from_a_file() {
    let case = case(TRAIN, VALID, TEST);
    let prices = "cost_unit,model_name,cost\nUSD,org/big-13B,2\nUSD,tiny-1.1b,0.5\nUSD,unused,9\n";
    let job = Job { prices: Some(case.path("prices.csv")), ..case.job() };
    let with = |text: &str| {
        fs::write(case.path("prices.csv"), text).unwrap();
        embedllm::import(&job)
    };
    for (from, to, says) in [
        ("2\n", "-2\n", "prices.csv, line 2: the cost of \"org/big-13B\" is -2, expected a number of at least 0"),
        ("2\n", "NaN\n", "is NaN"),
        ("2\n", "\n", "is missing"),
        ("USD,tiny", "EUR,tiny", "line 3: the cost_unit is \"EUR\", that of the rows before \"USD\""),
        ("unused", "tiny-1.1b", "line 4: \"tiny-1.1b\" has two rows"),
        ("tiny-1.1b", "tiny", "the price of 1 models (\"tiny-1.1b\") is missing; add rows"),
        ("model_name", "model", "there is no column \"model_name\"; it needs model_name, cost and cost_unit"),
    ] {
        case.refused(with(&edit(prices, from, to)), says);
    }
    fs::remove_file(case.path("prices.csv")).unwrap();
    case.refused(embedllm::import(&job), "prices are a CSV file with model_name");
    with(prices).unwrap();
    let model = case.set().models()[1].clone();
    assert_eq!((model.name.as_str(), model.price, model.unit.as_str()), ("org/big-13B", 2.0, "USD"));
}

#[test]
fn each_fault_names_its_file_line_and_remedy() {
    let refused = |files: Case, says: &str| files.refused(embedllm::import(&files.job()), says);
    let train = |from: &str, to: &str, says: &str| refused(case(&edit(TRAIN, from, to), VALID, TEST), says);
    train(",1,\"a", ",2,\"a", "train.csv, line 2: the label is 2, expected 0 or 1");
    train(",1,\"a", ",NaN,\"a", "train.csv, line 2: the label is NaN");
    train(",1,\"a", ",,\"a", "train.csv, line 2: the label is missing");
    train(",1,\"a", ",a secret question,\"a", "train.csv, line 2: the label is not a number");
    train("8,0,1", ",0,1", "train.csv, line 6: the prompt_id is empty");
    train("tiny-1.1b", " ", "line 2: the model_name is empty");
    train("Why?", "", "line 6: the prompt is empty");
    train("Why?", "How?", "line 7: the prompt_id \"8\" already has another prompt");
    train(",x\n8,0,1", "\n8,0,1", "line 4: the row has 7 fields, the header 8");
    train("org/big-13B", "org/big-13b", "4 of 4 prompts lack the score of a model");
    refused(case(TRAIN, "", TEST), "the split valid has no prompt; use the whole set");
    let files = Case::new(&[("train.csv", "prompt_id,label\n")]);
    refused(files, "train.csv: there is no column \"model_name\"; it needs prompt_id, model_name, category, label");
    let twice = HEADER.replace("more", "label") + TRAIN;
    refused(Case::new(&[("train.csv", &twice)]), "there are two columns \"label\"");
    refused(Case::new(&[("train.csv", "")]), "there is no column");
    refused(Case::new(&[("train.csv", &(HEADER.to_owned() + TRAIN))]), "EmbedLLM is a folder with train.csv, val.csv");
    let rows = TRAIN.replace("org/big-13B", "tiny-1.1b");
    let one = |rows: &str| rows.replace("org/big-13B", "tiny-1.1b");
    refused(case(&rows, &one(VALID), &one(TEST)), "it has 1 models, expected at least two");
    let unsized_names = [TRAIN, VALID, TEST].map(|rows| rows.replace("big-13B", "big"));
    refused(
        case(&unsized_names[0], &unsized_names[1], &unsized_names[2]),
        "the names of 1 models (\"org/big\") do not have exactly one size; name a CSV file with --prices",
    );
    let files = case(TRAIN, VALID, TEST);
    fs::write(files.path("from/val.csv"), b"prompt_id\xff\n").unwrap();
    refused(files, "val.csv, line 1: the row is not UTF-8");
}

#[test]
fn prompts_with_missing_scores_can_be_left_out() {
    let rows = TRAIN.replacen("8,1,1,1,Why?,org/big-13B,piqa,x\n", "", 1);
    let files = case(&rows, VALID, TEST);
    files.refused(
        embedllm::import(&files.job()),
        "1 of 4 prompts lack the score of a model, most often of \"org/big-13B\" (1 prompts)",
    );
    let job = Job { drop_incomplete: true, ..files.job() };
    assert_eq!(embedllm::import(&job).unwrap().dropped, 1);
    assert_eq!(files.set().places(Split::Train), [0]);
    // But a split must not become empty.
    let files = case(TRAIN, "9,1,1,1,Who?,org/big-13B,piqa,x\n", TEST);
    let job = Job { drop_incomplete: true, ..files.job() };
    files.refused(embedllm::import(&job), "the split valid has no prompt with every model's score");
}

#[test]
fn folders_that_cannot_be_written_are_refused_first() {
    let files = Case::new(&[]);
    let out = |out: PathBuf| embedllm::import(&Job { out, ..files.job() });
    files.refused(out(files.path("from/not/there")), "name a folder where you can write");
    files.refused(out(files.path("from/..")), "already exists and is not empty");
    fs::write(files.path("from/file"), "").unwrap();
    files.refused(out(files.path("from/file")), "could not write");
    files.refused(out(files.path("from/file/below")), "could not write");
    // An empty folder is accepted.
    let files = case(TRAIN, VALID, TEST);
    fs::create_dir(files.path("out")).unwrap();
    embedllm::import(&files.job()).unwrap();
    assert_eq!(files.set().prompts().len(), 4);
}
