//! The messages by which a client gets passes from a server.

use super::Message;
use super::codec::{DecodeError, Decoder};
use crate::clients::ClientToken;
use crate::frame::{FrameKind, PASSES_MAX};
use blindroute_passes::{ISSUED_MAX, KeyId, POINT, PROOF, Pass};

/// A client asks a server for passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassRequest {
    /// Who it is; not with a request for the key alone, so that all clients ask for it alike.
    pub token: Option<ClientToken>,
    /// One blinded number for each pass; none to ask for the key of the server's passes.
    pub blinded: Vec<[u8; POINT]>,
}

/// The server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassAnswer {
    /// The public key.
    pub key: [u8; POINT],
    /// One answer to each blinded number.
    pub evaluated: Vec<[u8; POINT]>,
    /// That they are of this key; none if there are no answers.
    pub proof: Option<[u8; PROOF]>,
}

impl Message for PassRequest {
    const KIND: FrameKind = FrameKind::PassRequest;

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.token.is_some())];
        self.token.iter().for_each(|token| out.extend_from_slice(token.expose()));
        put_points(&mut out, &self.blinded);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let token = decoder.flag("token")?.then(|| decoder.array("token").map(ClientToken::new)).transpose()?;
        let blinded = take_points(&mut decoder, "requests for passes")?;
        decoder.finish()?;
        Ok(Self { token, blinded })
    }
}

impl Message for PassAnswer {
    const KIND: FrameKind = FrameKind::PassAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut out = self.key.to_vec();
        put_points(&mut out, &self.evaluated);
        out.push(u8::from(self.proof.is_some()));
        self.proof.iter().for_each(|proof| out.extend_from_slice(proof));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let key = decoder.array("key")?;
        let evaluated = take_points(&mut decoder, "answers to requests for passes")?;
        let proof = decoder.flag("proof")?.then(|| decoder.array("proof")).transpose()?;
        decoder.finish()?;
        Ok(Self { key, evaluated, proof })
    }
}

fn put_points(out: &mut Vec<u8>, points: &[[u8; POINT]]) {
    out.extend_from_slice(&u16::try_from(points.len()).unwrap_or(u16::MAX).to_le_bytes());
    points.iter().for_each(|point| out.extend_from_slice(point));
}

fn take_points(decoder: &mut Decoder<'_>, field: &'static str) -> Result<Vec<[u8; POINT]>, DecodeError> {
    let count = decoder.u16(field)?;
    if usize::from(count) > ISSUED_MAX {
        return Err(DecodeError::TooLong { field, found: count.into(), limit: ISSUED_MAX as u64 });
    }
    (0..count).map(|_| decoder.array(field)).collect()
}

/// The passes that a client shows in place of itself, for the session whose hello comes next on the same link.
#[derive(Debug)]
pub struct ShownPasses {
    /// The key that they are of.
    pub key: KeyId,
    /// As many as the session takes.
    pub passes: Vec<Pass>,
}

impl Message for ShownPasses {
    const KIND: FrameKind = FrameKind::Passes;

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(34 + self.passes.len() * Pass::BYTES);
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&u16::try_from(self.passes.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.passes.iter().for_each(|pass| out.extend_from_slice(&pass.to_bytes()[..]));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let key = KeyId(decoder.array("key of the passes")?);
        let count = decoder.u16("passes")?;
        if usize::from(count) > PASSES_MAX {
            return Err(DecodeError::TooLong { field: "passes", found: count.into(), limit: PASSES_MAX as u64 });
        }
        let pass = |_| decoder.take("passes", Pass::BYTES).map(|bytes| bytes.first_chunk().map(Pass::from_bytes));
        let passes: Vec<_> = (0..count).map(pass).collect::<Result<_, _>>()?;
        decoder.finish()?;
        Ok(Self { key, passes: passes.into_iter().flatten().collect() })
    }
}
