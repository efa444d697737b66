//! The version of the messages on a link, and what becomes of one on which there is none.

use std::time::Duration;

use super::error::Fault;
use super::{Link, LinkError};
use crate::frame::FrameKind;
use crate::messages::{Failure, FailureKind, Message as _, Spoken};

/// The longest wait for the other side to say which versions it speaks.
const SAYING: Duration = Duration::from_secs(2);

impl Link {
    /// The version of the messages that both sides speak.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version.unwrap_or_default()
    }

    /// This link, if its sides have agreed on a version in the handshake. Otherwise each tells the other which ones it speaks.
    ///
    /// # Errors
    /// [`LinkError::OtherVersion`] if they have not.
    pub(super) fn speaking(mut self, spoken: Spoken) -> Result<Link, LinkError> {
        if self.version.is_some() {
            return Ok(self);
        }
        self.stream.set_stall(self.timeouts.stall.min(SAYING)).ok();
        self.send_message(&Failure::new(FailureKind::OtherVersion, &spoken.to_string())).ok();
        let found = match self.receive(FrameKind::Failure).map(|payload| Failure::decode(&payload)) {
            Ok(Ok(failure)) => failure.text().to_owned(),
            // The certificates may not fit either.
            Err(error) if error.fault() == Fault::Configuration => return Err(error),
            _ => "none that it names, so an older version,".to_owned(),
        };
        self.end();
        Err(LinkError::OtherVersion { peer: self.peer, found, expected: spoken.to_string() })
    }

    /// Whether the other side of this link can take part in a session of this version.
    ///
    /// # Errors
    /// [`LinkError::OtherVersion`] if it cannot.
    pub(crate) fn check_session(&self, version: u16) -> Result<(), LinkError> {
        if (self.oldest..=self.version()).contains(&version) {
            return Ok(());
        }
        let (found, expected) = (format!("version {}", self.version()), format!("version {version} for this session"));
        Err(LinkError::OtherVersion { peer: self.peer, found, expected })
    }
}
