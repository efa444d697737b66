//! The gateway, its record, and what the process holds.

use crate::oracle::Expected;
use crate::provider::Provider;
use blindroute_gateway::config::{Environment, Reload};
use blindroute_gateway::store::{Period, Store, StoreOptions};
use blindroute_gateway::{Gateway, pool_of};
use blindroute_placement::{PrivateRouter, default_bundle};
use reqwest::Client;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct World {
    pub(crate) provider: Provider,
    pub(crate) client: Client,
    pub(crate) url: String,
    store: Store,
    record: PathBuf,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _home: tempfile::TempDir,
}

/// What the process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resources {
    pub(crate) kib: u64,
    pub(crate) descriptors: usize,
}

/// What is in the record's file once it is closed.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) spent: u64,
    pub(crate) sum: u64,
    pub(crate) calls: u64,
    pub(crate) reserved: u64,
    pub(crate) estimated: u64,
    pub(crate) decisions: u64,
}

/// A model that speaks all dialects, and one that speaks Chat only, which stand for the pool by halves.
fn configuration(base_url: &str, pool: &[String]) -> String {
    let half = |side: usize| {
        let names = pool.iter().enumerate().filter(|(place, _)| place % 2 == side);
        serde_json::Value::from(names.map(|(_, name)| name.as_str()).collect::<Vec<_>>())
    };
    format!(
        r#"
        data = "data"
        [route]
        placement = "local"
        deadline = "60s"
        on_failure = "error"
        [timeouts]
        first_token = "3s"
        idle = "2s"
        [[provider]]
        name = "all"
        dialects = ["chat", "responses", "messages"]
        base_url = "{base_url}"
        [[provider]]
        name = "chat"
        dialects = ["chat"]
        base_url = "{base_url}"
        [[model]]
        name = "best"
        provider = "all"
        upstream = "large-2026"
        pool = {}
        input = "1"
        output = "2"
        max_output = 100
        [[model]]
        name = "next"
        provider = "chat"
        pool = {}
        input = "3"
        output = "15"
        max_output = 100
        [budget]
        daily = "100000"
        "#,
        half(0),
        half(1)
    )
}

impl World {
    pub(crate) async fn new() -> Self {
        blindroute_runtime::choose_cryptography();
        let (provider, home) = (Provider::start().await, tempfile::tempdir().unwrap());
        let router = Arc::new(PrivateRouter::local(&default_bundle().unwrap()).unwrap());
        let pool = pool_of(&router);
        let names: Vec<_> = pool.iter().map(|model| model.name.clone()).collect();
        let file = home.path().join("gateway.toml");
        std::fs::write(&file, configuration(&provider.base_url, &names)).unwrap();
        let reload = Reload::open(&file, pool, Environment::of(|_| None)).unwrap_or_else(|error| panic!("{error}"));
        let record = home.path().join("gateway.sqlite");
        let store = Store::open(&record, StoreOptions::default()).unwrap();
        let gateway = Arc::new(Gateway::new(Arc::new(reload), router, store.clone()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, told) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            gateway.serve(listener, async move { drop(told.await) }).await.unwrap();
        });
        let client = Client::builder().build().unwrap();
        Self { provider, client, url, store, record, serving: Some((end, serving)), _home: home }
    }

    /// What the process holds once nothing is under way.
    pub(crate) async fn at_rest(&self) -> Resources {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        Resources { kib: pages * 4, descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count() }
    }

    /// Waits until all calls are settled, which happens a little after their answers.
    pub(crate) async fn settled(&self, expected: &Expected) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let spent = self.store.spent(Period::All, None).await.unwrap();
            let estimated: u64 = self.store.by_model(Period::Today).await.unwrap().iter().map(|of| of.estimated).sum();
            if (spent.amount.pico(), spent.calls, estimated) == (expected.spent, expected.paid, expected.estimated) {
                return;
            }
            assert!(Instant::now() < until, "{spent:?} and {estimated} estimated, expected {expected:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the gateway, and reads its record with SQLite alone.
    pub(crate) async fn end(&mut self) -> Recorded {
        let (end, serving) = self.serving.take().unwrap();
        // Connections that wait for a request hold the end up.
        self.client = Client::new();
        end.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(60), serving).await.expect("the gateway ends").unwrap();
        let record = Connection::open(&self.record).unwrap();
        let number = |sql: &str| record.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
        Recorded {
            spent: number("SELECT coalesce(sum(amount), 0) FROM spending"),
            sum: number("SELECT spent FROM sums WHERE span = 2 AND session = x''"),
            calls: number("SELECT count(*) FROM spending"),
            reserved: number("SELECT count(*) FROM spending WHERE state = 0"),
            estimated: number("SELECT count(*) FROM spending WHERE estimated = 1"),
            decisions: number("SELECT count(*) FROM decisions"),
        }
    }
}
