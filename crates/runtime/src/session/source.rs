//! Where a server reads the material of a session from, and what it was granted for it.

use super::audit::AuditShare;
use crate::link::{Link, LinkError};
use crate::material::MaterialReader;
use crate::messages::{Digest, MaterialGrant, SessionId};
use crate::store::{StoredReader, Taken};
use std::io::{self, Read};
use std::net::TcpStream;

/// The material of a session.
pub(super) enum Source {
    /// As the dealer sends it.
    Dealer(Box<MaterialReader>),
    /// As the dealer sent it before.
    Stored(StoredReader),
}

impl Source {
    /// Checks that all of it was read. Returns the link to the dealer, if it came from there.
    pub(super) fn finish(self) -> io::Result<Option<Link>> {
        match self {
            Self::Dealer(reader) => reader.finish().map(|(link, _)| Some(link)).map_err(io::Error::other),
            Self::Stored(reader) => reader.finish().map(|()| None),
        }
    }

    /// The dealer's connection, if there is one.
    pub(super) fn socket(&self) -> Result<Option<TcpStream>, LinkError> {
        match self {
            Self::Dealer(reader) => reader.socket().map(Some),
            Self::Stored(_) => Ok(None),
        }
    }
}

impl Read for Source {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Dealer(reader) => reader.read(bytes),
            Self::Stored(reader) => reader.read(bytes),
        }
    }
}

/// What a session is prepared from.
pub(super) struct Supply {
    pub(super) grant: MaterialGrant,
    pub(super) source: Source,
    /// What both servers must have alike: the request, and which material it is prepared from.
    pub(super) request: Digest,
    /// The share of such sessions that is audited.
    pub(super) audit: AuditShare,
}

impl Supply {
    /// Stored material for a request of this digest. It was audited when it was stored, or was not chosen then.
    pub(super) fn stored(taken: Taken, request: Digest) -> Self {
        let Taken { label, grant, material } = taken;
        let request = bound("blindroute session of stored material\0", request, label.session);
        Self { grant, source: Source::Stored(material), request, audit: AuditShare::NONE }
    }
}

/// The digest for a session whose material is to be stored, and that no client's session has.
pub(super) fn to_store(request: Digest, session: SessionId) -> Digest {
    bound("blindroute session to store\0", request, session)
}

fn bound(what: &str, request: Digest, session: SessionId) -> Digest {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    hash.update(what);
    hash.update(request.0);
    hash.update(session.0);
    Digest(hash.finalize().into())
}
