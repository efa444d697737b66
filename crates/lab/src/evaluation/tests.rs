use super::*;
use crate::Stop;
use crate::data::Split;
use crate::data::synthetic::synthetic_pool;
use blindroute_routing::bundle::{Direct, Matrix, Rule};

/// Names from a hostile data set.
const HOSTILE: &str = "<script>alert('a & b')</script>\"\u{1b}[31m";

fn choices(all: &[(f32, &[usize])]) -> Run {
    Run::Choices(all.iter().map(|(lambda, models)| Choices { lambda: *lambda, models: models.to_vec() }).collect())
}

fn curve(group: Group, name: &str, runs: Vec<Run>) -> Curve {
    Curve { name: name.to_owned(), group, lambda: None, runs }
}

fn model(name: &str, price: f64) -> Model {
    Model { name: name.to_owned(), price, unit: "USD <per> 1M".to_owned() }
}

/// Four prompts of two tasks. Model 0 has a quarter of the price of model 1.
fn case() -> TestSet {
    let scores = Matrix::new(4, 2, vec![1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.5, 0.0]).unwrap();
    let outcomes = Outcomes::by_price(scores, &[0.25, 1.0]).unwrap();
    let about = About {
        data: "made up".to_owned(),
        split: "test".to_owned(),
        date: Some("2026-01-02".to_owned()),
        source: Some("nobody's, <free>".to_owned()),
        notes: vec!["A note.".to_owned()],
        readings: Vec::new(),
    };
    let tasks = ["easy", "hard", "hard", "easy"].map(str::to_owned).to_vec();
    TestSet::new(about, vec![model("small", 1.0), model(HOSTILE, 4.0)], tasks, outcomes).unwrap()
}

/// Sends the second, then also the third prompt to the expensive model as the weight of cost decreases.
fn good() -> Run {
    choices(&[(0.0, &[0, 1, 1, 0]), (0.1, &[0, 1, 0, 0]), (1.0, &[0, 0, 0, 0])])
}

fn curves() -> Vec<Curve> {
    let bad = choices(&[(0.0, &[1, 0, 0, 1]), (1.0, &[0, 0, 0, 0])]);
    let mut all = references(case().outcomes(), case().models(), &[0.0, 0.5, 9.0]);
    all.push(curve(Group::Private, "near", vec![good(), bad.clone()]));
    all.push(Curve { lambda: Some(0.1), ..curve(Group::Original, "near", vec![good()]) });
    all.push(curve(Group::Private, HOSTILE, vec![good()]));
    all
}

fn evaluated() -> Evaluation {
    let curves = curves();
    evaluate(&case(), &curves, &pairs(&curves), Bootstrap { resamples: 200, seed: 1 }, &Stop::never()).unwrap()
}

fn row<'a>(found: &'a Evaluation, group: Group, name: &str) -> &'a Row {
    found.rows.iter().find(|row| row.group == group && row.name.starts_with(name)).unwrap()
}

#[test]
fn an_evaluation_by_hand() {
    let found = evaluated();
    assert_eq!((found.prompts, found.best_single), (4, 1));
    assert_eq!(found.singles[1].point, Point { score: 0.75, cost: 1.0 });
    let groups: Vec<Group> = found.rows.iter().map(|row| row.group).collect();
    assert!(groups.is_sorted() && groups.len() == 8);

    // (0.25, 0.375), (0.4375, 0.625), (0.625, 0.875): above the best single model's 0.75 at the last.
    let original = row(&found, Group::Original, "near");
    let audc = 0.25 * 0.375 + 0.375 * 0.625 + 0.375 * 0.875;
    assert_eq!(original.measures.audc.value, Some(audc));
    assert_eq!((original.measures.qnc.value, original.measures.peak.value), (Some(0.625), Some(0.875)));
    assert_eq!(original.measures.peak_cost.value, Some(0.625));
    assert_eq!(original.measures.scaled_audc.value, Some(0.625));
    assert_eq!(original.default.unwrap().point, Point { score: 0.625, cost: 0.4375 });
    assert_eq!((original.seeds, original.measures.audc.deviation), (1, None));

    // The hull is the line between the two models.
    let blind = row(&found, Group::Baseline, HULL);
    assert_eq!(blind.measures.audc.value, Some(0.25 * 0.375 + 0.75 * (0.375 + 0.75) / 2.0));
    assert_eq!((blind.measures.qnc.value, blind.measures.peak.value), (Some(1.0), Some(0.75)));

    // Two seeds: mean and deviation. The second keeps the score of the cheap model and never matches the best one.
    let private = row(&found, Group::Private, "near");
    let (a, b) = (audc, 0.375);
    assert_eq!(private.measures.audc.value, Some((a + b) / 2.0));
    assert!((private.measures.audc.deviation.unwrap() - (a - b) / 2f64.sqrt()).abs() < 1e-12);
    assert_eq!((private.measures.qnc.value, private.measures.qnc.deviation), (None, None));

    // A single point has no area.
    let single = row(&found, Group::Baseline, "best single");
    assert!(single.one_point && single.measures.audc.value.is_none() && single.measures.audc.interval.is_none());
    assert_eq!((single.measures.peak.value, single.measures.qnc.value), (Some(0.75), Some(1.0)));
    assert_eq!(found.rows[found.best_private.unwrap()].name, HOSTILE);
    assert!(found.rows.iter().all(|row| row.one_point || !row.begins_late));
}

#[test]
fn a_curve_that_never_gets_cheap_is_marked() {
    let expensive = choices(&[(0.0, &[1, 1, 1, 1]), (9.0, &[0, 1, 1, 0])]);
    let curves = [curve(Group::Private, "cheap", vec![good()]), curve(Group::Private, "expensive", vec![expensive])];
    let found = evaluate(&case(), &curves, &[], Bootstrap { resamples: 0, seed: 0 }, &Stop::never()).unwrap();
    assert_eq!(found.rows.iter().map(|row| row.begins_late).collect::<Vec<_>>(), [false, true]);
    // The flat end gives it the larger AUDC for the same best point.
    let [cheap, expensive] = [0, 1].map(|row: usize| found.rows[row].measures);
    assert_eq!((expensive.audc.value, expensive.peak.value), (Some(0.875), cheap.peak.value));
    assert!(expensive.audc.value > cheap.audc.value && expensive.hull_area.value < cheap.hull_area.value);
    assert_eq!(found.best_private, Some(0));
    for text in [found.to_text(), found.to_html()] {
        assert!(text.contains("0.8750†") && text.contains("† The curve begins above"), "{text}");
    }
}

#[test]
fn tasks_by_hand() {
    let found = evaluated();
    let names: Vec<(&str, usize)> = found.tasks.iter().map(|task| (task.name.as_str(), task.prompts)).collect();
    assert_eq!(names, [("easy", 2), ("hard", 2)]);
    let near = found.rows.iter().position(|row| row.group == Group::Original).unwrap();
    let hard = &found.tasks[1];
    assert_eq!((hard.best_single.model.as_str(), hard.best_single.point.score), (HOSTILE, 1.0));
    // (0.25, 0), (0.625, 0.5), (1, 1).
    assert_eq!(hard.measures[near].peak, Some(1.0));
    assert_eq!(hard.measures[near].audc, Some(0.375 * 0.25 + 0.375 * 0.75));
    assert_eq!(found.tasks[0].measures[near].peak, Some(0.75));
    // A single task gives no breakdown.
    let TestSet { about, models, outcomes, .. } = case();
    let set = TestSet::new(about, models, vec![String::new(); 4], outcomes).unwrap();
    let alone = evaluate(&set, &curves(), &[], Bootstrap { resamples: 0, seed: 0 }, &Stop::never()).unwrap();
    assert!(alone.tasks.is_empty() && alone.rows.iter().all(|row| row.measures.audc.interval.is_none()));
}

#[test]
fn costs_of_queries_are_counted_where_given() {
    let scores = Matrix::new(2, 2, vec![1.0, 1.0, 0.0, 1.0]).unwrap();
    let costs = Matrix::new(2, 2, vec![1.0, 2.0, 1.0, 6.0]).unwrap();
    let outcomes = Outcomes::by_query(scores, costs).unwrap();
    let models = vec![model("small", 1.0), model("large", 4.0)];
    let set = TestSet::new(About::default(), models, vec![String::new(); 2], outcomes).unwrap();
    let run = choices(&[(0.0, &[1, 1]), (1.0, &[0, 1])]);
    let found =
        evaluate(&set, &[curve(Group::Private, "a", vec![run])], &[], Bootstrap::default(), &Stop::never()).unwrap();
    assert!(found.cost_by_query && found.to_html().contains("mean cost of the queries"));
    assert_eq!(found.rows[0].points[1].point, Point { score: 1.0, cost: 7.0 / 2.0 / 4.0 });
}

/// Training's report and an evaluation measure the same router alike, with costs of answers and with prices.
#[test]
fn reports_of_training_and_evaluations_agree() {
    let (_, mut dataset, embedded) = synthetic_pool(8, 4);
    let (prompts, models) = dataset.scores.shape();
    let costs = Matrix::from_fn(prompts, models, |prompt, model| ((prompt * 7 + model * 3) % 10 + 5 * model) as f32);
    let rule = Rule::Direct(Direct {
        weight: Matrix::from_fn(32, models, |row, model| ((row * 5 + model) % 7) as f32 / 7.0 - 0.5),
        bias: Matrix::from_fn(1, models, |_, model| 0.1 * model as f32),
        cost: Matrix::from_fn(1, models, |_, model| dataset.relative_costs()[model]),
    });
    let mut areas = Vec::new();
    for query_costs in [None, Some(costs)] {
        let by_query = query_costs.is_some();
        dataset.query_costs = query_costs;
        let samples = dataset.samples(Split::Test, embedded.embeddings()).unwrap();
        let reported = report(&rule, 0.1, &samples, dataset.models());
        let set = TestSet::of_split(About::default(), &dataset, Split::Test).unwrap();
        let mut curves = references(set.outcomes(), set.models(), &lambdas());
        curves.push(curve(Group::Private, "mine", vec![run_of(&rule, &samples, &lambdas())]));
        let found = evaluate(&set, &curves, &[], Bootstrap { resamples: 0, seed: 0 }, &Stop::never()).unwrap();
        assert_eq!(found.cost_by_query, by_query);
        assert_eq!(row(&found, Group::Private, "mine").measures.hull_area.value, Some(reported.area));
        assert_eq!(row(&found, Group::Baseline, HULL).measures.hull_area.value, Some(reported.prompt_free_area));
        assert_eq!(found.singles[found.best_single], reported.best_single);
        areas.push(reported.area);
    }
    assert!((areas[0] - areas[1]).abs() > 0.01, "{areas:?}");
}

#[test]
fn a_curve_is_no_better_than_itself() {
    let curves = [curve(Group::Private, "a", vec![good()]), curve(Group::Original, "a", vec![good()])];
    let found = evaluate(&case(), &curves, &[(0, 1), (0, 0)], Bootstrap::default(), &Stop::never()).unwrap();
    for difference in &found.differences {
        for measure in [Measure::Audc, Measure::HullArea, Measure::Peak, Measure::ScaledAudc] {
            let estimate = difference.measures.get(measure);
            assert_eq!(estimate.value, Some(0.0));
            assert_eq!(estimate.interval, Some(Interval { low: Some(0.0), high: Some(0.0) }));
        }
    }
    assert_eq!(pairs(&curves), [(0, 1)]);
}

#[test]
fn same_choices_are_those_at_the_other_ones_weight_of_cost() {
    let at = |lambda, of: &[usize], other: &[usize]| {
        let run = |models: &[usize]| choices(&[(0.0, models), (0.1, &[0, 0, 0, 0])]);
        let original = Curve { lambda: Some(lambda), ..curve(Group::Original, "a", vec![run(other)]) };
        let curves = [Curve { lambda: Some(0.1), ..curve(Group::Private, "a", vec![run(of)]) }, original];
        evaluate(&case(), &curves, &[(0, 1)], Bootstrap::default(), &Stop::never()).unwrap()
    };
    let (of, other) = (&[0, 1, 1, 0], &[0, 1, 0, 0]);
    let found = at(0.0, of, other);
    assert_eq!(found.differences[0].same_choices, Some(0.75));
    assert!(found.to_text().contains("same choices") && found.to_text().contains("75.0 %"), "{}", found.to_text());
    assert!(found.to_html().contains("<td>75.0 %</td>"));
    assert_eq!(at(0.1, of, other).differences[0].same_choices, Some(1.0));
    // A weight that neither run has.
    let none = at(0.5, of, other);
    assert_eq!(none.differences[0].same_choices, None);
    assert!(!none.to_text().contains("same choices"));
}

#[test]
fn pairing_takes_out_what_prompts_have_in_common() {
    // 300 prompts with a large variance. One curve is better on every tenth prompt.
    let scores = Matrix::from_fn(300, 2, |row, model| if model == 1 && row % 10 == 0 { 1.0 } else { (row % 2) as f32 });
    let outcomes = Outcomes::by_price(scores, &[1.0, 1.0]).unwrap();
    let models = vec![model("a", 1.0), model("b", 1.0)];
    let set = TestSet::new(About::default(), models, vec![String::new(); 300], outcomes).unwrap();
    let always = |model: usize| choices(&[(0.0, &[model; 300]), (1.0, &[model; 300])]);
    let curves = [curve(Group::Private, "b", vec![always(1)]), curve(Group::Private, "a", vec![always(0)])];
    let found = evaluate(&set, &curves, &[(0, 1)], Bootstrap::default(), &Stop::never()).unwrap();
    let width = |estimate: &Estimate| {
        let interval = estimate.interval.unwrap();
        interval.high.unwrap() - interval.low.unwrap()
    };
    let difference = &found.differences[0].measures.audc;
    assert!((difference.value.unwrap() - 0.1).abs() < 1e-12);
    // √(0.1 · 0.9) against √(0.5 · 0.5), or unpaired √2 times that.
    assert!(width(difference) < 0.75 * width(&found.rows[0].measures.audc), "{difference:?}");
    let interval = difference.interval.unwrap();
    assert!(interval.low.unwrap() > 0.05 && interval.high.unwrap() < 0.15, "{interval:?}");
    let cost = found.rows[0].measures.peak_cost.interval.unwrap();
    assert_eq!(cost, Interval { low: Some(1.0), high: Some(1.0) });
}

#[test]
fn a_near_tie_does_not_move_what_costs_are_relative_to() {
    // Model 1 leads by one prompt of 40, so model 0 leads in many resamples.
    let scores = Matrix::from_fn(40, 2, |row, model| if (row + 20 * model) % 40 < 20 + model { 1.0 } else { 0.0 });
    let outcomes = Outcomes::by_price(scores, &[0.25, 1.0]).unwrap();
    let models = vec![model("a", 1.0), model("b", 4.0)];
    let set = TestSet::new(About::default(), models, vec![String::new(); 40], outcomes).unwrap();
    let curves = references(set.outcomes(), set.models(), &[0.0, 1.0]);
    let found = evaluate(&set, &curves, &[], Bootstrap::default(), &Stop::never()).unwrap();
    let best = row(&found, Group::Baseline, "best single (b)").measures;
    let one = Some(Interval { low: Some(1.0), high: Some(1.0) });
    assert_eq!((best.qnc.interval, best.peak_cost.interval), (one, one));
    // Where the other model leads, the hull is cheaper.
    let hull = row(&found, Group::Baseline, HULL).measures.peak_cost.interval.unwrap();
    assert_eq!((hull.low, hull.high), (Some(0.25), Some(1.0)));
}

#[test]
fn the_same_seed_gives_the_same_on_any_number_of_threads() {
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(evaluated), evaluated());
    let other = evaluate(&case(), &curves(), &[], Bootstrap { resamples: 200, seed: 2 }, &Stop::never()).unwrap();
    assert_eq!(other.rows[0].measures.audc.value, evaluated().rows[0].measures.audc.value);
    assert_ne!(other.rows, evaluated().rows);
}

#[test]
fn what_does_not_belong_together_says_so() {
    let fault = |curves: &[Curve], pairs: &[(usize, usize)]| {
        evaluate(&case(), curves, pairs, Bootstrap::default(), &Stop::never()).unwrap_err().to_string()
    };
    let one = || curve(Group::Private, "near", vec![good()]);
    assert!(
        fault(&[one(), one()], &[]).contains("private curve \"near\": another curve of this group has the same name")
    );
    assert!(fault(&[curve(Group::Original, "near", vec![])], &[]).contains("it has no run"));
    assert!(fault(&[one()], &[(0, 1)]).contains("no curve 1 to compare: there are 1"));
    let short = curve(Group::Private, "short", vec![choices(&[(0.0, &[0, 0])])]);
    assert!(fault(&[short], &[]).contains("\"short\" has 2 choices, expected 4"));
    let TestSet { about, models, outcomes, tasks } = case();
    let error = TestSet::new(about.clone(), models[..1].to_vec(), tasks, outcomes.clone()).unwrap_err();
    assert!(error.to_string().contains("the number of models is 1, expected 2"));
    assert!(TestSet::new(about, models, vec![], outcomes).is_err());
}

#[test]
fn the_table_has_every_method_and_no_control_character() {
    let text = evaluated().to_text();
    for expected in [
        "made up, test split, 4 prompts, 2 models, 2026-01-02",
        "AUDC ↑",
        "\noriginal\n  near",
        "\nprivate\n  near (2 seeds)",
        "\nbaseline\n  oracle",
        "±0.",
        "\nprivate − original\n  near ",
        "\nprivate − prompt-blind hull\n  near ",
        "95 % intervals from 200 paired bootstrap resamples",
        "A note.",
        "nobody's, <free>",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()));
    // A long name stands above its values, and the intervals below them.
    let mut lines = text.lines().skip_while(|line| !line.contains("best single ("));
    let [name, values, intervals] = [(); 3].map(|()| lines.next().unwrap());
    assert!(!name.contains("0.7500") && values.contains("–") && values.contains("0.7500"), "{text}");
    assert!(intervals.contains("1.0000–1.0000"), "{text}");
}

/// Routers with one seed and with three, with and without originals and intervals, with names as published models have them.
#[test]
fn the_table_fits_a_hundred_columns() {
    let mut models: Vec<Model> =
        (["failspy/llama-3-70B-Instruct-abliterated", &"x".repeat(130)].into_iter().enumerate())
            .map(|(index, name)| model(name, 1.0 + index as f64))
            .collect();
    models.iter_mut().for_each(|model| model.unit = "USD per query, mean of what the data set recorded ".repeat(3));
    let TestSet { mut about, tasks, outcomes, .. } = case();
    about.source = Some(format!("a set from https://example.org/{}", "path/".repeat(30)));
    about.notes = vec!["A note of many words. ".repeat(12)];
    let set = TestSet::new(about, models, tasks, outcomes).unwrap();
    let late = choices(&[(0.0, &[1, 1, 1, 1]), (0.1, &[0, 1, 1, 1])]);
    for (seeds, groups, resamples) in [(1, 1, 0), (1, 1, 50), (3, 1, 50), (1, 2, 50), (3, 2, 50)] {
        let mut curves = references(set.outcomes(), set.models(), &[0.0, 0.5, 9.0]);
        for (place, group) in [Group::Private, Group::Original].into_iter().take(groups).enumerate() {
            for (name, run) in
                [("uniroute", good()), ("cscr", late.clone()), ("a-router-with-a-name-of-forty-characters", good())]
            {
                let lambda = Some(0.1);
                let runs = (0..seeds).map(|seed| if seed == place + 1 { late.clone() } else { run.clone() }).collect();
                curves.push(Curve { lambda, ..curve(group, name, runs) });
            }
        }
        let found = evaluate(&set, &curves, &pairs(&curves), Bootstrap { resamples, seed: 0 }, &Stop::never()).unwrap();
        let text = found.to_text();
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        }
        assert_eq!(text.contains("same choices"), groups == 2);
        assert!(text.contains("0.7500†") && text.contains('±') == (seeds > 1), "{text}");
        assert!(
            text.contains("\n  best single (xxx")
                && text.contains("\n  cheapest (failspy/llama-3-70B-Instruct-abliterated)\n")
        );
        assert_eq!(text.contains(" to +0."), resamples > 0, "{text}");
        assert!(text.contains("\n  a-router-with-a-name-of-forty-characters"), "{text}");
    }
}

#[test]
fn the_values_are_a_line_a_method() {
    let found = evaluated();
    let text = found.to_csv();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    assert_eq!(header.iter().skip(7).take(4).collect::<Vec<_>>(), ["audc", "audc_deviation", "audc_low", "audc_high"]);
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), found.rows.len());
    assert_eq!((&lines[0][4], &lines[0][5]), ("original", "near"));
    assert_eq!(lines[0][7].parse::<f64>().ok(), found.rows[0].measures.audc.value);
    assert_eq!(&lines[0][8], "");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["rows"][0]["measures"]["audc"]["value"], found.rows[0].measures.audc.value.unwrap());
    assert_eq!(json["rows"][0]["points"][0]["cost"], 0.625);
}

/// Every tag of a page in order, with its attributes. Panics if tags are not closed in order.
fn tags(html: &str) -> Result<Vec<String>, String> {
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    for (place, _) in html.match_indices('<') {
        let inside = html[place + 1..].split('>').next().unwrap_or_default();
        if inside.contains('<') {
            return Err(format!("a tag in a tag: {inside}"));
        }
        let name = inside.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default().to_owned();
        if inside.starts_with('/') {
            let last = open.pop();
            if last.as_ref() != Some(&name) {
                return Err(format!("</{name}> closes {last:?}"));
            }
        } else if !inside.ends_with('/') && !["!doctype", "meta"].contains(&name.as_str()) {
            open.push(name.clone());
        }
        seen.push(inside.to_owned());
    }
    if open.is_empty() { Ok(seen) } else { Err(format!("left open: {open:?}")) }
}

#[test]
fn the_page_stands_alone_and_trusts_no_name() {
    assert!(tags("<a><b></a></b>").is_err() && tags("<a>").is_err());
    let html = evaluated().to_html();
    let tags = tags(&html).unwrap();
    assert!(!html.contains("<script") && !html.contains("alert('") && !html.contains('\u{1b}'), "{html}");
    assert!(html.contains("&lt;script&gt;alert(&#39;a &amp; b&#39;)&lt;/script&gt;"));
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "//"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let count = |start: &str| tags.iter().filter(|tag| tag.starts_with(start)).count();
    // Two charts, and one sample in the legend per curve, for models, and for the default λ.
    assert_eq!(count("svg"), 2 + 5 + 2);
    assert_eq!(count("figure"), 2);
    assert!(count("title") > 10 && count("table") == 5);
    for text in
        ["made up, test split", "2026-01-02", "nobody&#39;s, &lt;free&gt;", "A note.", "arXiv 2508.12491", "easy"]
    {
        assert!(html.contains(text), "{text}");
    }
    // Every number has a value.
    for wrong in ["NaN", "inf", "-0.0\""] {
        assert!(!html.contains(wrong), "{wrong}");
    }
}

#[test]
fn the_least_there_can_be_is_drawn() {
    let scores = Matrix::new(1, 2, vec![0.5, 0.5]).unwrap();
    let outcomes = Outcomes::by_price(scores, &[0.0, 0.0]).unwrap();
    let models = vec![model("a", 0.0), model("b", 0.0)];
    let set = TestSet::new(About::default(), models.clone(), vec![String::new()], outcomes).unwrap();
    for curves in [Vec::new(), references(set.outcomes(), &models, &[0.0])] {
        let html = evaluate(&set, &curves, &[], Bootstrap { resamples: 3, seed: 0 }, &Stop::never()).unwrap().to_html();
        tags(&html).unwrap();
        assert!(!html.contains("NaN") && !html.contains("inf\""), "{html}");
    }
}
