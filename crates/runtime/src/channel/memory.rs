//! A channel between two threads of one process, for tests.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Channel, ChannelError};

/// One end of an in-memory pair. Waits are bounded.
#[derive(Debug)]
pub struct MemoryChannel {
    outgoing: Sender<Vec<u8>>,
    incoming: Receiver<Vec<u8>>,
    stall: Duration,
}

impl MemoryChannel {
    /// Two connected ends that wait up to `stall` for each other.
    #[must_use]
    pub fn pair(stall: Duration) -> (MemoryChannel, MemoryChannel) {
        let (to_one, from_zero) = channel();
        let (to_zero, from_one) = channel();
        (
            MemoryChannel { outgoing: to_one, incoming: from_one, stall },
            MemoryChannel { outgoing: to_zero, incoming: from_zero, stall },
        )
    }
}

impl Channel for MemoryChannel {
    fn exchange(&mut self, outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
        let gone = || ChannelError::Transport("the other end is gone; start a new session".into());
        self.outgoing.send(outgoing).map_err(|_| gone())?;
        match self.incoming.recv_timeout(self.stall) {
            Ok(message) if message.len() == incoming => Ok(message),
            Ok(message) => Err(ChannelError::Peer(format!(
                "the peer sent {} bytes where {incoming} were due; check that both run the same program",
                message.len()
            ))),
            Err(RecvTimeoutError::Timeout) => {
                Err(ChannelError::Transport(format!("the peer stalled for {:?}", self.stall)))
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}
