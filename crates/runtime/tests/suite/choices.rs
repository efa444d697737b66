//! Reports of chosen models, from clients to revealed counts, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{FOUR, MODELS, Numbers, PATIENT, World, numbers, wait_for};
use blindroute_reports::{Histogram, KeyHalf, Report, Side, VerifyKey};
use blindroute_runtime::choices::{ChoicesOptions, ReportFigures, Revealed};
use blindroute_runtime::clients::{ClientSecret, Clients, Register, Registered, Registration};
use blindroute_runtime::messages::{
    BatchId, ChoiceReport, ChoiceReportTaken, ChoicesAnswer, ChoicesCall, FailureKind, ReportId, VERSION,
};
use blindroute_runtime::session::MATERIAL_BUDGET;
use blindroute_runtime::{Catalogue, Client, Link, LinkError, Role, SessionError};
use std::sync::Arc;
use std::time::Duration;

/// Two servers that reveal counts of as many reports as each wants.
fn counting(minimum: [u64; 2]) -> World {
    let mut world = World::stopped(PATIENT, MATERIAL_BUDGET, |_| {});
    world.choices = Some(minimum.map(|minimum| ChoicesOptions { minimum, after: Duration::ZERO }));
    world.run_all();
    world
}

fn revealed(world: &World) -> [Vec<Revealed>; 2] {
    [0, 1].map(|index| world.counting[index].as_ref().unwrap().revealed())
}

fn figures(world: &World) -> [ReportFigures; 2] {
    [0, 1].map(|index| world.counting[index].as_ref().unwrap().figures())
}

/// A report as a client makes it, which `change` may change, sent to the servers of these positions. What each says.
fn sent(
    world: &World,
    report: ReportId,
    change: impl FnOnce(&mut Report),
    to: &[usize],
) -> Vec<Result<ChoiceReportTaken, FailureKind>> {
    let deployment = Numbers::default().digest();
    let mut made = Histogram::new(MODELS.len()).unwrap().report(&deployment.0, &report.0, 1).unwrap();
    change(&mut made);
    let say = |index: &usize| {
        let mut link = world.link(*index);
        let (public, share) = (made.public.clone(), made.shares[*index].clone());
        let report = ChoiceReport { version: VERSION, report, deployment, public, share, token: None };
        link.send_message(&report).unwrap();
        match link.receive_message() {
            Ok(taken) => Ok(taken),
            Err(LinkError::Failed { failure, .. }) => Err(failure.kind),
            Err(other) => panic!("{other}"),
        }
    };
    to.iter().map(say).collect()
}

#[test]
fn both_servers_learn_the_same_counts_of_a_hundred_reports_and_nothing_of_ninety_nine() {
    let world = counting([100, 100]);
    let clients = [(); 3].map(|()| world.client());
    let mut plain = [0_u64; 4];
    // Any numbers will do that differ.
    let place = |report: usize| (report * report + report / 7) % MODELS.len();
    for report in 0..99 {
        clients[report % clients.len()].report_choice(place(report)).unwrap();
        plain[place(report)] += 1;
    }
    world.reveal_choices();
    assert_eq!(revealed(&world), [vec![], vec![]], "99 reports reveal nothing");
    clients[0].report_choice(3).unwrap();
    plain[3] += 1;
    world.reveal_choices();
    let [zero, one] = revealed(&world);
    assert_eq!((zero.len(), one.len()), (1, 1));
    for found in [&zero[0], &one[0]] {
        assert_eq!((found.counts.as_slice(), found.reports), (plain.as_slice(), 100));
        assert_eq!(found.models, MODELS);
        assert_eq!(found.batch, zero[0].batch);
    }
    let taken = ReportFigures { counted: 100, refused: 0, lost: 0 };
    assert_eq!(figures(&world), [taken; 2]);
    // What comes later is in another batch, and the first is not revealed again.
    clients[0].report_choice(0).unwrap();
    world.reveal_choices();
    assert_eq!(revealed(&world), [zero, one]);
}

#[test]
fn reports_that_come_while_batches_are_closed_are_each_in_one_of_them() {
    let world = counting([5, 5]);
    let (callers, each) = (4, 40);
    std::thread::scope(|scope| {
        let sending: Vec<_> = (0..callers)
            .map(|caller| {
                let client = world.client();
                scope.spawn(move || (0..each).for_each(|report| client.report_choice((caller + report) % 4).unwrap()))
            })
            .collect();
        while sending.iter().any(|sending| !sending.is_finished()) {
            world.reveal_choices();
        }
    });
    world.reveal_choices();
    let [zero, one] = revealed(&world);
    assert!(zero.len() > 1, "several batches were closed meanwhile");
    let counts = |all: &[Revealed]| all.iter().map(|batch| batch.counts.clone()).collect::<Vec<_>>();
    assert_eq!(counts(&zero), counts(&one));
    let sent = (callers * each) as u64;
    assert_eq!(figures(&world), [ReportFigures { counted: sent, refused: 0, lost: 0 }; 2]);
    let in_sums: u64 = zero.iter().map(|batch| batch.reports).sum();
    assert!((sent - 4..=sent).contains(&in_sums), "{in_sums} of {sent}: fewer than five are left");
    let of_place = |place: usize| zero.iter().map(|batch| batch.counts[place]).sum::<u64>();
    assert!((0..4).all(|place| of_place(place) <= sent / 4));
}

#[test]
fn sums_outlast_restarts_and_so_do_counts() {
    let mut world = counting([6, 6]);
    for place in [0, 1, 1] {
        world.client().report_choice(place).unwrap();
    }
    world.restart();
    for place in [3, 3] {
        world.client().report_choice(place).unwrap();
    }
    // Server 1 alone, and then server 0 alone.
    [1, 0].into_iter().for_each(|index| {
        world.stop(index);
        world.run(index);
    });
    world.client().report_choice(3).unwrap();
    world.reveal_choices();
    let before = revealed(&world);
    assert_eq!(before.each_ref().map(|all| all[0].counts.clone()), [[1, 2, 0, 3], [1, 2, 0, 3]].map(Vec::from));
    world.restart();
    assert_eq!(revealed(&world), before);
}

#[test]
fn a_report_is_taken_once_also_after_a_restart() {
    let mut world = counting([2, 2]);
    let report = ReportId([5; 16]);
    let taken = Ok(ChoiceReportTaken { report });
    assert_eq!(sent(&world, report, |_| (), &[0, 1]), [taken, taken]);
    assert_eq!(sent(&world, report, |_| (), &[0, 1]), [Err(FailureKind::SessionReused); 2]);
    world.restart();
    assert_eq!(sent(&world, report, |_| (), &[0, 1]), [Err(FailureKind::SessionReused); 2]);
    world.client().report_choice(2).unwrap();
    world.reveal_choices();
    assert_eq!(revealed(&world).map(|all| all[0].counts.clone()), [[0, 1, 1, 0], [0, 1, 1, 0]].map(Vec::from));
}

#[test]
fn two_votes_and_half_a_report_are_not_counted_and_the_client_is_told_the_same() {
    let world = counting([1, 1]);
    let mut next = 0;
    let mut say = |change: fn(&mut Report), to: &[usize]| {
        next += 1;
        let report = ReportId([next; 16]);
        let said = sent(&world, report, change, to);
        assert!(said.iter().all(|said| *said == Ok(ChoiceReportTaken { report })), "{said:?}");
    };
    // One more vote, for the model of place 0: the sum of both shares is a vector with two ones.
    say(|made| made.shares[0][0] = made.shares[0][0].wrapping_add(1), &[0, 1]);
    say(|made| made.shares[1][0] ^= 1, &[0, 1]);
    say(|made| made.public[40] ^= 1, &[0, 1]);
    // Not a number of the field.
    say(|made| made.shares[0][..16].fill(0xFF), &[0, 1]);
    // A server counts after it has told the client.
    let refused = |count| wait_for("both to refuse", || figures(&world).map(|figures| figures.refused) == [count; 2]);
    refused(4);
    // Only one server has it.
    say(|_| (), &[1]);
    refused(5);
    assert_eq!(figures(&world), [5, 5].map(|refused| ReportFigures { counted: 0, refused, lost: 0 }));
    say(|_| (), &[0]);
    world.reveal_choices();
    assert_eq!(revealed(&world), [vec![], vec![]], "nothing is counted");
    say(|_| (), &[0, 1]);
    world.reveal_choices();
    assert_eq!(revealed(&world).map(|all| all[0].counts.clone()), [[0, 1, 0, 0], [0, 1, 0, 0]].map(Vec::from));
}

#[test]
fn reports_of_other_lengths_or_versions_and_at_servers_that_count_nothing_are_refused() {
    let world = counting([1, 1]);
    let shorter = |made: &mut Report| made.shares.iter_mut().for_each(|share| assert!(share.pop().is_some()));
    assert_eq!(sent(&world, ReportId([1; 16]), shorter, &[0, 1]), [Err(FailureKind::BadRequest); 2]);
    let of = |world: &World, version: u8| {
        let error = world.client_with(Arc::new(Numbers { version, ..Numbers::default() })).report_choice(0);
        match error.unwrap_err() {
            SessionError::Choices(blindroute_runtime::choices::ChoicesError::Link(LinkError::Failed {
                failure,
                ..
            })) => failure,
            other => panic!("{other}"),
        }
    };
    assert_eq!(of(&world, 1).kind, FailureKind::DigestMismatch);
    let world = World::start(PATIENT);
    let told = of(&world, 0);
    assert!(told.kind == FailureKind::BadRequest && told.to_string().contains("[choices]"), "{told}");
}

#[test]
fn each_server_has_a_minimum_and_no_answer_closes_a_batch_at_one_alone() {
    let mut world = counting([3, 2]);
    [0, 1].into_iter().for_each(|place| world.client().report_choice(place).unwrap());
    world.reveal_choices();
    assert_eq!(revealed(&world), [vec![], vec![]], "server 0 wants three");
    // Server 1 waits for a while before it asks again; a restart ends that.
    world.client().report_choice(1).unwrap();
    world.stop(1);
    world.run(1);
    world.stop(0);
    world.reveal_choices();
    assert_eq!(world.counting[1].as_ref().unwrap().revealed(), [], "server 0 does not answer");
    world.run(0);
    world.stop(1);
    world.run(1);
    world.reveal_choices();
    assert_eq!(revealed(&world).map(|all| all[0].counts.clone()), [[1, 2, 0, 0], [1, 2, 0, 0]].map(Vec::from));
}

#[test]
fn servers_that_have_different_reports_drop_the_batch_and_go_on() {
    let mut world = counting([2, 2]);
    let client = world.client();
    [0, 0, 1].into_iter().for_each(|place| client.report_choice(place).unwrap());
    // The folder of server 0 is restored from before.
    let folder = world.state(0).join("choices");
    let files = || -> Vec<_> { std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect() };
    let copies: Vec<_> = files().into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect();
    client.report_choice(2).unwrap();
    world.stop(0);
    copies.iter().for_each(|(content, path)| std::fs::write(path, content).unwrap());
    world.run(0);
    world.reveal_choices();
    assert_eq!(revealed(&world), [vec![], vec![]]);
    assert_eq!(figures(&world).map(|figures| figures.lost), [3, 4], "both have dropped it");
    assert_eq!(files().len(), 0, "nothing of it is left");
    [3, 3].into_iter().for_each(|place| client.report_choice(place).unwrap());
    world.reveal_choices();
    assert_eq!(revealed(&world).map(|all| all[0].counts.clone()), [[0, 0, 0, 2], [0, 0, 0, 2]].map(Vec::from));
}

#[test]
fn a_lost_connection_between_the_servers_costs_the_report_and_not_the_batch() {
    let world = counting([1, 1]);
    let client = world.client();
    client.report_choice(1).unwrap();
    let target = world.lanes.redirect("127.0.0.1:1");
    client.report_choice(2).unwrap();
    world.lanes.redirect(&target);
    assert_eq!(figures(&world)[1], ReportFigures { counted: 1, refused: 0, lost: 1 });
    client.report_choice(3).unwrap();
    world.reveal_choices();
    assert_eq!(revealed(&world).map(|all| all[0].counts.clone()), [[0, 1, 0, 1], [0, 1, 0, 1]].map(Vec::from));
}

#[test]
fn server_0_goes_on_with_the_half_of_a_key_alone_to_which_server_1_is_bound() {
    let world = counting([1, 1]);
    let deployment = Numbers::default().digest();
    let histogram = Histogram::new(MODELS.len()).unwrap();
    let ask = |number: u8, bound: bool, counts: bool| {
        let report = ReportId([number; 16]);
        let mut kept = None;
        sent(&world, report, |made| kept = Some((made.public.clone(), made.shares[1].clone())), &[0]);
        let (public, share) = kept.unwrap();
        let endpoint = world.endpoint(Role::Server1);
        let mut link = Link::connect(world.address(0), &endpoint, Role::Server0, &PATIENT).unwrap();
        let own = KeyHalf::generate().unwrap();
        let commitment = if bound { own.commitment() } else { KeyHalf::generate().unwrap().commitment() };
        let batch = BatchId([1; 16]);
        link.send_message(&ChoicesCall::Check { version: VERSION, report, deployment, batch, commitment }).unwrap();
        let ChoicesAnswer::Half { half } = link.receive_message().unwrap() else { panic!("no half") };
        let key = VerifyKey::of(&report.0, [&half, &own]);
        let (verifying, proof) = histogram.begin(Side::One, &key, (&deployment.0, &report.0), &public, &share).unwrap();
        link.send_message(&ChoicesCall::Proof { half: own, proof }).unwrap();
        let answer = link.receive_message().unwrap();
        if let ChoicesAnswer::Proof { proof } = &answer {
            assert!(verifying.finish(proof).is_ok());
        }
        if counts {
            link.send_message(&ChoicesCall::Count).unwrap();
            return link.receive_message().unwrap();
        }
        link.close();
        answer
    };
    assert!(matches!(ask(1, false, false), ChoicesAnswer::Refused));
    assert!(matches!(ask(2, true, false), ChoicesAnswer::Proof { .. }));
    assert!(matches!(ask(3, true, true), ChoicesAnswer::Counted));
    wait_for("server 0 to notice", || figures(&world)[0] == ReportFigures { counted: 1, refused: 2, lost: 0 });
}

#[test]
fn a_registered_client_reports_no_more_than_it_routed_and_a_stranger_nothing() {
    let home = tempfile::tempdir().unwrap();
    let secret = ClientSecret::generate().unwrap();
    let mut world = counting([1, 1]);
    world.clients = [Role::Server0, Role::Server1].map(|role| {
        let register = home.path().join(format!("{role}.toml"));
        let entry = Registration::of_secret("clinic", &secret, (9, 9, 9)).entry(role);
        Register::add(&register, Registered { ..entry }).unwrap();
        Some(Arc::new(Clients::open(&register, &home.path().join(format!("state-{role}"))).unwrap()))
    });
    world.restart();
    let client = |endpoint| {
        let addresses = [0, 1].map(|index| world.address(index).to_owned());
        Client::new(Arc::new(Numbers::default()), addresses, endpoint, PATIENT)
    };
    let known = client(world.endpoint(Role::Client).with_secret(secret));
    let stranger = client(world.endpoint(Role::Client));
    let refused = |client: &Client<Numbers>| match client.report_choice(0).unwrap_err() {
        SessionError::Choices(blindroute_runtime::choices::ChoicesError::Link(LinkError::Failed {
            failure, ..
        })) => failure.kind,
        other => panic!("{other}"),
    };
    assert_eq!([refused(&known), refused(&stranger)], [FailureKind::Quota, FailureKind::UnknownClient]);
    for _ in 0..2 {
        known.run(FOUR, &numbers(3.0)).unwrap();
    }
    [0, 2].into_iter().for_each(|place| known.report_choice(place).unwrap());
    assert_eq!(refused(&known), FailureKind::Quota, "two routes, two reports");
    world.reveal_choices();
    assert_eq!(revealed(&world).map(|all| all[0].counts.clone()), [[1, 0, 1, 0], [1, 0, 1, 0]].map(Vec::from));
}
