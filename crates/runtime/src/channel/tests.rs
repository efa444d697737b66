use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::link::Timeouts;
use crate::role::Role;
use crate::testing::{QUICK, linked};
use blindroute_testkit::memory_channels;

fn lanes(timeouts: Timeouts) -> ((Link, Link), (Link, Link)) {
    let (one_out, zero_in) = linked(Role::Server1, Role::Server0, timeouts);
    let (one_in, zero_out) = linked(Role::Server1, Role::Server0, timeouts);
    ((zero_out, zero_in), (one_out, one_in))
}

fn channels(timeouts: Timeouts) -> (PeerChannel, PeerChannel) {
    let ((zero_out, zero_in), (one_out, one_in)) = lanes(timeouts);
    (PeerChannel::new(zero_out, zero_in).unwrap(), PeerChannel::new(one_out, one_in).unwrap())
}

fn message(party: usize, round: usize, size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + round * 7 + party) as u8).collect()
}

/// Different sizes each way, mixed small and large, over any channel.
fn converse<C: Channel>(channel: &mut C, party: usize) {
    let sizes = [(1, 100), (0, 70_000), (16 << 10, (16 << 10) + 1), (5 << 20, 3), (3 << 20, 4 << 20), (0, 0)];
    for (round, (zero, one)) in sizes.into_iter().enumerate() {
        let (mine, theirs) = if party == 0 { (zero, one) } else { (one, zero) };
        let got = channel.exchange(message(party, round, mine), theirs).unwrap();
        assert!(got == message(1 - party, round, theirs), "round {round}");
    }
}

#[test]
fn both_kinds_of_channel_exchange_all_sizes() {
    let (mut zero, mut one) = memory_channels(Duration::from_secs(5));
    let other = thread::spawn(move || converse(&mut one, 1));
    converse(&mut zero, 0);
    other.join().unwrap();

    let (mut zero, mut one) = channels(Timeouts::default());
    let other = thread::spawn(move || {
        converse(&mut one, 1);
        one.finish().unwrap();
    });
    converse(&mut zero, 0);
    assert_eq!(zero.exchanges(), 6);
    assert_eq!(zero.traffic().0.payload_sent(), (1 + (16 << 10) + (5 << 20) + (3 << 20)) as u64);
    zero.finish().unwrap();
    other.join().unwrap();
}

#[test]
fn lengths_that_disagree_are_errors_on_both_sides() {
    for (ours, theirs) in [(10, 9), (9, 10), (0, 1), (100_000, 99_999), (3 << 20, 1 << 20)] {
        let (mut zero, mut one) = channels(QUICK);
        let other = thread::spawn(move || one.exchange_bytes(vec![0; theirs], theirs).map(|_| ()));
        let error = zero.exchange_bytes(vec![0; theirs], ours).unwrap_err();
        assert!(matches!(error, LinkError::WrongLength { .. }), "{error}");
        assert!(zero.exchange_bytes(Vec::new(), 0).is_err(), "a failed channel must stay failed");
        drop(zero);
        // The other side got what it expected, or learned that the channel died; it did not hang.
        other.join().unwrap().ok();
    }
}

#[test]
fn time_inside_exchanges_is_counted_and_other_time_is_not() {
    let (mut zero, mut one) = channels(Timeouts::default());
    let late = Duration::from_millis(60);
    let other = thread::spawn(move || {
        thread::sleep(late);
        one.exchange_bytes(vec![1; 8], 8).unwrap();
        one.exchanging()
    });
    assert_eq!(zero.exchanging(), Duration::ZERO);
    zero.exchange_bytes(vec![0; 8], 8).unwrap();
    let waited = zero.exchanging();
    assert!(waited >= late / 2, "{waited:?}");
    assert!(other.join().unwrap() < waited);
    thread::sleep(late);
    assert_eq!(zero.exchanging(), waited);
}

#[test]
fn case_03_a_message_out_of_sequence_is_an_error() {
    let ((zero_out, zero_in), (mut one_out, one_in)) = lanes(QUICK);
    let mut zero = PeerChannel::new(zero_out, zero_in).unwrap();
    one_out.send_long(FrameKind::Exchange, 1, &[0; 4]).unwrap();
    let error = zero.exchange_bytes(vec![0; 4], 4).unwrap_err();
    assert!(matches!(error, LinkError::OutOfOrder { expected: 0, found: 1, .. }), "{error}");
    assert!(matches!(ChannelError::from(error), ChannelError::Peer(_)));
    drop(one_in);
}

#[test]
fn a_stalled_or_vanished_peer_is_an_error_in_time() {
    for size in [10, 40 << 20] {
        let (mut zero, one) = channels(QUICK);
        let start = Instant::now();
        let error = zero.exchange_bytes(vec![0; size], 10).unwrap_err();
        assert!(matches!(error, LinkError::TimedOut { .. }), "{error}");
        drop(zero);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        drop(one);

        let (mut zero, one) = channels(QUICK);
        drop(one);
        let start = Instant::now();
        let error = zero.exchange_bytes(vec![0; size], 10).unwrap_err();
        assert!(matches!(error, LinkError::Closed { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Transport);
        drop(zero);
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}

/// Run with `cargo test --release -p blindroute-runtime -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement, not a check"]
fn speed() {
    let (rounds, large, repeats) = (5000, 20 << 20, 12);
    let messages = move || -> Vec<Vec<u8>> { (0..repeats).map(|_| vec![1; large]).collect() };
    let (mut zero, mut one) = channels(Timeouts::default());
    let together = std::sync::Arc::new(std::sync::Barrier::new(2));
    let there = together.clone();
    let other = thread::spawn(move || {
        let messages = messages();
        there.wait();
        for _ in 0..rounds {
            one.exchange_bytes(vec![1; 100], 100).unwrap();
        }
        for message in messages {
            one.exchange_bytes(message, large).unwrap();
        }
        one.finish().unwrap();
    });
    let messages = messages();
    together.wait();
    let start = Instant::now();
    for _ in 0..rounds {
        zero.exchange_bytes(vec![1; 100], 100).unwrap();
    }
    println!("100 bytes: {:?} an exchange", start.elapsed() / rounds);
    let start = Instant::now();
    for message in messages {
        zero.exchange_bytes(message, large).unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("20 MiB: {:.3} GB/s each way", (large * repeats) as f64 / seconds / 1e9);
    zero.finish().unwrap();
    other.join().unwrap();
}
