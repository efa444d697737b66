//! Handing what a session left over to another pair: the server that gives it, and what can go wrong at either.

use super::SessionError;
use super::continued::HeldValues;
use crate::identity::Endpoint;
use crate::link::{Link, LinkError, Timeouts};
use crate::messages::{DecodeError, FailureKind, HandOver, HandOverAnswer, HandOverRequest, Message};
use crate::role::Role;
use blindroute_protocol::Kept;
use std::time::Duration;

/// Bytes of shares that a server takes over from others and holds until clients continue with them: those of several hundred texts.
pub const HAND_OVER_BUDGET: usize = 256 << 20;

/// To whom a server hands over, and how much it takes over.
#[derive(Clone, Debug)]
pub struct HandOverOptions {
    /// The pairs that it may hand over to.
    pub to: Vec<HandOverTo>,
    /// Bytes that it holds of what it took over, usually [`HAND_OVER_BUDGET`].
    pub budget: usize,
}

impl Default for HandOverOptions {
    fn default() -> Self {
        Self { to: Vec::new(), budget: HAND_OVER_BUDGET }
    }
}

/// The server of the same position in another pair.
#[derive(Clone, Debug)]
pub struct HandOverTo {
    /// The name by which clients ask for the pair.
    pub name: String,
    /// Where that server listens, "host:port".
    pub address: String,
    /// This server's identity, for [calls](Endpoint::calling) to that server.
    pub endpoint: Endpoint,
}

/// Why something was not handed over, or cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The configuration names no such pair.
    #[error(
        "this server hands over to no pair of the name {0:?}; its operator can name one by [[hand_over]] in its configuration, or \
         run the texts on one pair"
    )]
    UnknownPair(String),
    /// The server of the other pair did not take it.
    #[error("it could not be handed over to pair {pair:?}: {source}")]
    NotTaken {
        /// The pair's name.
        pair: String,
        /// What happened on the link to it.
        source: LinkError,
    },
    /// There is nothing under a ticket.
    #[error(
        "this server holds nothing under this ticket: it was used before, has expired, or was never handed over; run the texts again \
         from their tokens"
    )]
    NothingUnderTicket,
    /// There is something under the ticket already.
    #[error("something was handed over under this ticket before; draw a new ticket")]
    TicketReused,
    /// It would never fit.
    #[error(
        "{found} bytes should be handed over, which is more than the {limit} that this server holds; hand over fewer texts"
    )]
    TooLarge {
        /// Bytes in memory.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// Others take the room.
    #[error(
        "what others handed over leaves no room for {found} bytes of {limit}; it goes within {after:?}, so try again, or run the texts \
         on one pair"
    )]
    NoRoom {
        /// Bytes in memory.
        found: usize,
        /// The most of all together.
        limit: usize,
        /// How long each is kept.
        after: Duration,
    },
}

impl HandOverError {
    /// What another party is told: nothing of this machine but the reason.
    pub(super) fn told(&self) -> (FailureKind, String) {
        let kind = match self {
            Self::UnknownPair(_) | Self::TooLarge { .. } => FailureKind::BadRequest,
            Self::NotTaken { pair, source } => {
                let told = format!("it could not be handed over to pair {pair:?}: {}", source.told());
                return (source.told_as(), told);
            }
            Self::NothingUnderTicket => FailureKind::Expired,
            Self::TicketReused => FailureKind::SessionReused,
            Self::NoRoom { .. } => FailureKind::Busy,
        };
        (kind, self.to_string())
    }
}

/// Hands over what a session left, as the client asked, and returns when the other server has stored it. Nothing of it stays here.
///
/// # Errors
/// If the session is another one, no such pair is known, or its server does not take it.
pub(super) fn give(
    options: &HandOverOptions,
    role: Role,
    timeouts: &Timeouts,
    asked: HandOverRequest,
    held: Option<HeldValues>,
) -> Result<HandOverAnswer, SessionError> {
    let HandOverRequest { session, to, ticket, places } = asked;
    let held = held.filter(|held| held.session == session).ok_or(SessionError::NothingHeld)?;
    let Some(to) = options.to.iter().find(|known| known.name == to) else {
        return Err(HandOverError::UnknownPair(to).into());
    };
    let kept = held.kept.select(&indices(&places)).map_err(|error| SessionError::Request(error.to_string()))?;
    let offer = HandOver { session, request: held.request, ticket, places, forms: kept.forms() };
    let not_taken = |source| HandOverError::NotTaken { pair: to.name.clone(), source };
    Ok(send(to, role, timeouts, &offer, &kept).map_err(not_taken)?)
}

/// Offers the values, and sends them once the other server has room.
fn send(
    to: &HandOverTo,
    role: Role,
    timeouts: &Timeouts,
    offer: &HandOver,
    kept: &Kept,
) -> Result<HandOverAnswer, LinkError> {
    let mut link = Link::connect(&to.address, &to.endpoint, role, timeouts)?;
    link.send_message(offer)?;
    answered(&mut link, HandOverAnswer { session: offer.session, stored: false })?;
    link.send_long(crate::frame::FrameKind::KeptShares, 0, &kept.to_bytes())?;
    let stored = answered(&mut link, HandOverAnswer { session: offer.session, stored: true })?;
    link.close();
    tracing::info!(session = %offer.session, pair = %to.name, texts = offer.places.len(), "handed over");
    Ok(stored)
}

/// Receives exactly this answer.
pub(super) fn answered(link: &mut Link, expected: HandOverAnswer) -> Result<HandOverAnswer, LinkError> {
    let answer: HandOverAnswer = link.receive_message()?;
    if answer != expected {
        let source = DecodeError::BadValue { field: "stored", found: answer.stored.into() };
        return Err(LinkError::Malformed { peer: link.peer(), kind: HandOverAnswer::KIND.name(), source });
    }
    Ok(answer)
}

/// Places as indices.
pub(super) fn indices(places: &[u16]) -> Vec<usize> {
    places.iter().map(|place| usize::from(*place)).collect()
}
