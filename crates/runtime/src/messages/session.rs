//! The control messages of a session.

use super::codec::{DecodeError, Decoder, put_bytes};
use super::{Digest, EpochId, Message, SessionId, Standing, Ticket, WireSeed};
use crate::clients::ClientToken;
use crate::frame::{FrameKind, REQUEST_MAX};

/// The most seeds of one grant.
const SEEDS_MAX: usize = 64;
/// The most bytes of the places that a session continues with.
const PLACES_MAX: usize = 2 << 10;

/// A client asks a server for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The version that the session runs as, at all parties: the newest that both of the client's links have.
    pub version: u16,
    /// The session, drawn by the client; the same for both servers.
    pub session: SessionId,
    /// The digest of the deployment that the client expects.
    pub deployment: Digest,
    /// What to run (program, bucket, options). Opaque to this crate, at most 32 KiB, public to the servers.
    pub request: Vec<u8>,
    /// What it continues with; none if its inputs come from the client.
    pub continues: Option<Continues>,
    /// Who the client is, for servers with a register of clients; another one for each server.
    pub token: Option<ClientToken>,
}

/// What of an earlier session one continues with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continues {
    /// The elements of the batch that the servers hold, in rising order.
    pub places: Vec<u16>,
    /// For what another pair handed over. Without it, it is what the session before left on the same links.
    pub ticket: Option<Ticket>,
}

impl Message for ClientHello {
    const KIND: FrameKind = FrameKind::ClientHello;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.version.to_le_bytes().to_vec();
        out.extend_from_slice(&self.session.0);
        out.extend_from_slice(&self.deployment.0);
        put_bytes(&mut out, &self.request);
        match &self.continues {
            None => out.push(0),
            Some(Continues { places, ticket }) => {
                out.push(1 + u8::from(ticket.is_some()));
                ticket.iter().for_each(|ticket| out.extend_from_slice(ticket.expose()));
                put_places(&mut out, places);
            }
        }
        out.push(u8::from(self.token.is_some()));
        self.token.iter().for_each(|token| out.extend_from_slice(token.expose()));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u16("version")?;
        let session = SessionId(decoder.array("session")?);
        let deployment = Digest(decoder.array("deployment")?);
        let request = decoder.bytes("request", REQUEST_MAX)?.to_vec();
        let continues = match decoder.u8("continues")? {
            0 => None,
            kind @ (1 | 2) => {
                let ticket = (kind == 2).then(|| decoder.array("ticket").map(Ticket::new)).transpose()?;
                Some(Continues { places: take_places(&mut decoder)?, ticket })
            }
            other => return Err(DecodeError::BadValue { field: "continues", found: other.into() }),
        };
        let token = decoder.flag("token")?.then(|| decoder.array("token").map(ClientToken::new)).transpose()?;
        decoder.finish()?;
        Ok(ClientHello { version, session, deployment, request, continues, token })
    }
}

/// A server holds its material and waits for the client's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReady {
    /// The session.
    pub session: SessionId,
    /// The epoch of the weights' masks, the same at both servers.
    pub epoch: EpochId,
    /// Time from the hello until now: dealing, sending and preparing the material.
    pub offline_micros: u64,
    /// How long the server waits for the input, counted from this message.
    pub waits_micros: u64,
    /// Whether all of the material is prepared. Only then may the session rest before its input comes; otherwise the
    /// dealer also waits, until the online phase makes room.
    pub rests: bool,
    /// Whether the server's operator says that this deployment protects nothing, because roles share what they must not.
    pub development: bool,
}

impl Message for ServerReady {
    const KIND: FrameKind = FrameKind::ServerReady;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.session.0.to_vec();
        out.extend_from_slice(&self.epoch.0);
        out.extend_from_slice(&self.offline_micros.to_le_bytes());
        out.extend_from_slice(&self.waits_micros.to_le_bytes());
        out.push(u8::from(self.rests));
        out.push(u8::from(self.development));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let ready = ServerReady {
            session: SessionId(decoder.array("session")?),
            epoch: EpochId(decoder.array("epoch")?),
            offline_micros: decoder.u64("offline time")?,
            waits_micros: decoder.u64("time for the input")?,
            rests: decoder.flag("rests")?,
            development: decoder.flag("development")?,
        };
        decoder.finish()?;
        Ok(ready)
    }
}

/// What a session cost a server. All figures are of this session alone: figures of the whole process would tell a
/// client about other clients' sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// The session.
    pub session: SessionId,
    /// From the client's input to the answer.
    pub online_micros: u64,
    /// The part of it inside exchanges with the other server: sending, and waiting for its messages.
    pub exchange_micros: u64,
    /// Exchanges with the other server.
    pub openings: u32,
    /// Bytes of exchanges sent.
    pub bytes_sent: u64,
    /// Bytes of exchanges received.
    pub bytes_received: u64,
    /// Bytes of material received from the dealer.
    pub material_bytes: u64,
}

impl Message for SessionReport {
    const KIND: FrameKind = FrameKind::SessionReport;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.session.0.to_vec();
        out.extend_from_slice(&self.online_micros.to_le_bytes());
        out.extend_from_slice(&self.exchange_micros.to_le_bytes());
        out.extend_from_slice(&self.openings.to_le_bytes());
        out.extend_from_slice(&self.bytes_sent.to_le_bytes());
        out.extend_from_slice(&self.bytes_received.to_le_bytes());
        out.extend_from_slice(&self.material_bytes.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let report = SessionReport {
            session: SessionId(decoder.array("session")?),
            online_micros: decoder.u64("online time")?,
            exchange_micros: decoder.u64("exchange time")?,
            openings: decoder.u32("openings")?,
            bytes_sent: decoder.u64("bytes sent")?,
            bytes_received: decoder.u64("bytes received")?,
            material_bytes: decoder.u64("material bytes")?,
        };
        decoder.finish()?;
        Ok(report)
    }
}

/// The direction of one of the two connections between the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Server 1 writes, server 0 reads.
    ToServer0 = 0,
    /// Server 0 writes, server 1 reads.
    ToServer1 = 1,
}

/// Server 1 opens a lane with this message, and server 0 confirms it. Each side compares every field with its own view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOpen {
    /// The version that the session runs as.
    pub version: u16,
    /// The session.
    pub session: SessionId,
    /// The position of the sender's share file. Two servers that hold the same share are found out here.
    pub party: u8,
    /// Which of the two connections this is.
    pub lane: Lane,
    /// The digest of the deployment.
    pub deployment: Digest,
    /// The epoch of the weights' masks.
    pub epoch: EpochId,
    /// The digest of the client's request, as this server resolved it.
    pub request: Digest,
    /// The share of sessions that this server audits, in millionths.
    pub audit: u32,
    /// How this server's ledger stood as it claimed the session. The other one compares it with what it knows of that ledger.
    pub standing: Standing,
}

impl Message for SessionOpen {
    const KIND: FrameKind = FrameKind::SessionOpen;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.version.to_le_bytes().to_vec();
        out.extend_from_slice(&self.session.0);
        out.push(self.party);
        out.push(self.lane as u8);
        out.extend_from_slice(&self.deployment.0);
        out.extend_from_slice(&self.epoch.0);
        out.extend_from_slice(&self.request.0);
        out.extend_from_slice(&self.audit.to_le_bytes());
        out.extend_from_slice(&self.standing.to_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u16("version")?;
        let session = SessionId(decoder.array("session")?);
        let party = party(&mut decoder)?;
        let lane = match decoder.u8("lane")? {
            0 => Lane::ToServer0,
            1 => Lane::ToServer1,
            other => return Err(DecodeError::BadValue { field: "lane", found: other.into() }),
        };
        let open = SessionOpen {
            version,
            session,
            party,
            lane,
            deployment: Digest(decoder.array("deployment")?),
            epoch: EpochId(decoder.array("epoch")?),
            request: Digest(decoder.array("request")?),
            audit: decoder.u32("audit")?,
            standing: Standing::from_bytes(&decoder.array("standing")?),
        };
        decoder.finish()?;
        Ok(open)
    }
}

/// A server asks the dealer for the material of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaterialRequest {
    /// The version that the session runs as.
    pub version: u16,
    /// The session.
    pub session: SessionId,
    /// The position of the sender.
    pub party: u8,
    /// The digest of the deployment.
    pub deployment: Digest,
    /// The client's request, as this server resolved it.
    pub request: Vec<u8>,
}

impl Message for MaterialRequest {
    const KIND: FrameKind = FrameKind::MaterialRequest;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.version.to_le_bytes().to_vec();
        out.extend_from_slice(&self.session.0);
        out.push(self.party);
        out.extend_from_slice(&self.deployment.0);
        put_bytes(&mut out, &self.request);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u16("version")?;
        let session = SessionId(decoder.array("session")?);
        let party = party(&mut decoder)?;
        let deployment = Digest(decoder.array("deployment")?);
        let request = decoder.bytes("request", REQUEST_MAX)?.to_vec();
        decoder.finish()?;
        Ok(MaterialRequest { version, session, party, deployment, request })
    }
}

/// The dealer agrees; the stream of material follows this message.
#[derive(Debug)]
pub struct MaterialGrant {
    /// The session.
    pub session: SessionId,
    /// The epoch of the weights' masks.
    pub epoch: EpochId,
    /// Three seeds: that of the weights' mask and that of the session's material, which this server expands, and the
    /// key of the session's hashes, which is the same for both servers and not secret. Server 0 has a fourth: that of its
    /// shares of products with weights, which an audit does not reveal. The decoder accepts at most 64.
    pub seeds: Vec<WireSeed>,
}

impl Message for MaterialGrant {
    const KIND: FrameKind = FrameKind::MaterialGrant;

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(36 + 32 * self.seeds.len());
        out.extend_from_slice(&self.session.0);
        out.extend_from_slice(&self.epoch.0);
        out.extend_from_slice(&u32::try_from(self.seeds.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.seeds.iter().for_each(|seed| out.extend_from_slice(seed.expose()));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let session = SessionId(decoder.array("session")?);
        let epoch = EpochId(decoder.array("epoch")?);
        let count = decoder.u32("seeds")?;
        if count as usize > SEEDS_MAX {
            return Err(DecodeError::TooLong { field: "seeds", found: count.into(), limit: SEEDS_MAX as u64 });
        }
        let seeds = (0..count).map(|_| decoder.array("seed").map(WireSeed::new)).collect::<Result<_, _>>()?;
        decoder.finish()?;
        Ok(MaterialGrant { session, epoch, seeds })
    }
}

/// Appends places, after the length of their bytes.
pub(super) fn put_places(out: &mut Vec<u8>, places: &[u16]) {
    let bytes: Vec<u8> = places.iter().flat_map(|place| place.to_le_bytes()).collect();
    put_bytes(out, &bytes);
}

pub(super) fn take_places(decoder: &mut Decoder<'_>) -> Result<Vec<u16>, DecodeError> {
    let (places, rest) = decoder.bytes("places", PLACES_MAX)?.as_chunks();
    if !rest.is_empty() {
        return Err(DecodeError::BadValue { field: "places", found: rest.len() as u64 });
    }
    Ok(places.iter().map(|place| u16::from_le_bytes(*place)).collect())
}

fn party(decoder: &mut Decoder<'_>) -> Result<u8, DecodeError> {
    match decoder.u8("party")? {
        party @ (0 | 1) => Ok(party),
        other => Err(DecodeError::BadValue { field: "party", found: other.into() }),
    }
}
