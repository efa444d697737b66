//! A pair of servers: its files here, each server, and a session.

use super::network::{connect, days, resolve};
use super::report::{Finding, Report, Trouble};
use blindroute_placement::health::{call, compare};
use blindroute_placement::{BundleCatalogue, SessionRequest, Task};
use blindroute_routing::bundle::PublicPart;
use blindroute_runtime::config::Configuration as _;
use blindroute_runtime::messages::Digest;
use blindroute_runtime::{
    Catalogue as _, Client, ClientConfig, Endpoint, LinkError, Role, Timeouts, Validity, choose_cryptography,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// No party is waited for longer than this at each step.
const PATIENCE: Duration = Duration::from_secs(10);

const RENEW: &str = "make certificates anew (blindroute certificates), and give each party its own";

/// What the checks of one server need.
struct Asking<'a> {
    endpoint: &'a Endpoint,
    timeouts: Timeouts,
    digest: Option<Digest>,
}

/// Checks the pair that a client's configuration names.
pub(super) fn check(report: &mut Report, path: &Path) {
    let subject = format!("pair {}", path.display());
    let loaded = ClientConfig::load(path).map_err(Trouble::said);
    let read = loaded.map(|loaded| ("read".to_owned(), loaded.config));
    let Some(config) = report.enter(format!("{subject}: configuration"), read) else {
        report.skip(
            &subject,
            &["certificates", "public part", "servers", "session"],
            "the configuration cannot be used",
        );
        return;
    };
    let endpoint = certificates(report, &subject, &config);
    let public = report.enter(format!("{subject}: public part"), public_part(&config));
    let digest = public.as_ref().map(|public| BundleCatalogue::of(public).digest());
    let servers = [(Role::Server0, &config.server0), (Role::Server1, &config.server1)];
    let mut all_fit = true;
    for (role, address) in servers {
        let asking = endpoint.as_ref().map(|endpoint| Asking { endpoint, timeouts: timeouts(&config), digest });
        all_fit &= server(report, &format!("{subject}: {role}"), (role, address), asking);
    }
    match (endpoint, public) {
        (Some(endpoint), Some(public)) if all_fit => {
            report.enter(format!("{subject}: session"), session(&config, endpoint, &public));
        }
        _ => report.skip(&subject, &["session"], "a check before failed"),
    }
}

fn timeouts(config: &ClientConfig) -> Timeouts {
    let Timeouts { connect, handshake, stall, message, ready } = config.timeouts.timeouts();
    Timeouts {
        connect: connect.min(PATIENCE),
        handshake: handshake.min(PATIENCE),
        stall: stall.min(PATIENCE),
        message,
        ready,
    }
}

/// Our own files: both certificates' days, then whether they fit together.
fn certificates(report: &mut Report, subject: &str, config: &ClientConfig) -> Option<Endpoint> {
    choose_cryptography();
    let files = config.identity.files();
    let name = format!("{subject}: certificates here");
    let [authority, own] = match files.validity() {
        Ok(found) => found,
        Err(error) => {
            report.enter::<()>(name, Err(Trouble::said(error)));
            return None;
        }
    };
    for (whose, validity) in [("the authority's certificate", authority), ("the client's certificate", own)] {
        report.enter(name.clone(), days(whose, validity, RENEW));
    }
    let scene = config.network.map(|network| network.scene());
    let loaded = Endpoint::load(Role::Client, &files).map_err(Trouble::said);
    let fits = loaded.map(|endpoint| ("of one authority, for the role client".to_owned(), endpoint.in_scene(scene)));
    report.enter(name, fits)
}

fn public_part(config: &ClientConfig) -> Finding<PublicPart> {
    let public = PublicPart::open(&config.bundle).map_err(|error| {
        Trouble::new(
            format!("{}: {error}", config.bundle.display()),
            "the public part of the servers' bundle",
            "ask the provider of the bundle for the file, and name it in `bundle`",
        )
    })?;
    Ok((format!("digest {}", public.digest), public))
}

/// Checks one server; says whether all is well.
fn server(report: &mut Report, subject: &str, (role, address): (Role, &String), asking: Option<Asking<'_>>) -> bool {
    let steps = ["port", "certificates", "version and bundle"];
    let Some(addresses) = report.enter(format!("{subject}: name"), resolve(address)) else {
        report.skip(subject, &steps, "the name does not resolve");
        return false;
    };
    if report.enter(format!("{subject}: port"), connect(&addresses)).is_none() {
        report.skip(subject, &steps[1..], "the port takes no connection");
        return false;
    }
    let Some(Asking { endpoint, timeouts, digest }) = asking else {
        report.skip(subject, &steps[1..], "the certificates here cannot be used");
        return false;
    };
    let called = call(role, address, endpoint, &timeouts).map_err(|error| trouble(&error));
    let certificate = called.map(|answering| ("accepted on both sides".to_owned(), answering.certificate));
    let Some(theirs) = report.enter(format!("{subject}: certificates"), certificate) else {
        report.skip(subject, &steps[2..], "the certificates do not match");
        return false;
    };
    let none = || Trouble::new("no certificate that can be read", "one", RENEW);
    let left = theirs.ok_or_else(none).and_then(|theirs: Validity| days("the server's certificate", theirs, RENEW));
    report.enter(format!("{subject}: certificates"), left);
    let Some(digest) = digest else {
        report.skip(subject, &steps[2..], "the public part cannot be used");
        return false;
    };
    let compared = compare(role, address, endpoint, &timeouts, digest).map_err(|error| trouble(&error));
    report.enter(format!("{subject}: version and bundle"), compared.map(|()| ("the same".to_owned(), ()))).is_some()
}

/// The error in its own words, with the clock as a further cause of certificates that do not hold.
fn trouble(error: &LinkError) -> Trouble {
    match error {
        LinkError::Certificate { .. } => Trouble::new(
            error.to_string(),
            "certificates of one authority that hold now on both sides",
            "compare the authorities of both sides, the days of both certificates and both clocks",
        ),
        _ => Trouble::said(error),
    }
}

/// A session without an input: it takes both servers and the dealer.
fn session(config: &ClientConfig, endpoint: Endpoint, public: &PublicPart) -> Finding<()> {
    if public.plan.routers.is_empty() {
        return Ok(("none was prepared: the bundle has no router".to_owned(), ()));
    }
    let addresses = [config.server0.clone(), config.server1.clone()];
    let client = Client::new(Arc::new(BundleCatalogue::of(public)), addresses, endpoint, timeouts(config));
    let request = BundleCatalogue::encode(SessionRequest::new(Task::head(0)));
    let session = client.prepare(&request).map_err(|error| {
        let to_do = "look at the logs of both servers and of the dealer, and at the dealer's address in the servers' configurations";
        Trouble::new(error.to_string(), "a session with both servers and the dealer", to_do)
    })?;
    let took = session.offline().as_millis();
    Ok((format!("both servers and the dealer prepared one in {took} ms; no prompt was sent"), ()))
}
