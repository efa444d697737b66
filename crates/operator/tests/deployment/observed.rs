//! What parties answer to probes.

use super::Deployment;
use blindroute_runtime::Role;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub const PARTIES: [Role; 3] = [Role::Dealer, Role::Server0, Role::Server1];
pub const LIMIT: Duration = Duration::from_secs(60);

/// A deployment whose parties answer probes.
pub fn observed() -> Deployment {
    let deployment = Deployment::new();
    PARTIES.iter().for_each(|role| change(&deployment, *role, |text| format!("observe = \"127.0.0.1:0\"\n{text}")));
    deployment
}

pub fn change(deployment: &Deployment, role: Role, change: impl Fn(&str) -> String) {
    let path = deployment.at(&format!("{role}.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(&text)).unwrap();
}

/// Where a party says in its log that it answers.
pub fn address(deployment: &Deployment, role: Role) -> String {
    let log = deployment.log(role);
    let said = log.lines().find_map(|line| line.split_once("probes and metrics are answered address=")).unwrap();
    said.1.trim().to_owned()
}

/// The status and the body of an answer.
pub fn get(deployment: &Deployment, role: Role, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address(deployment, role)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: here\r\nUser-Agent: test\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The values of the metrics, by name with label.
pub fn metrics(deployment: &Deployment, role: Role) -> BTreeMap<String, f64> {
    let (status, text) = get(deployment, role, "/metrics");
    assert_eq!(status, 200);
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap());
    samples
        .map(|(name, value)| (name.strip_prefix("blindroute_operator_").unwrap().to_owned(), value.parse().unwrap()))
        .collect()
}
