//! Filling the stores of the two servers, while no client needs them.
//!
//! Server 1 leads. It draws a session, and asks server 0 to store its material too. Both claim the session in their ledgers and ask the
//! dealer, as for a client, draw together whether it is audited, and store what the dealer sends, or open it for the audit. At
//! the end each tells the other whether it has stored its part. Now and then, and when it starts, server 1 says what it has: what only
//! one of the servers has is dropped.

use super::connecting::Connected;
use super::server::ServerService;
use super::source::{Source, to_store};
use super::stored::{StoreUse, kind_of};
use super::versions::ServerVersion;
use super::{Catalogue, SessionError};
use crate::ledger::Claim;
use crate::link::Link;
use crate::messages::{Digest, FillRequest, SessionId, StoreAnswer, StoreCall};
use crate::shutdown::Shutdown;
use crate::store::{Filling, Hours, Kind, Store, Stored};
use blindroute_protocol::{Channel, Party};
use std::collections::HashSet;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroizing;

/// How often server 1 says what it has stored.
const COMPARED_EVERY: Duration = Duration::from_secs(60);
/// Between two looks at whether something is to be done.
const LOOK: Duration = Duration::from_millis(200);
/// The pause after something failed, at first and at most. It doubles.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// Bytes of material that are stored at once.
const PIECE: usize = 256 << 10;

/// Sessions of one request that are to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The request, as a client sends it.
    pub request: Vec<u8>,
    /// How many.
    pub count: usize,
}

/// What is to be stored of a version of the bundle.
pub type WantedOf<C> = Box<dyn Fn(&C) -> Vec<Wanted> + Send + Sync>;

/// What server 1 fills the stores with, and when.
pub struct FillPlan<C> {
    /// What is to be stored.
    pub wanted: WantedOf<C>,
    /// At all hours if there are none.
    pub hours: Option<Hours>,
}

impl<C> std::fmt::Debug for FillPlan<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FillPlan").field("hours", &self.hours).finish_non_exhaustive()
    }
}

/// What came of a session to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Filled {
    /// A server did not store its part.
    Failed = 0,
    /// Both servers have stored it.
    Stored = 1,
    /// A server has no room.
    Full = 2,
    /// It was audited, or is too large to rest.
    Spent = 3,
}

/// The next session to store.
struct Next<C> {
    version: Arc<ServerVersion<C>>,
    request: Vec<u8>,
    kind: Kind,
}

/// How far server 1 is.
#[derive(Default)]
struct Progress {
    /// When the servers last said what they have, and the version of the messages that they speak with each other.
    compared: Option<(Instant, u16)>,
    /// The pause after the next failure.
    pause: Option<Duration>,
    /// What the log has said last, so that it does not say it again and again.
    said: Option<String>,
}

impl Progress {
    /// How long to wait after a failure.
    fn failed(&mut self, what: String) -> Duration {
        if self.said.as_ref() == Some(&what) {
            tracing::debug!(what, "the store is still not filled");
        } else {
            tracing::warn!(what, "the store is not filled for now; sessions get their material from the dealer");
            self.said = Some(what);
        }
        let [first, longest] = PAUSES;
        let pause = self.pause.unwrap_or(first);
        self.pause = Some((2 * pause).min(longest));
        pause
    }

    fn succeeded(&mut self) {
        (self.pause, self.said) = (None, None);
    }
}

impl<C: Catalogue> ServerService<C> {
    /// At server 1: keeps the stores of both servers filled until `shutdown` is set. Server 0 only drops what it has no use for.
    pub fn keep_filled(&self, plan: &FillPlan<C>, shutdown: &Shutdown) {
        let Some(StoreUse { store, differs, .. }) = &self.store else { return };
        self.drop_versions(&self.versions.digests());
        if self.party == Party::Zero {
            return;
        }
        let (mut progress, mut pause) = (Progress::default(), Duration::ZERO);
        while !shutdown.wait(pause) {
            if differs.swap(false, Ordering::Relaxed) {
                progress.compared = None;
            }
            pause = match self.step(store, plan, &mut progress) {
                Ok(pause) => pause,
                Err(error) => {
                    // Whether server 0 has stored its part may be open.
                    progress.compared = None;
                    progress.failed(error.to_string())
                }
            };
        }
    }

    /// Drops what was stored for versions of the bundle that are not held any more.
    pub(super) fn drop_versions(&self, held: &[Digest]) {
        let Some(StoreUse { store, .. }) = &self.store else { return };
        let dropped = store.keep(|label| held.contains(&label.kind.deployment));
        if dropped > 0 {
            tracing::info!(dropped, "stored sessions of versions that are not held are dropped");
        }
    }

    /// Does one thing, if there is one to be done, and says how long to wait for the next.
    fn step(&self, store: &Arc<Store>, plan: &FillPlan<C>, progress: &mut Progress) -> Result<Duration, SessionError> {
        let fresh = |(then, _): &(Instant, u16)| then.elapsed() < COMPARED_EVERY;
        let messages = match progress.compared.filter(fresh) {
            Some((_, messages)) => messages,
            None => match self.compare(store)? {
                Some(messages) => {
                    progress.compared = Some((Instant::now(), messages));
                    messages
                }
                None => return Ok(progress.failed("server 0 has no store: expected one at both servers".to_owned())),
            },
        };
        let now = plan.hours.is_none_or(|hours| hours.contain(SystemTime::now()));
        if !now || self.tally.is_busy() {
            return Ok(LOOK);
        }
        let Some(next) = self.next_to_store(store, plan, messages)? else { return Ok(LOOK) };
        match self.fill_together(store, &next)? {
            Filled::Stored | Filled::Spent => {
                progress.succeeded();
                Ok(Duration::ZERO)
            }
            Filled::Full => Ok(progress.failed("a server's store or disk is full".to_owned())),
            Filled::Failed => Ok(progress.failed("server 0 did not store its part; its log says why".to_owned())),
        }
    }

    /// The next session to store: one for the newest version, of the first request of which there are too few.
    fn next_to_store(&self, store: &Store, plan: &FillPlan<C>, messages: u16) -> Result<Option<Next<C>>, SessionError> {
        let Some(version) = self.versions.all().pop() else { return Ok(None) };
        for wanted in (plan.wanted)(&version.catalogue) {
            let resolved = version.catalogue.resolve(&wanted.request).map_err(SessionError::Request)?;
            let kind = kind_of(&version, messages, &resolved);
            if store.count(&kind) < wanted.count {
                return Ok(Some(Next { version, request: wanted.request, kind }));
            }
        }
        Ok(None)
    }

    /// Tells server 0 what is stored here, and drops what it has not. Returns the version of the messages, or nothing if server 0 has no
    /// store.
    fn compare(&self, store: &Store) -> Result<Option<u16>, SessionError> {
        let mut link = self.lanes.connect()?;
        let messages = link.version();
        link.send_message(&StoreCall::Compare(store.sessions()))?;
        let answer = link.receive_message()?;
        link.close();
        let theirs: HashSet<SessionId> = match answer {
            StoreAnswer::Compared(theirs) => theirs.into_iter().collect(),
            StoreAnswer::NoStore => return Ok(None),
            _ => return Err(SessionError::Disagreement("stored material")),
        };
        let dropped = store.keep(|label| theirs.contains(&label.session));
        if dropped > 0 {
            tracing::info!(dropped, "stored sessions that the other server has not are dropped");
        }
        Ok(Some(messages))
    }

    /// At server 1: has both servers store a session.
    fn fill_together(&self, store: &Arc<Store>, next: &Next<C>) -> Result<Filled, SessionError> {
        let Next { version, request, kind } = next;
        let claim = self.ledger.claim(SessionId::generate()?)?;
        let filling = match store.begin(claim.session(), kind.deployment) {
            Err(error) if error.is_full() => return Ok(Filled::Full),
            filling => filling?,
        };
        let mut link = self.lanes.call(kind.version)?;
        link.send_message(&StoreCall::Fill(FillRequest {
            version: kind.version,
            session: claim.session(),
            deployment: kind.deployment,
            request: request.clone(),
        }))?;
        match link.receive_message()? {
            StoreAnswer::Yes => {}
            StoreAnswer::Full => return Ok(Filled::Full),
            StoreAnswer::NoStore => return Ok(Filled::Failed),
            _ => return Err(SessionError::Disagreement("stored material")),
        }
        let filled = self.fill(&claim, version, (kind, filling), request);
        link.close();
        filled
    }

    /// At server 0: stores a session together with server 1.
    pub(super) fn asked_to_fill(&self, link: &mut Link, asked: &FillRequest) -> Result<(), SessionError> {
        let Some(StoreUse { store, proposals, .. }) = &self.store else {
            return Ok(link.send_message(&StoreAnswer::NoStore)?);
        };
        proposals.heard();
        link.check_session(asked.version)?;
        let version = self.versions.find(asked.deployment)?;
        let resolved = version.catalogue.resolve(&asked.request).map_err(SessionError::Request)?;
        let kind = kind_of(&version, asked.version, &resolved);
        let claim = self.ledger.claim(asked.session)?;
        let filling = match store.begin(asked.session, asked.deployment) {
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "the store takes no more sessions for now");
                return Ok(link.send_message(&StoreAnswer::Full)?);
            }
            filling => filling?,
        };
        link.send_message(&StoreAnswer::Yes)?;
        self.fill(&claim, &version, (&kind, filling), &asked.request).map(drop)
    }

    /// A server's part in storing a session.
    fn fill(
        &self,
        claim: &Claim,
        version: &ServerVersion<C>,
        (kind, filling): (&Kind, Filling),
        request: &[u8],
    ) -> Result<Filled, SessionError> {
        let (id, held) = (claim.session(), (version, kind.version));
        let resolved = version.catalogue.resolve(request).map_err(SessionError::Request)?;
        let program = version.catalogue.program(&resolved).map_err(SessionError::Request)?;
        let supply = self.ask_dealer(id, held, &resolved, to_store(kind.request, id))?;
        let Connected { mut session, source, grant, .. } = self.connect(claim, held, supply, None)?;
        if session.audited {
            drop(filling);
            self.preparing(&mut session, source, &program, |session, reader, progress| {
                reader.wait_ready()?;
                // More than a server holds prepared is not audited, as in a client's session.
                progress.link_for_audit().map_or(Ok(()), |dealer| self.audit(session, &program, reader, dealer))
            })?;
            return Ok(Filled::Spent);
        }
        let stored = self.copy(filling, source).and_then(|filling| {
            let stored = filling.finish(*kind, claim.standing(), grant);
            Ok(stored?)
        });
        self.confirm(&mut session.channel, stored, id).inspect(|_| drop(session.channel.finish()))
    }

    /// Tells the other server whether this one has stored its part of a session, and enters it if both have.
    fn confirm(
        &self,
        channel: &mut impl Channel,
        stored: Result<Stored, SessionError>,
        session: SessionId,
    ) -> Result<Filled, SessionError> {
        let own = match &stored {
            Ok(_) => Filled::Stored,
            Err(SessionError::Store(error)) if error.is_full() => Filled::Full,
            Err(_) => Filled::Failed,
        };
        // Server 1 may propose it as soon as it knows that server 0 has it, so server 0 enters it before it says so.
        let stored = match stored {
            Ok(stored) if self.party == Party::Zero => {
                stored.enter();
                None
            }
            Ok(stored) => Some(stored),
            Err(error) => {
                tracing::info!(%error, "a session was not stored");
                None
            }
        };
        let told = channel.exchange(vec![own as u8], 1).map_err(blindroute_protocol::Error::from);
        let theirs = match told.as_deref() {
            Ok([byte]) if *byte == Filled::Stored as u8 => Filled::Stored,
            Ok([byte]) if *byte == Filled::Full as u8 => Filled::Full,
            _ => Filled::Failed,
        };
        let all = if own == Filled::Stored { theirs } else { own };
        match (all, stored, &self.store) {
            (Filled::Stored, Some(stored), _) => stored.enter(),
            (Filled::Stored, ..) | (_, _, None) => {}
            (_, _, Some(own)) => drop(own.store.keep(|label| label.session != session)),
        }
        told?;
        Ok(all)
    }

    /// Stores a session's material as it comes. Sessions of clients go first, as long as the dealer can wait.
    fn copy(&self, mut filling: Filling, mut source: Source) -> Result<Filling, SessionError> {
        let mut buffer = Zeroizing::new(vec![0; PIECE]);
        let (mut received, mut waited) = (0, Duration::ZERO);
        let read = |error| SessionError::Protocol(blindroute_protocol::Error::Material(error));
        loop {
            while self.tally.is_busy() && waited < self.patience() {
                std::thread::sleep(LOOK / 10);
                waited += LOOK / 10;
            }
            let count = source.read(&mut buffer).map_err(read)?;
            if count == 0 {
                break;
            }
            received += count as u64;
            filling.write(&buffer[..count])?;
        }
        if let Some(dealer) = source.finish().map_err(read)? {
            dealer.close();
        }
        self.tally.material(received);
        Ok(filling)
    }
}
