use std::{fs, path::Path};

use super::*;
use crate::data::{DataError, Dataset, Split, check};

/// What no error may say.
const SECRET: &str = "a secret question";

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("from")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join("from").join(name), text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn job(&self) -> Job {
        Job { from: self.path("from"), out: self.path("out"), prices: None, drop_incomplete: false }
    }

    fn set(&self) -> Dataset {
        Dataset::load(&self.path("out")).unwrap()
    }

    /// The error, after looking that nothing was written and nothing is left over.
    #[track_caller]
    fn refused(&self, answer: Result<Imported, DataError>, says: &str) {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not contain {says:?}");
        assert!(!error.contains(SECRET), "an error holds a prompt: {error}");
        let mut names: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name != "from" && name != "prices.csv");
        assert!(names.is_empty(), "left over: {names:?}");
    }
}

fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not there");
    text.replacen(from, to, 1)
}

mod embedllm_files {
    use super::*;

    /// The columns in the authors' order, as far as it is known, with one that is not.
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
        // Prompt 8 stands under two task variants, with different labels.
        assert_eq!(set.scores().data(), [1.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.0]);
        let prompts: Vec<_> = set.prompts().iter().map(|prompt| (&prompt.id[..], &prompt.source[..])).collect();
        let expected = [("train-7", "mmlu_law"), ("train-8", "piqa"), ("valid-9", "piqa"), ("test-7", "mmlu_law")];
        assert_eq!(prompts, expected);
        assert_eq!(set.prompts()[0].text, "a secret question,\nof two lines");
        // The publisher put it there; the check says so.
        assert_eq!(check(&case.path("out")).unwrap().across_splits.texts, 1);
        // A second import does not touch what is there.
        let error = embedllm::import(&case.job()).unwrap_err().to_string();
        assert!(error.contains("is there and not empty; name a new folder"), "{error}");
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
            ("2\n", "-2\n", "prices.csv, line 2: the cost of \"org/big-13B\" is -2, it must be a number from 0"),
            ("2\n", "NaN\n", "is NaN"),
            ("2\n", "\n", "is missing"),
            ("USD,tiny", "EUR,tiny", "line 3: the cost_unit is \"EUR\", that of the rows before \"USD\""),
            ("unused", "tiny-1.1b", "line 4: \"tiny-1.1b\" has two rows"),
            ("tiny-1.1b", "tiny", "there is no price of 1 models (\"tiny-1.1b\"); add rows"),
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
        train(",1,\"a", ",2,\"a", "train.csv, line 2: the label is 2, it must be 0 or 1");
        train(",1,\"a", ",NaN,\"a", "train.csv, line 2: the label is NaN");
        train(",1,\"a", ",,\"a", "train.csv, line 2: the label is missing");
        train(",1,\"a", ",a secret question,\"a", "train.csv, line 2: the label is not a number");
        train("8,0,1", ",0,1", "train.csv, line 6: the prompt_id is empty");
        train("tiny-1.1b", " ", "line 2: the model_name is empty");
        train("Why?", "", "line 6: the prompt is empty");
        train("Why?", "How?", "line 7: the prompt_id \"8\" had another prompt before");
        train(",x\n8,0,1", "\n8,0,1", "line 4: the row has 7 fields, the header 8");
        train("org/big-13B", "org/big-13b", "4 of 4 prompts lack some model's score");
        refused(case(TRAIN, "", TEST), "the split valid has no prompt; give the whole set");
        let files = Case::new(&[("train.csv", "prompt_id,label\n")]);
        refused(files, "train.csv: there is no column \"model_name\"; it needs prompt_id, model_name, category, label");
        let twice = HEADER.replace("more", "label") + TRAIN;
        refused(Case::new(&[("train.csv", &twice)]), "there are two columns \"label\"");
        refused(Case::new(&[("train.csv", "")]), "there is no column");
        refused(
            Case::new(&[("train.csv", &(HEADER.to_owned() + TRAIN))]),
            "EmbedLLM is a folder with train.csv, val.csv",
        );
        let rows = TRAIN.replace("org/big-13B", "tiny-1.1b");
        let one = |rows: &str| rows.replace("org/big-13B", "tiny-1.1b");
        refused(case(&rows, &one(VALID), &one(TEST)), "it has 1 models, routing needs at least two");
        let unsized_names = [TRAIN, VALID, TEST].map(|rows| rows.replace("big-13B", "big"));
        refused(
            case(&unsized_names[0], &unsized_names[1], &unsized_names[2]),
            "the names of 1 models (\"org/big\") hold no one size; name a CSV file with --prices",
        );
        let files = case(TRAIN, VALID, TEST);
        fs::write(files.path("from/val.csv"), b"prompt_id\xff\n").unwrap();
        refused(files, "val.csv, line 1: the row is not UTF-8");
    }

    #[test]
    fn prompts_that_lack_a_score_can_be_left_out() {
        let rows = TRAIN.replacen("8,1,1,1,Why?,org/big-13B,piqa,x\n", "", 1);
        let files = case(&rows, VALID, TEST);
        files.refused(
            embedllm::import(&files.job()),
            "1 of 4 prompts lack some model's score, most often that of \"org/big-13B\" (1 prompts)",
        );
        let job = Job { drop_incomplete: true, ..files.job() };
        assert_eq!(embedllm::import(&job).unwrap().dropped, 1);
        assert_eq!(files.set().places(Split::Train), [0]);
        // But not all of a split.
        let files = case(TRAIN, "9,1,1,1,Who?,org/big-13B,piqa,x\n", TEST);
        let job = Job { drop_incomplete: true, ..files.job() };
        files.refused(embedllm::import(&job), "the split valid has no prompt with every model's score");
    }

    #[test]
    fn folders_that_cannot_be_written_are_refused_first() {
        let files = Case::new(&[]);
        let out = |out: PathBuf| embedllm::import(&Job { out, ..files.job() });
        files.refused(out(files.path("from/not/there")), "name a folder in one that can be written");
        files.refused(out(files.path("from/..")), "is there and not empty");
        fs::write(files.path("from/file"), "").unwrap();
        files.refused(out(files.path("from/file")), "could not write");
        files.refused(out(files.path("from/file/below")), "could not write");
        // An empty folder will do.
        let files = case(TRAIN, VALID, TEST);
        fs::create_dir(files.path("out")).unwrap();
        embedllm::import(&files.job()).unwrap();
        assert_eq!(files.set().prompts().len(), 4);
    }
}

mod mixinstruct_files {
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
        // −4 to −2 on train; −5 and −1 elsewhere are beyond.
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
        files.refused(answer, "a bertscore is 0.7, no logarithm of a likelihood");
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
        with("{", "[", "train_data_prepared.jsonl, line 1: the line is not valid JSON");
        with("\"id\"", "\"name\"", "line 1: the line does not have id, and candidates with model and scores");
        with("\"scores\": {", "\"scores\": {\"x\": NaN, ", "line 1: the line is not valid JSON");
        with("-3.5", "\"NaN\"", "line 3: the bartscore of \"vicuna-13b-1.1\" is not finite; correct it");
        with("-3.5", "\"a secret question\"", "the bartscore of \"vicuna-13b-1.1\" is not a number");
        with("-3.5", "[1]", "the bartscore of \"vicuna-13b-1.1\" is not a number");
        with("-3.5", "1e400", "line 3: the line is not valid JSON");
        with("itwgpt4/2", "itwgpt4/1", "line 3: the id \"itwgpt4/1\" was there before");
        with("itwgpt4/2", "itwgpt4\\u002f1", "line 3: the id \"itwgpt4/1\" was there before");
        with("-3.5", "null", "1 of 4 prompts lack some model's score, most often that of \"vicuna-13b-1.1\"");
        with("koala-7B-HF", "koala", "4 of 4 prompts lack some model's score");
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
        files.refused(answer, "the names of 1 models (\"alpaca-native\") hold no one size");
    }
}

mod routerbench_files {
    use super::*;

    const HEADER: &str = "sample_id,prompt,eval_name,claude-v1,org/small,claude-v1|model_response,org/small|total_cost,\
        claude-v1|total_cost,oracle_model_to_route_to\n";

    /// Sixty prompts, the last of which is the first again, with other white space.
    fn table() -> String {
        let row = |index: usize| {
            let text =
                if index == 59 { "a secret question  0".to_owned() } else { format!("a secret question {index}") };
            let cost = 0.001 * index as f64;
            format!(
                "mmlu.{index},\"['{text}', \"\"it's turn two\"\"]\",mmlu,{},1.0,['A'],0.5,{cost},claude-v1\n",
                index % 2
            )
        };
        HEADER.to_owned() + &(0..60).map(row).collect::<String>()
    }

    fn run(files: &Case) -> Result<Imported, DataError> {
        routerbench::import(&files.path("from/routerbench.csv"), &files.path("out"), 0)
    }

    fn case(table: &str) -> Case {
        Case::new(&[("routerbench.csv", table)])
    }

    #[test]
    fn a_good_table_is_imported() {
        let files = case(&table());
        let imported = run(&files).unwrap();
        assert!(imported.query_costs && imported.models == 2, "{imported:?}");
        let set = files.set();
        assert_eq!(set.prompts()[0].text, "a secret question 0\nit's turn two");
        assert_eq!(set.prompts()[0].source, "mmlu");
        assert_eq!((set.scores().row(1), set.query_costs().unwrap().row(1)), (&[1.0, 1.0][..], &[0.001, 0.5][..]));
        // The price is the mean over train.
        let train = set.places(Split::Train);
        let mean = train.iter().map(|place| 0.001 * *place as f64).sum::<f64>() / train.len() as f64;
        let claude = &set.models()[0];
        assert!(claude.name == "claude-v1" && (claude.price - mean).abs() < 1e-9, "{claude:?}, {mean}");
        assert_eq!((set.models()[1].price, set.models()[1].unit.as_str()), (0.5, "USD per query"));
        // About 42, 6 and 12 of sixty; the repeated text is on one side.
        let splits = Split::ALL.map(|split| set.places(split).len());
        assert!(splits[0] > 30 && splits[1] > 0 && splits[2] > 4, "{splits:?}");
        assert_eq!(set.prompts()[0].split, set.prompts()[59].split);
        let found = check(&files.path("out")).unwrap();
        assert_eq!((found.repeated.texts, found.across_splits.texts), (1, 0));
    }

    #[test]
    fn the_seed_draws_the_splits_and_nothing_else_does() {
        let splits = |seed: u64, table: &str| {
            let files = case(table);
            routerbench::import(&files.path("from/routerbench.csv"), &files.path("out"), seed).unwrap();
            files.set().prompts().iter().map(|prompt| (prompt.id.clone(), prompt.split)).collect::<Vec<_>>()
        };
        assert_eq!(splits(0, &table()), splits(0, &table()));
        assert_ne!(splits(0, &table()), splits(1, &table()));
        let mut lines: Vec<_> = table().lines().map(str::to_owned).collect();
        lines[1..].reverse();
        let mut reversed = splits(0, &(lines.join("\n") + "\n"));
        reversed.reverse();
        assert_eq!(splits(0, &table()), reversed);
    }

    #[test]
    fn each_fault_names_its_file_line_and_remedy() {
        let refused = |table: &str, says: &str| {
            let files = case(table);
            files.refused(run(&files), says);
        };
        let with = |from: &str, to: &str, says: &str| refused(&edit(&table(), from, to), says);
        with(
            ",mmlu,0,1.0",
            ",mmlu,1.5,1.0",
            "routerbench.csv, line 2: the score of \"claude-v1\" is 1.5, it must be a number",
        );
        with(",mmlu,0,1.0", ",mmlu,,1.0", "the score of \"claude-v1\" is missing");
        with(",mmlu,0,1.0", ",mmlu,nan,1.0", "the score of \"claude-v1\" is NaN");
        with(",mmlu,0,1.0", ",mmlu,a secret question,1.0", "the score of \"claude-v1\" is not a number");
        with(",0.5,0,", ",-0.5,0,", "line 2: the total_cost of \"org/small\" is -0.5, it must be a number from 0");
        with("mmlu.1,", "mmlu.0,", "line 3: the sample_id \"mmlu.0\" was there before");
        with("mmlu.1,", ",", "line 3: the sample_id or the prompt is empty");
        with("oracle_model_to_route_to", "gpt-4", "the column \"gpt-4\" has no column \"gpt-4|total_cost\" beside it");
        with("claude-v1,org", "claude-v2,org", "the column \"claude-v2\" has no column");
        with("org/small|total_cost", "gone|total_cost", "the column \"org/small\" has no column");
        with("claude-v1|model_response", "claude-v1|total_cost", "there are two columns \"claude-v1|total_cost\"");
        with("eval_name", "task", "there is no column \"eval_name\"; it needs sample_id, prompt, eval_name");
        with("['A'],0.5,0,", "['A'],0.5,", "line 2: the row has 8 fields, the header 9");
        refused("sample_id,prompt,eval_name,one,one|total_cost\n", "it has 1 models, routing needs at least two");
        refused(HEADER, "the split train has no prompt after the draw");
        refused("", "there is no column \"sample_id\"");
        let files = Case::new(&[("routerbench_0shot.pkl", "")]);
        let answer = routerbench::import(&files.path("from/routerbench_0shot.pkl"), &files.path("out"), 0);
        files.refused(answer, "a pickle is not read; make a CSV file of it and name that: python -c");
        let files = Case::new(&[]);
        let answer = routerbench::import(Path::new("nowhere.csv"), &files.path("out"), 0);
        files.refused(answer, "RouterBench is a CSV file made of");
    }
}
