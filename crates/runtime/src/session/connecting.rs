//! Connecting a server's session: with the dealer, unless its material was stored, and with the other server.

use super::audit::SessionSeeds;
use super::failure::tell;
use super::opening::{self, OpenSession, Opened};
use super::server::ServerService;
use super::source::{Source, Supply};
use super::versions::ServerVersion;
use super::{Catalogue, SessionError};
use crate::channel::PeerChannel;
use crate::ledger::Claim;
use crate::link::Link;
use crate::material::MaterialReader;
use crate::messages::{Digest, EpochId, Lane, MaterialGrant, MaterialRequest, SessionId, SessionOpen};
use crate::role::Role;
use blindroute_protocol::{Party, Seed, ServerWeights, ZeroSeed};
use std::sync::Arc;
use std::time::Instant;

/// A session that is connected, with the seed that the two servers agree on, its material, and what was granted for it.
pub(super) struct Connected {
    pub(super) session: OpenSession,
    pub(super) zeros: ZeroSeed,
    pub(super) source: Source,
    pub(super) grant: MaterialGrant,
}

impl<C: Catalogue> ServerService<C> {
    /// Asks the dealer for the material of a session of a resolved request. `digest` is what both servers must have alike.
    pub(super) fn ask_dealer(
        &self,
        session: SessionId,
        (version, messages): (&ServerVersion<C>, u16),
        request: &[u8],
        digest: Digest,
    ) -> Result<Supply, SessionError> {
        let mut dealer = Link::connect(&self.options.dealer, &self.endpoint, Role::Dealer, &self.options.timeouts)?;
        dealer.check_session(messages)?;
        dealer.send_message(&MaterialRequest {
            version: messages,
            session,
            party: self.party.index() as u8,
            deployment: version.catalogue.digest(),
            request: request.to_vec(),
        })?;
        let grant: MaterialGrant = dealer.receive_message()?;
        if grant.session != session {
            return Err(SessionError::Disagreement("identity"));
        }
        self.audits.admit(grant.epoch)?;
        let source = Source::Dealer(Box::new(MaterialReader::new(dealer)));
        Ok(Supply { grant, source, request: digest, audit: self.audits.share })
    }

    /// Connects a session with the other server, and sets up the weights if needed. `lane` is the first lane, if the servers have
    /// spoken on it before.
    // Not in the caller's frame, whose unused bytes others copy to the heap.
    #[inline(never)]
    pub(super) fn connect(
        &self,
        claim: &Claim,
        (version, messages): (&ServerVersion<C>, u16),
        supply: Supply,
        lane: Option<Link>,
    ) -> Result<Connected, SessionError> {
        let (id, deployment) = (claim.session(), version.catalogue.digest());
        let Supply { grant, source, request, audit } = supply;
        let (mask, seeds) = SessionSeeds::granted(self.party, &grant.seeds)?;
        let open = |lane| SessionOpen {
            version: messages,
            session: id,
            party: self.party.index() as u8,
            lane,
            deployment,
            epoch: grant.epoch,
            request,
            audit: self.audits.share.millionths(),
            standing: claim.standing(),
        };
        let mut channel = match self.party {
            Party::Zero => {
                let incoming = self.lanes.take(&open(Lane::ToServer0), lane, |standing| self.ledger.see(standing))?;
                PeerChannel::new(self.lanes.take(&open(Lane::ToServer1), None, |_| Ok(()))?, incoming)?
            }
            Party::One => {
                let (mut outgoing, standing) = self.lanes.open(&open(Lane::ToServer0), lane)?;
                let (incoming, _) = self.lanes.open(&open(Lane::ToServer1), None)?;
                // Once server 0 has both lanes, it hears of it.
                self.ledger.see(&standing).or_else(|error| tell(&mut outgoing, Some(id), error))?;
                PeerChannel::new(outgoing, incoming)?
            }
        };
        let held = version.set_up_in(grant.epoch);
        let opened = opening::exchange(&mut channel, held.is_some(), audit)?;
        let Opened { held: other_holds, zeros, audited } = opened;
        let weights = match held {
            Some(held) if other_holds => held,
            _ => self.set_up(version, grant.epoch, &mask, &mut channel)?,
        };
        let (dealer, seeds, epoch) = (source.socket()?, Arc::new(seeds), grant.epoch);
        let session = OpenSession { id, channel, dealer, seeds, mask, weights, epoch, audited };
        Ok(Connected { session, zeros, source, grant })
    }

    /// Sets up the weights of a version with the other server, in an epoch of the dealer. It may be an earlier one, of which there is
    /// stored material: in each set-up of an epoch the servers send the same.
    fn set_up(
        &self,
        version: &ServerVersion<C>,
        epoch: EpochId,
        mask: &Seed,
        channel: &mut PeerChannel,
    ) -> Result<Arc<ServerWeights>, SessionError> {
        let started = Instant::now();
        let weights = Arc::new(ServerWeights::set_up(&version.specs, version.shares()?, mask, channel)?);
        let (digest, ms) = (version.catalogue.digest(), started.elapsed().as_millis() as u64);
        tracing::info!(version = %digest, %epoch, ms, "weights set up with the other server, which holds this version too");
        self.tally.set_up();
        version.keep(epoch, &weights);
        Ok(weights)
    }
}
