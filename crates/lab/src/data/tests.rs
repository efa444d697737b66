use super::*;
use blindroute_testkit::shared_data;
use std::fs;

const MODELS: &str =
    r#"[{"name": "small", "cost": 0.1, "cost_unit": "USD", "params": 7}, {"name": "big, large", "cost": 1}]"#;
const PROMPTS: &str = r#"{"id": "a", "prompt": "What?", "source": "qa", "split": "train"}

{"id": "b", "prompt": "Why?", "source": "qa", "split": "valid"}
{"id": "c", "prompt": "Who?", "source": "qa", "split": "test", "more": 1}
"#;
const OUTCOMES: &str = "id,\"big, large\",small\nb,0.5,0\na,1,0.25\nc,1,1\n";

fn load(models: &str, prompts: &str, outcomes: &str) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("models.json"), models).unwrap();
    fs::write(folder.path().join("prompts.jsonl"), prompts).unwrap();
    fs::write(folder.path().join("outcomes.csv"), outcomes).unwrap();
    Dataset::load(folder.path())
}

#[test]
fn a_good_set_is_read() {
    let set = load(MODELS, PROMPTS, OUTCOMES).unwrap();
    assert_eq!(set.models()[1].name, "big, large");
    assert_eq!(set.relative_costs(), [0.1, 1.0]);
    assert_eq!(set.prompts().len(), 3);
    assert_eq!(set.scores().data(), [0.25, 1.0, 0.0, 0.5, 1.0, 1.0]);
    assert_eq!(set.places(Split::Valid), [1]);
    let embeddings = Matrix::from_fn(3, 2, |row, _| row as f32);
    let samples = set.samples(Split::Valid, &embeddings).unwrap();
    assert_eq!((samples.embeddings().data(), samples.scores().data()), (&[1.0, 1.0][..], &[0.0, 0.5][..]));
    assert!(set.samples(Split::Valid, &Matrix::from_fn(2, 2, |_, _| 0.0)).is_err());
    assert_eq!(format!("{:?}", set.prompts()[0]), "Prompt(a, train, 5 bytes)");
}

#[test]
fn each_fault_names_its_file_line_and_remedy() {
    let edit = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from));
        text.replacen(from, to, 1)
    };
    let models = |from, to| load(&edit(MODELS, from, to), PROMPTS, OUTCOMES);
    let prompts = |from, to| load(MODELS, &edit(PROMPTS, from, to), OUTCOMES);
    let outcomes = |from, to| load(MODELS, PROMPTS, &edit(OUTCOMES, from, to));
    let cases = [
        (models("[", ""), "models.json: trailing characters"),
        (models("0.1", "-0.1"), "the cost of \"small\" is -0.1"),
        (models("0.1", "\"free\""), "models.json: invalid type"),
        (models("big, large", "small"), "\"small\" appears twice"),
        (load("[{\"name\": \"small\", \"cost\": 0.1}]", PROMPTS, OUTCOMES), "it has 1 models, expected at least two"),
        (prompts("{", "{,"), "prompts.jsonl, line 1: the line is not valid JSON"),
        (prompts("\"Why?\"", "17"), "prompts.jsonl, line 3: the line does not have the fields"),
        (prompts("\"id\": \"b\"", "\"id\": \"a\""), "line 3: the id \"a\" was already on line 1"),
        (prompts("Why?", " \\n"), "prompts.jsonl, line 3: the prompt is blank; remove the line"),
        (prompts("valid", "validation"), "line 3: the split is \"validation\", expected train, valid or test"),
        (prompts("valid", "train"), "the split valid has no prompt"),
        (load(MODELS, "", OUTCOMES), "the split train has no prompt"),
        (outcomes("small", "tiny"), "the column \"tiny\" is not a model of models.json"),
        (outcomes("id,", "ID,"), "the column \"ID\" is not a model"),
        (load(MODELS, PROMPTS, "id,small\na,1\nb,1\nc,1\n"), "there is no column \"big, large\""),
        (load(MODELS, PROMPTS, "id,small,small,\"big, large\"\n"), "there are two columns \"small\""),
        (outcomes("0.5", "NaN"), "outcomes.csv, line 2: the score of \"big, large\" is NaN"),
        (outcomes("0.5", "1.5"), "expected a number from 0 to 1"),
        (outcomes("0.5", ""), "is missing, expected a number from 0 to 1; `blindroute data check` lists all"),
        (outcomes("0.5,0", "0.5"), "line 2: the row has 2 fields, the header 3"),
        (outcomes("0.5", "Why?"), "the score of \"big, large\" is not a number"),
        (outcomes("c,1,1\n", ""), "the prompt \"c\" has no row; add one or remove the prompt; `blindroute data check`"),
        (outcomes("c,1,1", "a,1,1"), "line 4: \"a\" has two rows"),
        (outcomes("c,1,1", "z,1,1"), "line 4: there is no prompt \"z\""),
        (outcomes("1,0.25", "1,1"), "every model scores the same on every prompt of the split train"),
        (load(MODELS, PROMPTS, ""), "there is no column \"id\""),
    ];
    for (answer, expected) in cases {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
        assert!(!error.contains("Why?"), "an error holds a prompt: {error}");
    }
}

/// Editors and spreadsheets on Windows write a byte order mark, and lines that end with a carriage return.
#[test]
fn files_of_windows_editors_are_read_with_correct_line_numbers() {
    let marked = |text: &str| "\u{feff}".to_owned() + text;
    let set = load(&marked(MODELS), &marked(PROMPTS), &marked(OUTCOMES)).unwrap();
    assert_eq!((set.prompts()[0].id.as_str(), set.models()[0].name.as_str()), ("a", "small"));
    let windows = |text: &str| text.replace('\n', "\r\n");
    let set = load(&windows(MODELS), &windows(PROMPTS), &windows(OUTCOMES)).unwrap();
    assert_eq!(set.scores().data(), [0.25, 1.0, 0.0, 0.5, 1.0, 1.0]);
    let error = load(MODELS, PROMPTS, &windows(&OUTCOMES.replace("c,1,1", "c,1,7"))).unwrap_err().to_string();
    assert!(error.contains("outcomes.csv, line 4: the score of \"small\" is 7"), "{error}");
    let error = load(MODELS, PROMPTS, &OUTCOMES.replace(',', ";")).unwrap_err().to_string();
    assert!(error.contains("its columns are separated by semicolons"), "{error}");
    let error = load(MODELS, PROMPTS, &OUTCOMES.replace("0.25", "-Infinity")).unwrap_err().to_string();
    assert!(error.contains("line 3: the score of \"small\" is -inf, expected a number from 0 to 1"), "{error}");
    let error = load(&MODELS.replace("0.1", "Infinity"), PROMPTS, OUTCOMES).unwrap_err().to_string();
    assert!(error.contains("models.json: it holds NaN or Infinity, which JSON does not have"), "{error}");
}

#[test]
fn prices_may_be_text_and_models_may_be_a_providers_list() {
    let set = load(&MODELS.replace("0.1", "\" 0.1 \""), PROMPTS, OUTCOMES).unwrap();
    assert_eq!(set.models()[0].price, 0.1);
    let offer = |id: &str, prompt: &str| serde_json::json!({"id": id, "name": "shown", "pricing": {"prompt": prompt, "completion": "0.1", "image": "0"}});
    let list = |offers: &[serde_json::Value]| serde_json::json!({"data": offers}).to_string();
    let offers =
        [offer("auto", "-1"), offer("big, large", "0.0000025"), offer("small", "0.00000015"), offer("other", "0")];
    let set = load(&list(&offers), PROMPTS, OUTCOMES).unwrap();
    let found: Vec<_> =
        set.models().iter().map(|model| (model.name.as_str(), model.price, model.unit.as_str())).collect();
    let unit = "USD per 1M prompt tokens";
    assert_eq!(found, [("big, large", 2.5, unit), ("small", 0.15, unit)]);
    assert_eq!(set.scores().row(0), [1.0, 0.25]);
    let error = load(&list(&offers[..2]), PROMPTS, OUTCOMES).unwrap_err().to_string();
    assert!(error.contains("it has 1 models"), "{error}");
    let offers = [offer("big, large", "-1"), offer("small", "0")];
    let error = load(&list(&offers), PROMPTS, OUTCOMES).unwrap_err().to_string();
    assert!(error.contains("the cost of \"big, large\" is -1000000, expected a number of at least 0"), "{error}");
    let error = load("{\"models\": []}", PROMPTS, OUTCOMES).unwrap_err().to_string();
    assert!(error.contains("OpenRouter's {\"data\": […]}"), "{error}");
}

/// Names are printed one per line, also to terminals.
#[test]
fn names_that_cannot_be_printed_are_refused() {
    for (from, to, says) in [
        ("small", "", "the name of model 1 is empty"),
        ("small", "\\u001b[2Jsmall", "the name of model 1 holds the control character U+001B; remove it"),
        ("big, large", "big\\nlarge", "the name of model 2 holds the control character U+000A"),
        ("big, large", "big\u{202e}large", "the name of model 2 holds the control character U+202E"),
        ("big, large", &"x".repeat(257), "the name of model 2 has 257 bytes, at most 256 are allowed"),
        ("USD", "\\u0007", "the cost_unit of model 1 holds the control character U+0007"),
    ] {
        let error = load(&MODELS.replace(from, to), PROMPTS, OUTCOMES).unwrap_err().to_string();
        assert!(error.contains(says) && !error.chars().any(char::is_control), "{error:?}");
    }
}

#[test]
fn prices_in_several_units_give_a_warning() {
    let set = load(MODELS, PROMPTS, OUTCOMES).unwrap();
    assert!(units_warning(set.models()).unwrap().starts_with("the models' prices are in 2 units (\"\", \"USD\")"));
    let one = load(&MODELS.replace(", \"cost_unit\": \"USD\"", ""), PROMPTS, OUTCOMES).unwrap();
    assert_eq!(units_warning(one.models()), None);
}

#[test]
fn the_error_for_routerbenchs_own_table_names_the_import() {
    let table = "sample_id,prompt,eval_name,small,small|total_cost\n1,Why?,qa,1,0.1\n";
    let error = load(MODELS, PROMPTS, table).unwrap_err().to_string();
    assert!(error.contains("`blindroute data import routerbench`") && !error.contains("Why?"), "{error}");
}

#[test]
fn costs_per_query_are_optional() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("models.json", MODELS);
    write("prompts.jsonl", PROMPTS);
    write("outcomes.csv", OUTCOMES);
    assert_eq!(Dataset::load(folder.path()).unwrap().query_costs(), None);
    write("costs.csv", "id,small,\"big, large\"\na,0.5,2e-3\nc,0,0\nb,0,100\n");
    let set = Dataset::load(folder.path()).unwrap();
    assert_eq!(set.query_costs().unwrap().data(), [0.5, 0.002, 0.0, 100.0, 0.0, 0.0]);
    for (text, says) in [
        ("id,small\na,1\nb,1\nc,1\n", "costs.csv: there is no column \"big, large\""),
        ("id,small,\"big, large\"\na,0,0\nb,0,0\n", "costs.csv: the prompt \"c\" has no row"),
        (
            "id,small,\"big, large\"\na,0,-1\n",
            "line 2: the cost of \"big, large\" is -1, expected a number of at least 0",
        ),
        ("id,small,\"big, large\"\na,0,inf\n", "line 2: the cost of \"big, large\" is inf"),
        ("id,small,\"big, large\"\na,,1\n", "line 2: the cost of \"small\" is missing"),
        ("id,small,\"big, large\"\na,1,\"Why?\nb,1,1\n", "line 2: the cost of \"big, large\" is not a number"),
    ] {
        write("costs.csv", text);
        let error = Dataset::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not contain {says:?}");
    }
}

#[test]
fn an_endless_row_is_refused() {
    let endless = format!("id,small,\"big, large\"\na,1,\"{}", "x".repeat(17 << 20));
    let error = load(MODELS, PROMPTS, &endless).unwrap_err().to_string();
    assert!(error.contains("outcomes.csv, line 2:") && error.contains("a quote that is not closed"), "{error}");
}

#[test]
fn the_error_for_a_missing_folder_describes_a_data_set() {
    let error = Dataset::load(std::path::Path::new("nowhere")).unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("a folder with prompts.jsonl"), "{error}");
}

#[test]
fn an_endless_line_is_refused() {
    let error = load(MODELS, &"x".repeat((16 << 20) + 2), OUTCOMES).unwrap_err().to_string();
    assert!(error.contains("line 1: the line is longer than"), "{error}");
}

#[test]
fn the_real_sets_are_read() {
    let Some(data) = shared_data() else { return };
    let sets = [
        ("ulab_llmrouter", 4784, 9, [3290, 474, 1020]),
        ("routerbench_slice", 2532, 11, [1769, 235, 528]),
        ("carrot_openllm_v2", 14162, 18, [9916, 1408, 2838]),
        ("metabench", 849, 112, [601, 89, 159]),
    ];
    for (name, prompts, models, splits) in sets {
        let set = Dataset::load(&data.join("routing").join(name)).unwrap();
        assert_eq!((set.prompts().len(), set.models().len()), (prompts, models), "{name}");
        assert_eq!(Split::ALL.map(|split| set.places(split).len()), splits, "{name}");
    }
}
