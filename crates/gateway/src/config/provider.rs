//! The tables `[[provider]]`: whom the gateway calls.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue};
use blindroute_dialects::Dialect;
use reqwest::Url;
use serde::{Serialize, Serializer};

use super::credential::{Credential, hidden};
use super::reader::Table;
use super::secret::Secret;

/// Headers that the gateway writes itself.
const OWN_HEADERS: [&str; 10] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
];

/// A provider of models.
#[derive(Debug, PartialEq, Serialize)]
pub struct Provider {
    /// The name by which models name it.
    pub name: String,
    /// The dialects that it speaks, each once.
    #[serde(serialize_with = "names")]
    pub dialects: Vec<Dialect>,
    /// What its addresses begin with, without a slash at the end. It holds no user, password or query.
    pub base_url: String,
    /// Whether the address may be `http` although it is not on this machine.
    pub allow_http: bool,
    /// The key, if it needs one.
    pub key: Option<Credential>,
    /// Further headers of each call, by their names in small letters. Their values are treated as secrets.
    pub headers: BTreeMap<String, Secret>,
}

impl Provider {
    pub(super) fn read(table: Table<'_>) -> Self {
        let name = table.required_name("name", "a name for the provider");
        let mut dialects =
            table.choices("dialects", &Dialect::ALL.map(|dialect| (dialect.name(), dialect))).unwrap_or_default();
        dialects.sort_unstable_by_key(|dialect| dialect.name());
        dialects.dedup();
        if dialects.is_empty() && !table.is_faulty("dialects") {
            table.missing("dialects", "at least one of \"chat\", \"responses\", \"messages\"");
        }
        let allow_http = table.flag("allow_http").unwrap_or_default();
        let provider = Self {
            name,
            dialects,
            base_url: base_url(&table, allow_http).unwrap_or_default(),
            allow_http,
            key: Credential::read(&table, "key_env", "key_file"),
            headers: headers(&table),
        };
        table.finish();
        provider
    }
}

/// The address, of which nothing is shown if it is wrong: it may hold a key.
fn base_url(table: &Table<'_>, allow_http: bool) -> Option<String> {
    let expected = "an address such as \"https://api.example/v1\"";
    let Some(text) = table.text("base_url", expected, |_| true) else {
        if !table.has("base_url") {
            table.missing("base_url", expected);
        }
        return None;
    };
    let Ok(url) = Url::parse(text) else {
        table.note(hidden(table, "base_url", expected));
        return None;
    };
    let problem = |found: &str, expected: &str, hint: &str| {
        table.note(table.problem("base_url", found).expected(expected).hint(hint));
    };
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        problem("an address without http and a host", expected, "begin it with https://");
    } else if !url.username().is_empty() || url.password().is_some() {
        problem("a user or a password in the address", "none", "name the key in key_env or key_file");
    } else if url.query().is_some() || url.fragment().is_some() {
        problem("a question mark or # in the address", "none", "name the key in key_env, key_file or headers");
    } else if url.scheme() == "http" && !allow_http && !is_this_machine(&url) {
        problem(
            "http to another machine",
            "https",
            "without it, all on the way read prompts and key; set allow_http = true if that is meant",
        );
    } else {
        return Some(url.as_str().trim_end_matches('/').to_owned());
    }
    None
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn headers(table: &Table<'_>) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (at, (name, value)) in table.pairs("headers").into_iter().enumerate() {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            let problem = table.entry_problem("headers", at, "what is no name of a header");
            table.note(problem.expected("letters, digits and -"));
            continue;
        };
        let field = format!("headers.{header}");
        if OWN_HEADERS.contains(&header.as_str()) {
            let problem = table.problem(&field, "a header that the gateway writes itself");
            table.note(problem.expected("another header").hint("keys are named in key_env or key_file"));
        } else if let Some(value) = value.filter(|value| HeaderValue::from_str(value).is_ok()) {
            headers.insert(header.as_str().to_owned(), Secret::new(value.to_owned()));
        } else {
            table.note(hidden(table, &field, "a text of one line"));
        }
    }
    headers
}

/// The names of dialects, as the file has them.
pub(super) fn names<S: Serializer>(dialects: &[Dialect], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(dialects.iter().map(|dialect| dialect.name()))
}
