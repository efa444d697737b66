//! What a program costs.

use crate::bits::BitTensor;

/// What a program costs, whatever its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Simultaneous exchanges of the servers.
    pub openings: usize,
    /// Payload bytes that each server sends the other.
    pub opening_bytes: usize,
    /// Bytes that the dealer sends: corrections to party one, and those of keys to both, counted twice.
    pub material_bytes: usize,
}

/// Counts the cost of operations.
#[derive(Debug, Default)]
pub struct CostMeter {
    cost: Cost,
}

impl CostMeter {
    /// What was counted so far.
    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// Bytes that the dealer sends.
    pub(crate) fn material(&mut self, bytes: usize) {
        self.cost.material_bytes += bytes;
    }

    /// Bytes that each server adds to its next message.
    pub(crate) fn message(&mut self, bytes: usize) {
        self.cost.opening_bytes += bytes;
    }

    /// Planes of bits in the next message.
    pub(crate) fn message_of_bits(&mut self, planes: usize, len: usize) {
        self.message(BitTensor::byte_len(planes, len));
    }

    /// One simultaneous exchange.
    pub(crate) fn exchange(&mut self) {
        self.cost.openings += 1;
    }
}
