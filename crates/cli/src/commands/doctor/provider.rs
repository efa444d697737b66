//! A provider: its name, port, certificate, and the key.

use super::network::{connect, days, resolve};
use super::report::{Finding, Report, Trouble};
use blindroute_gateway::config::{Provider, Source};
use blindroute_gateway::upstream::{Look, LookError, Manner, look};
use blindroute_runtime::Validity;
use std::time::{Duration, SystemTime};

/// A clock that is further off than this breaks certificates and budgets.
const SKEW: Duration = Duration::from_secs(600);

/// The variables by which calls go through a proxy.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Checks one provider.
pub(super) fn check(report: &mut Report, provider: &Provider, manner: &Manner, runtime: &tokio::runtime::Runtime) {
    let subject = format!("provider {}", provider.name);
    let key = match provider.key.as_ref().map(|key| &key.source) {
        Some(Source::Environment(name)) => Ok((format!("from the environment variable {name}"), ())),
        Some(Source::File(path)) => Ok((format!("from {}", path.display()), ())),
        None => Err(Trouble::new(
            "none is configured",
            "key_env or key_file",
            "leave it out only if the provider needs none",
        )
        .warning()),
    };
    report.enter(format!("{subject}: key"), key);
    let proxy = PROXIES.iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    match proxy {
        Some(name) => report.skip(&subject, &["name", "port"], &format!("{name} is set, so a proxy is asked instead")),
        None => {
            let address = address(&provider.base_url);
            let Some(addresses) = report.enter(format!("{subject}: name"), resolve(&address)) else {
                return report.skip(&subject, &["port", "certificate", "answer", "clock"], "the name does not resolve");
            };
            if report.enter(format!("{subject}: port"), connect(&addresses)).is_none() {
                return report.skip(&subject, &["certificate", "answer", "clock"], "the port takes no connection");
            }
        }
    }
    let is_https = provider.base_url.starts_with("https:");
    let looked = runtime.block_on(look(provider, manner));
    if let Err(LookError::Tls(found)) = looked {
        let to_do =
            "check base_url and this machine's clock; a proxy that opens TLS needs its authority among the system's";
        let expected = "a certificate for this name, from an authority that this machine trusts, that holds now";
        report.enter::<()>(format!("{subject}: certificate"), Err(Trouble::new(found, expected, to_do)));
        return report.skip(&subject, &["answer", "clock"], "the certificate is not good");
    }
    let certificate = looked.as_ref().ok().and_then(|look| Validity::of(look.certificate.as_ref()?));
    match certificate {
        Some(validity) => {
            let finding = days("the provider's certificate", validity, "tell the provider");
            report.enter(format!("{subject}: certificate"), finding);
        }
        None if !is_https => report.skip(&subject, &["certificate"], "the address is http"),
        None => report.skip(&subject, &["certificate"], "there was no answer"),
    }
    let date = looked.as_ref().ok().and_then(|look| look.date);
    report.enter(format!("{subject}: answer"), answer(provider, looked));
    match date {
        Some(date) => {
            report.enter(format!("{subject}: clock"), clock(date));
        }
        None => report.skip(&subject, &["clock"], "no answer says what time it is"),
    }
}

/// The "host:port" of an address.
fn address(base_url: &str) -> String {
    let (scheme, rest) = base_url.split_once("://").unwrap_or(("https", base_url));
    let host = rest.split('/').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match (has_port, scheme) {
        (true, _) => host.to_owned(),
        (false, "http") => format!("{host}:80"),
        (false, _) => format!("{host}:443"),
    }
}

fn answer(provider: &Provider, looked: Result<Look, LookError>) -> Finding<()> {
    let models = "200 to GET /models with the key, which costs nothing";
    let status = match looked {
        Ok(look) => look.status,
        Err(error) => {
            let to_do = "check base_url and the provider's status";
            return Err(Trouble::new(format!("no answer ({error})"), models, to_do));
        }
    };
    let found = format!("status {status}");
    match status {
        200..=299 => Ok((format!("{found}: the key is taken"), ())),
        401 | 403 => {
            let to_do = match provider.key.as_ref().map(|key| &key.source) {
                Some(Source::Environment(name)) => {
                    format!("the key is wrong or may not list models: replace it in {name}")
                }
                Some(Source::File(path)) => {
                    format!("the key is wrong or may not list models: replace it in {}", path.display())
                }
                None => "set key_env or key_file".to_owned(),
            };
            Err(Trouble::new(found, models, to_do))
        }
        404 | 405 => {
            let to_do =
                "the provider has no list of models, or base_url lacks its version (as /v1); the key was not checked";
            Err(Trouble::new(found, models, to_do).warning())
        }
        429 => Err(Trouble::new(found, models, "the provider limits this key now; the key was not checked").warning()),
        300..=399 => Err(Trouble::new(found, models, "the provider redirects: write the final address in base_url")),
        _ => Err(Trouble::new(found, models, "look at the provider's status, and try again")),
    }
}

fn clock(theirs: SystemTime) -> Finding<()> {
    let ours = SystemTime::now();
    let (off, side) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let found = format!("this machine's clock is {} s {side} the provider's", off.as_secs());
    if off > SKEW {
        let to_do = "set this machine's clock: certificates and budgets depend on it";
        return Err(Trouble::new(found, format!("at most {} s", SKEW.as_secs()), to_do));
    }
    Ok((found, ()))
}
