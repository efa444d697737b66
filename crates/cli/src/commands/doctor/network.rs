//! Names, ports and certificates' days.

use super::report::{Finding, Trouble};
use blindroute_runtime::Validity;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

/// How long a name or a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fewer days than these left of a certificate are worth a warning.
const SOON_DAYS: i64 = 30;

/// The addresses of a "host:port".
pub(super) fn resolve(address: &str) -> Finding<Vec<SocketAddr>> {
    let expected = "an address of the network";
    let to_do = "correct the name in the configuration, or look at this machine's name service";
    // The time of the system's resolver cannot be limited.
    let (send, resolved) = mpsc::channel();
    let asked = address.to_owned();
    let thread = std::thread::Builder::new().name("resolve".into());
    thread.spawn(move || send.send(asked.to_socket_addrs().map(Vec::from_iter)).ok()).map_err(Trouble::said)?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    match resolved.recv_timeout(PATIENCE) {
        Ok(Ok(found)) if !found.is_empty() => {
            let shown: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
            Ok((format!("{host} is {}", shown.join(", ")), found))
        }
        Ok(Ok(_)) => Err(Trouble::new(format!("{host} has no address"), expected, to_do)),
        Ok(Err(error)) => Err(Trouble::new(format!("{host} does not resolve ({error})"), expected, to_do)),
        Err(_) => Err(Trouble::new(format!("{host} was not resolved within {PATIENCE:?}"), expected, to_do)),
    }
}

/// Whether one of these addresses takes connections.
pub(super) fn connect(addresses: &[SocketAddr]) -> Finding<()> {
    let mut last = String::new();
    for address in addresses.iter().take(4) {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(_) => return Ok((format!("{address} takes connections"), ())),
            Err(error) => last = format!("{address} takes no connection ({error})"),
        }
    }
    let to_do = "check that the other side runs and listens there, and that no firewall is between";
    Err(Trouble::new(last, "a connection", to_do))
}

/// Whether a certificate holds, and for how long. `whose` begins the sentence, `renew` says what to do.
pub(super) fn days(whose: &str, validity: Validity, renew: &str) -> Finding<()> {
    let now = SystemTime::now();
    let left = validity.days_left(now);
    if now < validity.from {
        let ahead = validity.from.duration_since(now).unwrap_or_default().as_secs() / 3600;
        let found = format!("{whose} holds only in {ahead} hours");
        return Err(Trouble::new(
            found,
            "one that holds now",
            "set this machine's clock, or make the certificates anew",
        ));
    }
    if left < 0 {
        return Err(Trouble::new(format!("{whose} expired {} whole days ago", -1 - left), "one that holds now", renew));
    }
    if left < SOON_DAYS {
        let found = format!("{whose} has {left} days left");
        return Err(Trouble::new(found, format!("at least {SOON_DAYS} days"), renew).warning());
    }
    Ok((format!("{whose} has {left} days left"), ()))
}
