//! What a bundle holds, without the weights.

use blindroute_routing::bundle::{Bundle, ClassifierTask, PoolShape, Router};

/// What a bundle holds, for programs.
#[must_use]
pub fn summary(bundle: &Bundle) -> serde_json::Value {
    let parts = bundle.parts();
    let of = |router: &Router| {
        let Router { name, lambda, lexical, .. } = router;
        serde_json::json!({"name": name, "kind": router.kind(), "lambda": lambda, "lexical": lexical})
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
        lines.push(format!("  {} ({kind}{default}), λ {}{features}", router.name, router.lambda));
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
