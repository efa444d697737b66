//! What a session continues with, at a server.

use super::hand_over::{HandOverError, indices};
use super::handed::HandedStore;
use super::{Catalogue, SessionError};
use crate::messages::{ClientHello, Digest, SessionId};
use blindroute_protocol::{Form, Inputs, Kept, Program};

/// What a session left with this server, for the next one on the same link or by a ticket.
pub(super) struct HeldValues {
    pub(super) session: SessionId,
    /// The version of the bundle that it ran; none of what another pair handed over, whose splits are others.
    pub(super) version: Option<Digest>,
    /// As the server that ran the session resolved it.
    pub(super) request: Vec<u8>,
    pub(super) kept: Kept,
    /// If another pair handed it over.
    pub(super) handed: Option<Handed>,
}

/// How values came here from another pair.
pub(super) struct Handed {
    /// The digest of the ticket.
    pub(super) ticket: Digest,
    /// Which elements of the session's batch they are.
    pub(super) places: Vec<u16>,
}

/// What a session continues with: it becomes the inputs when the session runs. If the session is audited instead, it stays.
pub(super) struct Continuing {
    held: HeldValues,
    places: Vec<u16>,
}

impl Continuing {
    /// The inputs of the session's program.
    ///
    /// # Errors
    /// If the values do not fit.
    pub(super) fn into_inputs(self, forms: &[Form]) -> Result<Inputs, SessionError> {
        Ok(self.held.kept.into_inputs(forms, &indices(&self.places))?)
    }

    /// For a session after one that did not run.
    pub(super) fn into_held(self) -> HeldValues {
        self.held
    }
}

/// What a session continues with, and the digest of the request with that, which both servers must have alike: a value that one
/// server takes from another session, place or hand-over than the other would mean nothing.
pub(super) fn continued<C: Catalogue>(
    catalogue: &C,
    hello: &ClientHello,
    (request, program): (&[u8], &C::Program),
    held: Option<HeldValues>,
    handed: &HandedStore,
) -> Result<(Digest, Option<Continuing>), SessionError> {
    let Some(continues) = &hello.continues else {
        if catalogue.continues(request) {
            return Err(SessionError::Request("it continues a session, and names no values of one".to_owned()));
        }
        return Ok((request_digest(request, None), None));
    };
    let held = match &continues.ticket {
        None => held.ok_or(SessionError::NothingHeld)?,
        Some(ticket) => {
            let ticket = ticket.digest();
            // The session before on this link took it, and was audited.
            let taken = held.filter(|held| held.handed.as_ref().is_some_and(|handed| handed.ticket == ticket));
            taken.or_else(|| handed.take(&ticket)).ok_or(HandOverError::NothingUnderTicket)?
        }
    };
    // Values of one version mean nothing to the programs of another one.
    if held.version.is_some_and(|version| version != hello.deployment) {
        return Err(SessionError::Request("it continues a session of another version of the bundle".to_owned()));
    }
    if !catalogue.follows(&held.request, request) {
        return Err(SessionError::Request("it does not continue the session before it".to_owned()));
    }
    let digest = request_digest(request, Some((&held, &continues.places)));
    let fits = held.kept.check(&program.inputs(), &indices(&continues.places));
    fits.map_err(|error| SessionError::Request(error.to_string()))?;
    Ok((digest, Some(Continuing { held, places: continues.places.clone() })))
}

/// The digest of a request, and of what it continues with: the session and the places in its batch, and the hand-over of it.
fn request_digest(request: &[u8], continues: Option<(&HeldValues, &[u16])>) -> Digest {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let bytes = |places: &[u16]| places.iter().flat_map(|place| place.to_le_bytes()).collect::<Vec<u8>>();
    add(request);
    if let Some((held, places)) = continues {
        add(&held.session.0);
        add(&bytes(places));
        if let Some(Handed { ticket, places }) = &held.handed {
            add(&ticket.0);
            add(&bytes(places));
            add(&held.request);
        }
    }
    Digest(hash.finalize().into())
}
