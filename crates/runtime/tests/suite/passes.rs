//! Clients that show passes in place of themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::known::{Known, SERVERS, kind};
use crate::world::{FOUR, Numbers, numbers, squares};
use blindroute_passes::{Challenge, Pass, Wanted};
use blindroute_runtime::clients::{ClientSecret, Clients, Register, Registration};
use blindroute_runtime::messages::{ClientHello, FailureKind, PassAnswer, PassRequest, ServerReady, ShownPasses};
use blindroute_runtime::{Catalogue as _, Client, Link, LinkError, Message as _, Role, SessionId};
use std::sync::Arc;
use std::time::Duration;

impl Known {
    fn with_passes(&self, batch: usize) -> Client<Numbers> {
        self.client(self.secret()).with_passes(batch)
    }

    /// So many passes of a server, asked for by hand.
    fn passes(&self, index: usize, count: usize) -> ShownPasses {
        let mut link = self.world.link(index);
        let key = ask(&mut link, &PassRequest { token: None, blinded: vec![] }).unwrap().key;
        let wanted = Wanted::new(&key, &Challenge::of(SERVERS[index].name()), count).unwrap();
        let token = Some(self.secret().token(SERVERS[index]));
        let answer = ask(&mut link, &PassRequest { token, blinded: wanted.blinded().to_vec() }).unwrap();
        let passes = wanted.finish(&answer.evaluated, &answer.proof.unwrap()).unwrap();
        ShownPasses { key: blindroute_passes::KeyId::of(&key), passes }
    }

    /// A link on which these passes were shown, and a session asked for.
    fn asked(&self, index: usize, passes: &[ShownPasses]) -> Link {
        let mut link = self.world.link(index);
        passes.iter().for_each(|shown| link.send_message(shown).unwrap());
        let hello = ClientHello {
            version: blindroute_runtime::messages::VERSION,
            session: SessionId::generate().unwrap(),
            deployment: Numbers::default().digest(),
            request: FOUR.to_vec(),
            continues: None,
            token: None,
        };
        link.send_message(&hello).unwrap();
        link
    }

    /// How a server refuses somebody who shows these passes.
    fn refusal(&self, index: usize, passes: &[ShownPasses]) -> Vec<u8> {
        match self.asked(index, passes).receive_message::<ServerReady>().unwrap_err() {
            LinkError::Failed { failure, .. } => failure.encode(),
            other => panic!("{other}"),
        }
    }

    /// Whether server 0 begins a session for somebody who shows these passes. The other server is not asked, so it goes no further.
    fn begins(&self, passes: &[ShownPasses]) -> bool {
        let before = self.world.ledger(0);
        let link = self.asked(0, passes);
        let begun = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            self.world.ledger(0) > before
        });
        drop(link);
        begun
    }
}

fn ask(link: &mut Link, asked: &PassRequest) -> Result<PassAnswer, LinkError> {
    link.send_message(asked)?;
    link.receive_message()
}

#[test]
fn a_client_with_passes_is_answered_and_counted_when_it_asks_for_them() {
    let issuing = Known::issuing(4);
    let client = issuing.with_passes(4);
    for _ in 0..4 {
        squares(&client.run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
        // All four are counted at once, and the sessions themselves under no name.
        assert_eq!(issuing.counted(), [4, 4]);
    }
    let ledgers = || [0, 1, 2].map(|index| issuing.world.ledger(index));
    let before = ledgers();
    let error = client.run(FOUR, &numbers(3.0)).unwrap_err();
    assert_eq!(kind(&error), Some(FailureKind::Quota), "{error}");
    assert_eq!((issuing.counted(), ledgers()), ([4, 4], before));
}

#[test]
fn a_used_or_wrong_pass_is_refused_as_an_unknown_client_is_and_costs_nothing() {
    let issuing = Known::issuing(100);
    let ledgers = || [0, 1, 2].map(|index| issuing.world.ledger(index));
    let mine = issuing.passes(0, 3);
    let mut refused = vec![issuing.refusal(0, &[])];
    assert_eq!(refused[0][0], FailureKind::UnknownClient as u8, "without a pass and a token nobody is known");
    let before = ledgers();
    // Of the other server, made up, none at all, and too many for one route.
    let of = |passes: Vec<Pass>| ShownPasses { key: mine.key, passes };
    let one = |place: usize| of(vec![Pass::from_bytes(&mine.passes[place].to_bytes())]);
    refused.push(issuing.refusal(0, &[issuing.passes(1, 1)]));
    refused.push(issuing.refusal(0, &[of(vec![Pass::from_bytes(&[3; Pass::BYTES])])]));
    refused.push(issuing.refusal(0, &[of(vec![])]));
    refused
        .push(issuing.refusal(0, &[of([0, 1].map(|place| Pass::from_bytes(&mine.passes[place].to_bytes())).into())]));
    assert_eq!(ledgers(), before);
    // A good one is taken, and then no more.
    assert!(issuing.begins(&[one(0)]));
    refused.push(issuing.refusal(0, &[one(0)]));
    // Of passes that come one after the other, the last count.
    refused.push(issuing.refusal(0, &[one(1), one(0)]));
    // The text ends with what the log calls the session, which is as long for each.
    let alike = |said: &Vec<u8>| said.len() == refused[0].len() && said[..20] == refused[0][..20];
    assert!(refused.iter().all(alike), "{refused:?}");
    assert!(issuing.begins(&[one(1)]));
}

#[test]
fn nobody_gets_passes_without_a_name_and_a_server_that_issues_none_says_so() {
    let issuing = Known::issuing(100);
    let mut link = issuing.world.link(0);
    let key = ask(&mut link, &PassRequest { token: None, blinded: vec![] }).unwrap().key;
    let wanted = Wanted::new(&key, &Challenge::of("server0"), 1).unwrap();
    let blinded = wanted.blinded().to_vec();
    for token in [
        None,
        Some(ClientSecret::generate().unwrap().token(Role::Server0)),
        Some(issuing.secret().token(Role::Server1)),
    ] {
        let mut link = issuing.world.link(0);
        let error = ask(&mut link, &PassRequest { token, blinded: blinded.clone() }).unwrap_err();
        assert_eq!(kind(&error.into()), Some(FailureKind::UnknownClient));
    }
    assert_eq!(issuing.counted(), [0, 0]);
    let silent = Known::with([100; 2]);
    let error = silent.with_passes(2).run(FOUR, &numbers(1.0)).unwrap_err();
    assert_eq!(kind(&error), Some(FailureKind::BadRequest), "{error}");
    assert!(error.to_string().contains("passes = true"), "{error}");
}

#[test]
fn servers_whose_keys_were_lost_issue_new_passes_to_clients_that_hold_old_ones() {
    let mut issuing = Known::issuing(100);
    let client = issuing.with_passes(4);
    client.run(FOUR, &numbers(1.0)).unwrap();
    let home = tempfile::tempdir().unwrap();
    issuing.world.clients = [0, 1].map(|index| {
        let register = home.path().join(format!("clients{index}.toml"));
        let entry = Registration::of_secret("clinic", &issuing.secret(), (100, 1000, 1000)).entry(SERVERS[index]);
        Register::add(&register, entry).unwrap();
        let state = home.path().join(format!("state{index}"));
        Some(Arc::new(Clients::open(&register, &state).unwrap().issuing_passes(SERVERS[index], &state).unwrap()))
    });
    issuing.world.restart();
    let error = client.run(FOUR, &numbers(1.0)).unwrap_err();
    assert_eq!(
        kind(&error),
        Some(FailureKind::UnknownClient),
        "the passes that it holds are of keys that are gone: {error}"
    );
    squares(&client.run(FOUR, &numbers(5.0)).unwrap().output, 5.0);
}
