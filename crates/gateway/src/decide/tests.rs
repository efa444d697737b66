#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Environment;
use blindroute_dialects::Dialect;
use blindroute_dialects::raw::Object;
use blindroute_dialects::reading;
use std::cell::RefCell;
use std::time::Duration;

/// Four models of two providers: only `dear` can do everything, and of `unpriced` no price is known.
const MODELS: &str = r#"
    [[provider]]
    name = "one"
    dialects = ["chat", "messages"]
    base_url = "https://one.example/v1"
    [[provider]]
    name = "two"
    dialects = ["chat"]
    base_url = "https://two.example/v1"
    [[model]]
    name = "cheap"
    provider = "one"
    pool = ["p-cheap", "p-cheaper"]
    input = "10"
    cached_input = "1"
    output = "50"
    context = 200
    max_output = 100
    tools = false
    json_schema = false
    [[model]]
    name = "dear"
    provider = "one"
    pool = ["p-dear"]
    input = "30"
    cached_input = "3"
    output = "150"
    images = true
    [[model]]
    name = "unpriced"
    provider = "two"
    pool = ["p-unpriced"]
    [[model]]
    name = "barred"
    provider = "two"
    pool = ["p-barred"]
    allowed = false
"#;

const ALL: [&str; 5] = ["p-cheap", "p-barred", "p-dear", "p-cheaper", "p-unpriced"];

fn config(route: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, format!("data = \"data\"\n[route]\n{route}\n{MODELS}")).unwrap();
    Config::load(&path, &[], &Environment::of(|_| None)).unwrap()
}

/// A route that ranks these models of the pool.
fn report(ranking: &[&str]) -> RouteReport {
    let ranked = |model: &&str| serde_json::json!({"model": model, "price": 1.0, "price_unit": "USD"});
    let report = serde_json::json!({
        "model": ranking[0], "price": 1.0, "price_unit": "USD",
        "ranking": ranking.iter().map(ranked).collect::<Vec<_>>(),
        "placement": "full", "bundle": {"name": "default", "digest": "0"}, "router": "direct", "lambda": 0.1, "tokens": 3,
        "unknown": 0, "bucket": 16, "openings": 9,
        "ms": {"client": 1.0, "wait": 0.0, "offline": 1.0, "online": 2.0, "total": 3.0},
        "bytes": {"server0_sent": 1, "server1_sent": 1, "client_sent": 1, "material": 1},
    });
    RouteReport::from_json(report).unwrap()
}

/// A decision to be made.
struct Case<'a> {
    config: Config,
    dialect: Dialect,
    body: String,
    standing: Option<Standing>,
    budgets: bool,
    ceiling: Option<u64>,
    ranking: Result<&'a [&'a str], Duration>,
}

/// What was decided.
#[derive(Debug, PartialEq)]
struct Decided {
    models: Vec<String>,
    why: Why,
    previous: Option<String>,
    noted: bool,
    /// By what text the router was asked, if it was.
    prompt: Option<String>,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            config: config("default_model = \"dear\""),
            dialect: Dialect::Chat,
            body: chat("auto", "", "[]"),
            standing: None,
            budgets: false,
            ceiling: None,
            ranking: Ok(&ALL),
        }
    }
}

impl Case<'_> {
    /// Decides; an error as its status, code and message.
    async fn decided(&self) -> Result<Decided, (u16, String, String)> {
        let object = Object::read(self.body.as_bytes()).unwrap();
        let reading = reading::read(self.dialect, &object).unwrap();
        let catalogue = Catalogue::of(&self.config, &[]);
        let ceiling = self.ceiling.map(crate::money::Amount::from_pico);
        let wanted = Wanted { reading: &reading, dialect: self.dialect, ceiling };
        let (budgets, standing) = (self.budgets, self.standing.clone());
        let deciding = Deciding { config: &self.config, catalogue: &catalogue, wanted, budgets, standing };
        let asked = RefCell::new(None);
        let rank = |prompt: Zeroizing<String>| {
            *asked.borrow_mut() = Some(prompt.to_string());
            async { self.ranking.map(report).map_err(ChooseError::Deadline) }
        };
        let decision = deciding.decide(rank).await;
        let decision = decision.map_err(|error| (error.status, error.code.unwrap_or_default(), error.message))?;
        assert_eq!(decision.route.is_some(), asked.borrow().is_some() && self.ranking.is_ok());
        Ok(Decided {
            models: decision.callables.iter().map(|callable| callable.model.name.clone()).collect(),
            why: decision.why,
            previous: decision.previous,
            noted: decision.note.is_some(),
            prompt: asked.take(),
        })
    }

    /// The models and the reason.
    async fn models(&self) -> (String, Why) {
        let decided = self.decided().await.unwrap();
        (decided.models.join(" "), decided.why)
    }

    /// The status and the code of an error.
    async fn refused(&self) -> (u16, String) {
        let (status, code, _) = self.decided().await.unwrap_err();
        (status, code)
    }
}

/// A request of Chat with these fields and these messages after the first.
fn chat(model: &str, fields: &str, messages: &str) -> String {
    let messages = messages.trim_start_matches('[');
    let comma = if messages.starts_with(']') { "" } else { "," };
    format!(r#"{{"model":"{model}",{fields}"messages":[{{"role":"user","content":"first"}}{comma}{messages}}}"#)
}

fn standing(model: &str, cached: u64, output: u64) -> Option<Standing> {
    Some(Standing { model: model.to_owned(), cached, output })
}

const LOOP: &str =
    r#"[{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","tool_call_id":"c","content":"4"}]"#;

const NEXT: &str = r#"[{"role":"assistant","content":"a"},{"role":"user","content":"next"}]"#;

fn signed() -> String {
    r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"first"},{"role":"assistant","content":[
       {"type":"thinking","thinking":"t","signature":"s"}]},{"role":"user","content":"next"}]}"#
        .to_owned()
}

#[tokio::test]
async fn an_alias_asks_the_router_and_a_name_does_not() {
    let routed = Case::default().decided().await.unwrap();
    let models = ["cheap", "dear", "unpriced"].map(str::to_owned).to_vec();
    let prompt = Some("first".to_owned());
    assert_eq!(routed, Decided { models, why: Why::Routed, previous: None, noted: false, prompt });
    let named = Case { body: chat("dear", "", "[]"), ranking: Err(Duration::ZERO), ..Case::default() };
    let decided = named.decided().await.unwrap();
    assert_eq!((decided.models.join(" ").as_str(), decided.why, decided.prompt), ("dear", Why::Named, None));
    let alias = Case {
        config: config("default_model = \"dear\"\naliases = [\"any\"]"),
        body: chat("any", "", "[]"),
        ..Case::default()
    };
    assert_eq!(alias.models().await.1, Why::Routed);
    let unknown = Case { config: config("default_model = \"dear\"\naliases = [\"any\"]"), ..Case::default() };
    let (status, code, message) = unknown.decided().await.unwrap_err();
    assert_eq!((status, code.as_str()), (404, "model_not_found"));
    assert!(message.contains("any") && !message.contains("auto"), "{message}");
    let barred = Case { body: chat("barred", "", "[]"), ..Case::default() };
    assert_eq!(barred.refused().await, (400, "model_not_able".to_owned()));
}

#[tokio::test]
async fn a_tool_loop_stays_with_its_model_and_one_from_elsewhere_is_routed() {
    let known = Case { body: chat("auto", "", LOOP), standing: standing("dear", 0, 0), ..Case::default() };
    let decided = known.decided().await.unwrap();
    assert_eq!((decided.models.join(" ").as_str(), decided.why, decided.prompt), ("dear", Why::Pinned, None));
    assert_eq!(decided.previous.as_deref(), Some("dear"));
    let continued = chat("auto", "", r#"[{"role":"assistant","content":"a"}]"#);
    assert_eq!(Case { body: continued, ..known }.models().await, ("dear".to_owned(), Why::Pinned));
    for standing in [None, standing("gone", 0, 0)] {
        let elsewhere = Case { body: chat("auto", "", LOOP), standing, ..Case::default() };
        assert_eq!(elsewhere.models().await.1, Why::Routed);
    }
    let unable =
        Case { body: chat("auto", r#""tools":[{}],"#, LOOP), standing: standing("cheap", 0, 0), ..Case::default() };
    assert_eq!(unable.refused().await, (400, "model_not_able".to_owned()));
}

#[tokio::test]
async fn signatures_keep_the_model_or_without_memory_the_only_provider_that_can_have_made_them() {
    let case = Case { dialect: Dialect::Messages, body: signed(), ranking: Err(Duration::ZERO), ..Case::default() };
    // The default model, although `cheap` comes first.
    assert_eq!(case.models().await, ("dear".to_owned(), Why::Pinned));
    let known = Case { standing: standing("cheap", 0, 0), ..case };
    assert_eq!(known.models().await, ("cheap".to_owned(), Why::Pinned));
    let first = Case { config: config("on_failure = \"error\""), standing: None, ..known };
    assert_eq!(first.models().await, ("cheap".to_owned(), Why::Pinned));
    // What fits comes before what is first.
    let long = Case { body: signed().replace("first", &"long ".repeat(200)), ..first };
    assert_eq!(long.models().await, ("dear".to_owned(), Why::Pinned));
    let too_dear = Case { ceiling: Some(1_000_000), ..long };
    assert_eq!(too_dear.refused().await, (400, "no_fitting_model".to_owned()));
    // Two providers speak Chat.
    let reasons = r#"[{"role":"assistant","content":"a","reasoning_details":[{}]},{"role":"user","content":"next"}]"#;
    let either = Case { body: chat("auto", "", reasons), ..Case::default() };
    assert_eq!(either.refused().await, (400, "unknown_conversation".to_owned()));
    // Nobody speaks Responses.
    let stored = r#"{"model":"auto","input":"next","previous_response_id":"r"}"#.to_owned();
    let nobody = Case { dialect: Dialect::Responses, body: stored, ..Case::default() };
    assert_eq!(nobody.refused().await, (400, "unknown_conversation".to_owned()));
}

#[tokio::test]
async fn a_conversation_switches_if_that_pays_and_else_is_kept() {
    let at = |model: &str, cached, turns: u32| Case {
        config: config(&format!("default_model = \"dear\"\nswitch_turns = {turns}")),
        body: chat("auto", "", NEXT),
        standing: standing(model, cached, 0),
        ..Case::default()
    };
    assert_eq!(at("dear", 0, 0).models().await, ("cheap dear unpriced".to_owned(), Why::Switched));
    // All of the input is in the cache at 3 in place of 10.
    assert_eq!(at("dear", 1 << 20, 0).models().await, ("dear cheap unpriced".to_owned(), Why::Kept));
    // Each turn to come saves 2 of the lost 7.
    assert_eq!(at("dear", 1 << 20, 3).models().await.1, Why::Kept);
    assert_eq!(at("dear", 1 << 20, 4).models().await.1, Why::Switched);
    // The output of the turn before stands for that of this one.
    let output = Case { standing: standing("dear", 1 << 20, 1000), ..at("dear", 0, 0) };
    assert_eq!(output.models().await.1, Why::Switched);
    assert_eq!(at("cheap", 0, 0).models().await, ("cheap dear unpriced".to_owned(), Why::Routed));
    // Without prices a switch does not pay.
    assert_eq!(at("unpriced", 0, 0).models().await, ("unpriced cheap dear".to_owned(), Why::Kept));
    // A model outside the ranking is kept too, and one that cannot answer any more is not.
    let outside = Case { ranking: Ok(&["p-dear"]), ..at("cheap", 0, 0) };
    assert_eq!(outside.models().await, ("cheap dear".to_owned(), Why::Kept));
    assert_eq!(at("barred", 0, 0).models().await, ("cheap dear unpriced".to_owned(), Why::Routed));
}

#[tokio::test]
async fn models_that_cannot_answer_are_left_out() {
    let image = r#"[{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]"#;
    let file = r#"[{"role":"user","content":[{"type":"text","text":"t"},{"type":"file","file":{"file_id":"f"}}]}]"#;
    for (body, models) in [
        (chat("auto", r#""tools":[{}],"#, "[]"), "dear unpriced"),
        (chat("auto", r#""response_format":{"type":"json_object"},"#, "[]"), "dear unpriced"),
        (chat("auto", r#""max_tokens":100,"#, "[]"), "cheap dear unpriced"),
        (chat("auto", r#""max_tokens":101,"#, "[]"), "dear unpriced"),
        (chat("auto", "", "[]").replace("first", &"long ".repeat(200)), "dear unpriced"),
        (chat("auto", "", image), "dear"),
        // A file counts as many tokens.
        (chat("auto", "", file), "dear unpriced"),
    ] {
        assert_eq!(Case { body, ..Case::default() }.models().await, (models.to_owned(), Why::Routed));
    }
    // The input and the answer share the context.
    let filled = |most: u64| chat("auto", &format!("\"max_tokens\":{most},"), "[]").replace("first", &"x".repeat(300));
    assert_eq!(Case { body: filled(50), ..Case::default() }.models().await.0, "cheap dear unpriced");
    assert_eq!(Case { body: filled(100), ..Case::default() }.models().await.0, "dear unpriced");
    let named = Case { body: filled(100).replace("auto", "cheap"), ..Case::default() };
    assert_eq!(named.refused().await, (400, "context_length_exceeded".to_owned()));
    // Files pass to a provider of the caller's dialect only.
    let messages = r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"t"},
                      {"type":"document","source":{"type":"text","data":"d"}}]}]}"#;
    let other = Case { dialect: Dialect::Messages, body: messages.to_owned(), ..Case::default() };
    assert_eq!(other.models().await.0, "cheap dear");
}

#[tokio::test]
async fn case_38_prices_above_the_ceiling_and_unknown_ones_with_a_budget_are_left_out() {
    // In USD per million tokens a millionth is a picodollar per token.
    for (budgets, ceiling, models) in [
        (false, None, "cheap dear unpriced"),
        (true, None, "cheap dear"),
        (false, Some(150_000_000), "cheap dear"),
        (false, Some(149_999_999), "cheap"),
    ] {
        let case = Case { budgets, ceiling, ..Case::default() };
        assert_eq!(case.models().await.0, models);
    }
    let unpriced = Case { budgets: true, body: chat("unpriced", "", "[]"), ..Case::default() };
    assert_eq!(unpriced.refused().await, (400, "price_ceiling".to_owned()));
    // Nothing is left, and the default model is too dear as well.
    let nothing = Case { ceiling: Some(1), ..Case::default() };
    assert_eq!(nothing.refused().await, (400, "price_ceiling".to_owned()));
}

#[tokio::test]
async fn without_a_route_the_default_model_answers_or_nobody() {
    let late = Case { ranking: Err(Duration::from_millis(50)), ..Case::default() };
    let decided = late.decided().await.unwrap();
    assert_eq!((decided.models.join(" ").as_str(), decided.why, decided.noted), ("dear", Why::Default, true));
    let strict = Case { config: config("on_failure = \"error\"\ndefault_model = \"dear\""), ..late };
    let (status, code, message) = strict.decided().await.unwrap_err();
    assert_eq!((status, code.as_str()), (503, "no_route"));
    assert!(message.contains("50ms"), "{message}");
    // A ranking of which nothing can answer.
    let barred = Case { ranking: Ok(&["p-barred", "p-elsewhere"]), ..Case::default() };
    assert_eq!(barred.models().await, ("dear".to_owned(), Why::Default));
    // Nothing to route by: the router is not asked.
    let image = r#"{"model":"auto","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]}"#;
    let decided = Case { body: image.to_owned(), ..Case::default() }.decided().await.unwrap();
    assert_eq!((decided.models.join(" ").as_str(), decided.why, decided.prompt), ("dear", Why::Default, None));
    // Where nobody answers in place of a choice, trying again would not help.
    let strict = || config("on_failure = \"error\"\ndefault_model = \"dear\"");
    let refused = Case { config: strict(), body: image.to_owned(), ..Case::default() }.refused().await;
    assert_eq!(refused, (400, "nothing_to_route_by".to_owned()));
    let barred = Case { config: strict(), ranking: Ok(&["p-barred", "p-elsewhere"]), ..Case::default() };
    assert_eq!(barred.refused().await, (400, "no_fitting_model".to_owned()));
}

#[tokio::test]
async fn the_head_of_the_system_prompt_comes_before_the_message() {
    let body = r#"{"model":"auto","messages":[{"role":"system","content":"äöü!"},{"role":"user","content":"ask"}]}"#;
    for (chars, prompt) in [(0, "ask"), (2, "äö\nask"), (4, "äöü!\nask"), (9, "äöü!\nask")] {
        let route = format!("default_model = \"dear\"\nsystem_prompt_chars = {chars}");
        let case = Case { config: config(&route), body: body.to_owned(), ..Case::default() };
        assert_eq!(case.decided().await.unwrap().prompt.as_deref(), Some(prompt));
    }
}

#[tokio::test]
async fn without_providers_the_pool_answers_itself() {
    let pool =
        |name: &str| crate::config::PoolModel { name: name.to_owned(), price: 0.2, price_unit: "USD".to_owned() };
    let catalogue = Catalogue::of(&Config::default(), &[pool("p-cheap"), pool("p-dear")]);
    assert!(catalogue.all().iter().all(Callable::is_built_in));
    assert_eq!(catalogue.of_pool("p-dear").unwrap().model.name, "p-dear");
    assert!(catalogue.named("p-elsewhere").is_none() && catalogue.of_pool("dear").is_none());
    assert_eq!(catalogue.named("p-cheap").unwrap().prices.unwrap().output, crate::money::Amount::ZERO);
    // Cached input without a price of its own costs what input costs.
    let configured = Catalogue::of(&config("default_model = \"dear\""), &[]);
    let prices = configured.named("dear").unwrap().prices.unwrap();
    assert_eq!(
        [prices.input, prices.cached, prices.cache_write, prices.output].map(|price| price.pico() / 1_000_000),
        [30, 3, 30, 150]
    );
    assert!(configured.named("unpriced").unwrap().prices.is_none());
}
