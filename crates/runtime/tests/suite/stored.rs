//! Stored material: filled without a client, used without the dealer, kept over restarts, and used once.
#![allow(clippy::unwrap_used)]

use crate::world::{FOUR, Numbers, PATIENT, World, numbers, right, wait_for};
use blindroute_runtime::messages::ClientHello;
use blindroute_runtime::session::MATERIAL_BUDGET;
use blindroute_runtime::store::Hours;
use blindroute_runtime::{AuditShare, Catalogue as _, Client, FileLedger, Ledger, Retry, SessionError, SessionId};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const ROOM: u64 = 8 << 20;
const RETRY: Retry = Retry {
    budget: Duration::from_secs(60),
    pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(50),
};

/// Programs with a weight, so that stored material is of use only together with the weights of its epoch.
fn world(stores: [Option<u64>; 2], change: impl FnOnce(&mut World)) -> World {
    let mut world = World::stopped(PATIENT, MATERIAL_BUDGET, |_| {});
    world.catalogues.iter_mut().for_each(|catalogue| *catalogue = Numbers::scaled(0));
    world.store_bytes = stores;
    change(&mut world);
    world.run_all();
    world
}

fn client(world: &World) -> Client<Numbers> {
    world.client_with(Numbers::scaled(0))
}

/// A session that is answered at the first try.
#[track_caller]
fn answered(world: &World, first: f32) {
    right(&client(world).run(FOUR, &numbers(first)).unwrap(), first);
}

#[track_caller]
fn needs_the_dealer(world: &World) {
    let error = client(world).run(FOUR, &numbers(1.0)).map(drop).unwrap_err();
    assert!(error.is_temporary(), "{error}");
}

/// Sessions stored at both servers, and how many of their process both have used.
#[track_caller]
fn stored_and_used(world: &World) -> (u64, u64) {
    let of = |index| (world.stored(index).sessions, world.stored(index).used);
    assert_eq!(of(0), of(1), "the servers agree");
    of(0)
}

#[test]
fn sessions_are_answered_from_the_stores_while_the_dealer_is_away_and_each_material_serves_once() {
    let mut world = world([Some(ROOM); 2], |_| {});
    world.fill(3);
    world.stop(2);
    for (used, first) in [5.0, 6.0, 7.0].into_iter().enumerate() {
        assert_eq!(stored_and_used(&world), (3 - used as u64, used as u64));
        answered(&world, first);
    }
    assert_eq!(stored_and_used(&world), (0, 3));
    needs_the_dealer(&world);
    // Nothing is left of it on the disks.
    for index in [0, 1] {
        let names = std::fs::read_dir(world.store_folder(index)).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["lock", "made-under"]);
    }
    world.run(2);
    right(&client(&world).run_retrying(FOUR, &numbers(8.0), &RETRY, &|_| true).unwrap(), 8.0);
    assert_eq!(stored_and_used(&world), (0, 3));
}

#[test]
fn a_restart_of_all_parties_keeps_what_is_stored_and_material_of_two_epochs_is_used_side_by_side() {
    let mut world = world([Some(ROOM); 2], |_| {});
    world.fill(4);
    stop(&mut world, &[0, 1, 2]);
    [0, 1].into_iter().for_each(|index| world.run(index));
    // The dealer is away, and the weights are set up anew in the epoch of its former process.
    answered(&world, 5.0);
    answered(&world, 6.0);
    assert_eq!(stored_and_used(&world), (2, 2));
    world.run(2);
    world.wanted.store(4, Ordering::SeqCst);
    wait_for("the stores to be filled", || [0, 1].iter().all(|index| world.stored(*index).sessions == 4));
    world.wanted.store(0, Ordering::SeqCst);
    // Two of the old epoch, two of the new one, and one that comes from the dealer.
    (0..5).for_each(|first| answered(&world, first as f32));
    assert_eq!(stored_and_used(&world), (0, 6));
    // Each server alone.
    for index in [0, 1] {
        world.fill(1);
        world.stop(index);
        world.run(index);
        right(&client(&world).run_retrying(FOUR, &numbers(2.5), &RETRY, &|_| true).unwrap(), 2.5);
        assert_eq!((world.stored(0).sessions, world.stored(1).sessions), (0, 0), "server {index} has restarted");
    }
}

fn stop(world: &mut World, indices: &[usize]) {
    for index in indices {
        world.stop(*index);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).ok();
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn copies_of_the_stores_are_refused_by_the_ledgers() {
    let mut world = world([Some(ROOM); 2], |_| {});
    world.fill(2);
    stop(&mut world, &[2, 0, 1]);
    let copies = [0, 1].map(|index| world.store_folder(index).with_extension("copy"));
    [0, 1].into_iter().for_each(|index| copy(&world.store_folder(index), &copies[index]));
    [0, 1].into_iter().for_each(|index| world.run(index));
    answered(&world, 5.0);
    stop(&mut world, &[0, 1]);
    // One of the two was used.
    [0, 1].into_iter().for_each(|index| copy(&copies[index], &world.store_folder(index)));
    [0, 1].into_iter().for_each(|index| world.run(index));
    assert_eq!(stored_and_used(&world), (2, 0));
    answered(&world, 6.0);
    assert_eq!(stored_and_used(&world), (0, 1));
    assert_eq!((world.stored(0).dropped, world.stored(1).dropped), (1, 1));
    needs_the_dealer(&world);
    // A copy at one server alone.
    for index in [0, 1] {
        world.stop(index);
        copy(&copies[index], &world.store_folder(index));
        world.run(index);
        // Server 1 compares when it starts, and each minute.
        if index == 0 {
            stop(&mut world, &[1]);
            world.run(1);
        }
        wait_for("the servers to compare", || world.stored(index).sessions == 0);
        assert_eq!((world.stored(index).used, world.stored(index).dropped), (0, 2));
    }
}

#[test]
fn a_session_that_was_prepared_and_not_used_is_lost_and_the_others_stay() {
    let mut world = world([Some(ROOM); 2], |_| {});
    world.fill(3);
    world.stop(2);
    let own = client(&world);
    let ready = own.prepare(FOUR).unwrap();
    assert_eq!(stored_and_used(&world), (2, 1));
    drop(ready);
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
    // Neither a client's leaving nor a stop gives it back.
    let ready = own.prepare(FOUR).unwrap();
    stop(&mut world, &[0, 1]);
    drop(ready);
    [0, 1].into_iter().for_each(|index| world.run(index));
    assert_eq!(stored_and_used(&world), (1, 0));
    answered(&world, 5.0);
    needs_the_dealer(&world);
}

#[test]
fn sessions_are_audited_when_they_are_stored_and_not_when_they_are_used() {
    let mut world = world([Some(ROOM); 2], |world| world.audit = [AuditShare::new(0.5); 2]);
    world.fill(12);
    let found = |world: &World| {
        world.audits.each_ref().map(|counts| {
            let counts = counts.as_ref().unwrap();
            [counts.right(), counts.wrong(), counts.unrevealed()]
        })
    };
    let before = found(&world);
    assert!(before[0] == before[1] && before[0][0] > 0 && before[0][1..] == [0, 0], "{before:?}");
    world.stop(2);
    (0..12).for_each(|first| answered(&world, first as f32));
    assert_eq!((found(&world), stored_and_used(&world)), (before, (0, 12)));
}

#[test]
fn a_store_at_one_server_alone_changes_nothing_for_clients() {
    for stores in [[Some(ROOM), None], [None, Some(ROOM)]] {
        let world = world(stores, |_| {});
        world.wanted.store(2, Ordering::SeqCst);
        let started = Instant::now();
        (0..4).for_each(|first| answered(&world, first as f32));
        // Nobody waits for what the other server cannot say.
        assert!(started.elapsed() < PATIENT.stall / 4, "{:?}", started.elapsed());
        let index = stores.iter().position(Option::is_some).unwrap();
        assert_eq!((world.stored(index).sessions, world.stored(index).filled), (0, 0));
    }
}

#[test]
fn a_server_that_lost_its_store_has_the_other_drop_its_part_and_both_are_filled_again() {
    for index in [0, 1] {
        let mut world = world([Some(ROOM); 2], |_| {});
        world.fill(2);
        world.stop(index);
        std::fs::remove_dir_all(world.store_folder(index)).unwrap();
        if index == 0 {
            // Server 1 finds out when it proposes what server 0 lacks.
            world.run(index);
        } else {
            world.run(index);
            wait_for("the servers to compare", || world.stored(0).dropped == 2);
        }
        right(&client(&world).run_retrying(FOUR, &numbers(3.0), &RETRY, &|_| true).unwrap(), 3.0);
        wait_for("both to have the same", || (world.stored(0).sessions, world.stored(1).sessions) == (0, 0));
        world.fill(2);
        world.stop(2);
        answered(&world, 5.0);
        answered(&world, 6.0);
    }
}

#[test]
fn a_full_store_takes_no_more_and_sessions_go_on() {
    // One session has fewer than a thousand bytes and one server's has room for three of them.
    for small in [0, 1] {
        let mut stores = [Some(ROOM); 2];
        stores[small] = Some(3000);
        let world = world(stores, |_| {});
        world.wanted.store(50, Ordering::SeqCst);
        let mut most = 0;
        wait_for("the store to be full", || {
            most = most.max(world.stored(small).bytes);
            let [own, other] = [small, 1 - small].map(|index| world.stored(index));
            own.sessions > 0 && own.sessions == other.sessions && own.bytes + own.bytes / own.sessions > 3000
        });
        std::thread::sleep(Duration::from_secs(2));
        let [own, other] = [small, 1 - small].map(|index| world.stored(index));
        assert!(own.bytes <= 3000 && most <= 3000 && own.sessions == other.sessions, "{own:?} {other:?}");
        world.wanted.store(0, Ordering::SeqCst);
        (0..own.sessions + 2).for_each(|first| answered(&world, first as f32));
        assert_eq!(stored_and_used(&world), (0, own.sessions));
    }
}

#[test]
fn clients_go_first_and_versions_that_are_held_no_more_are_dropped() {
    let world = world([Some(ROOM); 2], |_| {});
    // Server 1 waits for server 0 to come to a session of a client that never asked it.
    let mut link = world.link(1);
    let hello = ClientHello {
        version: link.version(),
        session: SessionId::generate().unwrap(),
        deployment: world.catalogues[1].digest(),
        request: FOUR.to_vec(),
        continues: None,
        token: None,
    };
    link.send_message(&hello).unwrap();
    wait_for("the session to begin", || world.sessions()[1] == 1);
    let dealt = world.ledger(2);
    world.wanted.store(2, Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((world.stored(0).filled, world.ledger(2)), (0, dealt), "a session is under way");
    drop(link);
    world.fill(2);
    let next = Numbers::scaled(1);
    [2, 0, 1].into_iter().for_each(|index| world.hold(index, &[&world.catalogues[index], &next]));
    assert_eq!(stored_and_used(&world), (2, 0));
    // The newest is stored from now on, and what there is of the other one is used by its clients.
    world.wanted.store(1, Ordering::SeqCst);
    wait_for("the next version to be stored", || (world.stored(0).sessions, world.stored(1).sessions) == (3, 3));
    world.wanted.store(0, Ordering::SeqCst);
    answered(&world, 4.0);
    assert_eq!(stored_and_used(&world), (2, 1));
    [2, 0, 1].into_iter().for_each(|index| world.hold(index, &[&next]));
    assert_eq!(stored_and_used(&world), (1, 1));
}

#[test]
fn every_fill_and_every_use_is_claimed_in_both_ledgers() {
    let mut world = world([Some(ROOM); 2], |_| {});
    world.fill(2);
    world.stop(2);
    answered(&world, 5.0);
    stop(&mut world, &[0, 1]);
    for index in [0, 1] {
        // Two that were stored, a client's one, and the use of one.
        let entries = FileLedger::open(&world.state(index)).unwrap().entries().unwrap();
        assert_eq!(entries, 4, "{index}");
    }
}

#[test]
fn what_fails_is_the_session_and_not_the_stored_one_if_the_other_server_is_away() {
    let mut world = world([Some(ROOM); 2], |_| {});
    world.fill(2);
    world.stop(2);
    world.stop(0);
    let error: SessionError = client(&world).run(FOUR, &numbers(1.0)).map(drop).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert_eq!((world.stored(1).sessions, world.stored(1).used), (2, 0));
    world.run(0);
    answered(&world, 5.0);
    assert_eq!((world.stored(0).used, world.stored(1).used), (1, 1));
}

#[test]
fn stores_are_filled_in_their_hours_only() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 3600;
    // From so many hours from now on, for two hours.
    let hours = |from: u64| Hours::parse(&format!("{:02}:00-{:02}:00", (now + from) % 24, (now + from + 2) % 24));
    let mut world = world([Some(ROOM); 2], |world| world.hours = hours(11));
    world.wanted.store(1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((world.stored(0).filled, world.stored(1).filled), (0, 0));
    world.stop(1);
    world.hours = hours(23);
    world.run(1);
    world.fill(1);
}
