//! Reports of chosen models: a client sends them, and a server takes them.

use super::{Catalogue, Client, ServerService, SessionError};
use crate::choices::{ChoicesError, Chosen, HeldReport, PeerCalls, send};
use crate::clients::Shown;
use crate::link::{Link, Timeouts};
use crate::messages::{ChoiceReport, ChoiceReportTaken, SessionId};
use blindroute_protocol::Party;
use std::time::SystemTime;

impl<C: Catalogue> ServerService<C> {
    /// Takes a client's report. Whether it is counted, the client is not told.
    pub(super) fn take_report(&self, client: &mut Link, sent: ChoiceReport) -> Result<(), SessionError> {
        client.check_session(sent.version)?;
        let choices = self.choices.as_deref().ok_or(ChoicesError::Off)?;
        let version = self.versions.find(sent.deployment)?;
        let (report, token) = (sent.report, sent.token.as_ref().map(|token| token.digest().0));
        let held = HeldReport::new(sent, version.catalogue.choices(), self.party.index())?;
        if let Some(clients) = &self.options.clients {
            let shown = Shown { certificate: client.peer_key(), token };
            clients.admit_report(shown, SystemTime::now())?.map_err(SessionError::Refused)?;
        }
        // A report is taken once, also after a restart. Names of reports and of sessions are drawn alike.
        self.ledger.claim(SessionId(report.0))?;
        match self.party {
            Party::Zero => choices.hold(held)?,
            Party::One => choices.check(self.peer_calls(), held),
        }
        Ok(client.send_message(&ChoiceReportTaken { report })?)
    }

    /// At server 1: closes with server 0 what can be closed. To be called every few seconds.
    pub fn reveal_choices(&self, now: SystemTime) {
        if let (Some(choices), Party::One) = (&self.choices, self.party) {
            choices.close_due(self.peer_calls(), now);
        }
    }

    fn peer_calls(&self) -> PeerCalls<'_> {
        let (address, timeouts) = (self.options.peer.as_deref(), &self.options.timeouts);
        PeerCalls { address, endpoint: &self.endpoint, timeouts }
    }
}

impl<C: Catalogue> Client<C> {
    /// Reports to both servers, over links of their own, that the model of this place was chosen. They learn no more than that this
    /// client reports, and whether the report is well formed, until they add it up with many others.
    ///
    /// # Errors
    /// If a server cannot be reached, counts no choices, or has taken as many reports of this client as it asked for routes.
    pub fn report_choice(&self, place: usize) -> Result<(), SessionError> {
        let (addresses, endpoint, timeouts) = self.called();
        // Server 1 answers when it has called server 0, within its own timeouts.
        let Timeouts { connect, handshake, stall, .. } = *timeouts;
        let timeouts = Timeouts { stall: connect + handshake + 2 * stall, ..*timeouts };
        let (deployment, models) = (self.catalogue().digest(), self.catalogue().choices().len());
        Ok(send(&Chosen { deployment, models, place }, addresses, endpoint, &timeouts)?)
    }
}
