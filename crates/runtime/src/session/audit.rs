//! Audits of the dealer: which sessions they take, a server's part in one, and what follows from it.
//!
//! Dealing is deterministic from seeds. Of the sessions whose material is all prepared, a random share is opened before a client
//! uses it: the dealer reveals both servers' seeds, each server deals again and compares
//! ([`Audit`](blindroute_protocol::Audit) says what, and why this shows nothing of weights), and the session is spent. Both
//! servers derive from the seed that they draw at a session's beginning whether it is audited. The dealer does not know this seed,
//! so it has to deal all sessions alike.

use super::SessionError;
use super::opening::OpenSession;
use crate::link::Link;
use crate::messages::{AuditRequest, AuditSeeds, EpochId, WireSeed};
use blindroute_protocol::{Audit, Channel, Party, Program, QueueReader, Seed};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The whole, in the unit of [`AuditShare`].
const WHOLE: u32 = 1_000_000;

/// After so many audits of one epoch for which the dealer did not reveal its seeds, servers refuse its sessions: a dealer that
/// deals wrong material could stay silent whenever it is asked. Fewer may be faults of the network.
const UNREVEALED_MAX: u32 = 3;

/// Bytes of what the servers tell each other about an audit: what was found, and the digest to compare.
const ANSWER: usize = 33;

/// The share of sessions that are audited, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditShare(u32);

impl AuditShare {
    /// No session.
    pub const NONE: Self = Self(0);

    /// This share, between 0 and 1. Anything else becomes the nearer of the two, and what is not a number 0.
    #[must_use]
    pub fn new(share: f64) -> Self {
        // The cast saturates, and takes what is not a number for 0.
        Self((share.clamp(0.0, 1.0) * f64::from(WHOLE)).round() as u32)
    }

    /// In millionths.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Whether the session of this seed, which both servers have drawn together, is audited. What else is made from the seed says
    /// nothing about it.
    pub(super) fn takes(self, seed: &Seed) -> bool {
        let mut hash = Sha256::new();
        hash.update(b"blindroute choice of audited sessions\0");
        hash.update(seed.expose());
        let digest: [u8; 32] = hash.finalize().into();
        let number = u64::from_le_bytes(*digest.first_chunk().unwrap_or(&[0; 8]));
        (u128::from(number) * u128::from(WHOLE)) >> 64 < u128::from(self.0)
    }
}

/// What a server's audits have found since it started.
#[derive(Debug, Default)]
pub struct AuditCounts {
    right: AtomicU64,
    wrong: AtomicU64,
    unrevealed: AtomicU64,
    refused: AtomicU64,
}

impl AuditCounts {
    /// Audits that found the dealing right.
    #[must_use]
    pub fn right(&self) -> u64 {
        self.right.load(Ordering::Relaxed)
    }

    /// Audits that found wrong material.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    /// Audits for which the dealer did not reveal the seeds to both servers.
    #[must_use]
    pub fn unrevealed(&self) -> u64 {
        self.unrevealed.load(Ordering::Relaxed)
    }

    /// Sessions that were refused because of what an earlier audit had found.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// What is held against the dealer of an epoch.
struct Suspicion {
    epoch: EpochId,
    unrevealed: u32,
    refused: bool,
}

/// A server's audits: their share, what they found, and whether the dealer's sessions are refused.
pub(super) struct Audits {
    pub(super) share: AuditShare,
    pub(super) counts: Arc<AuditCounts>,
    suspicion: Mutex<Option<Suspicion>>,
}

/// What an audit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Finding {
    Unrevealed = 0,
    Wrong = 1,
    Right = 2,
}

impl Audits {
    pub(super) fn new(share: AuditShare) -> Self {
        Self { share, counts: Arc::default(), suspicion: Mutex::new(None) }
    }

    /// Refuses sessions of an epoch whose dealer was found to deal wrong material. A dealer that restarts begins another epoch.
    ///
    /// # Errors
    /// If it is such an epoch.
    pub(super) fn admit(&self, epoch: EpochId) -> Result<(), SessionError> {
        if self.refuses(epoch) {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(SessionError::WrongMaterial { epoch });
        }
        Ok(())
    }

    /// Whether sessions of an epoch are refused.
    pub(super) fn refuses(&self, epoch: EpochId) -> bool {
        let suspicion = self.suspicion.lock().unwrap_or_else(PoisonError::into_inner);
        suspicion.as_ref().is_some_and(|held| held.epoch == epoch && held.refused)
    }

    /// Opens the material of a session, all of which is prepared, together with the other server. The session is spent.
    ///
    /// # Errors
    /// [`SessionError::WrongMaterial`] if the dealing was wrong, [`SessionError::Unrevealed`] if the dealer did not reveal its
    /// seeds; or if this server or the other one fails.
    pub(super) fn open<P: Program>(
        &self,
        session: &mut OpenSession,
        program: &P,
        reader: &QueueReader,
        dealer: (Link, Duration),
    ) -> Result<(), SessionError> {
        let (started, id, epoch) = (Instant::now(), session.id, session.epoch);
        let (own, digest) = match revealed(dealer, session) {
            Ok(seeds) => again(session, program, reader, &seeds)?,
            Err(error) => {
                tracing::warn!(session = %id, %epoch, %error, "the dealer did not reveal the seeds of a session to audit");
                (Finding::Unrevealed, [0; 32])
            }
        };
        let found = compared(&mut session.channel, own, &digest)?;
        let ms = started.elapsed().as_millis() as u64;
        match found {
            Finding::Right => {
                self.counts.right.fetch_add(1, Ordering::Relaxed);
                tracing::info!(session = %id, %epoch, ms, "audited: the dealer dealt what it should");
                Ok(())
            }
            Finding::Wrong => {
                self.counts.wrong.fetch_add(1, Ordering::Relaxed);
                self.suspect(epoch, UNREVEALED_MAX);
                tracing::error!(
                    session = %id, %epoch,
                    "the dealer dealt wrong material: this server refuses its sessions until it restarts; ask its operator"
                );
                Err(SessionError::WrongMaterial { epoch })
            }
            Finding::Unrevealed => {
                self.counts.unrevealed.fetch_add(1, Ordering::Relaxed);
                if self.suspect(epoch, 1) {
                    tracing::error!(
                        session = %id, %epoch, audits = UNREVEALED_MAX,
                        "the dealer did not reveal the seeds for so many audits: this server refuses its sessions until it \
                         restarts; ask its operator"
                    );
                }
                Err(SessionError::Unrevealed)
            }
        }
    }

    /// Adds to what is held against the dealer of an epoch, and says whether its sessions are refused from now on.
    fn suspect(&self, epoch: EpochId, weight: u32) -> bool {
        let mut suspicion = self.suspicion.lock().unwrap_or_else(PoisonError::into_inner);
        let before = suspicion.take().filter(|held| held.epoch == epoch);
        let mut held = before.unwrap_or(Suspicion { epoch, unrevealed: 0, refused: false });
        held.unrevealed += weight;
        held.refused |= held.unrevealed >= UNREVEALED_MAX;
        let refused = held.refused;
        *suspicion = Some(held);
        refused
    }
}

/// Asks the dealer for both servers' seeds of the session's material.
fn revealed((mut dealer, limit): (Link, Duration), session: &OpenSession) -> Result<[WireSeed; 2], SessionError> {
    dealer.set_stall(limit)?;
    dealer.send_message(&AuditRequest { session: session.id })?;
    let answer: AuditSeeds = dealer.receive_message()?;
    dealer.close();
    if answer.session != session.id {
        return Err(SessionError::Disagreement("identity"));
    }
    Ok(answer.seeds)
}

/// Deals again. Returns what this server found by itself, and the digest of what must be the same at both servers: which session,
/// seeds and key of hashes this is about, since a dealer may tell them different ones, and the differences.
fn again<P: Program>(
    session: &OpenSession,
    program: &P,
    reader: &QueueReader,
    seeds: &[WireSeed; 2],
) -> Result<(Finding, [u8; 32]), SessionError> {
    let mut hash = Differences(Sha256::new());
    hash.0.update(b"blindroute audit of a session\0");
    hash.0.update(session.id.0);
    hash.0.update(session.seeds.hash_key.expose());
    let material = seeds.each_ref().map(super::generator_seed);
    material.iter().for_each(|seed| hash.0.update(seed.expose()));
    let own = material[session.weights.party().index()] == session.seeds.material;
    let from = blindroute_protocol::AuditSeeds {
        material: &material,
        mask: &session.mask,
        hash_key: session.seeds.hash_key.expose(),
    };
    let agrees = Audit::run(program, &session.weights, from, reader, &mut hash)?;
    let finding = if own && agrees { Finding::Right } else { Finding::Wrong };
    Ok((finding, hash.0.finalize().into()))
}

/// Tells the other server what this one found, and concludes from both. Both servers come to the same.
fn compared(channel: &mut impl Channel, own: Finding, digest: &[u8; 32]) -> Result<Finding, SessionError> {
    let outgoing = [[own as u8].as_slice(), digest].concat();
    let answer = channel.exchange(outgoing, ANSWER).map_err(blindroute_protocol::Error::from)?;
    let theirs = match answer.split_first() {
        Some((0, _)) => Finding::Unrevealed,
        Some((1, _)) => Finding::Wrong,
        Some((2, other)) if other == digest || own != Finding::Right => Finding::Right,
        Some((2, _)) => Finding::Wrong,
        _ => return Err(SessionError::Disagreement("audit")),
    };
    Ok(match (own, theirs) {
        (Finding::Wrong, _) | (_, Finding::Wrong) => Finding::Wrong,
        (Finding::Unrevealed, _) | (_, Finding::Unrevealed) => Finding::Unrevealed,
        (Finding::Right, Finding::Right) => Finding::Right,
    })
}

/// Hashes what is written to it.
struct Differences(Sha256);

impl std::io::Write for Differences {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A server's seeds of one session's material.
pub(super) struct SessionSeeds {
    pub(super) material: Seed,
    /// Of party zero's shares of products with weights; server 1 has none.
    pub(super) products: Option<Seed>,
    /// The key of the hashes, which is public.
    pub(super) hash_key: Seed,
}

impl SessionSeeds {
    /// The seed of the weights' mask, and those of the session's material, from a grant.
    ///
    /// # Errors
    /// If there are not as many as this party needs.
    pub(super) fn granted(party: Party, seeds: &[WireSeed]) -> Result<(Seed, Self), SessionError> {
        let expected = if party == Party::Zero { 4 } else { 3 };
        match seeds {
            [mask, material, hash_key, products @ ..] if seeds.len() == expected => {
                let [mask, material, hash_key] = [mask, material, hash_key].map(super::generator_seed);
                Ok((mask, Self { material, products: products.first().map(super::generator_seed), hash_key }))
            }
            _ => Err(SessionError::Grant { expected, found: seeds.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_protocol::ChannelError;

    #[test]
    fn a_share_of_the_sessions_is_taken_and_both_ends_are_exact() {
        let taken = |share: f64| {
            let share = AuditShare::new(share);
            (0..4000u32)
                .filter(|number| {
                    let mut seed = [0; 16];
                    seed[..4].copy_from_slice(&number.to_le_bytes());
                    share.takes(&Seed::new(seed))
                })
                .count()
        };
        assert_eq!([taken(0.0), taken(1.0), taken(f64::NAN), taken(-1.0), taken(2.0)], [0, 4000, 0, 0, 4000]);
        // Six deviations.
        for share in [0.02, 0.1, 0.5] {
            let (expected, found) = (4000.0 * share, taken(share) as f64);
            assert!((found - expected).abs() < 6.0 * (expected * (1.0 - share)).sqrt(), "{found} of {share}");
        }
        assert_eq!(AuditShare::new(0.02).millionths(), 20_000);
    }

    /// Always gives the same answer.
    struct Peer(Vec<u8>);

    impl Channel for Peer {
        fn exchange(&mut self, outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
            assert_eq!((outgoing.len(), incoming), (ANSWER, ANSWER));
            Ok(self.0.clone())
        }
    }

    #[test]
    fn whatever_one_server_finds_wrong_is_wrong_for_both() {
        let answer = |first: u8, digest: u8| [vec![first], vec![digest; 32]].concat();
        let found = |own, theirs: Vec<u8>| compared(&mut Peer(theirs), own, &[7; 32]).unwrap();
        use Finding::{Right, Unrevealed, Wrong};
        for (own, theirs, expected) in [
            (Right, answer(2, 7), Right),
            (Right, answer(2, 8), Wrong),
            (Right, answer(1, 7), Wrong),
            (Wrong, answer(2, 7), Wrong),
            (Wrong, answer(0, 0), Wrong),
            (Unrevealed, answer(1, 8), Wrong),
            (Right, answer(0, 0), Unrevealed),
            (Unrevealed, answer(2, 8), Unrevealed),
            (Unrevealed, answer(0, 0), Unrevealed),
        ] {
            assert_eq!(found(own, theirs.clone()), expected, "{own:?} and {theirs:?}");
        }
        for malformed in [vec![], answer(3, 7)] {
            assert!(compared(&mut Peer(malformed), Right, &[7; 32]).is_err());
        }
    }

    #[test]
    fn sessions_of_a_suspect_epoch_are_refused_and_those_of_the_next_are_not() {
        let audits = Audits::new(AuditShare::NONE);
        let [first, second] = [1, 2].map(|byte| EpochId([byte; 16]));
        assert!(!audits.suspect(first, 1) && !audits.suspect(first, 1));
        audits.admit(first).unwrap();
        assert!(audits.suspect(first, 1));
        assert!(matches!(audits.admit(first), Err(SessionError::WrongMaterial { .. })));
        assert_eq!(audits.counts.refused(), 1);
        audits.admit(second).unwrap();
        assert!(audits.suspect(second, UNREVEALED_MAX) && audits.admit(second).is_err());
    }
}
