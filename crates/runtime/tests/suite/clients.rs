//! Servers with a register of clients.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::known::{Known, SERVERS, kind};
use crate::world::{FOUR, PATIENT, World, numbers, squares};
use blindroute_runtime::clients::{ClientSecret, Clients, Credential, Register, Registered};
use blindroute_runtime::messages::{ClientHello, FailureKind, ServerReady};
use blindroute_runtime::{Catalogue as _, Client, LinkError, Role, SessionId};
use std::sync::Arc;

#[test]
fn a_registered_client_is_answered_until_its_quota_is_used_up() {
    let known = Known::with([2, 2]);
    let client = known.client(known.secret());
    for _ in 0..2 {
        squares(&client.run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
    }
    let ledgers = || [0, 1, 2].map(|index| known.world.ledger(index));
    let before = ledgers();
    let error = client.run(FOUR, &numbers(3.0)).unwrap_err();
    assert_eq!(kind(&error), Some(FailureKind::Quota), "{error}");
    assert!(!error.is_temporary() && error.to_string().contains("tomorrow"), "{error}");
    assert_eq!(known.counted(), [2, 2]);
    assert_eq!(ledgers(), before, "no session is claimed and no material dealt for what is refused");
}

#[test]
fn one_server_is_enough_to_refuse() {
    let known = Known::with([1, 2]);
    let client = known.client(known.secret());
    client.run(FOUR, &numbers(3.0)).unwrap();
    let error = client.run(FOUR, &numbers(3.0)).unwrap_err();
    assert_eq!(kind(&error), Some(FailureKind::Quota), "the reason, and not that the other server waited: {error}");
}

#[test]
fn a_client_who_is_unknown_or_revoked_gets_the_same_refusal_from_both_servers() {
    let known = Known::with([9, 9]);
    let mut said = Vec::new();
    let ours = || known.secret();
    let ask = |secret: Option<ClientSecret>, said: &mut Vec<Vec<u8>>| {
        for (index, role) in SERVERS.into_iter().enumerate() {
            let mut link = known.world.link(index);
            let token = secret.as_ref().map(|secret| secret.token(role));
            let (session, deployment) = (SessionId([9; 16]), crate::world::Numbers::default().digest());
            let hello = ClientHello {
                version: blindroute_runtime::messages::VERSION,
                session,
                deployment,
                request: FOUR.to_vec(),
                continues: None,
                token,
            };
            link.send_message(&hello).unwrap();
            match link.receive_message::<ServerReady>().unwrap_err() {
                LinkError::Failed { failure, .. } => said.push(blindroute_runtime::Message::encode(&failure)),
                other => panic!("{other}"),
            }
        }
    };
    ask(None, &mut said);
    ask(Some(ClientSecret::generate().unwrap()), &mut said);
    (0..2).for_each(|index| {
        Register::revoke(&known.home.path().join(format!("clients{index}.toml")), "clinic").unwrap();
    });
    ask(Some(ours()), &mut said);
    assert!(said.iter().all(|failure| failure == &said[0]), "{said:?}");
    assert_eq!(said[0][0], FailureKind::UnknownClient as u8);
    assert_eq!(known.counted(), [0, 0]);
    // A client that asks for too much is told another reason of the same length.
    let known = Known::with([0, 0]);
    let mut link = known.world.link(0);
    let token = Some(known.secret().token(Role::Server0));
    let (session, deployment) = (SessionId([9; 16]), crate::world::Numbers::default().digest());
    link.send_message(&ClientHello {
        version: blindroute_runtime::messages::VERSION,
        session,
        deployment,
        request: FOUR.to_vec(),
        continues: None,
        token,
    })
    .unwrap();
    let LinkError::Failed { failure, .. } = link.receive_message::<ServerReady>().unwrap_err() else { panic!() };
    let quota = blindroute_runtime::Message::encode(&failure);
    assert_eq!((quota[0], quota.len()), (FailureKind::Quota as u8, said[0].len()));
}

#[test]
fn a_client_is_known_by_its_certificate() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::start(PATIENT);
    let endpoint = world.endpoint(Role::Client);
    // What a server sees of the certificate.
    let pem = std::fs::read_to_string(world.authority().with_file_name("client.pem")).unwrap();
    let key = blindroute_runtime::identity::key_digest_of_pem(&pem).unwrap();
    let entry = Registered {
        name: "bank".into(),
        credential: Credential::Certificate(key),
        routes_per_day: 1,
        routes_per_minute: 1,
        alarm_at: 1,
        revoked: false,
    };
    world.clients = [0, 1].map(|index| {
        let register = home.path().join(format!("clients{index}.toml"));
        Register::add(&register, entry.clone()).unwrap();
        Some(Arc::new(Clients::open(&register, &home.path().join(format!("state{index}"))).unwrap()))
    });
    world.restart();
    let addresses = [0, 1].map(|index| world.address(index).to_owned());
    let client = Client::new(Arc::new(crate::world::Numbers::default()), addresses, endpoint, PATIENT);
    squares(&client.run(FOUR, &numbers(2.0)).unwrap().output, 2.0);
    assert_eq!(kind(&client.run(FOUR, &numbers(2.0)).unwrap_err()), Some(FailureKind::Quota));
}
