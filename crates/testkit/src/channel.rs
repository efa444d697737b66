//! A link between two threads, and the faults that tests put on it.

use blindroute_protocol::{Channel, ChannelError};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What happens to the n-th message that one party sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One bit of the byte at this position (modulo the length) is flipped.
    Flip(usize),
    /// Every bit of the byte at this position (modulo the length) is flipped.
    Invert(usize),
    /// The last byte is missing.
    Shorten,
    /// It has one byte too many.
    Lengthen,
    /// The message never arrives.
    Drop,
}

/// The messages that one end sent, in order, as they were before any fault.
pub type Record = Arc<Mutex<Vec<Vec<u8>>>>;

/// One end of a link in memory. A message that does not come within the patience is an error, never a hang; messages
/// carry their place in the sequence, as they do on a real link.
#[derive(Debug)]
pub struct MemoryChannel {
    sender: Sender<(usize, Vec<u8>)>,
    receiver: Receiver<(usize, Vec<u8>)>,
    patience: Duration,
    fault: Option<(usize, Fault)>,
    exchanges: usize,
    record: Option<Record>,
}

/// The two ends of a link.
pub fn memory_channels(patience: Duration) -> (MemoryChannel, MemoryChannel) {
    let (to_one, from_zero) = channel();
    let (to_zero, from_one) = channel();
    let end = |sender, receiver| MemoryChannel { sender, receiver, patience, fault: None, exchanges: 0, record: None };
    (end(to_one, from_one), end(to_zero, from_zero))
}

impl MemoryChannel {
    /// Puts a fault on this end's `message`-th outgoing message, counted from 0.
    pub fn with_fault(mut self, message: usize, fault: Fault) -> Self {
        self.fault = Some((message, fault));
        self
    }

    /// Keeps what this end sends.
    pub fn with_record(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }
}

impl Channel for MemoryChannel {
    fn exchange(&mut self, mut outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
        if let Some(record) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).push(outgoing.clone());
        }
        let place = self.exchanges;
        let mut lost = false;
        if let Some((message, fault)) = self.fault
            && message == self.exchanges
        {
            match fault {
                Fault::Flip(at) | Fault::Invert(at) => {
                    let length = outgoing.len().max(1);
                    if let Some(byte) = outgoing.get_mut(at % length) {
                        *byte ^= if matches!(fault, Fault::Flip(_)) { 1 } else { u8::MAX };
                    }
                }
                Fault::Shorten => drop(outgoing.pop()),
                Fault::Lengthen => outgoing.push(0),
                Fault::Drop => lost = true,
            }
        }
        self.exchanges += 1;
        if !lost {
            self.sender.send((place, outgoing)).map_err(|_| ChannelError::Transport("the peer hung up".into()))?;
        }
        let (found, message) = self.receiver.recv_timeout(self.patience).map_err(|error| {
            ChannelError::Transport(match error {
                RecvTimeoutError::Timeout => "the peer sent nothing in time".into(),
                RecvTimeoutError::Disconnected => "the peer hung up".into(),
            })
        })?;
        if found != place {
            return Err(ChannelError::Peer(format!("message {place} was expected, message {found} came")));
        }
        if message.len() != incoming {
            let found = message.len();
            return Err(ChannelError::Peer(format!("a message of {incoming} bytes was expected, {found} came")));
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converse(channel: &mut MemoryChannel, mine: u8, theirs: u8) -> Result<(), ChannelError> {
        for size in [300, 200, 300, 200, 300, 200] {
            let got = channel.exchange(vec![mine; size], size)?;
            assert!(got == vec![theirs; size], "wrong data was delivered");
        }
        Ok(())
    }

    #[test]
    fn faults_of_length_and_order_are_noticed_by_both_ends() {
        for fault in [Fault::Drop, Fault::Shorten, Fault::Lengthen] {
            let (zero, mut one) = memory_channels(Duration::from_millis(500));
            let mut zero = zero.with_fault(3, fault);
            let other = std::thread::spawn(move || converse(&mut one, 1, 0).is_err());
            assert!(converse(&mut zero, 0, 1).is_err(), "{fault:?}");
            drop(zero);
            assert!(other.join().unwrap(), "{fault:?}");
        }
    }

    #[test]
    fn a_flipped_bit_is_delivered() {
        for (fault, expected) in [(Fault::Flip(7), [0, 0, 1, 0, 0]), (Fault::Invert(1), [0, 255, 0, 0, 0])] {
            let (zero, mut one) = memory_channels(Duration::from_secs(2));
            let other = std::thread::spawn(move || one.exchange(vec![0; 5], 5).unwrap());
            zero.with_fault(0, fault).exchange(vec![0; 5], 5).unwrap();
            assert_eq!(other.join().unwrap(), expected);
        }
    }
}
