//! Texts that go on past the first exit with another pair: the same labels, and one answer each if a pair ends meanwhile.

use crate::deployment::{Files, Running};
use crate::pool::{TEXTS, pool_bundle};
use blindroute_placement::{
    ClassifyOptions, ClassifyReport, Placement, PlacementError, Policy, PrivateRouter, Retry, Text,
};
use blindroute_routing::bundle::Bundle;
use blindroute_runtime::config::{AcceptHandOverConfig, HandOverConfig};
use blindroute_runtime::{ClientConfig, Shutdown};
use std::net::TcpListener;

/// A pair with a small memory that hands over to a second one, in splits and with certificates of their own.
struct Pairs {
    small: (Files, Running),
    large: (Files, Running),
}

impl Pairs {
    /// Server 0 of the first pair finds that of the second at this address, if there is one.
    fn start(bundle: &Bundle, through: Option<String>) -> Self {
        let [small, large] = [7, 8].map(|seed| Files::split(bundle, seed));
        let accepted = small.at("certificates/authority.pem");
        let running = Running::start(&large, |config| {
            config.accept_hand_over = vec![AcceptHandOverConfig { authority: Some(accepted.clone()) }];
        });
        let addresses =
            [through.as_ref().unwrap_or(&running.client.server0), &running.client.server1].map(String::clone);
        let authority = large.at("certificates/authority.pem");
        let giving = Running::start(&small, |config| {
            let address = addresses[usize::from(config.party)].clone();
            config.hand_over =
                vec![HandOverConfig { name: "large".into(), address, authority: Some(authority.clone()) }];
        });
        Self { small: (small, giving), large: (large, running) }
    }

    /// Clients know the second pair by this name.
    fn router(&self, name: Option<&str>) -> PrivateRouter {
        let large = ClientConfig { name: name.map(str::to_owned), ..self.large.1.client.clone() };
        PrivateRouter::connect_all(&[self.small.1.client.clone(), large]).unwrap().with_patience(Retry::NEVER)
    }

    fn stop(self) {
        [self.small, self.large].into_iter().for_each(|(_files, running)| running.stop());
    }
}

fn open() -> ClassifyOptions {
    ClassifyOptions::default().with_policy(Policy::Open)
}

fn answers(router: &PrivateRouter, options: &ClassifyOptions) -> Vec<Result<ClassifyReport, PlacementError>> {
    let answers = router.classify_batch(&TEXTS.map(Text::from), options).unwrap();
    assert_eq!(answers.len(), TEXTS.len(), "one answer for each text");
    answers
}

/// Each text's label and depth.
type Labels = Vec<(String, Option<usize>)>;

/// The labels, the pair that answered texts that went on, and the openings of their sessions.
fn labels(router: &PrivateRouter, options: &ClassifyOptions) -> (Labels, Option<usize>, u32) {
    let reports: Vec<_> = answers(router, options).into_iter().map(Result::unwrap).collect();
    let deep = reports.iter().find(|report| report.depth == Some(2)).unwrap();
    let (pair, openings) = (deep.pair.as_ref().map(|pair| pair.index), deep.openings);
    (reports.into_iter().map(|report| (report.label, report.depth)).collect(), pair, openings)
}

fn expected(bundle: &Bundle) -> Labels {
    let (expected, ..) = labels(&PrivateRouter::local(bundle).unwrap(), &open().with_placement(Placement::Local));
    let depths: Vec<_> = expected.iter().map(|(_, depth)| *depth).collect();
    assert!(depths.contains(&Some(1)) && depths.contains(&Some(2)), "{depths:?}");
    expected
}

#[test]
fn labels_are_those_of_texts_that_stay() {
    let bundle = pool_bundle();
    let pairs = Pairs::start(&bundle, None);
    let expected = expected(&bundle);
    let (stayed, pair, openings) = labels(&pairs.router(Some("large")), &open());
    assert_eq!((&stayed, pair), (&expected, Some(0)));
    // The same sessions, of which the second is the other pair's; a session that was lost would not be counted.
    assert_eq!(labels(&pairs.router(Some("large")), &open().with_hand_over()), (expected.clone(), Some(1), openings));
    // Nobody to hand over to.
    assert_eq!(labels(&pairs.router(None), &open().with_hand_over()), (expected, Some(0), openings));
    let unknown =
        answers(&pairs.router(Some("huge")), &open().with_hand_over()).into_iter().find_map(Result::err).unwrap();
    assert!(unknown.to_string().contains("[[hand_over]]"), "{unknown}");
    let router = pairs.router(Some("large"));
    let hidden = ClassifyOptions::default().with_hand_over();
    assert!(router.classify_batch(&[], &hidden).unwrap_err().to_string().contains("leave out --hand-over"));
    drop(router);
    pairs.stop();
}

/// Where a server calls to hand over: a listener that does this at the first call, and answers nobody.
fn instead(then: impl FnOnce() + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let called = listener.accept();
        then();
        drop(called);
    });
    address
}

#[test]
fn a_pair_that_ends_between_the_first_exit_and_the_hand_over_costs_a_session_and_no_answer() {
    let bundle = pool_bundle();
    let expected = expected(&bundle);
    for ends in [0, 1] {
        let (say, said) = std::sync::mpsc::channel::<Shutdown>();
        let address = instead(move || said.recv().unwrap().trigger("the test ends this pair"));
        let pairs = Pairs::start(&bundle, Some(address));
        say.send([&pairs.small, &pairs.large][ends].1.shutdown()).unwrap();
        let router = pairs.router(Some("large"));
        let (labels, pair, _) = labels(&router, &open().with_hand_over());
        assert_eq!((labels, pair), (expected.clone(), Some(1 - ends)), "pair {ends} ended");
        drop(router);
        pairs.stop();
    }
}
