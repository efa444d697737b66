//! Two versions of a bundle at the same time: who is served which one, in whatever order the three parties change.
#![allow(clippy::unwrap_used)]

use crate::world::{FOUR, Numbers, PATIENT, World, numbers};
use blindroute_runtime::messages::{ClientHello, FailureKind, MaterialGrant, MaterialRequest, ServerReady, SessionId};
use blindroute_runtime::{Catalogue, Client, Link, LinkError, Role, SessionError, Timeouts};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Server 0 waits half as long for a server 1 that does not come.
const BRISK: Timeouts = Timeouts { stall: Duration::from_secs(6), ..PATIENT };

/// Parties that hold version 0, and both versions.
fn world() -> (World, [Arc<Numbers>; 2]) {
    let mut world = World::stopped(BRISK, blindroute_runtime::session::MATERIAL_BUDGET, |_| {});
    let versions = [0, 1].map(Numbers::scaled);
    world.catalogues = [(); 3].map(|()| Arc::clone(&versions[0]));
    world.run_all();
    (world, versions)
}

/// A version answers with its own weight.
#[track_caller]
fn serves(client: &Client<Numbers>) {
    let output = client.run(FOUR, &numbers(3.0)).unwrap().output;
    let scale = f64::from(client.catalogue().scale());
    assert_eq!(output.values, [vec![9.0, 4.0, 9.0, 16.0], [3.0, 2.0, -3.0, 4.0].map(|x| x * scale).to_vec()]);
}

/// A version is refused, and these parties are to blame for it: what they say goes through a server.
#[track_caller]
fn refuses(client: &Client<Numbers>, parties: &[usize]) {
    let error = client.run(FOUR, &numbers(3.0)).unwrap_err();
    assert!(error.is_not_held() && !error.is_temporary() && !error.is_dead_session(), "{error}");
    let said = error.to_string();
    let asked = client.catalogue().digest().to_string();
    assert!(
        said.contains(&format!("asked for version {asked}")) && said.contains("both servers and the dealer"),
        "{said}"
    );
    let names = ["server0 gave up", "server1 gave up", "dealer: "];
    assert!(parties.iter().any(|party| said.contains(names[*party])), "{parties:?}: {said}");
}

#[test]
fn case_25_a_version_is_served_as_soon_and_as_long_as_both_servers_and_the_dealer_hold_it() {
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (world, [old, new]) = world();
        let [of_old, of_new] = [&old, &new].map(|version| world.client_with(Arc::clone(version)));
        let mut lacking = vec![0, 1, 2];
        for party in order {
            serves(&of_old);
            refuses(&of_new, &lacking);
            world.hold(party, &[&old, &new]);
            lacking.retain(|other| *other != party);
        }
        // Both, one after the other and at the same time.
        std::thread::scope(|scope| {
            for client in [&of_old, &of_new, &of_old, &of_new] {
                scope.spawn(move || (0..3).for_each(|_| serves(client)));
            }
        });
        for party in order {
            world.hold(party, &[&new]);
            lacking.push(party);
            serves(&of_new);
            refuses(&of_old, &lacking);
        }
    }
}

#[test]
fn a_session_that_has_begun_keeps_its_version() {
    let (world, [old, new]) = world();
    let [of_old, of_new] = [&old, &new].map(|version| world.client_with(Arc::clone(version)));
    let ready = of_old.prepare(FOUR).unwrap();
    for party in 0..3 {
        world.hold(party, &[&new]);
    }
    refuses(&of_old, &[0, 1]);
    serves(&of_new);
    let output = ready.run(of_old.share(FOUR, &numbers(2.0)).unwrap()).unwrap().output;
    assert_eq!(output.values[1], [2.0, 2.0, -3.0, 4.0].map(|x| x * f64::from(old.scale())));
}

#[test]
fn what_a_session_of_one_version_left_is_not_continued_in_another() {
    let (world, [old, new]) = world();
    (0..3).for_each(|party| world.hold(party, &[&old, &new]));
    let [of_old, of_new] = [&old, &new].map(|version| world.client_with(Arc::clone(version)));
    let kept = || of_old.run(b"4 keep", &numbers(3.0)).unwrap().held.unwrap();
    let error = of_new.run_continuing(kept(), b"2 more", &[0, 1]).unwrap_err();
    assert!(error.to_string().contains("another version of the bundle"), "{error}");
    let output = of_old.run_continuing(kept(), b"2 more", &[0, 1]).unwrap().output;
    assert_eq!(output.values[0], [9.0, 4.0]);
}

#[test]
fn weights_are_set_up_once_for_each_version_and_again_for_one_that_comes_back() {
    let (world, [old, new]) = world();
    (0..3).for_each(|party| world.hold(party, &[&old, &new]));
    let [of_old, of_new] = [&old, &new].map(|version| world.client_with(Arc::clone(version)));
    let read = || [&old, &new].map(|version| version.shares_read.load(Ordering::SeqCst));
    for _ in 0..3 {
        serves(&of_old);
        serves(&of_new);
    }
    assert_eq!(read(), [2, 2], "once at each server");
    // One server drops the new version and takes it again. Both servers set it up again, under the mask that it had before.
    world.hold(0, &[&old]);
    serves(&of_old);
    world.hold(0, &[&old, &new]);
    serves(&of_new);
    serves(&of_old);
    assert_eq!(read(), [2, 4]);
}

/// Asks the dealer for material as both servers, for these versions.
fn granted(world: &World, versions: [&Arc<Numbers>; 2]) -> [Result<MaterialGrant, LinkError>; 2] {
    let session = SessionId::generate().unwrap();
    let mut links = [Role::Server0, Role::Server1]
        .map(|role| Link::connect(world.address(2), &world.endpoint(role), Role::Dealer, &PATIENT).unwrap());
    for ((party, link), version) in (0..).zip(&mut links).zip(versions) {
        let deployment = version.digest();
        link.send_message(&MaterialRequest {
            version: blindroute_runtime::messages::VERSION,
            session,
            party,
            deployment,
            request: FOUR.to_vec(),
        })
        .unwrap();
    }
    links.map(|mut link| link.receive_message())
}

#[test]
fn case_43_the_mask_of_one_version_never_covers_the_weights_of_another() {
    let (world, [old, new]) = world();
    (0..3).for_each(|party| world.hold(party, &[&old, &new]));
    let masks = |version| {
        let grants = granted(&world, [version, version]).map(Result::unwrap);
        assert_eq!(grants[0].epoch, grants[1].epoch);
        (grants[0].epoch, grants.map(|grant| *grant.seeds[0].expose()))
    };
    let ((epoch, of_old), (same, of_new)) = (masks(&old), masks(&new));
    assert_eq!((epoch, &of_old), (masks(&old).0, &masks(&old).1), "every session of a version has the same mask");
    assert_eq!(epoch, same, "a dealer that is refused for what it dealt stays refused, whatever version it takes up");
    assert!(of_old.iter().all(|seed| !of_new.contains(seed)));
    // A version that comes back has the mask that it had.
    world.hold(2, &[&old]);
    world.hold(2, &[&old, &new]);
    assert_eq!(masks(&new), (epoch, of_new));
    // Servers that name different versions get none.
    for answer in granted(&world, [&old, &new]) {
        let error = answer.unwrap_err();
        assert!(error.to_string().contains("disagree on the session's version of the bundle"), "{error}");
    }
    // A client that names different ones to the two servers gets no session.
    let session = SessionId::generate().unwrap();
    let mut links = [0, 1].map(|index| world.link(index));
    for (link, version) in links.iter_mut().zip([&old, &new]) {
        let (deployment, request) = (version.digest(), FOUR.to_vec());
        link.send_message(&ClientHello {
            version: blindroute_runtime::messages::VERSION,
            session,
            deployment,
            request,
            continues: None,
            token: None,
        })
        .unwrap();
    }
    for mut link in links {
        match link.receive_message::<ServerReady>() {
            Err(LinkError::Failed { failure, .. }) => {
                assert!([FailureKind::OtherParty, FailureKind::Protocol].contains(&failure.kind), "{failure}");
            }
            other => panic!("{other:?}"),
        }
    }
    let error: SessionError = world.client_with(Arc::clone(&old)).run(b"x", &[]).unwrap_err();
    assert!(!error.is_not_held(), "{error}");
}
