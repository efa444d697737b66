//! The table `[telemetry]`: who is told how requests went.

use reqwest::Url;
use serde::Serialize;

use super::reader::Table;

/// Who is told how requests went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Telemetry {
    /// The address of a collector of OpenTelemetry, which gets traces as OTLP over HTTP.
    pub otlp: Option<String>,
}

impl Telemetry {
    pub(super) fn read(table: Table<'_>) -> Self {
        let expected = "an address without a path, for instance \"http://127.0.0.1:4318\"";
        let otlp = table.text("otlp", expected, is_collector).map(str::to_owned);
        table.finish();
        Self { otlp }
    }
}

/// Whether this is an address of a host alone: what is behind it may be a key.
fn is_collector(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    ["http", "https"].contains(&url.scheme()) && url.host_str().is_some() && bare && nobody
}
