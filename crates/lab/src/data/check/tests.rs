use super::*;
use std::fs;

const MODELS: &str = r#"[{"name": "small", "cost": 1, "cost_unit": "USD"}, {"name": "middle", "cost": 2, "cost_unit": "USD"},
    {"name": "big", "cost": 3, "cost_unit": "USD"}]"#;

/// Checks a set of prompts (id, text, split) and rows of outcomes.
fn run(models: &str, prompts: &[(&str, &str, &str)], outcomes: &str, costs: Option<&str>) -> Result<Check, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let line = |(id, prompt, split): &(&str, &str, &str)| {
        serde_json::json!({"id": id, "prompt": prompt, "split": split, "source": id[..1]}).to_string() + "\n"
    };
    fs::write(folder.path().join("models.json"), models).unwrap();
    fs::write(folder.path().join("prompts.jsonl"), prompts.iter().map(line).collect::<String>()).unwrap();
    fs::write(folder.path().join("outcomes.csv"), outcomes).unwrap();
    if let Some(costs) = costs {
        fs::write(folder.path().join("costs.csv"), costs).unwrap();
    }
    check(folder.path(), &[])
}

const PROMPTS: &[(&str, &str, &str)] =
    &[("a1", "What?", "train"), ("a2", "Why?", "train"), ("b1", "Who?", "valid"), ("b2", "Where?", "test")];

#[test]
fn a_good_set_has_no_warning() {
    let outcomes = "id,small,middle,big\na1,1,1,0.5\na2,0,0.5,1\nb1,0,0,1\nb2,1,0,0\n";
    let check = run(MODELS, PROMPTS, &(outcomes.to_owned() + "b3,0,1,0\n"), None).unwrap_err();
    assert!(check.to_string().contains("there is no prompt \"b3\""));
    let check = run(MODELS, PROMPTS, outcomes, None).unwrap();
    assert_eq!((check.prompts, check.splits), (4, PerSplit { train: 2, valid: 1, test: 1 }));
    assert_eq!(check.sources["a"], PerSplit { train: 2, ..PerSplit::default() });
    assert_eq!(check.models.iter().map(|model| model.wins).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(check.models[1].mean_score, Some(0.75));
    assert_eq!(check.models[2].dominated_by.as_deref(), Some("middle"));
    assert_eq!((check.query_costs, check.undecided.prompts), (None, 0));
    // Big has the mean score of middle and costs more, but wins where middle does not. So the two warnings differ.
    assert_eq!(check.warnings.len(), 2, "{:?}", check.warnings);
    assert!(
        check.warnings[1].contains("1 of 3 models are never the cheapest of the best-scoring models on train: middle")
    );
}

#[test]
fn missing_scores_are_counted_and_are_not_scores() {
    let outcomes = "id,small,middle,big\na1,1,,0.5\na2,0,0.5,1\nb1,0,0,1\n";
    let costs = "id,small,middle,big\na1,0.1,0.2,0.3\na2,0.1,,\nb1,0,0,0\nb2,0,0,0\n";
    let check = run(MODELS, PROMPTS, outcomes, Some(costs)).unwrap();
    assert_eq!(check.models.iter().map(|model| model.missing).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(check.models[1].mean_score, Some(0.5));
    // One of the two train prompts is complete.
    assert_eq!(check.models.iter().map(|model| model.wins).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(check.query_costs, Some(Missing { missing: 2 }));
    assert!(check.warnings[0].starts_with("4 scores are missing"), "{:?}", check.warnings);
    assert!(check.warnings[1].starts_with("2 costs per query are missing"), "{:?}", check.warnings);
    // The scores that exist must be valid.
    for (from, to, says) in [
        ("0.5", "NaN", "line 2: the score of \"big\" is NaN"),
        ("0.5", "-1", "is -1"),
        ("0.5", "What?", "the score of \"big\" is not a number, expected a number from 0 to 1"),
        ("big", "tiny", "the column \"tiny\" is not a model"),
    ] {
        let error = run(MODELS, PROMPTS, &outcomes.replacen(from, to, 1), None).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("What?"), "{error}");
    }
    let error = run(MODELS, PROMPTS, outcomes, Some(&costs.replacen("0.1", "-0.1", 1))).unwrap_err().to_string();
    assert!(
        error.contains("costs.csv, line 2: the cost of \"small\" is -0.1, expected a number of at least 0"),
        "{error}"
    );
}

#[test]
fn what_training_rejects_is_a_warning() {
    let one = r#"[{"name": "only", "cost": 0}]"#;
    let prompts = &[("a", "  ", "train"), ("b", "Why?", "train")];
    let check = run(one, prompts, "id,only\na,1\nb,1\n", None).unwrap();
    let expected = [
        "the split valid has no prompt",
        "the split test has no prompt",
        "there are fewer than two models",
        "1 prompts have no text",
        "1 of 1 models score the same on every train prompt: only",
        "1 of 1 models are the cheapest of the best-scoring models on every train prompt, so there is nothing to choose: only",
    ];
    assert_eq!(check.warnings.len(), expected.len(), "{:?}", check.warnings);
    for (warning, expected) in check.warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning:?} does not start with {expected:?}");
    }
    assert_eq!(check.undecided, Undecided { prompts: 2, share: 1.0 });
    assert!(run(one, &[], "id,only\n", None).unwrap_err().to_string().contains("it has no prompt"));
    assert!(run("[]", prompts, "id\na\nb\n", None).unwrap_err().to_string().contains("it has 0 models"));
}

#[test]
fn a_set_without_train_has_no_statistics_of_models() {
    let check = run(MODELS, &[("a", "What?", "test")], "id,small,middle,big\na,1,0,0\n", None).unwrap();
    assert!(check.models.iter().all(|model| model.mean_score.is_none() && model.dominated_by.is_none()));
    assert_eq!(check.undecided.share, 0.0);
    assert_eq!(check.warnings.len(), 2, "{:?}", check.warnings);
}

#[test]
fn repeated_prompts_are_reported_by_id() {
    let prompts = &[
        ("a", "the same text", "train"),
        ("b", " the  same\ntext", "train"),
        ("c", "a secret", "train"),
        ("d", "a secret", "test"),
        ("e", "one more", "valid"),
    ];
    let rows: String = prompts.iter().map(|(id, ..)| format!("{id},0,1,1\n")).collect();
    let check = run(MODELS, prompts, &format!("id,small,middle,big\n{rows}"), None).unwrap();
    assert_eq!((check.repeated.texts, check.repeated.prompts), (2, 4));
    assert_eq!((check.across_splits.texts, check.across_splits.prompts), (1, 2));
    let ids: Vec<_> = check.across_splits.groups[0].iter().map(|prompt| (&prompt.id[..], &prompt.split[..])).collect();
    assert_eq!(ids, [("c", "train"), ("d", "test")]);
    let printed = format!("{check:?}{}", serde_json::to_string(&check).unwrap());
    assert!(!printed.contains("secret") && !printed.contains("same text"), "a text is shown");
    // The middle model costs less than the big one and scores the same, so only it is the cheapest of the best.
    assert_eq!(check.models[2].dominated_by.as_deref(), Some("middle"));
    assert_eq!(check.models[1].wins, 3);
    assert!(check.models.iter().all(|model| model.constant));
}

#[test]
fn equal_models_do_not_dominate_each_other() {
    let models = r#"[{"name": "one", "cost": 1, "cost_unit": "USD"}, {"name": "two", "cost": 1, "cost_unit": "EUR"}]"#;
    let check = run(models, PROMPTS, "id,one,two\na1,1,0\na2,0,1\nb1,0,0\nb2,0,0\n", None).unwrap();
    assert!(check.models.iter().all(|model| model.dominated_by.is_none() && model.wins == 1));
    assert_eq!(check.warnings.len(), 1);
    let expected = "the models' prices are in 2 units (\"EUR\", \"USD\"): their costs cannot be compared";
    assert!(check.warnings[0].starts_with(expected), "{:?}", check.warnings);
}

#[test]
fn the_real_sets_are_checked() {
    let Some(data) = blindroute_testkit::shared_data() else { return };
    for (name, prices) in
        [("ulab_llmrouter", false), ("routerbench_slice", true), ("carrot_openllm_v2", false), ("metabench", false)]
    {
        let check = check(&data.join("routing").join(name), &[]).unwrap();
        assert_eq!(check.across_splits.texts, 0, "{name}: repeated prompts are on one side");
        assert_eq!(check.query_costs, prices.then_some(Missing { missing: 0 }), "{name}");
        assert!(check.models.iter().all(|model| model.missing == 0), "{name}");
        assert!(check.models.iter().map(|model| model.wins).sum::<usize>() >= check.splits.train, "{name}");
        assert!(check.undecided.share < 0.9, "{name}");
    }
}
