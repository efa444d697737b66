//! A configuration that changes while the gateway answers.

use crate::bench::{answer, request};
use crate::mock::whole;
use crate::world::{Settings, World};
use blindroute_dialects::Dialect;
use std::time::{Duration, Instant};

async fn names(world: &World) -> Vec<String> {
    let json = world.told("/v1/models").await.json();
    json["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn new_models_are_taken_up_and_a_bad_file_changes_nothing() {
    let world = World::new(vec![whole(200, "", answer(Dialect::Chat))]).await;
    let good = Settings::default().text(&world.mock.base_url).replace("name = \"best\"", "name = \"newest\"");
    let good =
        good.replace("upstream = \"large-2026\"", "upstream = \"newest-2027\"").replace("\"claude-auto\"", "\"any\"");
    std::fs::write(&world.file, &good).unwrap();
    // At once, with no wait for those that look for changes.
    world.reload.reload().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while names(&world).await[2] != "newest" {
        assert!(Instant::now() < until, "the new file was not taken up");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await;
    assert_eq!(told.says(["model", "why"]), ["newest", "routed"]);
    assert!(world.mock.seen()[0].body.contains("newest-2027"));
    let bad = good.replace("name = \"newest\"", "name = \"wrong\"\nprice = 3");
    std::fs::write(&world.file, bad).unwrap();
    assert!(world.reload.reload().is_err());
    assert_eq!(names(&world).await[2], "newest");
    assert_eq!(world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await.status, 200);
}
