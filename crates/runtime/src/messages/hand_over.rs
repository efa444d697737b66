//! The messages by which a session goes on with another pair of servers.

use super::codec::{DecodeError, Decoder, put_bytes};
use super::identifiers::secret_bits;
use super::session::{put_places, take_places};
use super::{Message, NoRandomness, SessionId, WireSeed};
use crate::frame::{FrameKind, REQUEST_MAX};
use blindroute_protocol::{Form, Shape};

/// The longest name of a pair in bytes.
pub const PAIR_NAME_MAX: usize = 64;
/// The most values that a session leaves with the servers.
const FORMS_MAX: usize = 16;
/// The most words of all values together. A server accepts only as many as it has room for, which is less.
const WORDS_MAX: usize = 1 << 32;

secret_bits! {
    /// The right to use once what one pair handed over to another: 256 random bits that the client draws, and only it and the servers
    /// know. Wiped on drop, never printed.
    Ticket
}

impl Ticket {
    /// A fresh one from the operating system's randomness.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        WireSeed::generate().map(Self)
    }
}

/// A client asks a server to hand over what its last session on this link left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOverRequest {
    /// That session.
    pub session: SessionId,
    /// The name that the server's configuration gives the other pair.
    pub to: String,
    /// By which the client will go on there; the same for both servers.
    pub ticket: Ticket,
    /// The elements of the batch that go on, in rising order.
    pub places: Vec<u16>,
}

impl Message for HandOverRequest {
    const KIND: FrameKind = FrameKind::HandOverRequest;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.session.0.to_vec();
        put_bytes(&mut out, self.to.as_bytes());
        out.extend_from_slice(self.ticket.expose());
        put_places(&mut out, &self.places);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let session = SessionId(decoder.array("session")?);
        let to = decoder.bytes("name of the pair", PAIR_NAME_MAX)?;
        let to = std::str::from_utf8(to).map_err(|_| DecodeError::BadText { field: "name of the pair" })?.to_owned();
        let ticket = Ticket::new(decoder.array("ticket")?);
        let places = take_places(&mut decoder)?;
        decoder.finish()?;
        Ok(Self { session, to, ticket, places })
    }
}

/// A server offers the server of its position in another pair what a session left. The shares follow when that one has room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The session that left them.
    pub session: SessionId,
    /// What that session ran, as the sender resolved it.
    pub request: Vec<u8>,
    /// By which a client may go on with them.
    pub ticket: Ticket,
    /// Which elements of that session's batch they are, in rising order. The batch of each value has as many.
    pub places: Vec<u16>,
    /// The form of each value.
    pub forms: Vec<Form>,
}

impl Message for HandOver {
    const KIND: FrameKind = FrameKind::HandOver;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.session.0.to_vec();
        put_bytes(&mut out, &self.request);
        out.extend_from_slice(self.ticket.expose());
        put_places(&mut out, &self.places);
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        out.extend_from_slice(&number(self.forms.len()));
        for form in &self.forms {
            let Shape { batch, rows, columns } = form.shape;
            [batch, rows, columns].into_iter().for_each(|size| out.extend_from_slice(&number(size)));
            [form.bits, form.fraction].into_iter().for_each(|bits| out.extend_from_slice(&bits.to_le_bytes()));
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let session = SessionId(decoder.array("session")?);
        let request = decoder.bytes("request", REQUEST_MAX)?.to_vec();
        let ticket = Ticket::new(decoder.array("ticket")?);
        let places = take_places(&mut decoder)?;
        let count = decoder.u32("forms")?;
        if count as usize > FORMS_MAX {
            return Err(DecodeError::TooLong { field: "forms", found: count.into(), limit: FORMS_MAX as u64 });
        }
        let forms = (0..count).map(|_| form(&mut decoder, places.len())).collect::<Result<Vec<_>, _>>()?;
        decoder.finish()?;
        let words = forms.iter().map(|form| form.shape.len()).sum::<usize>();
        if words > WORDS_MAX {
            return Err(DecodeError::TooLong { field: "forms", found: words as u64, limit: WORDS_MAX as u64 });
        }
        Ok(Self { session, request, ticket, places, forms })
    }
}

/// A form with one matrix for each place, and a size that can be counted.
fn form(decoder: &mut Decoder<'_>, places: usize) -> Result<Form, DecodeError> {
    let mut number = |field| decoder.u32(field);
    let (batch, rows, columns) = (number("batch")?, number("rows")?, number("columns")?);
    let (bits, fraction) = (number("bits")?, number("fraction")?);
    let bad = |field, found: u32| Err(DecodeError::BadValue { field, found: found.into() });
    if batch as usize != places {
        return bad("batch", batch);
    }
    if !(1..=64).contains(&bits) {
        return bad("bits", bits);
    }
    if fraction > bits {
        return bad("fraction", fraction);
    }
    let words = u64::from(rows).checked_mul(u64::from(columns)).and_then(|each| each.checked_mul(batch.into()));
    match words {
        Some(words) if words <= WORDS_MAX as u64 => {
            Ok(Form::new(Shape::new(batch as usize, rows as usize, columns as usize), bits, fraction))
        }
        _ => Err(DecodeError::TooLong { field: "form", found: words.unwrap_or(u64::MAX), limit: WORDS_MAX as u64 }),
    }
}

/// How far a hand-over is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOverAnswer {
    /// The session whose shares they are.
    pub session: SessionId,
    /// Whether the shares are stored; else there is room, and they should be sent.
    pub stored: bool,
}

impl Message for HandOverAnswer {
    const KIND: FrameKind = FrameKind::HandOverAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.session.0.to_vec();
        out.push(u8::from(self.stored));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let session = SessionId(decoder.array("session")?);
        let stored = decoder.flag("stored")?;
        decoder.finish()?;
        Ok(Self { session, stored })
    }
}
