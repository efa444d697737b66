//! What servers tell each other about their ledgers.
#![allow(clippy::unwrap_used)]

use crate::world::{FOUR, Numbers, PATIENT, World, numbers, squares};
use blindroute_runtime::messages::{ClientHello, FailureKind};
use blindroute_runtime::{Catalogue, FileLedger, Ledger, LinkError, SessionError, SessionId};
use std::path::Path;

fn works(world: &World) {
    squares(&world.client().run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
}

/// Sessions are refused, for good, and the client is told where to look.
fn is_refused(world: &World) {
    let error = world.client().run(FOUR, &numbers(3.0)).unwrap_err();
    let kind = match &error {
        SessionError::Link(LinkError::Failed { failure, .. }) => Some(failure.kind),
        _ => None,
    };
    assert_eq!(kind, Some(FailureKind::LedgerRefused), "{error}");
    assert!(error.to_string().contains("blindroute-operator ledger") && !error.is_temporary(), "{error}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn change(world: &mut World, index: usize, change: impl FnOnce(&Path)) {
    world.stop(index);
    change(&world.state(index));
    world.run(index);
}

#[test]
fn case_02_a_server_whose_ledger_was_restored_from_a_copy_is_refused_until_it_is_set_up_anew() {
    for index in [0, 1] {
        let mut world = World::start(PATIENT);
        works(&world);
        world.stop(index);
        let copied = world.state(index).with_extension("copy");
        copy(&world.state(index), &copied);
        world.run(index);
        works(&world);
        // The other one's memory of it survives a restart, once it has claimed another session.
        works(&world);
        change(&mut world, 1 - index, |_| {});
        works(&world);

        change(&mut world, index, |state| {
            std::fs::remove_dir_all(state).unwrap();
            copy(&copied, state);
        });
        is_refused(&world);
        change(&mut world, 1 - index, |_| {});
        is_refused(&world);

        // The operator of the restored one sets it up anew, and the other operator accepts that.
        change(&mut world, index, |state| std::fs::remove_dir_all(state).unwrap());
        is_refused(&world);
        change(&mut world, 1 - index, |state| FileLedger::open(state).unwrap().forget_other().unwrap());
        works(&world);
        works(&world);
    }
}

#[test]
fn sessions_side_by_side_and_restarts_are_never_refused() {
    let mut world = World::start(PATIENT);
    for round in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                let client = world.client();
                scope.spawn(move || squares(&client.run(FOUR, &numbers(3.0)).unwrap().output, 3.0));
            }
        });
        // One server claims what the other one does not.
        let mut alone = world.link(round % 2);
        let (session, deployment) = (SessionId::generate().unwrap(), Numbers::default().digest());
        let hello = ClientHello {
            version: blindroute_runtime::messages::VERSION,
            session,
            deployment,
            request: FOUR.to_vec(),
            continues: None,
            token: None,
        };
        alone.send_message(&hello).unwrap();
        world.restart();
    }
    // What the first session shows is stored with the claim of the second.
    works(&world);
    works(&world);
    let known = [0, 1].map(|index| FileLedger::look(&world.state(index)).unwrap().unwrap());
    for (own, others) in [(0, 1), (1, 0)] {
        let seen = known[own].other.unwrap();
        assert_eq!((seen.ledger, seen.term), (known[others].standing.ledger, 4));
        assert!(seen.claimed < known[others].standing.claimed, "what is seen is stored with the next claim");
    }
}
