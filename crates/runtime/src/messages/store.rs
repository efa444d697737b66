//! What server 1 asks server 0 about stored material, and the answers.

use super::codec::{DecodeError, Decoder, put_bytes};
use super::{Digest, Message, SessionId};
use crate::frame::{FrameKind, REQUEST_MAX};

/// The most sessions in one list.
const LISTED_MAX: usize = 1 << 15;

/// Server 1 asks server 0 about stored material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreCall {
    /// Whether to use stored material for a session; on the lane that server 1 opens for it, before [`SessionOpen`](super::SessionOpen).
    Propose(Proposal),
    /// To store material of a session together.
    Fill(FillRequest),
    /// Which sessions server 1 has stored. Server 0 drops all others.
    Compare(Vec<SessionId>),
}

/// Whether to use stored material for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The session that the client asked for.
    pub session: SessionId,
    /// The session under which the material was dealt; none if server 1 has nothing to propose.
    pub stored: Option<SessionId>,
}

/// To store material of a session together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillRequest {
    /// The version that the session runs as.
    pub version: u16,
    /// The session, drawn by server 1.
    pub session: SessionId,
    /// The digest of the deployment.
    pub deployment: Digest,
    /// The request, as a client sends it.
    pub request: Vec<u8>,
}

impl Message for StoreCall {
    const KIND: FrameKind = FrameKind::StoreCall;

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Propose(Proposal { session, stored }) => {
                let mut out = vec![0];
                out.extend_from_slice(&session.0);
                out.push(u8::from(stored.is_some()));
                stored.iter().for_each(|stored| out.extend_from_slice(&stored.0));
                out
            }
            Self::Fill(FillRequest { version, session, deployment, request }) => {
                let mut out = vec![1];
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&session.0);
                out.extend_from_slice(&deployment.0);
                put_bytes(&mut out, request);
                out
            }
            Self::Compare(stored) => listed(2, stored),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let call = match decoder.u8("call")? {
            0 => {
                let session = SessionId(decoder.array("session")?);
                let stored = decoder.flag("stored")?.then(|| decoder.array("stored").map(SessionId)).transpose()?;
                Self::Propose(Proposal { session, stored })
            }
            1 => Self::Fill(FillRequest {
                version: decoder.u16("version")?,
                session: SessionId(decoder.array("session")?),
                deployment: Digest(decoder.array("deployment")?),
                request: decoder.bytes("request", REQUEST_MAX)?.to_vec(),
            }),
            2 => Self::Compare(take_list(&mut decoder)?),
            other => return Err(DecodeError::BadValue { field: "call", found: other.into() }),
        };
        decoder.finish()?;
        Ok(call)
    }
}

/// What server 0 says to a [`StoreCall`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAnswer {
    /// Yes: the proposed material is used, and server 0 has claimed that; or it stores its part.
    Yes,
    /// Not for this session: both servers ask the dealer.
    No,
    /// Server 0 does not have what was proposed, or it was used before. Server 1 may propose another one.
    Lacks,
    /// It has no store.
    NoStore,
    /// Its store or its disk is full.
    Full,
    /// Which sessions it has stored.
    Compared(Vec<SessionId>),
}

impl Message for StoreAnswer {
    const KIND: FrameKind = FrameKind::StoreAnswer;

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Yes => vec![0],
            Self::No => vec![1],
            Self::Lacks => vec![2],
            Self::NoStore => vec![3],
            Self::Full => vec![4],
            Self::Compared(stored) => listed(5, stored),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let answer = match decoder.u8("answer")? {
            0 => Self::Yes,
            1 => Self::No,
            2 => Self::Lacks,
            3 => Self::NoStore,
            4 => Self::Full,
            5 => Self::Compared(take_list(&mut decoder)?),
            other => return Err(DecodeError::BadValue { field: "answer", found: other.into() }),
        };
        decoder.finish()?;
        Ok(answer)
    }
}

fn listed(kind: u8, sessions: &[SessionId]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + 16 * sessions.len());
    out.push(kind);
    let bytes: Vec<u8> = sessions.iter().flat_map(|session| session.0).collect();
    put_bytes(&mut out, &bytes);
    out
}

fn take_list(decoder: &mut Decoder<'_>) -> Result<Vec<SessionId>, DecodeError> {
    let (sessions, rest) = decoder.bytes("sessions", 16 * LISTED_MAX)?.as_chunks();
    if !rest.is_empty() {
        return Err(DecodeError::BadValue { field: "sessions", found: rest.len() as u64 });
    }
    Ok(sessions.iter().map(|session| SessionId(*session)).collect())
}
