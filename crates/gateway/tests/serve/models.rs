//! What can be asked besides answers: the names of models, and the decision alone.

use crate::bench::{answer, request};
use crate::mock::whole;
use crate::world::{Told, World};
use blindroute_dialects::Dialect;
use serde_json::{Value, json};

/// A page of the list as a client of Messages sees it: its names, and whether there are more.
async fn page(world: &World, query: &str) -> (Vec<String>, bool) {
    let get = world.get(&format!("/v1/models{query}")).header("anthropic-version", "2023-06-01");
    let json = Told::of(get.send().await.unwrap()).await.json();
    let data = json["data"].as_array().unwrap().clone();
    assert!(data.iter().all(|model| model["type"] == "model" && model["display_name"] == model["id"]));
    let names: Vec<String> = data.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect();
    let ends = [names.first(), names.last()].map(|name| name.map_or(Value::Null, |name| name.as_str().into()));
    assert_eq!([&json["first_id"], &json["last_id"]], [&ends[0], &ends[1]]);
    (names, json["has_more"].as_bool().unwrap())
}

#[tokio::test]
async fn models_are_listed_in_both_forms() {
    let world = World::new(vec![Vec::new()]).await;
    let json = world.told("/v1/models").await.json();
    let model = |id: &str, owner: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": owner});
    let [auto, claude] = ["auto", "claude-auto"].map(|name| model(name, "blindroute"));
    let [best, next, spare] = ["best", "next", "spare"].map(|name| model(name, "mock"));
    assert_eq!(json, json!({"object": "list", "data": [auto, claude, best, next, spare]}));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = ["auto", "claude-auto", "best", "next", "spare"];
    assert_eq!(page(&world, "").await, (names(&all), false));
    for wrong in ["0", "1001", "-1", "many"] {
        let told = world.told(&format!("/v1/models?limit={wrong}")).await;
        assert_eq!((told.status, told.json()["error"]["param"].as_str()), (400, Some("limit")), "{wrong}");
    }
    assert_eq!(page(&world, "?limit=2").await, (names(&all[..2]), true));
    assert_eq!(page(&world, "?limit=2&after_id=claude-auto").await, (names(&all[2..4]), true));
    assert_eq!(page(&world, "?after_id=nex%74&limit=2").await, (names(&all[4..]), false));
    assert_eq!(page(&world, "?after_id=spare").await, (Vec::new(), false));
    // The page just before a name.
    assert_eq!(page(&world, "?before_id=next&limit=2").await, (names(&all[1..3]), true));
    assert_eq!(page(&world, "?before_id=claude-auto&limit=2").await, (names(&all[..1]), false));
}

#[tokio::test]
async fn one_model_can_be_looked_up() {
    let world = World::new(vec![Vec::new()]).await;
    let found = world.told("/v1/models/bes%74").await;
    assert_eq!((found.status, &found.json()["id"]), (200, &"best".into()));
    for (name, version) in [("barred", false), ("none", false), ("none", true), ("%zz", true)] {
        let get = world.get(&format!("/v1/models/{name}"));
        let get = if version { get.header("anthropic-version", "2023-06-01") } else { get };
        let told = Told::of(get.send().await.unwrap()).await;
        let kind = if version { "not_found_error" } else { "invalid_request_error" };
        assert_eq!((told.status, &told.json()["error"]["type"]), (404, &kind.into()), "{}", told.text);
    }
}

#[tokio::test]
async fn a_route_alone_calls_nobody_and_leaves_nothing() {
    let world = World::new(vec![whole(200, "", answer(Dialect::Chat))]).await;
    let body = request(Dialect::Chat, false);
    let told = Told::of(world.post("/v1/route", &body).send().await.unwrap()).await;
    assert_eq!(told.says(["placement"]), ["local"]);
    let json = told.json();
    assert_eq!([&json["object"], &json["model"], &json["why"]], ["route", "best", "routed"]);
    let priced = |name: &str, input: &str, output: &str| json!({"model": name, "provider": "mock", "input": input, "output": output});
    assert_eq!(json["models"], json!([priced("best", "1", "2"), priced("next", "3", "15")]));
    assert_eq!(json["route"]["placement"], "local");
    let named = Told::of(world.post("/v1/route", &body.replace("auto", "spare")).send().await.unwrap()).await.json();
    assert_eq!((&named["model"], &named["why"], named.get("route")), (&"spare".into(), &"named".into(), None));
    let unknown = Told::of(world.post("/v1/route", &body.replace("auto", "none")).send().await.unwrap()).await;
    assert_eq!(unknown.status, 404);
    assert!(world.mock.seen().is_empty() && world.store.recent(9).await.unwrap().is_empty());
    world.spent(0, 0).await;
    // It is no turn of the conversation.
    let first = world.ask(Dialect::Chat, &body).await;
    assert_eq!(first.says(["why"]), ["routed"]);
    assert_eq!(world.recorded(1).await[0].previous, None);
}

#[tokio::test]
async fn each_request_names_a_model() {
    let world = World::new(vec![Vec::new()]).await;
    let said = r#""messages":[{"role":"user","content":"Hi"}],"input":"Hi","max_tokens":9"#;
    for path in ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/route"] {
        for model in ["", r#""model":null,"#, r#""model":"","#] {
            let told = Told::of(world.post(path, &format!("{{{model}{said}}}")).send().await.unwrap()).await;
            let error = told.json()["error"]["message"].to_string();
            assert!(told.status == 400 && error.contains("names no model"), "{path} {model} {error}");
        }
    }
    assert_eq!(world.mock.seen().len(), 0);
}
