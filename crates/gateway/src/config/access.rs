//! The table `[access]`: who may call the gateway.

use serde::Serialize;

use super::credential::Credential;
use super::reader::Table;

/// The shortest local token, in characters.
pub(super) const SHORTEST_TOKEN: usize = 16;

/// Names of this machine that are always allowed.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Who may call the gateway.
#[derive(Debug, PartialEq, Serialize)]
pub struct Access {
    /// The token that callers have to send, as `Authorization: Bearer` or `x-api-key`.
    pub token: Option<Credential>,
    /// The names, without ports, that a request's `Host` may have. They always include `localhost`, `127.0.0.1` and `::1`.
    pub hosts: Vec<String>,
    /// The origins of web pages that may call the gateway.
    pub origins: Vec<String>,
}

impl Default for Access {
    fn default() -> Self {
        Self { token: None, hosts: LOCAL.map(str::to_owned).to_vec(), origins: Vec::new() }
    }
}

impl Access {
    pub(super) fn read(table: Table<'_>) -> Self {
        let token = Credential::read(&table, "token_env", "token_file");
        if token.as_ref().is_some_and(|token| token.secret.expose().len() < SHORTEST_TOKEN) {
            let expected = format!("at least {SHORTEST_TOKEN} characters");
            let field = if table.reading.found.borrow().lines.contains_key("access.token_env") {
                "token_env"
            } else {
                "token_file"
            };
            let problem = table.problem(field, "a short token").expected(expected);
            table.note(problem.hint("make one with `openssl rand -hex 32`"));
        }
        let named = table.texts("hosts", "a name of a host without a port, for instance \"gateway.example\"", is_host);
        let mut hosts = Self::default().hosts;
        for host in named.unwrap_or_default().iter().map(|host| host.to_ascii_lowercase()) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let origins =
            table.texts("origins", "an origin without a path, for instance \"https://app.example\"", is_origin);
        table.finish();
        Self { token, hosts, origins: origins.unwrap_or_default() }
    }
}

/// Whether this is a name of a host, or an address, without a port.
fn is_host(text: &str) -> bool {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    (!text.is_empty() && text.bytes().all(name)) || text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Whether this is the origin of a web page as browsers send it.
fn is_origin(text: &str) -> bool {
    reqwest::Url::parse(text)
        .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.origin().ascii_serialization() == text)
}
