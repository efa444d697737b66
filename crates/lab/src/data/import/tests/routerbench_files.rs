//! RouterBench's file.

use super::*;

const HEADER: &str = "sample_id,prompt,eval_name,claude-v1,org/small,claude-v1|model_response,org/small|total_cost,\
    claude-v1|total_cost,oracle_model_to_route_to\n";

/// Sixty prompts. The last one repeats the first with other white space.
fn table() -> String {
    let row = |index: usize| {
        let text = if index == 59 { "a secret question  0".to_owned() } else { format!("a secret question {index}") };
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
    // About 42, 6 and 12 of 60. The repeated text is in one split.
    let splits = Split::ALL.map(|split| set.places(split).len());
    assert!(splits[0] > 30 && splits[1] > 0 && splits[2] > 4, "{splits:?}");
    assert_eq!(set.prompts()[0].split, set.prompts()[59].split);
    let found = check(&files.path("out"), &[]).unwrap();
    assert_eq!((found.repeated.texts, found.across_splits.texts), (1, 0));
}

/// Prompts from tables that were written from arrays or conversations.
#[test]
fn arrays_and_messages_become_their_turns() {
    let array = edit(&table(), "['a secret question 1', ", "['a secret question 1' ");
    let both = edit(
        &array,
        "['a secret question 2', \"\"it's turn two\"\"]",
        "[{'role': 'user', 'content': 'a secret question 2'}]",
    );
    let files = case(&both);
    run(&files).unwrap();
    let set = files.set();
    assert_eq!(set.prompts()[1].text, "a secret question 1\nit's turn two");
    assert_eq!(set.prompts()[2].text, "a secret question 2");
}

#[test]
fn the_splits_depend_on_the_seed_and_the_text_only() {
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
        "routerbench.csv, line 2: the score of \"claude-v1\" is 1.5, expected a number",
    );
    with(",mmlu,0,1.0", ",mmlu,,1.0", "the score of \"claude-v1\" is missing");
    with(",mmlu,0,1.0", ",mmlu,nan,1.0", "the score of \"claude-v1\" is NaN");
    with(",mmlu,0,1.0", ",mmlu,a secret question,1.0", "the score of \"claude-v1\" is not a number");
    with(",0.5,0,", ",-0.5,0,", "line 2: the total_cost of \"org/small\" is -0.5, expected a number of at least 0");
    with("['a secret question 1',", "['a secret question 1' or", "line 3: the prompt is a list that cannot be read");
    with(
        "claude-v1,org/small,",
        "claude-v1,\u{1b}[2J,",
        "the model's name in column 5 holds the control character U+001B",
    );
    with("mmlu.1,", "mmlu.0,", "line 3: the sample_id \"mmlu.0\" is repeated");
    with("mmlu.1,", ",", "line 3: the sample_id or the prompt is empty");
    with("oracle_model_to_route_to", "gpt-4", "the column \"gpt-4\" needs a column \"gpt-4|total_cost\"");
    with("claude-v1,org", "claude-v2,org", "the column \"claude-v2\" needs a column");
    with("org/small|total_cost", "gone|total_cost", "the column \"org/small\" needs a column");
    with("claude-v1|model_response", "claude-v1|total_cost", "there are two columns \"claude-v1|total_cost\"");
    with("eval_name", "task", "there is no column \"eval_name\"; it needs sample_id, prompt, eval_name");
    with("['A'],0.5,0,", "['A'],0.5,", "line 2: the row has 8 fields, the header 9");
    refused("sample_id,prompt,eval_name,one,one|total_cost\n", "it has 1 models, expected at least two");
    refused(HEADER, "the split train has no prompt");
    refused("", "there is no column \"sample_id\"");
    let files = Case::new(&[("routerbench_0shot.pkl", "")]);
    let answer = routerbench::import(&files.path("from/routerbench_0shot.pkl"), &files.path("out"), 0);
    files.refused(answer, "this is a pickle, expected a CSV file; convert it with: python -c");
    let files = Case::new(&[]);
    let answer = routerbench::import(Path::new("nowhere.csv"), &files.path("out"), 0);
    files.refused(answer, "RouterBench is a CSV file made of");
}
