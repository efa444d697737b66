//! What may come first on a link of a server: from a client between its sessions, and from server 1 at server 0.

use super::failure::tell;
use super::server::ServerService;
use super::{Catalogue, SessionError};
use crate::choices::ChoicesError;
use crate::frame::FrameKind;
use crate::link::{Link, LinkError};
use crate::messages::{
    ChoiceReport, ClientHello, Clock, HandOverRequest, PassRequest, SessionOpen, ShownPasses, StoreCall,
};

/// What a client asks for between its sessions.
pub(super) enum Asks {
    Session(ClientHello),
    HandOver(HandOverRequest),
    Passes(PassRequest),
    /// It shows passes for its next session.
    Shows(ShownPasses),
    Report(ChoiceReport),
}

/// The next message of a client between its sessions, or nothing if it left.
pub(super) fn asks(link: &mut Link) -> Result<Option<Asks>, LinkError> {
    let kinds = [
        FrameKind::ClientHello,
        FrameKind::HandOverRequest,
        FrameKind::PassRequest,
        FrameKind::Passes,
        FrameKind::ChoiceReport,
    ];
    let Some((kind, payload)) = link.receive_any(&kinds)? else { return Ok(None) };
    Ok(Some(match kind {
        FrameKind::HandOverRequest => Asks::HandOver(link.decode(&payload)?),
        FrameKind::PassRequest => Asks::Passes(link.decode(&payload)?),
        FrameKind::Passes => Asks::Shows(link.decode(&payload)?),
        FrameKind::ChoiceReport => Asks::Report(link.decode(&payload)?),
        _ => Asks::Session(link.decode(&payload)?),
    }))
}

impl<C: Catalogue> ServerService<C> {
    /// At server 0: takes a lane of server 1, or answers what it asks.
    pub(super) fn called(&self, mut link: Link) -> Result<(), SessionError> {
        let kinds = [FrameKind::SessionOpen, FrameKind::Clock, FrameKind::StoreCall, FrameKind::ChoicesCall];
        // A caller that leaves without a word only asked whether this party answers.
        let Some((kind, payload)) = link.receive_any(&kinds)? else { return Ok(()) };
        match kind {
            FrameKind::Clock => {
                let _theirs: Clock = link.decode(&payload)?;
                Ok(link.send_message(&Clock::now())?)
            }
            FrameKind::StoreCall => match link.decode(&payload)? {
                StoreCall::Propose(proposal) => self.proposed(link, proposal),
                StoreCall::Compare(theirs) => self.compared(link, theirs),
                StoreCall::Fill(asked) => {
                    let filled = self.asked_to_fill(&mut link, &asked);
                    filled.or_else(|error| tell(&mut link, Some(asked.session), error))
                }
            },
            FrameKind::ChoicesCall => {
                let call = link.decode(&payload)?;
                let answered = match &self.choices {
                    Some(choices) => choices.answer(&mut link, call),
                    None => Err(ChoicesError::Off),
                };
                answered.or_else(|error| tell(&mut link, None, error.into()))
            }
            _ => {
                let open: SessionOpen = link.decode(&payload)?;
                self.lanes.offer(link, open)
            }
        }
    }
}
