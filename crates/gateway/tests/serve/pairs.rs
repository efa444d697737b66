//! Servers elsewhere: whether they answer, and when the certificates end, without a request.

use crate::world::{Settings, World};
use blindroute_placement::{ClientConfig, PrivateRouter, default_bundle};
use blindroute_routing::bundle::{SplitRandomness, split};
use blindroute_runtime::config::Configuration as _;
use blindroute_runtime::{CertificateFolder, Endpoint, FrameKind, Link, Role, Timeouts};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A server that takes calls and never answers a question.
fn server(role: Role, certificates: &CertificateFolder) -> String {
    let endpoint = Endpoint::load(role, &certificates.identity(role)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let endpoint = endpoint.clone();
            std::thread::spawn(move || {
                let link = Link::accept(socket, &endpoint, &[Role::Client], &Timeouts::default());
                link.and_then(|mut link| link.receive(FrameKind::ClientHello)).ok();
            });
        }
    });
    address
}

/// A router of the servers at these addresses, with certificates of so many days.
fn router(home: &Path, servers: impl Fn(&CertificateFolder) -> [String; 2]) -> Arc<PrivateRouter> {
    let days = Duration::from_secs(20 * 24 * 3600 + 3600);
    let certificates = CertificateFolder::generate_for(&home.join("c"), SystemTime::now(), days).unwrap();
    let files = split(&default_bundle().unwrap(), &SplitRandomness::new(&[7; SplitRandomness::BYTES])).unwrap();
    std::fs::write(home.join("public.bin"), &files.public).unwrap();
    let [zero, one] = servers(&certificates);
    let text = format!(
        "server0 = \"{zero}\"\nserver1 = \"{one}\"\nbundle = \"public.bin\"\n[identity]\nauthority = \"c/authority.pem\"\n\
         certificate = \"c/client.pem\"\nkey = \"c/client.key\"\n"
    );
    std::fs::write(home.join("pair.toml"), text).unwrap();
    let config = ClientConfig::load(&home.join("pair.toml")).unwrap().config;
    Arc::new(PrivateRouter::connect(&config).unwrap())
}

/// Waits until `/readyz` says when the pair last did this.
async fn until(world: &World, what: &str) -> (u16, serde_json::Value) {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let told = world.told("/readyz").await;
        let body = told.json();
        if body["pairs"][0][what].is_string() {
            return (told.status, body);
        }
        assert!(Instant::now() < limit, "{body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn settings() -> Settings {
    Settings { placement: "full", ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_answer_are_known_without_a_request_and_certificates_are_counted_down() {
    let home = tempfile::tempdir().unwrap();
    let router =
        router(home.path(), |certificates| [Role::Server0, Role::Server1].map(|role| server(role, certificates)));
    let world = World::routed(&router, |url| settings().text(url), vec![Vec::new()]).await;
    let (status, body) = until(&world, "answered").await;
    assert_eq!((status, &body["pairs"][0]["reachable"]), (200, &true.into()), "{body}");
    let metrics = world.told("/metrics").await.text;
    for line in [
        "blindroute_pair_answers{pair=\"0\"} 1\n",
        "blindroute_certificate_days_left{pair=\"0\",certificate=\"client\"} 20\n",
        "blindroute_certificate_days_left{pair=\"0\",certificate=\"authority\"} 20\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let page = world.told("/").await.text;
    assert!(page.contains("answered") && page.contains("authority, for pair 0"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_answer_make_the_gateway_not_ready() {
    let home = tempfile::tempdir().unwrap();
    let dead = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    // The first one answers.
    let router = router(home.path(), |certificates| [server(Role::Server0, certificates), dead()]);
    let world = World::routed(&router, |url| settings().text(url), vec![Vec::new()]).await;
    let (status, body) = until(&world, "failed").await;
    assert_eq!((status, &body["reasons"][0]), (503, &"pair 0 does not answer".into()), "{body}");
    assert!(world.told("/metrics").await.text.contains("blindroute_pair_answers{pair=\"0\"} 0\n"));
    assert!(world.told("/").await.text.contains("does not answer"));
}
