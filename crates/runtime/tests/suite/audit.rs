//! Audits of the dealer: sessions that are opened are spent and others run, and a dealer that cheats is found and refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{FOUR, Numbers, PATIENT, PlayedDealer, World, numbers, right, wait_for};
use blindroute_protocol::{Dealer, DealerSeeds, HashKey, Seed, WeightMasks};
use blindroute_runtime::messages::{
    AuditRequest, AuditSeeds, EpochId, FailureKind, MaterialGrant, MaterialRequest, SessionId, WireSeed,
};
use blindroute_runtime::session::MATERIAL_BUDGET;
use blindroute_runtime::{
    AuditShare, Catalogue, Connection, Link, LinkError, MaterialWriter, Retry, Role, SessionError, SessionPool,
    SessionPoolOptions, Timeouts,
};
use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const RETRY: Retry = Retry {
    budget: Duration::from_secs(60),
    pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(50),
};

/// Programs with a weight; servers audit this share of their sessions.
fn world(share: f64, dealer: Option<PlayedDealer>) -> World {
    world_of(true, share, dealer)
}

fn world_of(scaled: bool, share: f64, dealer: Option<PlayedDealer>) -> World {
    let mut world = World::stopped(PATIENT, MATERIAL_BUDGET, |_| {});
    world.catalogues.iter_mut().for_each(|catalogue| *catalogue = catalogue_of(scaled));
    (world.audit, world.dealer) = ([AuditShare::new(share); 2], dealer);
    world.run_all();
    world
}

fn catalogue_of(scaled: bool) -> Arc<Numbers> {
    Arc::new(Numbers { scaled, ..Numbers::default() })
}

fn client(world: &World) -> blindroute_runtime::Client<Numbers> {
    world.client_with(catalogue_of(true))
}

/// Right, wrong and unrevealed audits of both servers, which agree once both have noted the last one.
fn found(world: &World) -> [u64; 3] {
    let counts = || {
        world.audits.each_ref().map(|counts| {
            let counts = counts.as_ref().unwrap();
            [counts.right(), counts.wrong(), counts.unrevealed()]
        })
    };
    wait_for("both servers to note the same", || counts()[0] == counts()[1]);
    counts()[0]
}

fn kind(error: &SessionError) -> FailureKind {
    match error {
        SessionError::Link(LinkError::Failed { failure, .. }) => failure.kind,
        SessionError::Unprepared { source, .. } => kind(source),
        other => panic!("{other}"),
    }
}

/// Sessions entered in a server's ledger.
fn entered(world: &World, index: usize) -> u64 {
    world.ledger(index) / 24
}

#[test]
fn audited_sessions_are_spent_and_routes_get_their_answers_all_the_same() {
    let world = world(0.5, None);
    let client = client(&world);
    let before = entered(&world, 0);
    for round in 0..24_u8 {
        let first = f32::from(round);
        right(&client.run_retrying(FOUR, &numbers(first), &RETRY, &|_| true).unwrap(), first);
    }
    let [audited, wrong, unrevealed] = found(&world);
    assert!(audited > 2 && wrong == 0 && unrevealed == 0, "{audited} {wrong} {unrevealed}");
    // Each audited session was one of its own, entered in all ledgers.
    for index in 0..3 {
        assert!(entered(&world, index) >= before + 24 + audited, "{index}");
    }
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
}

#[test]
fn without_a_share_no_session_is_audited() {
    let world = world(0.0, None);
    let client = client(&world);
    (0..8).for_each(|_| right(&client.run(FOUR, &numbers(5.0)).unwrap(), 5.0));
    assert_eq!(found(&world), [0; 3]);
}

#[test]
fn where_every_session_is_audited_the_client_is_told_so_and_may_try_again() {
    let world = world(1.0, None);
    let error = client(&world).run(FOUR, &numbers(5.0)).unwrap_err();
    assert!(kind(&error) == FailureKind::Audited && error.is_temporary(), "{error}");
    let [audited, ..] = found(&world);
    assert_eq!(found(&world), [audited, 0, 0]);
    assert_eq!(audited, 8, "a client begins so many sessions in a row on the same links");
}

/// A session pool fills up, and a session that continues another one is not lost.
#[test]
fn pools_and_sessions_that_continue_go_on_after_an_audit() {
    // A client gives up after eight audits in a row: few enough that none meets so many.
    let world = world(0.2, None);
    let pool = SessionPool::new(client(&world), SessionPoolOptions::default()).unwrap();
    pool.keep(FOUR, 3);
    assert!(pool.wait_full(FOUR, Duration::from_secs(60)));
    right(&pool.run(FOUR, &numbers(2.0)).unwrap(), 2.0);
    drop(pool);
    let client = client(&world);
    let before = found(&world)[0];
    for run in 0..100 {
        let first = client.run_retrying(b"4 keep", &numbers(5.0), &RETRY, &|_| true).unwrap();
        let next = client.run_continuing(first.held.unwrap(), b"3 more keep", &[0, 2, 3]).unwrap();
        assert_eq!(next.output.values[0], [25.0, 9.0, 16.0]);
        let last = client.run_continuing(next.held.unwrap(), b"1 more", &[1]).unwrap();
        assert_eq!(last.output.values[0], [9.0]);
        if run >= 4 && found(&world)[0] > before {
            break;
        }
    }
    assert!(found(&world)[0] > before);
}

#[test]
fn material_over_the_budget_is_not_audited() {
    let mut world = World::stopped(PATIENT, 1, |_| {});
    world.audit = [AuditShare::new(1.0); 2];
    world.run_all();
    crate::world::squares(&world.client().run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
    assert_eq!(found(&world), [0; 3]);
}

#[test]
fn servers_with_different_shares_refuse_and_say_where_to_look() {
    let mut world = World::stopped(PATIENT, MATERIAL_BUDGET, |_| {});
    world.audit = [AuditShare::new(0.02), AuditShare::NONE];
    world.run_all();
    let error = world.client().run_retrying(FOUR, &numbers(1.0), &RETRY, &|_| panic!("it waits")).unwrap_err();
    assert!(kind(&error) == FailureKind::AuditsDiffer && error.to_string().contains("[audit]"), "{error}");
}

/// Passes on what is written, with one bit flipped if there is a place for it.
struct Flipping<'a> {
    to: &'a mut MaterialWriter,
    at: usize,
    flip: Option<usize>,
}

impl Write for Flipping<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut bytes = bytes.to_vec();
        if let Some(place) = self.flip.and_then(|flip| flip.checked_sub(self.at)).filter(|place| *place < bytes.len()) {
            bytes[place] ^= 1;
        }
        self.at += bytes.len();
        self.to.write_all(&bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// How the dealer of a test cheats.
const HONEST: u8 = 0;
/// It flips a bit of a product with a weight, which no server can see alone.
const WRONG_WEIGHT: u8 = 1;
/// It flips a bit of what was dealt before.
const WRONG_PRODUCT: u8 = 2;
/// It tells each server another seed of the other one.
const OTHER_SEEDS: u8 = 3;
/// It leaves when it is asked.
const SILENT: u8 = 4;
/// It deals what it reveals, and grants other seeds.
const OTHER_GRANT: u8 = 5;
/// It deals from another seed than server 0 has, and tells server 1 that one: what each server is told fits what it holds.
const TWO_TRUTHS: u8 = 6;

fn wire(byte: u8) -> WireSeed {
    WireSeed::new([byte; 32])
}

fn seed(byte: u8) -> Seed {
    Seed::new([byte; 16])
}

/// A dealer that cheats as it is told, with fixed seeds.
fn dealer(cheat: Arc<AtomicU8>, epoch: Arc<AtomicU8>, revealed: Arc<AtomicUsize>) -> PlayedDealer {
    dealer_of(true, cheat, epoch, revealed)
}

fn dealer_of(scaled: bool, cheat: Arc<AtomicU8>, epoch: Arc<AtomicU8>, revealed: Arc<AtomicUsize>) -> PlayedDealer {
    let catalogue = catalogue_of(scaled);
    let waiting: Mutex<HashMap<SessionId, (Link, MaterialRequest)>> = Mutex::default();
    Arc::new(move |connection: Connection| {
        let mut link = connection.link;
        let Some(request) = link.receive_message_or_end::<MaterialRequest>()? else { return Ok(()) };
        let mut held = waiting.lock().unwrap();
        let Some((other, _)) = held.remove(&request.session) else {
            held.insert(request.session, (link, request));
            return Ok(());
        };
        drop(held);
        let mut links = if link.peer() == Role::Server0 { [link, other] } else { [other, link] };
        let (cheat, session) = (cheat.load(Ordering::SeqCst), request.session);
        let epoch = EpochId([epoch.load(Ordering::SeqCst); 16]);
        let own = if cheat == OTHER_GRANT { 99 } else { 3 };
        for (link, seeds) in links.iter_mut().zip([vec![1, own, 5, 6], vec![2, 4, 5]]) {
            let seeds = seeds.into_iter().map(wire).collect();
            link.send_message(&MaterialGrant { session, epoch, seeds })?;
        }
        let program = catalogue.program(&request.request).unwrap();
        let masks = WeightMasks::new(&catalogue.weights(), &[seed(1), seed(2)]);
        let dealt = if cheat == TWO_TRUTHS { 77 } else { 3 };
        let material = [seed(dealt), seed(4)];
        let seeds = DealerSeeds { material, products: seed(6), hash_key: HashKey::new(&[5; 16]) };
        let [mut zero, mut one] = links.map(MaterialWriter::new);
        // Four products in rings of 64 bits, then four with a weight.
        let flip = [(WRONG_PRODUCT, 0), (WRONG_WEIGHT, 32)].into_iter().find(|(kind, _)| *kind == cheat);
        let mut flipping = Flipping { to: &mut one, at: 0, flip: flip.map(|(_, place)| place) };
        Dealer::run(&program, &masks, seeds, [&mut zero, &mut flipping])?;
        let mut links = [zero.finish()?.0, one.finish()?.0];
        let mut asked = 0;
        for link in &mut links {
            asked += usize::from(link.receive_message_or_end::<AuditRequest>()?.is_some());
        }
        if asked == 2 && cheat != SILENT {
            for (party, link) in links.iter_mut().enumerate() {
                let mut seeds = [3, 4];
                if cheat == OTHER_SEEDS || cheat == TWO_TRUTHS && party == 1 {
                    seeds[1 - party] = 77;
                }
                link.send_message(&AuditSeeds { session, seeds: seeds.map(wire) })?;
            }
            revealed.fetch_add(1, Ordering::SeqCst);
        }
        links.into_iter().for_each(Link::close);
        Ok(())
    })
}

#[test]
fn a_dealer_that_cheats_is_found_and_refused_until_it_restarts() {
    let (cheat, epoch, revealed) = (Arc::new(AtomicU8::new(HONEST)), Arc::new(AtomicU8::new(1)), Arc::default());
    let world = world(1.0, Some(dealer(Arc::clone(&cheat), Arc::clone(&epoch), Arc::clone(&revealed))));
    let client = client(&world);
    assert_eq!(kind(&client.run(FOUR, &numbers(1.0)).unwrap_err()), FailureKind::Audited);
    let honest = found(&world)[0];
    assert!(honest > 0, "an honest dealing of this dealer is found right");
    for (count, how) in [WRONG_WEIGHT, WRONG_PRODUCT, OTHER_SEEDS, OTHER_GRANT].into_iter().enumerate() {
        cheat.store(how, Ordering::SeqCst);
        let error = client.run_retrying(FOUR, &numbers(1.0), &RETRY, &|_| panic!("it waits")).unwrap_err();
        assert!(kind(&error) == FailureKind::WrongMaterial && !error.is_temporary(), "{how}: {error}");
        assert!(error.to_string().contains("dealer"), "{error}");
        let wrong = count as u64 + 1;
        assert_eq!(found(&world), [honest, wrong, 0], "{how}");
        // From then on no session of this epoch is begun, also if it would be right.
        cheat.store(HONEST, Ordering::SeqCst);
        let opened = revealed.load(Ordering::SeqCst);
        for _ in 0..2 {
            assert_eq!(kind(&client.run(FOUR, &numbers(1.0)).unwrap_err()), FailureKind::WrongMaterial);
        }
        assert_eq!((found(&world)[1], revealed.load(Ordering::SeqCst)), (wrong, opened));
        assert!(world.audits.iter().flatten().any(|counts| counts.refused() > 0));
        // Another epoch is served.
        epoch.fetch_add(1, Ordering::SeqCst);
    }
}

/// Without a product with a weight, only the comparison of what was revealed shows it.
#[test]
fn a_dealer_that_tells_the_servers_different_seeds_is_found() {
    let (cheat, epoch) = (Arc::new(AtomicU8::new(TWO_TRUTHS)), Arc::new(AtomicU8::new(1)));
    let world = world_of(false, 1.0, Some(dealer_of(false, cheat, epoch, Arc::default())));
    let error = world.client().run(FOUR, &numbers(1.0)).unwrap_err();
    assert_eq!(kind(&error), FailureKind::WrongMaterial, "{error}");
    assert_eq!(found(&world), [0, 1, 0]);
}

#[test]
fn a_dealer_that_is_silent_when_asked_is_refused_after_three_times() {
    let (cheat, epoch) = (Arc::new(AtomicU8::new(SILENT)), Arc::new(AtomicU8::new(1)));
    let world = world(1.0, Some(dealer(cheat, epoch, Arc::default())));
    let client = client(&world);
    for count in 1..=3 {
        let error = client.run(FOUR, &numbers(1.0)).unwrap_err();
        assert!(kind(&error) == FailureKind::OtherParty && error.is_temporary(), "{error}");
        wait_for("both servers", || world.audits.iter().flatten().all(|counts| counts.unrevealed() == count));
    }
    assert_eq!(kind(&client.run(FOUR, &numbers(1.0)).unwrap_err()), FailureKind::WrongMaterial);
}

/// The real dealer, and servers that the test plays: only one asks, or it asks for another session.
#[test]
fn seeds_are_revealed_to_both_servers_or_to_none() {
    let mut world = World::stopped(Timeouts { stall: Duration::from_secs(4), ..PATIENT }, MATERIAL_BUDGET, |_| {});
    world.run(2);
    let asked = |asks: [Option<SessionId>; 2], session: SessionId| {
        let mut links = [Role::Server0, Role::Server1]
            .map(|role| Link::connect(world.address(2), &world.endpoint(role), Role::Dealer, &PATIENT).unwrap());
        for (party, link) in (0..).zip(&mut links) {
            let (deployment, request) = (world.catalogues[2].digest(), FOUR.to_vec());
            link.send_message(&MaterialRequest {
                version: blindroute_runtime::messages::VERSION,
                session,
                party,
                deployment,
                request,
            })
            .unwrap();
        }
        let granted = links.each_mut().map(|link| link.receive_message::<MaterialGrant>().unwrap().seeds);
        let ended = links.map(|link| {
            let mut reader = blindroute_runtime::MaterialReader::new(link);
            std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
            reader.finish().unwrap().0
        });
        let answers = ended.into_iter().zip(asks).map(|(mut link, ask)| match ask {
            Some(session) => {
                link.send_message(&AuditRequest { session }).unwrap();
                Some(link)
            }
            None => {
                link.close();
                None
            }
        });
        let links: Vec<_> = answers.collect();
        let answers = links.into_iter().map(|link| link.map(|mut link| link.receive_message::<AuditSeeds>()));
        (granted, answers.collect::<Vec<_>>())
    };
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|byte| SessionId([byte; 16]));
    for (asks, session) in
        [([Some(first), None], first), ([None, Some(second)], second), ([Some(third), Some(first)], third)]
    {
        for answer in asked(asks, session).1.into_iter().flatten() {
            assert!(matches!(answer, Err(LinkError::Failed { .. } | LinkError::Closed { .. })), "{answer:?}");
        }
    }
    let (granted, answers) = asked([Some(fourth); 2], fourth);
    for answer in answers {
        let revealed = answer.unwrap().unwrap();
        assert_eq!(revealed.session, fourth);
        for (party, seed) in revealed.seeds.iter().enumerate() {
            assert_eq!(seed.expose(), granted[party][1].expose());
            assert_ne!(seed.expose(), granted[0][3].expose(), "the seed of products with weights");
        }
    }
}

#[test]
fn what_a_dealer_dealt_before_it_was_found_to_cheat_is_dropped_from_the_stores() {
    let (cheat, epoch) = (Arc::new(AtomicU8::new(HONEST)), Arc::new(AtomicU8::new(1)));
    let mut world = World::stopped(PATIENT, MATERIAL_BUDGET, |_| {});
    world.catalogues.iter_mut().for_each(|catalogue| *catalogue = catalogue_of(true));
    world.audit = [AuditShare::new(0.1); 2];
    world.store_bytes = [Some(1 << 20); 2];
    world.dealer = Some(dealer(Arc::clone(&cheat), Arc::clone(&epoch), Arc::default()));
    world.run_all();
    world.fill(3);
    cheat.store(WRONG_WEIGHT, Ordering::SeqCst);
    world.wanted.store(1000, Ordering::SeqCst);
    wait_for("an audit to find it", || found(&world)[1] == 1);
    wait_for("the stores to be empty", || [0, 1].iter().all(|index| world.stored(*index).sessions == 0));
    assert!([0, 1].iter().all(|index| world.stored(*index).dropped >= 3));
    // Those of its next process are used again.
    cheat.store(HONEST, Ordering::SeqCst);
    epoch.store(2, Ordering::SeqCst);
    world.fill(2);
    right(&client(&world).run_retrying(FOUR, &numbers(3.0), &RETRY, &|_| true).unwrap(), 3.0);
    assert_eq!((world.stored(0).used, world.stored(1).used), (1, 1));
}
