//! What a bundle holds, without the weights.

use blindroute_routing::bundle::{Bundle, ClassifierTask, PoolShape, Router, RuleShape};

/// What a bundle holds, for programs.
#[must_use]
pub fn summary(bundle: &Bundle) -> serde_json::Value {
    let parts = bundle.parts();
    let of = |router: &Router| {
        let Router { name, lambda, lexical, rule } = router;
        let (kind, shape) = (router.kind(), RuleShape::of(rule));
        serde_json::json!({"name": name, "kind": kind, "shape": shape, "lambda": lambda, "lexical": lexical})
    };
    serde_json::json!({
        "digest": bundle.digest().to_string(),
        "encoder": parts.encoder,
        "models": parts.models,
        "routers": parts.routers.iter().map(of).collect::<Vec<_>>(),
        "pool": parts.pool.as_ref().map(PoolShape::of),
        "origin": parts.origin,
    })
}

/// What a bundle holds, for people.
#[must_use]
pub fn described(bundle: &Bundle) -> String {
    let parts = bundle.parts();
    let encoder = &parts.encoder;
    let mut lines = vec![
        format!("digest    {}", bundle.digest()),
        format!(
            "encoder   {} layers, hidden {}, feed-forward {}; {} attention, {}, norms {}, {} pooling; up to {} tokens, window {}",
            encoder.layers,
            encoder.hidden,
            encoder.ffn,
            encoder.attention,
            encoder.activation,
            encoder.norms,
            encoder.pooling,
            encoder.max_tokens,
            encoder.window
        ),
        format!("routers   {}", parts.routers.len()),
    ];
    for (place, router) in parts.routers.iter().enumerate() {
        let default = if place == 0 { ", the default" } else { "" };
        let features = router
            .lexical
            .map(|lexical| format!(", with {} lexical features of scale {:.2}", lexical.width(), lexical.scale));
        let (kind, features) = (router.kind(), features.unwrap_or_default());
        let sizes = sizes(RuleShape::of(&router.rule));
        lines.push(format!("  {} ({kind}{default}), λ {}{sizes}{features}", router.name, router.lambda));
    }
    lines.push(format!("models    {}", parts.models.len()));
    lines.extend(parts.models.iter().map(|model| format!("  {}  {} {}", model.name, model.price, model.unit)));
    if let Some(pool) = &parts.pool {
        let exits: Vec<String> = pool.exits.iter().map(ToString::to_string).collect();
        lines.push(format!("pool      {} tasks, exits after {} layers", pool.tasks.len(), exits.join(", ")));
        lines.extend(pool.tasks.iter().map(|classifier| {
            let ClassifierTask { name, labels, pair, capacities, thresholds } = &classifier.task;
            let (count, of) = (labels.len(), if *pair { "pairs of texts" } else { "texts" });
            let shares: Vec<String> = capacities.iter().map(ToString::to_string).collect();
            let open = if thresholds.is_empty() || capacities.is_empty() { "" } else { "; policy open too" };
            let larger = if classifier.gains.len() == pool.exits.len() { "; a larger encoder may follow" } else { "" };
            let shares = if shares.is_empty() {
                "one exit".to_owned()
            } else {
                format!("shares that go on: {}", shares.join(", "))
            };
            format!("  {name}: {count} labels of {of}; {shares}{open}{larger}")
        }));
    }
    lines.push("origin".to_owned());
    lines.extend(parts.origin.lines().map(|line| format!("  {line}")));
    // Names come from files: no control character of theirs reaches the terminal.
    let plain = |line: &String| line.replace(char::is_control, "\u{fffd}");
    lines.iter().map(plain).collect::<Vec<_>>().join("\n")
}

/// How large a rule is, in words that follow others.
fn sizes(shape: RuleShape) -> String {
    match shape {
        RuleShape::UniRoute { clusters, clusterings: 1 } => format!(", {clusters} clusters"),
        RuleShape::UniRoute { clusters, clusterings } => format!(", {clusterings} times {clusters} clusters"),
        RuleShape::Cscr { width, descriptor, .. } => {
            format!(", {width} hidden units, descriptors of width {descriptor}")
        }
        RuleShape::Direct => String::new(),
        RuleShape::Mlp { width, second: None } => format!(", {width} hidden units"),
        RuleShape::Mlp { width, second: Some(second) } => format!(", {width} and {second} hidden units"),
        RuleShape::Neighbours { stored, keep } => format!(", the nearest {keep} of {stored} stored prompts"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_default_bundles_routers_are_described_by_kind_and_size() {
        let bundle = blindroute_placement::default_bundle().unwrap();
        let text = described(&bundle);
        for part in
            ["uniroute (uniroute, the default), λ 0.07943282, 8 times 16 clusters", "  cscr (cscr)", "hidden units"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let summary = summary(&bundle);
        assert_eq!(summary["routers"][0]["shape"]["clusters"], 16);
        assert_eq!(summary["routers"][1]["kind"], "direct");
    }

    #[test]
    fn every_kind_of_rule_has_words_for_its_size() {
        let words = [
            RuleShape::UniRoute { clusters: 8, clusterings: 1 },
            RuleShape::Mlp { width: 16, second: None },
            RuleShape::Mlp { width: 16, second: Some(8) },
            RuleShape::Neighbours { stored: 1000, keep: 10 },
        ]
        .map(sizes);
        let expected =
            [", 8 clusters", ", 16 hidden units", ", 16 and 8 hidden units", ", the nearest 10 of 1000 stored prompts"];
        assert_eq!(words, expected);
    }
}
