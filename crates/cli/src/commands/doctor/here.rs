//! What is on this machine: the gateway's port, its data, and servers of its own.

use super::report::{Finding, Report, Trouble};
use crate::commands::servers::ServersArgs;
use blindroute_console::{bundles, program};
use blindroute_gateway::config::Config;
use blindroute_gateway::store::Store;
use blindroute_placement::{Placement, RouteOptions};
use indicatif::ProgressBar;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How long a gateway that runs may take to say that it lives.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is routed to see that routing works. It is not a text of anybody.
const PROMPT: &str = "What is the capital of France?";

/// Checks the port and the data.
pub(super) fn check(report: &mut Report, config: &Config) {
    report.enter("gateway: port".to_owned(), port(config.listen));
    let folder = report.enter("gateway: data folder".to_owned(), folder(&config.data));
    match folder {
        Some(()) => {
            report.enter("gateway: record".to_owned(), record(&config.data.join("gateway.sqlite")));
        }
        None => report.skip("gateway", &["record"], "the folder cannot be used"),
    }
}

fn port(listen: SocketAddr) -> Finding<()> {
    let error = match TcpListener::bind(listen) {
        Ok(_) => return Ok((format!("{listen} is free"), ())),
        Err(error) => error,
    };
    if error.kind() != ErrorKind::AddrInUse {
        let to_do = "write an address of this machine and a port from 1024 in `listen`";
        return Err(Trouble::new(format!("cannot listen on {listen} ({error})"), "an address to listen on", to_do));
    }
    if is_gateway(listen).unwrap_or_default() {
        return Ok((format!("a gateway runs on {listen} and answers /livez"), ()));
    }
    let to_do = "end that program, or choose another port in `listen`";
    Err(Trouble::new(format!("another program listens on {listen}"), "a free port, or a gateway that runs", to_do))
}

/// Whether a gateway answers.
fn is_gateway(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"status":"alive"}"#))
}

/// Whether files can be written into a folder, or it can be made.
fn folder(path: &Path) -> Finding<()> {
    let there = path.ancestors().find(|folder| folder.is_dir() || folder.as_os_str().is_empty());
    let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = there.join(format!(".blindroute-doctor-{}", std::process::id()));
    let written = std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    written.map_err(|error| {
        let found = format!("{} cannot be written ({error})", there.display());
        Trouble::new(found, "a folder that can be written", "change its permissions, or name another folder in `data`")
    })?;
    let made = if path.is_dir() { "can be written" } else { "will be made" };
    Ok((format!("{} {made}", path.display()), ()))
}

fn record(path: &Path) -> Finding<()> {
    if !path.exists() {
        return Ok(("there is none yet; the gateway makes one".to_owned(), ()));
    }
    let (version, known) = Store::version(path).map_err(Trouble::said)?;
    let then = if version < known { format!(", which the gateway brings to {known}") } else { String::new() };
    Ok((format!("schema version {version}{then}"), ()))
}

/// Starts servers here, and routes one prompt.
pub(super) fn embedded(report: &mut Report, config: &Config) {
    let (subject, route) = ("servers on this machine", &config.route);
    let bundle = bundles::open(route.bundle.as_deref()).map_err(|error| Trouble::said(format!("{error:#}")));
    let digest = bundle.map(|bundle| (format!("digest {}", bundle.digest()), bundle));
    let Some(bundle) = report.enter(format!("{subject}: bundle"), digest) else {
        return report.skip(subject, &["start", "route"], "the bundle cannot be used");
    };
    let name = bundles::name(route.bundle.as_deref());
    let start = || {
        let children = if route.placement == Placement::Local { None } else { Some(program::children()?) };
        ServersArgs::start(&bundle, name, children, &ProgressBar::hidden())
    };
    let started = start().map_err(|error| Trouble::said(format!("{error:#}")));
    let started = started.map(|router| ("started".to_owned(), router));
    let Some(router) = report.enter(format!("{subject}: start"), started) else {
        return report.skip(subject, &["route"], "they do not start");
    };
    let mut options = RouteOptions::default().with_placement(route.placement);
    (options.router, options.lambda) = (route.router.clone(), route.lambda);
    let routed = router.route(PROMPT, &options).map_err(Trouble::said);
    let found = routed.map(|report| (format!("{} in {:.0} ms", report.model, report.ms.total), ()));
    report.enter(format!("{subject}: route"), found);
}
