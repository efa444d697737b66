use super::*;
use crate::ledger::StandingError;
use crate::messages::DecodeError;
use crate::role::Role;
use blindroute_protocol::{ChannelError, Error};
use std::io;
use std::path::PathBuf;

const ADDRESS: &str = "dealer.internal.example:4102";
const PATH: &str = "/srv/blindroute/secret/share1.bin";

fn broken() -> io::Error {
    io::Error::other(format!("{ADDRESS} {PATH}"))
}

fn links() -> Vec<LinkError> {
    let (peer, role, after) = ("dealer", Role::Dealer, Duration::from_secs(1));
    let general = || rustls::Error::General(format!("{ADDRESS} {PATH}"));
    let source = DecodeError::BadText { field: "text" };
    vec![
        LinkError::Unreachable { peer: role, address: ADDRESS.into(), source: broken() },
        LinkError::Closed { peer, waiting_for: "x" },
        LinkError::TimedOut { peer, waiting_for: "x", after },
        LinkError::Io { peer, during: "x", source: broken() },
        LinkError::WrongKind { peer: role, expected: "x", found: 1 },
        LinkError::TooLong { peer: role, kind: "x", found: 2, limit: 1 },
        LinkError::WrongLength { peer: role, kind: "x", expected: 1, found: 2 },
        LinkError::OutOfOrder { peer: role, expected: 1, found: 2 },
        LinkError::Malformed { peer: role, kind: "x", source },
        LinkError::Tls { peer, source: general() },
        LinkError::Failed { peer: role, failure: Failure::new(FailureKind::Busy, "") },
        LinkError::Certificate { peer, source: general().into(), expected: PATH.into() },
        LinkError::NotVouched { role, expected: PATH.into() },
        LinkError::SameKey { peer: role },
        LinkError::WrongRole { expected: ADDRESS.into(), found: PATH.into() },
        LinkError::NoScene { peer },
        LinkError::Internal("x"),
    ]
}

fn all() -> Vec<SessionError> {
    let (session, path) = (SessionId([9; 16]), PathBuf::from(PATH));
    let text = || format!("{ADDRESS} {PATH}");
    let mut all: Vec<SessionError> = links().into_iter().map(Into::into).collect();
    let not_taken = |source| HandOverError::NotTaken { pair: "big".into(), source }.into();
    all.extend(links().into_iter().map(not_taken));
    all.extend([
        Error::Channel(ChannelError::Transport(text())).into(),
        Error::Channel(ChannelError::Peer(text())).into(),
        Error::Material(broken()).into(),
        Error::Sink(broken()).into(),
        Error::Program(text()).into(),
        Error::Input { expected: 1, found: 2 }.into(),
        Error::Weight { name: "(all)".into(), problem: text() }.into(),
        LedgerError::AlreadyUsed(session).into(),
        LedgerError::Locked(PATH.into()).into(),
        LedgerError::Damaged { path: path.clone(), reason: "x" }.into(),
        LedgerError::Stopped.into(),
        LedgerError::Fenced { ledger: PATH.into(), ours: 1 }.into(),
        LedgerError::Unsuitable { ledger: PATH.into(), problem: text() }.into(),
        LedgerError::Database { ledger: PATH.into(), during: "claim", source: Box::new(broken()) }.into(),
        LedgerError::Silent { ledger: ADDRESS.into(), after: Duration::from_secs(1) }.into(),
        SessionError::LedgerRefused(StandingError::OlderTerm { known: 2, found: 1 }),
        LedgerError::Io { path, source: broken() }.into(),
        RendezvousError::TimedOut { key: "x".into(), after: Duration::from_secs(1) }.into(),
        RendezvousError::Duplicate { key: "x".into() }.into(),
        RendezvousError::Full { limit: 1 }.into(),
        SessionError::NotHeld { asked: Digest([1; 32]), held: vec![Digest([2; 32]), Digest([3; 32])] },
        SessionError::SameShare(1),
        SessionError::Disagreement("identity"),
        SessionError::ProgramMismatch,
        SessionError::Request("no such router".into()),
        SessionError::Grant { expected: 1, found: 2 },
        SessionError::Thread(broken()),
        SessionError::Expired { after: Duration::from_secs(1) },
        SessionError::Unused,
        SessionError::NothingHeld,
        HandOverError::UnknownPair("big".into()).into(),
        HandOverError::NothingUnderTicket.into(),
        SessionError::Stopping,
        SessionError::CannotRest,
        SessionError::PlaceLost,
        SessionError::Cancelled,
        SessionError::Audited,
        SessionError::WrongMaterial { epoch: EpochId([1; 16]) },
        SessionError::Unrevealed,
        SessionError::AuditsDiffer { ours: 1, theirs: 2 },
        SessionError::Silent { party: "server1", after: Duration::from_secs(1) },
    ]);
    all
}

#[test]
fn case_50_what_others_are_told_names_the_session_and_neither_address_nor_path() {
    let session = SessionId([9; 16]);
    for error in all() {
        let told = error.failure(Some(session));
        for word in ["internal.example", "4102", "/srv", "share1.bin"] {
            assert!(!told.to_string().contains(word), "{word}: {told}");
        }
        assert!(told.text().ends_with(&format!("; session {session}")), "{told}");
        assert!(!error.failure(None).text().contains("; session "));
    }
}

#[test]
fn a_full_party_is_recognised_also_through_another_party() {
    let full = || Failure::new(FailureKind::Busy, "");
    let dealer = SessionError::from(LinkError::Failed { peer: Role::Dealer, failure: full() });
    let told = dealer.failure(None);
    assert_eq!(told.kind, FailureKind::Busy);
    let client = SessionError::from(LinkError::Failed { peer: Role::Server0, failure: told });
    assert!(client.is_busy() && !client.is_dead_session());
    assert!(!SessionError::Stopping.is_busy());
}
