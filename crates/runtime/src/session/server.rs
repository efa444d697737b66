//! A server's side of a session.

use super::admitted::admit;
use super::audit::{AuditCounts, Audits};
use super::connecting::Connected;
use super::continued::{Continuing, HeldValues, continued};
use super::failure::tell;
use super::hand_over::give;
use super::handed::HandedStore;
use super::incoming::{Asks, asks};
use super::lanes::Lanes;
use super::opening::OpenSession;
use super::options::ServerOptions;
use super::own_ledger::OwnLedger;
use super::passes::issue;
use super::preparation::{Preparation, Prepared, await_input, prepare};
use super::report::{Spent, report};
use super::source::{Source, Supply};
use super::stored::{StoreUse, kind_of};
use super::versions::{ServerVersion, Versions};
use super::{Catalogue, SessionError, SharesError};
use crate::choices::Choices;
use crate::frame::FrameKind;
use crate::identity::Endpoint;
use crate::ledger::Ledger;
use crate::link::{Link, LinkError};
use crate::messages::{ClientHello, Digest, HandOverRequest, ServerReady, ShownPasses};
use crate::role::Role;
use crate::service::{Connection, Rest, Resting};
use crate::store::Store;
use crate::tally::{Outcome, Tally};
use blindroute_protocol::{
    Cost, Inputs, Kept, MaterialQueue, Online, Party, Program, QueueReader, Ran, Seed, WeightShares, ZeroSeed,
};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// One of the two servers.
pub struct ServerService<C> {
    pub(super) versions: Versions<ServerVersion<C>>,
    pub(super) party: Party,
    pub(super) endpoint: Endpoint,
    pub(super) ledger: OwnLedger,
    pub(super) options: ServerOptions,
    pub(super) lanes: Lanes,
    /// What it counts of the choices that clients report; nothing without it.
    pub(super) choices: Option<Arc<Choices>>,
    /// What other pairs handed over.
    handed: HandedStore,
    pub(super) audits: Audits,
    pub(super) tally: Arc<Tally>,
    /// Material of sessions to come.
    pub(super) store: Option<StoreUse>,
}

impl<C> std::fmt::Debug for ServerService<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerService({:?})", self.party)
    }
}

/// How a session ended.
enum Ended {
    /// It ran, and left this.
    Ran(Kept),
    /// It was audited. What it would have continued is as it was.
    Audited(Option<HeldValues>),
}

impl<C: Catalogue> ServerService<C> {
    /// A server for the programs of one version of a bundle, whose share is read as [`ServerVersion::new`] says. It may
    /// [hold](Self::hold) others later.
    pub fn new(
        catalogue: Arc<C>,
        party: Party,
        shares: impl Fn() -> Result<WeightShares, SharesError> + Send + 'static,
        endpoint: Endpoint,
        ledger: Arc<dyn Ledger>,
        options: ServerOptions,
    ) -> Self {
        let lanes = Lanes::new(endpoint.clone(), options.peer.clone(), options.timeouts);
        let versions = Versions::new(ServerVersion::new(catalogue, shares));
        let handed = HandedStore::new(options.hand_over.budget, options.timeouts.ready);
        let (audits, ledger, tally) = (Audits::new(options.audit), OwnLedger::new(ledger), Arc::default());
        Self { versions, party, endpoint, ledger, options, lanes, choices: None, handed, audits, tally, store: None }
    }

    /// The same server, which counts into this tally.
    #[must_use]
    pub fn counting(self, tally: Arc<Tally>) -> Self {
        Self { tally, ..self }
    }

    /// The same server, which uses material from this store, and fills it as [`keep_filled`](Self::keep_filled) says.
    #[must_use]
    pub fn storing(self, store: Arc<Store>) -> Self {
        Self { store: Some(StoreUse::new(store)), ..self }
    }

    /// The same server, which counts the choices that clients report.
    #[must_use]
    pub fn with_choices(self, choices: Option<Arc<Choices>>) -> Self {
        Self { choices, ..self }
    }

    /// What the audits of the dealer have found so far.
    pub fn audits(&self) -> Arc<AuditCounts> {
        Arc::clone(&self.audits.counts)
    }

    /// The versions that it holds now.
    pub fn held(&self) -> Vec<Digest> {
        self.versions.digests()
    }

    /// Holds from now on the versions of these digests, and no others. One that is held already stays, with its weights as they are
    /// set up; the others are taken from `new`. Sessions under way keep the version that they began with.
    pub fn hold(&self, digests: &[Digest], new: Vec<ServerVersion<C>>) {
        self.versions.hold(digests, new);
        self.drop_versions(digests);
    }

    /// Answers a client, one session after another on the same link, or takes a lane of the other server.
    ///
    /// # Errors
    /// The error that ended the connection. The caller has been told.
    pub fn handle(&self, connection: Connection) -> Result<(), SessionError> {
        let Connection { mut link, resting, .. } = connection;
        match link.peer() {
            Role::Client => self.sessions(link, &resting),
            peer if Some(peer) == self.role() => match self.handed.receive(&mut link) {
                Ok(()) => {
                    link.close();
                    Ok(())
                }
                Err(error) => tell(&mut link, None, error),
            },
            _ => self.called(link),
        }
    }

    fn role(&self) -> Option<Role> {
        Role::server(self.party.index() as u8)
    }

    /// Answers a client.
    fn sessions(&self, mut link: Link, resting: &Resting) -> Result<(), SessionError> {
        let mut sessions = 0u64;
        // What the last session left, for the next one on this link. It goes with the link.
        let mut held = None;
        // What the client showed for the session that it begins next.
        let mut passes = None;
        loop {
            let hello = match resting.wait(Rest::Idle, || asks(&mut link)) {
                Ok(Ok(Some(Asks::Session(hello)))) => hello,
                Ok(Ok(Some(Asks::Report(report)))) => match self.take_report(&mut link, report) {
                    Ok(()) => {
                        sessions += 1;
                        continue;
                    }
                    Err(error) => return tell(&mut link, None, error),
                },
                Ok(Ok(Some(Asks::HandOver(asked)))) => {
                    let session = asked.session;
                    if let Err(error) = self.give(&mut link, asked, held.take()) {
                        return tell(&mut link, Some(session), error);
                    }
                    continue;
                }
                Ok(Ok(Some(Asks::Passes(asked)))) => {
                    if let Err(error) = issue(self.options.clients.as_deref(), &mut link, &asked) {
                        return tell(&mut link, None, error);
                    }
                    continue;
                }
                Ok(Ok(Some(Asks::Shows(shown)))) => {
                    passes = Some(shown);
                    continue;
                }
                Ok(Ok(None)) => return Ok(()),
                Err(_) => {
                    link.close();
                    return Ok(());
                }
                Ok(Err(LinkError::TimedOut { .. } | LinkError::Closed { .. })) if sessions > 0 => {
                    tracing::debug!("an idle client was disconnected, or left; it connects again for its next session");
                    link.close();
                    return Ok(());
                }
                Ok(Err(error)) => return tell(&mut link, None, error.into()),
            };
            let running = self.tally.session();
            let ended = self.session(&mut link, (&hello, passes.take()), resting, &mut held);
            self.tally.ended(ended.as_ref().map_or_else(SessionError::outcome, |()| Outcome::Answered));
            drop(running);
            match ended {
                Ok(()) => sessions += 1,
                // The client begins another session on the same link.
                Err(error @ SessionError::Audited) => link.send_message(&error.failure(Some(hello.session)))?,
                Err(SessionError::Unused) => {
                    tracing::debug!(session = %hello.session, "a client left without using its session; the material is dropped");
                    link.close();
                    return Ok(());
                }
                Err(error) => return tell(&mut link, Some(hello.session), error),
            }
        }
    }

    /// Hands over what the last session on a client's link left, and tells the client.
    fn give(&self, client: &mut Link, asked: HandOverRequest, held: Option<HeldValues>) -> Result<(), SessionError> {
        let role = self.role().ok_or(LinkError::Internal("a server has no position"))?;
        let ServerOptions { hand_over, timeouts, .. } = &self.options;
        let done = give(hand_over, role, timeouts, asked, held)?;
        Ok(client.send_message(&done)?)
    }

    fn session(
        &self,
        client: &mut Link,
        (hello, passes): (&ClientHello, Option<ShownPasses>),
        resting: &Resting,
        held: &mut Option<HeldValues>,
    ) -> Result<(), SessionError> {
        let started = Instant::now();
        client.check_session(hello.version)?;
        let version = self.versions.find(hello.deployment)?;
        let catalogue = &*version.catalogue;
        let request = catalogue.resolve(&hello.request).map_err(SessionError::Request)?;
        let program = catalogue.program(&request).map_err(SessionError::Request)?;
        let (digest, continued) = continued(catalogue, hello, (&request, &program), held.take(), &self.handed)?;
        // Before the session costs anything.
        admit(self.options.clients.as_deref(), catalogue, client, hello, passes)?;
        // Claimed before anything of the session is used: a crash after this point loses the session, but no secret.
        let claim = self.ledger.claim(hello.session)?;
        let (taken, lane) = self.take_stored(&claim, &kind_of(&version, hello.version, &request))?;
        let supply = match taken {
            Some(taken) => Supply::stored(taken, digest),
            None => self.ask_dealer(hello.session, (&version, hello.version), &request, digest)?,
        };
        let Connected { mut session, zeros, source, grant } =
            self.connect(&claim, (&version, hello.version), supply, lane)?;
        drop(grant);
        let ended = self.preparing(&mut session, source, &program, |session, reader, progress| {
            let prepared = Prepared { reader, progress, started, continued };
            self.serve((client, resting), (session, zeros), &program, prepared)
        })?;
        session.channel.finish()?;
        match ended {
            Ended::Ran(kept) => {
                let empty = kept.is_empty();
                let (session, version) = (hello.session, Some(hello.deployment));
                *held = (!empty).then(|| HeldValues { session, version, request, kept, handed: None });
                Ok(())
            }
            Ended::Audited(before) => {
                *held = before;
                Err(SessionError::Audited)
            }
        }
    }

    /// Prepares a session on a thread of its own while `work` goes on with what is prepared.
    pub(super) fn preparing<R>(
        &self,
        session: &mut OpenSession,
        source: Source,
        program: &C::Program,
        work: impl FnOnce(&mut OpenSession, &QueueReader, &Preparation) -> Result<R, SessionError>,
    ) -> Result<R, SessionError> {
        let (writer, reader) = MaterialQueue::bounded(self.options.budget);
        let (weights, seeds) = (Arc::clone(&session.weights), Arc::clone(&session.seeds));
        let progress = Arc::new(Preparation::new(session.audited));
        let ended = std::thread::scope(|scope| {
            let (weights, counted) = (&weights, Arc::clone(&progress));
            let prepare = move || prepare(program, weights, &seeds, source, counted, writer);
            std::thread::Builder::new()
                .name("prepare".into())
                .spawn_scoped(scope, prepare)
                .map_err(SessionError::Thread)?;
            let result = work(session, &reader, &progress);
            // The preparing thread ends when its queue has no reader, or when its connection to the dealer is closed.
            drop(reader);
            if let (Err(_), Some(dealer)) = (&result, &session.dealer) {
                dealer.shutdown(std::net::Shutdown::Both).ok();
            }
            result
        });
        // What was stored was counted when it came.
        if session.dealer.is_some() {
            self.tally.material(progress.received());
        }
        ended
    }

    /// Opens a prepared session to check the dealer.
    pub(super) fn audit(
        &self,
        session: &mut OpenSession,
        program: &C::Program,
        reader: &QueueReader,
        dealer: Link,
    ) -> Result<(), SessionError> {
        let audited = self.audits.open(session, program, reader, (dealer, self.options.timeouts.stall / 2));
        if let (Err(_), Some(StoreUse { store, .. })) = (&audited, &self.store) {
            self.drop_refused(store);
        }
        audited
    }

    /// The part of a session from ready to the report, or its audit.
    fn serve(
        &self,
        (client, resting): (&mut Link, &Resting),
        (session, zeros): (&mut OpenSession, ZeroSeed),
        program: &C::Program,
        prepared: Prepared<'_>,
    ) -> Result<Ended, SessionError> {
        let Prepared { reader, progress, started, continued } = prepared;
        reader.wait_ready()?;
        if let Some(dealer) = progress.link_for_audit() {
            self.audit(session, program, reader, dealer)?;
            return Ok(Ended::Audited(continued.map(Continuing::into_held)));
        }
        self.tally.prepared(started.elapsed());
        let offline_micros = started.elapsed().as_micros() as u64;
        // When everything is prepared, the dealer has finished this session and only the client is waited for.
        // Otherwise the dealer waits for room, at most for the stall timeout.
        let rests = progress.is_complete();
        let waits = if rests { self.options.timeouts.ready } else { self.options.timeouts.stall };
        let waits_micros = waits.as_micros() as u64;
        let (epoch, development) = (session.epoch, self.options.development);
        let ready = ServerReady { session: session.id, epoch, offline_micros, waits_micros, rests, development };
        client.send_message(&ready)?;
        {
            let _counted = self.tally.ready();
            await_input(client, resting, waits)?;
        }
        let inputs = match continued {
            // The client's message is empty, and says when to begin.
            Some(continued) => self.inputs(client, &[]).and_then(|_| continued.into_inputs(&program.inputs()))?,
            None => self.inputs(client, &program.inputs())?,
        };
        let (started, exchanged) = (Instant::now(), session.channel.exchanging());
        let Ran { output, kept, cost } =
            Online::run(program, &session.weights, inputs, reader, zeros, &mut session.channel)?;
        let spent = Spent { online: started.elapsed(), exchanging: session.channel.exchanging() - exchanged };
        self.tally.answered(spent.online);
        let cost = Cost { material_bytes: progress.received() as usize, ..cost };
        report(client, session.id, &output, &cost, &spent)?;
        Ok(Ended::Ran(kept))
    }

    fn inputs(&self, client: &mut Link, forms: &[blindroute_protocol::Form]) -> Result<Inputs, SessionError> {
        match self.party {
            Party::Zero => {
                let bytes = Zeroizing::new(client.receive_long(FrameKind::Input, 0, 16)?);
                let seed = bytes.first_chunk().ok_or(LinkError::Internal("a seed has a wrong length"))?;
                Ok(Inputs::from_seed(forms, &Seed::new(*seed)))
            }
            Party::One => {
                let bytes = Zeroizing::new(client.receive_long(FrameKind::Input, 0, Inputs::byte_len(forms))?);
                Ok(Inputs::from_bytes(forms, &bytes)?)
            }
        }
    }
}
