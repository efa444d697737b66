//! Faults between two servers: each ends in an error in bounded time, never in a hang or wrong data.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use blindroute_runtime::{CertificateFolder, Channel, Endpoint, Link, LinkError, PeerChannel, Role, Timeouts};
use blindroute_testkit::{Direction, Proxy, StreamFault, StreamPlan};

const QUICK: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    handshake: Duration::from_millis(800),
    stall: Duration::from_millis(800),
    message: Duration::from_secs(4),
    ready: Duration::from_secs(5),
};

/// Two channels over two lanes; the lane to server 0 goes through a proxy.
fn proxied(plan: StreamPlan) -> Result<(PeerChannel, PeerChannel), LinkError> {
    let home = tempfile::tempdir().unwrap();
    let deployment = CertificateFolder::generate(home.path()).unwrap();
    let load = |role| Endpoint::load(role, &deployment.identity(role)).unwrap();
    let (zero, one) = (load(Role::Server0), load(Role::Server1));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let direct = listener.local_addr().unwrap();
    let proxy = Proxy::start(direct, plan).unwrap();
    let accepting = thread::spawn(move || {
        let accept = || Link::accept(listener.accept().unwrap().0, &zero, &[Role::Server1], &QUICK);
        let first = accept();
        Ok::<_, LinkError>((first?, accept()?))
    });
    let call = |address: std::net::SocketAddr| Link::connect(&address.to_string(), &one, Role::Server0, &QUICK);
    let to_zero = call(proxy.address());
    let to_one = call(direct);
    let accepted = accepting.join().unwrap();
    // The proxy stops listening here, and stops passing bytes with it, unless it lives on.
    std::mem::forget(proxy);
    let (zero_in, zero_out) = accepted?;
    Ok((PeerChannel::new(zero_out, zero_in)?, PeerChannel::new(to_zero?, to_one?)?))
}

fn converse(channel: &mut impl Channel, mine: u8, theirs: u8) -> Result<(), String> {
    for round in 0..6_usize {
        let size = if round % 2 == 0 { 300 } else { 200_000 };
        let got = channel.exchange(vec![mine; size], size).map_err(|error| error.to_string())?;
        assert!(got == vec![theirs; size], "wrong data was delivered");
    }
    Ok(())
}

#[test]
fn a_damaged_stream_is_an_error_in_bounded_time() {
    for (after, fault) in [
        (100, StreamFault::Corrupt),
        (5_000, StreamFault::Corrupt),
        (250_000, StreamFault::Corrupt),
        (5_000, StreamFault::Cut),
        (250_000, StreamFault::Cut),
        (250_000, StreamFault::Stall),
        (100, StreamFault::Stall),
    ] {
        let start = Instant::now();
        if let Ok((mut zero, mut one)) = proxied(Some((Direction::Forward, after, fault))) {
            let other = thread::spawn(move || converse(&mut one, 1, 0));
            let here = converse(&mut zero, 0, 1);
            drop(zero);
            let there = other.join().unwrap();
            assert!(here.is_err() || there.is_err(), "{fault:?} after {after} went unnoticed");
        }
        assert!(start.elapsed() < Duration::from_secs(6), "{fault:?} after {after} took {:?}", start.elapsed());
    }
}

#[test]
fn a_delay_within_the_timeouts_changes_nothing() {
    for plan in [None, Some((Direction::Forward, 5_000, StreamFault::Delay(Duration::from_millis(200))))] {
        let (mut zero, mut one) = proxied(plan).unwrap();
        let other = thread::spawn(move || converse(&mut one, 1, 0));
        assert_eq!(converse(&mut zero, 0, 1), Ok(()));
        assert_eq!(other.join().unwrap(), Ok(()));
    }
}
