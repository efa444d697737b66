//! The link between the two servers, as the protocol sees it.

/// A simultaneous exchange of messages with the other server.
pub trait Channel {
    /// Sends `outgoing` and receives exactly `incoming` bytes: one opening, one one-way delay.
    ///
    /// # Errors
    /// If the link fails, or the peer's message has another length or place in the sequence.
    fn exchange(&mut self, outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError>;
}

/// Why an exchange failed. The text never holds payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The link is down, late or refused.
    #[error("the other server could not be reached: {0}; start a new session once it is back")]
    Transport(String),
    /// The peer sent something the protocol does not allow.
    #[error("the other server broke the protocol: {0}; check that both run the same version and bundle")]
    Peer(String),
}

impl<C: Channel + ?Sized> Channel for Box<C> {
    fn exchange(&mut self, outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
        (**self).exchange(outgoing, incoming)
    }
}

impl<C: Channel + ?Sized> Channel for &mut C {
    fn exchange(&mut self, outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
        (**self).exchange(outgoing, incoming)
    }
}
