//! A gateway that answers, its provider, and what tests ask of both.

use crate::bench::KEY;
use crate::mock::{Mock, Step};
use blindroute_dialects::Dialect;
use blindroute_gateway::clock::{Clock, Moment};
use blindroute_gateway::config::{Environment, Reload};
use blindroute_gateway::store::{Decision, Period, Store, StoreOptions};
use blindroute_gateway::{Gateway, pool_of};
use blindroute_placement::{Placement, PrivateRouter, RouteOptions, default_bundle};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A router that works in the clear, for everything but its protocol.
static LOCAL: LazyLock<Arc<PrivateRouter>> =
    LazyLock::new(|| Arc::new(PrivateRouter::local(&default_bundle().unwrap()).unwrap()));

/// The models of the pool for the prompts of these tests, the best first.
static RANKING: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut options = RouteOptions::default().with_ranking(2);
    options.placement = Placement::Local;
    let report = LOCAL.route("canary", &options).unwrap();
    report.ranking.into_iter().map(|ranked| ranked.model).collect()
});

/// Reading the system's certificates takes longer than a test.
static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::builder().build().unwrap());

/// Noon of a day.
const NOON: Moment = Moment::from_millis(1_735_732_800_000);

/// What a test changes of the configuration.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) placement: &'static str,
    /// Further lines of `[route]`.
    pub(crate) route: &'static str,
    /// The dialect of the provider.
    pub(crate) dialect: Dialect,
    /// Further tables.
    pub(crate) tables: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self { placement: "local", route: "default_model = \"spare\"", dialect: Dialect::Chat, tables: "" }
    }
}

impl Settings {
    /// Models `best` and `next` stand for the first two of the ranking of these tests' prompts, `spare` for none.
    pub(crate) fn text(&self, base_url: &str) -> String {
        let Self { placement, route, dialect, tables } = self;
        let [best, next] = [&RANKING[0], &RANKING[1]];
        format!(
            r#"
            data = "data"
            [route]
            placement = "{placement}"
            {route}
            [retries]
            attempts = 1
            [[provider]]
            name = "mock"
            dialects = ["{dialect}"]
            base_url = "{base_url}"
            key_env = "KEY"
            [[model]]
            name = "best"
            provider = "mock"
            upstream = "large-2026"
            pool = ["{best}"]
            input = "1"
            cached_input = "0.1"
            output = "2"
            max_output = 100
            [[model]]
            name = "next"
            provider = "mock"
            pool = ["{next}"]
            input = "3"
            output = "15"
            max_output = 100
            [[model]]
            name = "spare"
            provider = "mock"
            input = "3"
            output = "15"
            [[model]]
            name = "barred"
            provider = "mock"
            allowed = false
            {tables}
            "#
        )
    }
}

pub(crate) struct World {
    pub(crate) mock: Mock,
    pub(crate) store: Store,
    pub(crate) reload: Arc<Reload>,
    pub(crate) file: PathBuf,
    address: SocketAddr,
    _home: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(scripts: Vec<Vec<Step>>) -> Self {
        Self::with(Settings::default(), scripts).await
    }

    pub(crate) async fn with(settings: Settings, scripts: Vec<Vec<Step>>) -> Self {
        Self::local(|url| settings.text(url), scripts).await
    }

    /// With a configuration that is made for the provider's address.
    pub(crate) async fn local(text: impl Fn(&str) -> String, scripts: Vec<Vec<Step>>) -> Self {
        Self::routed(&LOCAL, text, scripts).await
    }

    /// With another router, and a configuration that is made for the provider's address.
    pub(crate) async fn routed(
        router: &Arc<PrivateRouter>,
        text: impl Fn(&str) -> String,
        scripts: Vec<Vec<Step>>,
    ) -> Self {
        blindroute_runtime::choose_cryptography();
        let (mock, home) = (Mock::start(scripts).await, tempfile::tempdir().unwrap());
        let file = home.path().join("gateway.toml");
        std::fs::write(&file, text(&mock.base_url)).unwrap();
        let environment = Environment::of(|name| (name == "KEY").then(|| KEY.to_owned()));
        let reload =
            Arc::new(Reload::open(&file, pool_of(router), environment).unwrap_or_else(|error| panic!("{error}")));
        let options = StoreOptions { clock: Clock::from_fn(|| NOON), ..StoreOptions::default() };
        let store = Store::open(&home.path().join("gateway.sqlite"), options).unwrap();
        let gateway = Arc::new(Gateway::new(Arc::clone(&reload), Arc::clone(router), store.clone()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(gateway.serve(listener, std::future::pending()));
        Self { mock, store, reload, file, address, _home: home }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        CLIENT.get(format!("http://{}{path}", self.address)).timeout(Duration::from_secs(60))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> RequestBuilder {
        let post = CLIENT.post(format!("http://{}{path}", self.address)).timeout(Duration::from_secs(60));
        post.header("content-type", "application/json").body(body.to_owned())
    }

    /// Asks a model for an answer.
    pub(crate) async fn ask(&self, dialect: Dialect, body: &str) -> Told {
        Told::of(self.post(dialect.path(), body).send().await.unwrap()).await
    }

    pub(crate) async fn told(&self, path: &str) -> Told {
        Told::of(self.get(path).send().await.unwrap()).await
    }

    /// The decisions on record, the latest first, once there are so many: they are written a little later.
    pub(crate) async fn recorded(&self, count: usize) -> Vec<Decision> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let recorded = self.store.recent(100).await.unwrap();
            if recorded.len() == count {
                return recorded.into_iter().map(|recorded| recorded.decision).collect();
            }
            assert!(Instant::now() < until, "{} decisions are on record, expected {count}", recorded.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the only model that was called has so many calls whose usage is not known.
    pub(crate) async fn estimated(&self, calls: u64) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.store.by_model(Period::Today).await.unwrap()[0].estimated != calls {
            assert!(Instant::now() < until, "expected {calls} calls whose usage is not known");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a request for an answer, which is left to be read.
    pub(crate) async fn send(&self, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let (address, length) = (self.address, body.len());
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).await.unwrap();
        stream
    }

    /// Sends a whole request as it is, and gives the status of the answer.
    pub(crate) async fn raw(&self, request: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Waits until so many picodollars are spent, in so many calls. What is settled is written a little later.
    #[track_caller]
    pub(crate) fn spent(&self, pico: u64, calls: u64) -> impl Future<Output = ()> {
        let (store, at) = (self.store.clone(), std::panic::Location::caller());
        async move {
            let until = Instant::now() + Duration::from_secs(20);
            loop {
                let spent = store.spent(Period::Today, None).await.unwrap();
                let found = (spent.amount.pico(), spent.calls);
                if found == (pico, calls) {
                    return;
                }
                assert!(Instant::now() < until, "{found:?} spent, expected {:?}, at {at}", (pico, calls));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) text: String,
}

impl Told {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// A header's value; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The values of these headers, whose names begin with `x-blindroute-`.
    #[track_caller]
    pub(crate) fn says<const N: usize>(&self, names: [&str; N]) -> [String; N] {
        assert_eq!(self.status, 200, "{}", self.text);
        names.map(|name| self.header(&format!("x-blindroute-{name}")).to_owned())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}
